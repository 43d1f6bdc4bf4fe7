"""How unlike a set of known items another one is: distances from the known ones, and the distance that is too far.

Two distances of feature vectors: Mahalanobis' with one shrunk covariance (Lee et al. 2018, arXiv 1807.03888; Ledoit and
Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), and the distance to the k-th nearest neighbour on the sphere (Sun et al.
2022, arXiv 2204.06507). The limit is a conformal quantile that counts clusters, not items: the pooled scores of known
clusters, each cluster of equal weight, and one unknown cluster of weight 1 at infinity (Lee, Barber and Willett 2023,
arXiv 2306.06342, HCP). It promises that a random item of a new, exchangeable cluster is above it in at most a share
``rate`` of all cases; fewer than ``1 / rate - 1`` clusters cannot promise that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


class Distance(Protocol):
    """A fitted distance from known items: what ``save`` gives, ``load`` of the same class takes."""

    @property
    def dimensions(self) -> int:
        """D."""

    def of(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """(N,) distances of vectors (N, D); the larger, the less familiar. Not finite where a vector is not."""

    def save(self) -> dict[str, Floats]:
        """Name -> array: all that `of` needs."""


@dataclass(frozen=True, eq=False)
class Mahalanobis:
    """Root mean square of the D whitened deviations from ``mean`` (D,): about 1 for Gaussian items.

    ``whitening`` (D, D) takes deviations to unit covariance.
    """

    mean: Floats
    whitening: Floats

    @classmethod
    def fitted(cls, known: ArrayLike) -> Mahalanobis:
        """To ``known`` (N, D): each dimension is brought to unit spread, then their covariance is shrunk to the identity."""
        from sklearn.covariance import ledoit_wolf

        given = np.asarray(known, dtype=np.float64)
        mean = given.mean(axis=0)
        spread = given.std(axis=0)
        # A dimension that never varies is given the spread of the least certain digits: any change is a stranger's.
        spread = np.where(spread > 0, spread, max(1e-3 * float(spread.max()), 1e-6))
        covariance, _ = ledoit_wolf((given - mean) / spread, assume_centered=True)
        values, vectors = np.linalg.eigh(covariance)
        whitening = (vectors / np.sqrt(np.maximum(values, values.max() * 1e-9))) / spread[:, None]
        return cls(mean.astype(np.float32), whitening.astype(np.float32))

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.mean)

    def of(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """(N,) distances of (N, D)."""
        white = (np.asarray(vectors, np.float64) - self.mean) @ self.whitening
        return np.asarray(np.sqrt(np.mean(white**2, axis=1)))

    def save(self) -> dict[str, Floats]:
        """Mean and whitening."""
        return {"mean": self.mean, "whitening": self.whitening}

    @classmethod
    def load(cls, saved: Mapping[str, Floats]) -> Mahalanobis:
        """From what `save` gave. Raises ValueError if shapes do not fit together."""
        (size,) = saved["mean"].shape
        if saved["whitening"].shape != (size, size):
            raise ValueError(f"whitening {saved['whitening'].shape} does not fit a mean of {size}")
        return cls(saved["mean"], saved["whitening"])


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Distance to the ``nearest``-th nearest of the known vectors ``bank`` (N, D), all on the unit sphere: 0 to 2."""

    bank: Floats
    nearest: int

    @classmethod
    def fitted(cls, known: ArrayLike, nearest: int) -> Neighbours:
        """To ``known`` (N, D); ``nearest`` is no more than N."""
        bank = _on_sphere(np.asarray(known, dtype=np.float64))
        return cls(bank.astype(np.float32), min(nearest, len(bank)))

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self.bank.shape[1])

    def of(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """(N,) distances of (N, D)."""
        cosine = _on_sphere(np.asarray(vectors, np.float64)) @ self.bank.T.astype(np.float64)
        kth = np.partition(cosine, -self.nearest, axis=1)[:, -self.nearest]
        return np.asarray(np.sqrt(np.maximum(2 - 2 * kth, 0)))

    def save(self) -> dict[str, Floats]:
        """The bank, and which neighbour counts."""
        return {"bank": self.bank, "nearest": np.array([self.nearest], np.float32)}

    @classmethod
    def load(cls, saved: Mapping[str, Floats]) -> Neighbours:
        """From what `save` gave. Raises ValueError if shapes do not fit together."""
        bank, nearest = saved["bank"], int(saved["nearest"][0])
        if bank.ndim != 2 or not 1 <= nearest <= len(bank):
            raise ValueError(f"a bank of shape {bank.shape} has no neighbour {nearest}")
        return cls(bank, nearest)


def _on_sphere(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def limit(scores: ArrayLike, clusters: ArrayLike, rate: float) -> float | None:
    """What at most a share ``rate`` of the items of new clusters exceeds; None if there are too few clusters to say.

    ``scores`` (N,) and the cluster of each. The smallest score with enough of the weight at or below it (see above).
    Raises ValueError for no scores, for scores that are not numbers and for a rate that is no share.
    """
    import pandas as pd  # only to fit: a page measures, and starts sooner without

    values, codes = np.asarray(scores, dtype=np.float64), pd.factorize(np.asarray(clusters, dtype=object))[0]
    if not 0 < rate < 1:
        raise ValueError(f"a rate lies between 0 and 1, not {rate}")
    if not len(values) or len(values) != len(codes) or np.isnan(values).any() or (codes < 0).any():
        raise ValueError("each score is a number of a named cluster, and there must be some")
    sizes = np.bincount(codes)
    if 1 / (len(sizes) + 1) > rate:
        return None
    order = np.argsort(values)
    weights = np.cumsum(1 / sizes[codes[order]]) / (len(sizes) + 1)
    return float(values[order][np.searchsorted(weights, 1 - rate - 1e-12)])


def supported_rate(clusters: int) -> float:
    """The lowest rate for which that many clusters give a `limit`: the one that their largest score stands for."""
    return 1 / (clusters + 1)


def roc(familiar: ArrayLike, strange: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """False-alarm rates, detection rates at each limit, and the area under the curve, of two sets of scores.

    From the strictest limit to the loosest, beginning at (0, 0). Raises ValueError if either set is empty.
    """
    from sklearn.metrics import auc, roc_curve

    # scikit-learn takes no infinity.
    known, unknown = (np.nan_to_num(np.asarray(scores, np.float64)) for scores in (familiar, strange))
    if not len(known) or not len(unknown):
        raise ValueError("a curve needs familiar and strange items")
    truth = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
    alarms, found, _ = roc_curve(truth, np.r_[known, unknown])
    return alarms, found, float(auc(alarms, found))
