"""After the choice, a second training learns from the validation part too; what validation says is of the first."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from sdovis import inference, manifests
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.learning import backbones, loader
from sdovis.learning.plan import Chosen
from sdovis.learning.record import TrainingRecord
from sdovis.statistics.calibration import fit_temperature

REFIT = {"refit": "train+validation"}
#: 30 images are 8 steps an epoch, 42 are 11.
TRAINING = {"num_train_epochs": 4, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "save_steps": 4}


def trained(corpus: Corpus, place: Path, **changes: Any) -> TrainingRecord:
    training = TRAINING | changes.pop("training", {})
    method = REFIT | changes.pop("method", {})
    return tiny.train(tiny.study("again", training=training, method=method, **changes), corpus, place)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(backbones.reload(folder).state_dict())


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def both(corpus, tmp_path_factory) -> tuple[Path, TrainingRecord, Path, TrainingRecord]:
    """A training with a second one, and the same without: the folder and the record of each."""
    places = [tmp_path_factory.mktemp(name) for name in ("refit", "plain")]
    return (
        places[0], trained(corpus, places[0]), places[1], trained(corpus, places[1], method={"refit": "none"}),
    )  # fmt: skip


def test_the_first_training_is_what_it_would_be_alone(both) -> None:
    place, record, alone, without = both
    assert same(tensors(place / "training" / "first"), tensors(alone / "model"))
    told = ("curves", "kept_step", "kept_score", "steps", "planned_steps", "temperature", "class_weights", "images")
    assert {name: getattr(record, name) for name in told} == {name: getattr(without, name) for name in told}
    assert without.refit == {} and not (alone / "training" / "first").exists()


def test_the_second_learns_from_both_parts_for_as_many_passes_and_becomes_the_model(both) -> None:
    place, record, alone, _ = both
    again = record.refit
    assert again["images"] == 42 and again["parts"] == ["train", "validation"]
    assert (record.planned_steps, again["planned_steps"]) == (32, 44)
    assert again["steps"] == round(44 * record.kept_step / 32)
    assert again["epochs"] == pytest.approx(record.kept_step / 8, abs=1 / 11)
    assert not same(tensors(place / "model"), tensors(alone / "model"))
    assert record.weights_sha256 != TrainingRecord.load(alone / "training").weights_sha256
    assert not any(name.startswith("eval_") for entry in again["curves"] for name in entry)
    assert manifests.read(place / "model", made_by="train")
    assert TrainingRecord.load(place / "training") == record


def test_the_learning_rates_are_those_of_the_first_at_the_same_place(both) -> None:
    _, record, _, _ = both
    rates = {
        (entry["step"] - 1) / 44: entry["learning_rate"] for entry in record.refit["curves"] if "learning_rate" in entry
    }
    assert len(rates) > 1
    for place, rate in rates.items():
        assert rate == pytest.approx(3e-3 * (1 - place))


def test_the_temperature_is_that_of_the_first(both, corpus) -> None:
    place, record, _, _ = both
    last = max((place / "training/refit/checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    raw, cooled = tensors(last), tensors(place / "model")
    assert torch.equal(cooled["classifier.weight"], raw["classifier.weight"] / record.temperature)
    rows = corpus.part("validation")
    first = inference.probabilities(place / "training/first", corpus.pictures_of("validation"), progress=False)
    assert fit_temperature(rows["label"], np.log(first), rows["group"]) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    "method",
    [{"trainable": "head"}, {"trainable": "lora"}, {"trainable": "head-then-all", "probe": {"epochs": 2}}, {"keep": "last"},
     {"patience": 1}, {"sampling": "balanced"}, {"streaming": True}, {"calibrate": False}],
    ids=str,
)  # fmt: skip
def test_every_method_can_be_trained_again(corpus, tmp_path, method) -> None:
    record = trained(corpus, tmp_path, method=method, training={"num_train_epochs": 2})
    assert record.refit["images"] == 42
    assert record.refit["steps"] == Chosen(record.kept_step, record.planned_steps).of(record.refit["planned_steps"])
    assert not same(tensors(tmp_path / "model"), tensors(tmp_path / "training" / "first"))


@pytest.mark.parametrize(
    ("training", "planned"),
    [({"max_steps": 10}, 14), ({"save_strategy": "best", "eval_strategy": "epoch"}, 22), ({"save_strategy": "epoch"}, 22)],
    ids=str,
)  # fmt: skip
def test_a_number_of_steps_grows_with_the_images_and_checkpoints_need_no_score(
    corpus, tmp_path, training, planned
) -> None:
    shorter = {"num_train_epochs": 2, **({} if "max_steps" in training else {"save_steps": 4}), **training}
    assert trained(corpus, tmp_path, training=shorter).refit["planned_steps"] == planned


def test_features_of_a_frozen_backbone_are_not_computed_twice(corpus, tmp_path, monkeypatch) -> None:
    from sdovis.learning import features

    seen: list[str] = []
    compute = features.compute
    monkeypatch.setattr(
        features, "compute", lambda *a, part="", **k: (seen.append(part), compute(*a, part=part, **k))[1]
    )
    trained(corpus, tmp_path, method={"trainable": "head"})
    assert seen == ["train", "validation"]


def test_labels_of_the_test_part_change_nothing(corpus_folder, tmp_path) -> None:
    shuffled = tiny.write_corpus(tmp_path / "corpus", test=3)
    records = [
        trained(Corpus.load(folder), tmp_path / name, training={"num_train_epochs": 1})
        for name, folder in (("whole", corpus_folder), ("fewer", shuffled))
    ]
    assert records[0].weights_sha256 == records[1].weights_sha256


def test_other_settings_after_the_end_begin_both_trainings_again(corpus, tmp_path) -> None:
    short = {"num_train_epochs": 1}
    first = trained(corpus, tmp_path, training=short)
    study = tiny.study("again", training=TRAINING | short | {"learning_rate": 1e-3}, method=REFIT)
    record = tiny.train(study, corpus, tmp_path, made_from={"training.learning_rate": "0.001"})
    assert record.weights_sha256 != first.weights_sha256
    fresh = tiny.train(study, corpus, tmp_path / "fresh", made_from={"training.learning_rate": "0.001"})
    assert record.weights_sha256 == fresh.weights_sha256


def test_what_the_second_training_cannot_do_is_refused_before_the_first(corpus, tmp_path) -> None:
    with pytest.raises(BadInput, match="plateau"):
        trained(corpus, tmp_path, training={"lr_scheduler_type": "reduce_lr_on_plateau"})
    assert not (tmp_path / "training" / "checkpoints").exists()


def test_parts_are_joined_as_an_array_would_be() -> None:
    rng = np.random.default_rng(0)
    grey, more = (rng.integers(0, 256, (n, 2, 2)).astype(np.uint8) for n in (3, 5))
    joined, whole = loader.Joined(grey, more), np.concatenate([grey, more])
    assert (joined.shape, joined.ndim, len(joined)) == (whole.shape, 3, 8)
    for which in ([7, 0, 3, 3, 2], slice(2, 6), slice(0, 0), slice(6, 99)):
        assert (joined[which] == whole[which]).all()
    coloured = loader.Joined(grey, np.repeat(more[..., None], 3, axis=-1))
    assert coloured.shape == (8, 2, 2, 3)
    assert (coloured[list(range(8))] == whole[..., None]).all()


def test_a_worker_is_sent_where_the_parts_lie_and_not_what_they_hold(tmp_path) -> None:
    files = []
    for n in (100, 200):
        files.append(tmp_path / f"{n}.npy")
        np.save(files[-1], np.full((n, 32, 32), n, np.uint8))
    joined = loader.Joined(*(np.load(file, mmap_mode="r") for file in files))
    sent = pickle.dumps(loader.Pictures(joined, [0] * 300))
    assert len(sent) < 10_000
    assert pickle.loads(sent).codes[[0, 299]].max(axis=(1, 2)).tolist() == [100, 200]
