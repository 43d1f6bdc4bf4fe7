"""A temperature is fitted on the validation part and folded into the classifier, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from scipy.special import softmax
from sdovis import inference
from sdovis.learning import backbones
from sdovis.learning.record import TrainingRecord
from sdovis.statistics.calibration import fit_temperature

#: Twelve epochs of thirty images: sure of what it has learned by heart.
SURE = {"num_train_epochs": 12, "per_device_train_batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture
def trained(corpus, tmp_path: Path) -> Callable[..., TrainingRecord]:
    """Trains a tiny study in ``tmp_path``."""
    return lambda kind="vit", **changes: tiny.train(
        tiny.study("sure", kind, **{"training": SURE} | changes), corpus, tmp_path
    )


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_the_saved_network_is_the_trained_one_with_its_classifier_divided(
    trained, corpus, tmp_path: Path, kind
) -> None:
    record = trained(kind=kind)
    model = backbones.reload(tmp_path / "model")
    raw = backbones.reload(tmp_path / "training" / "checkpoints" / f"checkpoint-{record.kept_step}")
    assert record.temperature not in (None, 1.0)
    for name, tensor in raw.state_dict().items():
        expected = tensor / record.temperature if name.startswith("classifier.") else tensor
        assert torch.equal(model.state_dict()[name], expected), name
    pictures = corpus.pictures_of("validation")
    ours = inference.probabilities(tmp_path / "model", pictures, progress=False)
    logits = np.log(inference.probabilities(raw.name_or_path, pictures, progress=False))
    assert ours == pytest.approx(softmax(logits / record.temperature, axis=1), abs=1e-5)
    assert (ours.argmax(axis=1) == logits.argmax(axis=1)).all()
    rows = corpus.part("validation")
    assert record.temperature == pytest.approx(fit_temperature(rows["label"], logits, rows["group"]), rel=1e-3)
    # After it there is nothing left to gain.
    assert fit_temperature(rows["label"], np.log(ours), rows["group"]) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("trainable", ["head", "lora"])
def test_other_methods_are_calibrated_too(trained, corpus, tmp_path: Path, trainable) -> None:
    record = trained(method={"trainable": trainable})
    rows = corpus.part("validation")
    ours = inference.probabilities(tmp_path / "model", corpus.pictures_of("validation"), progress=False)
    assert record.temperature is not None
    assert fit_temperature(rows["label"], np.log(ours), rows["group"]) == pytest.approx(1, rel=1e-3)


def test_it_is_fitted_to_what_the_saved_network_says_whatever_precision_it_was_trained_in(
    trained, corpus, tmp_path
) -> None:
    record = trained(training=SURE | {"bf16": True})
    rows = corpus.part("validation")
    ours = inference.probabilities(tmp_path / "model", corpus.pictures_of("validation"), progress=False)
    assert record.precision == "bf16"
    assert fit_temperature(rows["label"], np.log(ours), rows["group"]) == pytest.approx(1, rel=1e-4)


def test_a_study_can_do_without(trained) -> None:
    assert trained(method={"calibrate": False}).temperature is None
