"""Quiet-Sun positions: far from every numbered region, which is more than having no number."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from sdovis.sun.geometry import directions

#: Quiet positions are drawn within this many degrees of the disc's centre: nearer the limb nothing can be told.
LIMIT_DEG = 55.0
#: Regions in summaries within this many days of the image count: plage outlives its number, and flux precedes it.
NEIGHBOUR_DAYS = 3.0
CANDIDATES = 2000


def quiet_positions(
    name: str,
    regions_lat: ArrayLike,
    regions_lon: ArrayLike,
    *,
    b0_deg: float,
    count: int,
    distance_deg: float,
    seed: int,
) -> list[tuple[float, float]]:
    """At most ``count`` Stonyhurst (latitude, longitude), at least ``distance_deg`` from the regions and each other.

    Drawn evenly over the Sun's surface within `LIMIT_DEG` of the disc's centre, from ``seed`` and the image's ``name``
    alone; fewer if there is no room for more. All angles are degrees on the sphere.
    """
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    taken = directions(regions_lat, regions_lon)
    cosine = np.cos(np.radians(distance_deg))
    found: list[tuple[float, float]] = []
    for lat, lon in _draws(random, b0_deg):
        if len(found) == count:
            break
        here = directions(lat, lon)
        if not (taken @ here.T > cosine).any():
            found.append((lat, lon))
            taken = np.vstack([taken, here])
    return found


def _draws(random: np.random.Generator, b0_deg: float) -> Iterator[tuple[float, float]]:
    """Positions spread evenly over the cap of `LIMIT_DEG` around latitude ``b0_deg``, longitude 0, to 0.01 degrees."""
    height = random.uniform(np.cos(np.radians(LIMIT_DEG)), 1, CANDIDATES)
    angle = random.uniform(0, 2 * np.pi, CANDIDATES)
    tilt, side = np.radians(b0_deg), np.sqrt(1 - height**2)
    west, up = side * np.cos(angle), side * np.sin(angle)
    north = height * np.sin(tilt) + up * np.cos(tilt)
    near = height * np.cos(tilt) - up * np.sin(tilt)
    latitudes, longitudes = np.degrees(np.arcsin(north)), np.degrees(np.arctan2(west, near))
    yield from zip(latitudes.round(2).tolist(), longitudes.round(2).tolist(), strict=True)
