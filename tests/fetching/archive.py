"""The field's archives on 127.0.0.1, in their own layouts, with everything that can go wrong on the way.

    with LoopbackArchive() as archive:
        archive.files["/srs/2012/03/20120301SRS.txt"] = b"..."

It speaks HTTP/1.1 with HEAD, validators and ranges. ``answers`` has paths whose answer is computed: NASA's lists of folders,
JSOC's scripts, Helioviewer's API, the HEK. A share of the requests is faulty, drawn from ``seed``: see `FAULTS`.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: What a faulty answer is; ``stall`` sends half and then nothing, ``truncate`` closes the connection after half.
FAULTS = ("500", "503", "429", "web page", "truncate", "stall", "drop", "redirect", "circle", "garbled")
WEB_PAGE = b"<!DOCTYPE html><html><head><title>Error</title></head><body>We are sorry.</body></html>"


@dataclass
class Seen:
    """A request, and how much of the file it was given: ``whole`` if its end was sent.

    It is noted before it is answered: whoever has the answer may look at once.
    """

    method: str
    path: str
    query: str
    agent: str
    asked_range: str
    fault: str
    whole: bool = False


@dataclass
class LoopbackArchive:
    """``share`` of the requests is faulty, at most twice in a row for one path; ``only`` names the faults to draw from.

    ``hold`` is a path whose file stops half-way until `go_on` is set; ``held`` says that it has.
    """

    share: float = 0.0
    seed: int = 0
    only: tuple[str, ...] = FAULTS
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Callable[[Mapping[str, str]], Any]] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    ranges: bool = True
    seen: list[Seen] = field(default_factory=list)
    hold: str = ""
    retry_after: str = "0"

    def __post_init__(self) -> None:
        self.held, self.go_on, self.closing = threading.Event(), threading.Event(), threading.Event()
        self._draw, self._faults_in_row = random.Random(self.seed), Counter[str]()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"archive": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> LoopbackArchive:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def fault(self, path: str) -> str:
        with self._lock:
            if self._faults_in_row[path] < 2 and self._draw.random() < self.share:
                self._faults_in_row[path] += 1
                return self._draw.choice(self.only)
            self._faults_in_row[path] = 0
            return ""

    def loads(self, path: str) -> list[Seen]:
        """The requests for a file itself."""
        return [each for each in self.seen if each.method == "GET" and each.path == path]

    def whole(self) -> Counter[str]:
        """How often each file was sent to its end, without a fault."""
        return Counter(each.path for each in self.seen if each.method == "GET" and each.whole and not each.fault)

    # -- the archives' own layouts ---------------------------------------------------------------------------------------

    def list_folders(self, base: str) -> None:
        """Answer for the folders below ``base`` with lists of their files, as Apache writes them."""
        names: dict[str, list[str]] = {}
        for path in self.files:
            if path.startswith(base):
                folder, _, name = path.rpartition("/")
                names.setdefault(f"{folder}/", []).append(name)
        for folder, inside in names.items():
            rows = "".join(f'<tr><td><a href="{n}">{n}</a></td><td>2012-03-01 00:20</td></tr>' for n in sorted(inside))
            page = f"<!DOCTYPE HTML><html><head><title>Index of {folder}</title></head><table>{rows}</table></html>"
            self.answers[folder] = lambda query, page=page: page.encode()
            self.forms[folder] = "text/html"

    def jsoc(self, records: Mapping[str, Mapping[str, bytes]], keywords: Mapping[str, Mapping[str, str]]) -> Exports:
        """Answer as JSOC for ``records``: name -> segment -> file. ``keywords`` are those of each record."""
        exports = Exports(self, records)
        self.answers["/jsoc/cgi-bin/ajax/jsoc_info"] = lambda query: _record_list(query, records, keywords)
        self.answers["/jsoc/cgi-bin/ajax/jsoc_fetch"] = exports.answer
        for number, segments in enumerate(records.values()):
            for segment, data in segments.items():
                self.files[f"/jsoc{stored(number, segment)}"] = data
        return exports

    def helioviewer(self, images: Mapping[datetime, bytes], source: int) -> None:
        """Answer as Helioviewer for the images of one source."""
        times = sorted(images)

        def closest(query: Mapping[str, str]) -> Any:
            assert query["sourceId"] == str(source)
            asked = datetime.fromisoformat(query["date"])
            near = min(times, key=lambda time: abs(time - asked))
            return {
                "id": str(7000 + times.index(near)),
                "date": f"{near:%Y-%m-%d %H:%M:%S}",
                "name": "HMI Mag",
                "width": 64,
            }

        self.answers["/hv/getClosestImage/"] = closest
        self.answers["/hv/getJP2Image/"] = lambda query: images[times[int(query["id"]) - 7000]]
        self.forms["/hv/getJP2Image/"] = "image/jp2"


def stored(number: int, segment: str) -> str:
    """Where JSOC stores a record's segment: a path of its storage units."""
    return f"/SUM{number % 90}/D{800000000 + number}/S00000/{segment}.fits"


def _record_list(
    query: Mapping[str, str], records: Mapping[str, Any], keywords: Mapping[str, Mapping[str, str]]
) -> Any:
    """``jsoc_info?op=rs_list``, as drms' tests of `query` and `rs_list` read it."""
    assert query["op"] == "rs_list"
    series = query["ds"].partition("[")[0]
    chosen = [
        (n, name) for n, name in enumerate(records) if name.startswith(f"{series}[") and _inside(name, query["ds"])
    ]
    answer: dict[str, Any] = {"status": 0, "count": len(chosen), "runtime": 0.01}
    names = query.get("key", "").split(",")
    names = [*next(iter(keywords.values()))] if names == ["**ALL**"] else names
    answer["keywords"] = [{"name": key, "values": [keywords[name][key] for _, name in chosen]} for key in names]
    answer["segments"] = [
        {"name": segment, "values": [stored(n, segment) for n, _ in chosen], "dims": ["256x256"] * len(chosen)}
        for segment in filter(None, query.get("seg", "").split(","))
    ]
    answer["recinfo"] = [{"name": name, "online": "Y"} for _, name in chosen]
    return answer


def _inside(record: str, asked: str) -> bool:
    """Whether a record's time lies in a span such as ``[2012.03.01_00:00:00_TAI/3d@48h]``, and its other keys agree."""
    span = re.search(r"\[([\dT.:_-]+?)(?:_TAI|Z)?/(\d+)d@(\d+)([hm])\]", asked)
    assert span, asked
    start = datetime.strptime(re.sub(r"[-T]", lambda m: "." if m[0] == "-" else "_", span[1]), "%Y.%m.%d_%H:%M:%S")
    time = re.search(r"\d{4}\D\d\d\D\d\d\D\d\d:\d\d", record)  # AIA's records lie some seconds after their slots
    assert time, record
    since = datetime.strptime(re.sub(r"\D", "", time[0]), "%Y%m%d%H%M") - start
    step = timedelta(hours=int(span[3])) if span[4] == "h" else timedelta(minutes=int(span[3]))
    harp = re.search(r"\[(\d+)\]\[", asked)
    return (
        timedelta() <= since < timedelta(days=int(span[2]))
        and not since % step
        and (not harp or f"[{harp[1]}]" in record)
    )


@dataclass
class Exports:
    """JSOC's exports: a request is accepted, pending for ``pending`` questions, then done. E-mails are only counted."""

    archive: LoopbackArchive
    records: Mapping[str, Mapping[str, bytes]]
    pending: int = 1
    requests: list[dict[str, str]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    def answer(self, query: Mapping[str, str]) -> Any:
        if query["op"] == "exp_request":
            if "@" not in query.get("notify", ""):
                return {"status": 4, "error": "User email is not registered"}
            self.requests.append(dict(query))
            return {
                "status": 2,
                "requestid": f"JSOC_20261128_{len(self.requests):06d}",
                "method": "url",
                "protocol": "fits",
            }
        number = query["requestid"]
        at = int(number.rpartition("_")[2]) - 1
        if at >= len(self.requests):
            return {"status": 6, "requestid": number}
        self.asked[number] += 1
        if self.asked[number] <= self.pending:
            return {"status": 1, "requestid": number, "method": "url", "protocol": "fits"}
        folder, data = f"/SUM1/D{at}/S00000", []
        series, _, segment = self.requests[at]["ds"].partition("{")
        for record, segments in self.records.items():
            if record.startswith(series.partition("[")[0] + "[") and _inside(record, series):
                for name in segment.rstrip("}").split(","):
                    file = f"{re.sub(r'[][:.]+', '_', record.lower())}.{name}{'_lev1' * ('aia' in record)}.fits"
                    self.archive.files[f"/jsoc{folder}/{file}"] = segments[name]
                    data.append({"record": record, "filename": file})
        return {"status": 0, "requestid": number, "method": "url", "protocol": "fits", "dir": folder, "data": data}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed, and hang up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    archive: LoopbackArchive
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve(head=False)

    def do_HEAD(self) -> None:
        self._serve(head=True)

    def _serve(self, *, head: bool) -> None:
        url = urlsplit(self.path)
        path, query = url.path.removeprefix("/moved"), {key: of[0] for key, of in parse_qs(url.query).items()}
        elsewhere = url.path.startswith(("/moved", "/circle"))
        fault = "" if elsewhere else self.archive.fault(f"{self.command} {path}?{url.query}")
        told = self.headers.get("Range", "")
        self.seen = Seen(self.command, path, url.query, self.headers.get("User-Agent", ""), told, fault)
        self.archive.seen.append(self.seen)
        self._answer(path, url.query, query, fault, head=head)

    def _answer(self, path: str, raw: str, query: Mapping[str, str], fault: str, *, head: bool) -> None:
        """Answer with a fault, or the file."""
        if fault in ("500", "503", "429"):
            self._send(int(fault), b"busy", head=head, **{"Retry-After": self.archive.retry_after})
            return
        if fault == "web page":
            self._send(200, WEB_PAGE, head=head, **{"Content-Type": "text/html; charset=utf-8"})
            return
        if fault == "drop":
            self.close_connection = True
            return
        if fault in ("redirect", "circle") or path == "/circle":
            where = f"/moved{path}" if fault == "redirect" else "/circle"
            self._send(302, b"", head=head, Location=f"{where}?{raw}" if raw else where)
            return
        data = self.archive.files.get(path)
        if data is None and path in self.archive.answers:
            found = self.archive.answers[path](query)
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
        if data is None:
            self._send(404, b"no such file", head=head)
        else:
            self._file(path, data, fault, head=head)

    def _file(self, path: str, data: bytes, fault: str, *, head: bool) -> None:
        tag, first, status = f'"{hashlib.sha256(data).hexdigest()[:16]}"', 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        headers = {"ETag": tag, **self.archive.headers.get(path, {})}
        if self.archive.ranges:
            headers["Accept-Ranges"] = "bytes"
            if asked and self.headers.get("If-Range", tag) == tag:
                first, status = int(asked[1]), 206
                if first >= len(data):
                    self._send(416, b"", head=head, **{"Content-Range": f"bytes */{len(data)}"})
                    return
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        headers.setdefault("Content-Type", self.archive.forms.get(path, "application/octet-stream"))
        body = data[first:]
        if fault == "garbled" and not head:
            body = bytes(b ^ 0x5A for b in body)
        held = path == self.archive.hold and not head and not self.archive.go_on.is_set()
        if head or not (fault in ("truncate", "stall") or held):
            self._send(status, body, head=head, **headers)
            return
        self._send(status, body, head=True, **headers)
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if held:
            self.archive.held.set()
            self.archive.go_on.wait(60)
        elif fault == "stall":
            self.archive.closing.wait(10)
        self.close_connection = True

    def _send(self, status: int, body: bytes, *, head: bool, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if head:
            return
        self.seen.whole = status in (200, 206)
        try:
            self.wfile.write(body)
        except OSError:
            self.seen.whole = False
            raise
