"""What a training costs, seen from outside: the process is started, watched to its end, and its steps are timed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Steps before the first that counts.
WARM = 2
EVERY_S = 0.02


@dataclass(frozen=True)
class Contestant:
    """A command, the file to which it appends a line when a step is over, and the folders that it fills.

    Lines that do not begin with a digit are headings.
    """

    command: Sequence[str]
    stamps: Path
    fills: Sequence[Path]
    python_path: Sequence[Path] = ()


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


def measured(of: Contestant, folder: Path, *, images_per_step: int) -> Measured:
    """Run it in ``folder`` to its end, with nothing cached by an earlier run. SystemExit with its last lines if it fails."""
    import psutil  # type: ignore[import-untyped]

    home = folder / "home"
    for path in (home, *of.fills):
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir()
    places = [*map(str, of.python_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(places)}
    ends: dict[int, float] = {}
    peak, looks, ended = 0, 0, 0
    with (home / "log.txt").open("wb") as log:
        begun = time.time()
        process = subprocess.Popen(of.command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        tree = psutil.Process(process.pid)
        try:
            while not ended:
                time.sleep(EVERY_S)
                # Unlike the usual ways of waiting, it also tells what the process had used.
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                seconds = time.time() - begun
                _note(of.stamps, ends)
                if not ended and looks % 10 == 0:
                    peak = max(peak, _resident(tree))
                looks += 1
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
    if process.returncode:
        last = (home / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        raise SystemExit("\n".join([*last, f"failed: {' '.join(of.command)}"]))
    return Measured(
        images_per_second=rate(ends) * images_per_step,
        first_step_s=ends[min(ends)] - begun if ends else float("nan"),
        seconds=seconds,
        peak_mib=max(peak / 2**20, usage.ru_maxrss / 2**10),
        written_mib=usage.ru_oublock * 512 / 2**20,
    )


def rate(ends: dict[int, float]) -> float:
    """Steps a second, from when each ended: those after `WARM` alone."""
    counted = [step for step in sorted(ends) if step >= WARM]
    if len(counted) < 2:
        return float("nan")
    first, last = counted[0], counted[-1]
    return (last - first) / (ends[last] - ends[first])


def _note(stamps: Path, ends: dict[int, float]) -> None:
    """Note when the newest step ended: the file's own time, which nobody has to be woken for."""
    try:
        before = stamps.stat().st_mtime_ns
        lines = stamps.read_bytes().split(b"\n")[:-1]
        if stamps.stat().st_mtime_ns != before:
            return  # written to meanwhile: whose time it is will be clear at the next look
    except FileNotFoundError:
        return
    if count := sum(line[:1].isdigit() for line in lines):
        ends.setdefault(count, before / 1e9)


def _resident(tree: Any) -> int:
    """Bytes; 0 where a process ended meanwhile."""
    import psutil

    try:
        return sum(each.memory_info().rss for each in (tree, *tree.children(recursive=True)))
    except psutil.Error:
        return 0
