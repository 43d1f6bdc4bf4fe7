from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from sdovis.learning import backbones, loader, monitoring, seeds
from sdovis.learning.clock import Clock
from sdovis.learning.losses import Loss
from sdovis.learning.record import TrainingRecord

QUICK = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 3e-3}


def _train(corpus: Any, folder: Path, clock: Clock | None = None, **sections: Any) -> TrainingRecord:
    study = tiny.study("quick", **{"training": QUICK} | sections)
    return tiny.train(study, corpus, folder, augmentations=frozenset({"flip_ns", "polarity"}), clock=clock or Clock())


def test_one_line_shows_steps_time_left_loss_rate_images_a_second_and_scores(
    corpus: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "EVERY_S", 0.0)
    record = _train(corpus, tmp_path, training=QUICK | {"disable_tqdm": False})
    lines = re.split(r"[\r\n]+", capfd.readouterr().err)
    last = [line for line in lines if line.startswith("train")][-1]
    assert re.search(r"train 100%.* 8/8 steps, 00:00 left, loss=[\d.]+, rate=[\d.e-]+, images/s=[\d.e+]+", last)
    losses = [entry["eval_loss"] for entry in record.curves if "eval_loss" in entry]
    assert f"validation loss={losses[-1]:.3g}" in last and "balanced accuracy=" in last


def test_the_line_shows_the_loss_now_and_images_since_it_last_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = Loss(torch.ones(3), 0.0)
    line = monitoring.ProgressLine(loss, images_per_step=16)
    state = SimpleNamespace(global_step=0, max_steps=10, is_world_process_zero=True)
    schedule = SimpleNamespace(get_last_lr=lambda: [3e-4])
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    line.on_train_begin(None, state, None)
    loss.last, state.global_step, now[0] = torch.tensor(0.75), 4, 102.0
    line.on_step_end(None, state, None, lr_scheduler=schedule)
    line.training_bar.close()
    assert line.shown == {"loss": "0.75", "rate": "0.0003", "images/s": "32"}


def test_the_picture_of_a_batch_is_what_the_network_is_shown_in_the_first_epoch() -> None:
    processor = backbones._processor(tiny.SIZE)
    codes = np.random.default_rng(0).integers(0, 256, (30, tiny.SIZE, tiny.SIZE), dtype=np.uint8)
    training = loader.Pictures(codes, [i % 3 for i in range(30)], ("flip_ns",), seed=1)
    training.set_epoch(4)
    shown = loader.Input(loader.table(processor), ("flip_ns",), (True,))
    pictures, labels = monitoring.batch(training, shown)
    assert training.epoch == 4 and len(pictures) == len(labels) == 12
    at = np.linspace(0, 29, 12).round().astype(int)
    flipped = [not np.array_equal(p, codes[i]) for p, i in zip(pictures, at, strict=True)]
    assert 0 < sum(flipped) < 12
    assert all(np.array_equal(p[::-1] if f else p, codes[i]) for p, i, f in zip(pictures, at, flipped, strict=True))
    assert labels == [i % 3 for i in at]


def test_the_pictures_lie_with_the_training(corpus: Any, tmp_path: Path) -> None:
    _train(corpus, tmp_path, method={"trainable": "head"})
    curves, sheet = (Image.open(tmp_path / "training" / name) for name in (monitoring.CURVES, monitoring.BATCH))
    assert np.asarray(curves.convert("L")).std() > 5
    assert sheet.size == (6 * (32 + 16) + 16, 2 * (32 + 32) + 16) and len(set(sheet.convert("L").getdata())) > 50


def test_the_record_says_what_on_what_with_what_and_where_the_time_went(corpus: Any, tmp_path: Path) -> None:
    clock = Clock({"start": 1.5})
    record = _train(corpus, tmp_path, clock, method={"patience": 3})
    assert record == TrainingRecord.load(tmp_path / "training")
    assert record.method["patience"] == 3 and record.method["trainable"] == "all"
    assert record.data == corpus.manifest.files and record.planned_steps == record.steps == 8
    assert {"device", "machine", "processor", "cores", "threads", "memory_gib"} == record.hardware.keys()
    assert record.hardware["memory_gib"] > 0.5
    parts = dict(record.timings)
    total = parts.pop("all")
    named = "start,imports,data,model,first step,steps,evaluation,familiarity,saving,figures"
    assert set(named.split(",")) == set(parts)
    assert total == pytest.approx(sum(parts.values()), abs=0.01) and parts["start"] == 1.5
    assert record.timings == pytest.approx({name: clock.table()[name] for name in record.timings})
    assert total - 1.5 - parts["familiarity"] < record.seconds + 5


def test_a_clock_counts_no_second_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock()
    now[0] += 5  # nothing is open
    with clock.part("first step"):
        now[0] += 1
        with clock.part("saving"):
            now[0] += 2
        clock.becomes("steps")
        now[0] += 4
        with pytest.raises(KeyError), clock.part("evaluation"):
            now[0] += 8
            raise KeyError
    assert clock.table() == {"first step": 1, "steps": 4, "evaluation": 8, "saving": 2, "all": 15}


def _record(corpus: Any, folder: Path, seed: int) -> TrainingRecord:
    return _train(corpus, folder / str(seed), study={"name": "quick", "seed": seed})


def test_several_seeds_are_summarised_and_the_best_on_validation_is_copied_whole(corpus: Any, tmp_path: Path) -> None:
    records = [_record(corpus, tmp_path, seed) for seed in (5, 6, 7)]
    found = seeds.spread(records, "loss")
    entries = {r.seed: [e for e in r.curves if e["step"] == r.kept_step and "eval_loss" in e] for r in records}
    losses = {seed: entry["eval_loss"] for seed, (entry,) in entries.items()}
    assert found["chosen"] == min(losses, key=losses.__getitem__)
    over = found["over_seeds"]["loss"]
    values = list(losses.values())
    assert (over["mean"], over["sd"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (over["low"], over["high"]) == (min(values), max(values))
    assert set(found["over_seeds"]) == {"loss", "accuracy", "balanced_accuracy", "macro_f1"}
    best = seeds.chosen(records, "loss")
    kept = seeds.promote(
        best, found, tmp_path / str(best.seed), tmp_path / "training", tmp_path / "model", {"corpus": "1"}
    )
    assert kept.seed == best.seed and kept.made_from == {"corpus": "1"} and kept.seeds["chosen"] == best.seed
    assert {"training.json", "steps.csv", "curves.png", "batch.png"} == {
        p.name for p in (tmp_path / "training").iterdir()
    }
    from sdovis import manifests
    from sdovis.learning.record import weights_sha256

    assert manifests.finished(tmp_path / "model", {"corpus": "1"})
    assert weights_sha256(backbones.reload(tmp_path / "model")) == best.weights_sha256


def test_the_command_line_trains_seeds_profiles_scores_and_searches(small_study: Path, capfd: Any) -> None:
    from sdovis.cli import run_command

    with small_study.open("a") as file:
        file.write("[search]\ntraining.learning_rate = { low = 1e-4, high = 1e-2, log = true }\n")
    sets = ["--set", "evaluation.baselines=false", "--set", "method.trainable=head"]
    assert run_command(["prepare", str(small_study)]) == 0
    assert run_command(["train", str(small_study), *sets, "--seeds", "2", "--profile"]) == 0
    said = capfd.readouterr()
    assert "augmentation is not used" in said.err
    assert re.search(r"validation balanced_accuracy: 0\.\d{3} ± 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", said.out)
    assert re.search(r"2 seeds; [01] is best by balanced_accuracy and became the model", said.out)
    for part in ("start", "imports", "data", "model", "features", "first step", "steps", "evaluation", "saving", "all"):
        assert re.search(rf"{part}\W+\d+\.\d\d", said.out), part
    run = Path("runs/small")
    again = [*sets, "--set", "method.seeds=2"]
    assert run_command(["train", str(small_study), *again]) == 0
    assert "nothing changed, keeping the model" in capfd.readouterr().err
    assert run_command(["evaluate", str(small_study), *again]) == 0
    scores = json.loads((run / "seeds" / "scores.json").read_text())
    assert set(scores["test"]) == {"0", "1"} and "balanced-accuracy" in scores["over_seeds"]
    chosen = str(json.loads((run / "training" / "training.json").read_text())["seed"])
    own = json.loads((run / "scores" / "scores.json").read_text())["model"]["balanced-accuracy"]["estimate"]
    assert scores["test"][chosen]["balanced-accuracy"] == own
    capfd.readouterr()
    assert run_command(["search", str(small_study), *sets, "--trials", "2"]) == 0
    assert re.search(r"best of 2: trial [01], validation balanced_accuracy 0\.\d{3}", capfd.readouterr().out)
    assert (run / "search" / "best.toml").is_file()
