"""The Gradio interface and its server, configured to face the public."""

from __future__ import annotations

import inspect
import logging
import os
from pathlib import Path
from typing import Any

# Read when Gradio is imported: without it the page reports its visitors to a server.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Gradio would sum up its last 10,000 calls in a table after each call, for a page of statistics that is not served.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))

import gradio as gr
from starlette.middleware import Middleware

from sdovis import waiting
from sdovis.errors import Conflict, SdovisError
from sdovis.webapp import page, sweeping
from sdovis.webapp.admission import Admission
from sdovis.webapp.interface import Page
from sdovis.webapp.site import MAX_FILE, UPLOADS, Site, endpoint
from sdovis.webapp.source import ModelSource, fetch, locate

log = logging.getLogger(__name__)

#: More requests than may wait for their turn: those beyond are refused in words, and not by Gradio's queue.
CALLS = 500
#: Of one request: three channels' files of the largest size, and what a form adds.
MAX_UPLOAD_BYTES = 3 * 80 * 2**20 + 2**16


def build(model: str | Path | None = None, *, examples: Path | None = None, space: Path | None = None) -> Site:
    """The page of a model (see `source.locate`), ready for `serve`.

    ``examples`` is a folder of small images; ``space`` the folder that may hold ``space.json`` and ``examples/``, by
    default the working directory. A model that cannot be opened raises its error (`BadInput`, `HubFailure`); if none
    was named, as in a Space, nobody would read it, so the page itself says what is missing.
    """
    source = ModelSource()
    try:
        source = locate(model, space or Path.cwd())
        from sdovis.webapp.classifier import Classifier

        classifier = Classifier(fetch(source))
    except SdovisError as error:
        if model is not None:
            raise
        log.warning("the page starts without its model: %s", error)
        return _closed(source, error)
    return Page(source, classifier, examples or source.examples).blocks()


def launch(
    model: str | Path | None = None,
    host: str | None = None,
    port: int | None = None,
    *,
    examples: Path | None = None,
    space: Path | str | None = None,
    block: bool = True,
) -> str:
    """Build the page and serve it. Returns the address.

    ``host`` None: GRADIO_SERVER_NAME (a Space sets it), otherwise 127.0.0.1; ``port`` None: the first free one from 7860.
    ``space`` is the folder that holds ``space.json``, or a file in it. With ``block`` it returns when interrupted.
    """
    waiting.bounded()
    folder = Path(space).resolve() if space else None
    page_ = build(model, examples=examples, space=folder.parent if folder and folder.is_file() else folder)
    return serve(page_, host, port, block=block)


def serve(blocks: Site, host: str | None = None, port: int | None = None, *, block: bool = True) -> str:
    """Serve ``blocks`` with limits on files, queue and memory, without any request to the outside. Returns the address.

    Raises `Conflict` if the port is taken.
    """
    blocks.queue(max_size=CALLS, api_open=False)
    _remember_signatures(blocks)
    try:
        url = _launched(blocks, host, port)
    except OSError as error:
        raise Conflict(f"port {port or 7860} cannot be opened: it is already in use; choose another") from error
    if block:
        print(f"the page is at {url}", flush=True)
        blocks.block_thread()
    return url


def _launched(blocks: Site, host: str | None, port: int | None) -> str:
    UPLOADS.mkdir(mode=0o700, parents=True, exist_ok=True)
    if UPLOADS.stat().st_uid != os.getuid():
        raise Conflict(f"{UPLOADS} belongs to somebody else; set GRADIO_TEMP_DIR to another folder")
    disk = sweeping.Disk(UPLOADS)
    sweeping.keep_swept(disk)
    door = Middleware(
        Admission,
        blocks=blocks,
        presence=blocks.presence,
        disk=disk,
        folders=[UPLOADS, *blocks.folders],
        max_upload_bytes=MAX_UPLOAD_BYTES,
    )
    _, url, _ = blocks.launch(
        app_kwargs={"middleware": [door]},
        max_threads=CALLS,
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        max_file_size=MAX_FILE.replace(" ", "").lower(),
        share=False,
        quiet=True,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=blocks.speaks_mcp,
        enable_monitoring=False,
        run_history=False,
        footer_links=["api", "settings"],
        state_session_capacity=200,
        theme=theme(),
        css=page.CSS,
    )
    return str(url)


def _remember_signatures(blocks: Site) -> None:
    """Have Python compute what parts of the page take once: Gradio asks for all of them for every call of a program."""
    for part in blocks.blocks.values():
        make: Any = type(part).__init__
        make.__signature__ = inspect.signature(make)


def theme() -> Any:
    """Plain, light and dark, with fonts already on the visitor's machine: a web font would be a request to a third party."""
    base = gr.themes.Base(
        primary_hue="amber", secondary_hue="slate", neutral_hue="slate", font=page.FONTS, font_mono=page.MONO
    )
    # The theme's own secondary text is too faint to read: a contrast of 2.6 to 1 on white.
    return base.set(body_text_color_subdued="#526071", body_text_color_subdued_dark="#aab6c5")


def _closed(source: ModelSource, error: SdovisError) -> Site:
    """The page of a model that cannot be opened."""
    name = source.title or source.model or "SDOVIS"

    def classify(file: str | None, latitude_deg: float | None = None, longitude_deg: float | None = None) -> Any:
        raise gr.Error(page.plain(error), print_exception=False)

    blocks = Site(name, source, ready=False)
    with blocks:
        gr.HTML(page.head(source, None, name, ""))
        gr.HTML(page.failure(error))
        endpoint(classify)
    return blocks
