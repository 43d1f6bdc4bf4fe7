"""Changes of a picture that keep its label: flips, turns, reversed polarity.

Every draw comes from (seed, epoch, index) and from nothing else, so that a picture looks the same however many workers
or processes there are, and after an interrupted epoch is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sdovis.sun.augmentations import NAMES

Pixels = NDArray[np.uint8]

#: A turn by any angle is drawn in tenths of a degree: finer than the pixels of 224 px tell apart.
TENTHS = 3600


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` in the order in which they are drawn and applied. ValueError for one that is not known."""
    wanted = set(names)
    if unknown := sorted(wanted - {*NAMES}):
        raise ValueError(f"no augmentation {unknown[0]!r}")
    return tuple(name for name in NAMES if name in wanted)


def augmented(
    picture: Pixels, names: tuple[str, ...], *, seed: int, epoch: int, index: int, signed: Sequence[bool] = (True,)
) -> Pixels:
    """A copy of a square picture (S, S) or (S, S, 3), north up, each augmentation of ``names`` applied or not.

    A flip and the reversal of polarity are each applied with probability 1/2, ``rotate90`` by 0, 1, 2 or 3 quarters;
    half of the pictures are turned by ``rotate_any``, by an angle drawn evenly. The others keep their corners, as the
    pictures that are classified later have them.
    ``signed`` says which colours hold a polarity: one for all of them, or one for each.
    """
    rng = np.random.default_rng((seed, epoch, index))
    for name in names:
        picture = apply(picture, name, _times(name, rng), signed)
    return np.ascontiguousarray(picture)


def _times(name: str, rng: np.random.Generator) -> int:
    if name == "rotate_any":
        return int(rng.integers(2)) * int(rng.integers(TENTHS))
    return int(rng.integers(4 if name == "rotate90" else 2))


def apply(picture: Pixels, name: str, times: int, signed: Sequence[bool] = (True,)) -> Pixels:
    """``picture`` with the one augmentation applied ``times`` times, counterclockwise.

    Once is a quarter for ``rotate90`` and a tenth of a degree for ``rotate_any``; a polarity is that of the ``signed``
    colours.
    """
    if name == "rotate90":
        return np.rot90(picture, times)
    if name == "rotate_any":
        return _turned(picture, times % TENTHS)
    if times % 2 == 0:
        return picture
    if name == "flip_ns":
        return picture[::-1]
    if name == "flip_ew":
        return picture[:, ::-1]
    if name == "polarity":
        # A signed channel codes 0 G as 128 and "missing" as 0: modulo 256, 256 - code keeps both.
        return np.where(signed, np.negative(picture), picture)
    raise ValueError(f"no augmentation {name!r}")


def _turned(picture: Pixels, tenths: int) -> Pixels:
    """``picture`` turned about its middle; what turns in from outside is code 0, which is "missing" or black.

    Each pixel is the nearest one of the original. Codes are no linear scale and 0 is no value, so that a mean of codes
    is none of their field; and a mean of any kind lowers the noise, by which a network could tell training from test.
    """
    if tenths == 0:
        return picture
    side = picture.shape[0]
    angle = 2 * np.pi * tenths / TENTHS
    # From the middle, in pixels: of even sides these are halves, exact in binary.
    along = np.arange(side) - (side - 1) / 2
    x, y = along[None, :], along[:, None]
    column = np.rint(np.cos(angle) * x - np.sin(angle) * y + (side - 1) / 2).astype(np.intp)
    row = np.rint(np.sin(angle) * x + np.cos(angle) * y + (side - 1) / 2).astype(np.intp)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    turned = picture.reshape(side * side, -1).take(np.where(inside, row * side + column, 0), axis=0)
    turned[~inside] = 0
    return turned.reshape(picture.shape)
