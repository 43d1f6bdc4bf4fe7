"""Changes to pictures that keep their labels: flips, turns, reversed polarity; by the batch, on the network's device.

Every draw depends on (seed, epoch, index) and nothing else, so that a picture looks the same with any number of workers
or processes, in batches of any size, and after an interrupted epoch is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import SdovisError
from sdovis.labels.augmentations import Augmentation, augmentation, known

if TYPE_CHECKING:
    import torch

Draws = NDArray[np.int16]

#: A turn by any angle is drawn in tenths of a degree, finer than 224 px can resolve.
TENTHS = 3600


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` in the order in which they are drawn and applied. ValueError for an unknown one."""
    wanted = set(names)
    if unknown := sorted(wanted - {*known()}):
        raise ValueError(f"no augmentation {unknown[0]!r}")
    return tuple(name for name in known() if name in wanted)


def drawn(names: tuple[str, ...], *, seed: int, epoch: int, indices: Sequence[int]) -> Draws:
    """Which outcome of each of ``names`` each picture gets, (len(indices), len(names)).

    The built-ins flip and reverse polarity with probability 1/2, ``rotate90`` turns by 0, 1, 2 or 3 quarters, and
    ``rotate_any`` turns half of the pictures, by an angle drawn evenly. The other half keep their corners, as will the
    pictures that are classified later.
    """
    chosen = [augmentation(name) for name in names]
    draws = np.empty((len(indices), len(names)), dtype=np.int16)
    for row, index in zip(draws, indices, strict=True):
        rng = np.random.default_rng((seed, epoch, int(index)))
        row[:] = [(each.draw(rng) if each.draw else rng.integers(each.outcomes)) % each.outcomes for each in chosen]
    return draws


def augmented(
    pictures: torch.Tensor, names: tuple[str, ...], draws: Draws, signed: Sequence[bool] = (True,)
) -> torch.Tensor:
    """A copy of square pictures (N, S, S) or (N, S, S, 3) of codes, north up, changed as ``draws`` says.

    Turns go counterclockwise, in steps of a quarter for ``rotate90`` and of a tenth of a degree for ``rotate_any``.
    Polarity is reversed in the ``signed`` colours: one flag for all of them, or one for each. ValueError for names not in
    the order of `ordered`; `SdovisError` if a plug-in does not return a batch of such pictures.
    """
    import torch

    if names != ordered(names):
        raise ValueError(f"augmentations out of order: {names}")

    # Draws stay on the CPU, where they were made: asking a GPU which pictures to change would wait for it each time.
    chosen, columns = [augmentation(name) for name in names], draws.astype(np.int64).T
    outcomes = [(each, column % each.outcomes) for each, column in zip(chosen, columns, strict=True)]
    out = torch.empty_like(pictures)
    of_square = _composed(outcomes, len(draws))
    for each in np.unique(of_square):
        rows = _rows(of_square == each, pictures)
        some = pictures[rows]
        out[rows] = torch.rot90(some.flip(1) if each >= 4 else some, int(each) % 4, (1, 2))
    for each, which in outcomes:
        if each.apply and which.any():
            rows = _rows(which > 0, pictures)
            some = out[rows]
            changed = each.apply(some, which[which > 0], signed)
            if _like(changed) != _like(some):
                raise SdovisError(f"augmentation {each.name!r}: {_like(some)} went in, but {_like(changed)} came back")
            out[rows] = changed
    return out


def _composed(outcomes: Iterable[tuple[Augmentation, NDArray[np.int64]]], count: int) -> NDArray[np.int64]:
    """The symmetry of the square that all symmetries of a picture amount to, (count,): 4 if it is first mirrored
    north-south, plus the quarters by which it is then turned."""
    mirrored, quarters = np.zeros((2, count), np.int64)
    for each, times in outcomes:
        if each.symmetry is None:
            continue
        mirrors, turns = each.symmetry
        if mirrors:  # twice is the same as not at all; and a mirror reverses the direction of turns before it
            quarters = np.where(times % 2, turns - quarters, quarters)
            mirrored = (mirrored + times) % 2
        else:
            quarters = quarters + turns * times
    return 4 * mirrored + quarters % 4


def _like(pictures: object) -> str:
    import torch

    return f"{tuple(pictures.shape)} of {pictures.dtype}" if isinstance(pictures, torch.Tensor) else repr(pictures)


def _rows(chosen: NDArray[np.bool_], pictures: torch.Tensor) -> torch.Tensor:
    """The indices of the chosen ``pictures``, on their device."""
    import torch

    return torch.from_numpy(np.flatnonzero(chosen)).to(pictures.device, non_blocking=True)


def _reversed(pictures: torch.Tensor, times: NDArray[np.int64], signed: Sequence[bool]) -> torch.Tensor:
    """``pictures`` of -B: a signed channel codes 0 G as 128 and "missing" as 0, and modulo 256, 256 - code keeps both."""
    import torch

    return torch.where(torch.tensor(signed, device=pictures.device), -pictures, pictures)


def _turned(pictures: torch.Tensor, tenths: NDArray[np.int64], signed: Sequence[bool]) -> torch.Tensor:
    """``pictures`` turned about their centres; what comes in from outside is code 0, which is "missing" or black.

    Each pixel is the nearest one of the original. Codes are not a linear scale and 0 is not a value, so a mean of codes
    is not a mean of the field; and any mean lowers the noise, by which a network could tell training from test.
    """
    import torch

    count, side = pictures.shape[:2]
    angle = 2 * np.pi * tenths / TENTHS
    # In fp64, with sines and cosines from numpy, so that every device gives the same pixels.
    cos, sin = (torch.from_numpy(f(angle)).to(pictures.device)[:, None, None] for f in (np.cos, np.sin))
    # From the centre, in pixels: for even sides these are halves, exact in binary.
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


FLIP_NS = Augmentation("flip_ns", 2, symmetry=(True, 0))
# A mirror east-west is a mirror north-south and a half turn.
FLIP_EW = Augmentation("flip_ew", 2, symmetry=(True, 2))
ROTATE90 = Augmentation("rotate90", 4, symmetry=(False, 1))
ROTATE_ANY = Augmentation(
    "rotate_any", TENTHS, apply=_turned, draw=lambda rng: int(rng.integers(2)) * int(rng.integers(TENTHS))
)
POLARITY = Augmentation("polarity", 2, apply=_reversed, signed_only=True)
