"""Do probabilities mean what they say? Reliability, and the temperature that makes a classifier less sure of itself.

Probabilities have shape (n, K), truth has n class numbers. Bins hold equally many images (adaptive bins: Nixon et al.
2019, arXiv:1904.01685), so that none is nearly empty; images with equal probabilities may lie in different bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sdovis.statistics.bootstrap import Interval, bootstrap_sums, resampled
from sdovis.statistics.skill import checked_probabilities

#: A temperature beyond these limits says that there are too few images to tell.
TEMPERATURES = (0.05, 20.0)
BINS = 10
#: Errors that are tried as the true one, from 0 up to one that is surely too large.
TRIED = 81


@dataclass(frozen=True)
class Calibration:
    """What the probability of the predicted class is worth.

    ``confidence`` and ``right`` (BINS,): mean probability and share of right answers in each bin; ``rows`` counts its
    images. ``ece`` is the mean of their distance, from 0 to 1, ``classwise_ece`` that of all classes' probabilities (Kull et
    al. 2019, arXiv:1910.12656, section 2), ``log_loss`` the mean of -ln p of the true class, from 0 upwards.
    """

    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: Interval
    ece: Interval
    classwise_ece: Interval
    log_loss: Interval


def calibration(
    truth: ArrayLike, probabilities: ArrayLike, clusters: ArrayLike, *, bins: int = BINS, **draws: Any
) -> Calibration:
    """Of n images; intervals are by cluster, with ``draws`` as in `bootstrap.cluster_bootstrap`; those of errors: `error`.

    Raises ValueError for what are not probabilities, and if there are no images.
    """
    p, observed = checked_probabilities(truth, probabilities)
    if not len(p):
        raise ValueError("there are no images")
    bins = min(bins, len(p))
    top = p.argmax(axis=1)
    sure, right = p.max(axis=1), observed[np.arange(len(p)), top]
    where = _bins(sure, bins)
    names = pd.factorize(np.asarray(clusters, dtype=object), sort=True)[0]
    losses = -np.log(np.maximum(p[observed == 1], np.finfo(np.float64).tiny))
    each = np.stack([np.bincount(names), np.bincount(names, losses)], axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):  # a bin may be empty in a resample
        found = bootstrap_sums(_binned(names, right, sure, bins), lambda of: of[..., 1] / of[..., 0], **draws)
    classwise = [_binned(names, p[:, k] - observed[:, k], p[:, k], bins) for k in range(p.shape[1])]
    return Calibration(
        rows=np.bincount(where, minlength=bins),
        confidence=np.bincount(where, sure, minlength=bins) / np.bincount(where, minlength=bins),
        right=found,
        ece=error(_binned(names, sure - right, sure, bins)[:, None], **draws),
        classwise_ece=error(np.stack(classwise, axis=1), **draws),
        log_loss=bootstrap_sums(each, lambda of: of[..., 1] / of[..., 0], **draws),
    )


def _bins(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each value: the smallest values in bin 0, equally many in each."""
    where = np.empty(len(values), np.int64)
    where[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // len(values)
    return where


def _binned(
    clusters: NDArray[np.int64], values: NDArray[np.float64], said: NDArray[np.float64], bins: int
) -> NDArray[np.float64]:
    """Number of images and sum of their ``values`` in each cluster and bin of what is ``said``, (clusters, bins, 2)."""
    sums = np.zeros((clusters.max() + 1, bins, 2))
    np.add.at(sums, (clusters, _bins(said, bins)), np.stack([np.ones(len(values)), values], axis=1))
    return sums


def error(sums: NDArray[np.float64], *, samples: int = 2000, confidence: float = 0.95, seed: int) -> Interval:
    """Expected calibration error with its interval by cluster, the mean over G kinds of probability.

    ``sums`` (clusters, G, bins, 2) has the number of images in each bin, and the sum of what is said minus what happens.
    The error is the sum over bins of the distance of the two means, weighted by images: a sum of absolute values, which
    noise can only make larger, in resamples even more so. So an ordinary bootstrap interval never covers an error of 0. A
    bootstrap test is inverted instead (Carpenter 1999, Statistics in Medicine 18, 2453; Davison and Hinkley 1997, section
    5.5): an error is in the interval if the one found lies in the middle of those that it would give rise to. What is said
    and what happens then differ, over the bins in their order, by the straight line that fits best, at that size, plus the
    noise of resampled clusters.
    """
    total, drawn = sums.sum(axis=0), resampled(sums, samples, seed)
    gaps, noisy = (of[..., 1] / of[..., 0].sum(axis=-1, keepdims=True) for of in (total, drawn))
    kinds, clusters = len(gaps), len(sums)
    found = float(np.abs(gaps).sum() / kinds)
    if clusters < 2:
        return Interval(found, np.nan, np.nan, confidence, samples, clusters)
    # Resampling n clusters of n makes the noise too small by this. With its sign reversed the interval is that of
    # percentiles where no gap is so small that noise turns it over.
    noise = (noisy - gaps) * np.sqrt(clusters / (clusters - 1))
    line = np.stack([_line(gap, spread) for gap, spread in zip(gaps, noise.std(axis=0), strict=True)])
    line /= np.abs(line).sum() / kinds
    tail = (1 - confidence) / 2
    largest = found + np.quantile(np.abs(noise).sum(axis=(1, 2)) / kinds, 1 - tail)
    tried = np.linspace(0, largest, TRIED)
    told = [np.quantile(np.abs(size * line - noise).sum(axis=(1, 2)) / kinds, [tail, 1 - tail]) for size in tried]
    least, most = np.maximum.accumulate(np.array(told)).T
    low = 0.0 if found <= most[0] else float(np.interp(found, most, tried))
    # Perhaps even no error at all would rarely lead to so small a one: it is then the likeliest.
    high = 0.0 if found < least[0] else float(np.interp(found, least, tried))
    return Interval(found, min(low, found), max(high, found), confidence, samples, clusters)


def _line(gaps: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """The straight line over bins that fits the gaps best, each weighted by its spread; constant if that is 0 everywhere."""
    weights = 1 / np.maximum(spread, 1e-12)
    terms = np.stack([np.ones(len(gaps)), np.linspace(-1, 1, len(gaps))], axis=1)
    fitted = terms @ np.linalg.lstsq(terms * weights[:, None], gaps * weights, rcond=None)[0]
    return np.asarray(fitted if np.abs(fitted).sum() > 1e-9 else np.ones(len(gaps)))


def fit_temperature(truth: ArrayLike, logits: ArrayLike, clusters: ArrayLike) -> float:
    """The temperature T for which softmax(logits / T) is likeliest, each cluster counting once, however many its images.

    Guo et al. (2017), arXiv:1706.04599, section 4.2. Between the limits `TEMPERATURES`, and at least 1 if every answer is
    right: the likeliest classifier would then be a certain one, however few the images. The predicted classes stay as
    they are.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    z, t = np.asarray(logits, dtype=np.float64), np.asarray(truth)
    names = pd.factorize(np.asarray(clusters, dtype=object))[0]
    weight = 1 / np.bincount(names)[names]

    def loss(log_temperature: float) -> float:
        likelihood = log_softmax(z / np.exp(log_temperature), axis=1)[np.arange(len(t)), t]
        return float(-(weight * likelihood).sum() / weight.sum())

    low, high = np.log(TEMPERATURES)
    if (z.argmax(axis=1) == t).all():
        low = 0.0
    # In log T the loss has a single minimum.
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x))
