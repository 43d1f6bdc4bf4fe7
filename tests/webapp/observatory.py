"""A server on this machine that has today's Sun, or answers as badly as a test asks it to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Page:
    """What a path answers: with ``drip_s``, a byte at a time with such pauses; with ``part``, only the first half."""

    body: bytes = b""
    kind: str = "text/html"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent_s: float = 0.0
    drip_s: float = 0.0
    part: bool = False


class Observatory(ThreadingHTTPServer):
    """``pages`` by path; every path that was asked for is in ``asked``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Observatory

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path, Page(status=404))
        time.sleep(page.silent_s)
        with contextlib.suppress(OSError):  # who asked has gone
            self.send_response(page.status)
            self.send_header("Content-Type", page.kind)
            headers = {"Content-Length": str(len(page.body))} | page.headers
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            body = page.body[: len(page.body) // 2] if page.part else page.body
            if not page.drip_s:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(page.drip_s)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def opened() -> Iterator[Observatory]:
    """An observatory that answers until the end."""
    server = Observatory()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
