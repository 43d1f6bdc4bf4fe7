"""The Gradio interface of one model: what is on the page, and what its buttons do."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from sdovis.channels.place import Position
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.webapp import beside, listing, live, page
from sdovis.webapp.answering import INTERNAL, Answering, listed
from sdovis.webapp.listing import Listing, parted
from sdovis.webapp.outputs import PARTS, Outputs
from sdovis.webapp.site import MAX_FILE, SUFFIXES, UPLOADS, Sent, Site, disc_endpoint, endpoint, picture
from sdovis.webapp.source import ModelSource

if TYPE_CHECKING:
    from sdovis.webapp.classifier import Answer, Classifier

log = logging.getLogger(__name__)

MAX_EXAMPLES = 8
TELL = (
    "The model looks at the image and at these values together. Fill them in, then send the image or press the button."
)


class Page:
    """One page: the model it shows, and what its buttons do."""

    def __init__(self, source: ModelSource, classifier: Classifier, examples: Path | None) -> None:
        self.source, self.classifier = source, classifier
        if examples is not None:
            gr.set_static_paths([str(examples.resolve())])  # Gradio hands out no other file from outside its cache
        self.told = classifier.told
        # An example without the values beside it has no answer.
        files = [] if self.told else _example_files(examples)
        self.examples = [(file, answer) for file in files if (answer := self._example(file))]
        self.name = str(classifier.about.get("study") or source.model or "SDOVIS")
        self.site = Site(source.title or self.name, source, *filter(None, [examples]))
        self.answering = Answering(classifier, self.site)
        self.titles = [channel.title for channel in classifier.channels]
        self.names = [channel.name for channel in classifier.channels]
        self.browse = all(channel.browse for channel in classifier.channels)
        self.several = len(self.titles) > 1
        self.live = live.Live(live.addresses(classifier.view, source.space), UPLOADS)
        pin = f"@{source.revision}" if source.revision else ""
        self.outputs = Outputs(classifier, self.name.replace("/", "-"), f"{source.model or self.name}{pin}")

    def blocks(self) -> Site:
        """The page, not yet served."""
        about, view = self.classifier.about, self.classifier.view
        with self.site:
            gr.HTML(page.head(self.source, view, self.name, ", ".join(self.titles)))
            if about.get("simulated"):
                gr.HTML(page.simulated())
            with gr.Row():
                with gr.Column(scale=5, min_width=320):
                    file = gr.File(
                        label=" + ".join(self.titles) if self.several else "FITS, PNG or JPEG, one or several",
                        file_types=[*SUFFIXES, *listing.SUFFIXES],
                        file_count="multiple",
                        elem_id="sdovis-file",
                    )
                    gr.HTML(page.what_to_send(view, self.titles, self.browse, MAX_FILE))
                    fields = beside.fields(self.told)
                    if fields:
                        gr.HTML(page.small(TELL))
                        ask = gr.Button("Classify with these values", elem_id="sdovis-ask")
                    shows_today = not self.live.where.why_not and not fields
                    today = gr.Button("Classify today's Sun", elem_id="sdovis-live", visible=shows_today)
                    gallery = self._gallery()
                with gr.Column(scale=6, min_width=320):
                    verdict = gr.HTML(page.invitation(self.classifier.meanings))
            with gr.Row(visible=False) as pictures:
                with gr.Column(min_width=320):
                    image = picture("The image", "sdovis-picture")
                    caption = gr.HTML()
                with gr.Column(min_width=320):
                    with gr.Column(visible=False) as where:
                        with gr.Row():
                            latitude = gr.Number(
                                value=0, label="Latitude, ° north", minimum=-90, maximum=90, min_width=130
                            )
                            longitude = gr.Number(
                                value=0, label="Longitude, ° west", minimum=-180, maximum=180, min_width=130
                            )
                            there = gr.Button("Classify here", min_width=130)
                        regions = gr.Textbox(
                            label="The disc's numbered regions",
                            info=page.which_regions(view.masks),
                            placeholder="N12W34, S20E10",
                            lines=2,
                            max_lines=12,
                            elem_id="sdovis-regions",
                        )
                        everywhere = gr.Button("Classify all of them", elem_id="sdovis-everywhere", visible=not fields)
                    overlay = picture("Where the network looked", "sdovis-overlay")
                    guide = gr.HTML()
            facts = gr.HTML(visible=False)
            with gr.Accordion("The same from Python", open=False):
                told = beside.example(self.told)
                code: Any = {"language": "python", "interactive": False, "wrap_lines": True}
                gr.Code(page.snippet(self.source, self.name, self.names, told), label="On your machine", **code)
                space = os.environ.get("SPACE_ID") or "http://127.0.0.1:7860"
                gr.Code(
                    page.client_snippet(space, self.names, told, discs=view.cuts_out), label="Through this page", **code
                )
            with gr.Accordion("Limits", open=True):
                gr.Markdown(page.limits(view, self.live.where.why_not))

            shown = [verdict, pictures, image, caption, where, overlay, guide, facts]
            # Gradio starts them all: whose turn it is, `turns` says.
            own: Any = {"concurrency_limit": None, "api_visibility": "private"}
            look, click, there_ = (
                beside.taking(of, self.told, inputs)
                for of, inputs in ((self._look, 1), (self._click, 2), (self._type, 4))
            )
            for changed in (file.upload, file.delete, *([ask.click] if fields else [])):
                changed(look, [file, *fields], shown, **own)
            image.select(click, [file, regions, *fields], shown, **own)
            there.click(there_, [file, latitude, longitude, regions, *fields], shown, **own)
            everywhere.click(self._everywhere, [file, regions], shown, **own)
            today.click(self._today, None, [file, regions, *shown], **own)
            file.clear(self.outputs.nothing, None, shown, **own)
            if gallery is not None:
                gallery.select(self._take_example, None, [file, *shown], **own)
            endpoint(self.answering.classify, several=self.several, masks=view.masks, told=self.told)
            if view.cuts_out and not self.told:
                disc_endpoint(self.answering.classify_regions, several=self.several)
        return self.site

    def _gallery(self) -> gr.Gallery | None:
        if not self.examples:
            return None
        captions = _captions(self.examples[0][0].parent)
        thumbnails = [(a.picture, captions.get(f.name) or _named(f, a)) for f, a in self.examples]
        return gr.Gallery(
            thumbnails,
            label="Examples: click to try",
            columns=4,
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
            format="png",
            elem_id="sdovis-examples",
        )

    def _example(self, file: Path) -> Answer | None:
        try:
            return self.classifier.answer(file)
        except BadInput as error:
            log.warning("example left out: %s", error)
            return None

    # --- what buttons do ---------------------------------------------------------------------------------------------

    async def _look(self, sent: Sent, request: gr.Request, beside: Mapping[str, Any] | None = None) -> list[Any]:
        images, lists = parted(listed(sent))
        if lists and not images:
            return self.outputs.failure(BadInput("that is a list of regions; send the image of the disc as well"))
        if lists:
            return await self._disc(request, images, Listing(files=lists))
        if len(images) > 1 and not self.several:
            if self.told:
                return self.outputs.failure(BadInput("send one image at a time: the values beside it are its own"))
            return await self._shown(partial(self._several, request, images))
        return await self._answer(request, images, beside=beside)

    async def _click(
        self,
        sent: Sent,
        regions: str,
        event: gr.SelectData,
        request: gr.Request,
        beside: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        try:
            x, y = (float(part) for part in event.index)
        except (TypeError, ValueError):
            return self.outputs.failure(BadInput("that click gave no position; try again"))
        where: dict[str, Any] = {"shown_px": (x, y), "regions": regions, "beside": beside}
        return await self._answer(request, listed(sent), **where, only_if_wanted=True)

    async def _type(
        self,
        sent: Sent,
        latitude_deg: float | None,
        longitude_deg: float | None,
        regions: str,
        request: gr.Request,
        beside: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        if latitude_deg is None or longitude_deg is None:
            return self.outputs.failure(BadInput("give both latitude and longitude"), keep_picture=True)
        position = Position(latitude_deg, longitude_deg)
        return await self._answer(request, listed(sent), position, regions=regions, beside=beside)

    async def _everywhere(self, sent: Sent, regions: str, request: gr.Request) -> list[Any]:
        images, lists = parted(listed(sent))
        if regions and regions.strip():  # what was typed last counts
            lists = ()
        given = Listing(regions or "", lists)
        if not given:
            return self.outputs.failure(BadInput(Problem("no regions are given", listing.HOW)), keep_picture=True)
        return await self._disc(request, images, given, keep_picture=True)

    async def _today(self, request: gr.Request) -> list[Any]:
        try:
            today = await self.live.today()
        except SdovisError as error:
            return [gr.skip(), gr.skip(), *self.outputs.failure(error)]
        except Exception:
            log.exception("today's Sun failed")
            return [gr.skip(), gr.skip(), *self.outputs.failure(SdovisError(INTERNAL))]
        image = str(today.image)
        if today.regions is None or not self.classifier.view.cuts_out:
            shown = await self._answer(request, [image], notes=today.notes)
            return [[image], "", *shown]
        found = Listing(files=(today.regions,))
        return [[image, str(today.regions)], "", *await self._disc(request, [image], found, notes=today.notes)]

    async def _take_example(self, event: gr.SelectData, request: gr.Request) -> list[Any]:
        try:
            file = str(self.examples[int(event.index)][0])
        except (TypeError, ValueError, IndexError):
            return [gr.skip(), *self.outputs.failure(BadInput("there is no such example"))]
        return [[file], *await self._answer(request, [file])]

    # --- how they do it ----------------------------------------------------------------------------------------------

    async def _several(self, request: gr.Request, images: Sequence[str]) -> list[Any]:
        return self.outputs.several(await self.answering.each(request, images))

    async def _disc(
        self,
        request: gr.Request,
        images: Sequence[str],
        regions: Listing,
        *,
        notes: Sequence[str] = (),
        keep_picture: bool = False,
    ) -> list[Any]:
        async def shown() -> list[Any]:
            disc = await self.answering.in_turn(request, images, partial(self.classifier.disc, regions=regions))
            return self.outputs.disc(disc, notes)

        return await self._shown(shown, keep_picture=keep_picture)

    async def _answer(
        self,
        request: gr.Request,
        sent: Sequence[str],
        position: Position | None = None,
        *,
        shown_px: tuple[float, float] | None = None,
        regions: str = "",
        only_if_wanted: bool = False,
        notes: Sequence[str] = (),
        beside: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        images, lists = parted(sent)
        if not images:
            return self.outputs.nothing()
        given = Listing(regions or "", () if regions and regions.strip() else lists)

        async def shown() -> list[Any]:
            asked: dict[str, Any] = {"position": position, "shown_px": shown_px, "regions": given, "beside": beside}
            work = partial(self.classifier.answer, **asked)
            answer = await self.answering.in_turn(request, images, work)
            if only_if_wanted and not answer.wants_position:  # a click on a cutout means nothing
                return [gr.skip()] * PARTS
            return self.outputs.answer(answer, notes)

        return await self._shown(shown, keep_picture=position is not None or shown_px is not None)

    async def _shown(self, work: Callable[[], Awaitable[list[Any]]], *, keep_picture: bool = False) -> list[Any]:
        """What ``work`` shows, or why it shows nothing."""
        try:
            return await work()
        except SdovisError as error:
            return self.outputs.failure(error, keep_picture=keep_picture)
        except Exception:
            # The visitor gets one sentence; the traceback goes to the owner's log.
            log.exception("an upload failed")
            return self.outputs.failure(SdovisError(INTERNAL))


def _example_files(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(SUFFIXES) and file.is_file())
    return files[:MAX_EXAMPLES]


def _captions(folder: Path) -> Mapping[str, str]:
    """``captions.json`` in the examples' folder: file name -> caption."""
    file = folder / "captions.json"
    if not file.is_file():
        return {}
    known = json.loads(file.read_text(encoding="utf-8"))
    return {str(name): str(text) for name, text in known.items()}


def _named(file: Path, answer: Answer) -> str:
    region = dict(answer.facts).get("NOAA active region")
    # A release numbers its examples by class: 0-alpha.png.
    return f"AR {region}" if region else re.sub(r"^\d+-|[_-]+", " ", file.name.partition(".")[0]).strip()
