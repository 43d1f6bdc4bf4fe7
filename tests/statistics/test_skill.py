from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sdovis.statistics import skill
from sklearn import metrics as sk

# Finley's tornado forecasts of 1884: 28 hits, 23 misses, 72 false alarms, 2680 correct negatives.
FINLEY = np.array([[28, 23], [72, 2680]])

# Cloud cover in Finland (Nurmi 2003, ECMWF Technical Memorandum 430); published with forecasts in the rows.
CLOUDS = np.array([[65, 10, 21], [29, 17, 48], [18, 10, 128]]).T

# Freezing rain, snow, rain: Wilks (2011), Table 8.3; published with forecasts in the rows.
PRECIPITATION = np.array([[50, 91, 71], [47, 2364, 170], [54, 205, 3288]]).T

matrices = st.integers(2, 5).flatmap(lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 30)))


def items(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = np.indices(matrix.shape).reshape(2, -1)
    return np.repeat(truth, matrix.ravel()), np.repeat(predicted, matrix.ravel())


def gerrity_by_definition(matrix: np.ndarray) -> float:
    """Gerrity (1992), written out with loops over the classes 1 ... K."""
    p = matrix / matrix.sum()
    k = len(p)
    a = {r: (1 - p.sum(axis=1)[:r].sum()) / p.sum(axis=1)[:r].sum() for r in range(1, k)}
    total = 0.0
    for i in range(1, k + 1):
        for j in range(1, k + 1):
            lo, hi = min(i, j), max(i, j)
            s = sum(1 / a[r] for r in range(1, lo)) - (hi - lo) + sum(a[r] for r in range(hi, k))
            total += p[i - 1, j - 1] * s / (k - 1)
    return total


def test_confusion_has_truth_in_rows_and_predictions_in_columns() -> None:
    assert skill.confusion([0, 0, 1, 2], [0, 2, 1, 1], 3).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert skill.confusion([], [], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("truth", "predicted"), [([0, 1], [0]), ([0, 3], [0, 0]), ([0, -1], [0, 0]), ([0.5, 1], [0, 0]), ([[0]], [[0]])]
)
def test_confusion_refuses_what_is_not_class_numbers(truth: list, predicted: list) -> None:
    with pytest.raises(ValueError, match="truth"):
        skill.confusion(truth, predicted, 3)


def test_finleys_tornado_forecasts_have_their_published_scores() -> None:
    assert skill.accuracy(FINLEY) == pytest.approx(0.966, abs=5e-4)
    assert skill.tss(FINLEY) == pytest.approx([0.523, 0.523], abs=5e-4)
    assert skill.hss(FINLEY) == pytest.approx([0.355, 0.355], abs=5e-4)
    assert skill.peirce(FINLEY) == pytest.approx(0.523, abs=5e-4)
    assert skill.heidke(FINLEY) == pytest.approx(0.355, abs=5e-4)
    assert skill.recall(FINLEY)[0] == pytest.approx(0.549, abs=5e-4)
    assert skill.precision(FINLEY)[0] == pytest.approx(0.28)


def test_finnish_cloud_forecasts_have_their_published_scores() -> None:
    assert skill.accuracy(CLOUDS) == pytest.approx(0.61, abs=5e-3)
    assert skill.peirce(CLOUDS) == pytest.approx(0.41, abs=5e-3)
    assert skill.heidke(CLOUDS) == pytest.approx(0.37, abs=5e-3)
    assert skill.recall(CLOUDS) == pytest.approx([0.58, 0.46, 0.65], abs=5e-3)


@pytest.mark.parametrize("matrix", [CLOUDS, PRECIPITATION, FINLEY])
def test_gerrity_follows_its_definition(matrix: np.ndarray) -> None:
    assert skill.gerrity(matrix) == pytest.approx(gerrity_by_definition(matrix))


@given(matrices)
def test_gerrity_follows_its_definition_on_any_matrix(matrix: np.ndarray) -> None:
    rows = matrix.sum(axis=1)
    if rows[0] and rows[-1]:
        assert skill.gerrity(matrix) == pytest.approx(gerrity_by_definition(matrix), abs=1e-9)
    else:
        assert np.isnan(skill.gerrity(matrix))


@given(matrices)
def test_scores_equal_scikit_learns(matrix: np.ndarray) -> None:
    if not matrix.sum():
        return
    truth, predicted = items(matrix)
    labels = list(range(len(matrix)))
    assert np.array_equal(skill.confusion(truth, predicted, len(matrix)), matrix)
    assert skill.accuracy(matrix) == pytest.approx(sk.accuracy_score(truth, predicted))
    present = np.unique(truth)
    assert skill.balanced_accuracy(matrix) == pytest.approx(
        sk.recall_score(truth, predicted, labels=present, average="macro")
    )
    assert skill.macro_f1(matrix) == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    p, r, f, _ = sk.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=np.nan)
    np.testing.assert_allclose(skill.precision(matrix), p)
    np.testing.assert_allclose(skill.recall(matrix), r)
    np.testing.assert_allclose(skill.f1(matrix), f)
    if len(np.union1d(truth, predicted)) > 1:
        assert skill.heidke(matrix) == pytest.approx(sk.cohen_kappa_score(truth, predicted), abs=1e-9)


@given(arrays(np.int64, (2, 2), elements=st.integers(1, 50)))
def test_for_two_classes_peirce_and_gerrity_equal_tss_and_heidke_equals_hss(matrix: np.ndarray) -> None:
    tss = skill.tss(matrix)[0]
    assert skill.peirce(matrix) == pytest.approx(tss)
    assert skill.gerrity(matrix) == pytest.approx(tss, abs=1e-12)
    assert skill.heidke(matrix) == pytest.approx(skill.hss(matrix)[0])


@given(arrays(np.int64, (3,), elements=st.integers(1, 40)), st.integers(0, 2))
def test_perfect_forecasts_score_one_and_constant_ones_zero(counts: np.ndarray, always: int) -> None:
    perfect, constant = np.diag(counts), np.zeros((3, 3), dtype=int)
    constant[:, always] = counts
    for score in (skill.peirce, skill.heidke, skill.gerrity, skill.macro_tss, skill.macro_hss):
        assert score(perfect) == pytest.approx(1)
        assert score(constant) == pytest.approx(0, abs=1e-12)
    assert skill.balanced_accuracy(constant) == pytest.approx(1 / 3)


@given(arrays(np.int64, (2, 2), elements=st.integers(1, 50)), st.integers(2, 20))
def test_tss_does_not_depend_on_prevalence(matrix: np.ndarray, factor: int) -> None:
    rarer = matrix * np.array([[1], [factor]])
    assert skill.tss(rarer) == pytest.approx(skill.tss(matrix), abs=1e-12)


SCORES = [
    skill.accuracy,
    skill.balanced_accuracy,
    skill.recall,
    skill.precision,
    skill.f1,
    skill.macro_f1,
    skill.tss,
    skill.macro_tss,
    skill.hss,
    skill.macro_hss,
    skill.peirce,
    skill.heidke,
    skill.gerrity,
]


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_vectorised_over_leading_axes(score) -> None:
    stack = np.random.default_rng(1).integers(0, 4, (5, 6, 3, 3))
    stack[0, 0] = 0
    one_by_one = [[score(m) for m in row] for row in stack]
    np.testing.assert_allclose(score(stack), one_by_one)


@pytest.mark.parametrize("score", SCORES)
def test_an_empty_matrix_is_nan_and_never_zero(score) -> None:
    assert np.isnan(score(np.zeros((3, 3)))).all()


@pytest.mark.parametrize("score", SCORES)
def test_a_matrix_that_is_not_square_is_refused(score) -> None:
    with pytest.raises(ValueError, match="K, K"):
        score(np.ones((2, 3)))


def test_a_class_that_does_not_occur_is_left_out_of_the_means() -> None:
    matrix = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert np.isnan(skill.recall(matrix)[2])
    assert np.isnan(skill.f1(matrix)[2])
    assert np.isnan(skill.tss(matrix)[2])
    assert np.isnan(skill.hss(matrix)[2])
    assert skill.balanced_accuracy(matrix) == pytest.approx(0.85)
    assert skill.macro_tss(matrix) == pytest.approx(skill.macro_tss(matrix[:2, :2]))


def test_a_class_predicted_but_absent_lowers_macro_f1() -> None:
    matrix = np.array([[8, 2], [0, 0]])
    assert skill.f1(matrix)[1] == 0
    assert np.isnan(skill.precision(np.array([[8, 0], [2, 0]]))[1])
    assert np.isnan(skill.tss(matrix)).all()
    assert np.isnan(skill.peirce(matrix))


def test_brier_score_equals_scikit_learns_and_skill_is_one_minus_its_ratio_to_climatology() -> None:
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)
    assert skill.brier(truth, probabilities) == pytest.approx(
        sk.brier_score_loss(truth, probabilities, labels=[0, 1, 2], scale_by_half=False)
    )
    shares = np.bincount(truth) / 200
    assert skill.brier_skill(truth, np.tile(shares, (200, 1))) == pytest.approx(0, abs=1e-12)
    assert skill.brier_skill(truth, np.eye(3)[truth]) == 1
    training = np.array([0.5, 0.3, 0.2])
    expected = 1 - skill.brier(truth, probabilities) / skill.brier(truth, np.tile(training, (200, 1)))
    assert skill.brier_skill(truth, probabilities, training) == pytest.approx(expected)


def test_brier_skill_by_hand() -> None:
    # p = 0.8, 0.4, 0.1 for the event, which occurs, occurs, does not: half Brier (0.04 + 0.36 + 0.01) / 3.
    truth, p = np.array([1, 1, 0]), np.array([0.8, 0.4, 0.1])
    both = np.column_stack([1 - p, p])
    assert skill.brier(truth, both) == pytest.approx(2 * 0.41 / 3)
    assert skill.brier_skill(truth, both) == pytest.approx(1 - (0.41 / 3) / (2 / 9))


def test_brier_is_undefined_without_items_or_with_a_perfect_reference() -> None:
    assert np.isnan(skill.brier([], np.zeros((0, 2))))
    assert np.isnan(skill.brier_skill([], np.zeros((0, 2))))
    assert np.isnan(skill.brier_skill([0, 0], [[0.5, 0.5], [0.5, 0.5]]))


@pytest.mark.parametrize("bad", [[[0.5, 0.6]], [[np.nan, 1]], [[-0.1, 1.1]], [0.5, 0.5]])
def test_brier_refuses_what_are_not_probabilities(bad: list) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        skill.brier([0], bad)


def test_finleys_tornadoes_have_the_extremal_dependence_index_of_the_formula() -> None:
    hit, alarm = 28 / 51, 72 / 2752
    num = np.log(alarm) - np.log(hit) - np.log(1 - alarm) + np.log(1 - hit)
    den = np.log(alarm) + np.log(hit) + np.log(1 - alarm) + np.log(1 - hit)
    assert skill.sedi(FINLEY) == pytest.approx([num / den] * 2)


@given(matrices)
def test_the_extremal_dependence_index_lies_between_its_limits_and_is_defined_within_them(matrix) -> None:
    found, recall = skill.sedi(matrix), skill.recall(matrix)
    assert np.all(np.isnan(found) | (np.abs(found) <= 1))
    assert np.isnan(found[(recall == 0) | (recall == 1) | np.isnan(recall)]).all()


def test_scores_of_the_bureau_of_meteorology_are_ours() -> None:
    referee = pytest.importorskip("scores", reason="PyPI's `scores` is an independent check, in sdovis[dev]")
    import xarray as xr

    rng = np.random.default_rng(6)
    truth = (rng.random(500) < 0.2).astype(int)
    predicted = np.where(rng.random(500) < 0.8, truth, 1 - truth)
    table = referee.categorical.BinaryContingencyManager(xr.DataArray(predicted), xr.DataArray(truth))
    matrix = skill.confusion(truth, predicted, 2)
    ours = {
        "symmetric_extremal_dependence_index": skill.sedi(matrix)[1],
        "peirce_skill_score": skill.peirce(matrix),
        "heidke_skill_score": skill.heidke(matrix),
        "f1_score": skill.f1(matrix)[1],
        "probability_of_detection": skill.recall(matrix)[1],
        "precision": skill.precision(matrix)[1],
        "accuracy": skill.accuracy(matrix),
    }
    assert {name: float(getattr(table, name)()) for name in ours} == pytest.approx(
        {n: float(v) for n, v in ours.items()}
    )
    p = rng.random(500)
    half = float(referee.probability.brier_score(xr.DataArray(p), xr.DataArray(truth.astype(float))))
    assert skill.brier(truth, np.stack([1 - p, p], axis=1)) == pytest.approx(2 * half)
