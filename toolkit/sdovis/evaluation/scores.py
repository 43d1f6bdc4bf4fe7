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
from sdovis.channels.channel import Channel, channel
from sdovis.corpus import beside
from sdovis.corpus.build import Corpus
from sdovis.corpus.duplicates import footprint_deg
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import ablation, baselines, metrics, strangers, strata
from sdovis.evaluation import probabilities as probable
from sdovis.evaluation.facts import Latency, LongitudeBin, Resampling, ScoreFacts, ValidationScore
from sdovis.evaluation.metrics import MetricSpec
from sdovis.evaluation.persistence import persistence
from sdovis.evaluation.probabilities import Answers
from sdovis.evaluation.strangers import FamiliarityFacts
from sdovis.learning import backbones, description
from sdovis.learning.losses import prior as prior_of
from sdovis.learning.plan import first_folder
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, Interval, by_cluster, cluster_bootstrap, paired_difference
from sdovis.study import Study

#: Images timed one at a time; enough for a stable median.
LATENCY_IMAGES = 60
#: The table, beside ``predictions.parquet``, of what a network that was not trained on the validation part says of it.
HELD_BACK = "validation.parquet"


@dataclass(frozen=True)
class Scores:
    """``facts`` is ``scores.json``; ``predictions`` has one row per image, in the corpus' order.

    ``familiarity`` is None if the model, of an older sdovis, cannot tell what is strange to it.
    """

    folder: Path
    facts: ScoreFacts
    predictions: pd.DataFrame
    familiarity: FamiliarityFacts | None = None

    @classmethod
    def load(cls, folder: Path) -> Scores:
        """Read a finished scores folder. Raises `BadInput` if it is absent or damaged."""
        manifests.read(folder, made_by="evaluate")
        predictions = pd.read_parquet(folder / "predictions.parquet")
        return cls(folder, ScoreFacts.load(folder), predictions, FamiliarityFacts.load(folder))


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
    specs = chosen(study, corpus)  # a metric that cannot be computed is refused before the network runs
    table = predictions(corpus, model_folder, progress=progress)
    before = _by_the_first(corpus, model_folder, model, progress) if study.method.learns_from_validation else None
    rivals = rivals_of(study, corpus, model_folder) if study.evaluation.baselines else None
    # Of the network to which the validation part is new: that part chooses the heads' penalties.
    judged = first_folder(model_folder) if study.method.learns_from_validation else model_folder
    heads = ablation.predictions(corpus, judged)
    timed = latency(corpus, model_folder)
    facts = scored(
        study, corpus.classes, specs, part="test", table=table, rows=corpus.rows, rivals=rivals,
        climatology=shares(corpus, study.method.learned_from),
        held_back=table[(table["split"] == "validation").to_numpy()] if before is None else before,
        seconds=timed["seconds"].to_numpy(), heads=heads,
    )  # fmt: skip
    with manifests.whole(folder, stage="evaluate", made_from=made_from(study, corpus, model)) as writing:
        if before is not None:
            before.to_parquet(writing / HELD_BACK, index=False)
        if heads is not None:
            heads.to_parquet(writing / ablation.TABLE, index=False)
        write(writing, facts, table, timed, rivals)
        strangers.write(writing, table, model_folder, facts.bootstrap, corpus)
    return Scores.load(folder)


def _by_the_first(corpus: Corpus, model_folder: Path, model: manifests.Manifest, progress: bool) -> pd.DataFrame:
    """What the network of the first training says of the validation part, which the model itself has learned.

    Raises `BadInput` if it is not there, or was not made from what the model was.
    """
    folder = first_folder(model_folder)
    if manifests.read(folder, made_by="train").made_from != model.made_from:
        raise BadInput(Problem("was made from something else than the model", "run sdovis train", str(folder)))
    return predictions(corpus, folder, progress=progress, part="validation")


def held_back(folder: Path) -> pd.DataFrame:
    """The validation rows of a finished scores folder, predicted by a network that was not trained on them."""
    if (folder / HELD_BACK).is_file():
        return pd.read_parquet(folder / HELD_BACK)
    table = pd.read_parquet(folder / "predictions.parquet")
    return table[(table["split"] == "validation").to_numpy()]


def rivals_of(study: Study, corpus: Corpus, model_folder: Path, on: Corpus | None = None) -> pd.DataFrame:
    """`baselines.predictions` of what learned from the same parts as the model; features are computed once for a run."""
    kept = model_folder.with_name("training") / "cache" / "measures"
    return baselines.predictions(corpus, channels(study), on, learned_from=study.method.learned_from, kept=kept)


def channels(study: Study) -> list[Channel]:
    """What the study's images are seen through."""
    return [channel(name) for name in study.images.channels]


def predictions(corpus: Corpus, model_folder: Path, *, progress: bool = True, part: str = "") -> pd.DataFrame:
    """One row per image of the corpus or a part of it, in its order: id, group, split, label, prob_CLASS for each class.

    Also unfamiliarity, if the model can tell.
    """
    pictures, rows = (corpus.pictures_of(part), corpus.part(part)) if part else (corpus.pictures, corpus.rows)
    scored = inference.scored(model_folder, pictures, table=told(model_folder, rows), progress=progress)
    table = rows[["id", "group", "split", "label"]].copy()
    for index, name in enumerate(corpus.classes):
        table[f"prob_{name}"] = scored.probabilities[:, index]
    if scored.unfamiliarity is not None:
        table[strangers.COLUMN] = scored.unfamiliarity
    return table


def told(model_folder: Path, rows: pd.DataFrame) -> NDArray[np.float32] | None:
    """(N, W): what a model is told beside the images of ``rows``; None if it is told nothing."""
    columns = description.beside_of(backbones.load_config(model_folder))
    return beside.encoded(columns, rows) if columns else None


def latency(corpus: Corpus, model_folder: Path) -> pd.DataFrame:
    """id and seconds of some test images, classified one at a time."""
    timed = np.flatnonzero(corpus.rows["split"] == "test")[:LATENCY_IMAGES]
    rows = corpus.rows.iloc[timed]
    seconds = inference.latency(model_folder, [corpus.pictures[i] for i in timed], table=told(model_folder, rows))
    return pd.DataFrame({"id": rows["id"].to_numpy(), "seconds": seconds})


def shares(corpus: Corpus, learned_from: Sequence[str]) -> NDArray[np.float64]:
    """(K,): each class's share of the parts that were learned from."""
    labels = corpus.rows.loc[corpus.rows["split"].isin(list(learned_from)), "label"]
    return np.asarray(np.bincount(labels, minlength=len(corpus.classes)) / len(labels))


def write(
    folder: Path, facts: ScoreFacts, table: pd.DataFrame, timed: pd.DataFrame, rivals: pd.DataFrame | None
) -> None:
    """The files of a scores folder."""
    table.to_parquet(folder / "predictions.parquet", index=False)
    timed.to_parquet(folder / "latency.parquet")
    if rivals is not None:
        rivals.to_parquet(folder / "baselines.parquet", index=False)
    facts.save(folder)
    _draw(facts, folder / "figures")


def scored(
    study: Study,
    classes: Sequence[str],
    specs: Sequence[MetricSpec],
    *,
    part: str,
    table: pd.DataFrame,
    rows: pd.DataFrame,
    rivals: pd.DataFrame | None,
    climatology: NDArray[np.float64],
    held_back: pd.DataFrame,
    seconds: NDArray[np.float64],
    heads: pd.DataFrame | None = None,
) -> ScoreFacts:
    """The facts of the test rows of ``table`` (see `predictions`), ``rows`` and ``rivals``, which are in the same order.

    ``part`` says what the test rows are; ``climatology`` has each class's share where the model learned; ``held_back`` are
    the run's validation rows, by which thresholds are chosen; ``heads`` as `ablation.predictions` gives them.
    """
    test = (table["split"] == "test").to_numpy()
    answers, validation = Answers.of(table[test], classes), Answers.of(held_back, classes)
    truth, predicted = answers.truth, answers.predicted
    groups, k = table["group"][test], len(classes)
    prior = prior_of(study.method.model_dump(), climatology)
    side = footprint_deg(cutout_arcsec=study.images.cutout_arcsec, cutout_deg=study.images.cutout_deg)
    resampling = Resampling("region", study.evaluation.bootstrap_samples, study.evaluation.confidence, study.study.seed)
    draws: dict[str, Any] = {
        "samples": resampling.samples,
        "confidence": resampling.confidence,
        "seed": resampling.seed,
    }
    # The confusion matrix is always given as counts: an interval on a count would say nothing.
    told = [spec for spec in specs if spec.name != "confusion-matrix"]
    overall = [spec for spec in told if not spec.per_class]
    model = by_cluster(truth, predicted, groups, k)
    matrices = {
        str(name): by_cluster(truth, rival.to_numpy()[test], groups, k)
        for name, rival in (rivals.drop(columns="id").items() if rivals is not None else ())
    }
    return ScoreFacts(
        part=part,
        classes=tuple(classes),
        rows=len(truth),
        regions=int(groups.nunique()),
        prevalence={name: float(np.mean(truth == i)) for i, name in enumerate(classes)},
        bootstrap=resampling,
        confusion_matrix=tuple(map(tuple, model.sum(axis=0).tolist())),
        model={s.name: _entry(cluster_bootstrap(model, s.function, **draws), s, classes) for s in told},
        baselines={
            name: {s.name: Estimate.of(cluster_bootstrap(rival, s.function, **draws)) for s in overall}
            for name, rival in matrices.items()
        },
        difference_to={
            name: {s.name: Estimate.of(paired_difference(model, rival, s.function, **draws)) for s in overall}
            for name, rival in matrices.items()
        },
        by_longitude=tuple(_by_longitude(rows[test], truth, predicted, k)),
        validation=_validation(validation),
        brier_skill=skill.brier_skill(truth, answers.probabilities, climatology),
        latency_ms=Latency(float(np.median(seconds) * 1e3), float(np.percentile(seconds, 95) * 1e3)),
        **probable.worth(answers, climatology, prior, **draws),
        selective=probable.selective(answers, validation, study.evaluation, **draws),
        decision=probable.decision(answers, validation, study.evaluation, **draws),
        shift=probable.shift(answers, study.evaluation, prior, specs, **draws),
        persistence=persistence(rows[test], predicted, k, **draws),
        ablation=None if heads is None else ablation.ablation(heads[test], rows[test], k, **draws),
        strata=strata.strata(rows[test], predicted, k, side, **draws),
        effective_regions=strata.effective_regions(groups),
    )


def chosen(study: Study, corpus: Corpus) -> list[MetricSpec]:
    """The study's metrics. Raises `BadInput` for what it asks for and the corpus' classes do not allow."""
    probable.check(study.evaluation, corpus.classes)
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


def _validation(answers: Answers) -> ValidationScore:
    matrix = skill.confusion(answers.truth, answers.predicted, len(answers.classes))
    return ValidationScore(float(skill.balanced_accuracy(matrix)), len(answers.truth))


def _by_longitude(
    rows: pd.DataFrame, truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int
) -> Iterator[LongitudeBin]:
    distance = np.abs(rows["longitude_deg"].to_numpy(dtype=float))
    for low, high in itertools.pairwise(strata.LONGITUDE_EDGES):
        inside = (distance >= low) & (distance < high)
        if inside.any():
            score = skill.balanced_accuracy(skill.confusion(truth[inside], predicted[inside], k))
            yield LongitudeBin(low, high, int(inside.sum()), float(score))


def _operating(facts: ScoreFacts) -> tuple[Estimate, Estimate] | tuple[()]:
    """Coverage and risk with the threshold that the validation part chose, if it chose one."""
    chosen = facts.selective.abstention if facts.selective else None
    return (chosen.coverage, chosen.risk) if chosen and chosen.coverage and chosen.risk else ()


def _draw(facts: ScoreFacts, folder: Path) -> None:
    from sdovis import figures

    folder.mkdir()
    matrix = np.array(facts.confusion_matrix)
    figures.save(figures.confusion_matrix(matrix, facts.classes), folder / "confusion_matrix.png")
    versus = {"this model": facts.overall, **facts.baselines}
    if rows := {name: entry["balanced-accuracy"] for name, entry in versus.items() if "balanced-accuracy" in entry}:
        figure = figures.intervals(rows, "balanced accuracy", chance=1 / len(facts.classes))
        figures.save(figure, folder / "against_baselines.png")
    if facts.reliability is not None:
        floor = facts.probabilistic.get("ece-floor")
        lowest = f", about {floor.estimate:.3f} if perfectly calibrated" if floor and floor.estimate is not None else ""
        drawn = figures.reliability(
            [each.confidence for each in facts.reliability.bins],
            [each.right for each in facts.reliability.bins],
            [each.rows for each in facts.reliability.bins],
            f"expected calibration error {facts.reliability.ece:.3f}{lowest}",
        )
        figures.save(drawn, folder / "reliability.png")
    if facts.selective is not None:
        figures.save(figures.risk_coverage(facts.selective.curve, *_operating(facts)), folder / "risk_coverage.png")
    if facts.strata:
        named = {f"{each.what}: {each.of}": each for each in facts.strata}
        # A name that is cut would not say which stratum it is.
        lines = {
            name if len(name) <= figures.NAME_LENGTH else each.of: each.balanced_accuracy
            for name, each in named.items()
        }
        figures.save(
            figures.intervals(lines, "balanced accuracy", chance=1 / len(facts.classes)), folder / "strata.png"
        )
    if recall := facts.per_class.get("recall"):
        figures.save(figures.intervals(recall, "recall"), folder / "recall.png")
