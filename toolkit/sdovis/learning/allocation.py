"""Memory of tensors on a CPU, kept for the next ones.

glibc gives a large block back to the kernel as soon as it is free, and asks for the next one anew; the kernel then clears
it, page by page. A network's activations are such blocks: that was a sixth of the time in which DINOv2-small looked at a
batch of 32 images of 224 px. Allocators made for this, such as jemalloc, would have to be there before Python starts.
"""

from __future__ import annotations

import ctypes
import platform

#: Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """From now on, have this process keep what it frees. Where the C library is not glibc, nothing changes.

    The process never holds more than its peak, but it holds that to its end.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
