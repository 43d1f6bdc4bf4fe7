"""What a training shows while it runs, and the figures it leaves. Importing this module imports transformers.

training/curves.png    loss and the deciding score against the step
training/batch.png     images as the network sees them in the first epoch, augmented
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm.auto import tqdm
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from sdovis import figures
from sdovis.learning import loader
from sdovis.learning.clock import Clock
from sdovis.learning.losses import Loss

CURVES = "curves.png"
BATCH = "batch.png"
#: Seconds between two looks at the loss, for which an accelerator must be waited for.
EVERY_S = 0.5
#: Seconds between two drawings of the curves.
REDRAWN_S = 60.0
#: Images in the picture of a batch.
SHOWN = 12
COLUMNS = 6


class ProgressLine(ProgressCallback):
    """One line: steps, time left, loss, learning rate, images per second, and the scores of the last validation."""

    def __init__(self, loss: Loss, images_per_step: int) -> None:
        super().__init__()
        self.loss, self.images_per_step = loss, images_per_step
        self.shown: dict[str, str] = {}
        self._looked: tuple[float, int] = (0.0, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.current_step = state.global_step
        self._looked = (time.perf_counter(), state.global_step)
        if state.is_world_process_zero:
            self.training_bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                desc="train",
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps, {remaining} left{postfix}",
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.training_bar is None:
            return
        then, step = self._looked
        if (now := time.perf_counter()) - then >= EVERY_S or state.global_step == 1:
            self.shown |= {"loss": f"{float(self.loss.last):.3g}"} if self.loss.last is not None else {}
            self.shown["rate"] = f"{kwargs['lr_scheduler'].get_last_lr()[0]:.2g}"
            self.shown["images/s"] = f"{(state.global_step - step) * self.images_per_step / (now - then):.3g}"
            self._looked = (now, state.global_step)
            self.training_bar.set_postfix(self.shown, refresh=False)
        self.training_bar.update(state.global_step - self.current_step)
        self.current_step = state.global_step

    def on_prediction_step(self, *args: Any, **kwargs: Any) -> None:
        """No bar of its own for a validation that takes seconds."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        names = {"eval_loss": "validation loss", "eval_balanced_accuracy": "balanced accuracy"}
        scores = {name: f"{logs[key]:.3g}" for key, name in names.items() if key in logs} if logs else {}
        if self.training_bar is not None and scores:
            self.shown |= scores
            self.training_bar.set_postfix(self.shown)
            # Time spent on an evaluation does not count as time of steps.
            self._looked = (time.perf_counter(), state.global_step)


class FirstStep(TrainerCallback):
    """Tells the clock when the first step is over."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.waiting = clock, True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.waiting:
            self.clock.becomes("steps")
            self.waiting = False


class Curves(TrainerCallback):
    """Redraws the learning curves after an evaluation, at most once a minute."""

    def __init__(self, folder: Path, score: str) -> None:
        self.folder, self.score, self.drawn = folder, score, time.monotonic()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero and time.monotonic() - self.drawn > REDRAWN_S:
            draw_curves(self.folder, state.log_history, self.score, state.best_global_step)
            self.drawn = time.monotonic()


def draw_curves(folder: Path, history: Sequence[Mapping[str, Any]], score: str, kept_step: int | None) -> None:
    """Write ``curves.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    figures.save(figures.learning_curve(history, score, kept_step), folder / CURVES)


def draw_batch(folder: Path, training: loader.Pictures, shown: loader.Input, classes: Sequence[str]) -> None:
    """Write ``batch.png``: `SHOWN` images spread evenly over the training part, pixel for pixel, with their classes."""
    pictures, labels = batch(training, shown)
    side, gap = pictures[0].shape[0], 16
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (side + gap) + gap, rows * (side + 2 * gap) + gap), "white")
    ink = ImageDraw.Draw(sheet)
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = gap + i % COLUMNS * (side + gap), gap + i // COLUMNS * (side + 2 * gap)
        ink.text((x, y), classes[label][: max(side // 6, 4)], fill="black")
        sheet.paste(Image.fromarray(picture), (x, y + gap))
    folder.mkdir(parents=True, exist_ok=True)
    sheet.save(folder / BATCH)


def batch(training: loader.Pictures, shown: loader.Input) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Codes (S, S) or (S, S, 3) and classes of images as the network is shown them in the first epoch."""
    at = np.unique(np.linspace(0, len(training) - 1, SHOWN).round().astype(int)).tolist()
    epoch = training.epoch
    training.set_epoch(0)
    gathered = training.__getitems__(at)
    seen = shown(loader.collated(gathered))
    training.set_epoch(epoch)
    answers = shown.answers.cpu().numpy()
    values = seen["pixel_values"].cpu().numpy()
    low, high = answers[:, :1, None], answers[:, -1:, None]
    codes = np.rint(255 * (values - low) / (high - low)).astype(np.uint8)
    pictures = [image[0] if training.codes.ndim == 3 else np.moveaxis(image, 0, -1) for image in codes]
    return pictures, gathered.labels.tolist()
