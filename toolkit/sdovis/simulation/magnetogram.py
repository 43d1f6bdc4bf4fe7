"""What HMI would see of a simulated region: projection on the sky, line of sight, telescope, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from sdovis.simulation.region import Array, SimulatedRegion, field_map, grid_index
from sdovis.sun.constants import HMI_ASTRONOMICAL_UNIT_M, HMI_PIXEL_ARCSEC, HMI_RADIUS_M

PIXEL_ARCSEC = 4 * HMI_PIXEL_ARCSEC  #: HMI's pixels, binned 4 x 4
NOISE_G = 10.0  #: photon noise of a 45 s magnetogram (Liu et al. 2012)

_STEP_G = 0.1  # BSCALE: 16 bits then hold 3276 G
_OFF_DISC = -32768  # BLANK


@dataclass(frozen=True)
class Camera:
    """Where the observer is and how the detector is oriented. Pixels are counted from 0, as in numpy."""

    distance_m: float
    b0_deg: float  #: heliographic latitude of the observer, who is on the central meridian
    roll_deg: float  #: CROTA2
    centre_px: tuple[float, float]  #: column and row of the Sun's centre
    size_px: int
    arcsec_per_px: float = PIXEL_ARCSEC

    @property
    def sun_arcsec(self) -> float:
        """The apparent radius of the Sun, RSUN_OBS."""
        return float(np.degrees(np.arcsin(HMI_RADIUS_M / self.distance_m)) * 3600)


def _axes(b0_deg: float) -> Array:
    """The sky's west, the sky's north and the direction to the observer, in rows.

    Components are towards the west limb, the north pole and the central meridian's crossing of the equator.
    """
    sin_b, cos_b = np.sin(np.radians(b0_deg)), np.cos(np.radians(b0_deg))
    return np.array([[1.0, 0.0, 0.0], [0.0, cos_b, -sin_b], [0.0, sin_b, cos_b]])


def sun_centre_px(
    latitude_deg: float, longitude_deg: float, distance_m: float, b0_deg: float, roll_deg: float, size_px: int
) -> tuple[float, float]:
    """Column and row of the Sun's centre when a Stonyhurst position lies at the centre of a square cutout."""
    lon, lat = np.radians(longitude_deg), np.radians(latitude_deg)
    up = np.array([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)])
    x, y, z = _axes(b0_deg) @ up * HMI_RADIUS_M
    plane = np.degrees(np.array([x, y]) / (distance_m - z)) * 3600 / PIXEL_ARCSEC
    roll = np.radians(roll_deg)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    column, row = (size_px - 1) / 2 - turn @ plane
    return float(column), float(row)


def surface(camera: Camera, oversample: int = 1) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """Stonyhurst longitude and latitude (radians, NaN off the disc) of every pixel, and three weights.

    The weights turn the upward, westward and northward components of a vector into the one along the line of sight.
    The sky projection is gnomonic (TAN).
    """
    pixels = (np.arange(camera.size_px * oversample) + 0.5) / oversample - 0.5
    column, row = pixels[None, :] - camera.centre_px[0], pixels[:, None] - camera.centre_px[1]
    roll, scale = np.radians(camera.roll_deg), np.radians(camera.arcsec_per_px / 3600)
    sky_x = scale * (np.cos(roll) * column - np.sin(roll) * row)
    sky_y = scale * (np.sin(roll) * column + np.cos(roll) * row)
    distance = camera.distance_m / HMI_RADIUS_M
    # The ray (sky_x, sky_y, -1) t from the observer at (0, 0, distance) meets the unit sphere.
    squared = 1 + sky_x**2 + sky_y**2
    with np.errstate(invalid="ignore"):
        along = (distance - np.sqrt(distance**2 - squared * (distance**2 - 1))) / squared
    axes = _axes(camera.b0_deg)
    seen = (sky_x * along, sky_y * along, distance - along)
    x, y, z = (axes[0, k] * seen[0] + axes[1, k] * seen[1] + axes[2, k] * seen[2] for k in range(3))
    length = along * np.sqrt(squared)  # from the point to the observer
    to_x, to_y, to_z = -x / length, (distance * axes[2, 1] - y) / length, (distance * axes[2, 2] - z) / length
    # Up is (x, y, z), west (z, 0, -x) / rho, north their product.
    rho = np.hypot(x, z)
    upward = x * to_x + y * to_y + z * to_z
    westward = (z * to_x - x * to_z) / rho
    northward = rho * to_y - y * (x * to_x + z * to_z) / rho
    return np.arctan2(x, z), np.arcsin(y), (upward, westward, northward)


def observe(
    region: SimulatedRegion, rng: np.random.Generator, camera: Camera, longitude_deg: float
) -> NDArray[np.float32]:
    """The line-of-sight magnetogram (gauss, NaN off the disc, rows and columns as on the detector).

    The region's centre is at ``longitude_deg`` (Stonyhurst) and its own latitude, wherever the cutout's centre is.
    """
    field = field_map(region, rng)
    longitude, latitude, weights = surface(camera, oversample=2)
    x = (np.degrees(longitude) - longitude_deg) * np.cos(np.radians(region.latitude_deg))
    y = np.degrees(latitude) - region.latitude_deg
    index = np.nan_to_num(grid_index(x, y), nan=-1e3)
    seen = sum(map_coordinates(part, index, order=1) * weights[k] for k, part in enumerate(field))
    seen = gaussian_filter(np.nan_to_num(seen), 1.2)  # the telescope: 0.6 pixels
    size = camera.size_px
    seen = seen.reshape(size, 2, size, 2).mean(axis=(1, 3)) + rng.normal(0, NOISE_G, (size, size))
    off = np.isnan(longitude).reshape(size, 2, size, 2).any(axis=(1, 3))
    return np.where(off, np.nan, seen).astype(np.float32)


def where(camera: Camera) -> list[tuple[Any, ...]]:
    """The FITS cards that say where the Sun and the observer are."""
    return [
        ("CTYPE1", "HPLN-TAN"),
        ("CTYPE2", "HPLT-TAN"),
        ("CUNIT1", "arcsec"),
        ("CUNIT2", "arcsec"),
        ("CDELT1", camera.arcsec_per_px),
        ("CDELT2", camera.arcsec_per_px),
        ("CRPIX1", camera.centre_px[0] + 1, "Sun's centre, first pixel is 1"),
        ("CRPIX2", camera.centre_px[1] + 1, "Sun's centre, first pixel is 1"),
        ("CRVAL1", 0.0),
        ("CRVAL2", 0.0),
        ("CROTA2", camera.roll_deg, "[deg] the detector is upside down"),
        ("RSUN_REF", HMI_RADIUS_M, "[m]"),
        ("RSUN_OBS", camera.sun_arcsec, "[arcsec]"),
        ("DSUN_REF", HMI_ASTRONOMICAL_UNIT_M, "[m]"),
        ("DSUN_OBS", camera.distance_m, "[m]"),
        ("CRLT_OBS", camera.b0_deg, "[deg]"),
        ("HGLN_OBS", 0.0, "[deg]"),
    ]


def to_fits(data: NDArray[np.float32], camera: Camera, keywords: Sequence[tuple[str, Any, str]]) -> bytes:
    """A FITS file of 16-bit integers with the header of an HMI cutout; ``keywords`` are (name, value, comment)."""
    from astropy.io.fits import Header

    seen = data[np.isfinite(data)]
    header = Header(
        [
            ("SIMPLE", True),
            ("BITPIX", 16),
            ("NAXIS", 2),
            ("NAXIS1", data.shape[1]),
            ("NAXIS2", data.shape[0]),
            ("BLANK", _OFF_DISC, "off the disc"),
            ("BZERO", 0.0),
            ("BSCALE", _STEP_G),
            ("TELESCOP", "SDO/HMI", "imitated"),
            ("INSTRUME", "HMI_SIDE1", "imitated"),
            ("CAMERA", 1),
            ("WAVELNTH", 6173.0, "[angstrom]"),
            ("CONTENT", "MAGNETOGRAM", "line of sight"),
            ("BUNIT", "Gauss"),
            *where(camera),
            ("DATAMIN", round(float(seen.min()), 1), "[Gauss]"),
            ("DATAMAX", round(float(seen.max()), 1), "[Gauss]"),
            ("MISSVALS", int(data.size - seen.size), "pixels off the disc"),
            *keywords,
        ]
    )
    limit = 32767 * _STEP_G
    counts = np.rint(np.clip(np.nan_to_num(data), -limit, limit) / _STEP_G)
    body: bytes = np.where(np.isfinite(data), counts, _OFF_DISC).astype(">i2").tobytes()
    return bytes(header.tostring(), "ascii") + body + bytes(-len(body) % 2880)
