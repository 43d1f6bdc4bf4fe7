from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sdovis.statistics import skill
from sdovis.statistics.prevalence import estimated, shifted, weighed
from sklearn.naive_bayes import GaussianNB

HERE, THERE = np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.2, 0.1])


def drawn(shares: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=shares)
    return truth, np.eye(3)[truth] * 1.5 + rng.normal(size=(n, 3))


def test_probabilities_become_those_of_a_classifier_that_was_fitted_with_the_other_shares() -> None:
    truth, x = drawn(HERE, 3000, 0)
    here, there = (GaussianNB(priors=shares).fit(x, truth).predict_proba(x) for shares in (HERE, THERE))
    assert shifted(here, HERE, THERE) == pytest.approx(there)
    assert shifted(there, THERE, HERE) == pytest.approx(here)


@settings(deadline=None, max_examples=50)
@given(arrays(float, (5, 3), elements=st.floats(0.01, 1)), arrays(float, 3, elements=st.floats(0.01, 1)))
def test_rows_are_probabilities_and_the_way_back_leads_back(p: np.ndarray, shares: np.ndarray) -> None:
    p, shares = p / p.sum(axis=1, keepdims=True), shares / shares.sum()
    there = shifted(p, HERE, shares)
    assert there.sum(axis=1) == pytest.approx(1) and (there >= 0).all()
    assert shifted(there, shares, HERE) == pytest.approx(p)
    assert shifted(p, HERE, HERE) == pytest.approx(p)


def test_the_shares_elsewhere_are_found_without_a_label() -> None:
    truth, x = drawn(HERE, 20_000, 1)
    model = GaussianNB().fit(x, truth)
    _, other = drawn(THERE, 20_000, 2)
    assert estimated(model.predict_proba(other), HERE) == pytest.approx(THERE, abs=0.02)
    assert model.predict_proba(other).mean(axis=0) != pytest.approx(THERE, abs=0.05)


def test_confusion_matrices_keep_their_rates_and_get_the_shares() -> None:
    truth, x = drawn(HERE, 30_000, 3)
    other_truth, other = drawn(THERE, 30_000, 4)
    model = GaussianNB().fit(x, truth)
    here = skill.confusion(truth, model.predict(x), 3)
    there = skill.confusion(other_truth, model.predict(other), 3)
    found = weighed(np.stack([here, here]), THERE)
    assert found.shape == (2, 3, 3)
    assert found[0].sum(axis=1) == pytest.approx(THERE)
    assert skill.recall(found[0]) == pytest.approx(skill.recall(here))
    for score in (skill.accuracy, skill.macro_f1, skill.heidke):
        assert float(score(found[0])) == pytest.approx(float(score(there)), abs=0.015)
        assert abs(float(score(here)) - float(score(there))) > 0.02


def test_a_class_that_does_not_occur_leaves_scores_undefined_unless_it_is_absent_there_too() -> None:
    matrix = [[5, 1, 0], [2, 4, 0], [0, 0, 0]]
    assert np.isnan(skill.accuracy(weighed(matrix, [0.4, 0.4, 0.2])))
    assert skill.accuracy(weighed(matrix, [0.5, 0.5, 0])) == pytest.approx((5 / 6 + 4 / 6) / 2)


@pytest.mark.parametrize(
    ("old", "new"), [([0.5, 0.5], [0.6, 0.6]), ([1.2, -0.2], [0.5, 0.5]), ([1.0, 0.0], [0.5, 0.5])]
)
def test_what_are_no_shares_is_refused(old, new) -> None:
    with pytest.raises(ValueError, match="share"):
        shifted([[0.5, 0.5]], old, new)
