"""Returning regions: a region that the Sun carried round and that got a new number at the east limb.

NOAA does not say which new number is an old region. Here the last position of a region that left in the west is carried
on by differential rotation for the time of its absence; a region first seen in the east, near enough to where the old
one should be after one rotation, is identified with it. Some such links are chance: `by_chance` counts how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem
from sdovis.sun.rotation import synodic_rate

#: How far, in degrees, a returning region may lie from where it is expected. In NOAA's summaries of 2010-2014, matches
#: exceed chance up to 9 degrees on either side in longitude; beyond that, only chance is left.
LONGITUDE_TOLERANCE, LATITUDE_TOLERANCE = 9.0, 3.0
#: Longitudes by which old regions are displaced to count chance links: far from 0 and from each other.
DISPLACEMENTS = tuple(shift for shift in range(-150, 180, 30) if shift)
#: Longer absences are not considered: from limb to limb round the far side takes at most 41 days.
LONGEST_ABSENCE = np.timedelta64(45, "D")
_UNPLACED = Problem(
    "split.link_returning: no row has both a region number and a position",
    "set latitude_deg and longitude_deg, or x_px and y_px, in [source.columns]",
)


@dataclass(frozen=True)
class Link:
    """Region ``later`` is ``earlier`` after a rotation; offsets are observed minus expected position, degrees."""

    earlier: str
    later: str
    days: float
    longitude_off_deg: float
    latitude_off_deg: float


def links(rows: pd.DataFrame) -> tuple[Link, ...]:
    """The returns among the regions of ``rows``, by time; a region returns at most once and is at most one old region.

    Columns: group, observed, latitude_deg, longitude_deg (Stonyhurst), and noaa_ar if known: groups without a number
    are not regions. Raises `BadInput` if no region has a known position.
    """
    regions = _regions(rows)
    found = _nearest(_candidates(regions), 0.0)
    away = regions["first"].iloc[found.later].to_numpy() - regions["last"].iloc[found.earlier].to_numpy()
    names = regions.index.to_numpy()
    order = np.lexsort((names[found.later], regions["first"].iloc[found.later].to_numpy()))
    return tuple(
        Link(
            str(names[found.earlier[k]]),
            str(names[found.later[k]]),
            float(away[k] / np.timedelta64(1, "D")),
            float(found.longitude_off[k]),
            float(found.latitude_off[k]),
        )
        for k in order
    )


def by_chance(rows: pd.DataFrame) -> float:
    """How many links there would be if the longitudes of regions were unrelated.

    The mean number after displacing the old regions by each of `DISPLACEMENTS`; times and latitudes are kept.
    """
    candidates = _candidates(_regions(rows))
    return float(np.mean([len(_nearest(candidates, shift).earlier) for shift in DISPLACEMENTS]))


def linked_groups(groups: Sequence[str], found: Sequence[Link]) -> NDArray[np.object_]:
    """``groups`` with every returning region under the name of its first appearance."""
    earlier = {link.later: link.earlier for link in found}

    def first(name: str) -> str:
        while name in earlier:  # each step goes back in time, so this ends
            name = earlier[name]
        return name

    names = {name: first(name) for name in set(groups)}
    return np.array([names[name] for name in groups], dtype=object)


def _regions(rows: pd.DataFrame) -> pd.DataFrame:
    """For each region, by name: when first and last seen, longitudes then, median latitude, synodic rate."""
    if not {"latitude_deg", "longitude_deg"} <= set(rows.columns):
        raise BadInput(_UNPLACED)
    rows = rows.reset_index(drop=True)
    positions = rows[["latitude_deg", "longitude_deg"]].astype(float)
    known = positions.notna().all(axis=1) & rows["observed"].notna()
    if "noaa_ar" in rows:
        known &= rows["noaa_ar"].notna()
    if not known.any():
        raise BadInput(_UNPLACED)
    # Ties in time are broken by position, so that the order of the rows does not matter.
    seen = (
        rows[["group", "observed"]]
        .join(positions)[known]
        .sort_values(["group", "observed", "longitude_deg", "latitude_deg"], kind="stable")
    )
    by = seen.groupby("group", sort=True)
    utc = seen["observed"].dt.tz_convert("UTC").dt.tz_localize(None).groupby(seen["group"])
    regions = pd.DataFrame(
        {
            "first": utc.first(),
            "last": utc.last(),
            "entered_deg": by["longitude_deg"].first(),
            "left_deg": by["longitude_deg"].last(),
            "latitude_deg": by["latitude_deg"].median(),
        }
    )
    # Rates hold for the middle of the absence, half a rotation later, because the Earth's speed varies.
    away = regions["last"].dt.tz_localize("UTC").dt.floor("s") + pd.Timedelta(days=9)
    rates = [
        synodic_rate(latitude, at.to_pydatetime()) for latitude, at in zip(regions["latitude_deg"], away, strict=True)
    ]
    return regions.assign(rate=np.array(rates, float))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of an old and a new region (indices), and the new one's offset from where the old one should be, degrees."""

    earlier: NDArray[np.intp]
    later: NDArray[np.intp]
    longitude_off: NDArray[np.float64]
    latitude_off: NDArray[np.float64]

    def __getitem__(self, chosen: NDArray[Any]) -> _Pairs:
        return _Pairs(self.earlier[chosen], self.later[chosen], self.longitude_off[chosen], self.latitude_off[chosen])


def _candidates(regions: pd.DataFrame) -> _Pairs:
    """All regions last seen in the west with all of similar latitude first seen in the east soon afterwards."""
    first, last = regions["first"].to_numpy(), regions["last"].to_numpy()
    entered, left, latitude, rate = (
        regions[name].to_numpy(float) for name in ("entered_deg", "left_deg", "latitude_deg", "rate")
    )
    gone, come = np.flatnonzero(left >= 0), np.flatnonzero(entered <= 0)
    come = come[np.argsort(first[come], kind="stable")]
    begin = np.searchsorted(first[come], last[gone], side="right")
    end = np.searchsorted(first[come], last[gone] + LONGEST_ABSENCE, side="right")
    i = np.repeat(gone, end - begin)
    j = come[np.concatenate([np.arange(b, e) for b, e in zip(begin, end, strict=True)])] if len(i) else i
    days = (first[j] - last[i]) / np.timedelta64(1, "D")
    pairs = _Pairs(i, j, entered[j] - (left[i] + rate[i] * days - 360.0), latitude[j] - latitude[i])
    return pairs[np.abs(pairs.latitude_off) <= LATITUDE_TOLERANCE]


def _nearest(pairs: _Pairs, displaced_deg: float) -> _Pairs:
    """Of the pairs within the tolerances, those that are each other's nearest once the old regions are displaced."""
    off = pairs.longitude_off - displaced_deg
    pairs = replace(pairs, longitude_off=off)[np.abs(off) <= LONGITUDE_TOLERANCE]
    distance = np.hypot(pairs.longitude_off / LONGITUDE_TOLERANCE, pairs.latitude_off / LATITUDE_TOLERANCE)
    # By distance, then by name: the first pair of each old and each new region is its best.
    pairs = pairs[np.lexsort((pairs.later, pairs.earlier, distance))]
    best = ~pd.Series(pairs.earlier).duplicated().to_numpy() & ~pd.Series(pairs.later).duplicated().to_numpy()
    return pairs[best]
