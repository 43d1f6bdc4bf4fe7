"""Deletion and insertion: whether the patches that a map calls important are those that the network needs.

Patches are taken from a picture, the most important first, or put into a blank one. The probability of the class falls
fast, or rises fast, if the map is right; each score is the area under it against the share of patches (Petsiuk, Das and
Saenko 2018, BMVC, section 4.1). Importing this module imports no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.evaluation.maps import blank

#: Shares of the patches at which a curve is measured, beyond 0.
STEPS = 5
#: Pictures that the network is shown at once.
BATCH = 32


def orders(found: NDArray[np.floating]) -> NDArray[np.int64]:
    """(..., rows, columns) -> (..., patches): the patches' numbers, the most important first; ties in reading order."""
    flat = found.reshape(*found.shape[:-2], -1)
    return np.argsort(-flat, axis=-1, kind="stable")


def areas(
    model: Any, picture: Any, target: int, ranked: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """(M, 2): the areas under the deletion and the insertion curve of each of M orders of a picture's patches.

    ``picture`` is (3, H, W) as the network takes it, ``ranked`` (M, patches), ``shape`` the rows and columns of patches.
    """
    import torch

    patches = ranked.shape[1]
    taken = np.linspace(0, patches, STEPS + 1).round().astype(int)
    place = np.argsort(ranked, axis=1)  # of each patch in each order
    gone = torch.from_numpy(place[:, None, :] < taken[1:-1, None])  # (M, STEPS - 1, patches)
    gone = gone.reshape(-1, 1, *shape).float()
    gone = torch.nn.functional.interpolate(gone, size=tuple(picture.shape[-2:])).bool().to(picture.device)
    empty = blank(picture[None])
    probabilities = [
        _probabilities(model, torch.where(mask, first, second), target)
        for mask in gone.split(BATCH)
        for first, second in ((empty, picture), (picture, empty))
    ]
    inner = np.stack([np.concatenate(probabilities[0::2]), np.concatenate(probabilities[1::2])])
    inner = inner.reshape(2, len(ranked), STEPS - 1)
    whole, nothing = _probabilities(model, torch.cat([picture[None], empty]), target)
    ends = np.array([[whole, nothing], [nothing, whole]])[:, :, None].repeat(len(ranked), axis=2)
    curves = np.concatenate([ends[:, 0, :, None], inner, ends[:, 1, :, None]], axis=2)
    found: NDArray[np.float64] = np.trapezoid(curves, taken / patches, axis=2).T
    return found


def _probabilities(model: Any, pictures: Any, target: int) -> NDArray[np.float64]:
    import torch

    with torch.inference_mode():
        return np.asarray(torch.softmax(model(pictures).logits.double(), dim=1)[:, target].cpu().numpy())
