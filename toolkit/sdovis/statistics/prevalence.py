"""Probabilities and scores where classes are as common as somewhere else.

The images of each class are taken to look alike in both places: only the shares of the classes differ. Saerens, Latinne
and Decaestecker (2002), Neural Computation 14, 21.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sdovis.statistics.skill import Floats, recall_matrix

#: Rounds of the estimate, which halves its error in a few.
ROUNDS = 1000


def shifted(probabilities: ArrayLike, shares: ArrayLike, others: ArrayLike) -> Floats:
    """Probabilities (n, K) that hold where the classes have these ``shares`` (K,), as they are with ``others``. (n, K)

    Bayes' rule, eq. 2.4 there. Raises ValueError for a class that has no share but is to have one.
    """
    p, old, new = _checked(probabilities, shares, others)
    weighed = p * np.divide(new, old, out=np.zeros_like(new), where=new > 0)
    found: Floats = weighed / weighed.sum(axis=1, keepdims=True)
    return found


def estimated(probabilities: ArrayLike, shares: ArrayLike) -> Floats:
    """The shares (K,) of the classes among n images, from their probabilities (n, K) alone: no class is known.

    The probabilities hold where the classes have these ``shares``. Expectation-maximisation, eq. 2.9 there. Reliable only
    as far as the probabilities are calibrated.
    """
    p, old, found = _checked(probabilities, shares, shares)
    for _ in range(ROUNDS):
        before, found = found, shifted(p, old, found).mean(axis=0)
        if np.abs(found - before).max() < 1e-9:
            break
    return found


def weighed(matrix: ArrayLike, shares: ArrayLike) -> Floats:
    """Confusion matrices (..., K, K) as they would be if the true classes had these ``shares`` (K,).

    Each class keeps its rates; NaN in the row of a class that has a share but does not occur.
    """
    wanted = np.asarray(shares, dtype=np.float64)[:, None]
    return np.where(wanted > 0, recall_matrix(matrix) * wanted, 0.0)


def _checked(probabilities: ArrayLike, shares: ArrayLike, others: ArrayLike) -> tuple[Floats, Floats, Floats]:
    p, old, new = (np.asarray(each, dtype=np.float64) for each in (probabilities, shares, others))
    for each in (old, new):
        if each.shape != p.shape[1:] or (each < 0).any() or not np.isclose(each.sum(), 1):
            raise ValueError(f"shares must be {p.shape[-1]} numbers, not negative, that sum to 1; not {each.tolist()}")
    if (old[new > 0] == 0).any():
        raise ValueError("a class without a share cannot be given one: nothing is known of its images")
    return p, old, new
