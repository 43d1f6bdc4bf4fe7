"""The page without its contents: where uploads lie, who is there, how it is, and the endpoints that programs call."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Read when Gradio is imported: without it the page reports its visitors to a server.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from gradio.utils import get_upload_folder

from sdovis.statistics.tabular import TableColumn
from sdovis.version import __version__
from sdovis.webapp import beside
from sdovis.webapp.source import ModelSource
from sdovis.webapp.turns import Turns
from sdovis.webapp.visitors import Presence, Visitor, address

log = logging.getLogger(__name__)

#: Where uploads and the pictures of answers lie. A folder of our own: it is swept, and Gradio's default is everybody's.
UPLOADS = Path(get_upload_folder(), f"sdovis-page-{os.getuid()}")
os.environ["GRADIO_TEMP_DIR"] = str(UPLOADS)

#: What an upload gives: one file, or several.
Sent = str | list[str] | None

SUFFIXES = (".fits", ".fit", ".fts", ".gz", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff")
#: A full-disc FITS file of 4096 x 4096 float32 is 67 MB.
MAX_FILE = "80 MB"
CACHE_SWEEP_S, CACHE_AGE_S = 1800, 3600
#: Files that are read at a time; the cores of a free Space.
PLACES = 2


class Site(gr.Blocks):
    """An empty page, and who is there: ``presence`` and ``turns``. Calls may name files of ``folders`` beside uploads.

    ``ready`` says whether it has its model; ``speaks_mcp`` whether it answers the Model Context Protocol. Gradio deletes
    what it knows of when it ends; until then the folder of uploads is swept by `sweeping`.
    """

    def __init__(self, title: str, source: ModelSource, *folders: Path, ready: bool = True) -> None:
        super().__init__(title=title, analytics_enabled=False, delete_cache=(CACHE_SWEEP_S, CACHE_AGE_S))
        self.presence, self.turns, self.folders = Presence(), Turns(PLACES), folders
        self.presence.changed = self.turns.dispatch
        self.ready = ready
        self.speaks_mcp = ready and (os.environ.get("SDOVIS_MCP") == "1" or source.space.mcp_server)
        if self.speaks_mcp and find_spec("mcp") is None:
            log.warning("the page does not speak the Model Context Protocol: pip install 'mcp<2'")
            self.speaks_mcp = False
        self._model = {"model": source.model or title, "revision": source.revision, "sdovis": __version__}

    def health(self) -> dict[str, Any]:
        """For those who watch the page: whether it answers, and which model at which pin. No path, nothing of visitors."""
        return {"ready": self.ready, **self._model}


def file_input(several: bool) -> gr.File:
    """What a program's endpoint takes: one file, or ``several``."""
    count: Any = "multiple" if several else "single"
    return gr.File(visible=False, label="file", file_types=list(SUFFIXES), file_count=count)


def endpoint(
    classify: Callable[..., Any], *, several: bool = False, masks: bool = False, told: Sequence[TableColumn] = ()
) -> None:
    """``/classify`` for programs: one file, or ``several``, and a position (degrees) in; label and probabilities out.

    For a model that ``masks`` neighbours also the regions of the disc, as text, and the values that a model is ``told``.
    """
    latitude, longitude = (
        gr.Number(visible=False, label="latitude_deg"),
        gr.Number(visible=False, label="longitude_deg"),
    )
    inputs = [file_input(several), latitude, longitude, *([_regions_input()] if masks else [])]
    gr.Button(visible=False).click(
        beside.taking(classify, told, len(inputs)),
        [*inputs, *beside.fields(told, visible=False)],
        gr.JSON(visible=False, label="label and probabilities"),
        api_name="classify",
        concurrency_limit=None,
    )


def disc_endpoint(classify: Callable[..., Any], *, several: bool = False) -> None:
    """``/classify_regions`` for programs: a disc, and its regions as text or as a file, in; a list of answers out."""
    listed = gr.File(visible=False, label="regions_file")
    gr.Button(visible=False).click(
        classify,
        [file_input(several), _regions_input(), listed],
        gr.JSON(visible=False, label="an answer for each region"),
        api_name="classify_regions",
        concurrency_limit=None,
    )


def _regions_input() -> gr.Textbox:
    return gr.Textbox(visible=False, label="regions")


def visitor(request: gr.Request | None) -> Visitor:
    """Who asks."""
    assert request is not None  # Gradio gives one to each call
    peer = request.client.host if request.client else ""
    return Visitor(address(request.headers, peer), str(request.session_hash))


def picture(label: str, elem_id: str) -> gr.Image:
    """A picture that an answer shows."""
    return gr.Image(
        label=label,
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id=elem_id,
        elem_classes="sdovis-picture",
        alt_text=label,
    )
