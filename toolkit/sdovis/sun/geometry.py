"""Where a position on the Sun lies in an image, and cutouts of a fixed angular or heliographic size.

Images have row 0 at solar north and column 0 at east; pixel (0, 0) is the centre of the first pixel.
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

from sdovis.sun.constants import ARCSEC, ASTRONOMICAL_UNIT_KM, DAY_S, J2000, LIGHT_KM_PER_S, NOMINAL_RADIUS_KM

NORTH_POLE_RA_DEG, NORTH_POLE_DEC_DEG = 286.13, 63.87  # of the Sun, ICRS: Archinal et al. (2018), CeMDA 130, 22
PRIME_MERIDIAN_DEG, SIDEREAL_DEG_PER_DAY = 84.176, 14.1844  # Carrington's, from J2000: the same
TT_MINUS_UTC_S = 69.2  # since 2017; 66.2 in 2010: three seconds change B0 by less than 5e-6 degrees
EXACT_TURN_DEG = 0.1  # raw HMI is within this of 180 degrees; the remainder moves the limb by at most 1.7 arcsec


@dataclass(frozen=True)
class DiscFrame:
    """The solar disc in an image: where its centre lies, and the observer's distance and latitude."""

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


@dataclass(frozen=True)
class MapGrid:
    """A map in a cylindrical equal-area projection around one of its positions, as SHARP's CEA maps are.

    The pixel ``center_px`` (x, y) shows the position ``latitude_deg``, ``longitude_deg``; there a pixel is
    ``deg_per_px`` degrees wide and high. The projection's own equator runs through that position (Calabretta & Greisen
    2002, A&A 395, 1077, section 5.2.2 with lambda = 1; `plane2sphere` of JSOC's cartography.c), so north is up there.
    """

    center_px: tuple[float, float]
    latitude_deg: float
    longitude_deg: float
    deg_per_px: float

    def place(self, x: ArrayLike, y: ArrayLike) -> tuple[Any, Any]:
        """Latitude and longitude (degrees) of pixels; NaN off the map."""
        along = np.radians((np.asarray(x, float) - self.center_px[0]) * self.deg_per_px)
        sine = np.radians((self.center_px[1] - np.asarray(y, float)) * self.deg_per_px)
        c, s = math.cos(math.radians(self.latitude_deg)), math.sin(math.radians(self.latitude_deg))
        with np.errstate(invalid="ignore"):
            cosine = np.where(np.abs(along) <= math.pi, np.sqrt(1 - sine**2), np.nan)
        near = cosine * np.cos(along)
        lat = np.arcsin(sine * c + near * s)
        lon = np.arctan2(cosine * np.sin(along), near * c - sine * s)
        return np.degrees(lat)[()], np.degrees(lon)[()] + self.longitude_deg

    def pixel(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[Any, Any]:
        """Pixel x, y of heliographic positions: the inverse of `place`."""
        lat, lon = np.radians(np.asarray(lat_deg, float)), np.radians(np.asarray(lon_deg, float) - self.longitude_deg)
        c, s = math.cos(math.radians(self.latitude_deg)), math.sin(math.radians(self.latitude_deg))
        sine = np.sin(lat) * c - np.cos(lat) * np.cos(lon) * s
        along = np.arctan2(np.cos(lat) * np.sin(lon), np.cos(lat) * np.cos(lon) * c + np.sin(lat) * s)
        x = self.center_px[0] + np.degrees(along) / self.deg_per_px
        y = self.center_px[1] - np.degrees(sine) / self.deg_per_px
        return x[()], y[()]


_RA, _DEC = math.radians(NORTH_POLE_RA_DEG), math.radians(NORTH_POLE_DEC_DEG)
_NORTH_POLE = np.array([math.cos(_DEC) * math.cos(_RA), math.cos(_DEC) * math.sin(_RA), math.sin(_DEC)])


@lru_cache(maxsize=8192)
def _ephemeris(observed: datetime) -> tuple[float, float]:
    """Apparent radius (arcsec) and B0 (degrees) of the Sun seen from the Earth, as sunpy gives them but 100 times faster.

    From the Earth's heliocentric position by ERFA (IAU SOFA's `epv00`), which sunpy also uses.
    """
    earth, distance, _ = _earth(observed)
    radius = math.asin(NOMINAL_RADIUS_KM / (ASTRONOMICAL_UNIT_KM * distance))
    return radius / ARCSEC, math.degrees(math.asin(float(earth @ _NORTH_POLE) / distance))


def _earth(observed: datetime) -> tuple[NDArray[np.float64], float, float]:
    """The Earth as seen from the Sun (ICRS, au), its distance, and days of dynamical time since J2000."""
    import erfa  # type: ignore[import-untyped]

    days = ((observed - J2000).total_seconds() + TT_MINUS_UTC_S) / DAY_S
    earth = erfa.epv00(2451545.0, days)[0]["p"]
    return earth, math.sqrt(float(earth @ earth)), days


@lru_cache(maxsize=8192)
def central_meridian(observed: datetime) -> float:
    """Carrington longitude (degrees, 0 to 360) of the meridian that faces the Earth at ``observed`` (timezone-aware), L0.

    The Sun turns while its light is on the way, as in sunpy's ``L0``. Archinal et al. (2018), section 2: the prime meridian
    is W east of the node of the Sun's equator on that of the sky.
    """
    earth, distance, days = _earth(observed.astimezone(UTC))
    node = np.array([-math.sin(_RA), math.cos(_RA), 0.0])
    from_node = math.degrees(math.atan2(float(earth @ np.cross(_NORTH_POLE, node)), float(earth @ node)))
    light_days = distance * ASTRONOMICAL_UNIT_KM / LIGHT_KM_PER_S / DAY_S
    return (from_node - PRIME_MERIDIAN_DEG - SIDEREAL_DEG_PER_DAY * (days - light_days)) % 360


def project(lat_deg: ArrayLike, lon_deg: ArrayLike, frame: DiscFrame) -> tuple[Any, Any, Any]:
    """Pixel x, y and mu (cosine of the heliocentric angle) of heliographic positions; NaN behind the limb.

    Perspective projection from a finite distance: Thompson (2006), A&A 449, 791, eqs. 11 and 15. The observer is
    taken to be at Stonyhurst longitude 0, which for SDO holds within 0.02 degrees.
    """
    x, y, mu = _onto_sky(np.asarray(lat_deg, float), np.asarray(lon_deg, float), frame)
    seen = mu > 0
    return np.where(seen, x, np.nan)[()], np.where(seen, y, np.nan)[()], np.where(seen, mu, np.nan)[()]


def _onto_sky(lat_deg: NDArray[Any], lon_deg: NDArray[Any], frame: DiscFrame) -> tuple[Any, Any, Any]:
    """`project` for the whole sphere: behind the limb mu is negative, and the pixel is as if the Sun were transparent."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    b0 = math.radians(frame.b0_deg)
    distance = frame.distance_radii
    west = np.cos(lat) * np.sin(lon)
    north = np.sin(lat) * math.cos(b0) - np.cos(lat) * np.cos(lon) * math.sin(b0)
    near = np.sin(lat) * math.sin(b0) + np.cos(lat) * np.cos(lon) * math.cos(b0)
    mu = (distance * near - 1) / np.sqrt(west**2 + north**2 + (distance - near) ** 2)
    px_per_tangent = 1 / (ARCSEC * frame.arcsec_per_px * (distance - near))
    return frame.center_px[0] + west * px_per_tangent, frame.center_px[1] - north * px_per_tangent, mu


def unproject(x: ArrayLike, y: ArrayLike, frame: DiscFrame) -> tuple[Any, Any]:
    """Heliographic latitude and longitude (degrees) of pixels; NaN off the disc. The inverse of `project`."""
    west, north, near = _surface(x, y, frame)
    b0 = math.radians(frame.b0_deg)
    lat = np.arcsin(north * math.cos(b0) + near * math.sin(b0))
    lon = np.arctan2(west, near * math.cos(b0) - north * math.sin(b0))
    return np.degrees(lat)[()], np.degrees(lon)[()]


def directions(lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.float64]:
    """Unit vectors (N, 3) from the Sun's centre to heliographic positions: their dot product is the angle's cosine."""
    lat, lon = np.radians(np.asarray(lat_deg, float)), np.radians(np.asarray(lon_deg, float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1).reshape(-1, 3)


def disc_mu(shape: tuple[int, int], frame: DiscFrame) -> NDArray[np.float32]:
    """mu of every pixel of an image of ``shape``; NaN off the disc."""
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

    Bicubic, antialiased if it shrinks, exact to a fraction of a pixel. Pixels of which more than half is missing (NaN
    or outside ``values``) become ``fill``; missing pixels contribute nothing to their neighbours.
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
    part = np.asarray(part, np.float32)
    if part.shape != (y1 - y0, x1 - x0):
        part = np.pad(part, around, constant_values=np.nan)
    box = (left - x0, top - y0, left - x0 + side, top - y0 + side)
    known = np.isfinite(part)
    if known.all():
        return _resize(part, box, size_px)
    share = _resize(known.astype(np.float32), box, size_px)
    summed = _resize(np.where(known, part, np.float32(0)), box, size_px)
    return np.where(share > 0.5, summed / np.maximum(share, 0.5), np.float32(fill)).astype(np.float32)


def _resize(values: NDArray[np.float32], box: tuple[float, float, float, float], size: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC, box=box))


MESH = 16  # cells per side: between their corners the mapping is approximated as bilinear, off by 0.1 px of a 4k disc
MOST_SAMPLES = 8  # per side of a cutout's pixel


def heliographic_cutout(
    values: NDArray[np.float32],
    lat_deg: float,
    lon_deg: float,
    where: DiscFrame | MapGrid,
    side_deg: float,
    size_px: int,
) -> NDArray[np.float32]:
    """A cylindrical equal-area map around a position, deprojected from a disc or a map: (size_px, size_px) float32.

    Its grid is ``MapGrid(((size_px - 1) / 2, (size_px - 1) / 2), lat_deg, lon_deg, side_deg / size_px)``, the
    projection of SHARP's CEA maps (Bobra et al. 2014, Solar Physics 289, 3549; the disc's: Thompson 2006, A&A 449,
    791). Bicubic, averaged over the pixel if the map is coarser than ``values``. NaN if more than half is missing (NaN or
    outside ``values``) and behind the limb; missing pixels contribute nothing to their neighbours. ``side_deg`` is at
    most 90.
    """
    if not 0 < side_deg <= 90:
        raise ValueError(f"side_deg is {side_deg:g}; it must be above 0 and at most 90")
    middle = (size_px - 1) / 2
    grid = MapGrid((middle, middle), lat_deg, lon_deg, side_deg / size_px)
    edges = np.rint(np.linspace(0, size_px, min(MESH, size_px) + 1)).astype(int)
    x, y, seen = _pixels_of(*grid.place(*np.meshgrid(edges - 0.5, edges - 0.5)), where)
    height, width = values.shape
    x0, y0 = max(math.floor(x.min()) - 3, 0), max(math.floor(y.min()) - 3, 0)
    x1, y1 = min(math.ceil(x.max()) + 4, width), min(math.ceil(y.max()) + 4, height)
    if x1 - x0 < 2 or y1 - y0 < 2 or not seen.any():
        return np.full((size_px, size_px), np.nan, np.float32)
    # Source pixels per map pixel, along its rows and its columns.
    across = float((np.hypot(np.diff(x, axis=1), np.diff(y, axis=1)) / np.diff(edges)).max())
    down = float((np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)) / np.diff(edges)[:, None]).max())
    samples = (min(math.ceil(across - 0.01), MOST_SAMPLES), min(math.ceil(down - 0.01), MOST_SAMPLES))
    part = np.asarray(values[y0:y1, x0:x1], np.float32)
    corners = np.stack([x - x0 + 0.5, y - y0 + 0.5], axis=-1)  # Pillow counts from the corner of the first pixel
    known = np.isfinite(part)
    inside = x.min() >= 0 and y.min() >= 0 and x.max() <= width - 1 and y.max() <= height - 1
    if known.all() and inside:
        cut = _warped(part, corners, edges, samples)
    else:
        share = _warped(known.astype(np.float32), corners, edges, samples)
        summed = _warped(np.where(known, part, np.float32(0)), corners, edges, samples)
        cut = np.where(share > 0.5, summed / np.maximum(share, 0.5), np.float32(np.nan)).astype(np.float32)
    if not seen.all():
        rows = np.arange(size_px)
        cut[~_pixels_of(*grid.place(*np.meshgrid(rows, rows)), where)[2]] = np.nan
    return cut


def _pixels_of(lat: NDArray[Any], lon: NDArray[Any], where: DiscFrame | MapGrid) -> tuple[Any, Any, Any]:
    """x, y and whether the position is visible; finite everywhere on the sphere."""
    if isinstance(where, DiscFrame):
        x, y, mu = _onto_sky(lat, lon, where)
        return x, y, mu > 0
    x, y = where.pixel(lat, lon)
    return x, y, np.ones(x.shape, bool)


def _warped(
    part: NDArray[np.float32], corners: NDArray[Any], edges: NDArray[Any], samples: tuple[int, int]
) -> NDArray[np.float32]:
    """``part`` resampled to a square whose mesh at ``edges`` has these ``corners``; (across, down) samples per pixel."""
    columns, rows, at = (edges * samples[0]).tolist(), (edges * samples[1]).tolist(), corners.tolist()
    cells = range(len(edges) - 1)
    mesh = [
        (
            (columns[j], rows[i], columns[j + 1], rows[i + 1]),
            (*at[i][j], *at[i + 1][j], *at[i + 1][j + 1], *at[i][j + 1]),
        )
        for i in cells
        for j in cells
    ]
    shape = (columns[-1], rows[-1])
    drawn = Image.fromarray(part).transform(shape, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)
    return np.array(drawn if samples == (1, 1) else drawn.reduce(samples))


def unturned(
    values: NDArray[np.float32], turn: NDArray[Any], center: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """``values`` with columns running west and rows running north, and the position of ``center`` (x, y) in them.

    ``turn`` (2, 2) maps a step in pixels (x, y) to one in pixels west and north. Quarter turns and mirrors, to within
    `EXACT_TURN_DEG`, move pixels without changing any; other turns interpolate with cubic splines around the middle of
    the image, cut off what leaves it and keep NaN as NaN.
    """
    from scipy import ndimage

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
