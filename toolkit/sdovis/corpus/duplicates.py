"""Images that show the same thing: nearly equal pixels, or cutouts of the same area of the Sun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import asin, degrees

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.sun.constants import MEAN_RADIUS_ARCSEC
from sdovis.sun.rotation import synodic_rate

#: Sides, in cells, of the thumbnail that is hashed and of the block of its lowest frequencies.
THUMBNAIL, BLOCK = 32, 8
#: Hash of an image in which nothing can be compared. No other image has it: their hashes have about half their bits set.
BLANK = "0" * 16
#: A hash with fewer bits set comes from an image of a few pure frequencies, which is as good as blank.
FEWEST_BITS = 24
#: Compressing or resampling an image moves its mean by less than this many codes. Unrelated round spots with similar
#: hashes mostly differ by more.
MEAN_TOLERANCE = 1.0
#: A position is on the disc for 13.6 days: cutouts farther apart in time show it in different passages.
PASSAGE_DAYS = 14.0
#: Pairs compared at once: 4 MB per array of floats.
PAIRS = 500_000

_EPOCH = pd.Timestamp("2010-01-01", tz="UTC")

Positions = NDArray[np.intp]
#: Pairs as two arrays of positions, some pairs at a time.
Pairs = Iterator[tuple[Positions, Positions]]
#: Given positions of some rows and of others, the pairs between them.
Find = Callable[[Positions, Positions], Pairs]


def perceptual_hash(codes: NDArray[np.uint8]) -> str:
    """`perceptual_hashes` of one image (H, W) or (H, W, 3)."""
    return perceptual_hashes(codes[None])[0]


def perceptual_hashes(codes: NDArray[np.uint8]) -> list[str]:
    """64 bits of each image (N, H, W) or (N, H, W, 3) as 16 hex digits: nearly equal images differ in few bits.

    The bits say which of the 8 x 8 lowest frequencies (cosine transform of a 32 x 32 thumbnail) exceed their median:
    Zauner (2010), Implementation and benchmarking of perceptual image hash functions, section 3.2.1. `BLANK` if no two
    cells of the thumbnail differ by a code.
    """
    from scipy.fft import dctn

    small = thumbnails(codes)
    low = dctn(small, axes=(1, 2), norm="ortho")[:, :BLOCK, :BLOCK].reshape(len(codes), -1)
    bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
    blank = np.ptp(small, axis=(1, 2)) < 1
    return [BLANK if empty else row.tobytes().hex() for row, empty in zip(bits, blank, strict=True)]


def thumbnails(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means of images (N, H, W) or (N, H, W, 3) over 32 x 32 cells each, with colours averaged."""
    # Sums of whole numbers are exact in float32 up to 4096 px per side, and so the same on every machine.
    grey = codes.astype(np.float32) if codes.ndim == 3 else codes.sum(axis=3, dtype=np.float32)
    down, across = (_cells(side) for side in codes.shape[1:3])
    numbers = np.outer(down.sum(axis=0), across.sum(axis=0)).astype(np.float64) * codes[0, 0, 0].size
    return np.asarray(down.T @ (grey @ across) / numbers)


@lru_cache(maxsize=64)
def _cells(side: int) -> NDArray[np.float32]:
    """(side, 32): 1 where a pixel's centre lies in a cell; a cell smaller than a pixel gets the nearest one."""
    scale = side / THUMBNAIL
    centres = (np.arange(THUMBNAIL) + 0.5) * scale
    off = (np.arange(side)[:, None] + 0.5 - centres) / max(scale, 1.0)
    return ((off > -0.5) & (off <= 0.5)).astype(np.float32)


def footprint_deg(*, cutout_arcsec: float | None = None, cutout_deg: float | None = None) -> float | None:
    """Side of a cutout on the Sun, heliographic degrees, at the disc's centre; None for whole images."""
    if cutout_deg is not None:
        return cutout_deg
    if cutout_arcsec is None:
        return None
    return 2 * degrees(asin(min(1.0, cutout_arcsec / 2 / MEAN_RADIUS_ARCSEC)))


def near_duplicates(rows: pd.DataFrame, bits: int) -> Find:
    """Finds pairs of ``rows`` whose hashes differ in at most ``bits`` bits.

    Columns: perceptual_hash, and mean_code if known: means farther apart than `MEAN_TOLERANCE` belong to different
    images. Without the column perceptual_hash there are no pairs.
    """
    hashes = np.zeros(len(rows), np.uint64)
    if "perceptual_hash" in rows:
        texts = rows["perceptual_hash"].fillna(BLANK).replace("", BLANK)
        hashes[:] = [int(text, 16) for text in texts]
    means = rows["mean_code"].to_numpy(float) if "mean_code" in rows else np.full(len(rows), np.nan)
    comparable = np.bitwise_count(hashes) >= FEWEST_BITS

    def find(first: Positions, second: Positions) -> Pairs:
        first, second = first[comparable[first]], second[comparable[second]]
        step = max(1, PAIRS // max(1, len(second)))
        for start in range(0, len(first), step):
            some = first[start : start + step]
            i, j = np.nonzero(np.bitwise_count(hashes[some, None] ^ hashes[second]) <= bits)
            i, j = some[i], second[j]
            alike = ~(np.abs(means[i] - means[j]) > MEAN_TOLERANCE)  # an unknown mean rules nothing out
            yield i[alike], j[alike]

    return find


def overlaps(rows: pd.DataFrame, side_deg: float) -> Find:
    """Finds pairs of ``rows`` that are cutouts of ``side_deg`` sharing some of the Sun's surface.

    Both were taken in one passage over the disc (`PASSAGE_DAYS`), and one's centre, carried by differential rotation
    to the other's time, lies within ``side_deg`` of it in latitude and along the parallel in longitude. Columns:
    observed, latitude_deg, longitude_deg (Stonyhurst); rows without a position overlap nothing.
    """
    days = _days(rows["observed"])
    latitude, longitude = (
        rows[name].to_numpy(float) if name in rows else np.full(len(rows), np.nan)
        for name in ("latitude_deg", "longitude_deg")
    )
    placed = np.isfinite(latitude) & np.isfinite(longitude) & np.isfinite(days)
    rate = _rates(days, latitude, placed)
    cosine = np.cos(np.radians(latitude))

    def find(first: Positions, second: Positions) -> Pairs:
        first, second = (side[placed[side]] for side in (first, second))
        first, second = (side[np.argsort(days[side], kind="stable")] for side in (first, second))
        for start, stop in _blocks(days[first], days[second]):
            some = first[start:stop]
            begin = np.searchsorted(days[second], days[some[0]] - PASSAGE_DAYS, side="left")
            end = np.searchsorted(days[second], days[some[-1]] + PASSAGE_DAYS, side="right")
            near = second[begin:end]
            later = days[near] - days[some, None]
            moved = longitude[some, None] + (rate[some, None] + rate[near]) / 2 * later
            shared = (np.abs(later) <= PASSAGE_DAYS) & (np.abs(latitude[some, None] - latitude[near]) < side_deg)
            shared &= np.abs(moved - longitude[near]) * np.minimum(cosine[some, None], cosine[near]) < side_deg
            i, j = np.nonzero(shared)
            yield some[i], near[j]

    return find


def _days(times: pd.Series) -> NDArray[np.float64]:
    # From a fixed day, so that a pair of rows gives the same numbers whatever other rows there are.
    return np.asarray((times - _EPOCH) / pd.Timedelta(days=1), dtype=np.float64)


def _rates(days: NDArray[np.float64], latitude: NDArray[np.float64], placed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Synodic rotation, degrees per day, at each position at the beginning of its day."""
    rate = np.full(len(days), np.nan)
    whole = np.floor(days)
    order = np.flatnonzero(placed)[np.argsort(whole[placed], kind="stable")]
    of_day, starts = np.unique(whole[order], return_index=True)
    for day, rows in zip(of_day, np.split(order, starts)[1:], strict=True):
        rate[rows] = synodic_rate(latitude[rows], (_EPOCH + pd.Timedelta(days=float(day))).to_pydatetime())
    return rate


def _blocks(days: NDArray[np.float64], others: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Ranges of ``days`` (sorted) with at most `PAIRS` pairs with the ``others`` of their passages."""
    begin = np.searchsorted(others, days - PASSAGE_DAYS, side="left")
    end = np.searchsorted(others, days + PASSAGE_DAYS, side="right")
    start = 0
    while start < len(days):
        pairs = (np.arange(start, len(days)) - start + 1) * (end[start:] - begin[start])
        stop = start + max(1, int(np.searchsorted(pairs, PAIRS, side="right")))
        yield start, stop
        start = stop
