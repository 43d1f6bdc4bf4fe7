"""What a training costs, seen from outside: the process is started, watched to its end, and its steps are timed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Steps before the first that counts.
WARM = 2
EVERY_S = 0.02
#: Several contestants take turns of this length.
TURN_S = 2.0


@dataclass(frozen=True)
class Contestant:
    """A command, the file to which it appends a line when a step is over, and the folders that it fills.

    Lines that do not begin with a digit are headings.
    """

    command: Sequence[str]
    stamps: Path
    fills: Sequence[Path]
    python_path: Sequence[Path] = ()
    environment: Sequence[tuple[str, str | None]] = ()  #: set, or with None taken out
    place: Path | None = None  #: where it runs, if not where all do


@dataclass(frozen=True)
class Measured:
    """What a process cost, from its start. nan where it made too few steps to tell.

    ``images_per_second`` counts from the end of step `WARM` to the end of the last; ``peak_mib`` is the largest sum of
    the resident sets of the process and its children; ``written_mib`` is what the kernel counts as written to disks.
    """

    images_per_second: float
    first_step_s: float
    seconds: float
    peak_mib: float
    written_mib: float


def measured(contestants: Sequence[Contestant], folder: Path, *, images_per_step: int) -> list[Measured]:
    """Run them in ``folder`` to their ends, in turns, with nothing cached by an earlier run.

    Each runs alone until it is warm, and is halted then; afterwards each goes on for `TURN_S` at a time. So what else
    the machine does meanwhile, which changes from second to second, slows all of them alike. Its halts are no part of
    a process's times. SystemExit with the last lines of one that fails.
    """
    running: list[_Running] = []
    try:
        for number, of in enumerate(contestants):
            running.append(_Running(of, folder, folder / f"home-{number}"))
            running[-1].turn(steps=WARM)
        while going := [each for each in running if each.usage is None]:
            for each in going:
                each.turn(seconds=TURN_S if len(going) > 1 else float("inf"))
    finally:
        for each in running:
            each.process.kill()
    return [each.measured(images_per_step) for each in running]


def first_step(of: Contestant, folder: Path) -> tuple[float, float]:
    """Seconds from the start of a process to the end of its first step, with nothing cached: on the clock, and of the cores.

    Then the process is ended.
    """
    running = _Running(of, folder, folder / "home")
    try:
        running.turn(steps=1)
        used = running.tree.cpu_times() if running.usage is None else None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
    if used is None or not running.ends:
        raise SystemExit(f"it ended by itself: {' '.join(of.command)}")
    return running.ends[min(running.ends)], used.user + used.system + used.children_user + used.children_system


#: A busy process, as another's program beside one's own: threads that compute without waiting for each other.
NEIGHBOUR = """
import hashlib, sys, threading
block = bytes(2**20)
def work():
    while True:
        hashlib.sha256(block)
for _ in range(int(sys.argv[1])):
    threading.Thread(target=work).start()
"""


@contextlib.contextmanager
def neighbour(threads: int) -> Iterator[subprocess.Popen[bytes]]:
    """With one busy process of so many threads beside what runs meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(threads)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def alone_and_beside(
    contestants: Sequence[Contestant], folder: Path, *, rounds: int, seconds: float, threads: int
) -> Iterator[tuple[int, int, bool, float]]:
    """Steps a second in turns of ``seconds``: the round, the contestant's number, whether a `neighbour` was at work, the rate.

    Each is started once and warmed alone; their commands must not end by themselves.
    """
    running: list[_Running] = []
    with neighbour(threads) as beside:
        beside.send_signal(signal.SIGSTOP)
        try:
            for number, of in enumerate(contestants):
                running.append(_Running(of, folder, folder / f"home-{number}"))
                running[-1].turn(steps=WARM)
            for turn in range(rounds):
                for busy in (False, True):
                    beside.send_signal(signal.SIGCONT if busy else signal.SIGSTOP)
                    for number, each in enumerate(running):
                        begun = each.before
                        each.turn(seconds=seconds)
                        yield turn, number, busy, rate_within(each.ends, begun, each.before)
        finally:
            for each in running:
                os.killpg(each.process.pid, signal.SIGKILL)
                each.process.wait()


def rate_within(ends: Mapping[int, float], begun: float, ended: float) -> float:
    """Steps a second between two times, from when each ended: between the first and the last of them, if there are two."""
    inside = {step: end for step, end in ends.items() if begun < end <= ended}
    if len(inside) < 2:
        return len(inside) / (ended - begun)
    return (max(inside) - min(inside)) / (inside[max(inside)] - inside[min(inside)])


class _Running:
    """A process that runs only when it is its turn. Times are seconds of its turns, since its start."""

    def __init__(self, of: Contestant, folder: Path, home: Path) -> None:
        import psutil  # type: ignore[import-untyped]

        for path in (home, *of.fills):
            shutil.rmtree(path, ignore_errors=True)
            path.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir()
        places = [*map(str, of.python_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(places)}
        self.of, self.log = of, home / "log.txt"
        self.ends: dict[int, float] = {}
        self.peak, self.before, self.since = 0, 0.0, time.time()
        self.usage: Any = None
        for name, value in of.environment:
            environment.pop(name, None)
            if value is not None:
                environment[name] = value
        with self.log.open("wb") as log:
            # A group of its own, so that what it starts is halted with it.
            self.process = subprocess.Popen(
                of.command,
                cwd=of.place or folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self.tree = psutil.Process(self.process.pid)
        os.killpg(self.process.pid, signal.SIGSTOP)

    def turn(self, *, seconds: float = float("inf"), steps: float = float("inf")) -> None:
        """Let it run so long, or until it has made so many steps, or to its end."""
        self.since = time.time()
        os.killpg(self.process.pid, signal.SIGCONT)
        looks = 0
        while self.usage is None and time.time() - self.since < seconds and max(self.ends, default=0) < steps:
            time.sleep(EVERY_S)
            if looks % 10 == 0:
                self.peak = max(self.peak, _resident(self.tree))
            looks += 1
            # Unlike the usual ways of waiting, it also tells what the process had used.
            ended, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            self._note()
            if ended:
                self.usage, self.process.returncode = usage, os.waitstatus_to_exitcode(status)
        if self.usage is None:
            os.killpg(self.process.pid, signal.SIGSTOP)
            self._note()
        self.before += time.time() - self.since
        if self.process.returncode:
            last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
            raise SystemExit("\n".join([*last, f"failed: {' '.join(self.of.command)}"]))

    def measured(self, images_per_step: int) -> Measured:
        return Measured(
            images_per_second=rate(self.ends) * images_per_step,
            first_step_s=self.ends[min(self.ends)] if self.ends else float("nan"),
            seconds=self.before,
            peak_mib=max(self.peak / 2**20, self.usage.ru_maxrss / 2**10),
            written_mib=self.usage.ru_oublock * 512 / 2**20,
        )

    def _note(self) -> None:
        """Note when the newest step ended: the file's own time, which nobody has to be woken for."""
        try:
            before = self.of.stamps.stat().st_mtime_ns
            lines = self.of.stamps.read_bytes().split(b"\n")[:-1]
            if self.of.stamps.stat().st_mtime_ns != before:
                return  # written to meanwhile: whose time it is will be clear at the next look
        except FileNotFoundError:
            return
        if count := sum(line[:1].isdigit() for line in lines):
            self.ends.setdefault(count, self.before + before / 1e9 - self.since)


def rate(ends: dict[int, float]) -> float:
    """Steps a second, from when each ended: those after `WARM` alone."""
    counted = [step for step in sorted(ends) if step >= WARM]
    if len(counted) < 2:
        return float("nan")
    first, last = counted[0], counted[-1]
    return (last - first) / (ends[last] - ends[first])


def _resident(tree: Any) -> int:
    """Bytes; 0 where a process ended meanwhile."""
    import psutil

    try:
        return sum(each.memory_info().rss for each in (tree, *tree.children(recursive=True)))
    except psutil.Error:
        return 0
