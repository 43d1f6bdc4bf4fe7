"""Finished runs compared on the same images: paired intervals, and permutation tests, by active region."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sdovis import manifests, records
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.evaluation import metrics
from sdovis.evaluation.elsewhere import PLACE
from sdovis.evaluation.facts import Resampling, ScoreFacts
from sdovis.evaluation.metrics import MetricSpec
from sdovis.statistics.bootstrap import Estimate, by_cluster, cluster_bootstrap, paired_difference
from sdovis.statistics.permutation import paired_permutation
from sdovis.statistics.tests import holm

FILE = "comparison.json"
#: Random swaps of a permutation test: p-values of 0.05 are known to 0.004 (two standard errors).
PERMUTATIONS = 10_000


@dataclass(frozen=True)
class Pair:
    """``a`` minus ``b``: two-sided p-values, ``p_holm`` adjusted over all pairs; None if undefined."""

    a: str
    b: str
    difference: Estimate
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Comparison:
    """One score of several runs on the same ``rows`` images of ``regions`` regions: ``comparison.json``.

    ``on`` names the other source whose images they are; empty for the test part. ``left_out`` maps a run to its images
    that not all runs have.
    """

    metric: str
    on: str
    rows: int
    regions: int
    classes: tuple[str, ...]
    left_out: Mapping[str, int]
    bootstrap: Resampling
    permutations: int
    scores: Mapping[str, Estimate]
    pairs: tuple[Pair, ...]

    @property
    def quantity(self) -> str:
        """The score's name in words."""
        return self.metric.replace("-", " ")

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a paper would say of each pair."""
        images = f"the images of {self.on}" if self.on else "the test images"
        head = f"On {images} (n = {self.rows}, {self.regions} regions)"
        family = f", Holm-adjusted over {len(self.pairs)} pairs" if len(self.pairs) > 1 else ""
        method = f"{self.bootstrap.confidence:.0%} intervals: paired bootstrap by region; permutation test by region"
        found = []
        for pair in self.pairs:
            low, high = pair.difference.low, pair.difference.high
            ahead = pair.a if low is not None and low > 0 else pair.b if high is not None and high < 0 else ""
            p = "p undefined" if pair.p_holm is None else f"p = {pair.p_holm:.2g}"
            # Of few regions the two may disagree; one of them alone would then be chosen by what it says.
            tested = pair.p_holm is not None and pair.p_holm <= 1 - self.bootstrap.confidence
            verdict = f"{ahead} is better" if ahead and tested else "neither is shown to be better"
            if ahead and not tested:
                verdict += f" ({ahead} is by the interval, but not by the test)"
            found.append(
                f"{head}, {pair.a} has a {self.quantity} of {_told(self.scores[pair.a])} and {pair.b} of "
                f"{_told(self.scores[pair.b])}, a difference of {_told(pair.difference, signed=True)} ({method}, {p}{family}): "
                f"{verdict}."
            )
        return tuple(found)

    def save(self, folder: Path) -> None:
        """Write ``comparison.json``, ``comparison.png`` and ``comparison.txt`` to ``folder``, whole.

        Raises `Conflict` if the folder is there and holds something else.
        """
        from sdovis import figures

        if folder.exists() and not (folder / FILE).is_file():
            raise Conflict(f"{folder}: exists and holds no comparison; name another folder with --output")
        made_from = {"runs": " ".join(self.scores), "metric": self.metric, "on": self.on}
        with manifests.whole(folder, stage="compare", made_from=made_from) as beside:
            records.write(self, beside / FILE)
            differences = {(pair.a, pair.b): pair.difference for pair in self.pairs}
            figures.save(figures.comparison(self.scores, differences, self.quantity), beside / "comparison.png")
            (beside / "comparison.txt").write_text("\n".join(self.sentences) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read it from a folder. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="compare")


def _told(entry: Estimate, *, signed: bool = False) -> str:
    if entry.estimate is None or entry.low is None or entry.high is None:
        return "undefined"
    sign = "+" if signed else ""
    return f"{entry.estimate:{sign}.3f} [{entry.low:{sign}.3f}, {entry.high:{sign}.3f}]"


def compare(
    runs: Sequence[Path], *, on: str = "", metric: str = "balanced-accuracy", shared: bool = False, seed: int = 0
) -> Comparison:
    """The score ``metric`` of two or more run folders on the same images, with paired intervals and p-values.

    The images are those of the test part, or of the other source ``on`` that the runs were evaluated on. ``shared``
    compares on the images that all runs have. The number of resamples and the level are the first run's. Raises
    `BadInput` if the runs differ in classes, in the label or region of an image or, without ``shared``, in their images;
    and for a score of single classes.
    """
    spec = metrics.spec(metric)
    if spec.per_class:
        raise BadInput(Problem(f"{metric} has one value per class", "choose a score that is a single number"))
    folders = {run.resolve().name: run / PLACE / on if on else run / "scores" for run in runs}
    if len(runs) < 2 or len(folders) < len(runs):
        raise BadInput(Problem(f"{len(folders)} different runs are named", "name at least two, with different names"))
    facts = {name: _facts(folder, on) for name, folder in folders.items()}
    first = next(iter(facts.values()))
    tables, left_out = _common({name: _test_rows(folder, facts[name]) for name, folder in folders.items()}, shared)
    _refuse_unlike(tables, facts)
    truth, groups = (next(iter(tables.values()))[column].to_numpy() for column in ("label", "group"))
    resampling = Resampling("region", first.bootstrap.samples, first.bootstrap.confidence, seed)
    draws: dict[str, Any] = {"samples": resampling.samples, "confidence": resampling.confidence, "seed": seed}
    matrices = {
        name: by_cluster(truth, table["predicted"].to_numpy(), groups, len(first.classes))
        for name, table in tables.items()
    }
    return Comparison(
        metric=metric,
        on=on,
        rows=len(truth),
        regions=len(set(groups)),
        classes=first.classes,
        left_out=left_out,
        bootstrap=resampling,
        permutations=PERMUTATIONS,
        scores={name: Estimate.of(cluster_bootstrap(of, spec.function, **draws)) for name, of in matrices.items()},
        pairs=_pairs(matrices, spec, draws),
    )


def _pairs(matrices: Mapping[str, Any], spec: MetricSpec, draws: Mapping[str, Any]) -> tuple[Pair, ...]:
    named = list(itertools.combinations(matrices, 2))
    both = [(matrices[a], matrices[b]) for a, b in named]
    differences = [Estimate.of(paired_difference(a, b, spec.function, **draws)) for a, b in both]
    chances = [paired_permutation(a, b, spec.function, samples=PERMUTATIONS, seed=draws["seed"]) for a, b in both]
    found = zip(named, differences, chances, holm(chances), strict=True)
    return tuple(Pair(a, b, difference, _defined(p), _defined(adjusted)) for (a, b), difference, p, adjusted in found)


def _defined(p: float) -> float | None:
    return None if np.isnan(p) else float(p)


def _facts(folder: Path, on: str) -> ScoreFacts:
    manifests.read(folder, made_by=f"evaluate --on {on}" if on else "evaluate")
    return ScoreFacts.load(folder)


def _test_rows(folder: Path, facts: ScoreFacts) -> pd.DataFrame:
    """Columns label, group and predicted of the scored images, indexed by their id."""
    table = pd.read_parquet(folder / "predictions.parquet")
    table = table[table["split"] == "test"].set_index("id")
    predicted = table[[f"prob_{name}" for name in facts.classes]].to_numpy().argmax(axis=1)
    return table[["label", "group"]].assign(predicted=predicted)


def _common(tables: Mapping[str, pd.DataFrame], shared: bool) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The rows that all tables have, in one order, and how many rows of each table are left out."""
    ids = set.intersection(*(set(table.index) for table in tables.values()))
    left_out = {name: len(table) - len(ids) for name, table in tables.items()}
    if any(left_out.values()) and not (shared and ids):
        counts = ", ".join(f"{name} has {n} that not all have" for name, n in left_out.items() if n)
        hint = "add --shared to compare on those" if ids else "compare runs on the same source and split"
        raise BadInput(Problem(f"the runs share {len(ids)} test images: {counts}", hint))
    order = sorted(ids)
    return {name: table.loc[order] for name, table in tables.items()}, left_out


def _refuse_unlike(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, ScoreFacts]) -> None:
    (first, known), *others = tables.items()
    problems = []
    for name, table in others:
        if facts[name].classes != facts[first].classes:
            what = (
                f"its classes are {', '.join(facts[name].classes)}, those of {first} {', '.join(facts[first].classes)}"
            )
            problems.append(Problem(what, "compare runs with the same classes in the same order", name))
            continue
        for column in ("label", "group"):
            if unlike := known.index[(known[column] != table[column]).to_numpy()].tolist():
                what = f"{len(unlike)} images have another {column} than in {first}, the first is {unlike[0]}"
                problems.append(Problem(what, "compare runs made from the same rows", name))
    if problems:
        raise BadInput(problems)
