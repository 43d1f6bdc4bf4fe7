from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

#: Page faults while 20 tensors of 64 MiB are made and freed, one after another, after as many that do not count.
FAULTS = """
import resource, torch
{before}
for number in range(40):
    if number == 20:
        begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun)
"""


def said(code: str, before: str) -> int:
    command = [sys.executable, "-c", code.format(before=before)]
    # Dask sets one of these in the process that starts its workers.
    untold = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return int(subprocess.run(command, env=untold, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told anything")
def test_tensors_are_made_of_the_memory_of_those_before_them() -> None:
    kept = said(FAULTS, "from sdovis import allocation; allocation.keep_freed()")
    assert said(FAULTS, "") > 10 * kept


#: What stays resident, bytes, of 200 blocks of 2 MiB that lay between small ones which are still there.
LEFT = """
import psutil, numpy as np
{before}
np.ones(2**22, np.uint8)[:0]
begun = psutil.Process().memory_info().rss
blocks, between = [], []
for _ in range(200):
    blocks.append(np.ones(2**21, np.uint8))
    between.append(np.ones(2**12, np.uint8))
del blocks
print(psutil.Process().memory_info().rss - begun)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told anything")
def test_freed_columns_are_given_back_though_small_things_lie_between_them() -> None:
    kept, returned = (said(LEFT, of) for of in ("", "from sdovis import allocation; allocation.return_freed()"))
    assert kept > 200 * 2**21 * 0.9 and returned < 20 * 2**21


def test_cycles_are_not_looked_for_until_all_is_imported_and_always_afterwards() -> None:
    program = """
import gc
from sdovis import allocation
seen = []
try:
    with allocation.uncollected():
        seen.append(gc.isenabled())
        allocation.imported()
        seen += [gc.isenabled(), gc.get_freeze_count() > 0]
        gc.disable()
        raise KeyError
except KeyError:
    print(seen, gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[False, True, True] True"
