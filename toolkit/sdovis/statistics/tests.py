"""Rank tests of samples of independent units, each with an effect size, its interval and the method used.

Aggregate to the independent unit (the active region) first: a test of correlated images proves nothing.
p-values are scipy's; Hodges-Lehmann shifts and their intervals follow Hollander and Wolfe (1999), Nonparametric
Statistical Methods, 2nd ed., sections 3.2-3.3 and 4.2-4.3, and agree with R's ``wilcox.test(conf.int = TRUE)`` when
that is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Alternative = Literal["two-sided", "less", "greater"]
EXACT = "exact"
ASYMPTOTIC = "asymptotic, continuity-corrected"

# R's rule: the exact distribution for fewer than 50 values without ties or zeros.
_EXACT_BELOW = 50


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon signed-rank test of a - b.

    ``n`` pairs, of which ``zeros`` have no difference and are left out of the test; ``ties`` differences share their
    size with another. ``statistic`` is W+, the rank sum of the positive differences. ``shift`` is the Hodges-Lehmann
    estimate of the difference with its two-sided interval [low, high], NaN if no interval of this confidence exists.
    ``rank_biserial`` is (W+ - W-) / (W+ + W-), from -1 to 1 (Kerby 2014).
    """

    n: int
    zeros: int
    ties: int
    statistic: float
    p_value: float
    shift: float
    low: float
    high: float
    confidence: float
    rank_biserial: float
    method: str
    alternative: str


@dataclass(frozen=True)
class RankSum:
    """Wilcoxon rank-sum (Mann-Whitney) test of two independent samples.

    ``statistic`` is U of the first sample: pairs in which a > b, ties counting half. ``shift`` is the Hodges-Lehmann
    estimate of a - b with its two-sided interval. ``cliffs_delta`` is P(a > b) - P(a < b), from -1 to 1 (Cliff 1993).
    ``ties`` counts the values that occur more than once in the pooled sample.
    """

    n_a: int
    n_b: int
    ties: int
    statistic: float
    p_value: float
    shift: float
    low: float
    high: float
    confidence: float
    cliffs_delta: float
    method: str
    alternative: str


@dataclass(frozen=True)
class Kruskal:
    """Kruskal-Wallis test: H, its chi-square p-value, and epsilon squared H / (n - 1), from 0 to 1."""

    sizes: tuple[int, ...]
    ties: int
    statistic: float
    degrees_of_freedom: int
    p_value: float
    epsilon_squared: float
    method: str


def wilcoxon_signed_rank(
    a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> SignedRank:
    """Test whether paired a and b differ. Exact for fewer than 50 pairs without ties or zeros, otherwise asymptotic.

    Pairs without a difference are left out of test and effect size (Wilcoxon's own rule) and kept in the shift.
    An undefined p-value (no difference at all) is NaN. Raises ValueError for samples of unequal length, empty or not
    finite.
    """
    first, second = _sample(a), _sample(b)
    if len(first) != len(second):
        raise ValueError(f"paired samples differ in length: {len(first)} and {len(second)}")
    d = first - second
    used = d[d != 0]
    zeros, ties = len(d) - len(used), _tied(np.abs(used))
    exact = len(d) < _EXACT_BELOW and not zeros and not ties
    ranks = stats.rankdata(np.abs(used))
    plus, minus = float(ranks[used > 0].sum()), float(ranks[used < 0].sum())
    p_value, effect = float("nan"), float("nan")
    if len(used):
        found = stats.wilcoxon(  # type: ignore[call-overload]  # the stubs do not know "asymptotic" in every overload
            used, alternative=alternative, method="exact" if exact else "asymptotic", correction=not exact
        )
        p_value, effect = float(found.pvalue), (plus - minus) / (plus + minus)
    ordered = np.sort(d)
    n, pairs = len(d), len(d) * (len(d) + 1) // 2
    if exact:
        k = _exact_rank(_signed_rank_counts(n), confidence)
    else:
        k = _normal_rank(pairs / 2, n * (n + 1) * (2 * n + 1) / 24, confidence)
    shift, low, high = _shift(_walsh_counter(ordered), float(ordered[0]), float(ordered[-1]), pairs, k)
    return SignedRank(
        n=n,
        zeros=zeros,
        ties=ties,
        statistic=plus,
        p_value=p_value,
        shift=shift,
        low=low,
        high=high,
        confidence=confidence,
        rank_biserial=effect,
        method=EXACT if exact else ASYMPTOTIC,
        alternative=alternative,
    )


def rank_sum(
    a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> RankSum:
    """Test whether independent a and b differ. Exact for fewer than 50 values each and no ties, otherwise asymptotic.

    Raises ValueError for samples that are empty or not finite.
    """
    first, second = np.sort(_sample(a)), np.sort(_sample(b))
    m, n = len(first), len(second)
    pooled = np.concatenate([first, second])
    ties = _tied(pooled)
    exact = max(m, n) < _EXACT_BELOW and not ties
    found = stats.mannwhitneyu(first, second, alternative=alternative, method="exact" if exact else "asymptotic")
    u = float(found.statistic)
    p_value = float(found.pvalue) if pooled.min() < pooled.max() else float("nan")
    if exact:
        k = _exact_rank(_rank_sum_counts(m, n), confidence)
    else:
        sizes = np.unique(pooled, return_counts=True)[1].astype(np.float64)
        total = m + n
        variance = m * n / 12 * (total + 1 - float((sizes**3 - sizes).sum()) / (total * (total - 1)))
        k = _normal_rank(m * n / 2, variance, confidence)
    shift, low, high = _shift(
        _difference_counter(first, second), float(first[0] - second[-1]), float(first[-1] - second[0]), m * n, k
    )
    return RankSum(
        n_a=m,
        n_b=n,
        ties=ties,
        statistic=u,
        p_value=p_value,
        shift=shift,
        low=low,
        high=high,
        confidence=confidence,
        cliffs_delta=2 * u / (m * n) - 1,
        method=EXACT if exact else ASYMPTOTIC,
        alternative=alternative,
    )


def kruskal(*groups: ArrayLike) -> Kruskal:
    """Test whether two or more independent groups differ. H is corrected for ties; p from chi-square."""
    samples = [_sample(g) for g in groups]
    if len(samples) < 2:
        raise ValueError("give at least two groups")
    pooled = np.concatenate(samples)
    statistic, p_value = (float("nan"), float("nan"))
    if pooled.min() < pooled.max():
        found = stats.kruskal(*samples)
        statistic, p_value = float(found.statistic), float(found.pvalue)
    return Kruskal(
        sizes=tuple(map(len, samples)),
        ties=_tied(pooled),
        statistic=statistic,
        degrees_of_freedom=len(samples) - 1,
        p_value=p_value,
        epsilon_squared=statistic / (len(pooled) - 1),
        method="asymptotic, chi-square",
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values adjusted by Holm's step-down method (Holm 1979), in the order given.

    The family is everything given: an undefined p-value stays NaN and still counts, so that leaving one undefined does
    not make the others smaller.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or (p < 0).any() or (p > 1).any():
        raise ValueError("p-values must be a vector of numbers from 0 to 1")
    order = np.argsort(p)  # NaN sorts last
    steps = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * steps))
    return adjusted


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1 or not v.size or not np.isfinite(v).all():
        raise ValueError("a sample must be a vector of at least one finite number")
    return v


def _tied(values: NDArray[np.float64]) -> int:
    """How many values occur more than once."""
    counts: NDArray[np.int64] = np.unique(values, return_counts=True)[1]
    return int(counts[counts > 1].sum())


def _signed_rank_counts(n: int) -> NDArray[np.float64]:
    """Number of sign patterns of 1 ... n with each W+ from 0 to n(n+1)/2 (exact below 2^53 and enough above)."""
    counts = np.ones(1)
    for rank in range(1, n + 1):
        counts = np.concatenate([counts, np.zeros(rank)]) + np.concatenate([np.zeros(rank), counts])
    return counts


def _rank_sum_counts(m: int, n: int) -> NDArray[np.float64]:
    """Number of arrangements of m and n values with each U from 0 to mn, adding one rank at a time."""
    by_size = np.zeros((m + 1, m * n + 1))
    by_size[0, 0] = 1
    for rank in range(m + n):
        for size in range(min(m, rank + 1), 0, -1):
            gain = rank - (size - 1)  # values of the other sample below this one
            if gain <= n:
                by_size[size, gain:] += by_size[size - 1, : m * n + 1 - gain]
    counts: NDArray[np.float64] = by_size[m]
    return counts


def _exact_rank(counts: NDArray[np.float64], confidence: float) -> int:
    """Rank of the lower bound among the ordered pairs: the first k with P(W <= k) >= tail; 0 if there is none."""
    cumulative = np.cumsum(counts) / counts.sum()
    return int(np.searchsorted(cumulative, (1 - confidence) / 2 * (1 - 1e-12)))


def _normal_rank(mean: float, variance: float, confidence: float) -> int:
    """The same from the normal approximation (Hollander and Wolfe, eqs. 3.31 and 4.35)."""
    return max(0, int(np.floor(mean - float(stats.norm.ppf((1 + confidence) / 2)) * variance**0.5)))


Counter = Callable[[float], int]


def _walsh_counter(ordered: NDArray[np.float64]) -> Counter:
    """How many averages (d_i + d_j) / 2, i <= j, are at most x."""

    def count(x: float) -> int:
        below = int(np.searchsorted(ordered, 2 * x - ordered, side="right").sum())
        return (below + int((ordered <= x).sum())) // 2

    return count


def _difference_counter(a: NDArray[np.float64], b: NDArray[np.float64]) -> Counter:
    """How many differences a_i - b_j are at most x."""
    return lambda x: int(np.searchsorted(a, x + b, side="right").sum())


def _shift(count: Counter, low: float, high: float, total: int, k: int) -> tuple[float, float, float]:
    """Median of ``total`` pair values between ``low`` and ``high``, and their k-th from below and from above."""
    middle = (_kth(count, low, high, (total + 1) // 2) + _kth(count, low, high, total // 2 + 1)) / 2
    if k < 1:
        return middle, float("nan"), float("nan")
    return middle, _kth(count, low, high, k), _kth(count, low, high, total + 1 - k)


def _kth(count: Counter, low: float, high: float, k: int) -> float:
    """The k-th smallest pair value to about 1e-15 of the largest: bisection keeps memory linear in n, not n^2."""
    if count(low) >= k:
        return low
    precision = np.finfo(np.float64).eps * max(abs(low), abs(high))
    while high - low > precision:
        middle = low + (high - low) / 2
        if count(middle) >= k:
            high = middle
        else:
            low = middle
    return high
