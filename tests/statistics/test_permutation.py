from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.statistics import permutation, skill
from sdovis.statistics.bootstrap import by_cluster
from sdovis.statistics.permutation import paired_permutation


def both(seed: int, regions: int, images: int, *, better: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confusions by region of two classifiers, each wrong for whole regions; the first is right more often by ``better``."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 2, regions), images)
    clusters = np.repeat(np.arange(regions), images)
    found = []
    for right in (0.6 + better, 0.6):
        wrong = np.repeat(rng.random(regions) > right, images)
        found.append(by_cluster(truth, np.where(wrong, 1 - truth, truth), clusters, 2))
    return found[0], found[1]


def exact(a: np.ndarray, b: np.ndarray, statistic) -> float:
    """The p-value of all swaps there are."""
    observed = abs(statistic(a.sum(axis=0)) - statistic(b.sum(axis=0)))
    apart = []
    for swaps in itertools.product([False, True], repeat=len(a)):
        chosen = np.array(swaps)[:, None, None]
        apart.append(abs(statistic(np.where(chosen, b, a).sum(axis=0)) - statistic(np.where(chosen, a, b).sum(axis=0))))
    return float(np.mean(np.array(apart) >= observed - 1e-12))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("statistic", [skill.accuracy, skill.balanced_accuracy])
def test_random_swaps_come_to_what_all_swaps_say(seed, statistic) -> None:
    a, b = both(seed, 9, 3, better=0.3)
    assert paired_permutation(a, b, statistic, samples=20_000, seed=1) == pytest.approx(
        exact(a, b, statistic), abs=0.012
    )


def test_a_classifier_does_not_differ_from_itself() -> None:
    a, _ = both(0, 20, 2)
    assert paired_permutation(a, a, skill.accuracy, samples=500, seed=0) == 1


def test_a_large_difference_over_many_regions_is_more_than_chance_and_p_is_never_0() -> None:
    a, b = both(1, 200, 3, better=0.35)
    assert paired_permutation(a, b, skill.accuracy, samples=999, seed=0) == 0.001


@given(st.integers(0, 1000))
def test_the_order_of_the_two_does_not_matter(seed) -> None:
    a, b = both(seed, 8, 2, better=0.2)
    one, other = (paired_permutation(x, y, skill.accuracy, samples=200, seed=3) for x, y in ((a, b), (b, a)))
    assert one == other


def test_two_equal_classifiers_differ_by_chance_in_about_one_case_in_twenty() -> None:
    # Ten images of a region are right or wrong together: swapped one by one, far more than 5 % would seem to differ.
    chances = [paired_permutation(*both(seed, 60, 10), skill.accuracy, samples=400, seed=seed) for seed in range(600)]
    assert 0.03 < np.mean(np.array(chances) <= 0.05) < 0.07


def test_blocks_do_not_change_how_many_swaps_are_drawn(monkeypatch) -> None:
    a, b = both(2, 30, 2, better=0.2)
    whole = paired_permutation(a, b, skill.accuracy, samples=4000, seed=0)
    monkeypatch.setattr(permutation, "_BLOCK", 30 * 7)
    assert paired_permutation(a, b, skill.accuracy, samples=4000, seed=0) == pytest.approx(whole, abs=0.03)


def test_confusions_of_other_items_and_an_undefined_score_are_not_compared() -> None:
    a, b = both(0, 5, 2)
    with pytest.raises(ValueError, match="not for the same items"):
        paired_permutation(a, b[::-1], skill.accuracy, seed=0)
    one_class = by_cluster([0, 0], [0, 0], ["a", "b"], 2)
    assert np.isnan(paired_permutation(one_class, one_class, skill.peirce, samples=10, seed=0))
