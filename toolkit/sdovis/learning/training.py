"""The stage that trains: a corpus in, a network out that is, tensor for tensor, the one that was trained."""

from __future__ import annotations

import atexit
import functools
import gc
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sdovis import allocation, manifests
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.learning import augment, checkpoints, methods
from sdovis.learning.clock import Clock
from sdovis.learning.record import Session, TrainingRecord, record_of, weights_sha256
from sdovis.study import Study
from sdovis.version import __version__

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus

T = TypeVar("T")
log = logging.getLogger(__name__)


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
    cache: Path | None = None,
    clock: Clock | None = None,
) -> TrainingRecord:
    """Fine-tune the study's backbone on the corpus' training part and save the network to ``model_folder``.

    The same call after an interruption goes on from the newest whole checkpoint in ``folder`` and ends, on a CPU, with
    the same weights bit for bit; a finished one is not repeated. ``augmentations`` are those to apply,
    ``signed`` says which channels code 0 as 128. Decoded pictures are kept in ``cache``, which trainings may share, or
    in ``folder``. ``clock`` is told where the time goes. In several processes, all must call it; all get the same record.

    Raises `BadInput` for a study that cannot be trained and `Conflict` where the disk is full, or an unfinished
    training was begun from something else (other ``made_from``, sdovis version or number of processes) and ``restart``
    is false.
    """
    if not restart and manifests.finished(model_folder, made_from) and (folder / checkpoints.FINISHED).is_file():
        return TrainingRecord.load(folder)
    clock = clock or Clock()
    with clock.part("imports"):
        from sdovis.learning.arguments import reported_to, sharding, tracked_in, training_arguments
    names = augment.ordered(augmentations if methods.augments(study) else ())
    arguments = training_arguments(study, folder / "checkpoints")
    begun_from = _begun_from(made_from, corpus, arguments.world_size)
    if shards := sharding():
        begun_from["sharded by"] = shards
        if shards == "DEEPSPEED" and arguments.process_index == 0:
            log.warning("DeepSpeed is untested: exact resume is proved for one process, DDP and FSDP 2")
    cache = cache or folder / "cache"

    def finish() -> TrainingRecord:
        with clock.part("saving"):
            model = session.task.export()
            _save_model(model, session.trainer.processor, model_folder, made_from)
        with clock.part("figures"):
            session.draw(folder, study, corpus.classes)
        record = record_of(study, corpus, session, model, names, made_from, start)
        record.save(folder)
        return record

    with checkpoints.told_if_full(folder):
        start = on_main(lambda: checkpoints.resume_point(folder, begun_from, restart=restart))
        with tracked_in(folder / "logs", reported_to(study)):
            session = _train(study, corpus, arguments, names, signed, about, start, cache, clock)
        return on_main(finish)


#: Arguments that change no weight: an unfinished training goes on where they are changed.
FREE = {
    f"training.{name}"
    for name in (
        "disable_tqdm report_to run_name project log_level save_total_limit dataloader_num_workers "
        "dataloader_persistent_workers dataloader_pin_memory dataloader_prefetch_factor"
    ).split()
}


def _begun_from(made_from: Mapping[str, str], corpus: Corpus, processes: int) -> dict[str, str]:
    """What a training can only go on with unchanged; of the corpus, what a refusal can say about it."""
    begun = {name: value for name, value in made_from.items() if name not in FREE}
    begun |= {f"corpus.{name}": value for name, value in corpus.manifest.made_from.items()}
    for part in ("train", "validation"):
        labels = corpus.part(part)["label"]
        begun[f"corpus.images of {part}"] = str(len(labels))
        begun[f"corpus.labels of {part}"] = manifests.sha256_text(",".join(map(str, labels)))
    return begun | {"sdovis": __version__, "processes": str(processes)}


def _train(
    study: Study,
    corpus: Corpus,
    arguments: Any,
    names: tuple[str, ...],
    signed: Sequence[bool],
    about: Mapping[str, object],
    start: Path | None,
    cached: Path,
    clock: Clock,
) -> Session:
    began = time.monotonic()
    with clock.part("imports"):
        # The trainer is not named below: its import, the longest of all, is to be counted here.
        from sdovis.learning import backbones, cache, loader, losses, monitoring, stopping, streaming, trainer  # noqa: F401

    if not gc.get_freeze_count():
        # A collection looks at all that torch and transformers have made, for most of a second, and finds nothing:
        # the Trainer asks for one as it begins, and Python for more. What was imported stays anyway.
        gc.freeze()
    allocation.keep_freed()
    folder = Path(arguments.output_dir).parent
    with clock.part("model"):
        model, processor = backbones.build(study, corpus.classes, about)
    parts = {}
    with clock.part("data"):
        for part in ("train", "validation"):
            rows = corpus.part(part)
            if not len(rows):
                raise BadInput(Problem(f"the corpus has no {part} images", "change the split", file=str(corpus.folder)))
            if study.method.streaming:
                codes: Any = streaming.Decoded(corpus, part, processor)
            else:
                codes = cache.codes(cached, corpus, part, processor, progress=not arguments.disable_tqdm)
            parts[part] = loader.Pictures(codes, rows["label"], names if part == "train" else (), study.study.seed)
    shown = loader.Input(loader.table(processor).to(arguments.device), names, tuple(signed))
    labels = parts["train"].labels
    loss = losses.loss_of(study.method, labels, len(corpus.classes), arguments.label_smoothing_factor)
    body = methods.Body(
        model, processor, parts["train"], parts["validation"], cached / "features", study.precision,
        arguments.per_device_eval_batch_size, arguments.device,
    )  # fmt: skip
    if study.method.trainable == "head-then-all" and start is None:
        with clock.part("head"):
            _probe(study, body, loss, folder / "probe")
    with clock.part("features" if study.method.trainable == "head" else "model"):
        task = methods.task(study, body, shown, on_main)
        backbones.attend_fast(model, study.images.size_px, study.precision, arguments.device.type)
    patience = stopping.Patience(study.method.patience, study.method.keep_by) if study.method.patience else None
    images = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    watchers = [patience, None if arguments.disable_tqdm else monitoring.ProgressLine(loss, images)]
    watchers += [monitoring.FirstStep(clock), monitoring.Curves(folder, study.method.keep_by)]
    # The limit is ours to keep: the Trainer would delete older checkpoints before the new one is whole.
    limit, arguments.save_total_limit = arguments.save_total_limit, None
    exact = _trainer(
        study,
        task,
        processor,
        arguments,
        loss,
        checkpoint_limit=limit,
        layer_decay=study.method.layer_decay,
        watchers=[watcher for watcher in watchers if watcher is not None],
        clock=clock,
    )
    speed = 0.0
    if start is not None and (checkpoints.ended(start) or (patience is not None and patience.stopped(start))):
        exact.rest_at(start)
    else:
        with clock.part("first step"):
            summary = exact.train(resume_from_checkpoint=str(start) if start else None).metrics
        speed = summary["train_samples_per_second"]
    kept = exact.keep(study.method.keep)
    _same_in_all_processes(exact)
    seconds = time.monotonic() - began
    return Session(exact, task, parts["train"], shown, loss, task.trainable, kept, speed, seconds, clock)


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
    """What decides which images an epoch shows, in which order; none for each once, shuffled."""
    from sdovis.learning import sampling, streaming

    if study.method.sampling == "balanced":
        return sampling.BalancedSampler(examples, study.study.seed)
    codes = getattr(examples, "codes", None)
    if isinstance(codes, streaming.Decoded):
        each = {"batch": arguments.train_batch_size, "processes": arguments.world_size}
        return streaming.WindowSampler(codes.rows, examples, seed=study.study.seed, **each)
    return None


def _probe(study: Study, body: methods.Body, loss: Any, folder: Path) -> None:
    """Train the classifier alone on what the body, as it is, sees, and leave it in the network."""
    from sdovis.learning.arguments import training_arguments

    probe = methods.probe_of(study)
    task = methods.task(probe, body, None, on_main)
    arguments = training_arguments(probe, folder / "checkpoints")
    arguments.disable_tqdm = True
    _trainer(study, task, body.processor, arguments, loss, checkpoint_limit=None).train()
    task.export()


def _save_model(model: Any, processor: Any, model_folder: Path, made_from: Mapping[str, str]) -> None:
    from sdovis.learning import backbones

    with manifests.whole(model_folder, stage="train", made_from=made_from) as beside:
        with backbones.quiet():
            model.save_pretrained(beside)
            processor.save_pretrained(beside)
        for file in beside.iterdir():
            file.chmod(0o644)  # safetensors lets nobody else read what it writes
        if weights_sha256(backbones.reload(beside)) != weights_sha256(model):
            raise SdovisError("the saved network differs from the trained one")


def on_main(work: Callable[[], T]) -> T:
    """``work`` done by the main process alone; every process gets its result, or its error."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    # Where nothing has been trained yet, each process on a CPU would else take itself for the only one.
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

    Gloo's threads let go of tensors, for which they need the interpreter; where it is gone, about one launch in twelve
    ended with SIGABRT after all was done. Gloo does not wait for the others; NCCL's group may, for one that failed.
    """
    import torch

    def leave() -> None:
        if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
            torch.distributed.destroy_process_group()

    atexit.register(leave)


def _same_in_all_processes(trainer: Any) -> None:
    """Raise `SdovisError` where the processes end with different parameters."""
    from accelerate.utils import gather_object

    trained = hashlib.sha256()
    for parameter in trainer.network.parameters():
        trained.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    if len(set(gather_object([trained.hexdigest()]))) > 1:
        raise SdovisError("the processes ended with different weights")
