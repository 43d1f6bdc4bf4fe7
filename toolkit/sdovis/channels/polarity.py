"""Simple measures of the magnetic field in a cutout: a baseline that an image classifier has to beat.

All are the same for B and -B, and for a cutout and its mirror image. Fields are taken to be radial: B = B_los / mu (Leka,
Barnes & Wagner 2017, Solar Physics 292, 36). Where a channel's unit is not gauss, they are in that unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are used
from numpy.typing import NDArray

from sdovis.channels.channel import Contrast
from sdovis.channels.surface import LEAST_MU, Surface
from sdovis.sun.constants import NOMINAL_RADIUS_M

#: Knots of strong field this near to one of the other polarity may share a penumbra: the delta configuration (Künzel
#: 1960, Astronomische Nachrichten 285, 271) in NOAA's usage.
PAIR_DEG = 2.0
#: Degrees of a great circle in a megametre.
DEG_PER_MM = float(np.degrees(1e6 / NOMINAL_RADIUS_M))
#: Full width at half maximum of the weights around a neutral line, megametres: Schrijver (2007).
SCHRIJVER_MM = 15.0
#: The field is smoothed by this much before its spots and its neutral line are drawn, and by this much before the
#: polarities are compared, megametres.
SMOOTH_MM, CLOSE_MM = 2.0, 8.0
#: Knots of less are not counted, millionths of a solar hemisphere.
SMALLEST_MSH = 3.0
#: What lies within this distance of a region's place is most likely its own, degrees.
NEAR_DEG = 5.0
#: Umbrae are beyond this multiple of the field of knots.
UMBRAL = 1.4

MEASURES = (
    "unsigned flux", "stronger flux", "weaker flux", "flux imbalance", "plage area",
    "stronger knots' area", "weaker knots' area", "stronger umbral area", "weaker umbral area",
    "knots", "weaker polarity's knots", "largest knot", "largest opposite knot", "opposite pairs",
    "flux nearby", "stronger knots' area nearby", "weaker knots' area nearby",
    "neutral line", "steep neutral line", "Schrijver's R", "closest opposites", "effective distance", "mixing",
)  # fmt: skip


def measures(field: NDArray[Any], surface: Surface, contrast: Contrast) -> NDArray[np.float64]:
    """The `MEASURES` of a (H, W) line-of-sight field; NaN is missing. ``contrast`` says what stands out of the noise.

    Of two polarities the stronger is that with more of the quantity; areas are in millionths of a hemisphere.

    - The unsigned flux, that of the stronger and of the weaker polarity (unit times millionths of a hemisphere), and their
      difference over their sum, of pixels beyond ``contrast.weak``; the area of these.
    - The area of each polarity in knots (beyond ``contrast.strong``) and in umbrae (`UMBRAL` times that) of the field
      smoothed by `SMOOTH_MM`.
    - The number of knots of at least `SMALLEST_MSH` and of those of the polarity that has fewer; the largest knot's area and
      that of the largest of the other polarity; the number of pairs of knots of opposite polarity whose centres lie within
      `PAIR_DEG` of each other.
    - Flux and areas of knots within `NEAR_DEG` of the cutout's centre.
    - The neutral line: `neutral_line`. Schrijver's R: `schrijver_r`. How strong the weaker polarity is, smoothed by
      `CLOSE_MM`, where it and the other are both strongest.
    - The sum of the radii of circles of the polarities' areas over the distance of their centres, at most 10: Guo et al.
      (2006, Solar Physics 237, 25). The least share of flux on the wrong side of a straight line: `mixing`.
    """
    seen = np.isfinite(field) & (surface.area_msh > 0)
    sight = np.where(seen, field, 0.0)
    area = np.where(seen, surface.area_msh, 0.0)
    radial = sight / np.clip(np.where(seen, surface.mu, 1.0), LEAST_MU, 1.0)
    flux = np.where(np.abs(sight) > contrast.weak, radial, 0.0) * area
    of_sign = sorted((float(np.abs(flux[sign]).sum()) for sign in (flux > 0, flux < 0)), reverse=True)
    near = np.where(seen, np.hypot(surface.west_deg, surface.north_deg), np.inf) < NEAR_DEG
    smooth = scipy.ndimage.gaussian_filter(sight, max(SMOOTH_MM * DEG_PER_MM / surface.step_deg, 0.5))
    knots = [_knots(sign * sight > contrast.strong, area, surface) for sign in (1, -1)]
    largest = sorted((float(sizes.max(initial=0.0)) for _, sizes in knots), reverse=True)
    counts = [len(sizes) for _, sizes in knots]
    apart = np.hypot(*(knots[0][0][:, None] - knots[1][0][None]).T)
    close = [
        scipy.ndimage.gaussian_filter(np.maximum(sign * sight, 0), CLOSE_MM * DEG_PER_MM / surface.step_deg)
        for sign in (1, -1)
    ]
    total = sum(of_sign)
    return np.array(
        [
            total, *of_sign, (of_sign[0] - of_sign[1]) / total if total else 0.0, area[flux != 0].sum(),
            *_areas(smooth, contrast.strong, area), *_areas(smooth, UMBRAL * contrast.strong, area),
            sum(counts), min(counts), *largest, np.sum(apart < PAIR_DEG),
            np.abs(flux[near]).sum(), *_areas(sight, contrast.strong, area * near),
            *neutral_line(radial, surface, contrast.weak), schrijver_r(radial, surface, 3 * contrast.weak),
            np.minimum(*close).max(), _effective_distance(flux, area, surface), mixing(flux, surface),
        ]
    )  # fmt: skip


def _areas(field: NDArray[np.float64], limit: float, area: NDArray[np.float64]) -> list[float]:
    """The area beyond ``limit`` of the polarity that has more of it, and of the other."""
    return sorted((float(area[sign * field > limit].sum()) for sign in (1, -1)), reverse=True)


def _effective_distance(flux: NDArray[np.float64], area: NDArray[np.float64], surface: Surface) -> float:
    centres, radii = [], 0.0
    for sign in (flux > 0, flux < 0):
        if not sign.any():
            return 0.0
        weights = np.abs(flux[sign])
        centres.append([np.average(axis[sign], weights=weights) for axis in (surface.west_deg, surface.north_deg)])
        radii += float(np.degrees(np.sqrt(2e-6 * area[sign].sum())))  # pi r² = area of 2e-6 pi steradians
    apart = float(np.hypot(*np.subtract(centres[0], centres[1])))
    return min(radii / max(apart, surface.step_deg), 10.0)


def _knots(
    strong: NDArray[np.bool_], area: NDArray[np.float64], surface: Surface
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The centres (K, 2) of connected strong fields of one polarity, degrees west and north, and their areas (K,)."""
    labels, count = scipy.ndimage.label(strong & (area > 0), np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), area.ravel(), count + 1)
    numbers = np.flatnonzero(sizes[1:] >= SMALLEST_MSH) + 1
    centres = [scipy.ndimage.mean(axis, labels, numbers) for axis in (surface.west_deg, surface.north_deg)]
    return np.asarray(centres, float).reshape(2, -1).T, np.asarray(sizes[numbers], float)


def neutral_line(radial: NDArray[np.float64], surface: Surface, weak: float) -> tuple[float, float]:
    """Length of the strong-field neutral line, degrees, and the field's change across a degree summed along it.

    After Falconer, Moore & Gary (2003, J. Geophys. Res. 108, 1380), with the field's own gradient in place of the
    transverse field's: the line runs between neighbouring pixels of opposite sign of which each, smoothed by `SMOOTH_MM`,
    exceeds a quarter of ``weak`` and one has ``weak`` within that distance. A curve crosses 4 / pi lines of a square grid
    for each step of its length, whatever its direction (Cauchy's formula).
    """
    smooth = scipy.ndimage.gaussian_filter(radial, max(SMOOTH_MM * DEG_PER_MM / surface.step_deg, 0.5))
    near = scipy.ndimage.maximum_filter(np.abs(smooth), 3) > weak
    length = steep = 0.0
    for axis in (0, 1):
        first, second = (np.take(smooth, range(k, smooth.shape[axis] - 1 + k), axis) for k in (0, 1))
        close = np.logical_or(*(np.take(near, range(k, smooth.shape[axis] - 1 + k), axis) for k in (0, 1)))
        crossed = (first * second < 0) & close & (np.minimum(np.abs(first), np.abs(second)) > weak / 4)
        length += np.pi / 4 * surface.step_deg * crossed.sum()
        steep += np.pi / 4 * np.abs(first - second)[crossed].sum()
    return float(length), float(steep)


def schrijver_r(radial: NDArray[np.float64], surface: Surface, strong: float) -> float:
    """log10 of 1 plus the unsigned flux near strong-gradient neutral lines: R of Schrijver (2007, ApJ 655, L117).

    Masks of fields beyond ``strong`` (150 G there) of either sign are grown by a pixel; where they overlap is the line;
    the unsigned flux is weighted with a Gaussian of `SCHRIJVER_MM` around it, which is 1 on the line.
    """
    ring = np.ones((3, 3), bool)
    line = scipy.ndimage.binary_dilation(radial > strong, ring) & scipy.ndimage.binary_dilation(radial < -strong, ring)
    if not line.any():
        return 0.0
    sigma = SCHRIJVER_MM * DEG_PER_MM / surface.step_deg / (2 * np.sqrt(2 * np.log(2)))
    weights = np.exp(-(scipy.ndimage.distance_transform_edt(~line) ** 2) / (2 * sigma**2))
    return float(np.log10(1 + (np.abs(radial) * surface.area_msh * weights).sum()))


def mixing(flux: NDArray[np.float64], surface: Surface) -> float:
    """The least share of either polarity's flux on the wrong side of a straight line, from 0 (bipolar) to 0.5 (mixed).

    A beta group can be divided by a simple line between its polarities, a gamma group cannot (Hale et al. 1919, ApJ 49,
    153). Both polarities count the same, however much flux they have. Without one of them it is 0.
    """
    held = flux != 0
    signed, west, north = flux[held], surface.west_deg[held], surface.north_deg[held]
    shares = [np.where(signed * sign > 0, np.abs(signed), 0.0) for sign in (1, -1)]
    if not all(share.sum() > 0 for share in shares):
        return 0.0
    least = 0.5
    for angle in np.linspace(0, np.pi, 12, endpoint=False):
        along = west * np.cos(angle) + north * np.sin(angle)
        order = np.argsort(along, kind="stable")
        between = np.append(
            np.diff(along[order]) > surface.step_deg / 100, True
        )  # a line does not divide a row of pixels
        one, other = (np.cumsum(share[order])[between] / share.sum() for share in shares)
        wrong = (one + 1 - other) / 2  # the first polarity on this side, the second on that
        least = min(least, float(wrong.min()), float(1 - wrong.max()))
    return least
