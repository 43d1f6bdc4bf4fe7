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

from sdovis.statistics.bootstrap import Interval, bootstrap_sums
from sdovis.statistics.skill import checked_probabilities

#: A temperature beyond these limits says that there are too few images to tell.
TEMPERATURES = (0.05, 20.0)
BINS = 10


@dataclass(frozen=True)
class Calibration:
    """What the probability of the predicted class is worth.

    ``confidence`` and ``right`` (BINS,): mean probability and share of right answers in each bin; ``rows`` counts its
    images. ``ece`` is the mean of their distance, ``classwise_ece`` that of all classes' probabilities (Kull et al. 2019,
    arXiv:1910.12656, section 2), ``log_loss`` the mean of -ln p of the true class.
    """

    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: Interval
    ece: float
    classwise_ece: float
    log_loss: float


def calibration(
    truth: ArrayLike, probabilities: ArrayLike, clusters: ArrayLike, *, bins: int = BINS, **draws: Any
) -> Calibration:
    """Of n images; the intervals of ``right`` are by cluster, with ``draws`` as in `bootstrap.cluster_bootstrap`.

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
    sums = np.zeros((names.max() + 1, bins, 2))
    np.add.at(sums, (names, where), np.stack([np.ones(len(p)), right], axis=1))
    with np.errstate(invalid="ignore"):  # a bin may be empty in a resample
        found = bootstrap_sums(sums, lambda of: of[..., 1] / of[..., 0], **draws)
    classwise = [_distance(p[:, k], observed[:, k], bins) for k in range(p.shape[1])]
    return Calibration(
        rows=np.bincount(where, minlength=bins),
        confidence=np.bincount(where, sure, minlength=bins) / np.bincount(where, minlength=bins),
        right=found,
        ece=_distance(sure, right, bins),
        classwise_ece=float(np.mean(classwise)),
        log_loss=float(-np.log(np.maximum(p[observed == 1], np.finfo(np.float64).tiny)).mean()),
    )


def _bins(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each value: the smallest values in bin 0, equally many in each."""
    where = np.empty(len(values), np.int64)
    where[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // len(values)
    return where


def _distance(said: NDArray[np.float64], happened: NDArray[np.float64], bins: int) -> float:
    """Expected calibration error: mean over images of \\|mean said - mean happened\\| of their bin."""
    where = _bins(said, bins)
    return float(np.abs(np.bincount(where, said - happened, minlength=bins)).sum() / len(said))


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
