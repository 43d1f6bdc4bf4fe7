"""What becomes of the memory that this process frees. Where the C library is not glibc, nothing is changed.

glibc gives the largest blocks back to the kernel as soon as they are free, and asks for the next ones anew; the kernel
then clears those, page by page. A network's activations are such blocks: that was a sixth of the time in which
DINOv2-small looked at a batch of 32 images of 224 px. Blocks a little smaller are kept, and lie scattered among what is
in use: that was a sixth of the memory in which a corpus of 24,000 rows was made. What is best for the one is worst for
the other. Allocators made for either, such as jemalloc, would have to be there before Python starts.
"""

from __future__ import annotations

import ctypes
import os
import platform

#: Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
#: Blocks from this size on are a table's columns, and not what a loop makes and frees.
TABLE_BYTES = 2**20


def keep_freed() -> None:
    """For networks on a CPU: keep what is freed. The process never holds more than its peak, but that to its end."""
    _mallopt(M_MMAP_MAX, 0)
    _mallopt(M_TRIM_THRESHOLD, -1)


def return_freed() -> None:
    """For large tables: give freed columns back to the kernel. Arrow's too, if it is not imported yet."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _mallopt(M_MMAP_THRESHOLD, TABLE_BYTES)


def _mallopt(parameter: int, value: int) -> None:
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(parameter, value)
