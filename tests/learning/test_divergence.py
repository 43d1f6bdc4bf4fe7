"""A training that diverged, or that never began, does not become a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from sdovis.errors import BadInput
from sdovis.learning import checkpoints, trainer
from sdovis.learning.record import TrainingRecord

QUICK = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture
def train(corpus, tmp_path: Path) -> Callable[..., TrainingRecord]:
    """Trains a tiny study in ``tmp_path``."""

    def run(restart: bool = False, kind: str = "vit", **training: Any) -> TrainingRecord:
        return tiny.train(tiny.study("quick", kind, training=QUICK | training), corpus, tmp_path, restart=restart)

    return run


@pytest.mark.parametrize("settings", [{}, {"bf16": True}, {"max_grad_norm": 0.0}, {"gradient_accumulation_steps": 2}])
def test_a_rate_that_blows_the_network_up_is_refused_with_the_step_and_leaves_no_model(train, tmp_path, settings):
    with pytest.raises(
        BadInput, match=r"diverged at step \d+: .*(nan|inf), learning rate .*; lower training.learning_rate"
    ):
        train(learning_rate=1e30, **settings)
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "training" / "training.json").exists()


def test_a_gradient_that_turns_nan_is_refused_at_its_step_and_the_last_whole_checkpoint_is_named(
    train, tmp_path, monkeypatch
):
    real, calls = trainer.ExactTrainer.training_step, [0]

    def poisoned(self, *args, **kwargs):
        calls[0] += 1
        loss = real(self, *args, **kwargs)
        if calls[0] == 6:
            next(iter(self.network.parameters())).grad.fill_(math.nan)
        return loss

    monkeypatch.setattr(trainer.ExactTrainer, "training_step", poisoned)
    with pytest.raises(
        BadInput, match=r"at step 6: gradient norm nan, learning rate 0\.\d+; .*; checkpoint-4 has the last"
    ):
        train()
    assert checkpoints.last_whole(tmp_path / "training" / "checkpoints").name == "checkpoint-4"
    monkeypatch.undo()
    # What is there is sound: the same command continues from it.
    assert train().steps == 8


def test_on_an_accelerator_a_bad_gradient_is_noticed_before_anything_is_saved(train, tmp_path, monkeypatch):
    # The device is a CPU; only the question whether it must be waited for is answered as an accelerator would.
    monkeypatch.setattr(
        trainer.ExactTrainer, "_refuse_divergence",
        lambda self, seen, real=trainer.ExactTrainer._refuse_divergence: real(self, seen) if _saving(self) else None,
    )  # fmt: skip
    real = trainer.ExactTrainer._save_whole

    def saving(self, *args):
        self.saving_now = True
        return real(self, *args)

    def _poison(self, *args, step=trainer.ExactTrainer.training_step, **kwargs):
        loss = step(self, *args, **kwargs)
        if self.state.global_step == 3:
            next(iter(self.network.parameters())).grad.fill_(math.inf)
        return loss

    monkeypatch.setattr(trainer.ExactTrainer, "_save_whole", saving)
    monkeypatch.setattr(trainer.ExactTrainer, "training_step", _poison)
    with pytest.raises(BadInput, match=r"diverged at step 4: (gradient norm inf|validation loss nan)"):
        train()
    assert checkpoints.last_whole(tmp_path / "training" / "checkpoints") is None


def _saving(session) -> bool:
    return getattr(session, "saving_now", False)


def test_an_overflow_that_fp16_scaling_provokes_is_no_divergence(train, monkeypatch):
    session = object.__new__(trainer.ExactTrainer)
    session.accelerator = type("A", (), {"scaler": object(), "clip_grad_norm_": lambda *_: torch.tensor(math.inf)})()
    session.args = type("B", (), {"fp16": True, "max_grad_norm": 1.0})()
    monkeypatch.setattr(trainer.Trainer, "_clip_grad_norm", lambda self, model: torch.tensor(math.inf))
    assert session._clip_grad_norm(None) == math.inf


def test_a_training_that_never_rises_above_chance_is_said_to(train):
    record = train(learning_rate=1e-12, num_train_epochs=1)
    best = max(e["eval_balanced_accuracy"] for e in record.curves if "eval_balanced_accuracy" in e)
    assert record.never_above_chance == (best <= 1 / 3 + 1e-9)
