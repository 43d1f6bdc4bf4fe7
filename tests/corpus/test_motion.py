"""Positions that do not move as the Sun turns have another sign, axis or system."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from sdovis.corpus.motion import fault


def _rows(change: Callable[[float, float], tuple[float, float]], regions: int = 4, days: int = 5) -> pd.DataFrame:
    """Rows of some regions, one a day, that turn by 13.2 degrees a day; ``change`` says how their positions are written."""
    rows = []
    for region in range(regions):
        for day in range(days):
            north, west = change(10.0 + region, -40.0 + 2 * region + 13.2 * day)
            time = pd.Timestamp("2011-02-15", tz="UTC") + pd.Timedelta(days=7 * region + day)
            rows.append((11158 + region, time, north, west))
    return pd.DataFrame(rows, columns=["noaa_ar", "observed", "latitude_deg", "longitude_deg"])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda north, west: (north, -west), "the Sun seems to turn backwards"),
        (lambda north, west: (west, north), "latitude and longitude seem to be swapped"),
        (lambda north, west: (-west, north), "latitude and longitude seem to be swapped"),
        (lambda north, west: (north, 35.0), "the Sun seems to stand still"),
    ],
)
def test_positions_that_do_not_turn_with_the_sun_are_refused(change, what):
    problem = fault(_rows(change))
    assert problem and what in problem.what and problem.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda north, west: (north, west),
        lambda north, west: (-north, west),
        lambda north, west: (north, 13.2 * round(west / 13.2)),  # in whole steps
        lambda north, west: (float("nan"), float("nan")),
    ],
)
def test_positions_that_turn_are_kept(change):
    assert fault(_rows(change)) is None


def test_few_regions_and_short_passages_tell_nothing():
    def backwards(north: float, west: float) -> tuple[float, float]:
        return north, -west

    assert fault(_rows(backwards, regions=2)) is None
    assert fault(_rows(backwards, days=1)) is None


def test_one_region_with_a_slip_does_not_spoil_the_others():
    rows = _rows(lambda north, west: (north, west))
    rows.loc[rows["noaa_ar"] == 11158, "longitude_deg"] *= -1
    assert fault(rows) is None


def test_rows_without_positions_or_times_tell_nothing():
    nothing = [None, None]
    assert (
        fault(
            pd.DataFrame({"noaa_ar": nothing, "observed": nothing, "latitude_deg": nothing, "longitude_deg": nothing})
        )
        is None
    )
