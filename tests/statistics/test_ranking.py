from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sdovis.statistics.bootstrap import bootstrap_items
from sdovis.statistics.ranking import auroc, average_precision
from sklearn.metrics import average_precision_score, roc_auc_score

items = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=40)


@settings(deadline=None, max_examples=50)
@given(items)
def test_both_are_those_of_scikit_learn_with_ties_and_weights(rows: list) -> None:
    truth, score, weights = (np.array(column) for column in zip(*rows, strict=True))
    kept = weights > 0
    if len(set(truth[kept].tolist())) < 2:
        assert np.isnan([auroc(truth, score, weights), average_precision(truth, score, weights)]).all()
        return
    given_ = truth[kept], score[kept]
    assert auroc(truth, score, weights) == pytest.approx(roc_auc_score(*given_, sample_weight=weights[kept]))
    expected = average_precision_score(*given_, sample_weight=weights[kept])
    assert average_precision(truth, score, weights) == pytest.approx(expected)


def test_the_area_is_the_statistic_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.random(200) < 0.3, rng.integers(0, 30, 200)
    u = stats.mannwhitneyu(score[truth], score[~truth]).statistic
    assert auroc(truth, score) == pytest.approx(u / (truth.sum() * (~truth).sum()))


def test_perfect_and_reversed_rankings_are_at_the_ends_of_the_range() -> None:
    assert auroc([0, 0, 1, 1], [1, 2, 3, 4]) == average_precision([0, 0, 1, 1], [1, 2, 3, 4]) == 1
    assert auroc([1, 1, 0, 0], [1, 2, 3, 4]) == 0
    assert average_precision([1, 1, 0, 0], [1, 2, 3, 4]) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_many_weights_at_once_are_one_after_the_other() -> None:
    rng = np.random.default_rng(1)
    truth, score, weights = rng.random(50) < 0.4, rng.normal(size=50), rng.integers(0, 4, (7, 50))
    for one in (auroc, average_precision):
        assert one(truth, score, weights) == pytest.approx([float(one(truth, score, each)) for each in weights])


def test_a_resampled_region_counts_as_often_as_it_was_drawn() -> None:
    rng = np.random.default_rng(2)
    region = np.repeat(np.arange(30), 4)
    truth = (rng.random(30) < 0.5)[region]
    score = truth + rng.normal(size=30)[region] + 0.1 * rng.normal(size=120)
    found = bootstrap_items(region, lambda weights: auroc(truth, score, weights), samples=400, seed=3)
    drawn = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=400)
    values = [roc_auc_score(truth, score, sample_weight=weights[region]) for weights in drawn]
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert found.estimate == pytest.approx(roc_auc_score(truth, score))
    by_image = bootstrap_items(np.arange(120), lambda weights: auroc(truth, score, weights), samples=400, seed=3)
    assert found.high - found.low > by_image.high - by_image.low


@pytest.mark.parametrize(("truth", "score"), [([1, 0], [0.1]), ([1, 0], [0.1, np.nan]), ([[1], [0]], [[0.1], [0.2]])])
def test_what_cannot_be_ranked_is_refused(truth, score) -> None:
    with pytest.raises(ValueError, match="truth and score must be vectors"):
        auroc(truth, score)


def test_of_nothing_nothing_is_said() -> None:
    assert np.isnan(auroc([], []))
    assert np.isnan(average_precision([], []))
