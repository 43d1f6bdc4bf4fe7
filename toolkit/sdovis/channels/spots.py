"""Simple measures of the sunspots in a continuum image: a baseline that an image classifier has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are used
from numpy.typing import NDArray

from sdovis.channels.surface import Surface, unknown

#: Fractions of the quiet Sun's intensity below which a pixel is spot or umbra: the first between the granules' contrast
#: (a few per cent) and the penumbra's mean (0.8), the second between penumbra and umbra (e.g. Watson et al. 2009, Solar
#: Phys. 260, 5).
SPOT, UMBRA = 0.9, 0.65
#: The sky is darker than any umbra.
SKY = 0.05
#: Nearer the limb nothing is measured: an error of a pixel in the disc's place is a dark ring there.
NEAR_LIMB_MU = 0.15
#: Spots of fewer pixels are pores or noise and are not counted.
SMALLEST_PX = 4

MEASURES = ("spot area", "umbral area", "spots", "umbrae", "largest spot", "darkest", "extent", "elongation")


def measures(intensity: NDArray[Any], surface: Surface | None = None) -> NDArray[np.float64]:
    """The `MEASURES` of (H, W) intensities in any linear or nearly linear unit; NaN is missing.

    Spot and umbral area in millionths of a solar hemisphere, corrected for foreshortening; the numbers of spots and of
    umbrae; the largest spot's share of the spot area; the lowest intensity relative to the quiet Sun's; the spots' r.m.s.
    distance from their centroid along the longest axis, in degrees of a great circle; and its ratio to the distance across
    that axis. Without spots, all but "darkest" are 0. Without a ``surface`` that of `surface.unknown`.
    """
    values = np.asarray(intensity, dtype=np.float64)
    ground = surface or unknown((values.shape[0], values.shape[1]))
    ratio = _over_quiet_sun(np.where(ground.mu > NEAR_LIMB_MU, values, np.nan), ground.mu)
    labels, kept = _spots((ratio < SPOT) & (ground.area_msh > 0))  # False for NaN
    dark = kept[labels]
    finite = ratio[np.isfinite(ratio)]
    darkest = float(finite.min()) if finite.size else 1.0
    areas = np.bincount(labels[dark], ground.area_msh[dark], len(kept))
    if not areas.sum() > 0:
        return np.array([0, 0, 0, 0, 0, darkest, 0, 0])
    umbra = dark & (ratio < UMBRA)
    along, across = _axes(dark, ground)
    umbrae = scipy.ndimage.label(umbra, structure=np.ones((3, 3)))[1]
    total = areas.sum()
    umbral = ground.area_msh[umbra].sum()
    return np.array([total, umbral, kept.sum(), umbrae, areas.max() / total, darkest, along, along / across])


def _spots(dark: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The number of the spot that each pixel belongs to, and for each number whether it is large enough; 0 never is."""
    labels, count = scipy.ndimage.label(dark, structure=np.ones((3, 3)))
    kept = np.bincount(labels.ravel(), minlength=count + 1) >= SMALLEST_PX
    kept[0] = False
    return labels, kept


def _over_quiet_sun(values: NDArray[np.float64], mu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratio to the quiet Sun, whose limb darkening within the image is fitted to what is not dark.

    It is a cubic in mu on a slope or, where mu is not known, a quadratic surface.
    """
    y, x = (axis / max(values.shape) for axis in np.indices(values.shape, dtype=np.float64))
    known = np.nan_to_num(mu)
    curved = (x * x, x * y, y * y) if (mu == 1).all() else (known, known**2, known**3)
    terms = np.stack([np.ones_like(x), x, y, *curved], axis=-1)
    quiet = np.isfinite(values) & (values > 0)
    ratio = np.full(values.shape, np.nan)
    for _ in range(3):  # each time without the spots found so far
        if quiet.sum() < 2 * terms.shape[-1]:
            break
        found, *_ = np.linalg.lstsq(terms[quiet], values[quiet], rcond=None)
        surface = terms @ found
        ratio = np.divide(values, surface, out=np.full(values.shape, np.nan), where=(surface > 0) & (values > 0))
        ratio[ratio < SKY] = np.nan
        quiet = np.nan_to_num(ratio) > SPOT
    return ratio


def _axes(dark: NDArray[np.bool_], ground: Surface) -> tuple[float, float]:
    """R.m.s. distances of the dark pixels from their centroid along the principal axes, degrees; each pixel is a square."""
    places = np.stack([ground.west_deg[dark], ground.north_deg[dark]])
    spread = np.cov(places, aweights=ground.area_msh[dark], bias=True) + np.eye(2) / 12 * ground.step_deg**2
    across, along = np.sqrt(np.linalg.eigvalsh(spread))
    return float(along), float(across)
