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
#: exp(10): a class that is 22,000 times as common as was taught.
BIASES = (-10.0, 10.0)
BINS = 10
#: Errors that are tried as the true one, from 0 up to one that is surely too large.
TRIED = 81


@dataclass(frozen=True)
class Calibration:
    """What the probability of the predicted class is worth.

    ``confidence`` and ``right`` (BINS,): mean probability and share of right answers in each bin; ``rows`` counts its
    images. ``ece`` is the mean of their distance, from 0 to 1, ``classwise_ece`` that of all classes' probabilities (Kull et
    al. 2019, arXiv:1910.12656, section 2), ``log_loss`` the mean of -ln p of the true class, from 0 upwards. ``floor`` is what
    noise alone makes of ``ece``: the mean and the middle of what perfectly calibrated probabilities would show on as many
    images of as many clusters.
    """

    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: Interval
    ece: Interval
    classwise_ece: Interval
    log_loss: Interval
    floor: Interval


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
    top_gaps = _binned(names, sure - right, sure, bins)[:, None]
    classwise = [_binned(names, p[:, k] - observed[:, k], p[:, k], bins) for k in range(p.shape[1])]
    return Calibration(
        rows=np.bincount(where, minlength=bins),
        confidence=np.bincount(where, sure, minlength=bins) / np.bincount(where, minlength=bins),
        right=found,
        ece=error(top_gaps, **draws),
        classwise_ece=error(np.stack(classwise, axis=1), **draws),
        log_loss=bootstrap_sums(each, lambda of: of[..., 1] / of[..., 0], scale="log", **draws),
        floor=floor(top_gaps, **draws),
    )


def calibration_where(
    truth: ArrayLike, probabilities: ArrayLike, clusters: ArrayLike, shares: ArrayLike, **draws: Any
) -> tuple[Interval, Interval]:
    """`Calibration.ece` and ``floor`` as they would be if the classes had these ``shares`` (K,), each looking as it does.

    Images are weighted by class; a class that does not occur has no weight. For a network that was taught as if its classes
    were equally common, and whose probabilities can only be true where they are. ``draws`` as in `calibration`.
    """
    p, observed = checked_probabilities(truth, probabilities)
    found, wanted = observed.mean(axis=0), np.asarray(shares, dtype=np.float64)
    weight = np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)[observed.argmax(axis=1)]
    sure, right = p.max(axis=1), observed[np.arange(len(p)), p.argmax(axis=1)]
    names = pd.factorize(np.asarray(clusters, dtype=object), sort=True)[0]
    sums = _binned(names, weight * (sure - right), sure, min(BINS, len(p)), weight)[:, None]
    return error(sums, **draws), floor(sums, **draws)


def _bins(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each value: the smallest values in bin 0, equally many in each."""
    where = np.empty(len(values), np.int64)
    where[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // len(values)
    return where


def _binned(
    clusters: NDArray[np.int64],
    values: NDArray[np.float64],
    said: NDArray[np.float64],
    bins: int,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Number or weight of images, and sum of ``values``, in each cluster and bin of what is ``said``, (clusters, bins, 2)."""
    sums = np.zeros((clusters.max() + 1, bins, 2))
    each = np.ones(len(values)) if weights is None else weights
    np.add.at(sums, (clusters, _bins(said, bins)), np.stack([each, values], axis=1))
    return sums


def _noise(sums: NDArray[np.float64], samples: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The gaps of all images (G, bins), and how far they are from those of resampled clusters (samples, G, bins)."""
    total, drawn = sums.sum(axis=0), resampled(sums, samples, seed)
    gaps, noisy = (of[..., 1] / of[..., 0].sum(axis=-1, keepdims=True) for of in (total, drawn))
    # Resampling n clusters of n makes the noise too small by this.
    return gaps, (noisy - gaps) * np.sqrt(len(sums) / max(1, len(sums) - 1))


def floor(sums: NDArray[np.float64], *, samples: int = 2000, confidence: float = 0.95, seed: int) -> Interval:
    """What an error (see `error`, which has the arguments) of 0 would look like: mean and middle of what noise makes of it.

    The noise is that of resampled clusters around the gaps that were found, so it holds whatever correlates in a cluster.
    NaN for fewer than two.
    """
    if len(sums) < 2:
        return Interval(np.nan, np.nan, np.nan, confidence, samples, len(sums))
    _, noise = _noise(sums, samples, seed)
    size = np.abs(noise).sum(axis=(1, 2)) / noise.shape[1]
    low, high = np.quantile(size, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(size.mean()), float(low), float(high), confidence, samples, len(sums))


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
    # With the sign of the noise reversed (below) the interval is that of percentiles where no gap is so small that noise
    # turns it over.
    gaps, noise = _noise(sums, samples, seed)
    kinds, clusters = len(gaps), len(sums)
    found = float(np.abs(gaps).sum() / kinds)
    if clusters < 2:
        return Interval(found, np.nan, np.nan, confidence, samples, clusters)
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


def fit_temperature(truth: ArrayLike, logits: ArrayLike, clusters: ArrayLike, shares: ArrayLike | None = None) -> float:
    """The temperature T for which softmax(logits / T) is likeliest, each cluster counting once, however many its images.

    Guo et al. (2017), arXiv:1706.04599, section 4.2. Between the limits `TEMPERATURES`, and at least 1 if every answer is
    right: the likeliest classifier would then be a certain one, however few the images. The predicted classes stay as
    they are. With ``shares`` (K,), classes are weighted to have these: those that a network was taught in, where it was
    taught as if classes were more or less common than they are. Otherwise the temperature makes up for that too, by making
    the network less sure of everything.
    """
    from scipy.optimize import minimize_scalar

    z, t, weight = _weighted(truth, logits, clusters, shares)
    low, high = np.log(_temperatures(z, t))
    # In log T the loss has a single minimum.
    found = minimize_scalar(
        lambda log_t: _loss(z / np.exp(log_t), t, weight), bounds=(low, high), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def fit_temperature_and_biases(
    truth: ArrayLike, logits: ArrayLike, clusters: ArrayLike
) -> tuple[float, NDArray[np.float64]]:
    """T and biases b (K,), of mean 0, for which softmax(logits / T + b) is likeliest, each cluster counting once.

    Platt scaling with one slope for all classes (Guo et al. 2017, section 4.2, "vector scaling" with equal weights): what
    probabilities lack when the classes are not as common as the network was taught. Classes are weighted to be as common as
    among all images: regions, which count once each, may have other shares. Limits of T as in `fit_temperature`;
    those of a bias are `BIASES`. The predicted classes change: rare ones are predicted more rarely.
    """
    from scipy.optimize import minimize

    shares = np.bincount(np.asarray(truth), minlength=np.shape(logits)[1]) / np.size(truth)
    z, t, weight = _weighted(truth, logits, clusters, shares)
    low, high = _temperatures(z, t)

    def loss(given: NDArray[np.float64]) -> float:
        return _loss(given[0] * z + given[1:], t, weight)

    started = np.zeros(1 + z.shape[1])
    started[0] = min(1.0, 1 / low)
    # In 1 / T and b the loss is convex.
    limits = [(1 / high, 1 / low), *[BIASES] * z.shape[1]]
    found = np.asarray(minimize(loss, started, method="L-BFGS-B", bounds=limits).x)
    return float(1 / found[0]), np.asarray(found[1:] - found[1:].mean())


def _weighted(
    truth: ArrayLike, logits: ArrayLike, clusters: ArrayLike, shares: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Logits (n, K), classes (n,) and weights (n,), which sum to 1."""
    z, t = np.asarray(logits, dtype=np.float64), np.asarray(truth)
    names = pd.factorize(np.asarray(clusters, dtype=object))[0]
    weight = 1 / np.bincount(names)[names]
    if shares is not None:
        weight = weight * (np.asarray(shares, dtype=np.float64)[t] / np.bincount(t, weight, minlength=z.shape[1])[t])
    return z, t, weight / weight.sum()


def _temperatures(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    low, high = TEMPERATURES
    return (1.0 if (logits.argmax(axis=1) == truth).all() else low), high


def _loss(logits: NDArray[np.float64], truth: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    from scipy.special import log_softmax

    return float(-(weight * log_softmax(logits, axis=1)[np.arange(len(truth)), truth]).sum())
