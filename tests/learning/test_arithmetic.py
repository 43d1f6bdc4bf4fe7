"""A training that goes on with another number of threads, other libraries or instructions says so, and its record does."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from sdovis.learning import arithmetic, trainer
from sdovis.learning.record import TrainingRecord

#: 30 images make 4 steps an epoch.
QUICK = {"num_train_epochs": 3, "per_device_train_batch_size": 8, "learning_rate": 3e-3, "disable_tqdm": True}
CPU = torch.device("cpu")


class Cut(Exception):
    """The end of a session."""


@pytest.fixture
def sessions(corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainingRecord | None]:
    """Trains until a step, or to the end; threads and what else is computed on may be pretended."""

    def train(until: int | None = None, **on: str) -> TrainingRecord | None:
        real, step = arithmetic.here, trainer.ExactTrainer.training_step

        def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            if self.state.global_step == until:
                raise Cut
            return step(self, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(arithmetic, "here", lambda *args: real(*args) | on)
            patch.setattr(trainer.ExactTrainer, "training_step", training_step)
            try:
                return tiny.train(tiny.study("quick", training=QUICK), corpus, tmp_path)
            except Cut:
                return None

    return train


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "continues after step" in message]


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("threads", "4", "1"),
        ("torch", "2.12.0", "2.13.0"),
        ("BLAS", "open", "mkl"),
        ("instructions", "AVX2", "AVX512"),
        ("numpy", "2.3.0", "2.4.6"),
        ("MKL_CBWR", "COMPATIBLE", "AUTO"),
        ("processor", "an older one", "a newer one"),
    ],
)
def test_to_continue_on_something_else_is_said_in_one_line_and_recorded(
    sessions: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path, name: str, before: str, now: str
) -> None:
    sessions(until=6, **{name: before})
    with caplog.at_level(logging.WARNING):
        record = sessions(**{name: now})
    (line,) = _said(caplog)
    assert f"after step 4 with {name} {now} instead of {before}: " in line
    assert "not be bit for bit" in line and "\n" not in line
    assert [(s["after_step"], s["on"][name]) for s in record.sessions] == [(0, before), (4, now)]
    assert TrainingRecord.load(tmp_path / "training") == record


def test_the_real_number_of_threads_is_what_is_compared(
    sessions: Any, caplog: pytest.LogCaptureFixture, two_threads: None
) -> None:
    sessions(until=6)
    torch.set_num_threads(1)
    with caplog.at_level(logging.WARNING):
        sessions()
    assert "with threads 1 instead of 2: " in _said(caplog)[0]


def test_on_the_same_nothing_is_said_and_the_weights_are_those_of_an_uninterrupted_training(
    sessions: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.WARNING):
        whole = sessions()
        for folder in ("training", "model"):
            shutil.rmtree(tmp_path / folder)
        sessions(until=6)
        record = sessions()
    assert not _said(caplog)
    assert record.weights_sha256 == whole.weights_sha256 and record.sessions == whole.sessions
    assert len(record.sessions) == 1 and record.sessions[0]["on"]["threads"] == "1"


def test_a_session_whose_steps_were_all_lost_is_forgotten(sessions: Any, caplog: pytest.LogCaptureFixture) -> None:
    sessions(until=6)
    sessions(until=7, threads="4")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        record = sessions()
    assert not _said(caplog) and len(record.sessions) == 1


@pytest.mark.parametrize("harm", [None, "[{", '[{"step": 1}]', "{}"])
def test_what_was_not_recorded_is_said_to_be_unknown(
    sessions: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path, harm: str | None
) -> None:
    sessions(until=6)
    file = tmp_path / "training" / arithmetic.FILE
    file.unlink() if harm is None else file.write_text(harm)
    with caplog.at_level(logging.WARNING):
        record = sessions()
    assert "threads 1 instead of what was not recorded" in _said(caplog)[0]
    assert [s["after_step"] for s in record.sessions] == [0, 4] and not record.sessions[0]["on"]


def test_sixteen_bit_instructions_count_where_numbers_have_sixteen_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"avx512f", "avx512_bf16"}
    monkeypatch.setattr(arithmetic, "_processor", lambda *names: [" ".join(flags)] * 2)
    with_it = {precision: arithmetic.here(precision, CPU) for precision in ("no", "bf16")}
    flags.discard("avx512_bf16")
    without = {precision: arithmetic.here(precision, CPU) for precision in ("no", "bf16")}
    assert with_it["no"]["instructions"] == without["no"]["instructions"]
    assert with_it["bf16"]["instructions"] == f"{without['bf16']['instructions']} avx512_bf16"


def test_what_is_computed_on_is_told_by_torch_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found = arithmetic.here("no", CPU)
    assert found["threads"] == str(torch.get_num_threads()) and found["torch"] and found["BLAS"]
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX2" and "MKL_CBWR" not in os.environ.keys() & found.keys()
    assert json.loads(json.dumps(found)) == found
