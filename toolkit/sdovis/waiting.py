"""How threads wait for each other. Only for GNU OpenMP, which torch brings along on Linux; elsewhere nothing is changed.

A network's layers are shared among threads, and one that is done waits for the others: for a while in a loop, which takes
its core from everybody else, and then asleep. On a machine that does nothing else the loop is best, as the next layer comes at
once. Beside another busy process the others are not running while this one turns, and a step takes five times as long.
So the loop is bounded: long enough for what comes at once, short against the time slice of a process.
"""

from __future__ import annotations

import os

#: Turns of libgomp's loop (a `pause` of the processor each) before a thread sleeps. Chosen with `benchmarks/train.py busy`.
SPINS = 10_000
#: What libgomp does by itself where cores suffice: its manual, GOMP_SPINCOUNT.
DEFAULT_SPINS = 300_000


def bounded() -> None:
    """To be called before torch is imported. What the user's environment says of it is left as it is."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
