"""A network that is told a table beside its images: what it learns, how it is saved, who can open it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import chains
import numpy as np
import pytest
import saved_models
import tiny
import torch
from sdovis import inference
from sdovis.corpus import beside
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.learning import backbones, description, features, fusion
from sdovis.learning.description import beside_of
from sdovis.study import Study

pytestmark = pytest.mark.filterwarnings("ignore:unlike anything")
COLUMNS = {"columns": {"beside": {"logarithms": {"area": "Area"}, "categories": {"side": "Side"}}}}


@pytest.fixture(scope="module")
def told_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_corpus(tmp_path_factory.mktemp("told") / "corpus", told=True)


@pytest.fixture(scope="module")
def told(told_folder: Path) -> Corpus:
    return Corpus.load(told_folder)


def study(**method: Any) -> Study:
    return tiny.study(source=COLUMNS, method={"beside": "fusion", **method}, training={"num_train_epochs": 2})


@pytest.fixture(scope="module")
def trained(told: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trained")
    tiny.train(study(), told, place, about=description.of_corpus(told.facts))
    return place / "model"


@pytest.mark.parametrize("kind", saved_models.CONFIGS)
def test_before_it_learns_its_answers_are_the_networks_own_and_it_is_read_back_whole(kind: str, tmp_path: Path) -> None:
    model = saved_models.network(kind)
    fused = fusion.fused(model, 5)
    pictures, table = torch.rand(2, 3, saved_models.SIZE, saved_models.SIZE), torch.rand(2, 5)
    with torch.inference_mode():
        torch.testing.assert_close(fused(pictures, beside=table).logits, model(pictures).logits, rtol=0, atol=0)
        fused.beside.weight.normal_()
        fused.save_pretrained(tmp_path)
        again = backbones.reload(tmp_path)
        own = fused(pictures, beside=table).logits
        torch.testing.assert_close(again(pictures, beside=table).logits, own, rtol=0, atol=0)
    assert not torch.equal(own, model(pictures).logits)
    assert type(again).__mro__[2] is type(model)


@pytest.mark.parametrize("trainable", ["all", "head", "lora", "head-then-all"])
def test_every_method_learns_from_the_table(trainable: str, told: Corpus, tmp_path: Path) -> None:
    tiny.train(study(trainable=trainable), told, tmp_path)
    model = backbones.reload(tmp_path / "model")
    assert fusion.takes_table(model) and model.beside.weight.abs().max() > 0
    assert [each.name for each in beside_of(model.config)] == ["area", "side"]


def test_the_logits_are_those_of_one_linear_layer_on_features_and_table(trained: Path, told: Corpus) -> None:
    model = backbones.reload(trained)
    seen: list[torch.Tensor] = []
    head = features.classifier(model)
    head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    pictures, table = (
        torch.rand(5, 3, tiny.SIZE, tiny.SIZE),
        torch.from_numpy(beside.encoded(tiny.TOLD, told.rows.head(5))),
    )
    with torch.inference_mode():
        logits = model(pictures, beside=table).logits
        both = torch.cat([head.weight, model.beside.weight], dim=1)
        expected = torch.cat([seen[0], table], dim=1) @ both.T + head.bias
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_networks_that_judge_folds_are_told_the_table(told: Corpus, tmp_path: Path) -> None:
    record = tiny.train(study(calibration_folds=2), told, tmp_path)
    said = np.concatenate([np.load(file) for file in sorted((tmp_path / "training" / "folds").glob("*.npy"))])
    assert np.isfinite(said).all() and record.temperature is not None


def test_the_temperature_cools_the_table_too(told: Corpus, tmp_path: Path) -> None:
    record = tiny.train(study(trainable="head"), told, tmp_path / "cooled")
    plain = tiny.train(study(trainable="head", calibrate=False), told, tmp_path / "plain")
    assert plain.temperature is None and record.temperature not in (None, 1.0)
    warm, cool = (backbones.reload(tmp_path / name / "model").beside.weight for name in ("plain", "cooled"))
    torch.testing.assert_close(warm / record.temperature, cool)


def test_transformers_refuses_such_a_model_and_says_what_opens_it(trained: Path) -> None:
    from transformers import AutoModelForImageClassification, pipeline

    for opened in (lambda: pipeline("image-classification", model=str(trained)),
                   lambda: AutoModelForImageClassification.from_pretrained(trained)):  # fmt: skip
        with pytest.raises(ValueError, match=r"open-with-sdovis\.pipeline"):
            opened()


def test_it_is_opened_from_the_hub_by_its_id(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    commit, cache = "0" * 40, tmp_path / "models--sun--told"
    shutil.copytree(trained, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    image, values = np.full((tiny.SIZE, tiny.SIZE), 50.0), {"area": 20.0, "side": "west"}
    image[4:12, 4:12] = -400
    answers = [
        {each["label"]: each["score"] for each in classify(image, beside=values, top_k=None)}
        for classify in (inference.pipeline("sun/told", cache_dir=str(tmp_path)), inference.pipeline(trained))
    ]
    assert answers[0] == answers[1]
    assert "not supported" not in capfd.readouterr().err


def test_a_corpus_made_before_the_values_were_named_is_not_trained_on(
    corpus: Corpus, told: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"does not hold the values that.*run sdovis prepare"):
        tiny.train(study(), corpus, tmp_path / "before")
    other = tiny.study(source={"columns": {"beside": {"numbers": {"area": "Area"}}}}, method={"beside": "fusion"})
    with pytest.raises(BadInput, match="run sdovis prepare"):
        tiny.train(other, told, tmp_path / "other")


def test_nothing_answers_without_the_table(trained: Path, told: Corpus) -> None:
    with pytest.raises(BadInput, match="told values beside the image"):
        backbones.reload(trained)(torch.rand(1, 3, tiny.SIZE, tiny.SIZE))
    with pytest.raises(BadInput, match="told values beside the image"):
        inference.scored(trained, told.pictures_of("test"), progress=False)


def test_a_training_part_is_all_that_a_missing_value_is_made_of(trained: Path) -> None:
    said = json.loads((trained / "config.json").read_text())["sdovis"]["beside"]
    assert [each["name"] for each in said] == ["area", "side"]
    assert said[0] | {"median": 20.0, "missing": 0.2, "kind": "logarithm"} == said[0]
    assert said[1]["categories"] == ["east", "west"]


def test_killed_between_two_steps_it_ends_with_the_same_weights(told_folder: Path, tmp_path: Path) -> None:
    training = {
        "num_train_epochs": 2, "per_device_train_batch_size": 4, "save_steps": 3, "disable_tqdm": True,
        "gradient_accumulation_steps": 2, "learning_rate": 3e-3,
    }  # fmt: skip
    job = {
        "corpus": str(told_folder),
        "study": {"source": COLUMNS, "method": {"beside": "fusion"}, "training": training},
    }
    step = "sdovis.learning.trainer:ExactTrainer.training_step"
    names = {"whole": [job], "killed": [job | {"kill": [step, "before", 10]}, job]}
    statuses, errors = chains.run(
        tmp_path, [{"name": n, "folder": str(tmp_path / n), "jobs": jobs} for n, jobs in names.items()], timeout=240
    )
    assert statuses == {"whole": [0], "killed": [9, 0]}, errors
    whole, killed = (json.loads((tmp_path / name / "end.json").read_text()) for name in names)
    assert killed == whole


def test_another_networks_table_is_not_taken_for_its_own(trained: Path, told: Corpus) -> None:
    renamed = told.rows.rename(columns={"beside_area": "beside_areas"})
    with pytest.raises(BadInput, match=r"no column beside_area; did you mean 'beside_areas'"):
        beside.encoded(beside_of(backbones.load_config(trained)), renamed)


def test_labels_that_the_table_tells_are_learned_from_it(told: Corpus, tmp_path: Path) -> None:
    """The area tells the classes of pictures that the network is not yet able to tell."""
    tiny.train(study(trainable="head"), told, tmp_path)
    model = backbones.reload(tmp_path / "model")
    weight = model.beside.weight.detach().numpy()
    assert weight[2, 0] > weight[0, 0]  # a larger area speaks for the complex class
    assert np.isfinite(weight).all()
