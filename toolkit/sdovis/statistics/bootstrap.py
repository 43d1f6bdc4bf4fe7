"""Intervals by cluster: images of one active region are not independent, so whole regions are resampled.

A statistic is any function of a confusion matrix that is vectorised over leading axes: (B, K, K) -> (B,) or (B, ...),
such as those of `sdovis.statistics.skill`. Method: nonparametric bootstrap of clusters, percentile interval
(Davison and Hinkley 1997, sections 3.8 and 5.3). Only the clusters are random: the spread over training seeds is not
included.

With few clusters, percentiles of scores that are bounded on one side, such as areas under curves and log loss, lie too far
on the other side. These are given a ``scale``: the interval is symmetric in the logit or the logarithm of the score, t times
the standard deviation of its resamples there (Efron and Tibshirani 1993, An Introduction to the Bootstrap, sections 12.5 and
12.6, with Student's t and the factor n / (n - 1) of section 5.3 of Hesterberg 2015, arXiv:1411.5279, for few clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sdovis.statistics.skill import class_numbers

Statistic = Callable[[NDArray[Any]], NDArray[np.float64]]
#: On which a score is as uncertain upwards as downwards: its own, that of scores above 0, or that of shares.
Scale = Literal["", "log", "logit"]

# Weights of this many (sample, cluster) pairs are held at once: 32 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval; floats, or arrays if the statistic gives one number per class.

    ``clusters`` counts the independent units that were resampled. ``undefined`` counts the resamples in which the
    statistic was NaN, which the interval leaves out. With fewer than two clusters the bounds are NaN: no interval can
    be given.
    """

    estimate: float | NDArray[np.float64]
    low: float | NDArray[np.float64]
    high: float | NDArray[np.float64]
    confidence: float
    samples: int
    clusters: int
    undefined: int | NDArray[np.int64] = 0

    def each(self) -> tuple[Interval, ...]:
        """One interval for each entry of the statistic's first axis, such as each class."""
        columns = zip(*map(np.atleast_1d, (self.estimate, self.low, self.high, self.undefined)), strict=True)
        return tuple(
            Interval(_plain(e), _plain(lo), _plain(hi), self.confidence, self.samples, self.clusters, _count(u))
            for e, lo, hi, u in columns
        )


@dataclass(frozen=True)
class Estimate:
    """An estimate and the bounds of its interval as stored in a file: None if undefined."""

    estimate: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, interval: Interval) -> Estimate:
        """Of an interval of one number."""
        # JSON has no NaN.
        values = (interval.estimate, interval.low, interval.high)
        return cls(*(float(value) if np.isfinite(value) else None for value in values))


def by_cluster(truth: ArrayLike, predicted: ArrayLike, clusters: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """One confusion matrix for each cluster, (n_clusters, K, K), clusters in sorted order.

    ``clusters`` names the independent unit of each item (such as its active region); a missing name raises ValueError.
    """
    t, p = class_numbers(truth, n_classes, "truth"), class_numbers(predicted, n_classes, "predicted")
    codes, names = pd.factorize(np.asarray(clusters, dtype=object), sort=True)
    if not len(t) == len(p) == len(codes):
        raise ValueError(f"truth, predicted and clusters differ in length: {len(t)}, {len(p)}, {len(codes)}")
    if (codes < 0).any():
        raise ValueError(f"{int((codes < 0).sum())} items have no cluster")
    cells = (codes.astype(np.int64) * n_classes + t) * n_classes + p
    counts = np.bincount(cells, minlength=len(names) * n_classes * n_classes)
    return counts.reshape(len(names), n_classes, n_classes).astype(np.int64)


def cluster_bootstrap(
    confusions: ArrayLike,
    statistic: Statistic,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int,
    scale: Scale = "",
) -> Interval:
    """Interval of ``statistic`` over resampled clusters: percentiles, or symmetric on a ``scale``.

    ``confusions`` (n_clusters, K, K): one matrix per cluster. Empty clusters are left out. The same seed, clusters and
    ``samples`` give the same resamples, whatever the statistic.
    """
    (kept,) = same_items(confusions)
    return bootstrap_sums(kept, statistic, samples=samples, confidence=confidence, seed=seed, scale=scale)


def bootstrap_sums(
    sums: NDArray[np.float64],
    statistic: Statistic,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int,
    scale: Scale = "",
) -> Interval:
    """Interval of a ``statistic`` of sums over clusters: ``sums`` has one entry per cluster, (n_clusters, ...).

    Resamples are those of `cluster_bootstrap`. Percentiles, or symmetric on a ``scale``.
    """
    sums = np.asarray(sums, dtype=np.float64)
    estimate = np.asarray(statistic(sums.sum(axis=0, keepdims=True)))[0]
    draws = _values(statistic, resampled(sums, samples, seed))
    return _interval(estimate, draws, confidence, len(sums), scale)


def bootstrap_items(
    clusters: ArrayLike,
    statistic: Statistic,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int,
    scale: Scale = "",
) -> Interval:
    """Interval of a ``statistic`` of items, such as one of ranks, that no sum over clusters determines.

    It is given how often each item counts, (B, n), and returns (B,) or (B, ...). ``clusters`` (n,) names the independent
    unit of each item. Resamples are those of `cluster_bootstrap`. Percentiles, or symmetric on a ``scale``.
    """
    codes, names = pd.factorize(np.asarray(clusters, dtype=object), sort=True)
    step = max(1, _BLOCK // max(1, len(codes)))
    drawn = _drawn(len(names), samples, seed, step)
    draws = np.concatenate([_values(statistic, weights[:, codes]) for weights in drawn])
    return _interval(np.asarray(statistic(np.ones((1, len(codes)))))[0], draws, confidence, len(names), scale)


def _drawn(clusters: int, samples: int, seed: int, step: int) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is drawn in each resample, (at most ``step``, clusters) at a time."""
    if samples < 1:
        raise ValueError("samples must be at least 1")
    rng = np.random.default_rng(seed)
    for start in range(0, samples, step):
        size = min(step, samples - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=size).astype(np.float64)


def paired_difference(
    confusions_a: ArrayLike,
    confusions_b: ArrayLike,
    statistic: Statistic,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int,
) -> Interval:
    """Interval of statistic(a) - statistic(b), both on the same resampled clusters.

    Both are (n_clusters, K, K) with the same clusters in the same order and made from the same items: raises
    ValueError if the true classes of a cluster differ.
    """
    a, b = same_items(confusions_a, confusions_b)
    estimate = np.asarray(statistic(a.sum(axis=0, keepdims=True)) - statistic(b.sum(axis=0, keepdims=True)))[0]
    of_a, of_b = (resampled(stack, samples, seed) for stack in (a, b))
    draws = _values(statistic, of_a) - _values(statistic, of_b)
    return _interval(estimate, draws, confidence, len(a))


def same_items(*confusions: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """The matrices as floats without empty clusters, after checking that they describe the same items."""
    stacks = [np.asarray(c, dtype=np.float64) for c in confusions]
    for stack in stacks:
        if stack.ndim != 3 or stack.shape[1] != stack.shape[2]:
            raise ValueError(f"confusions must have shape (n_clusters, K, K), not {stack.shape}")
        if stack.shape != stacks[0].shape or not np.array_equal(stack.sum(axis=2), stacks[0].sum(axis=2)):
            raise ValueError("the two sets of confusions are not for the same items: their true classes differ")
    full = stacks[0].sum(axis=(1, 2)) > 0
    if not full.any():
        raise ValueError("there is nothing to resample: every cluster is empty")
    return tuple(stack[full] for stack in stacks)


def resampled(stack: NDArray[np.float64], samples: int, seed: int) -> NDArray[np.float64]:
    """Sums over resampled clusters, (samples, ...): the same resamples for every stack of as many clusters."""
    return _sums(stack.tobytes(), stack.shape, samples, seed)


@lru_cache(maxsize=64)  # many scores are computed from the same resamples
def _sums(stack: bytes, shape: tuple[int, ...], samples: int, seed: int) -> NDArray[np.float64]:
    clusters = np.frombuffer(stack, np.float64).reshape(shape)
    weights = _drawn(len(clusters), samples, seed, max(1, _BLOCK // len(clusters)))
    drawn = np.concatenate([np.tensordot(each, clusters, axes=1) for each in weights])
    drawn.setflags(write=False)  # all that ask share it
    return drawn


def _values(statistic: Statistic, matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(statistic(matrices), dtype=np.float64)
    if values.shape[:1] != matrices.shape[:1]:
        raise ValueError(f"the statistic gave shape {values.shape} for {len(matrices)} matrices: it must be vectorised")
    return values


def _interval(
    estimate: NDArray[np.float64], draws: NDArray[np.float64], confidence: float, clusters: int, scale: Scale = ""
) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    undefined = np.isnan(draws).sum(axis=0)
    usable = (undefined < len(draws)) & (clusters > 1)
    tail = (1 - confidence) / 2
    # An all-NaN column has no quantile; it is replaced by zeros, whose result is then discarded.
    known = np.where(usable, draws, 0.0)
    if scale and clusters > 1:
        low, high = _on_scale(estimate, known, tail, clusters, scale)
    else:
        low, high = np.nanquantile(known, [tail, 1 - tail], axis=0)
    low, high = np.where(usable, low, np.nan), np.where(usable, high, np.nan)
    return Interval(_plain(estimate), _plain(low), _plain(high), confidence, len(draws), clusters, _count(undefined))


def _on_scale(
    estimate: NDArray[np.float64], draws: NDArray[np.float64], tail: float, clusters: int, scale: Scale
) -> NDArray[np.float64]:
    """Bounds (2, ...) that are symmetric on the ``scale``, on which a score at its very end would be endless.

    There it is taken for one that is as far from the end as half a pair among all pairs of clusters.
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    end = 0.5 / clusters**2
    if scale == "logit":
        drawn, found = (logit(np.clip(score, end, 1 - end)) for score in (draws, estimate))
    else:
        drawn, found = (np.log(np.maximum(score, end)) for score in (draws, estimate))
    # Resamples that are all equal say nothing of what other regions would give: no interval.
    std = np.where(np.nanmin(drawn, axis=0) < np.nanmax(drawn, axis=0), np.nanstd(drawn, axis=0), np.nan)
    spread = std * np.sqrt(clusters / (clusters - 1)) * t.ppf(1 - tail, clusters - 1)
    low, high = ((expit if scale == "logit" else np.exp)(bound) for bound in (found - spread, found + spread))
    return np.stack([np.minimum(low, estimate), np.maximum(high, estimate)])


def _plain(value: Any) -> float | NDArray[np.float64]:
    return float(value) if np.ndim(value) == 0 else np.asarray(value, dtype=np.float64)


def _count(value: Any) -> int | NDArray[np.int64]:
    return int(value) if np.ndim(value) == 0 else np.asarray(value, dtype=np.int64)
