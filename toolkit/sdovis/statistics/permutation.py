"""Is the difference between two classifiers more than chance? A permutation test that swaps whole clusters.

Under the null hypothesis the two classifiers are exchangeable, so in each active region their predictions may be swapped.
All images of a region are swapped together, because they are not independent. Good (2005), Permutation, Parametric, and
Bootstrap Tests of Hypotheses, 3rd ed., section 3.6 (paired samples); Phipson and Smyth (2010), Statistical Applications
in Genetics and Molecular Biology 9, 39 (the observed arrangement counts as one of those drawn, so p is never 0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sdovis.statistics.bootstrap import Statistic, same_items

# Swaps of this many (sample, cluster) pairs are held at once: 32 MB.
_BLOCK = 4_000_000
#: Differences closer than this are equal: sums over clusters are rounded.
_ROUNDING = 1e-12


def paired_permutation(
    confusions_a: ArrayLike, confusions_b: ArrayLike, statistic: Statistic, *, samples: int = 10_000, seed: int
) -> float:
    """Two-sided p-value of statistic(a) - statistic(b), from ``samples`` random swaps of whole clusters.

    Both are (n_clusters, K, K) with the same clusters in the same order, made from the same items: raises ValueError if
    the true classes of a cluster differ. NaN if the difference is undefined.
    """
    if samples < 1:
        raise ValueError("samples must be at least 1")
    a, b = same_items(confusions_a, confusions_b)
    sum_a, sum_b, change = a.sum(axis=0), b.sum(axis=0), b - a
    observed = float(abs(statistic(sum_a[None]) - statistic(sum_b[None]))[0])
    if np.isnan(observed):
        return float("nan")
    rng, extreme, step = np.random.default_rng(seed), 0, max(1, _BLOCK // len(a))
    for start in range(0, samples, step):
        swapped = rng.integers(0, 2, size=(min(step, samples - start), len(a)), dtype=np.int8).astype(np.float64)
        moved = np.tensordot(swapped, change, axes=1)
        # A swap never changes the truth, so the statistic is as defined as it was.
        extreme += int(np.sum(np.abs(statistic(sum_a + moved) - statistic(sum_b - moved)) >= observed - _ROUNDING))
    return (extreme + 1) / (samples + 1)
