"""A server on 127.0.0.1 that a test can let fail at any request: what the loopback Hub and the loopback Zenodo share."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

Reply = tuple[int, Any, dict[str, str]]
Route = tuple[str, re.Pattern[str], str]


@dataclass
class Fault:
    """A request whose ``METHOD /path`` matches, after ``skip`` that do too, and the ``times`` - 1 next ones.

    ``drop``: it is done, and the answer is lost. ``early``: the connection is closed before anything is done. ``silent``:
    it is accepted and never answered. Otherwise ``status`` is answered, with ``retry_after``, and nothing is done.
    """

    match: str
    status: int | None = None
    drop: bool = False
    early: bool = False
    silent: bool = False
    retry_after: str = ""
    skip: int = 0
    times: int = 1


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "", retry_after: str = "") -> None:
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after


class Dropped(Exception):
    """The reply is lost on its way."""


class Silence(Exception):
    """There will be no reply, and the connection stays open."""


class _Server(ThreadingHTTPServer):
    """It says nothing of clients that have gone: many are made to."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Loopback:
    """A server; a context manager. ``faults`` are what is to go wrong, ``requests`` what was asked."""

    def __init__(self, handler: type[Wire], ports: int = 1) -> None:
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        #: Called with ``METHOD /path`` before a request is looked at, and after it was done.
        self.before: Callable[[str], None] = lambda request: None
        self.after: Callable[[str], None] = lambda request: None
        self._closing = threading.Event()
        bound = type("Handler", (handler,), {"served": self})
        self._servers = [_Server(("127.0.0.1", 0), bound) for _ in range(ports)]
        self.endpoints = [f"http://127.0.0.1:{server.server_port}" for server in self._servers]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def wait_in_silence(self) -> None:
        self._closing.wait(60)

    def fault(self, request: str) -> Fault | None:
        """What is to go wrong with a request."""
        found = None
        for fault in (each for each in self.faults if re.search(each.match, request)):
            if not fault.skip:
                found = found or fault
            fault.skip = max(fault.skip - 1, 0)
        if found is None:
            return None
        found.times -= 1
        if not found.times:
            self.faults.remove(found)
        return found


class Wire(BaseHTTPRequestHandler):
    """What a request goes through: a fault, or the first of ``routes`` that it matches."""

    served: Any
    routes: Sequence[Route] = ()
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    # -- plumbing ------------------------------------------------------------------------------------------------

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        # An id is one segment of the path for some callers (org%2Fname), two for others; a revision may hold a slash.
        self.where, self.query = unquote(url.path), parse_qs(url.query)
        self.body = self._read_body()
        request = f"{method} {self.where}"
        self.served.before(request)
        try:
            with self.served.lock:
                self.served.requests.append((method, self.where))
                try:
                    status, content, headers = self._answer(method, url.path)
                finally:
                    self.served.after(request)
        except (Dropped, Silence) as error:
            self.close_connection = True
            if isinstance(error, Silence):
                self.served.wait_in_silence()
            return
        except Refused as error:
            status, content = error.status, {"error": error.message, "message": error.message}
            headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
            headers |= {"Retry-After": error.retry_after} if error.retry_after else {}
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **headers} if not isinstance(content, bytes) else headers
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(data)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, method: str, raw_path: str) -> Reply:
        fault = self.served.fault(f"{method} {self.where}")
        if fault and fault.early:
            raise Dropped
        if fault and fault.silent:
            raise Silence
        if fault and fault.status:
            raise Refused(fault.status, "the server is not well", retry_after=fault.retry_after)
        for allowed, pattern, name in self.routes:
            found = pattern.match(raw_path) or pattern.match(self.where)
            if found and allowed == ("GET" if method == "HEAD" else method):
                arguments = {k: unquote(v) if v else v for k, v in found.groupdict().items()}
                action: Callable[..., Reply] = getattr(self, f"_{name}")
                reply = action(**arguments)
                if fault and fault.drop:
                    raise Dropped
                return reply
        raise Refused(404, f"no such page: {method} {self.where}")

    def _json(self) -> Any:
        return json.loads(self.body or b"{}")
