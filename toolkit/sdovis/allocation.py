"""What happens to the memory that this process frees. If the C library is not glibc, nothing is changed.

glibc returns the largest blocks to the kernel as soon as they are free and requests new ones for the next use, which
the kernel then clears page by page. A network's activations are such blocks: this took a sixth of the time in which
DINOv2-small processed a batch of 32 images of 224 px. Slightly smaller blocks are kept and stay scattered among those
in use: this took a sixth of the memory in which a corpus of 24,000 rows was made. What is best for one case is worst
for the other. Allocators designed for either, such as jemalloc, would have to be loaded before Python starts.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

#: Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
#: Blocks of at least this size are a table's columns, not what a loop allocates and frees.
TABLE_BYTES = 2**20


def keep_freed() -> None:
    """For networks on a CPU: keep freed memory. The process never holds more than its peak, but holds that until it ends."""
    _mallopt(M_MMAP_MAX, 0)
    _mallopt(M_TRIM_THRESHOLD, -1)


def return_freed() -> None:
    """For large tables: return freed columns to the kernel, including Arrow's if it is not imported yet."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _mallopt(M_MMAP_THRESHOLD, TABLE_BYTES)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's search for cycles, to the end or until `imported`.

    Imports make a million objects and next to no garbage: looking for it again and again takes a fifth of their time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def imported() -> None:
    """What was imported stays, and need not be looked at again: the Trainer asks for a collection when it begins."""
    if not gc.get_freeze_count():
        gc.freeze()
    gc.enable()


def _mallopt(parameter: int, value: int) -> None:
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(parameter, value)
