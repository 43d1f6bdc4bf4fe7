"""The same training from several seeds: validation chooses one, or their weights are averaged; their spread is recorded.

runs/NAME/seeds/K/training, model     what `training.train` leaves, from seed K
runs/NAME/training, model             those of the chosen seed, with `TrainingRecord.seeds` filled in; see also `averaging`
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdovis import manifests
from sdovis.errors import BadInput, Problem
from sdovis.learning.plan import first_folder
from sdovis.learning.record import TrainingRecord
from sdovis.statistics.describe import over_seeds
from sdovis.study import Study


def studies(study: Study) -> list[Study]:
    """One study for each seed."""
    method = study.method.model_copy(update={"seeds": 1, "average": False})
    seeds = range(study.study.seed, study.study.seed + study.method.seeds)
    return [
        study.model_copy(update={"study": study.study.model_copy(update={"seed": seed}), "method": method})
        for seed in seeds
    ]


def chosen(records: Sequence[TrainingRecord], keep_by: str) -> TrainingRecord:
    """The record with the best validation score, the first of equals. Raises `BadInput` if none has a score."""
    sign = -1 if keep_by == "loss" else 1
    scored = [r for r in records if (score := _score(r, keep_by)) is not None and math.isfinite(score)]
    if not scored:
        raise BadInput(
            Problem("method.seeds: no training was evaluated at the step it kept", "evaluate with each save")
        )
    return max(scored, key=lambda record: sign * (_score(record, keep_by) or 0.0))


def spread(records: Sequence[TrainingRecord], keep_by: str) -> dict[str, Any]:
    """Validation scores of each seed at its kept step, with mean, standard deviation and range, and the chosen seed."""
    of_each = {str(record.seed): at_kept(record) for record in records}
    kept = {"chosen": chosen(records, keep_by).seed, "chosen_by": keep_by}
    return {**kept, "validation": of_each, "over_seeds": over_seeds(of_each)}


def at_kept(record: TrainingRecord) -> dict[str, float]:
    """The validation scores of a record at the step that was kept."""
    entries = [e for e in record.curves if e.get("step") == record.kept_step and any(k.startswith("eval_") for k in e)]
    return {k.removeprefix("eval_"): v for e in entries[-1:] for k, v in e.items() if k.startswith("eval_")}


def promote(
    record: TrainingRecord,
    seeds: Mapping[str, Any],
    origin: Path,
    training: Path,
    model: Path,
    made_from: Mapping[str, str],
) -> TrainingRecord:
    """Copy the chosen seed's training and model (of the run folder ``origin``) to where a single one would be."""
    with manifests.whole(model, stage="train", made_from=made_from) as beside:
        shutil.copytree(origin / "model", beside, ignore=shutil.ignore_patterns(manifests.NAME), dirs_exist_ok=True)
    if (first := first_folder(origin / "model")).is_dir():
        with manifests.whole(first_folder(model), stage="train", made_from=made_from) as beside:
            shutil.copytree(first, beside, ignore=shutil.ignore_patterns(manifests.NAME), dirs_exist_ok=True)
    copy_pictures(origin / "training", training)
    whole = replace(record, made_from=dict(made_from), seeds=dict(seeds))
    whole.save(training)
    return TrainingRecord.load(training)


def copy_pictures(origin: Path, training: Path) -> None:
    """Copy curves, batch and step times of one training to another folder."""
    training.mkdir(parents=True, exist_ok=True)
    for file in (path for path in origin.iterdir() if path.suffix in (".png", ".csv")):
        shutil.copyfile(file, training / file.name)


def _score(record: TrainingRecord, keep_by: str) -> float | None:
    return at_kept(record).get(keep_by)
