from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.statistics import skill
from sdovis.statistics.decisions import (
    aurc,
    best_threshold,
    risk_coverage,
    threshold_of_coverage,
    threshold_of_risk,
)
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, roc_curve

answers = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=40)


def by_definition(right: np.ndarray, confidence: np.ndarray) -> list[tuple[float, float, float]]:
    found = []
    for threshold in sorted(set(confidence.tolist()), reverse=True):
        answered = confidence >= threshold
        found.append((threshold, answered.mean(), 1 - right[answered].mean()))
    return found


@settings(deadline=None, max_examples=50)
@given(answers)
def test_the_curve_and_its_area_are_those_of_the_definition(rows: list) -> None:
    right, confidence = (np.array(column) for column in zip(*rows, strict=True))
    expected = by_definition(right, confidence)
    assert np.transpose(risk_coverage(right, confidence)).ravel() == pytest.approx(np.ravel(expected))
    risk = {threshold: risk for threshold, _, risk in expected}
    assert aurc(right, confidence) == pytest.approx(np.mean([risk[each] for each in confidence.tolist()]))


@settings(deadline=None, max_examples=50)
@given(answers, st.integers(0, 99))
def test_weights_count_an_image_as_often_as_if_it_were_there_again(rows: list, seed: int) -> None:
    right, confidence = (np.array(column) for column in zip(*rows, strict=True))
    weights = np.random.default_rng(seed).integers(0, 3, len(right))
    if weights.sum():
        again = aurc(np.repeat(right, weights), np.repeat(confidence, weights))
        assert aurc(right, confidence, weights) == pytest.approx(float(again))


def test_whoever_knows_what_it_does_not_know_has_a_smaller_area_and_guessing_has_the_error_rate() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(20_000) < 0.7
    assert aurc(right, right + rng.random(20_000)) == pytest.approx(0.3 + 0.7 * np.log(0.7), abs=0.01)
    assert aurc(right, rng.random(20_000)) == pytest.approx(0.3, abs=0.02)
    assert aurc(right, np.zeros(20_000)) == pytest.approx(1 - right.mean())


@settings(deadline=None, max_examples=50)
@given(answers, st.floats(0.01, 1))
def test_the_threshold_of_a_coverage_is_the_highest_that_answers_so_many(rows: list, coverage: float) -> None:
    confidence = np.array([sure for _, sure in rows], float)
    threshold = threshold_of_coverage(confidence, coverage)
    assert (confidence >= threshold).mean() >= coverage - 1e-9
    assert not any((confidence >= higher).mean() >= coverage for higher in confidence if higher > threshold)


def test_seven_of_ten_are_seven_of_ten_and_not_eight_for_a_rounding() -> None:
    confidence = np.arange(10) / 10
    assert [(confidence >= threshold_of_coverage(confidence, share / 10)).sum() for share in range(1, 11)] == [
        *range(1, 11)
    ]


@settings(deadline=None, max_examples=50)
@given(answers, st.floats(0, 1))
def test_the_threshold_of_a_risk_is_the_lowest_that_keeps_it(rows: list, risk: float) -> None:
    right, confidence = (np.array(column) for column in zip(*rows, strict=True))
    allowed = [threshold for threshold, _, found in by_definition(right, confidence) if found <= risk + 1e-12]
    assert threshold_of_risk(right, confidence, risk) == (min(allowed) if allowed else None)


def test_the_threshold_of_the_true_skill_statistic_is_where_the_roc_curve_is_farthest_from_chance() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random(400) < 0.1).astype(int)
    p = np.clip(0.15 * truth + rng.beta(2, 12, 400), 0, 1)
    alarms, hits, thresholds = roc_curve(truth, p, drop_intermediate=False)
    found, best = best_threshold(truth, p, lambda m: skill.tss(m)[..., 1])
    assert best == pytest.approx((hits - alarms).max())
    called = (p >= found).astype(int)
    assert (called == (p >= thresholds[(hits - alarms).argmax()])).all()
    assert best > skill.tss(skill.confusion(truth, (p >= 0.5).astype(int), 2))[1]


@pytest.mark.parametrize(
    ("score", "referee"),
    [(skill.balanced_accuracy, balanced_accuracy_score), (skill.heidke, cohen_kappa_score),
     (skill.macro_f1, lambda t, p: f1_score(t, p, average="macro", zero_division=0.0))],
)  # fmt: skip
def test_the_score_at_the_threshold_is_that_of_scikit_learn_and_no_other_threshold_is_better(score, referee) -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 80)
    p = np.round(np.clip(0.2 * truth + rng.random(80) * 0.8, 0, 1), 2)
    found, best = best_threshold(truth, p, score)
    assert best == pytest.approx(referee(truth, (p >= found).astype(int)))
    assert best == pytest.approx(max(referee(truth, (p >= cut).astype(int)) for cut in np.linspace(0.005, 0.995, 199)))


def test_of_equal_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    assert best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], skill.accuracy) == (pytest.approx(0.45), 1.0)


def test_nothing_can_be_chosen_where_the_score_is_undefined_or_there_are_no_answers() -> None:
    with pytest.raises(ValueError, match="undefined for every threshold"):
        best_threshold([1, 1], [0.2, 0.3], lambda m: skill.tss(m)[..., 1])
    with pytest.raises(ValueError, match="not empty"):
        risk_coverage([], [])
