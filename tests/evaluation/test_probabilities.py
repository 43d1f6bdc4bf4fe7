"""What a study may ask of probabilities: chosen on the validation part, told on the test part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import softmax
from sdovis.errors import BadInput
from sdovis.evaluation import metrics
from sdovis.evaluation.probabilities import Answers, check, decision, selective, shares_elsewhere, shift, worth
from sdovis.learning.losses import prior
from sdovis.statistics import skill
from sdovis.study import Evaluation
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

DRAWS = {"samples": 200, "seed": 0}
METHOD = {"class_weights": "none", "sampling": "shuffled", "logit_adjustment": 0.0}


def answers(seed: int, n: int = 400, shares: tuple[float, ...] = (0.5, 0.3, 0.2)) -> Answers:
    """Of four images of each region: calibrated probabilities."""
    rng = np.random.default_rng(seed)
    region = np.repeat(np.arange(n // 4), 4)
    truth = rng.choice(len(shares), n // 4, p=shares)[region]
    seen = 1.5 * np.eye(len(shares))[truth] + rng.normal(size=(n, len(shares)))
    logits = 1.5 * seen + np.log(shares)  # what Bayes would say
    names = ("alpha", "beta", "complex") if len(shares) == 3 else ("quiet", "flare")
    return Answers(names, truth, softmax(logits, axis=1), region)


def test_probabilities_are_scored_as_scikit_learn_scores_them() -> None:
    found = answers(0)
    shares = np.array([0.5, 0.3, 0.2])
    told = worth(found, shares, shares, **DRAWS)
    p, observed = found.probabilities, np.eye(3)[found.truth]
    expected = {
        "log-loss": log_loss(found.truth, p),
        "brier": sum(brier_score_loss(observed[:, k], p[:, k]) for k in range(3)),
        "brier-skill": skill.brier_skill(found.truth, p, [0.5, 0.3, 0.2]),
        "auroc": roc_auc_score(found.truth, p, multi_class="ovr", average="macro"),
        "average-precision": average_precision_score(observed, p, average="macro"),
        "ece": told["reliability"].ece,
        "ece-floor": told["probabilistic"]["ece-floor"].estimate,
        "classwise-ece": told["reliability"].classwise_ece,
    }
    assert {name: each.estimate for name, each in told["probabilistic"].items()} == pytest.approx(expected)
    assert all(each.low <= each.estimate <= each.high for each in told["probabilistic"].values())
    each = roc_auc_score(observed, p, average=None)
    assert [told["ranking"]["auroc"][name].estimate for name in found.classes] == pytest.approx(each)


def test_of_a_network_that_was_taught_other_shares_the_error_is_told_for_these_too() -> None:
    found = answers(13, n=2000)
    taught = np.array([0.2, 0.2, 0.6])
    told = worth(found, np.array([0.5, 0.3, 0.2]), taught, **DRAWS)["probabilistic"]
    assert told["ece"].low == 0 and told["ece"].estimate < told["ece-floor"].high
    assert told["ece-as-taught"].low > 0 and told["ece-as-taught"].estimate > told["ece-floor-as-taught"].high


def test_a_class_that_does_not_occur_has_no_rank_and_the_mean_leaves_it_out() -> None:
    found = answers(1)
    kept = found.truth < 2
    two = Answers(found.classes, found.truth[kept], found.probabilities[kept], found.groups[kept])
    shares = np.array([0.5, 0.3, 0.2])
    told = worth(two, shares, shares, **DRAWS)
    assert told["ranking"]["auroc"]["complex"].estimate is None
    defined = [told["ranking"]["auroc"][name].estimate for name in ("alpha", "beta")]
    assert told["probabilistic"]["auroc"].estimate == pytest.approx(np.mean(defined))


def test_abstaining_answers_the_share_of_the_validation_part_and_is_told_on_the_test_part() -> None:
    test, validation = answers(2), answers(3)
    found = selective(test, validation, Evaluation(abstain={"coverage": 0.6}), **DRAWS)
    left = found.abstention
    assert (validation.confidence >= left.threshold).mean() == pytest.approx(0.6, abs=0.005)
    answered = test.confidence >= left.threshold
    assert left.coverage.estimate == pytest.approx(answered.mean())
    assert left.risk.estimate == pytest.approx(1 - test.right[answered].mean())
    assert left.risk.estimate < 1 - test.right.mean() == pytest.approx(found.curve[-1][1])
    assert left.coverage.low < left.coverage.estimate < left.coverage.high
    matrix = skill.confusion(test.truth[answered], test.predicted[answered], 3)
    assert left.balanced_accuracy.estimate == pytest.approx(float(skill.balanced_accuracy(matrix)))


def test_a_risk_that_no_threshold_reaches_leaves_nothing_and_one_that_can_be_reached_is_kept_on_validation() -> None:
    test, validation = answers(4), answers(5)
    found = selective(test, validation, Evaluation(abstain={"risk": 0.1}), **DRAWS).abstention
    answered = validation.confidence >= found.threshold
    assert 1 - validation.right[answered].mean() <= 0.1
    hopeless = replace(validation, truth=(validation.predicted + 1) % 3)
    none = selective(test, hopeless, Evaluation(abstain={"risk": 0.1}), **DRAWS).abstention
    assert (none.threshold, none.coverage, none.risk) == (None, None, None)
    assert selective(test, validation, Evaluation(), **DRAWS).abstention is None


def test_a_threshold_that_answers_no_test_image_says_so() -> None:
    test, validation = answers(6), answers(7)
    unsure = replace(test, probabilities=np.full((400, 3), 1 / 3))
    found = selective(unsure, validation, Evaluation(abstain={"coverage": 0.5}), **DRAWS).abstention
    assert found.coverage.estimate == 0
    assert (found.risk.estimate, found.balanced_accuracy) == (None, None)


def test_the_threshold_is_the_validation_part_s_and_the_score_the_test_part_s() -> None:
    test, validation = (answers(seed, shares=(0.9, 0.1)) for seed in (8, 9))
    found = decision(test, validation, Evaluation(threshold="tss"), **DRAWS)
    for part, score in ((validation, found.on_validation), (test, found.test.estimate)):
        called = (part.probabilities[:, 1] >= found.threshold).astype(int)
        assert score == pytest.approx(skill.tss(skill.confusion(part.truth, called, 2))[1])
    assert found.positive == "flare" and found.threshold < 0.5
    assert found.difference.estimate == pytest.approx(found.test.estimate - found.at_half.estimate)
    assert found.difference.estimate > 0
    assert decision(test, validation, Evaluation(), **DRAWS) is None


@pytest.mark.parametrize("estimated", [False, True])
def test_where_classes_are_rarer_the_scores_are_those_of_images_from_there(estimated: bool) -> None:
    here = answers(10, n=40_000, shares=(0.5, 0.5))
    there = answers(11, n=40_000, shares=(0.9, 0.1))
    # The classifier was fitted here: its probabilities hold here, wherever it looks.
    seen = replace(there, probabilities=softmax(np.log(there.probabilities) - np.log([0.9, 0.1]), axis=1))
    specs = [metrics.spec(name) for name in ("accuracy", "macro-f1", "tss", "balanced-accuracy")]
    asked = Evaluation(prevalence="estimated" if estimated else {"flare": 0.1})
    shown = seen if estimated else here
    found = shift(shown, asked, np.array([0.5, 0.5]), specs, samples=100, seed=0)
    assert found.shares == pytest.approx({"quiet": 0.9, "flare": 0.1}, abs=0.01 if estimated else 1e-12)
    matrix = skill.confusion(there.truth, there.predicted, 2)
    assert found.model["accuracy"].estimate == pytest.approx(float(skill.accuracy(matrix)), abs=0.01)
    assert found.model["macro-f1"].estimate == pytest.approx(float(skill.macro_f1(matrix)), abs=0.015)
    assert set(found.model) == set(found.as_it_is) == {"accuracy", "macro-f1", "balanced-accuracy"}
    assert found.as_it_is["accuracy"].estimate < found.model["accuracy"].estimate
    assert shift(shown, Evaluation(), np.array([0.5, 0.5]), specs, **DRAWS) is None


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({}, [0.6, 0.3, 0.1]),
        ({"class_weights": "balanced"}, [1 / 3] * 3),
        ({"sampling": "balanced"}, [1 / 3] * 3),
        ({"logit_adjustment": 1.0}, [1 / 3] * 3),
        ({"logit_adjustment": 0.5}, np.sqrt([0.6, 0.3, 0.1]) / np.sqrt([0.6, 0.3, 0.1]).sum()),
    ],
    ids=str,
)
def test_what_makes_up_for_rare_classes_changes_the_shares_with_which_probabilities_hold(method, expected) -> None:
    assert prior(METHOD | method, np.array([0.6, 0.3, 0.1])) == pytest.approx(np.array(expected))


def test_a_class_that_was_never_learned_has_no_share_whatever_the_method() -> None:
    for method in ({}, {"class_weights": "balanced"}, {"logit_adjustment": 1.0}):
        assert prior(METHOD | method, np.array([0.6, 0.4, 0.0]))[2] == 0


def test_the_class_left_out_gets_the_rest() -> None:
    asked = Evaluation(prevalence={"alpha": 0.7, "complex": 0.1})
    assert shares_elsewhere(asked, answers(12), np.full(3, 1 / 3)) == pytest.approx([0.7, 0.2, 0.1])


@pytest.mark.parametrize(
    ("asked", "classes", "told"),
    [
        ({"threshold": "tss"}, ("a", "b", "c"), "a threshold is for two classes, and there are 3"),
        (
            {"threshold": "recall"},
            ("a", "b"),
            "recall has one value per class, and is best if all images are called so",
        ),
        ({"prevalence": {"x": 0.5}}, ("a", "b"), "x is no class"),
        ({"prevalence": {"a": 0.5}}, ("a", "b", "c"), "the shares of b, c are not given"),
        ({"prevalence": {"a": 0.5, "b": 0.4}}, ("a", "b"), "the shares sum to 0.9"),
    ],
)
def test_what_the_classes_do_not_allow_is_refused(asked, classes, told) -> None:
    with pytest.raises(BadInput, match=told):
        check(Evaluation(**asked), classes)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"prevalence": {"a": 0.7, "b": 0.4}}, "sum not above 1"),
        ({"prevalence": {"a": -0.1}}, "must not be negative"),
        ({"prevalence": {"a": float("nan")}}, "must not be negative"),
        ({"prevalence": {"a": True}}, "neither"),
        ({"prevalence": {"a": "0.1"}}, "neither"),
        ({"prevalence": "estimate"}, "neither"),
        ({"abstain": {"coverage": 0.8, "risk": 0.1}}, "give one of them"),
        ({"abstain": {"coverage": 80}}, "less than or equal to 1"),
    ],
    ids=str,
)
def test_what_is_no_share_is_refused_when_the_study_is_read(asked, told) -> None:
    with pytest.raises(ValidationError, match=told):
        Evaluation(**asked)
