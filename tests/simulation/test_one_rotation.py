"""Simulated regions turn with the Sun of `sdovis.sun.rotation`: over a whole rotation, and one latitude past another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sdovis.simulation.days import _Life
from sdovis.simulation.passages import _passages
from sdovis.simulation.region import design, evolve
from sdovis.sun.rotation import shear, westward_deg

ROTATION_DAYS = 27.2753
START = datetime(2012, 3, 1, tzinfo=UTC)  # of the simulated full discs


def _apart(a: float, b: float) -> float:
    """Degrees of longitude between two meridians."""
    return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("latitude", [-34.0, -17.0, 3.0, 25.0])
def test_a_region_of_full_discs_comes_back_where_the_law_of_rotation_says(latitude: float) -> None:
    region = design(np.random.default_rng(0), "Beta", latitude)
    life = _Life("Beta", 40.0, -75.0, (region,) * 30)
    there = life.on(40.0 + ROTATION_DAYS)
    born = START + timedelta(days=40)
    expected = -75.0 + float(westward_deg(latitude, born, born + timedelta(days=ROTATION_DAYS)))
    assert there is not None
    assert _apart(there.longitude_deg, expected) < 0.1


def test_regions_of_passages_keep_to_the_law_of_rotation_to_a_tenth_of_a_degree_a_rotation() -> None:
    for passage in _passages(regions=40, seed=0, days=(3, 6), size_px=96):
        first, last = (datetime.fromisoformat(passage.utc[k]).replace(tzinfo=UTC) for k in (0, -1))
        moved = float(passage.longitude_deg[-1] - passage.longitude_deg[0])
        rotations = (last - first) / timedelta(days=ROTATION_DAYS)
        off = moved - float(westward_deg(passage.latitude_deg, first, last))
        assert abs(off) / rotations < 0.1


def test_a_region_is_sheared_as_its_latitudes_rotate() -> None:
    rng = np.random.default_rng(4)
    slopes, weights = [], []
    for _ in range(60):
        first, second = evolve(design(rng, "Beta", 30.0), rng, 2)
        # Beside the shear, a region spreads along x by a share of its own.
        (slope, _), *_ = np.linalg.lstsq(first.plage[:, 1::-1], second.plage[:, 0] - first.plage[:, 0], rcond=None)
        slopes.append(slope)
        weights.append(np.square(first.plage[:, 1]).sum())
    expected = shear(30.0) * np.cos(np.radians(30.0))
    assert np.average(slopes, weights=weights) == pytest.approx(expected, abs=0.0015)
