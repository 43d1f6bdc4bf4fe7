"""Early stopping that depends only on the scores so far. Importing this module imports transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


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
