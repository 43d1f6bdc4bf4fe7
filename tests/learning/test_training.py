from __future__ import annotations

import copy
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from sdovis.errors import BadInput, Conflict
from sdovis.learning import backbones, checkpoints
from sdovis.learning.losses import class_weights
from sdovis.learning.record import TrainingRecord, weights_sha256

PLAN = {
    "augmentations": frozenset({"flip_ns", "polarity"}),
    "about": {"channel": "hmi-magnetogram"},
    "made_from": {"corpus": "1"},
}
QUICK = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 3e-3, "disable_tqdm": True}

Train = Callable[..., TrainingRecord]


@pytest.fixture
def run(corpus, tmp_path: Path) -> Train:
    """Trains a tiny study in ``tmp_path``; sections are laid over the quick defaults."""

    def trained(
        kind: str = "vit", made_from: dict[str, str] | None = None, restart: bool = False, **sections: Any
    ) -> TrainingRecord:
        study = tiny.study("quick", kind, **{"training": QUICK} | sections)
        plan = PLAN | {"made_from": made_from or PLAN["made_from"]}
        return tiny.train(study, corpus, tmp_path, restart=restart, **plan)

    return trained


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_the_stock_trainer_loses_tensors_on_resume_and_ours_none(kind: str, tmp_path: Path) -> None:
    from sdovis.learning.trainer import restore
    from transformers import Trainer, TrainingArguments

    model, _ = backbones.build(tiny.study(kind=kind), tiny.CLASSES, {})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    model.save_pretrained(tmp_path / "checkpoint-1")

    def blank() -> Any:
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        return other

    stock, ours = blank(), blank()
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, log_level="error")
    Trainer(model=stock, args=arguments)._load_from_checkpoint(str(tmp_path / "checkpoint-1"))
    restore(ours, tmp_path / "checkpoint-1")
    assert weights_sha256(ours) == weights_sha256(model)
    lost = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, stock.state_dict()[name])]
    # When this fails transformers has mended it (#43701, #48805): our override may then go.
    assert len(lost) > len(model.state_dict()) // 4


def test_a_trained_model_is_saved_whole_and_the_record_says_how_it_was_made(run: Train, corpus, tmp_path: Path) -> None:
    record = run()
    assert weights_sha256(backbones.reload(tmp_path / "model")) == record.weights_sha256
    assert TrainingRecord.load(tmp_path / "training") == record
    assert record.steps == 8 and record.images == {"train": 30, "validation": 12} and record.resumed_from is None
    assert record.corpus == corpus.manifest.digest and record.augmentations == ["flip_ns", "polarity"]
    entries = [entry for entry in record.curves if "eval_balanced_accuracy" in entry]
    best = max(entry["eval_balanced_accuracy"] for entry in entries)
    assert [e["step"] for e in entries] == [4, 8]
    assert record.kept_score == best
    assert record.kept_step == next(e["step"] for e in entries if e["eval_balanced_accuracy"] == best)
    names = {p.name for p in (tmp_path / "model").iterdir()}
    assert names == {
        "config.json", "model.safetensors", "preprocessor_config.json", "familiarity.safetensors", "manifest.json",
    }  # fmt: skip
    assert not list(tmp_path.rglob("training_args.bin"))
    assert str(tmp_path) not in (tmp_path / "training" / "training.json").read_text()
    about = backbones.reload(tmp_path / "model").config.sdovis
    assert about.keys() == {"channel", "familiarity"} and about["channel"] == "hmi-magnetogram"


def test_the_best_checkpoint_becomes_the_model_and_not_a_mixture(run: Train, tmp_path: Path) -> None:
    # A rate this high leaves the best early on, so that best and last differ.
    quick = QUICK | {"num_train_epochs": 4, "learning_rate": 0.05, "save_total_limit": 10}
    record = run(training=quick, method={"calibrate": False})
    kept = backbones.reload(tmp_path / "training" / "checkpoints" / f"checkpoint-{record.kept_step}")
    last = backbones.reload(tmp_path / "training" / "checkpoints" / f"checkpoint-{record.steps}")
    assert record.kept_step < record.steps
    assert weights_sha256(kept) == record.weights_sha256 != weights_sha256(last)


def test_only_the_newest_and_the_best_checkpoint_are_left(run: Train, tmp_path: Path) -> None:
    record = run(training=QUICK | {"num_train_epochs": 5, "learning_rate": 0.05, "save_total_limit": 1})
    left = {checkpoints.step(p) for p in (tmp_path / "training" / "checkpoints").iterdir()}
    assert left == {record.kept_step, record.steps}
    assert all(checkpoints.is_whole(p) for p in (tmp_path / "training" / "checkpoints").iterdir())


def test_a_frozen_body_stays_as_it_was_and_the_head_learns(run: Train, tmp_path: Path) -> None:
    fresh, _ = backbones.build(tiny.study("quick"), tiny.CLASSES, {})
    record = run(method={"trainable": "head"})
    model = backbones.reload(tmp_path / "model")
    assert weights_sha256(model.base_model) == weights_sha256(fresh.base_model)
    assert not torch.equal(model.classifier.weight, fresh.classifier.weight)
    assert record.trainable_parameters == 32 * 3 + 3 < record.parameters


@pytest.mark.parametrize(("bf16", "kernel"), [(True, False), (False, True)])
def test_only_a_training_in_bf16_attends_by_products(
    run: Train, monkeypatch: pytest.MonkeyPatch, bf16: bool, kernel: bool
) -> None:
    attend, asked = torch.nn.functional.scaled_dot_product_attention, []

    def counted(*given: Any, **others: Any) -> torch.Tensor:
        asked.append(torch.is_grad_enabled())
        return attend(*given, **others)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    run(training=QUICK | {"bf16": bf16})
    assert any(asked) == kernel


def test_a_finished_training_is_not_repeated(run: Train, tmp_path: Path) -> None:
    record = run()
    before = (tmp_path / "training" / "training.json").stat().st_mtime_ns
    assert run() == record
    assert (tmp_path / "training" / "training.json").stat().st_mtime_ns == before


def test_a_model_that_was_deleted_is_made_again_from_the_checkpoints(run: Train, tmp_path: Path) -> None:
    record = run()
    shutil.rmtree(tmp_path / "model")
    again = run()
    assert again.weights_sha256 == record.weights_sha256 and again.resumed_from == record.steps
    assert again.kept_step == record.kept_step and again.curves == record.curves


def test_a_moved_run_still_finds_its_best_checkpoint(run: Train, corpus, tmp_path: Path) -> None:
    record = run(training=QUICK | {"num_train_epochs": 4, "learning_rate": 0.05})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "training").rename(tmp_path / "elsewhere" / "training")
    study = tiny.study("quick", training=QUICK | {"num_train_epochs": 4, "learning_rate": 0.05})
    moved = tiny.train(study, corpus, tmp_path / "elsewhere", **PLAN)
    assert moved.resumed_from == record.steps and moved.kept_step == record.kept_step < record.steps
    assert moved.weights_sha256 == record.weights_sha256


def test_a_half_written_and_a_damaged_checkpoint_are_skipped(
    run: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = QUICK | {"num_train_epochs": 3, "save_total_limit": 10}
    record = run(training=settings, method={"keep": "last"})
    root = tmp_path / "training" / "checkpoints"
    (tmp_path / "training" / "training.json").unlink()
    (root / "checkpoint-12" / "sdovis.json").unlink()
    (root / "checkpoint-12" / "trainer_state.json").unlink()
    with (root / "checkpoint-8" / "optimizer.pt").open("r+b") as file:
        file.truncate(100)
    with caplog.at_level(logging.WARNING):
        again = run(training=settings, method={"keep": "last"})
    assert [m for m in caplog.messages if "checkpoint" in m] == [
        "checkpoint-12 was left half-written: deleted",
        "checkpoint-8 is damaged: skipped, kept as damaged-checkpoint-8",
    ]
    assert again.resumed_from == 4 and again.weights_sha256 == record.weights_sha256


def test_an_unfinished_training_is_not_gone_on_with_from_other_inputs(run: Train, tmp_path: Path) -> None:
    record = run(made_from={"corpus": "1"})
    (tmp_path / "training" / "training.json").unlink()
    with pytest.raises(Conflict, match=r"corpus: 1 -> 2.*--restart") as raised:
        run(made_from={"corpus": "2"})
    assert raised.value.exit_code == 4
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["made_from"]["corpus"] == "1"
    again = run(made_from={"corpus": "2"}, restart=True)
    assert again.resumed_from is None and again.weights_sha256 == record.weights_sha256


def test_the_loss_does_not_depend_on_how_a_step_is_divided() -> None:
    from sdovis.learning.losses import Loss

    rng = np.random.default_rng(0)
    logits, labels = torch.tensor(rng.normal(size=(8, 3))), torch.tensor(rng.integers(0, 3, 8))
    loss = Loss(torch.tensor([0.5, 1.0, 4.0]), 0.1)
    whole = loss({"logits": logits}, labels)
    parts = [loss({"logits": logits[s]}, labels[s], num_items_in_batch=8) for s in (slice(5), slice(5, 8))]
    assert torch.allclose(whole, sum(parts))
    unweighted = Loss(torch.ones(3), 0.0)({"logits": logits}, labels)
    assert torch.allclose(unweighted, torch.nn.functional.cross_entropy(logits, labels))


def test_balanced_weights_give_every_class_the_same_say() -> None:
    labels = [0] * 6 + [1] * 3 + [3] * 1
    weights = class_weights(labels, 4, "balanced")
    assert weights.tolist() == pytest.approx([10 / 24, 10 / 12, 0, 10 / 4])
    assert (weights * np.bincount(labels))[[0, 1, 3]] == pytest.approx([2.5] * 3)
    assert class_weights(labels, 4, "none").tolist() == [1] * 4


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"training": QUICK | {"fp16": True}}, "training.fp16 needs a GPU"),
        ({"training": QUICK | {"eval_strategy": "no"}}, "method.keep = 'best' needs an evaluation with every checkpoint"),
        ({"training": QUICK | {"save_steps": 4, "eval_steps": 3}}, "needs an evaluation with every checkpoint"),
        ({"training": QUICK | {"optim": "adamm"}}, "training: adamm is not a valid OptimizerNames"),
    ],
)  # fmt: skip
def test_settings_that_contradict_themselves_are_refused_before_anything_is_written(
    run: Train, tmp_path: Path, sections: dict[str, Any], line: str
) -> None:
    with pytest.raises(BadInput) as raised:
        run(**sections)
    assert line in str(raised.value) and "\n" not in str(raised.value)
    assert not (tmp_path / "training").exists() and not (tmp_path / "model").exists()


def test_a_launcher_with_another_precision_is_refused(run: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(BadInput, match="the launcher asks for bf16, but the study for no"):
        run()


def test_a_tracker_that_is_not_installed_is_refused(run: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdovis.learning import arguments

    monkeypatch.setattr(arguments, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"trackio is not installed; pip install 'sdovis\[trackers\]'"):
        run(training=QUICK | {"report_to": "trackio"})


def test_saving_and_evaluating_follow_each_other_where_the_study_names_only_one() -> None:
    from sdovis.learning.arguments import training_arguments

    for given in ({"save_steps": 7}, {"eval_steps": 7}, {"save_strategy": "steps", "save_steps": 7}):
        arguments = training_arguments(tiny.study(training=QUICK | given), Path("nowhere"))
        assert (arguments.save_strategy, arguments.eval_strategy) == ("steps", "steps")
        assert arguments.save_steps == arguments.eval_steps == 7
    arguments = training_arguments(
        tiny.study(training=QUICK | {"eval_strategy": "no"}, method={"keep": "last"}), Path("n")
    )
    assert (arguments.save_strategy, arguments.eval_strategy) == ("epoch", "no")


def test_a_composite_is_trained_with_the_polarity_of_its_signed_colours(tmp_path: Path) -> None:
    from sdovis.corpus.build import Corpus

    corpus = Corpus.load(tiny.write_corpus(tmp_path / "corpus", colours=3))
    weights = {}
    study = tiny.study("composite", training=QUICK | {"num_train_epochs": 1})
    for signed in ((True, True, True), (True, True, False), (True, True, False)):
        folder = tmp_path / str(len(weights)) / str(signed[2])
        record = tiny.train(study, corpus, folder, augmentations=frozenset({"polarity"}), signed=signed)
        assert list(record.augmentations) == ["polarity"]
        weights.setdefault(str(signed), set()).add(record.weights_sha256)
    assert [len(found) for found in weights.values()] == [1, 1], "the same signs give the same weights"
    assert not set.intersection(*weights.values()), "other signs show the network other pictures"
