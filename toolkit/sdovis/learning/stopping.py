"""Stops before the last step that depend only on what a checkpoint holds. Importing this module imports transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from sdovis.learning.plan import Chosen


class Until(TrainerCallback):
    """Ends the training, with a checkpoint, where an earlier one of another length had the weights that it kept."""

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= self.chosen.of(state.max_steps):
            control.should_training_stop = control.should_save = control.should_log = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step >= self.chosen.of(state.max_steps):
            control.should_save = False  # its last step has just been saved

    def stopped(self, checkpoint: Path) -> bool:
        """Whether a training ended at ``checkpoint``."""
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        return bool(state["global_step"] >= self.chosen.of(state["max_steps"]))


class Patience(TrainerCallback):
    """Ends the training after ``patience`` evaluations in a row without a better score.

    It counts in the log, which is part of every checkpoint, so a resumed training stops where it would have stopped.
    """

    def __init__(self, patience: int, score: str) -> None:
        self.patience, self.score = patience, score

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_training_stop |= self.exhausted(state.log_history)

    def exhausted(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the last ``patience`` evaluations of a log are no better than the best before them."""
        sign = -1 if self.score == "loss" else 1
        scores = [sign * entry[key] for entry in history if (key := f"eval_{self.score}") in entry]
        best = max(range(len(scores)), key=scores.__getitem__, default=0)  # the first of equals
        return len(scores) - 1 - best >= self.patience

    def stopped(self, checkpoint: Path) -> bool:
        """Whether a training ended at ``checkpoint``."""
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        return self.exhausted(state["log_history"])
