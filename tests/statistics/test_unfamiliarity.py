"""Distances agree with scikit-learn's, and a limit keeps what it promises about new clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sdovis.statistics.unfamiliarity import Mahalanobis, Neighbours, limit, roc, supported_rate
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler


@pytest.fixture
def vectors() -> np.ndarray:
    """Sixty correlated vectors of twelve dimensions of very different spread."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 12)) @ rng.normal(size=(12, 12)) * np.logspace(-3, 3, 12) + 5


def test_mahalanobis_distance_is_scikit_learns(vectors: np.ndarray) -> None:
    known, new = vectors[:40], vectors[40:]
    scaled = StandardScaler().fit(known)
    reference = LedoitWolf(assume_centered=True).fit(scaled.transform(known)).mahalanobis(scaled.transform(new))
    assert Mahalanobis.fitted(known).of(new) == pytest.approx(np.sqrt(reference / 12), rel=1e-4)


def test_mahalanobis_distance_has_fewer_vectors_than_dimensions(vectors: np.ndarray) -> None:
    found = Mahalanobis.fitted(vectors[:5]).of(vectors)
    assert np.isfinite(found).all()
    assert found[:5].max() < np.median(found[5:])


def test_a_dimension_that_never_varied_makes_a_stranger_of_any_change(vectors: np.ndarray) -> None:
    vectors[:, 3] = 7.0
    distance = Mahalanobis.fitted(vectors)
    changed = vectors[:1].copy()
    changed[0, 3] += vectors.std(axis=0).max()
    assert distance.of(changed)[0] > 10 * distance.of(vectors).max()


@pytest.mark.parametrize("nearest", [1, 4])
def test_the_distance_to_a_neighbour_is_scikit_learns(vectors: np.ndarray, nearest: int) -> None:
    known, new = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors[:40], vectors[40:]))
    reference = NearestNeighbors(n_neighbors=nearest).fit(known).kneighbors(new)[0][:, -1]
    found = Neighbours.fitted(vectors[:40], nearest).of(vectors[40:])
    assert found == pytest.approx(reference, abs=1e-3)


def test_fewer_vectors_than_neighbours_take_the_farthest(vectors: np.ndarray) -> None:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = cdist(unit[3:], unit[:3]).max(axis=1)
    assert Neighbours.fitted(vectors[:3], 10).of(vectors[3:]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("fit", [Mahalanobis.fitted, lambda known: Neighbours.fitted(known, 3)])
def test_a_saved_distance_is_the_same(vectors: np.ndarray, fit) -> None:
    distance = fit(vectors[:40])
    again = type(distance).load(distance.save())
    assert (again.of(vectors) == distance.of(vectors)).all()
    assert again.dimensions == 12


@pytest.mark.parametrize("kind", [Mahalanobis, Neighbours])
def test_what_does_not_fit_together_is_refused(vectors: np.ndarray, kind: type) -> None:
    fits = {Mahalanobis: Mahalanobis.fitted, Neighbours: lambda known: Neighbours.fitted(known, 3)}
    saved = fits[kind](vectors).save()
    first = next(iter(saved))
    with pytest.raises(ValueError, match=r"does not fit|no neighbour"):
        kind.load(saved | {first: saved[first][:2]})


def test_a_limit_counts_clusters_and_not_items() -> None:
    # One cluster of a thousand far items weighs as much as one of two.
    scores = np.r_[np.full(1000, 9.0), np.tile([1.0, 2.0], 199)]
    clusters = np.r_[np.zeros(1000), np.repeat(np.arange(1, 200), 2)]
    assert limit(scores, clusters, 0.02) == 2.0
    assert limit(scores, clusters, 0.006) == 9.0


def test_too_few_clusters_cannot_say() -> None:
    assert limit(np.arange(98.0), np.arange(98), 0.01) is None
    assert limit(np.arange(99.0), np.arange(99), 0.01) == 98.0
    assert supported_rate(99) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("scores", "clusters", "rate"), [([], [], 0.1), ([1, np.nan], [0, 1], 0.6), ([1], [None], 0.6), ([1], [0], 0.0)]
)
def test_a_limit_of_nothing_is_refused(scores, clusters, rate) -> None:
    with pytest.raises(ValueError, match=r"rate|score"):
        limit(scores, clusters, rate)


def test_new_clusters_exceed_the_limit_as_rarely_as_promised() -> None:
    """Clusters with a level of their own, the far ones of few items; a random item of a new one, a thousand times."""
    rng = np.random.default_rng(1)
    above = []
    for _ in range(1000):
        level = rng.normal(size=40)
        clusters = np.repeat(np.arange(40), np.where(level > 0.5, 1, 30))
        scores = level[clusters] + 0.5 * rng.normal(size=len(clusters))
        above.append(rng.normal() + 0.5 * rng.normal() > limit(scores, clusters, 0.1))
    assert 0.07 < np.mean(above) <= 0.1 + 2 * np.sqrt(0.09 / 1000)


def test_the_curve_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    known, strange = rng.normal(size=50), rng.normal(1.2, 1, 20)
    alarms, found, area = roc(known, strange)
    assert area == pytest.approx(roc_auc_score(np.r_[np.zeros(50), np.ones(20)], np.r_[known, strange]))
    assert (alarms[0], found[0], alarms[-1], found[-1]) == (0, 0, 1, 1)
    assert roc(known, np.full(5, np.inf))[2] == 1
    with pytest.raises(ValueError, match="familiar and strange"):
        roc(known, [])
