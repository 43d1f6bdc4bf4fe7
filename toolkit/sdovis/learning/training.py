"""The stage that trains: a corpus in, a network out that is, tensor for tensor, the one that was trained."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdovis import __version__, manifests
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.learning import augment, checkpoints
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus

T = TypeVar("T")

#: Arguments that shape the result, recorded whether the study sets them or not.
RECORDED = (
    "per_device_train_batch_size gradient_accumulation_steps num_train_epochs max_steps learning_rate weight_decay "
    "lr_scheduler_type warmup_steps optim max_grad_norm label_smoothing_factor"
).split()


@dataclass(frozen=True)
class TrainingRecord:
    """What was trained, on what, how, and how it went: ``training.json``.

    ``curves`` are the Trainer's log entries without its timings; ``seconds`` and ``images_per_second`` are of the last
    session alone when the training was interrupted, which then began after step ``resumed_from``.
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

    def save(self, folder: Path) -> None:
        """Write ``training.json``, whole or not at all."""
        checkpoints.write_json(folder / checkpoints.FINISHED, _finite(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> TrainingRecord:
        """Read it back. Raises `BadInput` where it is absent or damaged."""
        file = folder / checkpoints.FINISHED
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise BadInput(Problem("is not there yet", "run sdovis train first", file=str(file))) from None
        except (ValueError, TypeError) as error:
            raise BadInput(Problem(f"is damaged: {error}", "run sdovis train", file=str(file))) from error


def train(
    study: Study,
    corpus: Corpus,
    *,
    folder: Path,
    model_folder: Path,
    augmentations: frozenset[str],
    signed: Sequence[bool],
    about: Mapping[str, object],
    made_from: Mapping[str, str],
    restart: bool = False,
) -> TrainingRecord:
    """Fine-tune the study's backbone on the corpus' training part and save the network to ``model_folder``.

    The same call after an interruption goes on from the newest whole checkpoint in ``folder`` and ends, on a CPU, with
    the same weights bit for bit; a finished one is not repeated. ``augmentations`` are those to apply,
    ``signed`` says which channels code 0 as 128. In several processes, all must call it; all get the same record.

    Raises `BadInput` for a study that cannot be trained and `Conflict` where an unfinished training was begun from
    something else (other ``made_from``, sdovis version or number of processes) and ``restart`` is false.
    """
    from sdovis.learning.arguments import reported_to, tracked_in, training_arguments

    if not restart and manifests.finished(model_folder, made_from) and (folder / checkpoints.FINISHED).is_file():
        return TrainingRecord.load(folder)
    names = augment.ordered(augmentations)
    arguments = training_arguments(study, folder / "checkpoints")
    begun_from = {**made_from, "sdovis": __version__, "processes": str(arguments.world_size)}
    start = _on_main(lambda: checkpoints.resume_point(folder, begun_from, restart=restart))
    with tracked_in(folder / "logs", reported_to(study)):
        session = _train(study, corpus, arguments, names, signed, about, start)

    def finish() -> TrainingRecord:
        _save_model(session, model_folder, made_from)
        record = _record(study, corpus, session, names, made_from, start)
        record.save(folder)
        return record

    return _on_main(finish)


@dataclass(frozen=True)
class _Session:
    """What one call of `train` leaves in memory."""

    trainer: Any
    weights: NDArray[np.float64]
    kept_step: int
    summary: Mapping[str, float]
    seconds: float


def _train(
    study: Study,
    corpus: Corpus,
    arguments: Any,
    names: tuple[str, ...],
    signed: Sequence[bool],
    about: Mapping[str, object],
    start: Path | None,
) -> _Session:
    import torch

    from sdovis.learning import backbones, loader, trainer

    began = time.monotonic()
    model, processor = backbones.build(study, corpus.classes, about)
    if study.method.trainable == "head":
        trainer.freeze_body(model)
    parts = {}
    for part in ("train", "validation"):
        rows = corpus.part(part)
        if not len(rows):
            raise BadInput(Problem(f"the corpus has no {part} images", "change the split", file=str(corpus.folder)))
        codes = loader.decode(corpus.pictures_of(part), processor)
        drawn = names if part == "train" else ()
        parts[part] = loader.Pictures(codes, rows["label"], drawn, study.study.seed, signed)
    weights = class_weights(parts["train"].labels, len(corpus.classes), study.method.class_weights)
    # The limit is ours to keep: the Trainer would delete older checkpoints before the new one is whole.
    limit, arguments.save_total_limit = arguments.save_total_limit, None
    exact = trainer.ExactTrainer(
        model=model,
        processor=processor,
        args=arguments,
        training=parts["train"],
        validation=parts["validation"],
        collator=loader.Collator(loader.table(processor)),
        loss=trainer.weighted_loss(torch.tensor(weights, dtype=torch.float32), arguments.label_smoothing_factor),
        checkpoint_limit=limit,
    )
    summary = exact.train(resume_from_checkpoint=str(start) if start else None).metrics
    kept = exact.keep(study.method.keep)
    _same_in_all_processes(exact)
    return _Session(exact, weights, kept, summary, time.monotonic() - began)


def class_weights(labels: Sequence[int], n_classes: int, how: str) -> NDArray[np.float64]:
    """Weight of each class in the loss: ``balanced`` is n / (k n_c), and 0 for a class that does not occur."""
    if how == "none":
        return np.ones(n_classes)
    counts = np.bincount(labels, minlength=n_classes)
    return np.divide(len(labels), n_classes * counts, out=np.zeros(n_classes), where=counts > 0)


def weights_sha256(model: Any) -> str:
    """sha256 over the names and the bytes of every tensor: equal exactly where the networks are."""
    import torch

    tensors = ((name, t.detach().cpu().contiguous()) for name, t in sorted(model.state_dict().items()))
    parts = [name.encode() + t.reshape(-1).view(torch.uint8).numpy().tobytes() for name, t in tensors]
    return manifests.sha256_text("".join(hashlib.sha256(part).hexdigest() for part in parts))


def _save_model(session: _Session, model_folder: Path, made_from: Mapping[str, str]) -> None:
    from sdovis.learning import backbones

    model = session.trainer.network
    with manifests.whole(model_folder, stage="train", made_from=made_from) as beside:
        with backbones.quiet():
            model.save_pretrained(beside)
            session.trainer.processor.save_pretrained(beside)
        for file in beside.iterdir():
            file.chmod(0o644)  # safetensors lets nobody else read what it writes
        if weights_sha256(backbones.reload(beside)) != weights_sha256(model):
            raise SdovisError("the saved network differs from the trained one")


def _record(
    study: Study,
    corpus: Corpus,
    session: _Session,
    names: tuple[str, ...],
    made_from: Mapping[str, str],
    start: Path | None,
) -> TrainingRecord:
    trainer, arguments = session.trainer, session.trainer.args
    recorded = dict.fromkeys([*RECORDED, *sorted(study.training)])
    curves = [_without_timings(entry) for entry in trainer.state.log_history if "train_runtime" not in entry]
    key = f"eval_{study.method.keep_by}"
    at_kept = [entry[key] for entry in curves if key in entry and entry["step"] == session.kept_step]
    parameters = list(trainer.network.parameters())
    return TrainingRecord(
        study=study.name,
        made_from=dict(made_from),
        corpus=corpus.manifest.digest,
        images={part: len(corpus.part(part)) for part in ("train", "validation")},
        seed=study.study.seed,
        precision=study.precision,
        processes=arguments.world_size,
        augmentations=list(names),
        class_weights=dict(zip(corpus.classes, map(float, session.weights), strict=True)),
        arguments={name: arguments.to_dict()[name] for name in recorded},
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        steps=trainer.state.global_step,
        epochs=trainer.state.epoch,
        kept_step=session.kept_step,
        kept_by=study.method.keep_by if study.method.keep == "best" else "last",
        kept_score=at_kept[-1] if at_kept else None,
        resumed_from=checkpoints.step(start) if start else None,
        seconds=round(session.seconds, 3),
        images_per_second=session.summary["train_samples_per_second"],
        weights_sha256=weights_sha256(trainer.network),
        hardware=_hardware(arguments),
        versions={name: version(name) for name in ("torch", "transformers", "accelerate", "numpy", "pillow")}
        | {"python": platform.python_version(), "sdovis": __version__},
        curves=curves,
    )


def _hardware(arguments: Any) -> dict[str, Any]:
    import torch

    device = torch.cuda.get_device_name() if arguments.device.type == "cuda" else arguments.device.type
    cpu = {"machine": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    return {"device": device, **cpu}


def _without_timings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A log entry as any run of the same training would have it."""
    return {key: value for key, value in entry.items() if not key.endswith(("_runtime", "_per_second"))}


def _finite(value: Any) -> Any:
    """JSON has no nan and no infinity: both become null."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _on_main(work: Callable[[], T]) -> T:
    """``work`` done by the main process alone; every process gets its result, or its error."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    state = PartialState()
    box: list[Any] = [None, None]
    if state.is_main_process:
        try:
            box[0] = work()
        except Exception as error:
            box[1] = error
            if state.num_processes == 1:
                raise
    broadcast_object_list(box)
    if box[1] is not None:
        raise box[1]
    return box[0]  # type: ignore[no-any-return]


def _same_in_all_processes(trainer: Any) -> None:
    """Raise `SdovisError` where the processes end with different parameters."""
    from accelerate.utils import gather_object

    trained = hashlib.sha256()
    for parameter in trainer.network.parameters():
        trained.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    if len(set(gather_object([trained.hexdigest()]))) > 1:
        raise SdovisError("the processes ended with different weights")
