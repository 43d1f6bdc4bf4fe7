"""Scores of a trained model on the test part, beside baselines, with intervals by active region."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import inference, manifests, plugins
from sdovis.channels.channel import channel
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import baselines, metrics
from sdovis.evaluation.facts import Latency, LongitudeBin, Resampling, ScoreFacts, ValidationScore
from sdovis.evaluation.metrics import MetricSpec
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, Interval, by_cluster, cluster_bootstrap, paired_difference
from sdovis.study import Study

#: Edges of the bins of distance from the central meridian, degrees: near the limb classes are unreliable.
LONGITUDE_EDGES = (0.0, 20.0, 40.0, 60.0, 90.0)
#: Images timed one at a time; enough for a stable median.
LATENCY_IMAGES = 60


@dataclass(frozen=True)
class Scores:
    """``facts`` is ``scores.json``; ``predictions`` has one row per image, in the corpus' order."""

    folder: Path
    facts: ScoreFacts
    predictions: pd.DataFrame

    @classmethod
    def load(cls, folder: Path) -> Scores:
        """Read a finished scores folder. Raises `BadInput` if it is absent or damaged."""
        manifests.read(folder, made_by="evaluate")
        return cls(folder, ScoreFacts.load(folder), pd.read_parquet(folder / "predictions.parquet"))


def made_from(study: Study, corpus: Corpus, model: manifests.Manifest) -> dict[str, str]:
    """What scores depend on."""
    return {
        "study": study.digest_of("evaluation"),
        "seed": str(study.study.seed),
        "corpus": corpus.manifest.digest,
        "model": model.digest,
        "metrics": " ".join(plugins.version("sdovis.metrics", name) for name in study.evaluation.metrics),
    }


def evaluate(study: Study, corpus: Corpus, model_folder: Path, folder: Path, *, progress: bool = True) -> Scores:
    """Predict every image with the model as saved, score the test part, and write ``folder`` whole."""
    model = manifests.read(model_folder, made_by="train")
    _specs(study, corpus)  # a metric that cannot be computed is refused before the network runs
    probabilities = inference.probabilities(model_folder, corpus.pictures, progress=progress)
    table = corpus.rows[["id", "group", "split", "label"]].copy()
    for index, name in enumerate(corpus.classes):
        table[f"prob_{name}"] = probabilities[:, index]
    test = (table["split"] == "test").to_numpy()
    timed = np.flatnonzero(test)[:LATENCY_IMAGES]
    seconds = inference.latency(model_folder, [corpus.pictures[i] for i in timed])
    kinds = [channel(name) for name in study.images.channels]
    rivals = baselines.predictions(corpus, kinds) if study.evaluation.baselines else None
    facts = _score(study, corpus, probabilities, rivals, seconds)
    with manifests.whole(folder, stage="evaluate", made_from=made_from(study, corpus, model)) as beside:
        table.to_parquet(beside / "predictions.parquet", index=False)
        pd.DataFrame({"id": table["id"].to_numpy()[timed], "seconds": seconds}).to_parquet(beside / "latency.parquet")
        if rivals is not None:
            rivals.to_parquet(beside / "baselines.parquet", index=False)
        facts.save(beside)
        _draw(facts, beside / "figures")
    return Scores.load(folder)


def _score(
    study: Study,
    corpus: Corpus,
    probabilities: NDArray[np.float32],
    rivals: pd.DataFrame | None,
    seconds: NDArray[np.float64],
) -> ScoreFacts:
    test = (corpus.rows["split"] == "test").to_numpy()
    rows, predicted = corpus.rows[test], probabilities.argmax(axis=1)
    truth, groups, k = rows["label"].to_numpy(), rows["group"], len(corpus.classes)
    train = corpus.part("train")["label"]
    resampling = Resampling("region", study.evaluation.bootstrap_samples, study.evaluation.confidence, study.study.seed)
    draws: dict[str, Any] = {
        "samples": resampling.samples,
        "confidence": resampling.confidence,
        "seed": resampling.seed,
    }
    # The confusion matrix is always given as counts: an interval on a count would say nothing.
    specs = [spec for spec in _specs(study, corpus) if spec.name != "confusion-matrix"]
    overall = [spec for spec in specs if not spec.per_class]
    model = by_cluster(truth, predicted[test], groups, k)
    matrices = {
        str(name): by_cluster(truth, rival.to_numpy()[test], groups, k)
        for name, rival in (rivals.drop(columns="id").items() if rivals is not None else ())
    }
    return ScoreFacts(
        part="test",
        classes=corpus.classes,
        rows=len(rows),
        regions=int(groups.nunique()),
        prevalence={name: float(np.mean(truth == i)) for i, name in enumerate(corpus.classes)},
        bootstrap=resampling,
        confusion_matrix=tuple(map(tuple, model.sum(axis=0).tolist())),
        model={s.name: _entry(cluster_bootstrap(model, s.function, **draws), s, corpus.classes) for s in specs},
        baselines={
            name: {s.name: Estimate.of(cluster_bootstrap(rival, s.function, **draws)) for s in overall}
            for name, rival in matrices.items()
        },
        difference_to={
            name: {s.name: Estimate.of(paired_difference(model, rival, s.function, **draws)) for s in overall}
            for name, rival in matrices.items()
        },
        by_longitude=tuple(_by_longitude(rows, truth, predicted[test], k)),
        validation=_validation(corpus, predicted),
        brier_skill=skill.brier_skill(truth, probabilities[test], np.bincount(train, minlength=k) / len(train)),
        latency_ms=Latency(float(np.median(seconds) * 1e3), float(np.percentile(seconds, 95) * 1e3)),
    )


def _specs(study: Study, corpus: Corpus) -> list[MetricSpec]:
    specs = [metrics.spec(name) for name in study.evaluation.metrics]
    if not corpus.facts.scheme.ordered and (wrong := [spec.name for spec in specs if spec.ordered]):
        what = f"evaluation.metrics: {', '.join(wrong)} needs ordered classes; {corpus.facts.scheme.name} has none"
        raise BadInput(Problem(what, "remove it"))
    return specs


def _entry(interval: Interval, spec: MetricSpec, classes: Sequence[str]) -> Estimate | dict[str, Estimate]:
    """An estimate or, per class, class -> estimate."""
    if spec.per_class:
        return {name: Estimate.of(each) for name, each in zip(classes, interval.each(), strict=True)}
    return Estimate.of(interval)


def _validation(corpus: Corpus, predicted: NDArray[np.int64]) -> ValidationScore:
    part = (corpus.rows["split"] == "validation").to_numpy()
    matrix = skill.confusion(corpus.rows["label"].to_numpy()[part], predicted[part], len(corpus.classes))
    return ValidationScore(float(skill.balanced_accuracy(matrix)), int(part.sum()))


def _by_longitude(
    rows: pd.DataFrame, truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int
) -> Iterator[LongitudeBin]:
    distance = np.abs(rows["longitude_deg"].to_numpy(dtype=float))
    for low, high in itertools.pairwise(LONGITUDE_EDGES):
        inside = (distance >= low) & (distance < high)
        if inside.any():
            score = skill.balanced_accuracy(skill.confusion(truth[inside], predicted[inside], k))
            yield LongitudeBin(low, high, int(inside.sum()), float(score))


def _draw(facts: ScoreFacts, folder: Path) -> None:
    from sdovis import figures

    folder.mkdir()
    matrix = np.array(facts.confusion_matrix)
    figures.save(figures.confusion_matrix(matrix, facts.classes), folder / "confusion_matrix.png")
    versus = {"this model": facts.overall, **facts.baselines}
    if rows := {name: entry["balanced-accuracy"] for name, entry in versus.items() if "balanced-accuracy" in entry}:
        figure = figures.intervals(rows, "balanced accuracy", chance=1 / len(facts.classes))
        figures.save(figure, folder / "against_baselines.png")
    if recall := facts.per_class.get("recall"):
        figures.save(figures.intervals(recall, "recall"), folder / "recall.png")
