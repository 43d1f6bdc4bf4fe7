from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.statistics import bootstrap, skill
from sdovis.statistics.bootstrap import by_cluster, cluster_bootstrap, paired_difference


def made(seed: int, regions: int, images: int, right: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and region of images; a whole region is right or wrong at once."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 2, regions), images)
    wrong = np.repeat(rng.random(regions) > right, images)
    return truth, np.where(wrong, 1 - truth, truth), np.repeat(np.arange(regions), images)


def test_by_cluster_counts_each_cluster_in_sorted_order() -> None:
    found = by_cluster([0, 1, 1, 0], [0, 1, 0, 1], ["b", "a", "b", "a"], 2)
    assert found.tolist() == [[[0, 1], [0, 1]], [[1, 0], [1, 0]]]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)), min_size=1), st.randoms())
def test_clusters_add_up_to_the_whole_and_row_order_does_not_matter(rows: list, random) -> None:
    truth, predicted, clusters = map(list, zip(*rows, strict=True))
    found = by_cluster(truth, predicted, clusters, 3)
    assert np.array_equal(found.sum(axis=0), skill.confusion(truth, predicted, 3))
    random.shuffle(rows)
    assert np.array_equal(by_cluster(*zip(*rows, strict=True), 3), found)


def test_by_cluster_refuses_missing_clusters_and_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="1 items have no cluster"):
        by_cluster([0, 1], [0, 1], [11158, None], 2)
    with pytest.raises(ValueError, match="differ in length"):
        by_cluster([0, 1], [0, 1], [11158], 2)


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not() -> None:
    c = by_cluster(*made(1, 40, 3), 2)
    first, again = (cluster_bootstrap(c, skill.accuracy, samples=500, seed=7) for _ in range(2))
    assert first == again
    assert first != cluster_bootstrap(c, skill.accuracy, samples=500, seed=8)


def test_blocks_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    c = by_cluster(*made(1, 40, 3), 2)
    whole = cluster_bootstrap(c, skill.accuracy, samples=300, seed=7)
    monkeypatch.setattr(bootstrap, "_BLOCK", 40 * 7)
    assert cluster_bootstrap(c, skill.accuracy, samples=300, seed=7) == whole


def test_copies_of_an_image_in_its_region_do_not_narrow_the_interval() -> None:
    one = by_cluster(*made(2, 50, 1), 2)
    many = by_cluster(*made(2, 50, 30), 2)
    assert np.array_equal(many, 30 * one)
    a, b = (cluster_bootstrap(c, skill.balanced_accuracy, seed=3) for c in (one, many))
    assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high))
    # An image bootstrap of the copies would claim far more than is known.
    truth, predicted, _ = made(2, 50, 30)
    naive = cluster_bootstrap(by_cluster(truth, predicted, range(len(truth)), 2), skill.balanced_accuracy, seed=3)
    assert (naive.high - naive.low) < 0.4 * (b.high - b.low)


def test_with_one_image_a_cluster_it_is_the_image_bootstrap() -> None:
    truth, predicted, regions = made(4, 300, 1)
    found = cluster_bootstrap(by_cluster(truth, predicted, regions, 2), skill.accuracy, samples=4000, seed=0)
    rng = np.random.default_rng(99)
    right = (truth == predicted).astype(float)
    means = [rng.choice(right, right.size).mean() for _ in range(4000)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.012)


def test_the_interval_of_independent_images_has_the_binomial_width() -> None:
    truth, predicted, regions = made(5, 1000, 1)
    found = cluster_bootstrap(by_cluster(truth, predicted, regions, 2), skill.accuracy, samples=4000, seed=0)
    p = found.estimate
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 1000), rel=0.06)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        # 80 regions of 1 to 9 images; the true accuracy of the images is 0.7 whatever the region's size.
        sizes = rng.integers(1, 10, 80)
        truth = np.repeat(rng.integers(0, 2, 80), sizes)
        wrong = np.repeat(rng.random(80) > 0.7, sizes)
        c = by_cluster(truth, truth ^ wrong, np.repeat(np.arange(80), sizes), 2)
        found = cluster_bootstrap(c, skill.accuracy, samples=400, confidence=0.9, seed=seed)
        covered += found.low <= 0.7 <= found.high
    # 90 % nominal: three binomial standard deviations of 300 trials are 5.2 points; percentile intervals run a bit short.
    assert 0.83 <= covered / 300 <= 0.95


def test_a_statistic_may_give_one_number_a_class() -> None:
    c = by_cluster(*made(6, 60, 2), 2)
    found = cluster_bootstrap(c, skill.recall, samples=300, seed=1)
    assert found.estimate.shape == found.low.shape == found.high.shape == (2,)
    first, second = found.each()
    assert isinstance(first.low, float) and first.low == found.low[0] and second.high == found.high[1]
    alone = cluster_bootstrap(c, lambda m: skill.recall(m)[..., 1], samples=300, seed=1)
    assert (alone.estimate, alone.low, alone.high) == (second.estimate, second.low, second.high)
    assert alone.each() == (alone,)


def test_resamples_without_a_value_are_counted_and_left_out() -> None:
    # The second class lives in one of 10 regions: (9/10)^10 = 35 % of the resamples miss it.
    c = np.array([[[3, 1], [0, 0]]] * 9 + [[[0, 0], [1, 3]]])
    found = cluster_bootstrap(c, skill.recall, samples=2000, seed=0)
    assert found.undefined[0] == 0
    assert found.undefined[1] == pytest.approx(0.349 * 2000, rel=0.1)
    assert found.low[1] == found.high[1] == 0.75
    absent = cluster_bootstrap(c[:9], skill.recall, samples=50, seed=0)
    assert np.isnan([absent.estimate[1], absent.low[1], absent.high[1]]).all() and absent.undefined[1] == 50


def test_one_cluster_says_nothing_about_the_spread() -> None:
    found = cluster_bootstrap([[[3, 1], [1, 3]]], skill.accuracy, samples=50, seed=0)
    assert found.estimate == 0.75 and found.clusters == 1
    assert np.isnan(found.low) and np.isnan(found.high)


def test_empty_clusters_are_left_out() -> None:
    c = by_cluster(*made(1, 40, 3), 2)
    padded = np.concatenate([np.zeros((20, 2, 2)), c])
    assert cluster_bootstrap(padded, skill.accuracy, seed=7) == cluster_bootstrap(c, skill.accuracy, seed=7)
    with pytest.raises(ValueError, match="nothing to resample"):
        cluster_bootstrap(np.zeros((3, 2, 2)), skill.accuracy, seed=0)


def test_a_difference_uses_the_same_resamples_for_both() -> None:
    truth, predicted, regions = made(3, 60, 4)
    a = by_cluster(truth, predicted, regions, 2)
    same = paired_difference(a, a, skill.balanced_accuracy, seed=0)
    assert same.estimate == same.low == same.high == 0
    # b makes a's mistakes and, in every fourth image, one more: surely worse, though the intervals of a and b overlap.
    worse = np.where(np.arange(truth.size) % 4 == 0, 1 - truth, predicted)
    b = by_cluster(truth, worse, regions, 2)
    difference = paired_difference(a, b, skill.accuracy, seed=0)
    of_a, of_b = (cluster_bootstrap(c, skill.accuracy, seed=0) for c in (a, b))
    assert difference.estimate == pytest.approx(of_a.estimate - of_b.estimate)
    assert difference.low > 0 and of_a.low < of_b.high
    assert difference.clusters == 60
    reverse = paired_difference(b, a, skill.accuracy, seed=0)
    assert (reverse.low, reverse.high) == pytest.approx((-difference.high, -difference.low))


def test_a_difference_of_other_items_is_refused() -> None:
    a = by_cluster(*made(3, 60, 4), 2)
    with pytest.raises(ValueError, match="not for the same items"):
        paired_difference(a, by_cluster(*made(4, 60, 4), 2), skill.accuracy, seed=0)
    with pytest.raises(ValueError, match="not for the same items"):
        paired_difference(a, a[:30], skill.accuracy, seed=0)


@settings(max_examples=20)
@given(st.floats(0.5, 0.98), st.integers(0, 1000))
def test_more_confidence_is_never_narrower(confidence: float, seed: int) -> None:
    c = by_cluster(*made(1, 30, 2), 2)
    narrow = cluster_bootstrap(c, skill.accuracy, samples=100, confidence=confidence, seed=seed)
    wide = cluster_bootstrap(c, skill.accuracy, samples=100, confidence=(1 + confidence) / 2, seed=seed)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_what_makes_no_sense_is_refused() -> None:
    c = by_cluster(*made(1, 30, 2), 2)
    with pytest.raises(ValueError, match="vectorised"):
        cluster_bootstrap(c, lambda m: np.array([0.5]), samples=10, seed=0)
    with pytest.raises(ValueError, match="confidence"):
        cluster_bootstrap(c, skill.accuracy, confidence=95, seed=0)
    with pytest.raises(ValueError, match="samples"):
        cluster_bootstrap(c, skill.accuracy, samples=0, seed=0)
    with pytest.raises(ValueError, match="shape"):
        cluster_bootstrap(c[0], skill.accuracy, seed=0)


@given(st.integers(0, 50), st.integers(2, 8), st.sampled_from(["log", "logit"]))
@settings(deadline=None, max_examples=40)
def test_on_a_scale_the_interval_holds_the_estimate_and_no_impossible_score(seed, regions, scale) -> None:
    c = by_cluster(*made(seed, regions, 2), 2)
    found = cluster_bootstrap(c, skill.accuracy, samples=100, seed=0, scale=scale)
    if not np.isnan(found.low):  # of resamples that are all equal
        assert 0 <= found.low <= found.estimate <= found.high
        assert found.high <= 1 or scale == "log"


@pytest.mark.parametrize("regions", [6, 10])
def test_of_few_regions_percentiles_are_too_narrow_and_an_interval_on_the_logit_s_scale_is_not(regions) -> None:
    inside = {"": 0, "logit": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of = np.repeat(np.arange(regions), 8)
        right = rng.random(regions * 8) < rng.beta(2.8, 1.2, regions)[of]  # 0.7 in the mean
        c = by_cluster(np.zeros(len(of), int), 1 - right, of, 2)
        for scale in inside:
            found = cluster_bootstrap(c, skill.accuracy, samples=200, seed=seed, scale=scale)
            inside[scale] += found.low <= 0.7 <= found.high
    assert inside["logit"] / 200 == pytest.approx(0.95, abs=0.035)
    assert inside[""] < inside["logit"]


def test_on_a_scale_each_class_has_its_own_bounds_and_an_unknown_one_none() -> None:
    truth, predicted, of = made(3, 12, 3)
    c = by_cluster(truth, predicted, of, 3)  # the third class does not occur
    found = cluster_bootstrap(c, skill.recall, samples=200, seed=0, scale="logit")
    assert np.isnan([found.estimate[2], found.low[2], found.high[2]]).all()
    assert found.low[0] < found.estimate[0] < found.high[0]
    assert found.estimate[1] == 1 and np.isnan([found.low[1], found.high[1]]).all(), "no mistake was seen: no certainty"
    one = cluster_bootstrap(c[:1], skill.accuracy, samples=50, seed=0, scale="logit")
    assert np.isnan([one.low, one.high]).all()
