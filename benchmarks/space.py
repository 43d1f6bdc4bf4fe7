"""The page under attack: honest visitors, while others send bombs, half uploads, slow requests and floods.

    python benchmarks/space.py --out space.json                 the scenario at full size, about half an hour
    python benchmarks/space.py --small                          the same with a few of each, about a minute
    python benchmarks/space.py --calm 20x50 100x10              no harm done: so many clients, so many requests of each
    python benchmarks/space.py --model runs/NAME --image FILE   another model than the tests' smallest one

The page runs in a process of its own, as a Space starts it, under strace if that is installed. Every visitor has an
address of its own on the loopback network; with ``--one-address`` all look alike, as behind one proxy.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
BOMB_SIDE_PX = 8192
HALF_BYTES, CLAIMED_BYTES, HALF_PAUSE_S = 5 * 2**20, 60 * 2**20, 30
CALL = "/gradio_api/call/classify"
AS_JSON = {"Content-Type": "application/json"}
ODD = (
    b'{"data": "x"}', b'{"data": [{"path": "/etc/passwd"}]}', b'{"data": [{"path": "http://127.0.0.9:9/x.fits"}, null, null]}',
    b'{"data": [[[["deep"]]], {}, []]}', b'{"data": [null, "NaN", 1e999]}', b'{"data": []}', b"[]", b'{"fn_index": -1}', b"{",
)  # fmt: skip


@dataclass(frozen=True)
class Crowd:
    """How many of each come, and what the honest ones ask for."""

    honest: int = 20
    requests: int = 200
    bombs: int = 10
    halves: int = 50
    slow: int = 20
    flooders: int = 100
    flood_pause_s: float = 5.0


SMALL = Crowd(honest=5, requests=20, bombs=3, halves=8, slow=4, flooders=10)


@dataclass(frozen=True)
class Target:
    """Where the page is and what is sent to it."""

    host: str
    port: int
    image: Path
    bomb: Path
    one_address: bool

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def address(self, kind: int, number: int) -> str:
        return "127.0.0.1" if self.one_address else f"127.1.{kind}.{number + 1}"

    @contextlib.contextmanager
    def visitor(self, kind: int, number: int) -> Iterator[httpx.Client]:
        with httpx.Client(
            base_url=self.url,
            timeout=180,
            transport=httpx.HTTPTransport(local_address=self.address(kind, number)),
        ) as client:
            yield client

    def raw(self, kind: int, number: int) -> socket.socket:
        return socket.create_connection((self.host, self.port), 10, (self.address(kind, number), 0))


# --- visitors ---------------------------------------------------------------------------------------------------------


def uploaded(client: httpx.Client, file: Path) -> dict[str, Any]:
    reply = client.post("/gradio_api/upload", files={"files": (file.name, file.read_bytes())})
    reply.raise_for_status()
    return {"path": reply.json()[0], "meta": {"_type": "gradio.FileData"}}


def asked(client: httpx.Client, data: list[Any]) -> str:
    """The stream's last event: "complete", or what went wrong."""
    reply = client.post(CALL, json={"data": data})
    if reply.status_code != 200:
        return f"status {reply.status_code}: {reply.text[:100]}"
    with client.stream("GET", f"{CALL}/{reply.json()['event_id']}") as stream:
        event = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif event == "error" and line.startswith("data: "):
                return f"error {line.removeprefix('data: ')[:120]}"
            elif event == "complete":
                return event
    return "the stream ended"


def honest(
    target: Target, number: int, requests: int, after: Callable[[], object] = lambda: None
) -> list[tuple[float, str]]:
    """Seconds and outcome of each request, one after the other: an upload and its answer; ``after`` each something is done."""
    outcomes = []
    with target.visitor(1, number) as client:
        for _ in range(requests):
            start = time.monotonic()
            try:
                said = asked(client, [uploaded(client, target.image), None, None])
            except httpx.HTTPError as error:
                said = f"{type(error).__name__}: {error}"
            outcomes.append((time.monotonic() - start, said))
            after()
    return outcomes


def bomber(target: Target, number: int) -> Iterator[str]:
    """Sends the bomb; every other one leaves without waiting for the answer."""
    for turn in itertools.count(number):
        with target.visitor(2, number) as client:
            file = uploaded(client, target.bomb)
            if turn % 2:
                yield asked(client, [file, None, None])
                continue
            event = client.post(CALL, json={"data": [file, None, None]}).json().get("event_id")
            with client.stream("GET", f"{CALL}/{event}"):
                time.sleep(0.2)
            yield "left"


def half_uploader(target: Target, number: int) -> Iterator[str]:
    """Announces a large file and sends a part of it; every other one holds the connection."""
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {CLAIMED_BYTES}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="half.fits"\r\n\r\n'
    )
    while True:
        with target.raw(3, number) as connection:
            connection.sendall(head.encode())
            for _ in range(HALF_BYTES // 2**16):
                connection.sendall(bytes(2**16))
            if number % 2:
                connection.settimeout(120)
                connection.recv(1)
        yield "half"
        time.sleep(HALF_PAUSE_S)


def slow_client(target: Target, number: int) -> Iterator[str]:
    """A request of one byte every half second: its headers, or its body."""
    body = number % 2
    text = b"POST /gradio_api/call/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with_body = text + b"Content-Length: 1000\r\n\r\n"
    while True:
        with target.raw(4, number) as connection:
            if body:
                connection.sendall(with_body)
            for byte in b" " * 900 if body else text + b"X-A: " + b"a" * 900:
                connection.sendall(bytes([byte]))
                time.sleep(0.5)
        yield "slow"


def flooder(target: Target, number: int, pause_s: float) -> Iterator[str]:
    """Asks without listening, sends what makes no sense, or asks again and again, by number."""
    while True:
        with target.visitor(5, number) as client:
            file = uploaded(client, target.image)
            for turn in range(100):
                if number % 3 == 0:
                    yield f"status {client.post(CALL, json={'data': [file, None, None]}).status_code}"
                elif number % 3 == 1:
                    yield f"status {client.post(CALL, content=ODD[turn % len(ODD)], headers=AS_JSON).status_code}"
                else:
                    yield asked(client, [file, None, None])
                time.sleep(random.uniform(0.5, 1.5) * pause_s)


def crowd(target: Target, size: Crowd, seen: Any, over: Any) -> None:
    """All who mean harm, a thread each, until ``over`` is set. Runs in a process of its own."""

    def act(name: str, start: Callable[[], Iterator[str]]) -> None:
        while not over.is_set():
            try:
                for said in start():
                    counts[f"{name}: {said[:60]}"] += 1
                    if over.is_set():
                        return
            except (httpx.HTTPError, OSError) as error:
                counts[f"{name}: {type(error).__name__}"] += 1
                time.sleep(1)

    counts: Counter[str] = Counter()
    kinds: list[tuple[str, int, Callable[..., Iterator[str]], tuple[Any, ...]]] = [
        ("bomb", size.bombs, bomber, ()),
        ("half upload", size.halves, half_uploader, ()),
        ("slow", size.slow, slow_client, ()),
        ("flood", size.flooders, flooder, (size.flood_pause_s,)),
    ]
    for name, count, kind, more in kinds:
        for number in range(count):
            start = (lambda k, n, m: lambda: k(target, n, *m))(kind, number, more)
            threading.Thread(target=act, args=(name, start), daemon=True).start()
    parent = multiprocessing.parent_process()
    while not over.wait(1):
        if parent is None or not parent.is_alive():  # a benchmark that was killed leaves no attackers behind
            return
    time.sleep(1)
    seen.put(dict(counts))


# --- the page ---------------------------------------------------------------------------------------------------------


class Served:
    """The page in a process of its own, and what is measured of it while it runs."""

    def __init__(self, folder: Path, model: str, *, traced: bool) -> None:
        self.cache, self.log, self.trace = folder / "cache", folder / "log.txt", folder / "connects.txt"
        shutil.copy(ROOT / "space" / "app.py", folder / "app.py")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.strace = shutil.which("strace") if traced else None
        watch = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect", "-o", str(self.trace)]
        settings = {
            "SDOVIS_MODEL": model, "GRADIO_TEMP_DIR": str(self.cache), "HF_HUB_OFFLINE": "1",
            "GRADIO_SERVER_PORT": str(self.port), "GRADIO_SERVER_NAME": "0.0.0.0",
        }  # fmt: skip
        command = [*(watch if self.strace else []), sys.executable, "-u", str(folder / "app.py")]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env=os.environ | settings, cwd=folder
            )
        while "the page is at" not in self.log.read_text():
            if self.process.poll() is not None:
                raise SystemExit(f"the page did not start:\n{self.log.read_text()}")
            time.sleep(0.3)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = int(children.read_text().split()[0]) if self.strace else self.process.pid
        self.peak_disk_bytes, self.outside = 0, set[str]()
        self.over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self.over.wait(0.5):
            sizes = 0
            for file in self.cache.rglob("*"):
                with contextlib.suppress(OSError):
                    sizes += file.stat().st_size if file.is_file() else 0
            self.peak_disk_bytes = max(self.peak_disk_bytes, sizes)
            self.outside |= set(self._connections())

    def _connections(self) -> Iterator[str]:
        """Remote ends of the page's own sockets that are not on this machine, from /proc."""
        with contextlib.suppress(OSError):
            inodes = {str(fd.readlink()) for fd in Path(f"/proc/{self.pid}/fd").iterdir()}
            for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
                _, _, remote, _, *rest = line.split()
                if f"socket:[{rest[5]}]" in inodes and not remote.startswith("00000000") and remote[6:8] != "7F":
                    yield remote

    def rss_bytes(self, what: str = "VmRSS") -> int:
        found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0

    def files(self) -> int:
        return sum(file.is_file() for file in self.cache.rglob("*"))

    def end(self) -> None:
        self.over.set()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)
        self.process.wait(20)
        if self.strace:
            for family, where in re.findall(
                r"sa_family=(AF_INET6?),.*?inet_\w+\((?:AF_INET6, )?\"([^\"]+)\"", self.trace.read_text()
            ):
                if not where.startswith("127.") and where != "::1":
                    self.outside.add(f"{family} {where}")


# --- the scenario -----------------------------------------------------------------------------------------------------


def scenario(size: Crowd, model: str, image: Path, folder: Path, *, one_address: bool, traced: bool) -> dict[str, Any]:
    """Run it. Returns what the honest got, and what it cost."""
    bomb = folder / "bomb.png"
    Image.fromarray(np.zeros((BOMB_SIDE_PX, BOMB_SIDE_PX, 3), np.uint8)).save(bomb)
    page = Served(folder, model, traced=traced)
    target = Target("127.0.0.1", page.port, image, bomb, one_address)
    first = honest(target, 0, 1)[0]
    base = page.rss_bytes()
    context = multiprocessing.get_context("spawn")
    seen, over = context.Queue(), context.Event()
    attackers = context.Process(target=crowd, args=(target, size, seen, over))
    attackers.start()
    time.sleep(3)
    start = time.monotonic()
    with (
        ThreadPoolExecutor(size.honest) as pool,
        tqdm(total=size.honest * size.requests, unit="request", mininterval=5) as bar,
    ):
        parts = pool.map(lambda number: honest(target, number, size.requests, bar.update), range(size.honest))
        outcomes = [outcome for part in parts for outcome in part]
    took = time.monotonic() - start
    over.set()
    acted = seen.get(timeout=60)
    attackers.terminate()
    peak, files = page.rss_bytes("VmHWM"), page.files()
    page.end()
    seconds = np.array([seconds for seconds, said in outcomes if said == "complete"])
    log = page.log.read_text()
    return {
        "crowd": asdict(size),
        "one_address": one_address,
        "first_answer_s": round(first[0], 2),
        "requests": len(outcomes),
        "lost": Counter(said for _, said in outcomes if said != "complete"),
        "median_s": round(float(np.median(seconds)), 2) if seconds.size else None,
        "p95_s": round(float(np.quantile(seconds, 0.95)), 2) if seconds.size else None,
        "slowest_s": round(float(seconds.max()), 2) if seconds.size else None,
        "requests_per_s": round(len(outcomes) / took, 2),
        "main_process_mib": {"at rest": base >> 20, "peak": peak >> 20},
        "disk_mib": {"peak": page.peak_disk_bytes >> 20, "files at the end": files},
        "outside_connections": sorted(page.outside),
        "watched_by": "strace" if page.strace else "/proc/net",
        "tracebacks_in_the_log": log.count("Traceback (most recent call last)"),
        "log_lines": len(log.splitlines()),
        "others": dict(sorted(acted.items())),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "cores": len(os.sched_getaffinity(0)),
    }


#: The words of a page that is too busy; anything else that is no answer is a request lost.
POLITE = re.compile(r"the page is busy|requests of yours are waiting already|status (413|429|503)")
#: The slope of memory is that over so many requests, the last ones.
LAST = 500


def calm(clients: int, requests: int, model: str, image: Path, folder: Path, *, one_address: bool) -> dict[str, Any]:
    """Only honest clients, all at once. Returns what they got, and how the page's memory grew."""
    page = Served(folder, model, traced=False)
    target = Target("127.0.0.1", page.port, image, image, one_address)
    honest(target, 0, 1)
    grown: list[int] = []
    start = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        parts = pool.map(
            lambda number: honest(target, number, requests, lambda: grown.append(page.rss_bytes())), range(clients)
        )
        outcomes = [outcome for part in parts for outcome in part]
    took = time.monotonic() - start
    health = httpx.get(f"{target.url}/health", timeout=30).status_code
    peak = page.rss_bytes("VmHWM")
    page.end()
    seconds = np.array([seconds for seconds, said in outcomes if said == "complete"])
    not_answered = Counter(said for _, said in outcomes if said != "complete")
    refused = sum(count for said, count in not_answered.items() if POLITE.search(said))
    last = np.array(grown[-LAST:]) / 2**20
    slope = float(np.polyfit(np.arange(len(last)), last, 1)[0]) if len(last) > 1 else None
    return {
        "clients": clients,
        "requests": len(outcomes),
        "answered": int(seconds.size),
        "refused_politely": refused,
        "lost": not_answered.total() - refused,
        "words": dict(not_answered),
        "median_s": round(float(np.median(seconds)), 2) if seconds.size else None,
        "p95_s": round(float(np.quantile(seconds, 0.95)), 2) if seconds.size else None,
        "requests_per_s": round(len(outcomes) / took, 2),
        "main_process_peak_mib": peak >> 20,
        "slope_mb_per_request": None if slope is None else round(slope, 4),
        "slope_over": len(last),
        "health_afterwards": health,
        "tracebacks_in_the_log": page.log.read_text().count("Traceback (most recent call last)"),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "cores": len(os.sched_getaffinity(0)),
    }


def _crowds(text: str) -> tuple[int, int]:
    """``20x50``: clients and requests of each."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError("write it as CLIENTSxREQUESTS, such as 20x50")
    return int(found[1]), int(found[2])


def smallest(folder: Path) -> tuple[str, Path]:
    """The model and the image of the tests."""
    sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "webapp")]
    import saved_models
    import solar_uploads

    return str(saved_models.save_model(folder / "model")), solar_uploads.magnetogram(folder)


def main() -> None:
    """Parse the command line, run the scenario, print and write what it gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a run or model folder; with --image")
    parser.add_argument("--image", type=Path, help="what the honest send: a cutout that the model takes")
    parser.add_argument(
        "--calm",
        nargs="+",
        type=_crowds,
        metavar="CLIENTSxREQUESTS",
        help="honest clients only, one scenario after the other",
    )
    parser.add_argument("--small", action="store_true", help="a few of each")
    parser.add_argument("--one-address", action="store_true", help="all visitors come from 127.0.0.1")
    parser.add_argument("--no-strace", action="store_true", help="watch connections in /proc only, which slows nothing")
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    parser.add_argument("--log", type=Path, help="where to keep what the page logged")
    for name, value in asdict(Crowd()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    given = parser.parse_args()
    knobs = asdict(SMALL if given.small else Crowd())
    knobs |= {name: value for name in knobs if (value := getattr(given, name)) is not None}
    with tempfile.TemporaryDirectory(prefix="space-") as scratch:
        model, image = (given.model, given.image) if given.model else smallest(Path(scratch))
        if given.calm:
            _written(_all_calm(given, str(Path(model).resolve()), image.resolve(), Path(scratch)), given.out)
            return
        found = scenario(
            Crowd(**knobs),
            str(Path(model).resolve()),
            image.resolve(),
            Path(scratch),
            one_address=given.one_address,
            traced=not given.no_strace,
        )
        if given.log:
            shutil.copy(Path(scratch) / "log.txt", given.log)
    _written(found, given.out)


def _all_calm(given: argparse.Namespace, model: str, image: Path, scratch: Path) -> list[dict[str, Any]]:
    found = []
    for clients, requests in given.calm:
        folder = scratch / f"{clients}x{requests}"
        folder.mkdir()
        found.append(calm(clients, requests, model, image, folder, one_address=given.one_address))
    return found


def _written(found: Any, out: Path | None) -> None:
    text = json.dumps(found, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
