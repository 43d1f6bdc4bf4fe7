"""From probabilities to decisions: where to put a threshold, and what it gains to leave doubtful images unanswered.

``confidence`` (n,) is the probability of the predicted class, ``right`` (n,) whether the prediction is right. An image is
answered if its confidence is at least a threshold. Coverage is the share of images that are answered, risk the share of
those that are answered wrongly (El-Yaniv and Wiener 2010, JMLR 11, 1605; Geifman and El-Yaniv 2017, arXiv:1705.08500).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdovis.statistics.skill import Floats, class_numbers, ratio


def risk_coverage(right: ArrayLike, confidence: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Threshold, coverage and risk at each distinct confidence, the highest first. Both shares lie between 0 and 1."""
    answered, wrong, thresholds = _answered(right, confidence, None)
    return thresholds, answered / answered[-1], wrong / answered


def aurc(right: ArrayLike, confidence: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Area under the risk-coverage curve: mean risk over the images, each with the threshold at its own confidence. (...)

    From 0 to 1; without skill in telling right from wrong it is the share of wrong answers. Geifman, Uziel and El-Yaniv
    (2019), arXiv:1805.08206. ``weights`` (..., n) say how often each image counts; NaN if none does.
    """
    answered, wrong, _ = _answered(right, confidence, weights)
    each = np.diff(answered, axis=-1, prepend=0)
    return ratio((each * np.nan_to_num(ratio(wrong, answered))).sum(axis=-1), answered[..., -1])


def _answered(
    right: ArrayLike, confidence: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """How many images are answered, and wrongly, down to each distinct confidence, the highest first; the confidences."""
    sure, good = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    if sure.ndim != 1 or not len(sure) or sure.shape != good.shape or not np.isfinite(sure).all():
        raise ValueError("right and confidence must be vectors of the same length, not empty, and confidence finite")
    w = np.ones(len(sure)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(-sure, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(sure[order]) < 0, True])
    answered = np.cumsum(w[..., order], axis=-1)[..., ends]
    wrong = np.cumsum(w[..., order] * ~good[order], axis=-1)[..., ends]
    return answered, wrong, sure[order][ends]


def threshold_of_coverage(confidence: ArrayLike, coverage: float) -> float:
    """The highest threshold with which at least that share of the images is answered."""
    sure = np.sort(np.asarray(confidence, dtype=np.float64))[::-1]
    # A share such as 0.7 of 10 images is 7 images, although 0.7 * 10 is a little more than 7.
    return float(sure[int(np.ceil(np.round(coverage * len(sure), 9))) - 1])


def threshold_of_risk(right: ArrayLike, confidence: ArrayLike, risk: float) -> float | None:
    """The lowest threshold with which at most that share of the answers is wrong; None if none is so good.

    It is so on these images: on others the risk may be higher, as the lowest of many thresholds was taken.
    """
    thresholds, _, found = risk_coverage(right, confidence)
    good = np.flatnonzero(found <= risk + 1e-12)
    return float(thresholds[good[-1]]) if len(good) else None


def best_threshold(
    truth: ArrayLike, probability: ArrayLike, score: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[float, float]:
    """The probability of class 1 of two from which it should be predicted, so that ``score`` is highest; and the score.

    ``score`` is a function of confusion matrices (..., 2, 2). Of equal thresholds the one nearest to 0.5; between two
    probabilities that occur it lies in the middle. Raises ValueError if the score is undefined for every threshold.
    """
    t, p = class_numbers(truth, 2, "truth"), np.asarray(probability, dtype=np.float64)
    distinct = np.unique(p)
    cuts = np.r_[distinct[0], (distinct[1:] + distinct[:-1]) / 2, np.nextafter(distinct[-1], np.inf)]
    called = np.searchsorted(np.sort(p[t == 1]), cuts), np.searchsorted(np.sort(p[t == 0]), cuts)
    missed, rejected = (np.asarray(each, dtype=np.float64) for each in called)
    hits, alarms = (t == 1).sum() - missed, (t == 0).sum() - rejected
    scores = np.asarray(score(np.stack([np.stack([rejected, alarms], -1), np.stack([missed, hits], -1)], -2)))
    if np.isnan(scores).all():
        raise ValueError("the score is undefined for every threshold")
    best = np.flatnonzero(scores >= np.nanmax(scores) - 1e-12)
    nearest = best[np.abs(cuts[best] - 0.5).argmin()]
    return float(cuts[nearest]), float(scores[nearest])
