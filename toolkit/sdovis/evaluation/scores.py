"""Scores of a trained model on the test part: beside baselines, with intervals by active region."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
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
from sdovis.evaluation.metrics import MetricSpec
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Interval, by_cluster, cluster_bootstrap, paired_difference
from sdovis.study import Study

#: Edges of the bins of distance from the central meridian, degrees: near the limb classes are unreliable.
LONGITUDE_EDGES = (0.0, 20.0, 40.0, 60.0, 90.0)
#: Images timed one at a time; enough for a stable median.
LATENCY_IMAGES = 60


@dataclass(frozen=True)
class Scores:
    """``facts`` is ``scores.json``; ``predictions`` has a row an image, in the corpus' order."""

    folder: Path
    facts: Mapping[str, Any]
    predictions: pd.DataFrame

    @classmethod
    def load(cls, folder: Path) -> Scores:
        """Read a finished scores folder. Raises `BadInput` where it is absent or damaged."""
        manifests.read(folder, made_by="evaluate")
        facts = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return cls(folder, facts, pd.read_parquet(folder / "predictions.parquet"))


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
    _specs(study, corpus)  # a metric that cannot be computed is told before the network runs
    probabilities = inference.probabilities(model_folder, corpus.pictures, progress=progress)
    table = corpus.rows[["id", "group", "split", "label"]].copy()
    for index, name in enumerate(corpus.classes):
        table[f"prob_{name}"] = probabilities[:, index]
    test = (table["split"] == "test").to_numpy()
    timed = np.flatnonzero(test)[:LATENCY_IMAGES]
    seconds = inference.latency(model_folder, [corpus.pictures[i] for i in timed])
    kinds = [channel(name) for name in study.images.channels]
    rivals = baselines.predictions(corpus, kinds) if study.evaluation.baselines else None
    facts = _score(study, corpus, probabilities.argmax(axis=1), rivals)
    truth = table["label"].to_numpy()[test]
    climatology = np.bincount(corpus.part("train")["label"], minlength=len(corpus.classes)) / len(corpus.part("train"))
    facts["brier_skill"] = skill.brier_skill(truth, probabilities[test], climatology)
    facts["latency_ms"] = {"median": float(np.median(seconds) * 1e3), "p95": float(np.percentile(seconds, 95) * 1e3)}
    with manifests.whole(folder, stage="evaluate", made_from=made_from(study, corpus, model)) as beside:
        table.to_parquet(beside / "predictions.parquet", index=False)
        pd.DataFrame({"id": table["id"].to_numpy()[timed], "seconds": seconds}).to_parquet(beside / "latency.parquet")
        if rivals is not None:
            rivals.to_parquet(beside / "baselines.parquet", index=False)
        (beside / "scores.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        _draw(facts, beside / "figures")
    return Scores.load(folder)


def _score(study: Study, corpus: Corpus, predicted: NDArray[np.int64], rivals: pd.DataFrame | None) -> dict[str, Any]:
    test = (corpus.rows["split"] == "test").to_numpy()
    rows = corpus.rows[test]
    truth, groups, k = rows["label"].to_numpy(), rows["group"], len(corpus.classes)
    options: dict[str, Any] = {
        "samples": study.evaluation.bootstrap_samples,
        "confidence": study.evaluation.confidence,
        "seed": study.study.seed,
    }
    # The confusion matrix is given as counts, always: an interval of a count would say nothing.
    scalar = [spec for spec in _specs(study, corpus) if spec.name != "confusion-matrix"]
    model = by_cluster(truth, predicted[test], groups, k)
    facts: dict[str, Any] = {
        "part": "test",
        "classes": list(corpus.classes),
        "rows": len(rows),
        "regions": int(groups.nunique()),
        "prevalence": {c: float(np.mean(truth == i)) for i, c in enumerate(corpus.classes)},
        "bootstrap": {"unit": "region", **options},
        "confusion_matrix": model.sum(axis=0).tolist(),
        "model": {s.name: _entry(cluster_bootstrap(model, s.function, **options), s, corpus.classes) for s in scalar},
        "baselines": {},
        "difference_to": {},
        "by_longitude": _by_longitude(rows, truth, predicted[test], k),
    }
    facts["validation"] = _validation(corpus, predicted)
    for name in rivals.columns.drop("id") if rivals is not None else ():
        assert rivals is not None
        rival = by_cluster(truth, rivals[name].to_numpy()[test], groups, k)
        facts["baselines"][name] = {
            s.name: _entry(cluster_bootstrap(rival, s.function, **options), s, corpus.classes)
            for s in scalar if not s.per_class
        }  # fmt: skip
        facts["difference_to"][name] = {
            s.name: _entry(paired_difference(model, rival, s.function, **options), s, corpus.classes)
            for s in scalar if not s.per_class
        }  # fmt: skip
    return facts


def _specs(study: Study, corpus: Corpus) -> list[MetricSpec]:
    specs = [metrics.spec(name) for name in study.evaluation.metrics]
    if not corpus.facts["scheme"]["ordered"] and (wrong := [spec.name for spec in specs if spec.ordered]):
        what = f"evaluation.metrics: {', '.join(wrong)} needs ordered classes; {corpus.facts['scheme']['name']} has no order"
        raise BadInput(Problem(what, "leave it out"))
    return specs


def _entry(interval: Interval, spec: MetricSpec, classes: Sequence[str]) -> dict[str, Any]:
    """An interval as JSON; per class: class -> interval."""
    if spec.per_class:
        return {c: _bounds(each) for c, each in zip(classes, interval.each(), strict=True)}
    return _bounds(interval)


def _bounds(interval: Interval) -> dict[str, float | None]:
    named = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    # JSON has no nan: a score that is not defined is null.
    return {name: float(value) if np.isfinite(value) else None for name, value in named.items()}


def _validation(corpus: Corpus, predicted: NDArray[np.int64]) -> dict[str, float]:
    part = (corpus.rows["split"] == "validation").to_numpy()
    matrix = skill.confusion(corpus.rows["label"].to_numpy()[part], predicted[part], len(corpus.classes))
    return {"balanced_accuracy": float(skill.balanced_accuracy(matrix)), "rows": int(part.sum())}


def _by_longitude(
    rows: pd.DataFrame, truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int
) -> list[dict[str, Any]]:
    distance = np.abs(rows["longitude_deg"].to_numpy(dtype=float))
    bins = []
    for low, high in itertools.pairwise(LONGITUDE_EDGES):
        inside = (distance >= low) & (distance < high)
        if inside.any():
            score = skill.balanced_accuracy(skill.confusion(truth[inside], predicted[inside], k))
            bins.append({"from_deg": low, "to_deg": high, "rows": int(inside.sum()), "balanced_accuracy": float(score)})
    return bins


def _draw(facts: Mapping[str, Any], folder: Path) -> None:
    from sdovis import figures

    folder.mkdir()
    matrix = np.array(facts["confusion_matrix"])
    figures.save(figures.confusion_matrix(matrix, facts["classes"]), folder / "confusion_matrix.png")
    versus = {"this model": facts["model"], **facts["baselines"]}
    if rows := {name: entry["balanced-accuracy"] for name, entry in versus.items() if "balanced-accuracy" in entry}:
        figure = figures.intervals(rows, "balanced accuracy", chance=1 / len(facts["classes"]))
        figures.save(figure, folder / "against_baselines.png")
    if "recall" in facts["model"]:
        figures.save(figures.intervals(facts["model"]["recall"], "recall"), folder / "recall.png")
