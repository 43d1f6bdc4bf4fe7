"""Checks, from its pixels, whether an image shows the solar disc where it should be."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sdovis.sun.geometry import DiscFrame

LOOK_SIDE, GLANCE_SIDE = 256, 128  # pixels the image is shrunk to
GLANCE_SIGMAS, LIMB_SIGMAS = 12.0, 10.0  # a real limb is 14 to 30 standard deviations above chance; noise reaches 9
POINTING_TOLERANCE = 0.05  # of the solar radius


def pointing_problem(values: NDArray[Any], frame: DiscFrame) -> str | None:
    """Why ``values`` (H, W) do not show the disc where ``frame`` says, or None.

    Looks for the limb: edges of the high-passed image that run along a circle of the expected radius, whatever their
    sign (bright disc, bright corona, field against nothing), summed for all centres by FFT. A coarse image is enough
    if a limb stands out where it should be; every other image is examined at finer scale. Images that contain less
    than half of the expected limb cannot be judged and pass, unless they are blank.
    """
    valid = np.isfinite(values)
    if valid.all():  # archives write 0 or NaN off the disc; if there is NaN, 0 is a value
        valid = values != 0
    dark, bright = _range(values, valid)
    if not dark < bright:
        return "blank: every pixel has the same value"
    angle = np.linspace(0, 2 * math.pi, 360, endpoint=False)
    (x0, y0), radius = frame.center_px, frame.radius_px
    x, y = x0 + radius * np.cos(angle), y0 + radius * np.sin(angle)
    height, width = values.shape
    if np.mean((x >= 0) & (x < width) & (y >= 0) & (y < height)) < 0.5:
        return None
    found_x, found_y, sigmas = _limb(values, valid, dark - 1, radius, GLANCE_SIDE)
    if sigmas > GLANCE_SIGMAS and math.hypot(found_x - x0, found_y - y0) < POINTING_TOLERANCE * radius:
        return None
    found_x, found_y, sigmas = _limb(values, valid, dark - 1, radius, LOOK_SIDE)
    if sigmas < LIMB_SIGMAS:
        return "black or off-pointed: no solar limb found"
    if math.hypot(found_x - x0, found_y - y0) > POINTING_TOLERANCE * radius:
        return f"off-pointed: the disc is centred on ({found_x:.0f}, {found_y:.0f}) px, not ({x0:.0f}, {y0:.0f})"
    return None


def _range(values: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """The smallest and largest valid values; (1, 0), in reverse order, if there are none."""
    if valid.all():
        return float(values.min()), float(values.max())
    known = values[valid]
    return (float(known.min()), float(known.max())) if known.size else (1.0, 0.0)


def _limb(
    values: NDArray[Any], valid: NDArray[np.bool_], dark: float, radius: float, side: int
) -> tuple[float, float, float]:
    """Centre (x, y) of the best limb of ``radius``, and by how many standard deviations it stands out.

    A centre farther beyond an edge than the padding allows may be taken for one beyond the opposite edge.
    """
    factor = math.ceil(max(values.shape) / side)
    small = _shrunk(values, valid, dark, factor)
    n = 2 * side if side == LOOK_SIDE else fft.next_fast_len(side + math.ceil(radius / factor))
    edges = fft.fft2(_edge_direction(small), (n, n), overwrite_x=True)
    score = fft.ifft2(edges * _ring(n, round(4 * radius / factor) / 4), overwrite_x=True).real
    peak = np.unravel_index(score.argmax(), score.shape)
    # Centres may lie outside the image on either side; beyond the middle of the padding they count as negative.
    row, column = (int(i) - n if i > (n + side) / 2 else int(i) for i in peak)
    return (column + 0.5) * factor - 0.5, (row + 0.5) * factor - 0.5, float(score[peak] / score.std())


def _shrunk(values: NDArray[Any], valid: NDArray[np.bool_], dark: float, factor: int) -> NDArray[np.float32]:
    """Block means of the square root of ``values``; invalid pixels count as ``dark``, darker than all others.

    Two by two samples per block are enough, each a quarter of the block from its middle.
    """
    height, width = (side // factor * factor for side in values.shape)
    first = round((factor - 1) / 2 - factor / 4)
    total = np.zeros((height // factor, width // factor), np.float32)
    for i in (first, factor - 1 - first):
        for j in (first, factor - 1 - first):
            at = slice(i, height, factor), slice(j, width, factor)
            level = np.where(valid[at], values[at], dark).astype(np.float32)
            total += np.sign(level) * np.sqrt(np.abs(level))
    total /= 4
    return total


def _edge_direction(image: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Unit-like vectors at twice the edge's angle, so that opposite contrasts agree; weak edges count less."""
    detail = image - ndimage.gaussian_filter(image, 2.0)
    dy, dx = np.gradient(detail)
    strength = np.hypot(dx, dy)
    soft = 0.3 * math.sqrt(float((strength**2).mean())) + 1e-6
    return np.asarray(((dx + 1j * dy) / (strength + soft)) ** 2, np.complex64)


@lru_cache(maxsize=64)
def _ring(n: int, radius: float) -> NDArray[np.complex64]:
    """The conjugate transform of a limb of ``radius`` pixels around pixel (0, 0) of an n x n torus."""
    axis = fft.fftfreq(n, 1 / n)
    x, y = axis[None, :], axis[:, None]
    distance = np.hypot(x, y)
    weight = np.exp(-0.5 * ((distance - radius) / max(0.8, 0.012 * radius)) ** 2)
    normal = (x + 1j * y) / np.maximum(distance, 1)
    return np.asarray(np.conj(fft.fft2(weight / weight.sum() * normal**2)), np.complex64)
