"""What the test part says about a model: ``scores.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdovis import records
from sdovis.statistics.bootstrap import Estimate
from sdovis.statistics.calibration import Calibration
from sdovis.statistics.describe import over_seeds

FILE = "scores.json"


@dataclass(frozen=True)
class Resampling:
    """How the intervals were made: what was resampled, how often, and from which seed."""

    unit: str
    samples: int
    confidence: float
    seed: int

    @property
    def draws(self) -> dict[str, Any]:
        """What the functions of `sdovis.statistics.bootstrap` are given."""
        return {"samples": self.samples, "confidence": self.confidence, "seed": self.seed}


@dataclass(frozen=True)
class LongitudeBin:
    """Skill within a range of distance from the central meridian, degrees."""

    from_deg: float
    to_deg: float
    rows: int
    balanced_accuracy: float


@dataclass(frozen=True)
class Stratum:
    """The test rows that share a property: ``of`` is its value, such as 2012 of the property ``what``, year."""

    what: str
    of: str
    rows: int
    regions: int
    balanced_accuracy: Estimate


@dataclass(frozen=True)
class ReliabilityBin:
    """Some of the images, by the probability of their predicted class: its mean, and the share of right answers."""

    rows: int
    confidence: float
    right: Estimate


@dataclass(frozen=True)
class Reliability:
    """What probabilities are worth, in ``bins`` of equally many images; see `sdovis.statistics.calibration`."""

    ece: float
    classwise_ece: float
    log_loss: float
    confidence: float
    bins: tuple[ReliabilityBin, ...]

    @classmethod
    def of(cls, found: Calibration) -> Reliability:
        """As a file holds it."""
        rights = (Estimate.of(each) for each in found.right.each())
        bins = zip(found.rows.tolist(), found.confidence.tolist(), rights, strict=True)
        sure = float(np.average(found.confidence, weights=found.rows))
        ece, classwise, loss = (float(each.estimate) for each in (found.ece, found.classwise_ece, found.log_loss))
        return cls(ece, classwise, loss, sure, tuple(ReliabilityBin(*each) for each in bins))


@dataclass(frozen=True)
class Abstention:
    """What is left of the test part if the doubtful images get no answer.

    The validation part chose the ``threshold`` of the predicted class's probability so that its ``rule``, coverage or risk,
    is ``asked``; None, and so is all that follows, if no threshold did.
    """

    rule: str
    asked: float
    threshold: float | None
    coverage: Estimate | None
    risk: Estimate | None
    balanced_accuracy: Estimate | None


@dataclass(frozen=True)
class Selective:
    """Coverage and risk if only images whose predicted class is probable enough are answered; `statistics.decisions`.

    ``curve`` has some pairs of coverage and risk, the surest images first; ``aurc`` is the area under all of them.
    """

    aurc: Estimate
    curve: tuple[tuple[float, float], ...]
    abstention: Abstention | None = None


@dataclass(frozen=True)
class Decision:
    """The probability of the ``positive`` class from which it is predicted, chosen on validation for a score.

    ``at_half`` is the score on the test part if the more probable class is predicted, ``difference`` what the threshold adds.
    """

    score: str
    positive: str
    threshold: float
    on_validation: float
    test: Estimate
    at_half: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Shift:
    """Scores where the classes have other shares: probabilities shifted by Bayes' rule, rates of each class unchanged.

    The probabilities hold where the classes have the shares ``prior``; with ``shares`` they are shifted. ``as_it_is`` has the
    scores there of the model whose probabilities are not.
    """

    shares: Mapping[str, float]
    estimated: bool
    prior: Mapping[str, float]
    model: Mapping[str, Estimate]
    as_it_is: Mapping[str, Estimate]


@dataclass(frozen=True)
class Persistence:
    """On the ``rows`` whose region was also observed about a day before: its class then, taken for its class now.

    A reference and no baseline: it is told the class of the day before, which the model is not.
    """

    rows: int
    regions: int
    balanced_accuracy: Estimate
    model: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Ablation:
    """Balanced accuracies of three heads on the image's features, on the table and on both, and their paired differences.

    See `evaluation.ablation`, which fits them.
    """

    scores: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]


@dataclass(frozen=True)
class ValidationScore:
    """The validation part's score, for comparison with the test part's."""

    balanced_accuracy: float
    rows: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds per image, one at a time, without warm-up."""

    median: float
    p95: float


@dataclass(frozen=True)
class SeedScores:
    """Test scores of the model of each seed, and over the seeds: ``seeds/scores.json``.

    ``test`` is seed -> score -> estimate; ``over_seeds`` has mean, sd, low and high of the scores that all seeds have.
    """

    test: Mapping[str, Mapping[str, float]]
    over_seeds: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, facts: Mapping[int, ScoreFacts]) -> SeedScores:
        """Of seed -> scores of its model, two or more; the scores that are one number."""
        test = {
            str(seed): {name: of.estimate for name, of in each.overall.items() if of.estimate is not None}
            for seed, each in facts.items()
        }
        return cls(test, over_seeds(test))

    def save(self, folder: Path) -> None:
        """Write ``scores.json`` into the seeds' folder."""
        records.write(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> SeedScores:
        """Of the seeds' folder. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="evaluate")


@dataclass(frozen=True)
class ScoreFacts:
    """Scores on the test part; ``confusion_matrix`` has the truth in its rows.

    ``model`` maps each score to an estimate, or to one estimate per class; ``baselines`` and ``difference_to`` (the
    model minus each baseline) have the scores that are one number. ``prevalence`` is the share of each class.
    ``probabilistic`` has the scores of the probabilities that are one number, ``ranking`` those of each class.
    ``reliability`` and all that follows are empty in scores of an older sdovis, and where they do not apply.
    """

    part: str
    classes: tuple[str, ...]
    rows: int
    regions: int
    prevalence: Mapping[str, float]
    bootstrap: Resampling
    confusion_matrix: tuple[tuple[int, ...], ...]
    model: Mapping[str, Estimate | Mapping[str, Estimate]]
    baselines: Mapping[str, Mapping[str, Estimate]]
    difference_to: Mapping[str, Mapping[str, Estimate]]
    by_longitude: tuple[LongitudeBin, ...]
    validation: ValidationScore
    brier_skill: float
    latency_ms: Latency
    reliability: Reliability | None = None
    strata: tuple[Stratum, ...] = ()
    effective_regions: float | None = None
    probabilistic: Mapping[str, Estimate] = field(default_factory=dict)
    ranking: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    selective: Selective | None = None
    decision: Decision | None = None
    shift: Shift | None = None
    persistence: Persistence | None = None
    ablation: Ablation | None = None

    @property
    def weakest(self) -> Stratum | None:
        """The stratum with the lowest score; None if there are no strata."""
        known = [each for each in self.strata if each.balanced_accuracy.estimate is not None]
        return min(known, key=lambda each: each.balanced_accuracy.estimate or 0.0, default=None)

    @property
    def overall(self) -> dict[str, Estimate]:
        """The model's scores that are one number."""
        return {name: entry for name, entry in self.model.items() if isinstance(entry, Estimate)}

    @property
    def per_class(self) -> dict[str, Mapping[str, Estimate]]:
        """The model's scores that have one number per class: score -> class -> estimate."""
        return {name: entry for name, entry in self.model.items() if not isinstance(entry, Estimate)}

    def save(self, folder: Path) -> None:
        """Write ``scores.json`` into the scores folder."""
        records.write(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> ScoreFacts:
        """Read it from a scores folder. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="evaluate")
