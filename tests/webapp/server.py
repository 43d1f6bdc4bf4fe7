"""Start the page of a model in a process of its own, as a Space or `sdovis serve` does, and know where it listens."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SPACE_APP = Path(__file__).resolve().parents[2] / "space" / "app.py"
START_S = 120


@contextmanager
def started(folder: Path, *, before: str = "", **environment: str) -> Iterator[Callable[[], str]]:
    """``space/app.py`` started in ``folder``, beside space.json; the call waits for its address. Stopped afterwards.

    ``before`` is Python that runs first.
    """
    app = folder / "app.py"
    app.write_text(before + SPACE_APP.read_text(encoding="utf-8"), encoding="utf-8")
    log = folder / "log.txt"
    settings = {k: v for k, v in os.environ.items() if not k.startswith(("HF_TOKEN", "SDOVIS_", "GRADIO_"))}
    settings |= {"GRADIO_TEMP_DIR": str(folder / "cache"), "HF_HUB_OFFLINE": "1"} | environment
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen([sys.executable, "-u", str(app)], stdout=output, stderr=output, env=settings)
        try:
            yield lambda: _address(process, log)
        finally:
            process.kill()
            process.wait()


def uploads_of(folder: Path) -> Path:
    """Where the page that was `started` in ``folder`` keeps what it is sent."""
    return folder / "cache" / f"sdovis-page-{os.getuid()}"


def _address(process: subprocess.Popen, log: Path) -> str:
    for _ in range(START_S * 5):
        if found := re.search(r"the page is at (http://\S+)", log.read_text(encoding="utf-8")):
            return found[1].rstrip("/")
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise AssertionError(f"the page did not start:\n{log.read_text(encoding='utf-8')}")


def free_port() -> int:
    """A port that nobody listens on: servers that start at once would all choose Gradio's first."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
