"""What the quiet Sun looks like in an image: its level at each distance from the limb, and its texture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.channels.channel import Floats
from sdovis.errors import BadInput
from sdovis.sun.geometry import DiscFrame, MapGrid, disc_mu

#: Rings of equal width in mu, over which the level is averaged.
RINGS = 40
#: Values farther than this many standard deviations from a ring's median are spots or plages, not quiet Sun.
QUIET_SIGMA = 2.0
#: The level is taken from about this many pixels a side: enough for a mean, and fast on a disc of 4096.
ENOUGH_PX = 1024
#: The weight of the disc's own level against the quiet Sun around a hole: it counts where little of that is near.
PRIOR = 0.05
#: The texture of a fill is what is finer than this share of the distance within which its level follows the surroundings.
TEXTURE = 0.3
#: Turns about the disc's centre by which texture is sought where mirrors and quarter turns find none, degrees.
TURNS_DEG = tuple(turn for turn in range(15, 360, 15) if turn % 90)
#: The texture is not taken from nearer the limb, where a pixel's error of the centre changes its level.
LIMB_MU = 0.1


def limb_distance(shape: tuple[int, ...], geometry: DiscFrame | MapGrid) -> Floats:
    """mu of every pixel (H, W) of a disc, NaN off it; on a map, which does not say from where it was seen, 1."""
    if isinstance(geometry, MapGrid):
        return np.ones(shape[:2], np.float32)
    return disc_mu((shape[0], shape[1]), geometry)


def quiet_level(values: Floats, mu: Floats) -> Floats:
    """The quiet Sun's level at every pixel's ``mu``, (H, W); NaN off the disc.

    The level of a ring of equal mu is the mean of what lies within `QUIET_SIGMA` standard deviations (1.4826 median
    absolute deviations) of its median; between the rings it is interpolated. Regions cover less than half of any ring.
    """
    step = max(1, min(values.shape) // ENOUGH_PX)
    some, at = values[::step, ::step], mu[::step, ::step]
    seen = np.isfinite(some) & np.isfinite(at)
    some, ring = some[seen], np.minimum((at[seen] * RINGS).astype(int), RINGS - 1)
    parts = np.split(some[np.argsort(ring, kind="stable")], np.cumsum(np.bincount(ring, minlength=RINGS))[:-1])
    levels = np.array([_typical(part) for part in parts])
    held = np.isfinite(levels)
    if not held.any():
        return np.full(values.shape, np.nan, np.float32)
    return np.asarray(np.interp(mu, (np.arange(RINGS)[held] + 0.5) / RINGS, levels[held]), np.float32)


def _typical(values: Floats) -> float:
    if not values.size:
        return np.nan
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    return float(values[np.abs(values - median) <= QUIET_SIGMA * spread].mean(dtype=np.float64))


def flattened(values: Floats, frame: DiscFrame) -> Floats:
    """A disc over its own limb darkening, in its unit: everywhere as at the disc's centre. NaN off the disc.

    The limb darkening is `quiet_level`, which need not know how a publisher scaled the intensity.
    """
    level = quiet_level(values, limb_distance(values.shape, frame))
    if not np.nanmax(level, initial=0.0) > 0:
        raise BadInput("no quiet Sun to measure the limb darkening by")
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = values * (np.nanmax(level) / level)
    return np.where(level > 0, flat, np.float32(np.nan)).astype(np.float32)


def quieted(
    values: Floats, level: Floats, mu: Floats, holes: NDArray[np.bool_], centre: tuple[float, float], blend_px: float
) -> Floats:
    """``values`` (H, W) with quiet Sun in the ``holes``, as it may look there: smooth across their edges, and textured.

    The level is that of the quiet Sun within about ``blend_px`` of the hole and, deep inside it, ``level``. The texture,
    what is finer than `TEXTURE` of that, is copied from where the image, mirrored or turned about ``centre`` (x, y), is
    quiet: on a disc it has the same mu there, so that noise, granules and foreshortening are right. The same image always
    gives the same fill. Missing values stay missing.
    """
    height, width = values.shape
    seen = np.isfinite(values) & np.isfinite(level)
    known = seen & ~holes & (mu > LIMB_MU)
    beyond = np.where(known, values - level, np.float32(0))
    texture = np.where(known, beyond - _smooth(beyond, known, TEXTURE * blend_px), np.float32(np.nan))
    rows, columns = np.nonzero(holes & seen)
    fine = np.full(len(rows), np.nan, np.float32)
    for a, b, c, d in _alike():
        bare = np.flatnonzero(np.isnan(fine))
        if not len(bare):
            break
        x, y = columns[bare] - centre[0], rows[bare] - centre[1]
        u, v = np.rint(centre[0] + a * x + b * y).astype(int), np.rint(centre[1] + c * x + d * y).astype(int)
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        fine[bare[inside]] = texture[v[inside], u[inside]]
    filled = values.copy()
    filled[rows, columns] = (level + _smooth(beyond, known, blend_px))[rows, columns] + np.nan_to_num(fine)
    return filled


def _alike() -> Iterator[tuple[float, float, float, float]]:
    """Mirrors and turns of the plane, each as the rows of its matrix: first those that keep the grid of pixels."""
    yield from (
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (-1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, 1, 0),
        (0, 1, -1, 0),
        (0, -1, -1, 0),
    )
    for turn in TURNS_DEG:
        c, s = float(np.cos(np.radians(turn))), float(np.sin(np.radians(turn)))
        yield from ((c, -s, s, c), (-c, -s, -s, c))


def _smooth(beyond: Floats, known: NDArray[np.bool_], sigma: float) -> Floats:
    """``beyond`` blurred over what is known; where little of that is near, it goes to 0."""
    return blurred(beyond, sigma) / (blurred(known.astype(np.float32), sigma) + np.float32(PRIOR))


def blurred(values: Floats, sigma: float) -> Floats:
    """A Gaussian blur with ``sigma`` pixels; wide ones are computed on a coarser grid."""
    from scipy import ndimage

    coarse = max(1, int(sigma / 4))
    if coarse == 1:
        return np.asarray(ndimage.gaussian_filter(values, sigma, mode="constant"))
    height, width = values.shape
    small = Image.fromarray(values).reduce(coarse)  # a part of a cell at the edge is the mean of that part
    blurred = ndimage.gaussian_filter(np.asarray(small), sigma / coarse, mode="constant")
    box = (0, 0, width / coarse, height / coarse)
    return np.asarray(Image.fromarray(blurred).resize((width, height), Image.Resampling.BILINEAR, box=box))
