"""The choice is made on the validation part; then the network learns from that part too: ``method.refit``.

The first training chooses the step and the temperature by the validation part. The second begins again from the same
backbone and seed with both parts, and ends at the same place in its schedule: after as many passes through its images, at
the same learning rates, and so in more steps, in proportion to the images. Goodfellow, Bengio and Courville (2016), Deep
Learning, algorithm 7.2, where it is left open whether to repeat the number of steps or of passes; with the number of passes
each image is seen as often as in the training that was judged.

No image is new to the second network but those of the test part, so nothing can be chosen by it and no temperature
fitted: it takes that of the first, which was trained in the same way; with ``method.calibration_folds`` that was fitted on
all regions (see `folds`).

runs/NAME/training/checkpoints, curves.png    of the first training
runs/NAME/training/first                      its network, calibrated: the one whose validation scores mean something
runs/NAME/training/refit                      the second training
runs/NAME/model                               its network
"""

from __future__ import annotations

from dataclasses import replace

from sdovis.learning import backbones
from sdovis.learning.description import familiarity_of as familiarity_in
from sdovis.learning.familiarity import Familiarity
from sdovis.learning.plan import Chosen, TrainingPlan
from sdovis.learning.record import Session, TrainingRecord, curves_of, stretches
from sdovis.study import Study

#: There is nothing left to evaluate on.
_WITHOUT = frozenset("eval_strategy eval_steps eval_on_start eval_delay".split())


def wanted(study: Study) -> bool:
    """Whether a study asks for it."""
    return study.method.learns_from_validation


def study_of(plan: TrainingPlan, images: int | None = None) -> Study:
    """The study of the second training: nothing is evaluated, and all steps are made that `stopping.Until` lets it make.

    It learns from both parts of the ``plan``, or from so many ``images``.
    """
    study = plan.study
    training = {name: value for name, value in study.training.items() if name not in _WITHOUT}
    training |= {"eval_strategy": "no", "report_to": "none"}
    if training.get("save_strategy") == "best":
        training["save_strategy"] = "epoch"
    if "save_steps" in training and "save_strategy" not in training:
        training["save_strategy"] = "steps"
    if (steps := training.get("max_steps", -1)) > 0:
        rows = [len(plan.corpus.part(part)) for part in ("train", "validation")]
        training["max_steps"] = max(1, round(steps * (images or sum(rows)) / rows[0]))
    method = study.method.model_copy(update={"keep": "last", "patience": None})
    return study.model_copy(update={"training": training, "method": method})


def plan_of(plan: TrainingPlan, first: TrainingRecord) -> TrainingPlan:
    """The plan of the second training, after the ``first``."""
    chosen = Chosen(first.kept_step, first.planned_steps or first.steps)
    return replace(plan, study=study_of(plan), shared=plan.cache, chosen=chosen)


def familiarity_of(plan: TrainingPlan) -> Familiarity | None:
    """What the first network of the ``plan`` knows, if the second one has the same features.

    Where every weight or adapter was trained again, the validation part is no longer new to the network, so no limit can be
    set: then None.
    """
    if plan.study.method.trainable != "head":
        return None
    return familiarity_in(backbones.load_config(plan.first_folder), plan.first_folder)


def recorded(first: TrainingRecord, session: Session, weights: str) -> TrainingRecord:
    """The record of both trainings, the second of which is the ``session`` and ended with these ``weights``."""
    state, learned = session.trainer.state, session.pictures
    second = {
        "parts": list(session.plan.learned_from),
        "images": len(learned),
        "class_weights": dict(zip(session.plan.corpus.classes, session.loss.weights.tolist(), strict=True)),
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "epochs": state.epoch,
        "curves": curves_of(session.trainer),
    }
    seconds = round(first.seconds + session.seconds, 3)
    sessions = [*first.sessions, *stretches(session, again=True)]
    return replace(
        first,
        weights_sha256=weights,
        seconds=seconds,
        refit=second,
        timings=session.plan.clock.table(),
        sessions=sessions,
    )
