"""What is said of every region by a network that did not see it: ``method.calibration_folds``.

The validation part may hold a dozen regions, too few to tell how sure a network may be. So the regions of the training and
validation parts are dealt into folds, and for each fold a network is trained on the others, in the way of the model: from
the same backbone and seed, to the same place in its schedule. Niculescu-Mizil and Caruana (2005), ICML, section 4, and
scikit-learn's CalibratedClassifierCV calibrate so. These networks learn from fewer images than the model, and so know less.

runs/NAME/training/folds/K.npy    the logits of fold K's images; a network and what it left are deleted once these are there
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdovis import disk
from sdovis.errors import BadInput, Problem
from sdovis.learning import refit
from sdovis.learning.plan import FOLDS, Chosen, TrainingPlan
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus


def dealt(corpus: Corpus, folds: int, seed: int) -> Iterator[tuple[NDArray[np.int64], Corpus]]:
    """For each fold: its rows, and the corpus with these as its validation part and the others' to train on.

    Regions are dealt, in like shares of the classes, from the training and validation parts; the test part stays as it is.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    known = np.flatnonzero(corpus.rows["split"] != "test")
    rows = corpus.rows.iloc[known]
    for _, held in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(
        known, rows["label"], rows["group"]
    ):
        split = np.where(corpus.rows["split"] == "test", "test", "train").astype(object)
        split[known[held]] = "validation"
        yield known[held], replace(corpus, rows=corpus.rows.assign(split=split))


def check(plan: TrainingPlan) -> None:
    """Raise `BadInput` if the parts have fewer regions, of all or of one class, than the study wants folds."""
    rows = plan.corpus.rows[plan.corpus.rows["split"] != "test"]
    folds = plan.study.method.calibration_folds
    regions = rows.groupby("label")["group"].nunique().rename(index=dict(enumerate(plan.corpus.classes)))
    if folds and (few := regions[regions < folds].to_dict()):
        told = ", ".join(f"{count} of {name}" for name, count in few.items())
        what = f"method.calibration_folds: {folds} folds need as many regions of each class, and there are {told}"
        raise BadInput(Problem(what, "set method.calibration_folds = 0"))


def held_back(
    plan: TrainingPlan, chosen: Chosen, run: Callable[[TrainingPlan], Any], on_main: Callable[[Callable[[], Any]], Any]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the training and validation parts, and the logits (N, K) of those networks that did not see them.

    ``run`` trains a plan, in all processes; ``on_main`` does something in one. What an earlier, interrupted call has found
    in ``plan.folder`` is taken.
    """
    where, said = [], []
    for number, (rows, corpus) in enumerate(
        dealt(plan.corpus, plan.study.method.calibration_folds, plan.study.study.seed)
    ):
        kept, place = plan.folder / FOLDS / f"{number}.npy", plan.folder / FOLDS / str(number)
        if not on_main(kept.is_file):
            fold = replace(
                plan,
                study=_study_of(plan, len(corpus.part("train"))),
                corpus=corpus,
                place=place,
                shared=None,
                chosen=chosen,
            )
            on_main(partial(_share_measures, plan, fold))
            run(fold)
            on_main(partial(_keep, fold, kept))
        on_main(partial(disk.remove, place))
        where.append(rows)
        said.append(np.load(kept))
    return np.concatenate(where), np.concatenate(said)


def _study_of(plan: TrainingPlan, images: int) -> Study:
    """The study of a network that judges one fold, after so many images to learn from."""
    study = refit.study_of(plan, images)
    once = {"refit": "none", "calibrate": False, "calibration_folds": 0, "calibration": "temperature"}
    return study.model_copy(update={"method": study.method.model_copy(update=once)})


def _share_measures(plan: TrainingPlan, fold: TrainingPlan) -> None:
    """Of all rows, so they are the same whichever rows are learned from; pictures and features are not."""
    if (plan.cache / "measures").is_dir() and not (fold.cache / "measures").exists():
        shutil.copytree(plan.cache / "measures", fold.cache / "measures")


def _keep(fold: TrainingPlan, to: Path) -> None:
    """Save what the fold's network says of the images that it did not see."""
    from sdovis.learning import backbones, cache, description
    from sdovis.learning.arguments import training_arguments
    from sdovis.learning.seen import seen

    arguments = training_arguments(fold.study, fold.folder / "checkpoints")
    processor = backbones.load_processor(fold.model_folder)
    told = seen(
        backbones.reload(fold.model_folder), cache.codes(fold.cache, fold.corpus, "validation", processor, progress=False),
        processor, batch_size=arguments.per_device_eval_batch_size, device=arguments.device,
        table=description.table_of(fold.study, fold.corpus, "validation"),
    )  # fmt: skip
    part = to.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, told.logits)
    disk.move(part, to)
