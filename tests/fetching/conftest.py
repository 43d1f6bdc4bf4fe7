"""A simulated Sun for the archives, and an impatient courier: pauses and silences are short."""

from __future__ import annotations

from pathlib import Path

import pytest
from fetching.simulated_sun import DISCS
from sdovis import patience
from sdovis.fetching import session
from sdovis.simulation.days import simulate_discs


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sun") / "discs"
    return simulate_discs(folder, discs=DISCS, size_px=256, workers=1, progress=False).parent


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES", (0.01, 0.01, 0.02, 0.02))
    monkeypatch.setattr(patience, "SILENCE", 0.6)
    monkeypatch.setattr(session, "REQUESTS_PER_SECOND", 1000.0)
