"""Skill of a classifier, from its confusion matrix or from its probabilities.

A confusion matrix has shape (..., K, K), rows = truth, columns = prediction; every score is vectorised over the leading
axes, so that a bootstrap can pass (B, K, K) at once. Per-class scores return (..., K), the others (...).

An undefined score is NaN, never a silent 0: recall of a class that does not occur, precision of a class
that is never predicted, anything from an empty matrix. Means over classes leave undefined classes out.

Sources: Wilks (2011), Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2; Jolliffe and Stephenson
(2012), Forecast Verification, 2nd ed., chapters 3 and 4; Bloomfield et al. (2012), ApJ 747, L41 (TSS and HSS for solar
flares).
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def confusion(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Counts of shape (K, K), rows = truth, columns = prediction, from class numbers 0 ... K-1.

    Raises ValueError if the two differ in length or hold anything else.
    """
    t, p = class_numbers(truth, n_classes, "truth"), class_numbers(predicted, n_classes, "predicted")
    if t.shape != p.shape:
        raise ValueError(f"truth has {t.size} items and predicted has {p.size}")
    counts = np.bincount(t * n_classes + p, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def class_numbers(values: ArrayLike, n_classes: int, what: str) -> NDArray[np.int64]:
    """``values`` as a vector of integers in 0 ... K-1; ValueError naming ``what`` otherwise."""
    found = np.asarray(values)
    if found.size == 0:
        return np.zeros(0, dtype=np.int64)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"{what} must be a vector of whole class numbers")
    if found.min() < 0 or found.max() >= n_classes:
        raise ValueError(f"{what} holds class numbers outside 0 ... {n_classes - 1}")
    return found.astype(np.int64)


def recall_matrix(matrix: ArrayLike) -> Floats:
    """Shares of the predictions among the items of each true class, rows summing to 1; NaN for classes that do not occur."""
    m = _matrix(matrix)
    return ratio(m, m.sum(axis=-1, keepdims=True))


def accuracy(matrix: ArrayLike) -> Floats:
    """Fraction correct, trace / total. (...)"""
    m = _matrix(matrix)
    return ratio(_diagonal(m).sum(axis=-1), m.sum(axis=(-2, -1)))


def recall(matrix: ArrayLike) -> Floats:
    """Recall of each class, TP / (TP + FN), also called POD; NaN if the class does not occur. (..., K)"""
    tp, fn, _, _ = _one_vs_rest(matrix)
    return ratio(tp, tp + fn)


def precision(matrix: ArrayLike) -> Floats:
    """Precision of each class, TP / (TP + FP); NaN if the class is never predicted. (..., K)"""
    tp, _, fp, _ = _one_vs_rest(matrix)
    return ratio(tp, tp + fp)


def f1(matrix: ArrayLike) -> Floats:
    """F1 of each class, 2 TP / (2 TP + FP + FN); NaN if it is neither true nor predicted. (..., K)"""
    tp, fn, fp, _ = _one_vs_rest(matrix)
    return ratio(2 * tp, 2 * tp + fp + fn)


def balanced_accuracy(matrix: ArrayLike) -> Floats:
    """Mean recall over the classes that occur. (...)"""
    return mean_of_defined(recall(matrix))


def macro_f1(matrix: ArrayLike) -> Floats:
    """Mean F1 over the classes that occur or are predicted. (...)"""
    return mean_of_defined(f1(matrix))


def tss(matrix: ArrayLike) -> Floats:
    """True skill statistic of each class against the rest, POD - POFD = TP/(TP+FN) - FP/(FP+TN). (..., K)

    Hanssen and Kuipers (1965); Bloomfield et al. (2012). NaN if a class does not occur, or no other class does.
    """
    tp, fn, fp, tn = _one_vs_rest(matrix)
    return ratio(tp, tp + fn) - ratio(fp, fp + tn)


def macro_tss(matrix: ArrayLike) -> Floats:
    """Mean of `tss` over the classes where it is defined. (...)"""
    return mean_of_defined(tss(matrix))


def hss(matrix: ArrayLike) -> Floats:
    """Heidke skill score of each class against the rest. (..., K)

    2 (TP TN - FP FN) / [(TP + FN)(FN + TN) + (TP + FP)(FP + TN)]: HSS2 of Bloomfield et al. (2012), Balch (2008).
    Depends on prevalence, unlike `tss`. NaN if the denominator is 0.
    """
    tp, fn, fp, tn = _one_vs_rest(matrix)
    return ratio(2 * (tp * tn - fp * fn), (tp + fn) * (fn + tn) + (tp + fp) * (fp + tn))


def macro_hss(matrix: ArrayLike) -> Floats:
    """Mean of `hss` over the classes where it is defined. (...)"""
    return mean_of_defined(hss(matrix))


def sedi(matrix: ArrayLike) -> Floats:
    """Symmetric extremal dependence index of each class against the rest, from -1 to 1, 0 without skill. (..., K)

    [ln F - ln H - ln(1 - F) + ln(1 - H)] / [ln F + ln H + ln(1 - F) + ln(1 - H)], H = TP / (TP + FN), F = FP / (FP + TN).
    Ferro and Stephenson (2011), Weather and Forecasting 26, 699, eq. 2: it does not fade away as a class becomes rare. NaN
    if H or F is 0 or 1, or undefined.
    """
    tp, fn, fp, tn = _one_vs_rest(matrix)
    hit, alarm = ratio(tp, tp + fn), ratio(fp, fp + tn)
    inside = (hit > 0) & (hit < 1) & (alarm > 0) & (alarm < 1)
    h, f = (np.where(inside, rate, 0.5) for rate in (hit, alarm))
    above = np.log(f) - np.log(h) - np.log1p(-f) + np.log1p(-h)
    below = np.log(f) + np.log(h) + np.log1p(-f) + np.log1p(-h)
    return np.where(inside, above / below, np.nan)


def peirce(matrix: ArrayLike) -> Floats:
    """Multi-category Peirce score, (PC - sum q_k p_k) / (1 - sum p_k^2), p truth and q prediction shares. (...)

    Wilks (2011), eq. 8.21. Equals `tss` for two classes; NaN if the truth holds a single class.
    """
    correct, truth, predicted = _shares(matrix)
    return ratio(correct - (truth * predicted).sum(axis=-1), 1 - (truth**2).sum(axis=-1))


def heidke(matrix: ArrayLike) -> Floats:
    """Multi-category Heidke score, (PC - sum q_k p_k) / (1 - sum q_k p_k), p truth and q prediction shares. (...)

    Wilks (2011), eq. 8.20; the same number as Cohen's kappa. NaN if truth and prediction hold one and the same class.
    """
    correct, truth, predicted = _shares(matrix)
    chance = (truth * predicted).sum(axis=-1)
    return ratio(correct - chance, 1 - chance)


def gerrity(matrix: ArrayLike) -> Floats:
    """Gandin-Murphy-Gerrity score of *ordered* classes, sum_ij p_ij s_ij. (...)

    With P_r the cumulative share of the truth up to class r, a_r = (1 - P_r) / P_r and i <= j,
    s_ij = s_ji = [sum_{r<i} 1/a_r - (j - i) + sum_{r>=j} a_r] / (K - 1).
    Gandin and Murphy (1992), MWR 120, 361; Gerrity (1992), MWR 120, 2709. Equals `tss` for two classes; NaN if the
    first or the last class does not occur. Meaningless unless the classes have a meaningful order.
    """
    m = _matrix(matrix)
    k = m.shape[-1]
    if k < 2:
        return np.full(m.shape[:-2], np.nan)
    joint = ratio(m, m.sum(axis=(-2, -1))[..., None, None])
    cumulative = np.cumsum(m.sum(axis=-1), axis=-1)
    below, above = cumulative[..., :-1], cumulative[..., -1:] - cumulative[..., :-1]
    odds, inverse = ratio(above, below), ratio(below, above)
    none = np.zeros((*m.shape[:-2], 1))
    before = np.concatenate([none, np.cumsum(inverse, axis=-1)], axis=-1)
    after = np.concatenate([np.cumsum(odds[..., ::-1], axis=-1)[..., ::-1], none], axis=-1)
    low, high = np.minimum.outer(np.arange(k), np.arange(k)), np.maximum.outer(np.arange(k), np.arange(k))
    score = (before[..., low] - (high - low) + after[..., high]) / (k - 1)
    # An undefined a_r or 1/a_r is NaN in at least one corner of the scores, and so is the sum.
    total: Floats = (joint * score).sum(axis=(-2, -1))
    return total


def brier(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Brier score over K classes, mean over items of sum_k (p_k - o_k)^2, from 0 (perfect) to 2. Brier (1950).

    ``truth`` (n,) class numbers, ``probabilities`` (n, K). For two classes it is twice the usual half score.
    """
    p, observed = checked_probabilities(truth, probabilities)
    return float(((p - observed) ** 2).sum(axis=1).mean()) if len(p) else float("nan")


def brier_skill(truth: ArrayLike, probabilities: ArrayLike, climatology: ArrayLike | None = None) -> float:
    """Brier skill score, 1 - BS / BS of always giving ``climatology`` (K shares; default: those of ``truth``).

    Give the training part's shares for an honest reference: the default one has seen the answers. NaN if the
    reference is itself perfect. Wilks (2011), eq. 8.37.
    """
    p, observed = checked_probabilities(truth, probabilities)
    if not len(p):
        return float("nan")
    shares = observed.mean(axis=0) if climatology is None else np.asarray(climatology, dtype=np.float64)
    if shares.shape != (p.shape[1],):
        raise ValueError(f"climatology has shape {shares.shape} for {p.shape[1]} classes")
    reference = float(((shares - observed) ** 2).sum(axis=1).mean())
    return 1.0 - brier(truth, p) / reference if reference > 0 else float("nan")


def checked_probabilities(truth: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    """``probabilities`` (n, K), and 1 for the true class and 0 for the others, (n, K). ValueError if they are none."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2:
        raise ValueError(f"probabilities must have shape (n, K), not {p.shape}")
    t = class_numbers(truth, p.shape[1], "truth")
    if len(t) != len(p):
        raise ValueError(f"truth has {len(t)} items and probabilities have {len(p)}")
    if not (np.isfinite(p).all() and np.allclose(p.sum(axis=1), 1, atol=1e-4) and (p >= 0).all()):
        raise ValueError("each row of probabilities must be finite, not negative and sum to 1")
    return p, np.eye(p.shape[1])[t]


def _matrix(matrix: ArrayLike) -> Floats:
    m = np.asarray(matrix, dtype=np.float64)
    if m.ndim < 2 or m.shape[-1] != m.shape[-2]:
        raise ValueError(f"a confusion matrix has shape (..., K, K), not {m.shape}")
    return m


def _diagonal(m: Floats) -> Floats:
    return cast(Floats, np.diagonal(m, axis1=-2, axis2=-1))


def _one_vs_rest(matrix: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """TP, FN, FP, TN of each class against the rest, each of shape (..., K)."""
    m = _matrix(matrix)
    tp = _diagonal(m)
    fn, fp = m.sum(axis=-1) - tp, m.sum(axis=-2) - tp
    return tp, fn, fp, m.sum(axis=(-2, -1))[..., None] - tp - fn - fp


def _shares(matrix: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Proportion correct (...), shares of truth (..., K) and of prediction (..., K)."""
    m = _matrix(matrix)
    total = m.sum(axis=(-2, -1))[..., None]
    return accuracy(m), ratio(m.sum(axis=-1), total), ratio(m.sum(axis=-2), total)


def ratio(a: Floats, b: Floats) -> Floats:
    """a / b, or NaN if b is 0."""
    a, b = np.broadcast_arrays(a, b)
    quotient: Floats = np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0)
    return quotient


def mean_of_defined(scores: Floats) -> Floats:
    """Mean over the last axis ignoring NaN; NaN if all are NaN."""
    defined = ~np.isnan(scores)
    return ratio(np.where(defined, scores, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))
