"""Changes of a picture that keep its label: flips, quarter turns, reversed polarity.

Every draw comes from (seed, epoch, index) and from nothing else, so that a picture looks the same however many workers
or processes there are, and after an interrupted epoch is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem, nearest

Pixels = NDArray[np.uint8]

#: In the order in which they are drawn and applied.
NAMES = ("flip_ns", "flip_ew", "rotate90", "polarity")


def chosen(names: Iterable[str], *, signed: bool) -> tuple[str, ...]:
    """The augmentations to apply, in their fixed order; reversed polarity only for a ``signed`` channel.

    Raises `BadInput` for a name that is not one of `NAMES`.
    """
    wanted = set(names)
    unknown = [Problem(f"augmentation {name!r} is unknown", nearest(name, NAMES)) for name in sorted(wanted - {*NAMES})]
    if unknown:
        raise BadInput(unknown)
    return tuple(name for name in NAMES if name in wanted and (signed or name != "polarity"))


def augmented(picture: Pixels, names: tuple[str, ...], *, seed: int, epoch: int, index: int) -> Pixels:
    """A copy of a square picture (S, S) or (S, S, 3), north up, each augmentation of ``names`` applied or not.

    A flip and the reversal of polarity are each applied with probability 1/2, ``rotate90`` by 0, 1, 2 or 3 quarters.
    """
    rng = np.random.default_rng((seed, epoch, index))
    for name in names:
        picture = apply(picture, name, int(rng.integers(4 if name == "rotate90" else 2)))
    return np.ascontiguousarray(picture)


def apply(picture: Pixels, name: str, times: int) -> Pixels:
    """``picture`` with the one augmentation applied ``times`` times."""
    if name == "rotate90":
        return np.rot90(picture, times)
    if times % 2 == 0:
        return picture
    if name == "flip_ns":
        return picture[::-1]
    if name == "flip_ew":
        return picture[:, ::-1]
    if name == "polarity":
        # A signed channel codes 0 G as 128 and "missing" as 0: modulo 256, 256 - code keeps both.
        return np.negative(picture)
    raise ValueError(f"no augmentation {name!r}")
