"""Does a probability rank the images? Area under the ROC curve and average precision, whatever the threshold.

``truth`` (n,) says whether each item is of the class, ``score`` (n,) is what is ranked, and ``weights`` (..., n) how often
each item counts: a bootstrap passes (B, n) and gets (B,). NaN where the class or its opposite has no weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdovis.statistics.skill import Floats, ratio


def auroc(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Area under the ROC curve: the share of pairs of an item of the class and another one that are ranked rightly. (...)

    Ties count half. From 0 to 1, 0.5 without skill. Hanley and McNeil (1982), Radiology 143, 29.
    """
    positive, negative = _groups(truth, score, weights)
    below = np.cumsum(negative, axis=-1) - negative
    pairs = (positive * (below + negative / 2)).sum(axis=-1)
    return ratio(pairs, positive.sum(axis=-1) * negative.sum(axis=-1))


def average_precision(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Mean precision over the items of the class, each at the threshold that just includes it. (...)

    Not interpolated, as scikit-learn has it. From 0 to 1; without skill it is the share of the class. Manning, Raghavan
    and Schuetze (2008), Introduction to Information Retrieval, section 8.4.
    """
    positive, negative = (groups[..., ::-1] for groups in _groups(truth, score, weights))
    found = np.cumsum(positive, axis=-1)
    precision = ratio(found, found + np.cumsum(negative, axis=-1))
    total = ratio((np.nan_to_num(precision) * positive).sum(axis=-1), positive.sum(axis=-1))
    return np.where(negative.sum(axis=-1) > 0, total, np.nan)


def _groups(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Weight of the class and of its opposite at each distinct score, lowest first, (..., distinct)."""
    s, of_class = np.asarray(score, dtype=np.float64), np.asarray(truth, dtype=bool)
    if s.ndim != 1 or s.shape != of_class.shape or not np.isfinite(s).all():
        raise ValueError("truth and score must be vectors of the same length, and score finite")
    w: NDArray[np.float64] = np.ones(len(s)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(s):
        none = np.zeros((*w.shape[:-1], 1))
        return none, none
    order = np.argsort(s, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(s[order]) > 0])
    w, of_class = w[..., order], of_class[order]
    positive, negative = (np.add.reduceat(w * which, starts, axis=-1) for which in (of_class, ~of_class))
    return positive, negative
