from __future__ import annotations

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


def faults(before: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", FAULTS.format(before=before)], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told anything")
def test_tensors_are_made_of_the_memory_of_those_before_them() -> None:
    kept = faults("from sdovis.learning import allocation; allocation.keep_freed_memory()")
    assert faults("") > 10 * kept
