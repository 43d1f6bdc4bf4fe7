from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sdovis.statistics.calibration import (
    TEMPERATURES,
    calibration,
    calibration_where,
    fit_temperature,
    fit_temperature_and_biases,
)
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss


def answers(seed: int, n: int = 6000, k: int = 3, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth drawn from softmax(logits), and logits ``scale`` times as large: a classifier too sure if scale > 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, k))
    shares = softmax(logits, axis=1).cumsum(axis=1)
    return (rng.random((n, 1)) > shares).sum(axis=1).clip(max=k - 1), logits * scale


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_the_temperature_undoes_how_much_too_sure_a_classifier_is(scale) -> None:
    truth, logits = answers(1, scale=scale)
    assert fit_temperature(truth, logits, np.arange(len(truth))) == pytest.approx(scale, rel=0.05)


def test_the_temperature_is_the_best_of_a_fine_grid() -> None:
    truth, logits = answers(2, n=200, scale=1.7)
    grid = np.geomspace(*TEMPERATURES, 4000)
    best = min(grid, key=lambda t: log_loss(truth, softmax(logits / t, axis=1)))
    assert fit_temperature(truth, logits, np.arange(200)) == pytest.approx(best, rel=0.003)


def test_a_region_counts_once_however_many_its_images() -> None:
    truth, logits = answers(3, n=300, scale=1.5)
    often = np.concatenate([np.arange(300), np.zeros(5000, int)])
    once = fit_temperature(truth, logits, np.arange(300))
    assert fit_temperature(truth[often], logits[often], often) == pytest.approx(once, rel=1e-4)
    assert fit_temperature(truth[often], logits[often], np.arange(5300)) != pytest.approx(once, rel=0.01)


def test_a_validation_part_without_mistakes_does_not_make_the_classifier_certain() -> None:
    truth = np.array([0, 1, 2] * 10)
    assert fit_temperature(truth, 3 * np.eye(3)[truth], np.arange(30)) == pytest.approx(1, rel=1e-3)


def test_reliability_is_that_of_scikit_learn_for_two_classes() -> None:
    truth, logits = answers(4, n=1000, k=2, scale=2.0)
    p = softmax(logits, axis=1)
    found = calibration(truth, p, np.arange(1000), samples=100, seed=0)
    right = (p.argmax(axis=1) == truth).astype(int)
    share, sure = calibration_curve(right, p.max(axis=1), n_bins=10, strategy="quantile")
    assert found.right.estimate == pytest.approx(share, abs=0.011)
    assert found.confidence == pytest.approx(sure, abs=0.002)
    assert found.log_loss.estimate == pytest.approx(log_loss(truth, p))
    assert found.rows.tolist() == [100] * 10
    assert found.ece.estimate == pytest.approx(np.abs(found.right.estimate - found.confidence).mean())


def test_a_classifier_that_means_what_it_says_has_a_small_error_and_one_that_is_too_sure_a_large_one() -> None:
    errors = {}
    for scale in (1.0, 3.0):
        truth, logits = answers(5, scale=scale)
        found = calibration(truth, softmax(logits, axis=1), np.arange(len(truth)), samples=100, seed=0)
        errors[scale] = found.ece.estimate, found.classwise_ece.estimate
    assert max(errors[1.0]) < 0.02
    assert errors[3.0][0] > 0.1
    assert errors[3.0][1] > 0.05


def test_a_hand_made_case() -> None:
    p = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6]]
    found = calibration([0, 1, 0, 1], p, ["a", "a", "b", "b"], bins=2, samples=100, seed=0)
    assert found.confidence == pytest.approx([0.6, 0.85])
    assert found.right.estimate == pytest.approx([1.0, 0.5])
    assert found.ece.estimate == pytest.approx((0.4 + 0.35) / 2)
    assert found.log_loss.estimate == pytest.approx(-np.log([0.9, 0.2, 0.6, 0.6]).mean())


def test_images_of_one_region_widen_the_interval_of_a_bin() -> None:
    truth, logits = answers(6, n=200)
    p, copies = softmax(logits, axis=1), np.repeat(np.arange(200), 10)
    by_region, by_image = (
        calibration(truth[copies], p[copies], clusters, samples=500, seed=0).right
        for clusters in (copies, np.arange(2000))
    )
    assert np.all(by_region.high - by_region.low > 1.5 * (by_image.high - by_image.low))


@settings(deadline=None)  # a busy machine
@given(st.integers(0, 200), st.integers(2, 30), st.integers(1, 12))  # one region has no interval
def test_bins_hold_equally_many_whatever_is_said(seed, n, bins) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n).round(1)
    p = (p + 1e-3) / (p + 1e-3).sum(axis=1, keepdims=True)
    found = calibration(rng.integers(0, 3, n), p, np.arange(n), bins=bins, samples=100, seed=0)
    assert found.rows.sum() == n
    assert found.rows.max() - found.rows.min() <= 1
    assert 0 <= found.ece.low <= found.ece.estimate <= found.ece.high
    assert 0 <= found.classwise_ece.estimate <= 1


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        calibration([0], [[0.5, 0.6]], ["a"], seed=0)
    with pytest.raises(ValueError, match="there are no images"):
        calibration([], np.zeros((0, 3)), [], seed=0)


@pytest.mark.parametrize(("scale", "low"), [(1.0, 0.0), (3.0, 0.08)])
def test_the_interval_of_the_error_covers_what_endless_images_would_show_and_0_if_there_is_none(scale, low) -> None:
    truth, logits = answers(7, n=200_000, scale=scale)
    endless = calibration(truth, softmax(logits, axis=1), np.zeros(len(truth)), samples=100, seed=0)
    covered, ordinary = [], []
    for seed in range(40):
        truth, logits = answers(100 + seed, n=200, scale=scale)
        found = calibration(truth, softmax(logits, axis=1), np.arange(200), samples=300, seed=seed)
        covered.append(found.ece.low <= endless.ece.estimate + 1e-3 and found.ece.high >= endless.ece.estimate)
        assert found.classwise_ece.low <= found.classwise_ece.estimate <= found.classwise_ece.high
        ordinary.append(found.ece.estimate)
    assert np.mean(covered) >= 0.85
    assert found.ece.low >= low
    # The estimate itself is too large if there is no error: only the interval says so.
    assert (np.mean(ordinary) > 2 * endless.ece.estimate) == (scale == 1)


def test_one_region_gives_no_interval_of_the_error() -> None:
    truth, logits = answers(8, n=30)
    found = calibration(truth, softmax(logits, axis=1), np.zeros(30), samples=100, seed=0)
    assert np.isfinite(found.ece.estimate)
    assert np.isnan([found.ece.low, found.ece.high, found.log_loss.low]).all()


def regions(seed: int, n: int = 60, each: int = 6, alike: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, probabilities that are true, and regions whose images have much in common: logits, and what comes of them."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(n), each)
    logits = rng.normal(0, 1.5, (n, 3))[of] * alike**0.5 + rng.normal(0, 1.5, (n * each, 3)) * (1 - alike) ** 0.5
    p = softmax(logits, axis=1)
    drawn = np.where(rng.random(n * each) < alike, rng.random(n)[of], rng.random(n * each))
    return (drawn[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=2), p, of


@pytest.mark.parametrize("alike", [0.0, 0.8])
def test_the_floor_is_the_error_that_true_probabilities_show_on_so_few_regions(alike) -> None:
    found = [calibration(*regions(seed, alike=alike), samples=200, seed=seed) for seed in range(30)]
    shown = [each.ece.estimate for each in found]
    assert np.mean([each.floor.estimate for each in found]) == pytest.approx(np.mean(shown), rel=0.12)
    inside = [each.floor.low <= error <= each.floor.high for each, error in zip(found, shown, strict=True)]
    assert np.mean(inside) >= 0.85


def test_the_floor_rises_with_what_the_images_of_a_region_share_and_falls_with_regions() -> None:
    alone, alike, more = (
        np.mean([calibration(*regions(seed, n, 20, r), samples=100, seed=0).floor.estimate for seed in range(4)])
        for n, r in ((60, 0.0), (60, 0.9), (400, 0.9))
    )
    assert alike > 1.3 * alone
    assert more < 0.5 * alike


def test_where_classes_are_as_common_as_in_the_images_nothing_is_weighted() -> None:
    truth, p, of = regions(3)
    found = calibration(truth, p, of, samples=100, seed=0)
    ece, floor = calibration_where(truth, p, of, np.bincount(truth, minlength=3) / len(truth), samples=100, seed=0)
    assert ece.estimate == pytest.approx(found.ece.estimate)
    assert (floor.low, floor.high) == pytest.approx((found.floor.low, found.floor.high))


def taught_as_if_equally_common(seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with shares of 0.2, 0.7 and 0.1, and logits that would be true if these were equal, ``scale`` times as large.

    The common class lies between the others, and so is the one that is most often missed.
    """
    rng = np.random.default_rng(seed)
    truth, places = rng.choice(3, 6000, p=[0.2, 0.7, 0.1]), np.array([-1.5, 0.0, 1.5])
    seen = places[truth] + rng.normal(size=6000)
    return truth, scale * (seen[:, None] * places - places**2 / 2), np.arange(6000)


def test_probabilities_of_other_shares_are_only_true_where_the_classes_have_these() -> None:
    truth, logits, of = taught_as_if_equally_common(0)
    ece, floor = calibration_where(truth, softmax(logits, axis=1), of, np.full(3, 1 / 3), samples=200, seed=0)
    assert ece.low == 0 and ece.estimate < floor.high
    assert calibration(truth, softmax(logits, axis=1), of, samples=200, seed=0).ece.low > 0.05


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
def test_weighted_as_in_the_loss_a_temperature_does_not_make_up_for_other_shares(scale) -> None:
    truth, logits, of = taught_as_if_equally_common(1, scale)
    assert fit_temperature(truth, logits, of, np.full(3, 1 / 3)) == pytest.approx(scale, rel=0.05)
    assert fit_temperature(truth, logits, of) > 1.1 * scale


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
def test_biases_are_the_shares_that_were_not_taught(scale) -> None:
    truth, logits, of = taught_as_if_equally_common(2, scale)
    temperature, biases = fit_temperature_and_biases(truth, logits, of)
    assert temperature == pytest.approx(scale, rel=0.06)
    expected = np.log([0.2, 0.7, 0.1])
    assert biases == pytest.approx(expected - expected.mean(), abs=0.12)
    assert biases.sum() == pytest.approx(0)


def test_without_mistakes_biases_do_not_make_a_classifier_certain_either() -> None:
    truth = np.array([0, 1, 2] * 10)
    temperature, biases = fit_temperature_and_biases(truth, 3 * np.eye(3)[truth], np.arange(30))
    assert temperature == pytest.approx(1, rel=1e-3)
    assert biases == pytest.approx(np.zeros(3), abs=1e-3)


def test_with_biases_classes_are_as_common_as_among_images_and_not_as_among_regions() -> None:
    rng = np.random.default_rng(3)
    sizes = np.r_[np.full(100, 2), np.full(20, 20)]
    truth = np.repeat(np.r_[np.zeros(100, int), np.ones(20, int)], sizes)
    logits = np.c_[rng.normal(0, 1, truth.size), rng.normal(0.3 * truth, 1)]
    temperature, biases = fit_temperature_and_biases(truth, logits, np.repeat(np.arange(120), sizes))
    mean = softmax(logits / temperature + biases, axis=1)
    weight = np.repeat(1 / sizes, sizes)
    by_class = np.array([weight[truth == k].sum() for k in (0, 1)])
    shares = np.bincount(truth) / truth.size
    assert np.average(mean, axis=0, weights=weight * (shares / by_class)[truth]) == pytest.approx(shares, abs=1e-3)
