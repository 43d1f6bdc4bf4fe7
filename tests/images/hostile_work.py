"""Work for children: what they are to do is told by the task. Children import this module."""

from __future__ import annotations

import ctypes
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from sdovis.errors import UnreadableImage


def obey(task: Any) -> Any:
    if task == "crash":
        ctypes.string_at(0)
    if task == "hang":
        time.sleep(1000)
    if task == "spin":
        while True:
            pass
    if task == "eat":
        return len(bytearray(2**30))
    if task == "leave":
        os._exit(3)
    if task == "be killed":
        os.kill(os.getpid(), 9)
    if task == "bad":
        raise ValueError("a bad task")
    if task == "unpicklable":
        return lambda: 0
    return task


def slow_first(task: int) -> int:
    time.sleep(0.3 if task == 0 else 0)
    return task


def my_pid(_: int) -> int:
    return os.getpid()


def pid_or_hang(task: int) -> int:
    time.sleep(1000 if task else 0)
    return os.getpid()


def limits(_: int) -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_AS)[0], int(Path("/proc/self/statm").read_text().split()[0]) * 4096


def ones(side: int) -> np.ndarray:
    return np.ones((side, side), np.float32)


def announce_and_hang(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(1000)


def where(_: int) -> str:
    return str(Path.cwd())


def read_and_weigh(path: Path) -> tuple[str, float, int]:
    """Why a file cannot be read (or ''), the seconds it took, and the most memory this process held."""
    from sdovis.images.images import read_image

    start, why = time.monotonic(), ""
    try:
        read_image(path)
    except UnreadableImage as error:
        why = error.why
    return why, time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def obey_array(array: np.ndarray) -> np.ndarray:
    return array
