"""Several seeds become one network with the mean of their weights, and the stock pipeline opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from scipy.special import softmax
from sdovis import inference, manifests
from sdovis.learning import backbones, seeds
from sdovis.learning.averaging import average, greedy, mean
from sdovis.learning.plan import first_folder
from sdovis.learning.record import TrainingRecord
from sdovis.statistics import skill
from sdovis.statistics.calibration import fit_temperature

SHORT = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def backbone(corpus, tmp_path_factory) -> Path:
    """A network to begin from."""
    place = tmp_path_factory.mktemp("backbone")
    tiny.train(tiny.study("before", training=SHORT), corpus, place)
    return place / "model"


def averaged(corpus, backbone: Path, place: Path, **method: Any) -> tuple[TrainingRecord, list[Path]]:
    """Three seeds, averaged in ``place``: the record, and the model folders of the seeds."""
    study = tiny.study(
        "mean", training=SHORT, backbone={"id": str(backbone)}, method=method | {"seeds": 3, "average": True}
    )
    records = [
        tiny.train(one, corpus, place / "seeds" / str(one.study.seed), shared=place / "cache")
        for one in seeds.studies(study)
    ]
    record = average(study, corpus, records, place, place / "cache", {"corpus": "1"})
    return record, [place / "seeds" / str(each.seed) / "model" for each in records]


def logits(folder: Path, pictures: list[bytes]) -> np.ndarray:
    """Up to a constant for each image."""
    found = np.log(inference.probabilities(folder, pictures, progress=False))
    return found - found.mean(axis=1, keepdims=True)


def test_heads_on_a_frozen_backbone_give_the_mean_of_their_logits(corpus, backbone, tmp_path) -> None:
    record, folders = averaged(corpus, backbone, tmp_path, trainable="head")
    pictures = corpus.pictures_of("test")
    each = np.stack([logits(folder, pictures) for folder in folders])
    assert logits(tmp_path / "model", pictures) == pytest.approx(each.mean(axis=0) / record.temperature, abs=1e-4)
    assert np.abs(each - each.mean(axis=0)).max() > 1e-3, "the seeds differ"
    assert record.seeds["averaged"] == [5, 6, 7]
    bodies = [backbones.reload(folder).state_dict() for folder in (*folders, tmp_path / "model")]
    for name in (name for name in bodies[0] if not name.startswith("classifier.")):
        assert all(torch.equal(body[name], bodies[0][name]) for body in bodies), name


def test_the_mean_is_calibrated_and_an_ordinary_model_folder(corpus, backbone, tmp_path) -> None:
    from transformers import pipeline

    record, _ = averaged(corpus, backbone, tmp_path, trainable="head")
    rows = corpus.part("validation")
    ours = inference.probabilities(tmp_path / "model", corpus.pictures_of("validation"), progress=False)
    assert fit_temperature(rows["label"], np.log(ours), rows["group"]) == pytest.approx(1, rel=1e-3)
    assert manifests.finished(tmp_path / "model", {"corpus": "1"})
    assert TrainingRecord.load(tmp_path / "training") == record
    matrix = skill.confusion(rows["label"], ours.argmax(axis=1), 3)
    assert record.seeds["average"]["balanced_accuracy"] == pytest.approx(float(skill.balanced_accuracy(matrix)))
    assert pipeline("image-classification", model=str(tmp_path / "model")).model.config.num_labels == 3


def test_fine_tuned_networks_become_a_soup_that_is_no_worse_on_validation_than_the_best_of_them(
    corpus, backbone, tmp_path
) -> None:
    record, folders = averaged(corpus, backbone, tmp_path, keep_by="loss")
    members = record.seeds["averaged"]
    assert record.seeds["chosen"] in members
    expected = mean(
        [tmp_path / "seeds" / str(seed) / "model" for seed in [record.seeds["chosen"], *members]]
    ).state_dict()
    assert set(expected) == set(backbones.reload(tmp_path / "model").state_dict())
    pictures, rows = corpus.pictures_of("validation"), corpus.part("validation")

    def loss(folder: Path, temperature: float = 1.0) -> float:
        p = softmax(logits(folder, pictures) * temperature, axis=1)
        weights = np.array([*record.class_weights.values()])[rows["label"]]
        return float(-(weights * np.log(p[np.arange(len(rows)), rows["label"]])).mean())

    assert record.seeds["average"]["loss"] == pytest.approx(loss(tmp_path / "model", record.temperature), rel=1e-3)
    best = tmp_path / "seeds" / str(record.seeds["chosen"]) / "model"
    assert record.seeds["average"]["loss"] <= loss(best) + 1e-6
    assert len(folders) == 3


def test_seeds_that_were_trained_again_are_averaged_as_they_are_then(corpus, backbone, tmp_path) -> None:
    record, folders = averaged(corpus, backbone, tmp_path, trainable="head", refit="train+validation")
    pictures = corpus.pictures_of("test")
    for of, network in ((folders, tmp_path / "model"), (map(first_folder, folders), first_folder(tmp_path / "model"))):
        each = np.mean([logits(folder, pictures) for folder in of], axis=0)
        assert logits(network, pictures) == pytest.approx(each / record.temperature, abs=1e-4)
    assert record.refit["images"] == 42


@pytest.mark.parametrize(
    ("scores", "members"),
    [
        ({(1,): 0.5, (1, 2): 0.6, (1, 2, 3): 0.55}, [1, 2]),
        ({(1,): 0.5, (1, 2): 0.4, (1, 3): 0.5}, [1, 3]),
        ({(1,): 0.5, (1, 2): 0.4, (1, 3): 0.3}, [1]),
    ],
)
def test_one_is_added_if_the_mean_does_not_become_worse(scores, members) -> None:
    assert greedy([1, 2, 3], lambda some: scores[tuple(some)]) == members


def test_the_mean_is_that_of_every_tensor(corpus, backbone, tmp_path) -> None:
    _, folders = averaged(corpus, backbone, tmp_path)
    states = [backbones.reload(folder).state_dict() for folder in folders]
    for name, tensor in mean(folders).state_dict().items():
        assert torch.allclose(tensor, sum(state[name] for state in states) / 3, atol=1e-7), name


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"method": {"average": True}, "backbone": {"id": "facebook/dinov2-small"}}, "average needs several seeds"),
        ({"method": {"average": True, "seeds": 2}}, "begin with different random weights cannot be averaged"),
    ],
)
def test_what_cannot_be_averaged_is_refused_when_the_study_is_read(sections, line) -> None:
    with pytest.raises(ValidationError, match=line):
        tiny.study(**sections)
