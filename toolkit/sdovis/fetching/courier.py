"""Asks and loads: one polite client for all archives.

Of the clients that the field has, `drms` can be given another transport and address, and is (`fetching.jsoc`). parfive
2.3 begins a broken file anew and does not read ``Retry-After``; hvpy 1.1 and sunpy's HEK client ask without any time-out.
So files and the small answers of the others come through here: at most so many requests a second to one server, a user
agent that names the project, pauses that grow or are those that the server asks for (`sdovis.patience`), and parts that
go on where they stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from sdovis import disk, patience
from sdovis.fetching import ftp
from sdovis.fetching.faults import Failed, Missing, Passing
from sdovis.fetching.parts import PartialFile
from sdovis.version import __version__

T = TypeVar("T")

USER_AGENT = f"sdovis/{__version__} (datasets of solar active regions; python-httpx/{httpx.__version__})"
#: The largest answer that is not a file: a folder's list, a table of records.
MAX_ANSWER = 64 * 2**20
#: Answers to a question that a server does not know, such as for a size alone.
_NOT_SO = (httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED)
#: Seconds, and bytes a second: what is slower over that time is asked for anew, from where it stopped.
SLOW_AFTER, SLOWEST = 60.0, 200.0


class Courier:
    """Speaks with archives. ``say`` is told of every pause, ``coming`` how many bytes of a file are there by now."""

    def __init__(
        self, requests_per_second: float, say: Callable[[str], None], *, rested: Callable[[float], None] = time.sleep
    ):
        self._say, self._rest = say, rested
        self._apart = 1 / requests_per_second
        self._last: dict[str, float] = {}
        self._failing: dict[str, float] = {}
        self._given_up: dict[str, str] = {}
        self._client = httpx.Client(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            follow_redirects=True,
            max_redirects=5,
        )
        self.coming: Callable[[int], object] = lambda count: None

    def __enter__(self) -> Courier:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def rest(self, seconds: float) -> None:
        self._rest(seconds)

    def body(self, url: str) -> bytes:
        """A small answer, whole. Raises `Missing` if there is none, `Failed` if it cannot be had."""

        def ask() -> bytes:
            with self._opened("GET", url) as answer:
                found = bytearray()
                for chunk in answer.iter_raw():
                    found += chunk
                    if len(found) > MAX_ANSWER:
                        raise Failed(f"the answer has more than {MAX_ANSWER // 2**20} MB")
                return bytes(found)

        return self._tried(url, ask)

    def json(self, url: str) -> Any:
        """A small answer in JSON; one that is none may be an error page, and is asked for again."""

        def ask() -> Any:
            with self._opened("GET", url) as answer:
                answer.read()
                try:
                    return json.loads(answer.content.decode("latin-1"))
                except ValueError:
                    raise Passing("the answer is not JSON") from None

        return self._tried(url, ask)

    def size(self, url: str) -> int | None:
        """The size in bytes that the archive tells of a file, None if it tells none. Raises as `body`."""
        if url.startswith("ftp:"):
            return self._tried(url, lambda: ftp.size(url))

        def ask() -> int | None:
            with self._opened("HEAD", url) as answer:
                if answer.status_code in _NOT_SO:
                    return None
                _no_web_page(answer)
                length = answer.headers.get("Content-Length", "")
                return int(length) if length.isdecimal() else None

        return self._tried(url, ask)

    def load(self, url: str, place: Path, most: int, check: Callable[[Path], None]) -> PartialFile:
        """Load a file to a part beside ``place``, from where an earlier try stopped, and return the part.

        ``check`` opens it and raises `Passing` if it is not what it should be: then it is loaded anew. Raises `Missing`
        or `Failed`; what has come so far stays for the next time, unless it is wrong.
        """
        part = PartialFile(place, url)
        disk.make(place.parent)

        def ask() -> PartialFile:
            if not part.complete:
                self._receive(url, part, most)
            try:
                part.agrees()
                check(part.file)
            except Passing:
                part.drop()
                raise
            part.verified()
            return part

        return self._tried(url, ask)

    def _receive(self, url: str, part: PartialFile, most: int) -> None:
        if url.startswith("ftp:"):
            ftp.receive(url, part, most, self.coming)
            return
        with self._opened("GET", url, part.going_on()) as answer:
            _no_web_page(answer)
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.drop()
                raise Passing("the file has become shorter")
            if answer.status_code == httpx.codes.PARTIAL_CONTENT:
                if not part.continues(answer.headers):
                    part.drop()
                    raise Passing("sent another range than was asked for")
            else:
                part.begin(answer.headers)
            since, before = time.monotonic(), part.size
            with part.file.open("ab", buffering=0) as file:  # what has come is there, also if we are killed
                for chunk in answer.iter_raw():
                    file.write(chunk)
                    self.coming(file.tell())
                    if file.tell() > most:
                        part.drop()
                        raise Failed(f"has more than {most / 2**20:.0f} MB, and no such file does")
                    if (took := time.monotonic() - since) > SLOW_AFTER and (file.tell() - before) / took < SLOWEST:
                        raise Passing(f"came with less than {SLOWEST:g} bytes a second")
        part.ends()

    def _opened(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Any:
        quiet = httpx.Timeout(patience.SILENCE, connect=patience.CONNECT)
        return _Answer(self._client.stream(method, url, headers=dict(headers or {}), timeout=quiet))

    def _tried(self, url: str, ask: Callable[[], T]) -> T:
        host, pauses = urlsplit(url).netloc, iter(patience.PAUSES)
        while True:
            if host in self._given_up:
                raise Failed(self._given_up[host])
            self._pace(host)
            try:
                found = ask()
            except Passing as fault:
                pause = self._pause(host, fault, next(pauses, None))
                self._say(f"{host}: {fault}; trying again in {pause:g} s")
            except Missing:
                self._failing.pop(host, None)
                raise
            else:
                self._failing.pop(host, None)
                return found
            self._rest(pause)

    def _pace(self, host: str) -> None:
        due = self._last.get(host, -self._apart) + self._apart
        if (early := due - time.monotonic()) > 0:
            self._rest(early)
        self._last[host] = time.monotonic()

    def _pause(self, host: str, fault: Passing, usual: float | None) -> float:
        """How long to wait after a fault. Raises `Failed` if it was the last try, or the server has failed for too long."""
        since = self._failing.setdefault(host, time.monotonic())
        pause = max(usual or 0.0, fault.pause or 0.0)
        if pause > patience.LONGEST_PAUSE:
            self._given_up[host] = f"{host} asks for a pause of {pause:.0f} seconds; try again after that"
        elif time.monotonic() - since > patience.PATIENCE:
            self._given_up[host] = (
                f"{host} has given no good answer for {time.monotonic() - since:.0f} seconds: {fault}"
            )
        if host in self._given_up or usual is None:
            raise Failed(self._given_up.get(host, str(fault)))
        return pause


class _Answer:
    """An answer while it is open; what is wrong with it is raised as `Missing`, `Passing` or `Failed`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> httpx.Response:
        try:
            answer: httpx.Response = self._stream.__enter__()
        except httpx.HTTPError as error:
            raise _of_transport(error) from None
        try:
            _judge(answer)
        except Exception:
            self._stream.__exit__(None, None, None)
            raise
        return answer

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._stream.__exit__(kind, error, trace)
        if isinstance(error, httpx.HTTPError):
            raise _of_transport(error) from None


def _of_transport(error: httpx.HTTPError) -> Exception:
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Failed(f"leads to an address that cannot be asked ({type(error).__name__})")
    if isinstance(error, httpx.TimeoutException):
        return Passing(f"said nothing for {patience.SILENCE:g} s")
    if isinstance(error, httpx.TooManyRedirects):
        return Passing("sends from one address to the next")
    return Passing(f"the connection failed ({type(error).__name__})")  # its text may repeat the address


def _judge(answer: httpx.Response) -> None:
    code = answer.status_code
    if code in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
        return
    if code in _NOT_SO and answer.request.method == "HEAD":
        return
    if code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise Missing("the archive has no such file")
    if code in patience.PASSING:
        raise Passing(f"answered {code}", patience.asked_for(answer.headers))
    raise Failed(f"answered {code}")


def _no_web_page(answer: httpx.Response) -> None:
    """No file that is loaded here is a web page; with status 200 it tells of an error."""
    if answer.headers.get("Content-Type", "").split(";")[0].strip().lower() in ("text/html", "application/xhtml+xml"):
        raise Passing("sent a web page instead of the file")
