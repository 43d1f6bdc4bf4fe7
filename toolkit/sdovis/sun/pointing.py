"""Does an image show the solar disc where it should? Found by looking at it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sdovis.sun.geometry import DiscFrame

POINTING_SIDE = 256
LIMB_SIGMAS = 10.0  # a real limb stands 20 to 30 standard deviations above chance, noise reaches 5
POINTING_TOLERANCE = 0.05  # of the solar radius


def pointing_problem(values: NDArray[Any], frame: DiscFrame) -> str | None:
    """Why ``values`` (H, W) do not show the disc where ``frame`` says, or None.

    Looks for the limb: edges of the high-passed image that run along a circle of the expected radius, whatever their
    sign (bright disc, bright corona, field against nothing), summed for all centres by FFT. Images that hold less
    than half of the expected limb cannot be judged and pass, unless they are blank.
    """
    valid = np.isfinite(values)
    if valid.all():  # archives write 0 or nan off the disc; where there is nan, 0 is a value
        valid = values != 0
    if not valid.any() or np.ptp(values[valid]) == 0:
        return "blank: every pixel has the same value"
    angle = np.linspace(0, 2 * math.pi, 360, endpoint=False)
    (x0, y0), radius = frame.center_px, frame.radius_px
    x, y = x0 + radius * np.cos(angle), y0 + radius * np.sin(angle)
    height, width = values.shape
    if np.mean((x >= 0) & (x < width) & (y >= 0) & (y < height)) < 0.5:
        return None
    factor = math.ceil(max(height, width) / POINTING_SIDE)
    small = _shrunk(values, valid, factor)
    n = 2 * POINTING_SIDE
    edges = fft.fft2(_edge_direction(small), (n, n))
    score = fft.ifft2(edges * _ring(n, round(radius / factor, 1))).real
    peak = np.unravel_index(score.argmax(), score.shape)
    # Centres may lie outside of the image on either side; beyond the middle of the padding they count as negative.
    row, column = (int(i) - n if i > (n + POINTING_SIDE) / 2 else int(i) for i in peak)
    if score[peak] < LIMB_SIGMAS * score.std():
        return "black or off-pointed: no solar limb is to be seen"
    found_x, found_y = ((i + 0.5) * factor - 0.5 for i in (column, row))
    if math.hypot(found_x - x0, found_y - y0) > POINTING_TOLERANCE * radius:
        return f"off-pointed: the disc is centred on ({found_x:.0f}, {found_y:.0f}) px, not on ({x0:.0f}, {y0:.0f})"
    return None


def _shrunk(values: NDArray[Any], valid: NDArray[np.bool_], factor: int) -> NDArray[np.float32]:
    """Block means of the square root of ``values``; what is not valid counts as darker than all others."""
    dark = np.float32(values[valid].min()) - 1
    level = np.where(valid, values, dark).astype(np.float32)
    level = np.sign(level) * np.sqrt(np.abs(level))
    height, width = (side // factor * factor for side in level.shape)
    blocks = level[:height, :width].reshape(height // factor, factor, width // factor, factor)
    shrunk: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return shrunk


def _edge_direction(image: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Unit-like vectors at twice the edge's angle, so that opposite contrasts agree; weak edges count less."""
    detail = image - ndimage.gaussian_filter(image, 2.0)
    dy, dx = np.gradient(detail)
    strength = np.hypot(dx, dy)
    soft = 0.3 * math.sqrt(float((strength**2).mean())) + 1e-6
    return np.asarray(((dx + 1j * dy) / (strength + soft)) ** 2, np.complex64)


@lru_cache(maxsize=64)
def _ring(n: int, radius: float) -> NDArray[np.complex64]:
    """The conjugate transform of a limb of ``radius`` pixels about pixel (0, 0) of an n x n torus."""
    axis = fft.fftfreq(n, 1 / n)
    x, y = axis[None, :], axis[:, None]
    distance = np.hypot(x, y)
    weight = np.exp(-0.5 * ((distance - radius) / max(0.8, 0.012 * radius)) ** 2)
    normal = (x + 1j * y) / np.maximum(distance, 1)
    return np.asarray(np.conj(fft.fft2(weight / weight.sum() * normal**2)), np.complex64)
