"""Simple measures of the sunspots in a continuum image: a baseline that an image classifier has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Fractions of the quiet Sun's intensity below which a pixel is spot or umbra: the first between the granules' contrast
#: (a few per cent) and the penumbra's mean (0.8), the second between penumbra and umbra (e.g. Watson et al. 2009, Solar
#: Phys. 260, 5).
SPOT, UMBRA = 0.9, 0.65
#: The sky is darker than any umbra.
SKY = 0.05
#: Spots of fewer pixels are pores or noise and are not counted.
SMALLEST_PX = 4

MEASURES = ("spot area", "umbral area", "spots", "largest spot", "darkest", "extent", "elongation")


def measures(intensity: NDArray[Any]) -> NDArray[np.float64]:
    """The `MEASURES` of (H, W) intensities in any linear or nearly linear unit; NaN is missing.

    Spot and umbral area as shares of the image; the number of spots; the largest spot's share of the spot area; the
    lowest intensity relative to the quiet Sun's; the spots' r.m.s. distance from their centroid along the longest axis,
    in units of the image's longer side; and its ratio to the distance across that axis. Without spots, all but
    "darkest" are 0.
    """
    ratio = _over_quiet_sun(np.asarray(intensity, dtype=np.float64))
    dark = ratio < SPOT  # False for NaN
    labels, count = ndimage.label(dark, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    dark &= (sizes >= SMALLEST_PX)[labels]
    sizes = sizes[sizes >= SMALLEST_PX]
    finite = ratio[np.isfinite(ratio)]
    darkest = float(finite.min()) if finite.size else 1.0
    if not len(sizes):
        return np.array([0, 0, 0, 0, darkest, 0, 0])
    along, across = _axes(dark)
    shares = dark.mean(), float(np.mean(dark & (ratio < UMBRA)))
    return np.array([*shares, len(sizes), sizes.max() / sizes.sum(), darkest, along / max(ratio.shape), along / across])


def _over_quiet_sun(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratio to the quiet Sun, whose limb darkening within the image is a quadratic surface fitted to what is not dark."""
    y, x = (axis / max(values.shape) for axis in np.indices(values.shape, dtype=np.float64))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
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


def _axes(dark: NDArray[np.bool_]) -> tuple[float, float]:
    """R.m.s. distances of the dark pixels from their centroid along the principal axes, pixels; each pixel is a square."""
    pixels = np.argwhere(dark).astype(np.float64)
    spread = np.cov(pixels, rowvar=False, bias=True) + np.eye(2) / 12
    across, along = np.sqrt(np.linalg.eigvalsh(spread))
    return float(along), float(across)
