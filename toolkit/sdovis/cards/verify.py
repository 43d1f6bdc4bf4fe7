"""Every number on the cards computed again, from the rows and not from the summaries that the cards were made from.

What has a second source is recomputed: counts, spellings, the split's audit and the rejects from the corpus' Parquet and
``rejects.csv``; scores, intervals, baselines and differences from ``predictions.parquet`` and ``baselines.parquet``;
false alarms and noticed strangers from the unfamiliarity in ``predictions.parquet`` and ``strangers.parquet``; what other
engines answer from ``parity.parquet``; latency from ``latency.parquet``; tests of maps from ``maps.parquet``, and the
mistakes from the predictions; the release's tag from the sums of all files. The course of the training has no second
source: its record is tied to the model by what both were made from. Which training images are nearest to a mistake only
the network can tell.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import study as studies
from sdovis.cards import templates
from sdovis.cards.card import README, dataset_card, merge, model_card
from sdovis.cards.facts import Facts, class_facts, gather, rejects
from sdovis.corpus import rejects as left_out
from sdovis.corpus.audit import Part
from sdovis.corpus.build import Corpus
from sdovis.corpus.duplicates import footprint_deg
from sdovis.corpus.facts import count_reasons, count_spellings, published_reasons
from sdovis.corpus.shortcuts import shortcuts
from sdovis.corpus.split import PARTS
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import ablation, parity, strangers
from sdovis.evaluation import probabilities as probable
from sdovis.evaluation.elsewhere import PLACE, SEEN, Elsewhere, seen
from sdovis.evaluation.explanation import FOLDER, TABLE, Explanation, chosen, map_tests, random_areas
from sdovis.evaluation.facts import Ablation, Latency, LongitudeBin, ScoreFacts, ValidationScore
from sdovis.evaluation.metrics import spec
from sdovis.evaluation.mistakes import most_confident
from sdovis.evaluation.persistence import persistence
from sdovis.evaluation.probabilities import Answers
from sdovis.evaluation.scores import HELD_BACK, held_back
from sdovis.evaluation.strata import LONGITUDE_EDGES, effective_regions, strata
from sdovis.learning.losses import prior as prior_of
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, by_cluster, cluster_bootstrap, paired_difference
from sdovis.study import Evaluation

#: A probability's rounding in fp32, summed over classes.
_SUM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Mismatch:
    """A line of a card that differs from what is recomputed; ``file`` is relative to the run."""

    file: str
    line: int
    printed: str
    recomputed: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.printed!r} should be {self.recomputed!r}"

    @property
    def problem(self) -> Problem:
        """The mismatch as the command line reports it."""
        what = f"printed {self.printed!r}, recomputed {self.recomputed!r}"
        return Problem(what, "run sdovis card", self.file, row=self.line)


@dataclass(frozen=True)
class _Given:
    """What scores refer to beyond their rows: the class shares where the model learned, what it says of the validation part,
    how it was trained, a cutout's side, what the study asks for.
    """

    climatology: NDArray[np.float64]
    held_back: Answers
    method: Mapping[str, Any]
    footprint_deg: float | None
    asked: Evaluation


def again(run_dir: Path) -> Facts:
    """The facts of a run with everything recomputed. Raises `BadInput` as `gather` does."""
    return recomputed(gather(studies.load(run_dir / "study.toml"), run_dir), run_dir)


def verify(run_dir: Path, facts: Facts | None = None) -> list[Mismatch]:
    """Every line of the run's cards, and of their copies in its release, that differs from ``facts``: by default from those
    of the run, recomputed.

    Text written by hand in kept sections is left alone. Raises `BadInput` if files are missing, changed since they were
    made, or do not belong together.
    """
    own = templates.load(studies.load(run_dir / "study.toml").publish.templates)
    facts = facts or again(run_dir)
    right = {"dataset": dataset_card(facts, own), "model": model_card(facts, own)}
    found: list[Mismatch] = []
    for kind, text in right.items():
        card = run_dir / "cards" / kind / README
        if not card.is_file():
            raise BadInput(Problem("is not there yet", "run sdovis card first", str(card)))
        copy = run_dir / "release" / kind / README
        for path in [card, copy] if copy.is_file() else [card]:
            printed = path.read_text(encoding="utf-8")
            found += differences(str(path.relative_to(run_dir)), printed, merge(text, printed))
    return found


def differences(file: str, printed: str, right: str) -> Iterator[Mismatch]:
    """The lines in which ``printed`` differs from the ``right`` text of a file."""
    old, new = printed.splitlines(), right.splitlines()
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            pairs = itertools.zip_longest(range(a, b), range(c, d))
            for i, j in pairs:
                yield Mismatch(
                    file, (b if i is None else i) + 1, "" if i is None else old[i], "" if j is None else new[j]
                )


def recomputed(facts: Facts, run_dir: Path) -> Facts:
    """``facts`` with every number that the rows of the run determine recomputed from them."""
    corpus = Corpus.load(run_dir / "corpus")
    rows = corpus.rows.assign(label_name=[corpus.classes[i] for i in corpus.rows["label"]])
    predictions = _predictions(corpus, run_dir / "scores")
    parts = {name: (rows["split"] == name).to_numpy() for name in PARTS}
    label = rows["label"].to_numpy()
    learned = parts["train"] | parts["validation"] if facts.training.refit else parts["train"]
    given = _Given(
        np.bincount(label[learned], minlength=len(corpus.classes)) / learned.sum(),
        Answers.of(_held_back(corpus, run_dir / "scores"), corpus.classes),
        facts.training.method,
        footprint_deg(cutout_arcsec=facts.cutout_arcsec, cutout_deg=facts.cutout_deg),
        studies.load(run_dir / "study.toml").evaluation,
    )
    spellings = {str(name): count_spellings(of["label_text"]) for name, of in rows.groupby("label_name")}
    reasons = published_reasons(left_out.read(run_dir / "corpus"))
    keys = {"region": "group", "image": "frame", "identical_cutout": "pixels_sha256"}
    meanings = {each.name: each.meaning for each in facts.classes}
    return replace(
        facts,
        rows=len(rows),
        classes=class_facts(meanings, facts.scheme, spellings),
        rejects=rejects(count_reasons(reasons)),
        split=replace(
            facts.split,
            leaks={what: _shared(rows, column) for what, column in keys.items()},
            parts={name: _part(rows[rows["split"] == name], corpus.classes) for name in PARTS},
            shortcuts=shortcuts(rows.assign(label=rows["label_name"]), corpus.classes, seed=facts.split.seed),
        ),
        training=replace(
            facts.training, images={name: int((rows["split"] == name).sum()) for name in ("train", "validation")}
        ),
        scores=_scores(facts.scores, rows, predictions, run_dir / "scores", given),
        elsewhere=tuple(
            _elsewhere(saved, corpus, run_dir / PLACE / saved.source.name, given) for saved in facts.elsewhere
        ),
        familiarity=strangers.again(run_dir / "scores", run_dir / "model", facts.scores.bootstrap),
        explanation=facts.explanation and _explanation(facts.explanation, corpus, run_dir),
        parity=facts.parity and parity.again(run_dir, facts.parity, corpus.classes),
    )


def _explanation(saved: Explanation, corpus: Corpus, run_dir: Path) -> Explanation:
    """Tests of maps, and mistakes, again; with the nearest training images as they were saved."""
    table = pd.read_parquet(run_dir / FOLDER / TABLE)
    tested = map_tests(table, saved.bootstrap)
    wrong, listed = most_confident(corpus, pd.read_parquet(run_dir / "scores" / "predictions.parquet"))
    nearest = {each.id: each.nearest for each in saved.mistakes}
    images = table.drop_duplicates("id")["split"].value_counts()
    return replace(
        saved,
        images={part: int(images[part]) for part in saved.images},
        maps=tested,
        random=random_areas(table, saved.bootstrap),
        chosen=chosen(tested),
        wrong=wrong,
        mistakes=tuple(replace(each, nearest=nearest.get(each.id, ())) for each in listed),
    )


def _elsewhere(saved: Elsewhere, corpus: Corpus, folder: Path, given: _Given) -> Elsewhere:
    """The scores on another source, and its counts, from the rows of its own corpus."""
    found = Corpus.load(folder / "corpus")
    if wrong := sorted(set(seen(found.rows, corpus)) - {""}):
        raise BadInput(Problem(f"contains rows of which {wrong[0]}", "run sdovis evaluate --on again", str(folder)))
    reasons = published_reasons(left_out.read(folder / "corpus"))
    own = reasons.isin(list(SEEN))
    occurring = set(found.rows["label"])
    source = replace(
        saved.source,
        rows=len(found.rows),
        regions=found.rows["group"].nunique(),
        first=str(found.rows["observed"].min()),
        last=str(found.rows["observed"].max()),
        dropped=count_reasons(reasons[own]),
        rejects=len(reasons),
        rejects_by_reason=count_reasons(reasons[~own]),
        shared_with_test=len(set(corpus.part("test")["group"]) & set(found.rows["group"])),
        missing_classes=tuple(name for i, name in enumerate(corpus.classes) if i not in occurring),
    )
    scores = _scores(saved.facts, found.rows, _predictions(found, folder), folder, given)
    familiarity = strangers.again(folder, folder.parents[1] / "model", saved.facts.bootstrap)
    return Elsewhere(source, scores, familiarity)


def _shared(rows: pd.DataFrame, column: str) -> int:
    """How many values of a column occur in more than one part."""
    return int((rows.groupby(column)["split"].nunique() > 1).sum())


def _part(part: pd.DataFrame, classes: tuple[str, ...]) -> Part:
    per_region = part.groupby("group").size()
    largest = part["group"].value_counts().index[0]
    by_class = {name: part[part["label_name"] == name] for name in classes}
    return Part(
        rows=len(part),
        regions=len(per_region),
        images=part["frame"].nunique(),
        largest_region=str(largest),
        largest_region_share=float(per_region.max() / len(part)),
        rows_by_class={name: len(each) for name, each in by_class.items()},
        regions_by_class={name: each["group"].nunique() for name, each in by_class.items()},
        first=str(part["observed"].min()),
        last=str(part["observed"].max()),
    )


def _predictions(corpus: Corpus, folder: Path) -> NDArray[np.float64]:
    """Probabilities (N, K) in the corpus' order. Raises `BadInput` if they belong to other rows or are not probabilities."""
    file = folder / "predictions.parquet"
    table = pd.read_parquet(file)
    for column in ("id", "group", "split", "label"):
        if table[column].tolist() != corpus.rows[column].tolist():
            raise BadInput(Problem(f"{column} differs from the corpus", "run sdovis evaluate", str(file)))
    found = table[[f"prob_{name}" for name in corpus.classes]].to_numpy(dtype=np.float64)
    if not (np.isfinite(found).all() and (np.abs(found.sum(axis=1) - 1) < _SUM_TOLERANCE).all()):
        raise BadInput(Problem("contains values that are not probabilities", "run sdovis evaluate", str(file)))
    return found


def _held_back(corpus: Corpus, folder: Path) -> pd.DataFrame:
    """The validation part as a network saw it that was not trained on it. Raises `BadInput` if it is of other rows."""
    table, rows = held_back(folder), corpus.part("validation")
    if table["id"].tolist() != rows["id"].tolist() or table["label"].tolist() != rows["label"].tolist():
        raise BadInput(Problem("rows differ from the corpus", "run sdovis evaluate", str(folder / HELD_BACK)))
    return table


def _scores(
    saved: ScoreFacts,
    rows: pd.DataFrame,
    probabilities: NDArray[np.float64],
    folder: Path,
    given: _Given,
) -> ScoreFacts:
    classes = saved.classes
    k, predicted = len(classes), probabilities.argmax(axis=1)
    test = (rows["split"] == "test").to_numpy()
    truth, groups = rows["label"].to_numpy()[test], rows["group"][test]
    bootstrap = saved.bootstrap
    draws: dict[str, Any] = {
        "samples": bootstrap.samples,
        "confidence": bootstrap.confidence,
        "seed": bootstrap.seed,
    }
    model = by_cluster(truth, predicted[test], groups, k)
    rivals = {}
    if saved.baselines:
        table = pd.read_parquet(folder / "baselines.parquet")
        if table["id"].tolist() != rows["id"].tolist():
            raise BadInput(
                Problem("rows differ from the corpus", "run sdovis evaluate", str(folder / "baselines.parquet"))
            )
        rivals = {name: by_cluster(truth, table[name].to_numpy()[test], groups, k) for name in saved.baselines}

    def scored(name: str, entry: Estimate | Mapping[str, Estimate]) -> Estimate | Mapping[str, Estimate]:
        interval = cluster_bootstrap(model, spec(name).function, **draws)
        if isinstance(entry, Estimate):
            return Estimate.of(interval)
        return {each: Estimate.of(part) for each, part in zip(classes, interval.each(), strict=True)}

    answers = Answers(classes, truth, probabilities[test], groups.to_numpy())
    prior = prior_of(given.method, given.climatology) if given.method else given.climatology
    worth = probable.worth(answers, given.climatology, prior, **draws) if saved.reliability else {}
    # What an older sdovis did not compute is not on its cards.
    if not saved.probabilistic:
        worth = {name: each for name, each in worth.items() if name == "reliability"}
    else:
        told = {name: each for name, each in worth["probabilistic"].items() if name in saved.probabilistic}
        worth["probabilistic"] = told
    validation = skill.confusion(given.held_back.truth, given.held_back.predicted, k)
    specs = [spec(name) for name in saved.model]
    seconds = pd.read_parquet(folder / "latency.parquet")["seconds"].to_numpy()
    return replace(
        saved,
        rows=int(test.sum()),
        regions=int(groups.nunique()),
        prevalence={name: float((truth == i).mean()) for i, name in enumerate(classes)},
        confusion_matrix=tuple(map(tuple, skill.confusion(truth, predicted[test], k).tolist())),
        model={name: scored(name, entry) for name, entry in saved.model.items()},
        baselines={
            rival: {name: Estimate.of(cluster_bootstrap(matrices, spec(name).function, **draws)) for name in scores}
            for (rival, scores), matrices in zip(saved.baselines.items(), rivals.values(), strict=True)
        },
        difference_to={
            rival: {
                name: Estimate.of(paired_difference(model, rivals[rival], spec(name).function, **draws))
                for name in scores
            }
            for rival, scores in saved.difference_to.items()
        },
        by_longitude=tuple(_by_longitude(rows[test], truth, predicted[test], k)),
        validation=ValidationScore(float(skill.balanced_accuracy(validation)), len(given.held_back.truth)),
        brier_skill=skill.brier_skill(truth, probabilities[test], given.climatology),
        latency_ms=Latency(float(np.median(seconds) * 1e3), float(np.percentile(seconds, 95) * 1e3)),
        **worth,
        selective=saved.selective and probable.selective(answers, given.held_back, given.asked, **draws),
        decision=saved.decision and probable.decision(answers, given.held_back, given.asked, **draws),
        shift=saved.shift and probable.shift(answers, given.asked, prior, specs, **draws),
        persistence=saved.persistence and persistence(rows[test], predicted[test], k, **draws),
        ablation=saved.ablation and _ablation(folder, rows, k, draws),
        strata=strata(rows[test], predicted[test], k, given.footprint_deg, **draws),
        effective_regions=saved.effective_regions and effective_regions(groups),
    )


def _ablation(folder: Path, rows: pd.DataFrame, k: int, draws: Mapping[str, Any]) -> Ablation:
    """The comparison of the three heads from what each predicted."""
    table, test = pd.read_parquet(folder / ablation.TABLE), (rows["split"] == "test").to_numpy()
    if table["id"].tolist() != rows["id"].tolist():
        raise BadInput(Problem("rows differ from the corpus", "run sdovis evaluate", str(folder / ablation.TABLE)))
    return ablation.ablation(table[test], rows[test], k, **draws)


def _by_longitude(rows: pd.DataFrame, truth: NDArray[Any], predicted: NDArray[Any], k: int) -> Iterator[LongitudeBin]:
    distance = rows["longitude_deg"].abs().to_numpy(dtype=float)
    for low, high in itertools.pairwise(LONGITUDE_EDGES):
        inside = (distance >= low) & (distance < high)
        if inside.any():
            score = skill.balanced_accuracy(skill.confusion(truth[inside], predicted[inside], k))
            yield LongitudeBin(low, high, int(inside.sum()), float(score))
