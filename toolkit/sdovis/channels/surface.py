"""How much of the Sun each pixel of a cutout covers: measures of spots and fields are taken there, not on the picture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from sdovis.sun.geometry import DiscFrame, MapGrid, disc_mu, project, unproject

#: Where a line of sight grazes the surface, a pixel is not taken to cover more than at this mu.
LEAST_MU = 0.2
#: Of a picture whose place on the Sun is unknown, the whole counts as a hemisphere, and its side as this many degrees.
UNKNOWN_SIDE_DEG = 100.0


@dataclass(frozen=True, eq=False)
class Surface:
    """The pixels (H, W) of a cutout on the Sun.

    ``west_deg`` and ``north_deg`` are degrees of a great circle from the cutout's centre, along a parallel and a meridian;
    ``area_msh`` is each pixel's area in millionths of a solar hemisphere, 0 off the disc; ``mu`` the cosine of the
    heliocentric angle, 1 on a map; ``step_deg`` is the side of a pixel where it is not foreshortened.
    """

    west_deg: NDArray[np.float64]
    north_deg: NDArray[np.float64]
    area_msh: NDArray[np.float64]
    mu: NDArray[np.float64]
    step_deg: float


def of_cutout(
    size_px: int,
    cutout_arcsec: float | None,
    cutout_deg: float | None,
    latitude_deg: float,
    longitude_deg: float,
    observed: datetime | None,
) -> Surface:
    """The surface under a cutout around a position; that of an unknown place if the position or the scale is not known.

    A cutout in arc seconds needs ``observed``, UTC, as the apparent radius changes over the year.
    """
    if not np.isfinite([latitude_deg, longitude_deg]).all() or not (cutout_deg or (cutout_arcsec and observed)):
        return unknown((size_px, size_px))
    middle = (size_px - 1) / 2
    x, y = np.meshgrid(np.arange(size_px), np.arange(size_px))
    if cutout_deg:
        step = cutout_deg / size_px
        latitude, longitude = MapGrid((middle, middle), latitude_deg, longitude_deg, step).place(x, y)
        mu = np.ones(x.shape)
    else:
        assert cutout_arcsec is not None and observed is not None
        here = DiscFrame.at(observed, (0.0, 0.0), cutout_arcsec / size_px)
        dx, dy, _ = project(latitude_deg, longitude_deg, here)
        frame = DiscFrame.at(observed, (middle - dx, middle - dy), here.arcsec_per_px)
        latitude, longitude = unproject(x, y, frame)
        mu = disc_mu(x.shape, frame).astype(float)
        step = float(np.degrees(1 / frame.radius_px))
    seen = np.isfinite(latitude) & np.isfinite(mu)
    area = np.where(seen, np.radians(step) ** 2 / (2e-6 * np.pi) / np.clip(mu, LEAST_MU, None), 0.0)
    west = (longitude - longitude_deg) * np.cos(np.radians(latitude))
    return Surface(west, latitude - latitude_deg, area, mu, step)


def unknown(shape: tuple[int, int]) -> Surface:
    """A picture of which only its pixels are known; see `UNKNOWN_SIDE_DEG`."""
    step = UNKNOWN_SIDE_DEG / max(shape)
    rows, columns = (axis.astype(float) for axis in np.indices(shape))
    west, north = (columns - (shape[1] - 1) / 2) * step, ((shape[0] - 1) / 2 - rows) * step
    return Surface(west, north, np.full(shape, 1e6 / (shape[0] * shape[1])), np.ones(shape), step)
