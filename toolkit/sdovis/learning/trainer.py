"""transformers' Trainer, made exact: every tensor restored, whole checkpoints, and only repeatable random draws.

Importing this module imports torch. Traps that it avoids, all in transformers 5.23 and accelerate 1.15:

- `Trainer._load_from_checkpoint` and `_load_best_model` load with ``strict=False`` under other names than
  `save_pretrained` wrote: a ViT gets back 8 of 40 tensors (transformers #43701, #48805).
- Checkpoints are written in place, and older ones deleted before the new one is whole.
- If batches are shared among processes, accelerate does not tell the dataset which epoch it is, and the loss of an
  evaluation counts images twice if they fill up the last batches.
- What FSDP has sharded is loaded under those other names too, and accelerate shards the patch embeddings twice.
- Data loaders draw from the global random stream; the loss logged after a resume leaves out what came before it.
"""

from __future__ import annotations

import copy
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.distributed.tensor import DTensor
from torch.utils.data import Sampler
from transformers import (
    EvalPrediction,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from sdovis.errors import BadInput, Problem
from sdovis.learning import checkpoints, rates, tensors
from sdovis.learning.arguments import sharding
from sdovis.learning.backbones import quiet, reload
from sdovis.learning.clock import Clock
from sdovis.learning.loader import collated
from sdovis.statistics import skill

#: Step times, beside ``training.json``, by which the summary compares runs.
STEPS = "steps.csv"


class Examples(Protocol):
    """What a Trainer is shown: a torch dataset, read by the batch, that is told which epoch it is."""

    def set_epoch(self, epoch: int) -> None: ...
    def __len__(self) -> int: ...


class ExactTrainer(Trainer):
    """A Trainer that resumes to the same weights, bit for bit on a CPU, as if it had never been interrupted."""

    def __init__(
        self,
        *,
        model: Any,
        processor: Any,
        args: TrainingArguments,
        training: Examples,
        validation: Examples,
        shown: Callable[[Mapping[str, Any]], dict[str, Any]],
        loss: Callable[..., torch.Tensor],
        checkpoint_limit: int | None,
        collator: Callable[[Any], dict[str, Any]] = collated,
        sampler: Sampler[int] | None = None,
        layer_decay: float | None = None,
        compiled: bool = False,
        watchers: Sequence[TrainerCallback] = (),
        clock: Clock | None = None,
    ) -> None:
        """``layer_decay``: see `rates`. ``sampler`` decides which images an epoch shows; without it, each is shown once.

        ``compiled``: steps run through torch.compile; evaluations do not, as a graph for them would cost more than it saves.
        """
        # Sharding takes apart what the Trainer is given; ``network`` stays whole, and `collect` brings it up to date.
        super().__init__(
            model=_to_shard(model) if sharding() else model,
            args=args,
            train_dataset=training,
            eval_dataset=validation,
            data_collator=collator,
            processing_class=processor,
            compute_loss_func=loss,
            compute_metrics=scores,
            callbacks=[_Epoch(training), _LogBeforeSave(), _Steps(Path(str(args.output_dir)).parent / STEPS)],
        )
        if self.is_fsdp_enabled:
            self.accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = _blocks(self.model)
        self.network, self.processor, self.shown = model, processor, shown
        self.root = Path(str(args.output_dir))
        self.checkpoint_limit = checkpoint_limit
        self.sampler, self.layer_decay, self.clock = sampler, layer_decay, clock or Clock()
        self.compiled = compiled
        self._unseen: tuple[int, torch.Tensor] | None = None
        if compiled:
            # In place, so that tensors keep their names. All networks of a process share a limit of eight graphs,
            # beyond which torch silently stops compiling, so each training begins with none.
            torch.compiler.reset()
            # A graph for each size of batch: which one a step goes through depends on its batch alone, and not on the sizes
            # that this process has met before, which differ in a resumed training.
            self.network.compile(dynamic=False)
        self.pop_callback(PrinterCallback)
        self.pop_callback(ProgressCallback)
        for watcher in watchers:
            self.add_callback(watcher)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        fresh = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if fresh and self.layer_decay is not None:
            rates.rescale(optimizer, self.model, self.layer_decay)
        return optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        return self.sampler if self.sampler is not None else super()._get_train_sampler(train_dataset)

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self.shown(super()._prepare_inputs(inputs))

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        # fp16 scales the loss until gradients overflow, and then leaves the step out.
        if self.accelerator.scaler is None:
            before, self._unseen = self._unseen, (self.state.global_step + 1, torch.as_tensor(norm))
            # An accelerator must not be waited for: its norm is looked at when the next one is computed.
            self._refuse_divergence(before if self.args.device.type != "cpu" else self._unseen)
        return norm

    def _refuse_divergence(self, seen: tuple[int, torch.Tensor] | None) -> None:
        if seen is not None and not (norm := float(seen[1])) < float("inf"):
            raise diverged(seen[0], f"gradient norm {norm:g}", self._get_learning_rate(), self.root)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        return 0  # the Trainer would count the tokens of a text

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        if resume_from_checkpoint is not None and sharding():  # while it is whole
            restore(self.network, Path(resume_from_checkpoint))
            self.model.load_state_dict(self.network.state_dict(), strict=True)
        result = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        self.collect()
        return result

    def collect(self) -> None:
        """Put what is trained into ``network``, in every process. RuntimeError where a tensor is missing or not whole."""
        if sharding():
            trained = self.accelerator.unwrap_model(self.model, keep_torch_compile=False).state_dict()
            whole = {name: t.full_tensor().cpu() if isinstance(t, DTensor) else t for name, t in trained.items()}
            self.network.load_state_dict(whole, strict=True)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        self.collect()
        self._save(output_dir)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.root / checkpoints.UNFINISHED)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        # The Trainer's own method also pickles its arguments, which contain local paths and tokens.
        if self.args.should_save:
            if tensors.is_partial(self.network):
                tensors.save(self.network, Path(str(output_dir)))
                return
            with quiet():
                self.network.save_pretrained(output_dir, state_dict=state_dict)
                self.processor.save_pretrained(output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self.clock.part("saving"):
            self._save_whole(model, trial)

    def _save_whole(self, model: Any, trial: Any) -> None:
        self._refuse_divergence(self._unseen)
        try:
            super()._save_checkpoint(model, trial)
            # Every process has written its random state before the checkpoint is declared whole.
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.finish(self.root, self.state.global_step)
                checkpoints.rotate(self.root, limit=self.checkpoint_limit, best=self.state.best_global_step)
        except Exception:
            # On a full disk, half-written files are in the way.
            shutil.rmtree(self.root / checkpoints.UNFINISHED, ignore_errors=True)
            raise
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if model is None:  # otherwise it is sharded and has already been restored
            restore(self.network, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        """Restore the best checkpoint, found by its step, as the run folder may have been moved in the meantime."""
        best = checkpoints.path(self.root, int(self.state.best_global_step or 0))
        if not checkpoints.is_whole(best):
            raise BadInput(Problem("the best checkpoint is damaged", "train again with --restart", file=str(best)))
        restore(self.network, best)

    def keep(self, which: str) -> int:
        """Restore the ``best`` weights, or leave the ``last``; return their step."""
        if which == "best" and self.state.best_global_step:
            self._load_best_model()
            return int(self.state.best_global_step)
        return int(self.state.global_step)

    def rest_at(self, checkpoint: Path) -> None:
        """Take the state of a training that ended at ``checkpoint``."""
        self.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        self._load_from_checkpoint(str(checkpoint))

    # Fetching the first batch of an epoch and evaluating each draw from the global random stream, and how often depends
    # on the workers and on whether the run was resumed: neither may move the stream that dropout draws from.

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        with self._apart():
            return super().get_batch_samples(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self._apart(), self.clock.part("evaluation"):
            return dict(super().evaluate(*args, **kwargs))

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Also computes the loss with each image counted once: the Trainer's is a mean over batches filled up with repeats."""
        with torch.compiler.set_stance("force_eager") if self.compiled else nullcontext():
            output = super().evaluation_loop(*args, **kwargs)
        logits, labels = torch.as_tensor(output.predictions), torch.as_tensor(output.label_ids)
        with torch.no_grad():
            loss = output.metrics["eval_loss"] = float(self.compute_loss_func({"logits": logits}, labels))
        if not abs(loss) < float("inf"):
            raise diverged(self.state.global_step, f"validation loss {loss:g}", self._get_learning_rate(), self.root)
        return output

    def _apart(self) -> AbstractContextManager[None]:
        devices = [torch.cuda.current_device()] if self.args.device.type == "cuda" else []
        apart: AbstractContextManager[None] = torch.random.fork_rng(devices=devices)
        return apart


def diverged(step: int, sign: str, rate: float, root: Path) -> BadInput:
    """The error of a training that diverged at ``step``, and how to go on."""
    hint = "lower training.learning_rate, and run sdovis train --restart"
    if (whole := checkpoints.last_whole(root)) is not None:
        hint += f"; {whole.name} has the last weights that were saved, and backbone.id may name it"
    return BadInput(Problem(f"the training diverged at step {step}: {sign}, learning rate {rate:g}", hint, str(root)))


def restore(model: Any, checkpoint: Path) -> None:
    """Load every tensor of a checkpoint into ``model``; `SdovisError` or RuntimeError if one does not fit."""
    if tensors.is_partial(model):
        tensors.restore(model, checkpoint)
    else:
        model.load_state_dict(reload(checkpoint).state_dict(), strict=True)


def _to_shard(model: Any) -> Any:
    """A copy to be sharded. What only pretraining used is not trained: FSDP cannot load an optimizer without its state."""
    twin = copy.deepcopy(model)
    for name, parameter in twin.named_parameters():
        if name.endswith("mask_token"):
            parameter.requires_grad_(False)
    return twin


def _blocks(model: Any) -> list[str]:
    """Names of the classes whose modules FSDP shards one by one.

    The one around the patch embeddings is left out: accelerate shards those separately, and fails on what is already
    sharded. Raises `BadInput` for a backbone without patch embeddings, on which accelerate fails too.
    """
    try:
        first = set(model.get_input_embeddings().parameters()) if hasattr(model, "get_input_embeddings") else set()
    except NotImplementedError:
        what = f"accelerate cannot shard a {type(model).__name__}"
        raise BadInput(Problem(what, "launch with examples/accelerate/ddp_gpu.yaml")) from None
    around = {type(module).__name__ for module in model.modules() if first & set(module.parameters())}
    return sorted(set(getattr(model, "_no_split_modules", None) or ()) - around)


def scores(prediction: EvalPrediction) -> dict[str, float]:
    """The validation scores that `method.keep_by` chooses from, besides the loss."""
    logits = np.asarray(prediction.predictions)
    matrix = skill.confusion(prediction.label_ids, logits.argmax(axis=1), logits.shape[1])
    return {
        "accuracy": float(skill.accuracy(matrix)),
        "balanced_accuracy": float(skill.balanced_accuracy(matrix)),
        "macro_f1": float(skill.macro_f1(matrix)),
    }


class _Epoch(TrainerCallback):
    """Tells the training pictures which epoch it is: accelerate does so only in a single process."""

    def __init__(self, training: Examples) -> None:
        self.training = training

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.training.set_epoch(int(state.epoch or 0))


class _LogBeforeSave(TrainerCallback):
    """Logs the loss whenever a checkpoint is due, as the mean since the last entry is not part of a checkpoint."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_log |= control.should_save

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log |= control.should_save


class _Steps(TrainerCallback):
    """Appends the wall-clock time of every optimizer step to a table; ``session`` counts the starts of the training."""

    HEADING = "session,step,seconds\n"

    def __init__(self, path: Path) -> None:
        self.path, self.session, self.begun = path, 1, 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        if state.global_step == 0 or not self.path.is_file():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.HEADING, encoding="utf-8")
            return
        # A kill may have cut the last line short, and a power cut may have taken any of them.
        written = self.path.read_text(encoding="utf-8", errors="replace")
        whole = re.findall(r"^\d+,\d+,\d+\.\d{6}$(?=\n)", written, re.MULTILINE)
        self.path.write_text(self.HEADING + "".join(f"{line}\n" for line in whole), encoding="utf-8")
        self.session = 1 + max((int(line.partition(",")[0]) for line in whole), default=0)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.begun = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{self.session},{state.global_step},{time.perf_counter() - self.begun:.6f}\n")
