"""A network is calibrated by what others, trained in its way, say of regions that they did not see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.learning import backbones, calibration, folds, training
from sdovis.learning.losses import prior
from sdovis.learning.plan import TrainingPlan
from sdovis.learning.record import TrainingRecord
from sdovis.statistics.calibration import fit_temperature, fit_temperature_and_biases

TRAINING = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "learning_rate": 3e-3}
#: Twelve epochs of thirty images: sure of what it has learned by heart.
SURE = {"num_train_epochs": 12}
IN_FOLDS = {"calibration_folds": 2}


def trained(corpus: Any, place: Path, training: Any = None, **method: Any) -> TrainingRecord:
    return tiny.train(
        tiny.study("in-folds", training=TRAINING | (training or {}), method=IN_FOLDS | method), corpus, place
    )


def judged(corpus: Any, place: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, logits and regions of all rows but the test part's, as the folds have them."""
    which = np.concatenate([rows for rows, _ in folds.dealt(corpus, 2, 5)])
    logits = np.concatenate([np.load(place / "training" / "folds" / f"{k}.npy") for k in (0, 1)])
    of = corpus.rows.iloc[which]
    return of["label"].to_numpy(), logits, of["group"].to_numpy()


def head(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    linear = backbones.reload(folder).classifier
    return linear.weight.detach(), linear.bias.detach()


@pytest.fixture(scope="module")
def refitted(corpus, tmp_path_factory) -> tuple[Path, TrainingRecord]:
    place = tmp_path_factory.mktemp("folds")
    return place, trained(corpus, place, SURE, refit="train+validation", calibration="weighted-temperature")


def test_each_region_is_judged_once_by_a_network_that_learned_from_the_others(corpus) -> None:
    seen: list[str] = []
    for rows, parts in folds.dealt(corpus, 3, 0):
        learned, held = parts.part("train")["group"], parts.part("validation")["group"]
        assert not set(learned) & set(held)
        assert held.tolist() == corpus.rows.iloc[rows]["group"].tolist()
        assert parts.part("test").equals(corpus.part("test"))
        seen += held.tolist()
    assert sorted(seen) == sorted(corpus.rows.loc[corpus.rows["split"] != "test", "group"])


def test_the_temperature_is_fitted_on_all_regions_of_both_parts(refitted, corpus) -> None:
    place, record = refitted
    labels, logits, regions = judged(corpus, place)
    assert len(labels) == 42
    assert record.temperature == pytest.approx(fit_temperature(labels, logits, regions, np.full(3, 1 / 3)), rel=1e-4)
    assert 1 < record.temperature < 19 and record.biases == {}


def test_the_network_that_is_kept_has_it_folded_in_and_those_of_the_folds_are_gone(refitted) -> None:
    place, record = refitted
    for model, raw in (("training/first", "training/checkpoints"), ("model", "training/refit/checkpoints")):
        last = max((place / raw).glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
        if model == "training/first":
            last = place / raw / f"checkpoint-{record.kept_step}"
        assert all(
            torch.equal(kept, of / record.temperature) for kept, of in zip(head(place / model), head(last), strict=True)
        )
    assert sorted(path.name for path in (place / "training" / "folds").iterdir()) == ["0.npy", "1.npy"]


@pytest.mark.parametrize("way", ["temperature", "weighted-temperature", "temperature+bias"])
def test_what_the_study_names_is_fitted_and_folded_in(way, corpus) -> None:
    study = tiny.study("in-folds", method=IN_FOLDS | {"calibration": way})
    model, _ = backbones.build(study, corpus.classes, {})
    weight, bias = (each.detach().clone() for each in (model.classifier.weight, model.classifier.bias))
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 300, p=[0.2, 0.7, 0.1])
    logits, regions = np.eye(3)[labels] + rng.normal(size=(300, 3)), np.arange(300)
    found = calibration.calibrate(model, study.method, labels.tolist(), logits, labels, regions)
    temperature, biases = fit_temperature(labels, logits, regions), np.zeros(3)
    if way == "weighted-temperature":
        temperature = fit_temperature(labels, logits, regions, np.full(3, 1 / 3))
    if way == "temperature+bias":
        temperature, biases = fit_temperature_and_biases(labels, logits, regions)
    assert found.temperature == pytest.approx(temperature)
    assert found.biases == (tuple(biases) if way == "temperature+bias" else ())
    assert torch.allclose(model.classifier.weight, weight / temperature)
    assert torch.allclose(model.classifier.bias, bias / temperature + torch.tensor(biases).float(), atol=1e-6)
    assert calibration.Scaling.of(found.temperature, dict(zip("abc", found.biases, strict=False))) == found
    assert calibration.Scaling.of(None, {}) is None


def test_a_training_that_was_killed_between_the_folds_ends_as_if_it_had_not_been(corpus, tmp_path, monkeypatch) -> None:
    whole = trained(corpus, tmp_path / "whole")
    train, begun = training.run, []

    def killed(plan: TrainingPlan, **more: Any) -> Any:
        begun.append(plan)
        if len(begun) == 3:  # the training, the first fold, the second fold
            raise KeyboardInterrupt
        return train(plan, **more)

    with monkeypatch.context() as patched:
        patched.setattr(training, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(corpus, tmp_path / "killed")
    left = tmp_path / "killed" / "training" / "folds" / "0.npy"
    when = left.stat().st_mtime_ns
    again = trained(corpus, tmp_path / "killed")
    assert left.stat().st_mtime_ns == when
    assert (again.weights_sha256, again.temperature) == (whole.weights_sha256, whole.temperature)


def test_other_settings_train_the_folds_again(corpus, tmp_path) -> None:
    study = [
        tiny.study("in-folds", training=TRAINING | {"learning_rate": rate}, method=IN_FOLDS) for rate in (3e-3, 1e-3)
    ]
    for number, each in enumerate(study):
        tiny.train(each, corpus, tmp_path / "one", made_from={"number": str(number)})
    tiny.train(study[1], corpus, tmp_path / "alone", made_from={"number": "1"})
    found = [np.load(tmp_path / place / "training" / "folds" / "0.npy") for place in ("one", "alone")]
    assert np.array_equal(*found)


def test_a_head_on_a_frozen_backbone_is_calibrated_in_folds_too(corpus, tmp_path) -> None:
    record = trained(corpus, tmp_path, SURE, trainable="head")
    labels, logits, regions = judged(corpus, tmp_path)
    assert record.temperature == pytest.approx(fit_temperature(labels, logits, regions), rel=1e-4)


def test_too_few_regions_are_refused_before_anything_is_trained(tmp_path) -> None:
    few = Corpus.load(tiny.write_corpus(tmp_path / "corpus", train=12, validation=4))
    with pytest.raises(BadInput, match=r"6 folds need as many regions of each class, and there are .*\d of complex"):
        trained(few, tmp_path, calibration_folds=6)
    assert not (tmp_path / "training" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ({"calibration_folds": 1}, "leaves nothing to train on"),
        ({"calibration": "temperature+bias"}, "more regions than a validation part has"),
        ({"calibrate": False, "calibration_folds": 2}, "no effect if calibrate = false"),
        ({"calibrate": False, "calibration": "weighted-temperature"}, "no effect if calibrate = false"),
        ({"calibration_folds": 2, "seeds": 3, "average": True}, "average makes a network of several"),
        ({"calibration_folds": 2, "streaming": True}, "would read all files"),
        ({"calibration": "platt"}, "weighted-temperature"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused_when_the_study_is_read(method, told) -> None:
    with pytest.raises(ValidationError, match=told):
        tiny.study("refused", method=method)


def test_a_study_that_does_not_ask_is_made_from_what_it_was() -> None:
    assert not any("calibration" in name for name in tiny.study("as-before").method.made_from)
    asked = tiny.study("in-folds", method=IN_FOLDS).method.made_from
    assert asked["method.calibration_folds"] == "2"


def test_with_biases_probabilities_hold_where_the_network_learned() -> None:
    shares = np.array([0.6, 0.3, 0.1])
    for name, expected in (("temperature+bias", shares), ("temperature", np.full(3, 1 / 3))):
        method = tiny.study("shares", method=IN_FOLDS | {"calibration": name}).method.model_dump()
        assert prior(method, shares) == pytest.approx(expected)
