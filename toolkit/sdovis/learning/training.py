"""The training stage: from a corpus to a saved network that is, tensor for tensor, the one that was trained."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdovis import allocation, disk, manifests, records
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.learning import arithmetic, checkpoints, description, familiarity, folds, loader, methods, refit
from sdovis.learning.clock import Clock
from sdovis.learning.familiarity import Familiarity
from sdovis.learning.losses import Loss
from sdovis.learning.plan import FOLDS, REFIT, Chosen, TrainingPlan
from sdovis.learning.record import Session, TrainingRecord, finished, record_of, weights_sha256
from sdovis.study import Study
from sdovis.version import __version__

if TYPE_CHECKING:
    from sdovis.learning.calibration import Scaling
    from sdovis.learning.seen import Seen

T = TypeVar("T")
log = logging.getLogger(__name__)


def run(plan: TrainingPlan, *, restart: bool = False) -> TrainingRecord:
    """Fine-tune the study's backbone on the corpus' training part and save the network to ``plan.model_folder``.

    The same call after an interruption continues from the newest whole checkpoint in ``plan.folder`` and, on a CPU, ends
    with the same weights bit for bit; a finished training is not repeated. If there are several processes, all must call
    it, and all get the same record.

    If the study says so (``method.refit``), a second training follows, on the validation part as well: see `refit`. With
    ``method.calibration_folds``, networks that calibrate it are trained in between: see `folds`.

    Raises `BadInput` for a study that cannot be trained, and `Conflict` if the disk is full, or if an unfinished
    training was started from something else (another ``made_from``, sdovis version or number of processes) and
    ``restart`` is false.
    """
    if not restart and (record := finished(plan.folder, plan.model_folder, plan.made_from)) is not None:
        return record
    with plan.clock.part("imports"):
        from sdovis.learning.arguments import reported_to, sharding, tracked_in, training_arguments
    arguments = training_arguments(plan.study, plan.folder / "checkpoints")
    if sharding() == "DEEPSPEED" and arguments.process_index == 0:
        log.warning("DeepSpeed is untested: exact resume is verified for one process, DDP and FSDP 2")
    twice = refit.wanted(plan.study)
    if twice:  # what cannot work is refused now, and not when the first training is over
        training_arguments(refit.study_of(plan), plan.folder / "checkpoints")
    folds.check(plan)
    begun_from = _begun_from(plan, arguments)
    with checkpoints.told_if_full(plan.folder):
        start = on_main(lambda: checkpoints.resume_point(plan.folder, begun_from, restart=restart))
        if start is None:
            for left in (REFIT, FOLDS):
                on_main(functools.partial(disk.remove, plan.folder / left))
        with tracked_in(plan.folder / "logs", reported_to(plan.study)):
            session = _session(plan, arguments, start)
        if plan.study.method.calibration_folds:
            session = _judged(session)
        if not twice:
            return on_main(lambda: _finish(session, plan.model_folder))
        first = on_main(lambda: _finish(session, plan.first_folder))
        return _run_again(session, first, begun_from)


def _session(plan: TrainingPlan, arguments: Any, start: Path | None) -> Session:
    """Train from the checkpoint ``start``, or from the beginning, and note what it was computed on."""
    now = arithmetic.here(plan.study.precision, arguments.device)
    computed_on = on_main(lambda: arithmetic.noted(plan.folder, start, now))
    return dataclasses.replace(_train(plan, arguments, start), computed_on=computed_on)


def _judged(session: Session) -> Session:
    """With what networks that did not see a region say of it; none is trained if all were before."""
    began = time.monotonic()
    chosen = Chosen(session.kept_step, session.trainer.state.max_steps)
    found = folds.held_back(session.plan, chosen, run, on_main)
    return dataclasses.replace(session, held_back=found, seconds=session.seconds + time.monotonic() - began)


def _run_again(first: Session, chosen: TrainingRecord, begun_from: Mapping[str, str]) -> TrainingRecord:
    """The second training, on what the validation part chose in the ``first``, which ended with the record ``chosen``."""
    from sdovis.learning.arguments import training_arguments
    from sdovis.learning.calibration import Scaling

    plan = refit.plan_of(first.plan, chosen)
    arguments = training_arguments(plan.study, plan.folder / "checkpoints")
    begun = {**begun_from, "first training": f"{chosen.weights_sha256}, step {chosen.kept_step}"}
    start = on_main(lambda: checkpoints.resume_point(plan.folder, begun, restart=False))
    session = _session(plan, arguments, start)

    def finish() -> TrainingRecord:
        with plan.clock.part("saving"):
            model = session.task.export()
            if (scaling := Scaling.of(chosen.temperature, chosen.biases)) is not None:
                scaling.fold_into(model)
            familiar = refit.familiarity_of(first.plan)
            save_model(model, session.trainer.processor, familiar, plan.model_folder, plan.made_from)
        record = refit.recorded(chosen, session, weights_sha256(model))
        disk.sync(first.plan.folder)
        record.save(first.plan.folder)
        return record

    return on_main(finish)


#: Arguments that change no weight: an unfinished training continues even if they are changed.
FREE = {
    f"training.{name}"
    for name in (
        "disable_tqdm report_to run_name project log_level save_total_limit dataloader_num_workers "
        "dataloader_persistent_workers dataloader_pin_memory dataloader_prefetch_factor"
    ).split()
}


def _begun_from(plan: TrainingPlan, arguments: Any) -> dict[str, str]:
    """What must be unchanged for a training to continue, including what a refusal can say about the corpus."""
    from sdovis.learning.arguments import sharding

    begun = {name: value for name, value in plan.made_from.items() if name not in FREE}
    begun |= {f"corpus.{name}": value for name, value in plan.corpus.manifest.made_from.items()}
    for part in ("train", "validation"):
        labels = plan.corpus.part(part)["label"]
        begun[f"corpus.images of {part}"] = str(len(labels))
        begun[f"corpus.labels of {part}"] = manifests.sha256_text(",".join(map(str, labels)))
    begun |= {"sdovis": __version__, "processes": str(arguments.world_size)}
    return begun | ({"sharded by": shards} if (shards := sharding()) else {})


def _train(plan: TrainingPlan, arguments: Any, start: Path | None) -> Session:
    """Train from the checkpoint ``start``, or from the beginning; nothing is saved but checkpoints."""
    began = time.monotonic()
    _import_all(plan.clock)
    from sdovis.learning import backbones, losses

    study, clock = plan.study, plan.clock
    body = _body(plan, arguments)
    shown = loader.Input(loader.table(body.processor).to(arguments.device), plan.augmented_by, plan.signed)
    labels = body.learned_from.labels
    loss = losses.loss_of(study.method, labels, len(plan.corpus.classes), arguments.label_smoothing_factor)
    if study.method.trainable == "head-then-all" and start is None:
        with clock.part("head"):
            _probe(study, body, loss, plan.folder / "probe")
    with clock.part("features" if study.method.trainable == "head" else "model"):
        task = methods.task(study, body, shown, on_main)
        backbones.attend_fast(body.model, study.images.size_px, study.precision, arguments.device.type)
    watchers = _watchers(plan, arguments, loss)
    # We enforce the limit: the Trainer would delete older checkpoints before the new one is whole.
    limit, arguments.save_total_limit = arguments.save_total_limit, None
    trainer = _trainer(
        study,
        task,
        body.processor,
        arguments,
        loss,
        checkpoint_limit=limit,
        layer_decay=study.method.layer_decay,
        compiled=study.method.compile,
        watchers=watchers,
        clock=clock,
    )
    speed = _fit(trainer, start, watchers, clock)
    kept = trainer.keep(study.method.keep)
    _same_in_all_processes(trainer)
    seconds = time.monotonic() - began
    return Session(
        plan,
        start,
        trainer,
        task,
        body.learned_from,
        body.validation,
        shown,
        loss,
        task.trainable,
        kept,
        speed,
        seconds,
    )


def _import_all(clock: Clock) -> None:
    """Import what a training needs, of which the trainer's own imports take longest, and count the time as imports."""
    with clock.part("imports"):
        from sdovis.learning import backbones, cache, loader, losses, monitoring, stopping, streaming, trainer  # noqa: F401

    allocation.imported()
    allocation.keep_freed()


def _body(plan: TrainingPlan, arguments: Any) -> methods.Body:
    """The network to be trained, and the images to show it."""
    from sdovis.learning import backbones, features, fusion

    with plan.clock.part("model"):
        model, processor = backbones.build(plan.study, plan.corpus.classes, plan.about)
        if told := description.told_of(plan.study, plan.corpus):
            features.classifier(model)  # a network without one is refused
            model = fusion.fused(model, sum(each.width for each in told))
            model.config.sdovis = {**plan.about, description.TOLD: records.plain(told)}
    with plan.clock.part("data"):
        shown = functools.partial(_pictures, plan, processor, progress=not arguments.disable_tqdm)
        learned = shown(*plan.learned_from, names=plan.augmented_by, soft=on_main(lambda: _soft_labels(plan)))
        validation = shown("validation")
        training, joined = (shown("train"), learned) if len(plan.learned_from) > 1 else (learned, None)
    return methods.Body(
        model, processor, training, validation, plan.cache / "features", plan.study.precision,
        arguments.per_device_eval_batch_size, arguments.device, joined,
    )  # fmt: skip


def _pictures(
    plan: TrainingPlan, processor: Any, *parts: str, progress: bool, names: tuple[str, ...] = (), soft: Any = None
) -> loader.Pictures:
    """The images of some parts, one after the other. Raises `BadInput` if a part has none."""
    from sdovis.learning import cache, streaming

    labels = [plan.corpus.part(part)["label"] for part in parts]
    if missing := [part for part, of in zip(parts, labels, strict=True) if not len(of)]:
        what = f"the corpus has no {' and no '.join(missing)} images"
        raise BadInput(Problem(what, "change the split", file=str(plan.corpus.folder)))
    if plan.study.method.streaming:
        codes: Any = streaming.Decoded(plan.corpus, processor, *parts)
    else:
        each = [cache.codes(plan.cache, plan.corpus, part, processor, progress=progress) for part in parts]
        codes = each[0] if len(each) == 1 else loader.Joined(*each)
    table = description.table_of(plan.study, plan.corpus, *parts)
    return loader.Pictures(codes, itertools.chain(*labels), names, plan.study.study.seed, soft, table)


def _soft_labels(plan: TrainingPlan) -> NDArray[np.float32] | None:
    """Of the images that the network learns from, in their order; None if the study wants none."""
    if not (share := plan.study.method.soft_labels):
        return None
    from sdovis.channels.channel import channel
    from sdovis.corpus import measures
    from sdovis.learning.soft_labels import soft_labels

    corpus, kinds = plan.corpus, [channel(name) for name in plan.study.images.channels]
    tables = measures.tables_once(corpus, kinds, plan.cache / "measures")
    which = np.concatenate([np.flatnonzero(corpus.rows["split"] == part) for part in plan.learned_from])
    known = {name: table[which] for name, table in tables.items()}
    return soft_labels(corpus.rows.iloc[which], known, len(corpus.classes), share)


def _watchers(plan: TrainingPlan, arguments: Any, loss: Loss) -> list[Any]:
    """What watches a training: what may end it first, if anything; then progress, the clock, the curves."""
    from sdovis.learning import monitoring, stopping

    method = plan.study.method
    watchers: list[Any] = [stopping.Patience(method.patience, method.keep_by)] if method.patience else []
    if plan.chosen is not None:
        watchers.append(stopping.Until(plan.chosen))
    if not arguments.disable_tqdm:
        images = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
        watchers.append(monitoring.ProgressLine(loss, images))
    return [*watchers, monitoring.FirstStep(plan.clock), monitoring.Curves(plan.folder, method.keep_by)]


def _fit(trainer: Any, start: Path | None, watchers: Sequence[Any], clock: Clock) -> float:
    """Train to the end, or resume a training that ended at ``start``; returns images per second, 0 without any step."""
    from sdovis.learning import stopping

    enders = (watcher for watcher in watchers if isinstance(watcher, stopping.Patience | stopping.Until))
    if start is not None and (checkpoints.ended(start) or any(watcher.stopped(start) for watcher in enders)):
        trainer.rest_at(start)
        return 0.0
    with clock.part("first step"):
        summary = trainer.train(resume_from_checkpoint=str(start) if start else None).metrics
    if not trainer.state.global_step:
        raise BadInput(Problem("the training made no step", "raise training.num_train_epochs or training.max_steps"))
    return float(summary["train_samples_per_second"])


def _finish(session: Session, model_folder: Path) -> TrainingRecord:
    """Save the network to ``model_folder``, the figures and, if nothing is to follow, the record, which is returned."""
    plan = session.plan
    with plan.clock.part("familiarity"):
        from sdovis.learning import known
        from sdovis.learning.seen import seen

        model, arguments = session.task.export(), session.trainer.args
        # Accelerate's own, which computes in half precision where the study does: not what a saved network answers.
        vars(model).pop("forward", None)
        where = {"batch_size": arguments.per_device_eval_batch_size, "device": arguments.device}
        held = session.validation
        validation = seen(model, held.codes, session.trainer.processor, table=held.table, **where)
        session = dataclasses.replace(session, scaling=_calibrated(session, model, validation))
        codes = {"train": session.pictures.codes, "validation": session.validation.codes}
        familiar = known.familiarity(
            model, session.trainer.processor, plan.corpus, codes, validation, held=session.task.training,
            seed=plan.study.study.seed, **where,
        )  # fmt: skip
    with plan.clock.part("saving"):
        save_model(model, session.trainer.processor, familiar, model_folder, plan.made_from)
    with plan.clock.part("figures"):
        session.draw()
    record = record_of(session, model)
    if model_folder == plan.model_folder:
        disk.sync(plan.folder)  # the figures too, and the time of every step
        record.save(plan.folder)
    return record


def _calibrated(session: Session, model: Any, validation: Seen) -> Scaling | None:
    """What the model's logits were changed by; None if they were not."""
    from sdovis.learning import calibration

    plan = session.plan
    if not plan.study.method.calibrate:
        return None
    rows, logits = plan.corpus.part("validation"), validation.logits
    if session.held_back is not None:
        which, logits = session.held_back
        rows = plan.corpus.rows.iloc[which]
    return calibration.calibrate(
        model, plan.study.method, session.pictures.labels, logits, rows["label"], rows["group"]
    )  # fmt: skip


def _trainer(study: Study, task: methods.Task, processor: Any, arguments: Any, loss: Any, **others: Any) -> Any:
    """The Trainer of a task; ``others`` as `ExactTrainer` has them."""
    from sdovis.learning import trainer

    return trainer.ExactTrainer(
        model=task.network,
        processor=processor,
        args=arguments,
        training=task.training,
        validation=task.validation,
        shown=task.prepare,
        collator=task.collator,
        loss=loss,
        sampler=_sampler(study, task.training, arguments),
        **others,
    )


def _sampler(study: Study, examples: Any, arguments: Any) -> Any:
    """What decides which images an epoch shows, and in which order; None for each once, shuffled."""
    from sdovis.learning import sampling, streaming

    if study.method.sampling == "balanced":
        return sampling.BalancedSampler(examples, study.study.seed)
    codes = getattr(examples, "codes", None)
    if isinstance(codes, streaming.Decoded):
        each = {"batch": arguments.train_batch_size, "processes": arguments.world_size}
        return streaming.WindowSampler(codes.rows, examples, seed=study.study.seed, **each)
    return None


def _probe(study: Study, body: methods.Body, loss: Any, folder: Path) -> None:
    """Train the classifier alone on the features of the unchanged body, and leave it in the network."""
    from sdovis.learning.arguments import training_arguments

    probe = methods.probe_of(study)
    task = methods.task(probe, body, None, on_main)
    arguments = training_arguments(probe, folder / "checkpoints")
    arguments.disable_tqdm = True
    _trainer(study, task, body.processor, arguments, loss, checkpoint_limit=None).train()
    task.export()


def save_model(
    model: Any, processor: Any, familiar: Familiarity | None, model_folder: Path, made_from: Mapping[str, str]
) -> None:
    """Write a model folder, whole. Raises `SdovisError` if what is read back is another network."""
    from sdovis.learning import backbones

    with manifests.whole(model_folder, stage="train", made_from=made_from) as beside:
        about = {name: said for name, said in model.config.sdovis.items() if name != familiarity.KEY}
        model.config.sdovis = about | ({familiarity.KEY: familiar.save(beside)} if familiar else {})
        with backbones.quiet():
            model.save_pretrained(beside)
            processor.save_pretrained(beside)
        for file in beside.iterdir():
            file.chmod(0o644)  # safetensors writes files that only their owner can read
        if weights_sha256(backbones.reload(beside)) != weights_sha256(model):
            raise SdovisError("the saved network differs from the trained one")


def on_main(work: Callable[[], T]) -> T:
    """Do ``work`` in the main process alone; every process gets its result or its error."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    # If nothing has been trained yet, each process on a CPU would otherwise take itself for the only one.
    state = PartialState(cpu=not torch.accelerator.is_available())
    if state.num_processes > 1:
        _leave_the_group_at_exit()
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


@functools.cache
def _leave_the_group_at_exit() -> None:
    """Let this process leave Gloo's group while Python still runs.

    Gloo's threads release tensors, for which they need the interpreter; when it was gone, about one launch in twelve
    ended with SIGABRT after all was done. Gloo does not wait for the others; NCCL's group may wait for one that failed.
    """
    import torch

    def leave() -> None:
        if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
            torch.distributed.destroy_process_group()

    atexit.register(leave)


def _same_in_all_processes(trainer: Any) -> None:
    """Raise `SdovisError` if the processes end with different parameters."""
    from accelerate.utils import gather_object

    trained = hashlib.sha256()
    for parameter in trainer.network.parameters():
        trained.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    if len(set(gather_object([trained.hexdigest()]))) > 1:
        raise SdovisError("the processes ended with different weights")
