"""The Gradio interface of one model: what is on the page, and what its buttons do."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Read when Gradio is imported: without it the page reports its visitors to a server.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from gradio.utils import get_upload_folder

from sdovis.channels.place import Position
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.webapp import page
from sdovis.webapp.source import ModelSource
from sdovis.webapp.turns import Turns
from sdovis.webapp.visitors import Presence, Visitor, address

if TYPE_CHECKING:
    from sdovis.webapp.classifier import Answer, Classifier

log = logging.getLogger(__name__)

#: Where uploads and the pictures of answers lie. A folder of our own: it is swept, and Gradio's default is everybody's.
UPLOADS = Path(get_upload_folder(), f"sdovis-page-{os.getuid()}")
os.environ["GRADIO_TEMP_DIR"] = str(UPLOADS)

#: What an upload gives: one file, or the files of several channels.
Sent = str | list[str] | None

SUFFIXES = (".fits", ".fit", ".fts", ".gz", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff")
#: A full-disc FITS file of 4096 x 4096 float32 is 67 MB.
MAX_FILE = "80 MB"
CACHE_SWEEP_S, CACHE_AGE_S = 1800, 3600
MAX_EXAMPLES = 8
#: Files that are read at a time; the cores of a free Space.
PLACES = 2
INTERNAL = "Something went wrong on our side, not yours. Please tell the owner of this page what you did."


class Site(gr.Blocks):
    """An empty page, and who is there: ``presence`` and ``turns``. Calls may name files of ``folders`` beside uploads.

    Gradio deletes what it knows of when it ends; until then the folder of uploads is swept by `sweeping`.
    """

    def __init__(self, title: str, *folders: Path) -> None:
        super().__init__(title=title, analytics_enabled=False, delete_cache=(CACHE_SWEEP_S, CACHE_AGE_S))
        self.presence, self.turns, self.folders = Presence(), Turns(PLACES), folders
        self.presence.changed = self.turns.dispatch


def endpoint(classify: Callable[..., Any], *, several: bool = False, masks: bool = False) -> None:
    """``/classify`` for programs: one file, or ``several``, and a position (degrees) in; label and probabilities out.

    For a model that ``masks`` neighbours also the regions of the disc, as text.
    """
    file = gr.File(visible=False, label="file", file_types=list(SUFFIXES), file_count=_count(several))
    latitude, longitude = (
        gr.Number(visible=False, label="latitude_deg"),
        gr.Number(visible=False, label="longitude_deg"),
    )
    gr.Button(visible=False).click(
        classify,
        [file, latitude, longitude, *([gr.Textbox(visible=False, label="regions")] if masks else [])],
        gr.JSON(visible=False, label="label and probabilities"),
        api_name="classify",
        concurrency_limit=None,
    )


def _count(several: bool) -> Any:
    return "multiple" if several else "single"


class Page:
    """One page: the model it shows, and what its buttons do."""

    def __init__(self, source: ModelSource, classifier: Classifier, examples: Path | None) -> None:
        self.source, self.classifier = source, classifier
        if examples is not None:
            gr.set_static_paths([str(examples.resolve())])  # Gradio hands out no other file from outside its cache
        self.examples = [(file, answer) for file in _example_files(examples) if (answer := self._example(file))]
        self.name = str(classifier.about.get("study") or source.model or "SDOVIS")
        self.site = Site(source.title or self.name, *filter(None, [examples]))
        self.titles = [channel.title for channel in classifier.channels]
        self.names = [channel.name for channel in classifier.channels]
        self.browse = all(channel.browse for channel in classifier.channels)
        self.several = len(self.titles) > 1

    def blocks(self) -> Site:
        """The page, not yet served."""
        about = self.classifier.about
        with self.site:
            gr.HTML(page.head(self.source, self.classifier.view, self.name, ", ".join(self.titles)))
            if about.get("simulated"):
                gr.HTML(page.simulated())
            with gr.Row():
                with gr.Column(scale=5, min_width=320):
                    file = gr.File(
                        label=" + ".join(self.titles) if self.several else "FITS, PNG or JPEG",
                        file_types=list(SUFFIXES),
                        file_count=_count(self.several),
                        elem_id="sdovis-file",
                    )
                    gr.HTML(page.what_to_send(self.classifier.view, self.titles, self.browse, MAX_FILE))
                    gallery = self._gallery()
                with gr.Column(scale=6, min_width=320):
                    verdict = gr.HTML(page.invitation(self.classifier.meanings))
            with gr.Row(visible=False) as pictures:
                with gr.Column(min_width=320):
                    picture = _picture("The image", "sdovis-picture")
                    caption = gr.HTML()
                    with gr.Row(visible=False) as position:
                        latitude = gr.Number(value=0, label="Latitude, ° north", minimum=-90, maximum=90, min_width=130)
                        longitude = gr.Number(
                            value=0, label="Longitude, ° west", minimum=-180, maximum=180, min_width=130
                        )
                        there = gr.Button("Classify here", min_width=130)
                    regions = gr.Textbox(
                        label="The disc's other regions (what belongs to them is shown as quiet Sun)",
                        placeholder="N12W34, S20E10",
                        visible=self.classifier.view.masks,
                    )
                with gr.Column(min_width=320):
                    overlay = _picture("Where the network looked", "sdovis-overlay")
                    guide = gr.HTML()
            facts = gr.HTML(visible=False)
            with gr.Accordion("The same from Python", open=False):
                code: Any = {"language": "python", "interactive": False, "wrap_lines": True}
                gr.Code(page.snippet(self.source, self.name, self.names), label="On your machine", **code)
                where = os.environ.get("SPACE_ID") or "http://127.0.0.1:7860"
                gr.Code(page.client_snippet(where, self.names), label="Through this page", **code)
            with gr.Accordion("Limits", open=True):
                gr.Markdown(page.limits(self.classifier.view))

            shown = [verdict, pictures, picture, caption, position, overlay, guide, facts]
            # Gradio starts them all: whose turn it is, `turns` says.
            own: Any = {"concurrency_limit": None, "api_visibility": "private"}
            file.upload(self._look, file, shown, **own)
            picture.select(self._click, [file, regions], shown, **own)
            there.click(self._type, [file, latitude, longitude, regions], shown, **own)
            file.clear(self._empty, None, shown, **own)
            if gallery is not None:
                gallery.select(self._take_example, None, [file, *shown], **own)
            endpoint(self._classify, several=self.several, masks=self.classifier.view.masks)
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

    async def _look(self, sent: Sent, request: gr.Request) -> list[Any]:
        return await self._answer(request, sent)

    async def _click(self, sent: Sent, regions: str, event: gr.SelectData, request: gr.Request) -> list[Any]:
        try:
            x, y = (float(part) for part in event.index)
        except (TypeError, ValueError):
            return self._fail(BadInput("that click gave no position; try again"))
        return await self._answer(request, sent, shown_px=(x, y), regions=regions, only_if_wanted=True)

    async def _type(
        self, sent: Sent, latitude_deg: float | None, longitude_deg: float | None, regions: str, request: gr.Request
    ) -> list[Any]:
        if latitude_deg is None or longitude_deg is None:
            return self._fail(BadInput("give both latitude and longitude"), keep_picture=True)
        return await self._answer(request, sent, Position(latitude_deg, longitude_deg), regions=regions)

    async def _take_example(self, event: gr.SelectData, request: gr.Request) -> list[Any]:
        try:
            file = str(self.examples[int(event.index)][0])
        except (TypeError, ValueError, IndexError):
            return [gr.skip(), *self._fail(BadInput("there is no such example"))]
        return [[file] if self.several else file, *await self._answer(request, file)]

    async def _classify(
        self,
        file: Sent,
        latitude_deg: float | None = None,
        longitude_deg: float | None = None,
        regions: str | None = None,
        request: gr.Request | None = None,
    ) -> Mapping[str, Any]:
        try:
            if not file:
                raise BadInput("no file was sent")
            position = Position(latitude_deg, longitude_deg)
            where = position if position.on_sun else None
            answer = await self._in_turn(request, file, where, regions=regions or "", pictures=False)
            if not answer.probabilities:
                raise BadInput(
                    f"the image shows more than one cutout of {page.cutout_side(self.classifier.view)}; "
                    "send latitude_deg and longitude_deg of the region as well"
                )
        except SdovisError as error:
            raise gr.Error(page.plain(error), print_exception=False) from None
        except Exception:
            log.exception("classify failed")
            raise gr.Error(INTERNAL, print_exception=False) from None
        label = next(iter(answer.probabilities))
        facts = dict(answer.facts)
        return {"label": label, "probabilities": dict(answer.probabilities), "facts": facts, "notes": answer.notes}

    async def _in_turn(
        self, request: gr.Request | None, sent: str | list[str], position: Position | None, *, regions: str, **how: Any
    ) -> Answer:
        """The classifier's answer, when it is the visitor's turn, unless the visitor has gone by then."""
        listed = Position.parse_several(regions)
        for file in [sent] if isinstance(sent, str) else sent:
            if not Path(file).is_file():
                raise BadInput(Problem("the upload was deleted meanwhile", "send it again", file))
        visitor = _visitor(request)
        wanted = partial(self.site.presence.__contains__, visitor.session)
        async with self.site.turns.turn(visitor, wanted):
            work = partial(self.classifier.answer, sent, position, regions=listed, wanted=wanted, **how)
            return await asyncio.to_thread(work)

    # --- what the page then shows ------------------------------------------------------------------------------------

    async def _answer(
        self,
        request: gr.Request,
        sent: Sent,
        position: Position | None = None,
        *,
        shown_px: tuple[float, float] | None = None,
        regions: str = "",
        only_if_wanted: bool = False,
    ) -> list[Any]:
        if not sent:
            return self._empty()
        try:
            answer = await self._in_turn(request, sent, position, shown_px=shown_px, regions=regions or "")
        except SdovisError as error:
            return self._fail(error, keep_picture=position is not None or shown_px is not None)
        except Exception:
            # The visitor gets one sentence; the traceback goes to the owner's log.
            log.exception("an upload failed")
            return self._fail(SdovisError(INTERNAL))
        if only_if_wanted and not answer.wants_position:  # a click on a cutout means nothing
            return [gr.skip()] * 8
        return self._shown(answer)

    def _shown(self, answer: Answer) -> list[Any]:
        if answer.probabilities:
            said = page.verdict(answer.probabilities, self.classifier.meanings, answer.notes)
        else:
            said = page.choose_position(page.cutout_side(self.classifier.view), can_type=answer.has_coordinates)
        second = answer.overlay or answer.seen
        has_map = answer.overlay is not None
        label = "Where the network looked" if has_map else "What the network was shown"
        if answer.probabilities:  # repeated here: on a phone the answer itself is out of sight by now
            best, p = next(iter(answer.probabilities.items()))
            label = f"{label}: {best} {100 * p:.1f} %"
        return [
            said,
            gr.Row(visible=True),
            answer.picture,
            f'<p class="sdovis-small">{answer.caption}</p>',
            gr.Row(visible=answer.wants_position and answer.has_coordinates),
            gr.Image(second, label=label, visible=second is not None),
            page.reading_guide(bool(answer.probabilities), has_map, self.classifier.map),
            gr.HTML(page.fact_table(answer.facts, answer.is_picture), visible=True),
        ]

    def _fail(self, error: SdovisError, *, keep_picture: bool = False) -> list[Any]:
        shown = self._empty()
        if keep_picture:
            shown = [gr.skip()] * len(shown)
        shown[0] = page.failure(error)
        return shown

    def _empty(self) -> list[Any]:
        hidden = gr.Row(visible=False)
        return [
            page.invitation(self.classifier.meanings), hidden, None, "", gr.Row(visible=False),
            gr.Image(None, visible=False), "", gr.HTML("", visible=False),
        ]  # fmt: skip


def _visitor(request: gr.Request | None) -> Visitor:
    assert request is not None  # Gradio gives one to each call
    peer = request.client.host if request.client else ""
    return Visitor(address(request.headers, peer), str(request.session_hash))


def _picture(label: str, elem_id: str) -> gr.Image:
    return gr.Image(
        label=label,
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id=elem_id,
        elem_classes="sdovis-picture",
        alt_text=label,
    )


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
