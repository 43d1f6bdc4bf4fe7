"""Changes of a picture that keep its label: flips, turns, reversed polarity; a batch at a time, where the network is.

Every draw comes from (seed, epoch, index) and from nothing else, so that a picture looks the same however many workers
or processes there are, in batches of any size, and after an interrupted epoch is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdovis.sun.augmentations import NAMES

if TYPE_CHECKING:
    import torch

Draws = NDArray[np.int16]

#: A turn by any angle is drawn in tenths of a degree: finer than the pixels of 224 px tell apart.
TENTHS = 3600


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` in the order in which they are drawn and applied. ValueError for one that is not known."""
    wanted = set(names)
    if unknown := sorted(wanted - {*NAMES}):
        raise ValueError(f"no augmentation {unknown[0]!r}")
    return tuple(name for name in NAMES if name in wanted)


def drawn(names: tuple[str, ...], *, seed: int, epoch: int, indices: Sequence[int]) -> Draws:
    """How often each of ``names`` is applied to each picture, (len(indices), len(names)).

    A flip and the reversal of polarity are each applied with probability 1/2, ``rotate90`` by 0, 1, 2 or 3 quarters;
    half of the pictures are turned by ``rotate_any``, by an angle drawn evenly. The others keep their corners, as the
    pictures that are classified later have them.
    """
    draws = np.empty((len(indices), len(names)), dtype=np.int16)
    for row, index in zip(draws, indices, strict=True):
        rng = np.random.default_rng((seed, epoch, int(index)))
        row[:] = [_times(name, rng) for name in names]
    return draws


def _times(name: str, rng: np.random.Generator) -> int:
    if name == "rotate_any":
        return int(rng.integers(2)) * int(rng.integers(TENTHS))
    return int(rng.integers(4 if name == "rotate90" else 2))


def augmented(
    pictures: torch.Tensor, names: tuple[str, ...], draws: Draws, signed: Sequence[bool] = (True,)
) -> torch.Tensor:
    """A copy of square pictures (N, S, S) or (N, S, S, 3) of codes, north up, changed as ``draws`` says.

    Turns go counterclockwise: once is a quarter for ``rotate90`` and a tenth of a degree for ``rotate_any``. A polarity
    is that of the ``signed`` colours: one for all of them, or one for each. ValueError for names not as `ordered`.
    """
    import torch

    if names != ordered(names):
        raise ValueError(f"augmentations out of order: {names}")

    # Draws stay on the CPU, where they were made: asking a GPU which pictures are meant would wait for it each time.
    times = dict.fromkeys(NAMES, np.zeros(len(draws), np.int64))
    times |= dict(zip(names, draws.astype(np.int64).T, strict=True))
    out = torch.empty_like(pictures)
    # Mirrored east-west is mirrored north-south and turned by half: flips and quarters together are one of eight.
    mirrored = (times["flip_ns"] + times["flip_ew"]) % 2
    quarters = (times["rotate90"] + 2 * times["flip_ew"]) % 4
    for each in np.unique(4 * mirrored + quarters):
        rows = _rows(4 * mirrored + quarters == each, pictures)
        some = pictures[rows]
        out[rows] = torch.rot90(some.flip(1) if each >= 4 else some, int(each) % 4, (1, 2))
    if (turned := times["rotate_any"] % TENTHS).any():
        rows = _rows(turned > 0, pictures)
        out[rows] = _turned(out[rows], turned[turned > 0])
    if (reversed_ := times["polarity"] % 2).any():
        rows = _rows(reversed_ > 0, pictures)
        # A signed channel codes 0 G as 128 and "missing" as 0: modulo 256, 256 - code keeps both.
        out[rows] = torch.where(torch.tensor(signed, device=out.device), -out[rows], out[rows])
    return out


def _rows(chosen: NDArray[np.bool_], pictures: torch.Tensor) -> torch.Tensor:
    """The numbers of the chosen ``pictures``, on their device."""
    import torch

    return torch.from_numpy(np.flatnonzero(chosen)).to(pictures.device, non_blocking=True)


def _turned(pictures: torch.Tensor, tenths: NDArray[np.integer]) -> torch.Tensor:
    """``pictures`` turned about their middles; what turns in from outside is code 0, which is "missing" or black.

    Each pixel is the nearest one of the original. Codes are no linear scale and 0 is no value, so that a mean of codes
    is none of their field; and a mean of any kind lowers the noise, by which a network could tell training from test.
    """
    import torch

    count, side = pictures.shape[:2]
    angle = 2 * np.pi * tenths / TENTHS
    # In fp64, sines and cosines by numpy: the same pixels on every device.
    cos, sin = (torch.from_numpy(f(angle)).to(pictures.device)[:, None, None] for f in (np.cos, np.sin))
    # From the middle, in pixels: of even sides these are halves, exact in binary.
    along = torch.arange(side, dtype=torch.float64, device=pictures.device) - (side - 1) / 2
    x, y = along[None, None, :], along[None, :, None]
    column = (cos * x - sin * y).add_((side - 1) / 2).round_().int()
    row = (sin * x + cos * y).add_((side - 1) / 2).round_().int()
    outside = (column < 0) | (column >= side) | (row < 0) | (row >= side)
    first = torch.arange(count, dtype=torch.int32, device=pictures.device)[:, None, None] * side * side
    source = row.mul_(side).add_(column).add_(first).masked_fill_(outside, 0)
    turned = pictures.reshape(count * side * side, -1).index_select(0, source.reshape(-1)).reshape(pictures.shape)
    turned[outside] = 0
    return turned
