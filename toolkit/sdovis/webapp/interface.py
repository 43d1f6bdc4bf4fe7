"""The Gradio interface of one model: what is on the page, and what its buttons do."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Read when Gradio is imported: without it the page reports its visitors to a server.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from sdovis.channels.place import Position
from sdovis.errors import BadInput, SdovisError
from sdovis.webapp import page
from sdovis.webapp.source import ModelSource

if TYPE_CHECKING:
    from sdovis.webapp.classifier import Answer, Classifier

log = logging.getLogger(__name__)

#: What an upload gives: one file, or the files of several channels.
Sent = str | list[str] | None

SUFFIXES = (".fits", ".fit", ".fts", ".gz", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff")
#: A full-disc FITS file of 4096 x 4096 float32 is 67 MB.
MAX_FILE = "80 MB"
CACHE_SWEEP_S, CACHE_AGE_S = 1800, 3600
MAX_EXAMPLES = 8
INTERNAL = "Something went wrong on our side, not yours. Please tell the owner of this page what you did."


def empty_blocks(title: str) -> gr.Blocks:
    """An empty page whose uploads are deleted after a while."""
    return gr.Blocks(title=title, analytics_enabled=False, delete_cache=(CACHE_SWEEP_S, CACHE_AGE_S))


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
        concurrency_id="network",
        concurrency_limit=1,
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
        self.titles = [channel.title for channel in classifier.channels]
        self.names = [channel.name for channel in classifier.channels]
        self.browse = all(channel.browse for channel in classifier.channels)
        self.several = len(self.titles) > 1

    def blocks(self) -> gr.Blocks:
        """The page, not yet served."""
        about = self.classifier.about
        blocks = empty_blocks(self.source.title or self.name)
        with blocks:
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
            bounded: Any = {"concurrency_id": "network", "concurrency_limit": 1, "api_visibility": "private"}
            file.upload(self._look, file, shown, **bounded)
            picture.select(self._click, [file, regions], shown, **bounded)
            there.click(self._type, [file, latitude, longitude, regions], shown, **bounded)
            file.clear(self._empty, None, shown, api_visibility="private")
            if gallery is not None:
                gallery.select(self._take_example, None, [file, *shown], **bounded)
            endpoint(self._classify, several=self.several, masks=self.classifier.view.masks)
        return blocks

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

    def _look(self, sent: Sent) -> list[Any]:
        return self._answer(sent)

    def _click(self, sent: Sent, regions: str, event: gr.SelectData) -> list[Any]:
        try:
            x, y = (float(part) for part in event.index)
        except (TypeError, ValueError):
            return self._fail(BadInput("that click gave no position; try again"))
        return self._answer(sent, shown_px=(x, y), regions=regions, only_if_wanted=True)

    def _type(
        self, sent: Sent, latitude_deg: float | None, longitude_deg: float | None, regions: str = ""
    ) -> list[Any]:
        if latitude_deg is None or longitude_deg is None:
            return self._fail(BadInput("give both latitude and longitude"), keep_picture=True)
        return self._answer(sent, Position(latitude_deg, longitude_deg), regions=regions)

    def _take_example(self, event: gr.SelectData) -> list[Any]:
        file = self.examples[int(event.index)][0]
        return [[str(file)] if self.several else str(file), *self._answer(str(file))]

    def _classify(
        self,
        file: Sent,
        latitude_deg: float | None = None,
        longitude_deg: float | None = None,
        regions: str | None = None,
    ) -> Mapping[str, Any]:
        try:
            if not file:
                raise BadInput("no file was sent")
            position = Position(latitude_deg, longitude_deg)
            listed = Position.parse_several(regions or "")
            answer = self.classifier.answer(file, position if position.on_sun else None, regions=listed)
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

    # --- what the page then shows ------------------------------------------------------------------------------------

    def _answer(
        self,
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
            listed = Position.parse_several(regions or "")
            answer = self.classifier.answer(sent, position, shown_px=shown_px, regions=listed)
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
