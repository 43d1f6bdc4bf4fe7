"""Where the solar disc is in an image, judged from its pixels: whether it is where it should be, or where it is at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are used
from numpy.typing import NDArray

from sdovis.sun.geometry import DiscFrame

LOOK_SIDE, GLANCE_SIDE = 256, 128  # pixels the image is shrunk to
GLANCE_SIGMAS, LIMB_SIGMAS = 12.0, 10.0  # a real limb is 14 to 30 standard deviations above chance; noise reaches 9
POINTING_TOLERANCE = 0.05  # of the solar radius
DISC_SHARE = (0.25, 0.75)  # radii looked for where none is expected, as shares of the shorter side
RAYS = 720
#: How far around the first guess the limb is looked for, and how well a ray has to agree: shares of the radius.
RAY_REACH, RAY_AGREES = 0.06, 0.015


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


@dataclass(frozen=True)
class Limb:
    """The circle that the limb draws in an image: ``center_px`` is (x, y), and the first pixel is 0."""

    center_px: tuple[float, float]
    radius_px: float


def limb(values: NDArray[Any]) -> Limb | None:
    """The limb in ``values`` (H, W), wherever it is; None where no disc stands out.

    The disc may be anywhere as long as half of its limb is seen and its radius is within `DISC_SHARE`. Circles of all
    such radii are tried on a coarse image; then the steepest point is found on each of `RAYS` rays around the best, in
    the image itself, and a circle is fitted to the points that agree (Kasa 1976, IEEE Trans. Instrum. Meas. 25, 8). On
    drawn discs the result is right to 0.2 pixels. The corona has no sharp edge: there the radius may be wrong by 1 %.
    """
    valid = np.isfinite(values)
    if valid.all():
        valid = values != 0
    dark, bright = _range(values, valid)
    factor = math.ceil(max(values.shape) / GLANCE_SIDE)
    if not dark < bright or min(values.shape) < 16 * factor:
        return None
    sky = min(dark - 1, 0.0)  # darker than the disc by as much as can be, so that its edge is the steepest place
    edges = _edges(values, valid, sky, factor, 2 * GLANCE_SIDE)
    shortest, longest = (share * min(values.shape) for share in DISC_SHARE)
    tried = (
        (_best(edges, radius, factor, GLANCE_SIDE), radius) for radius in np.arange(shortest, longest, factor).tolist()
    )
    (x, y, sigmas), radius = max(tried, key=lambda found: found[0][2])
    if sigmas < GLANCE_SIGMAS:
        return None
    level = _level(values, valid, sky)
    first = _fitted(level, Limb((x, y), radius))
    return first and _fitted(level, first)  # from the right circle every ray meets the limb at the same distance


def _fitted(level: NDArray[np.float32], near: Limb) -> Limb | None:
    """The circle through the steepest points around ``near``; None if fewer than half of the rays agree on one."""
    angle = np.linspace(0, 2 * math.pi, RAYS, endpoint=False)[:, None]
    reach = max(RAY_REACH * near.radius_px, 4.0)
    distance = np.arange(near.radius_px - reach, near.radius_px + reach, 0.25)[None, :]
    x, y = near.center_px[0] + distance * np.cos(angle), near.center_px[1] + distance * np.sin(angle)
    height, width = level.shape
    seen = ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).all(axis=1)
    if seen.mean() < 0.5:
        return None
    rays = scipy.ndimage.map_coordinates(level, [y[seen], x[seen]], order=1, mode="nearest")
    steep = np.abs(scipy.ndimage.gaussian_filter1d(rays, 4.0, axis=1, order=1, mode="nearest"))  # over a pixel
    at = steep.argmax(axis=1)
    px, py = x[seen, at], y[seen, at]
    agrees = steep.max(axis=1) > 0
    circle = near
    for _ in range(5):
        if agrees.mean() < 0.5:
            return None
        of = np.stack([px, py, np.ones_like(px)], axis=1)[agrees]
        a, b, c = np.linalg.lstsq(of, (px**2 + py**2)[agrees], rcond=None)[0]
        circle = Limb((float(a / 2), float(b / 2)), float(math.sqrt(c + (a**2 + b**2) / 4)))
        off = np.hypot(px - circle.center_px[0], py - circle.center_px[1]) - circle.radius_px
        spread = float(np.median(np.abs(off)))
        agrees = np.abs(off) < np.clip(3 * spread, 1.0, max(1.0, RAY_AGREES * circle.radius_px))
    return circle


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
    n = 2 * side if side == LOOK_SIDE else scipy.fft.next_fast_len(side + math.ceil(radius / factor))
    return _best(_edges(values, valid, dark, factor, n), radius, factor, side)


def _edges(values: NDArray[Any], valid: NDArray[np.bool_], dark: float, factor: int, n: int) -> NDArray[np.complex64]:
    """The transform, (n, n), of the edges in ``values`` shrunk by ``factor``."""
    return np.asarray(scipy.fft.fft2(_edge_direction(_shrunk(values, valid, dark, factor)), (n, n), overwrite_x=True))


def _best(edges: NDArray[np.complex64], radius: float, factor: int, side: int) -> tuple[float, float, float]:
    """What `_limb` says, of the transformed ``edges``."""
    n = len(edges)
    score = scipy.fft.ifft2(edges * _ring(n, round(4 * radius / factor) / 4), overwrite_x=True).real
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
            total += _level(values[at], valid[at], dark)
    total /= 4
    return total


def _level(values: NDArray[Any], valid: NDArray[np.bool_], dark: float) -> NDArray[np.float32]:
    """The signed square root of ``values``, in which a faint limb stands out beside bright pixels."""
    level = np.where(valid, values, dark).astype(np.float32)
    return np.asarray(np.sign(level) * np.sqrt(np.abs(level)))


def _edge_direction(image: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Unit-like vectors at twice the edge's angle, so that opposite contrasts agree; weak edges count less."""
    detail = image - scipy.ndimage.gaussian_filter(image, 2.0)
    dy, dx = np.gradient(detail)
    strength = np.hypot(dx, dy)
    soft = 0.3 * math.sqrt(float((strength**2).mean())) + 1e-6
    return np.asarray(((dx + 1j * dy) / (strength + soft)) ** 2, np.complex64)


@lru_cache(maxsize=64)
def _ring(n: int, radius: float) -> NDArray[np.complex64]:
    """The conjugate transform of a limb of ``radius`` pixels around pixel (0, 0) of an n x n torus."""
    axis = scipy.fft.fftfreq(n, 1 / n)
    x, y = axis[None, :], axis[:, None]
    distance = np.hypot(x, y)
    weight = np.exp(-0.5 * ((distance - radius) / max(0.8, 0.012 * radius)) ** 2)
    normal = (x + 1j * y) / np.maximum(distance, 1)
    return np.asarray(np.conj(scipy.fft.fft2(weight / weight.sum() * normal**2)), np.complex64)
