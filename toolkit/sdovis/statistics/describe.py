"""Description of one sample: region areas, timings, or the scores of several seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Description:
    """Summary of one sample, in the unit of its values. NaN if there are too few values to define a number."""

    n: int
    missing: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    iqr: float
    min: float
    max: float
    p95: float


def describe(values: ArrayLike) -> Description:
    """Describe a vector; NaN counts as missing and is left out, an infinite value raises ValueError.

    ``sd`` is the sample's (n - 1); quantiles interpolate linearly (type 7 of Hyndman and Fan 1996, as R and numpy do).
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1:
        raise ValueError(f"values must be a vector, not of shape {v.shape}")
    missing = int(np.isnan(v).sum())
    v = v[~np.isnan(v)]
    if np.isinf(v).any():
        raise ValueError("values must be finite")
    if not v.size:
        return Description(0, missing, *[float("nan")] * 9)
    q1, median, q3, p95 = map(float, np.quantile(v, [0.25, 0.5, 0.75, 0.95]))
    sd = float(v.std(ddof=1)) if v.size > 1 else float("nan")
    low, high = float(v.min()), float(v.max())
    return Description(v.size, missing, float(v.mean()), sd, median, q1, q3, q3 - q1, low, high, p95)


def over_seeds(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, sample standard deviation, least and greatest of each score that all seeds have; ``scores`` is seed -> score."""
    names = sorted(set.intersection(*(set(each) for each in scores.values())))
    return {name: _spread([each[name] for each in scores.values()]) for name in names}


def _spread(values: Sequence[float]) -> dict[str, float]:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return {"mean": statistics.fmean(values), "sd": deviation, "low": min(values), "high": max(values)}
