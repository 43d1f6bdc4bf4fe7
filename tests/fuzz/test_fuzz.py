"""Hostile files and payloads by the thousand: one clear line or a right value, no traceback, within 10 s and 1 GB.

60 seconds in all unless ``SDOVIS_FUZZ_SECONDS`` says otherwise (``make fuzz``: 30 minutes), from the seed
``SDOVIS_FUZZ_SEED``. A failure shows the input, shrunk as far as it goes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from functools import partial

import pytest
from fuzz.targets import FOLDER, TARGETS, outcome
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sdovis.images import isolation
from sdovis.images.isolation import Death

SECONDS = float(os.environ.get("SDOVIS_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("SDOVIS_FUZZ_SEED", "16"))
#: What one input may cost.
MOST_SECONDS, MOST_BYTES = 10.0, 10**9
BATCH = 50
IMPORTS = ("fuzz.targets", "astropy.io.fits", "openpyxl")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in_one_clear_line_or_a_right_value_comes_out(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    tried, slowest, end = 0, 0.0, time.monotonic() + SECONDS / len(TARGETS)

    def attempt(batch: list[object]) -> None:
        nonlocal tried, slowest
        work = partial(outcome, name)
        limits = {"seconds": MOST_SECONDS, "memory_bytes": MOST_BYTES, "workers": 1, "imports": IMPORTS}
        for sent, found in zip(batch, isolation.imap(work, batch, **limits), strict=True):
            assert not isinstance(found, Death), f"{found.why}: {sent!r}"
            wrong, seconds = found
            tried, slowest = tried + 1, max(slowest, seconds)
            assert not wrong, f"{wrong}\n{sent!r}"

    number = 0
    while time.monotonic() < end or not tried:
        drawn = given(st.lists(TARGETS[name].drawn, min_size=BATCH, max_size=BATCH))
        run = settings(
            max_examples=2,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(drawn(attempt))
        seed(SEED * 10**6 + number)(run)()
        number += 1
    with capfd.disabled():
        print(f"\n  fuzz {name}: {tried} inputs from seed {SEED}, 0 tracebacks, the slowest took {slowest:.1f} s")
