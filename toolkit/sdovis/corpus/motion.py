"""Whether regions move over the disc as the Sun turns: positions with another sign, axis or system do not."""

from __future__ import annotations

import pandas as pd

from sdovis.errors import Problem
from sdovis.sun.constants import DAY_S

#: As many regions must have been followed for a day or more, and at most this long: then they have left the disc.
MIN_REGIONS, MAX_DAYS = 3, 14.0
#: Seen from SDO, longitudes grow by some 13 degrees a day. Degrees a day that rotation and errors of position do not explain.
BACKWARDS, STANDING, SIDEWAYS = -6.0, 3.0, 6.0


def fault(rows: pd.DataFrame) -> Problem | None:
    """What is wrong with the positions of ``rows`` (noaa_ar, observed, latitude_deg, longitude_deg); None if they turn.

    Each region's speed is that between its first and its last row, and the median over regions is judged.
    """
    known = rows.dropna(subset=["noaa_ar", "observed", "latitude_deg", "longitude_deg"]).sort_values("observed")
    if known.empty:  # columns without a value have no type
        return None
    ends = known.groupby("noaa_ar").agg(["first", "last"])[["observed", "latitude_deg", "longitude_deg"]]
    days = (ends["observed", "last"] - ends["observed", "first"]).dt.total_seconds() / DAY_S
    followed = ends[(days >= 1) & (days <= MAX_DAYS)]
    if len(followed) < MIN_REGIONS:
        return None
    north, west = (
        float(((followed[axis, "last"] - followed[axis, "first"]) / days[followed.index]).median())
        for axis in ("latitude_deg", "longitude_deg")
    )
    moved = f"from row to row the regions move {west:+.1f} degrees a day in longitude and {north:+.1f} in latitude"
    if abs(north) > SIDEWAYS and abs(west) < STANDING:
        return Problem(f"latitude and longitude seem to be swapped: {moved}", "correct [source.columns]")
    if west < BACKWARDS:
        what = f"the Sun seems to turn backwards: {moved}"
        return Problem(
            what, "longitude is positive to the west, and x grows to the west: turn the signs, or the images"
        )
    if abs(west) < STANDING:
        what = f"the Sun seems to stand still: {moved}"
        hint = "give each row its own position; Carrington longitudes need source.longitude_system = 'carrington'"
        return Problem(what, hint)
    return None
