"""What is known about a training once it is over: ``training.json``."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sdovis import formats, manifests
from sdovis.errors import BadInput, Problem
from sdovis.learning import arithmetic, checkpoints, loader, methods
from sdovis.learning.losses import Loss
from sdovis.learning.plan import TrainingPlan
from sdovis.version import __version__

if TYPE_CHECKING:
    from sdovis.learning.calibration import Scaling

#: Arguments that shape the result, recorded whether the study sets them or not.
RECORDED = (
    "per_device_train_batch_size gradient_accumulation_steps num_train_epochs max_steps learning_rate weight_decay "
    "lr_scheduler_type warmup_steps optim max_grad_norm label_smoothing_factor"
).split()
#: Of ``training.json``.
STEPS: tuple[formats.Step, ...] = ()


@dataclass(frozen=True)
class TrainingRecord:
    """What was trained, on what, how, and how it went: ``training.json``.

    ``curves`` are the Trainer's log entries without its timings. If the training was interrupted, ``seconds``,
    ``images_per_second`` and ``timings`` (seconds in each section) cover only the last session, which began after step
    ``resumed_from``. ``data`` is the corpus' manifest, path -> sha256. ``steps`` is less than ``planned_steps`` if
    patience ended. ``seeds`` is filled if several seeds were trained: see `seeds`. ``temperature`` divided the logits
    after the training; None if nothing did. ``biases`` were then added to those of each class, if there are any.
    ``sessions`` says what its steps were computed on: more than one if that changed
    (`arithmetic.Stretch`). ``packages`` has the version of each distribution that sdovis needs, directly or not.
    ``refit`` is filled if the model was trained again, on the validation part as well: see `refit`; everything but
    ``weights_sha256``, ``seconds`` and ``timings`` is then of the first training.
    """

    study: str
    made_from: Mapping[str, str]
    corpus: str
    images: Mapping[str, int]
    seed: int
    precision: str
    processes: int
    augmentations: Sequence[str]
    class_weights: Mapping[str, float]
    arguments: Mapping[str, Any]
    parameters: int
    trainable_parameters: int
    steps: int
    epochs: float
    kept_step: int
    kept_by: str
    kept_score: float | None
    resumed_from: int | None
    seconds: float
    images_per_second: float
    weights_sha256: str
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    curves: Sequence[Mapping[str, Any]]
    method: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    planned_steps: int | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    seeds: Mapping[str, Any] = field(default_factory=dict)
    temperature: float | None = None
    sessions: Sequence[Mapping[str, Any]] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    refit: Mapping[str, Any] = field(default_factory=dict)
    biases: Mapping[str, float] = field(default_factory=dict)

    @property
    def never_above_chance(self) -> bool:
        """Whether no evaluation had a balanced accuracy above that of guessing, 1 / K."""
        found = [entry["eval_balanced_accuracy"] for entry in self.curves if "eval_balanced_accuracy" in entry]
        return bool(found) and max(found) <= 1 / len(self.class_weights) + 1e-9

    def save(self, folder: Path) -> None:
        """Write ``training.json``, whole or not at all."""
        told = {formats.KEY: formats.newest(STEPS), **_finite(asdict(self))}
        checkpoints.write_json(folder / checkpoints.FINISHED, told)

    @classmethod
    def load(cls, folder: Path) -> TrainingRecord:
        """Read it back. Raises `BadInput` if it is absent, damaged, or of a format newer than this sdovis."""
        file = folder / checkpoints.FINISHED
        try:
            told = formats.brought_up(json.loads(file.read_text(encoding="utf-8")), STEPS, file=str(file))
            return cls(**{name: value for name, value in told.items() if name != formats.KEY})
        except FileNotFoundError:
            raise BadInput(Problem("does not exist yet", "run sdovis train first", file=str(file))) from None
        except (ValueError, TypeError, AttributeError) as error:
            raise BadInput(Problem(f"is damaged: {error}", "run sdovis train again", file=str(file))) from error


@dataclass(frozen=True)
class Session:
    """What one call of `training.run` leaves in memory; it continued from the checkpoint ``start``, if there was one.

    ``held_back`` has rows of the corpus and what networks that did not see their regions say of them: see `folds`.
    """

    plan: TrainingPlan
    start: Path | None
    trainer: Any
    task: methods.Task
    pictures: loader.Pictures
    validation: loader.Pictures
    shown: loader.Input
    loss: Loss
    trainable: int
    kept_step: int
    images_per_second: float
    seconds: float
    scaling: Scaling | None = None
    held_back: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None
    computed_on: Sequence[arithmetic.Stretch] = ()

    def draw(self) -> None:
        """Draw the learning curves and a batch into the plan's folder."""
        from sdovis.learning import monitoring

        folder, keep_by = self.plan.folder, self.plan.study.method.keep_by
        monitoring.draw_curves(folder, self.trainer.state.log_history, keep_by, self.kept_step)
        monitoring.draw_batch(folder, self.pictures, self.shown, self.plan.corpus.classes)


def finished(folder: Path, model_folder: Path, made_from: Mapping[str, str]) -> TrainingRecord | None:
    """The record of a training from ``made_from`` that is over and whose model is undamaged; None if there is none."""
    if not (folder / checkpoints.FINISHED).is_file() or not manifests.finished(model_folder, made_from):
        return None
    record = TrainingRecord.load(folder)
    # A model may be newer than its record, if that was not written any more.
    return record if record.made_from == made_from else None


def record_of(session: Session, model: Any) -> TrainingRecord:
    """The record of a session that ended with ``model``."""
    plan, study, corpus = session.plan, session.plan.study, session.plan.corpus
    trainer, arguments = session.trainer, session.trainer.args
    recorded = dict.fromkeys([*RECORDED, *sorted(study.training)])
    curves = curves_of(trainer)
    key = f"eval_{study.method.keep_by}"
    at_kept = [entry[key] for entry in curves if key in entry and entry["step"] == session.kept_step]
    return TrainingRecord(
        study=study.name,
        made_from=dict(plan.made_from),
        corpus=corpus.manifest.digest,
        images={part: len(corpus.part(part)) for part in ("train", "validation")},
        seed=study.study.seed,
        precision=study.precision,
        processes=arguments.world_size,
        augmentations=list(plan.augmented_by),
        class_weights=dict(zip(corpus.classes, session.loss.weights.tolist(), strict=True)),
        arguments={name: arguments.to_dict()[name] for name in recorded},
        parameters=sum(p.numel() for p in model.parameters()),
        trainable_parameters=session.trainable,
        steps=trainer.state.global_step,
        epochs=trainer.state.epoch,
        kept_step=session.kept_step,
        kept_by=study.method.keep_by if study.method.keep == "best" else "last",
        kept_score=at_kept[-1] if at_kept else None,
        resumed_from=checkpoints.step(session.start) if session.start else None,
        seconds=round(session.seconds, 3),
        images_per_second=session.images_per_second,
        weights_sha256=weights_sha256(model),
        hardware=_hardware(arguments),
        versions={
            name: version(name)
            for name in (*arithmetic.PACKAGES, *(["peft"] if study.method.trainable == "lora" else []))
        }
        | {"python": platform.python_version(), "sdovis": __version__},
        curves=curves,
        method=study.method.model_dump(mode="json"),
        data=dict(corpus.manifest.files),
        planned_steps=trainer.state.max_steps,
        timings=plan.clock.table(),
        temperature=session.scaling.temperature if session.scaling else None,
        biases=dict(zip(corpus.classes, session.scaling.biases, strict=False)) if session.scaling else {},
        sessions=stretches(session),
        packages=packages(),
    )


def stretches(session: Session, *, again: bool = False) -> list[dict[str, Any]]:
    """What the session's steps were computed on, as the record has it."""
    made = session.trainer.state.global_step
    return [asdict(replace(each, again=again)) for each in session.computed_on if each.after_step < made]


def packages() -> dict[str, str]:
    """Name -> version of sdovis and of all that it needs, directly or not, as far as it is installed."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("sdovis", "")]
    while waiting:
        if (asked := waiting.pop()) in seen:
            continue
        seen.add(asked)
        name, extra = asked
        with suppress(PackageNotFoundError):  # of another platform
            known = distribution(name)
            found[canonicalize_name(name)] = known.version
            for need in map(Requirement, known.requires or ()):
                if need.marker is None or need.marker.evaluate({"extra": extra}):
                    waiting += [(need.name, each) for each in ("", *sorted(need.extras))]
    return dict(sorted(found.items()))


def weights_sha256(model: Any) -> str:
    """sha256 over the names and bytes of every tensor: equal if and only if the networks are."""
    import torch

    tensors = ((name, t.detach().cpu().contiguous()) for name, t in sorted(model.state_dict().items()))
    parts = [name.encode() + t.reshape(-1).view(torch.uint8).numpy().tobytes() for name, t in tensors]
    return manifests.sha256_text("".join(hashlib.sha256(part).hexdigest() for part in parts))


def _hardware(arguments: Any) -> dict[str, Any]:
    import psutil  # type: ignore[import-untyped]
    import torch

    device = torch.cuda.get_device_name() if arguments.device.type == "cuda" else arguments.device.type
    cpu = {"machine": platform.machine(), "processor": arithmetic.processor_name(), "cores": os.cpu_count()}
    memory = {"memory_gib": round(psutil.virtual_memory().total / 2**30, 1)}
    return {"device": device, **cpu, "threads": torch.get_num_threads(), **memory}


def curves_of(trainer: Any) -> list[dict[str, Any]]:
    """The Trainer's log without its timings."""
    return [_without_timings(entry) for entry in trainer.state.log_history if "train_runtime" not in entry]


def _without_timings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A log entry as any run of the same training would have it."""
    return {key: value for key, value in entry.items() if not key.endswith(("_runtime", "_per_second"))}


def _finite(value: Any) -> Any:
    """Replace nan and infinity, which JSON lacks, by null."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
