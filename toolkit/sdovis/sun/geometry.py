"""Where a place on the Sun lies in an image, and cutouts of a fixed angular size.

Images have row 0 in the solar north and column 0 in the east; pixel (0, 0) is the centre of the first pixel.
Heliographic positions are Stonyhurst: longitude 0 faces the Earth, west and north are positive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy import ndimage

ARCSEC = math.pi / 180 / 3600
EXACT_TURN_DEG = 0.1  # raw HMI lies within this of 180 degrees; what is left moves the limb by 1.7 arcsec at most


@dataclass(frozen=True)
class DiscFrame:
    """The solar disc in an image: where its centre lies, and the observer it is seen by."""

    center_px: tuple[float, float]
    arcsec_per_px: float
    radius_arcsec: float
    b0_deg: float

    @classmethod
    def at(cls, observed: datetime, center_px: tuple[float, float], arcsec_per_px: float) -> DiscFrame:
        """The frame of an image taken near the Earth at ``observed`` (timezone-aware): radius and B0 from the date."""
        if observed.tzinfo is None:
            raise ValueError("observed must be timezone-aware: UTC and local time differ by hours")
        radius, b0 = _ephemeris(observed.astimezone(UTC))
        return cls((float(center_px[0]), float(center_px[1])), float(arcsec_per_px), radius, b0)

    @property
    def radius_px(self) -> float:
        """The apparent solar radius in pixels."""
        return self.radius_arcsec / self.arcsec_per_px

    @property
    def distance_radii(self) -> float:
        """The observer's distance in solar radii."""
        return 1 / math.sin(self.radius_arcsec * ARCSEC)


@lru_cache(maxsize=8192)
def _ephemeris(observed: datetime) -> tuple[float, float]:
    """Apparent radius (arcsec) and B0 (degrees) of the Sun seen from the Earth."""
    from astropy.time import Time
    from astropy.utils import iers
    from sunpy.coordinates import sun

    # Without this astropy asks a server for Earth-rotation tables that change B0 by nothing we could measure.
    with iers.conf.set_temp("auto_download", False):
        time = Time(observed)
        return float(sun.angular_radius(time).to_value("arcsec")), float(sun.B0(time).to_value("deg"))


def project(lat_deg: ArrayLike, lon_deg: ArrayLike, frame: DiscFrame) -> tuple[Any, Any, Any]:
    """Pixel x, y and mu (cosine of the heliocentric angle) of heliographic positions; nan behind the limb.

    Perspective projection from a finite distance: Thompson (2006), A&A 449, 791, eqs. 11 and 15. The observer is
    taken to be at Stonyhurst longitude 0, which for SDO holds within 0.02 degrees.
    """
    lat, lon = np.radians(np.asarray(lat_deg, float)), np.radians(np.asarray(lon_deg, float))
    b0 = math.radians(frame.b0_deg)
    distance = frame.distance_radii
    west = np.cos(lat) * np.sin(lon)
    north = np.sin(lat) * math.cos(b0) - np.cos(lat) * np.cos(lon) * math.sin(b0)
    near = np.sin(lat) * math.sin(b0) + np.cos(lat) * np.cos(lon) * math.cos(b0)
    mu = (distance * near - 1) / np.sqrt(west**2 + north**2 + (distance - near) ** 2)
    seen = mu > 0
    px_per_tangent = np.where(seen, 1 / (ARCSEC * frame.arcsec_per_px * (distance - near)), np.nan)
    x = frame.center_px[0] + west * px_per_tangent
    y = frame.center_px[1] - north * px_per_tangent
    return x[()], y[()], np.where(seen, mu, np.nan)[()]


def unproject(x: ArrayLike, y: ArrayLike, frame: DiscFrame) -> tuple[Any, Any]:
    """Heliographic latitude and longitude (degrees) of pixels; nan off the disc. The inverse of `project`."""
    west, north, near = _surface(x, y, frame)
    b0 = math.radians(frame.b0_deg)
    lat = np.arcsin(north * math.cos(b0) + near * math.sin(b0))
    lon = np.arctan2(west, near * math.cos(b0) - north * math.sin(b0))
    return np.degrees(lat)[()], np.degrees(lon)[()]


def disc_mu(shape: tuple[int, int], frame: DiscFrame) -> NDArray[np.float32]:
    """mu of every pixel of an image of ``shape``; nan off the disc."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    west, north, near = _surface(x, y, frame)
    distance = frame.distance_radii
    mu: NDArray[Any] = (distance * near - 1) / np.sqrt(west**2 + north**2 + (distance - near) ** 2)
    return mu.astype(np.float32)


def _surface(x: ArrayLike, y: ArrayLike, frame: DiscFrame) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Where the line of sight through a pixel first meets the sphere: west, north, towards the observer (radii)."""
    scale = frame.arcsec_per_px * ARCSEC
    tx = (np.asarray(x, float) - frame.center_px[0]) * scale
    ty = (frame.center_px[1] - np.asarray(y, float)) * scale
    slant = 1 + tx**2 + ty**2
    distance = frame.distance_radii
    with np.errstate(invalid="ignore"):
        t = (distance - np.sqrt(distance**2 - slant * (distance**2 - 1))) / slant
    return tx * t, ty * t, distance - t


def cutout(
    values: NDArray[np.float32],
    x: float,
    y: float,
    side_arcsec: float,
    arcsec_per_px: float,
    size_px: int,
    fill: float = math.nan,
) -> NDArray[np.float32]:
    """The square of ``side_arcsec`` centred on pixel (x, y), resampled to (size_px, size_px) float32.

    Bicubic, antialiased where it shrinks, exact to a fraction of a pixel. Pixels of which more than half is missing
    (nan or outside of ``values``) become ``fill``; what is missing lends nothing to its neighbours.
    """
    side = side_arcsec / arcsec_per_px
    # The kernel reaches 2 pixels of the coarser grid beyond the edge.
    margin = math.ceil(2 * max(1.0, side / size_px)) + 1
    left, top = x + 0.5 - side / 2, y + 0.5 - side / 2
    x0, y0 = math.floor(left) - margin, math.floor(top) - margin
    x1, y1 = math.ceil(left + side) + margin, math.ceil(top + side) + margin
    height, width = values.shape
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return np.full((size_px, size_px), fill, np.float32)
    part = values[max(y0, 0) : y1, max(x0, 0) : x1]
    around = ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)))
    part = np.pad(np.asarray(part, np.float32), around, constant_values=np.nan)
    box = (left - x0, top - y0, left - x0 + side, top - y0 + side)
    known = np.isfinite(part)
    if known.all():
        return _resize(part, box, size_px)
    share = _resize(known.astype(np.float32), box, size_px)
    summed = _resize(np.where(known, part, np.float32(0)), box, size_px)
    return np.where(share > 0.5, summed / np.maximum(share, 0.5), np.float32(fill)).astype(np.float32)


def _resize(values: NDArray[np.float32], box: tuple[float, float, float, float], size: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC, box=box))


def unturned(
    values: NDArray[np.float32], turn: NDArray[Any], center: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """``values`` with columns running to the west and rows to the north, and where ``center`` (x, y) lies in them.

    ``turn`` (2, 2) takes a step in pixels (x, y) to one in pixels to the west and north. Quarter turns and mirrors, to
    within `EXACT_TURN_DEG`, move pixels and change none; other turns interpolate with cubic splines about the middle
    of the frame, cut off what leaves it and keep nan as nan.
    """
    nearest = np.rint(turn)
    quarter = np.array_equal(np.abs(nearest), np.eye(2)) or np.array_equal(np.abs(nearest), np.eye(2)[::-1])
    if quarter and np.abs(turn - nearest).max() < math.sin(math.radians(EXACT_TURN_DEG)):
        if nearest[0, 0] == 0:
            values, center, nearest = values.T, center[::-1], nearest[:, ::-1]
        if nearest[0, 0] < 0:
            values, center = values[:, ::-1], np.array([values.shape[1] - 1 - center[0], center[1]])
        if nearest[1, 1] < 0:
            values, center = values[::-1], np.array([center[0], values.shape[0] - 1 - center[1]])
        return values, center
    middle = (np.array(values.shape[::-1]) - 1) / 2
    back = np.linalg.inv(turn)
    missing = np.isnan(values)
    filled = np.where(missing, np.nanmedian(values), values)
    # scipy counts (row, column): reverse both axes of the matrix.
    matrix, offset = back[::-1, ::-1], (middle - back @ middle)[::-1]
    turned = ndimage.affine_transform(filled, matrix, offset, order=3, cval=np.nan)
    if missing.any():
        # The spline rings for about two pixels around a hole: count those as missing too.
        hole = ndimage.binary_dilation(missing, iterations=2).astype(np.float32)
        turned[ndimage.affine_transform(hole, matrix, offset, order=1, cval=1.0) > 0.01] = np.nan
    return turned, middle + turn @ (center - middle)
