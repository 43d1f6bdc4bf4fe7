from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sdovis import waiting

#: Seconds of processor time of two threads that share 200 small pieces of work, with 5 ms between them.
TURNS = """
import os, time
{before}
import torch
torch.set_num_threads(2)
numbers = torch.ones(2**17)
for number in range(220):
    if number == 20:
        begun = time.process_time()
    numbers.add_(1.0)
    time.sleep(0.005)
print(time.process_time() - begun)
"""


def seconds(before: str, **environment: str) -> float:
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    }
    command = [sys.executable, "-c", TURNS.format(before=before)]
    return float(subprocess.run(command, env=ours | environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch has GNU OpenMP on Linux only")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one core threads do not turn")
def test_a_thread_that_waits_for_work_lets_others_have_its_core():
    assert seconds("", GOMP_SPINCOUNT=str(waiting.DEFAULT_SPINS)) > 2 * seconds(
        "from sdovis import waiting; waiting.bounded()"
    )


def test_what_the_user_says_of_waiting_is_left_as_it_is(monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    waiting.bounded()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    waiting.bounded()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    waiting.bounded()
    assert os.environ["GOMP_SPINCOUNT"] == str(waiting.SPINS)
