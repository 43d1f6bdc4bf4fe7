"""What the probabilities of a model are worth, and what can be done with them: abstain, decide, look elsewhere.

Whatever is chosen is chosen on the validation part, from the probabilities of a network that was not trained on it; the
test part only says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem
from sdovis.evaluation import metrics
from sdovis.evaluation.facts import Abstention, Decision, Reliability, Selective, Shift
from sdovis.evaluation.metrics import MetricSpec
from sdovis.statistics import decisions, prevalence, ranking, skill
from sdovis.statistics.bootstrap import (
    Estimate,
    bootstrap_items,
    bootstrap_sums,
    by_cluster,
    cluster_bootstrap,
    paired_difference,
)
from sdovis.statistics.calibration import calibration, calibration_where
from sdovis.statistics.skill import Floats
from sdovis.study import Evaluation

#: Points of a curve that are kept.
POINTS = 50
#: Scores of single classes that are the same for both of two: a threshold may be chosen for them.
SYMMETRIC = ("tss", "hss", "sedi")


@dataclass(frozen=True)
class Answers:
    """Probabilities (n, K) of images, their true classes (n,) and regions (n,)."""

    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    groups: NDArray[Any]

    @classmethod
    def of(cls, table: pd.DataFrame, classes: Sequence[str]) -> Answers:
        """Of the rows of a table with the columns label, group and prob_CLASS."""
        probabilities = table[[f"prob_{name}" for name in classes]].to_numpy(dtype=np.float64)
        return cls(tuple(classes), table["label"].to_numpy(), probabilities, table["group"].to_numpy())

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,): the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(n,): its probability."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,): whether it is the true class."""
        return np.asarray(self.predicted == self.truth)

    def matrices(self, predicted: NDArray[Any]) -> NDArray[np.int64]:
        """A confusion matrix for each region, of these predictions."""
        return by_cluster(self.truth, predicted, self.groups, len(self.classes))


def check(asked: Evaluation, classes: Sequence[str]) -> None:
    """Raise `BadInput` for what the study asks of probabilities if these classes do not allow it."""
    problems = []
    if asked.threshold:
        spec = metrics.spec(asked.threshold)
        if len(classes) != 2:
            what = f"evaluation.threshold: a threshold is for two classes, and there are {len(classes)}"
            problems.append(Problem(what, "remove it"))
        elif spec.per_class and spec.name not in SYMMETRIC:
            what = f"evaluation.threshold: {spec.name} has one value per class, and is best if all images are called so"
            problems.append(Problem(what, "name tss, hss, balanced-accuracy or another score that is a single number"))
    if isinstance(asked.prevalence, dict):
        unknown = sorted(set(asked.prevalence) - set(classes))
        missing = [name for name in classes if name not in asked.prevalence]
        if unknown:
            what = f"evaluation.prevalence: {', '.join(unknown)} is no class"
            problems.append(Problem(what, f"the classes are {', '.join(classes)}"))
        elif asked.prevalence and len(missing) > 1:
            what = f"evaluation.prevalence: the shares of {', '.join(missing)} are not given"
            problems.append(Problem(what, "leave out at most one class, which gets the rest"))
        elif asked.prevalence and not missing and not np.isclose(sum(asked.prevalence.values()), 1):
            total = sum(asked.prevalence.values())
            problems.append(Problem(f"evaluation.prevalence: the shares sum to {total:g}", "let them sum to 1"))
    if problems:
        raise BadInput(problems)


def worth(answers: Answers, climatology: Floats, prior: Floats, **draws: Any) -> dict[str, Any]:
    """The fields of `ScoreFacts` that say what probabilities are worth: reliability, probabilistic, ranking.

    ``climatology`` has each class's share where the model learned, ``prior`` those that it was taught (`losses.prior`);
    ``draws`` as in `bootstrap.cluster_bootstrap`.
    """
    found = calibration(answers.truth, answers.probabilities, answers.groups, **draws)
    observed = np.eye(len(answers.classes))[answers.truth]
    squares = [((each - observed) ** 2).sum(axis=1) for each in (answers.probabilities, climatology)]
    sums = pd.DataFrame({"rows": 1.0, "model": squares[0], "climatology": squares[1]}).groupby(answers.groups).sum()
    scores = {
        "ece": found.ece,
        "ece-floor": found.floor,
        "classwise-ece": found.classwise_ece,
        "log-loss": found.log_loss,
        "brier": bootstrap_sums(sums.to_numpy(), lambda of: of[..., 1] / of[..., 0], **draws),
        "brier-skill": bootstrap_sums(sums.to_numpy(), lambda of: 1 - skill.ratio(of[..., 1], of[..., 2]), **draws),
    }
    if not np.allclose(prior, climatology):
        there = calibration_where(answers.truth, answers.probabilities, answers.groups, prior, **draws)
        scores |= dict(zip(("ece-as-taught", "ece-floor-as-taught"), there, strict=True))
    by_class = {}
    for name, score in (("auroc", ranking.auroc), ("average-precision", ranking.average_precision)):
        each = partial(_each_class, score, observed, answers.probabilities)
        classes = bootstrap_items(answers.groups, each, scale="logit", **draws)
        by_class[name] = dict(zip(answers.classes, map(Estimate.of, classes.each()), strict=True))
        scores[name] = bootstrap_items(answers.groups, partial(_mean_over_classes, each), scale="logit", **draws)
    return {
        "reliability": Reliability.of(found),
        "probabilistic": {name: Estimate.of(interval) for name, interval in scores.items()},
        "ranking": by_class,
    }


def _each_class(score: Callable[..., Floats], observed: Floats, probabilities: Floats, weights: NDArray[Any]) -> Floats:
    """A score of each class's ranking (B, K), with weights (B, n)."""
    columns = zip(observed.T, probabilities.T, strict=True)
    return np.stack([score(of_class, p, weights) for of_class, p in columns], axis=-1)


def _mean_over_classes(each: Callable[[NDArray[Any]], Floats], weights: NDArray[Any]) -> Floats:
    return skill.mean_of_defined(each(weights))


def selective(answers: Answers, held_back: Answers, asked: Evaluation, **draws: Any) -> Selective:
    """Coverage and risk on the test part, and what comes of the threshold that the study asks for."""
    _, coverage, risk = decisions.risk_coverage(answers.right, answers.confidence)
    some = np.unique(np.linspace(0, len(coverage) - 1, POINTS).round().astype(int))
    area = bootstrap_items(
        answers.groups,
        lambda weights: decisions.aurc(answers.right, answers.confidence, weights),
        scale="logit",
        **draws,
    )
    curve = tuple(zip(coverage[some].tolist(), risk[some].tolist(), strict=True))
    return Selective(Estimate.of(area), curve, _abstention(answers, held_back, asked, draws))


def _abstention(answers: Answers, held_back: Answers, asked: Evaluation, draws: Mapping[str, Any]) -> Abstention | None:
    if asked.abstain.coverage is not None:
        rule, of = "coverage", asked.abstain.coverage
        threshold: float | None = decisions.threshold_of_coverage(held_back.confidence, of)
    elif asked.abstain.risk is not None:
        rule, of = "risk", asked.abstain.risk
        threshold = decisions.threshold_of_risk(held_back.right, held_back.confidence, of)
    else:
        return None
    if threshold is None:
        return Abstention(rule, of, None, None, None, None)
    answered = answers.confidence >= threshold
    counts = {"rows": 1.0, "answered": answered, "wrong": answered & ~answers.right}
    sums = pd.DataFrame(counts).astype(float).groupby(answers.groups).sum().to_numpy()
    coverage = bootstrap_sums(sums, lambda each: each[..., 1] / each[..., 0], **draws)
    risk = bootstrap_sums(sums, lambda each: skill.ratio(each[..., 2], each[..., 1]), **draws)
    balanced = None
    if answered.any():
        left = by_cluster(
            answers.truth[answered], answers.predicted[answered], answers.groups[answered], len(answers.classes)
        )
        balanced = Estimate.of(cluster_bootstrap(left, skill.balanced_accuracy, **draws))
    return Abstention(rule, of, threshold, Estimate.of(coverage), Estimate.of(risk), balanced)


def decision(answers: Answers, held_back: Answers, asked: Evaluation, **draws: Any) -> Decision | None:
    """The threshold that the validation part chooses for the study's score, and the score on the test part."""
    if not asked.threshold:
        return None
    spec = metrics.spec(asked.threshold)

    def score(matrix: NDArray[Any]) -> NDArray[Any]:
        return spec.function(matrix)[..., 1] if spec.per_class else spec.function(matrix)

    threshold, best = decisions.best_threshold(held_back.truth, held_back.probabilities[:, 1], score)
    chosen = answers.matrices((answers.probabilities[:, 1] >= threshold).astype(np.int64))
    plain = answers.matrices(answers.predicted)
    return Decision(
        spec.name,
        answers.classes[1],
        threshold,
        best,
        Estimate.of(cluster_bootstrap(chosen, score, **draws)),
        Estimate.of(cluster_bootstrap(plain, score, **draws)),
        Estimate.of(paired_difference(chosen, plain, score, **draws)),
    )


def shares_elsewhere(asked: Evaluation, answers: Answers, prior: Floats) -> Floats | None:
    """The shares of the classes that the study asks for; None if it asks for none."""
    if asked.prevalence == "estimated":
        return prevalence.estimated(answers.probabilities, prior)
    if not asked.prevalence:
        return None
    rest = max(0.0, 1 - sum(asked.prevalence.values()))
    shares = np.array([asked.prevalence.get(name, rest) for name in answers.classes])
    return np.asarray(shares / shares.sum())


def shift(
    answers: Answers, asked: Evaluation, prior: Floats, specs: Sequence[MetricSpec], **draws: Any
) -> Shift | None:
    """The scores that are one number where the classes have the shares that the study asks for; None if it asks for none."""
    shares = shares_elsewhere(asked, answers, prior)
    if shares is None:
        return None
    moved = prevalence.shifted(answers.probabilities, prior, shares).argmax(axis=1)

    def scores(predicted: NDArray[Any]) -> dict[str, Estimate]:
        matrices = answers.matrices(predicted)
        told = {}
        for spec in (each for each in specs if not each.per_class):
            there = partial(_where_shares_are, spec.function, shares)
            told[spec.name] = Estimate.of(cluster_bootstrap(matrices, there, **draws))
        return told

    return Shift(
        shares=dict(zip(answers.classes, shares.tolist(), strict=True)),
        estimated=asked.prevalence == "estimated",
        prior=dict(zip(answers.classes, prior.tolist(), strict=True)),
        model=scores(moved),
        as_it_is=scores(answers.predicted),
    )


def _where_shares_are(function: Callable[[NDArray[Any]], Floats], shares: Floats, matrix: NDArray[Any]) -> Floats:
    return function(prevalence.weighed(matrix, shares))
