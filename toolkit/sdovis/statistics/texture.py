"""Simple measures of how a picture looks, whatever it shows: levels, contrast, the spectrum's slope, straight edges.

They notice what the features of a network may not: blank pages, noise, other contrast, pixels or patches out of order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

#: How many measures a grey picture has.
GREY = 18
#: Edges of the spectral bands, in cycles a pixel: from a few waves across the picture to the finest.
_BANDS = (0.02, 0.06, 0.15, 0.3, 0.75)
#: Levels that count as dark, and those that count as saturated.
_DARK, _SATURATED = 8, 247
#: Half a level: contrasts below it are those of rounding.
_ROUNDING = 0.5
#: Scales between which skewness is measured, and the side of the blocks in which contrast is, in pixels.
_SCALES, _BLOCK = (1.0, 2.0, 4.0), 8
#: How many boundaries between rows or columns stand for the straightest edges.
_EDGES = 6


def measures(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 18) of grey pictures (N, H, W), (N, 54) of coloured ones (N, H, W, 3), whose colours are measured apart.

    Mean; log of the standard deviation and of the share of the commonest level; roots of the shares of dark and saturated
    pixels; the log power of the finest of four bands and the steps between them; gradients over contrast, and across over
    along; the cubic root of the skewness; range; and how far the gradients across the straightest boundaries of rows or
    columns stand out of the others; skewness of finer structure at two scales; and whether bright or dark places have the
    stronger contrast. Each is finite for any picture.
    """
    if pictures.ndim == 4:
        return np.concatenate([measures(pictures[..., colour]) for colour in range(3)], axis=1)
    values = pictures.astype(np.float64)
    flat = pictures.reshape(len(pictures), -1)
    mean, spread = values.mean(axis=(1, 2)), values.std(axis=(1, 2))
    deviation = values - mean[:, None, None]
    commonest = np.array([np.bincount(each).max() for each in flat]) / flat.shape[1]
    power = _band_power(deviation)
    across, along = (np.abs(np.diff(values, axis=axis)).mean(axis=3 - axis) for axis in (2, 1))
    steep = across.mean(axis=1) + _ROUNDING, along.mean(axis=1) + _ROUNDING
    contrast = np.log(spread + _ROUNDING)
    skewness = (deviation * deviation * deviation).mean(axis=(1, 2)) / (spread + _ROUNDING) ** 3
    return np.column_stack(
        [
            mean / 255,
            contrast,
            np.log(commonest),
            np.sqrt((flat <= _DARK).mean(axis=1)),
            np.sqrt((flat >= _SATURATED).mean(axis=1)),
            power[:, :-1] - power[:, 1:],
            power[:, -1],
            np.log(steep[0]) - contrast,
            np.log(steep[0] / steep[1]),
            np.cbrt(skewness),
            np.log(np.ptp(values, axis=(1, 2)) + 1),
            np.maximum(_standing_out(across, 1), _standing_out(along, 1)),
            np.maximum(_standing_out(across, _EDGES), _standing_out(along, _EDGES)),
            *_fine_skewness(values),
            _contrast_with_level(values),
        ]
    )


def _band_power(deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 4): log of the mean power in each band, of pictures of mean 0 that fade out towards their edges."""
    height, width = deviation.shape[1:]
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(np.fft.rfft2(deviation * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    inside = [(frequency >= low) & (frequency < high) for low, high in itertools.pairwise(_BANDS)]
    # A picture of few pixels has no waves in some band: it has no power there.
    found = [power[:, band].mean(axis=1) if band.any() else np.zeros(len(power)) for band in inside]
    return np.asarray(np.log(np.stack(found, axis=1) + 1e-3 * height * width))


def _fine_skewness(values: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """(N,) for each pair of scales: the cubic root of the skewness of what is coarser than one and finer than the next."""
    from scipy.ndimage import gaussian_filter

    smooth = (gaussian_filter(values.astype(np.float32), (0, scale, scale), truncate=3.0) for scale in _SCALES)
    for fine, coarse in itertools.pairwise(smooth):
        band = fine - coarse
        band -= band.mean(axis=(1, 2), keepdims=True)
        squared = band**2
        spread = np.sqrt(squared.mean(axis=(1, 2)))
        yield np.cbrt((squared * band).mean(axis=(1, 2)) / (spread + _ROUNDING / 4) ** 3)


def _contrast_with_level(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): the correlation of level and log contrast over blocks: whether bright or dark places are the lively ones."""
    n, height, width = values.shape
    rows, columns = (max(side // _BLOCK, 1) * min(_BLOCK, side) for side in (height, width))
    blocks = values[:, :rows, :columns].reshape(n, -1, min(_BLOCK, height), max(width // _BLOCK, 1), min(_BLOCK, width))
    level = blocks.mean(axis=(2, 4)).reshape(n, -1)
    lively = np.log(blocks.std(axis=(2, 4)) + _ROUNDING).reshape(n, -1)
    level, lively = (each - each.mean(axis=1, keepdims=True) for each in (level, lively))
    return np.asarray((level * lively).mean(axis=1) / (level.std(axis=1) * lively.std(axis=1) + _ROUNDING / 4))


def _standing_out(gradients: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """(N,): log of the mean of the ``most`` largest over the median."""
    largest = np.sort(gradients, axis=1)[:, -most:].mean(axis=1)
    return np.asarray(np.log((largest + _ROUNDING) / (np.median(gradients, axis=1) + _ROUNDING)))
