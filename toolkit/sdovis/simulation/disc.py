"""What HMI would see of a whole simulated Sun at one moment: radial field, line-of-sight field and continuum.

All three come from the same field and the same spots. Br is the upward component, as a disambiguated vector magnetogram
gives it; the line-of-sight field is mu times that, plus the part of the penumbrae's flat fields that points this way.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from sdovis.channels.hmi import limb_darkening
from sdovis.simulation.magnetogram import Camera, surface, where
from sdovis.simulation.region import (
    CELLS_PER_DEG2,
    KNOT_DEG,
    NETWORK_FLUX,
    NETWORK_PER_DEG2,
    Array,
    SimulatedRegion,
    field_map,
    grid_index,
    intensity_map,
    to_lanes,
)
from sdovis.sun.constants import CAMERA_PX, HMI_PIXEL_ARCSEC, HMI_RADIUS_M

CAMERA_ARCSEC = CAMERA_PX * HMI_PIXEL_ARCSEC  #: the field of view of HMI's camera
NOISE_G = 8.0  #: along the line of sight (Liu et al. 2012, Solar Physics 279, 295: 6.3 G in 720 s, 10 G in 45 s)
#: Across the line of sight: the SHARP of 2011-02-15 02:00 has 21 G of noise in Br at mu = 0.93, where a third of this enters.
TRANSVERSE_NOISE_G = 60.0
QUIET_DN_S = 62_000.0  #: HMI's continuum at the disc's centre

_TELESCOPE = 0.6  # pixels
_REACH_DEG = 12.0  # from a region's centre: beyond lies one per cent of the largest region's plage
_DEG = 180 / np.pi
_BLANK = -(2**31)


@dataclass(frozen=True)
class Placed:
    """A region and the longitude of its centre: degrees west of the central meridian."""

    region: SimulatedRegion
    longitude_deg: float


@dataclass(frozen=True)
class Disc:
    """Three images of one moment, (H, W) float32, NaN off the disc, rows and columns as on the detector."""

    radial_g: NDArray[np.float32]
    line_of_sight_g: NDArray[np.float32]
    continuum_dn_s: NDArray[np.float32]


def full_view(
    distance_m: float, b0_deg: float, roll_deg: float, offset_px: tuple[float, float], size_px: int
) -> Camera:
    """HMI's whole camera, binned to ``size_px`` per side; ``offset_px`` runs from its middle to the Sun's centre."""
    x, y = ((size_px - 1) / 2 + offset for offset in offset_px)
    return Camera(distance_m, b0_deg, roll_deg, (x, y), size_px, CAMERA_ARCSEC / size_px)


def observe_disc(regions: Sequence[Placed], rng: np.random.Generator, camera: Camera) -> Disc:
    """The three images of these regions and of the network between them, with noise."""
    mu = _mu(camera)
    radial = _network(rng, camera)
    sight = radial * np.nan_to_num(mu)
    bright = np.ones_like(radial)
    for placed in regions:
        _add(placed, rng, camera, radial, sight, bright)
    away = 1 - mu
    # Faculae are seen only near the limb, where they are a few per cent brighter than the quiet Sun.
    faculae = 0.05 * np.minimum(np.abs(radial) / 800, 1) * away
    # The contrast of granules, 3.3 % at HMI's own 0.5 arcsec, averages out in pixels larger than half a granule.
    granulation = 0.033 / max(1.0, camera.arcsec_per_px / 0.75)
    across = np.sqrt((NOISE_G * mu) ** 2 + TRANSVERSE_NOISE_G**2 * (1 - mu**2))
    quiet = np.float32(QUIET_DN_S) * limb_darkening(mu)
    shape = mu.shape
    granules = 1 + granulation * rng.standard_normal(shape, dtype=np.float32)
    radial_g = radial + across * rng.standard_normal(shape, dtype=np.float32)
    sight_g = sight + NOISE_G * rng.standard_normal(shape, dtype=np.float32)
    sight_g[np.isnan(mu)] = np.nan
    continuum = quiet * bright * (1 + faculae) * granules
    return Disc(radial_g.astype(np.float32), sight_g.astype(np.float32), continuum.astype(np.float32))


def _mu(camera: Camera) -> NDArray[np.float32]:
    """The cosine of the heliocentric angle of every pixel, NaN off the disc."""
    pixels = np.arange(camera.size_px, dtype=np.float32)
    x, y = ((pixels - c) * np.float32(np.radians(camera.arcsec_per_px / 3600)) for c in camera.centre_px)
    squared = x[None, :] ** 2 + y[:, None] ** 2  # of the tangent of the angle from the disc's centre
    distance = camera.distance_m / HMI_RADIUS_M
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(1 - np.float32(distance**2) * squared / (1 + squared)), np.float32)


def _network(rng: np.random.Generator, camera: Camera) -> NDArray[np.float32]:
    """The quiet Sun's radial field (gauss): elements of both signs on the borders of supergranules."""
    hemisphere = 2 * np.pi * _DEG**2  # square degrees
    cells = _directions(rng, round(hemisphere * CELLS_PER_DEG2)) * _DEG
    at = _directions(rng, round(hemisphere * NETWORK_PER_DEG2)) * _DEG
    at = to_lanes(rng, at, cells, cKDTree(cells))
    west, north, near = (at / np.linalg.norm(at, axis=1, keepdims=True)).T
    column, row = _to_pixels(camera, west, north, near)
    away = camera.distance_m / HMI_RADIUS_M - near
    mu = (camera.distance_m / HMI_RADIUS_M * near - 1) / np.sqrt(west**2 + north**2 + away**2)
    px_deg = np.radians(camera.arcsec_per_px / 3600) * away * _DEG
    # A pixel near the limb covers more of the surface, so an element fills less of it.
    field = np.where(np.arange(len(at)) % 2, 1.0, -1.0) * NETWORK_FLUX * mu / px_deg**2
    i, j = np.rint(row).astype(int), np.rint(column).astype(int)
    size = camera.size_px
    kept = (mu > 0) & (i >= 0) & (i < size) & (j >= 0) & (j < size)
    drawn = np.bincount(i[kept] * size + j[kept], field[kept], minlength=size**2).reshape(size, size)
    blur = float(np.hypot(KNOT_DEG / np.median(px_deg), _TELESCOPE))
    return np.asarray(gaussian_filter(drawn.astype(np.float32), blur))


def _directions(rng: np.random.Generator, n: int) -> Array:
    """Random unit vectors on the visible hemisphere: west, north, towards the observer."""
    near, angle = rng.uniform(0, 1, n), rng.uniform(0, 2 * np.pi, n)
    flat = np.sqrt(1 - near**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), near], axis=1)


def _to_pixels(camera: Camera, west: Array, north: Array, near: Array) -> tuple[Array, Array]:
    """Column and row of positions given in solar radii from the Sun's centre."""
    per_radius = np.degrees(1 / (camera.distance_m / HMI_RADIUS_M - near)) * 3600 / camera.arcsec_per_px
    roll = np.radians(camera.roll_deg)
    x, y = west * per_radius, north * per_radius
    column = camera.centre_px[0] + np.cos(roll) * x + np.sin(roll) * y
    return column, camera.centre_px[1] - np.sin(roll) * x + np.cos(roll) * y


def _window(placed: Placed, camera: Camera) -> tuple[slice, slice] | None:
    """The square of rows and columns that holds the visible part of a region; None if nothing is visible."""
    lat, lon, b0 = (np.radians(a) for a in (placed.region.latitude_deg, placed.longitude_deg, camera.b0_deg))
    west, north = np.cos(lat) * np.sin(lon), np.sin(lat) * np.cos(b0) - np.cos(lat) * np.cos(lon) * np.sin(b0)
    near = np.sin(lat) * np.sin(b0) + np.cos(lat) * np.cos(lon) * np.cos(b0)
    # Its farthest element, which may still move to the border of a supergranule.
    elements = np.vstack([placed.region.spots[:, :2], placed.region.plage[:, :2]])
    reach = np.sin(np.radians(min(np.hypot(*elements.T).max() + 1.5, _REACH_DEG)))
    if near < -reach:
        return None
    column, row = _to_pixels(camera, west, north, near)
    side = int(2 * reach * camera.sun_arcsec / camera.arcsec_per_px) + 1
    top, left = int(row - side / 2), int(column - side / 2)
    return slice(top, top + side), slice(left, left + side)


def _add(placed: Placed, rng: np.random.Generator, camera: Camera, *images: NDArray[np.float32]) -> None:
    """Draw a region into the images of radial field, line-of-sight field and relative intensity."""
    window = _window(placed, camera)
    if window is None:
        return
    region, (rows, columns) = placed.region, window
    field = field_map(region, rng, network=False)
    side = rows.stop - rows.start
    centre = camera.centre_px[0] - columns.start, camera.centre_px[1] - rows.start
    part = replace(camera, centre_px=centre, size_px=side)
    fine = 2 if camera.arcsec_per_px > 1 else 1
    longitude, latitude, weights = surface(part, oversample=fine)
    x = (np.degrees(longitude) - placed.longitude_deg + 180) % 360 - 180
    index = grid_index(x * np.cos(np.radians(region.latitude_deg)), np.degrees(latitude) - region.latitude_deg)
    index = np.nan_to_num(index, nan=-1e3)
    up, west, north = (map_coordinates(component, index, order=1) for component in field)
    drawn = (
        up,
        up * weights[0] + west * weights[1] + north * weights[2],
        map_coordinates(intensity_map(region) - 1, index, order=1),
    )
    size = camera.size_px
    inside = np.s_[max(rows.start, 0) : min(rows.stop, size), max(columns.start, 0) : min(columns.stop, size)]
    mine = tuple(
        slice(kept.start - all_.start, kept.stop - all_.start) for kept, all_ in zip(inside, window, strict=True)
    )
    for image, seen in zip(images, drawn, strict=True):
        values = np.nan_to_num(np.asarray(seen, np.float32))  # off the disc
        blurred = gaussian_filter(values, _TELESCOPE * fine)
        image[inside] += blurred.reshape(side, fine, side, fine).mean(axis=(1, 3))[mine]


def to_compressed_fits(
    values: NDArray[np.float32], step: float, camera: Camera, keywords: Sequence[tuple[Any, ...]]
) -> bytes:
    """A RICE-compressed FITS file like JSOC's: integers in units of ``step``, BLANK off the disc; ``keywords`` are cards."""
    from astropy.io import fits

    seen = np.isfinite(values)
    counts = np.where(seen, np.rint(np.nan_to_num(values) / np.float32(step)), _BLANK).astype(np.int32)
    header = fits.Header([("BLANK", _BLANK, "off the disc"), *where(camera), *keywords])
    tile = max(1, CAMERA_PX // camera.size_px), camera.size_px  # JSOC's tiles are rows of 4096 pixels
    image = fits.CompImageHDU(counts, header, compression_type="RICE_1", tile_shape=tile)
    image.header.set("BZERO", 0.0, after="BLANK")
    image.header.set("BSCALE", step, after="BLANK")
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(file)
    return file.getvalue()
