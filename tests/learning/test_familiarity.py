"""A trained model knows what is unlike its training pictures, and keeps that knowledge with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from safetensors.numpy import load_file, save_file
from sdovis import inference
from sdovis.errors import BadInput
from sdovis.learning import backbones, description, familiarity, known, loader
from sdovis.learning.seen import Seen, seen
from sdovis.statistics.unfamiliarity import Mahalanobis

TRAINING = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def model(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sdovis.corpus.build import Corpus

    folder = tmp_path_factory.mktemp("familiar")
    tiny.train(tiny.study("familiar", training=TRAINING), Corpus.load(corpus_folder), folder)
    return folder / "model"


def of(model: Path, pictures: list[np.ndarray]) -> np.ndarray:
    return inference.scored(model, [tiny.png(each) for each in pictures], progress=False).unfamiliarity


def test_pictures_of_the_test_part_are_familiar_and_noise_is_not(model: Path, corpus) -> None:
    known = inference.scored(model, corpus.pictures_of("test"), progress=False).unfamiliarity
    noise = np.random.default_rng(0).integers(0, 256, (5, tiny.SIZE, tiny.SIZE), dtype=np.uint8)
    assert (known < 1).mean() > 0.8
    assert (of(model, list(noise)) > 1).all()


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_page_of_one_level_is_unfamiliar(model: Path, level: int) -> None:
    assert of(model, [np.full((tiny.SIZE, tiny.SIZE), level, np.uint8)])[0] > 1


def test_the_pipeline_says_the_same_number_in_words(model: Path) -> None:
    from PIL import Image

    page = np.full((tiny.SIZE, tiny.SIZE), 250, np.uint8)
    page[3:5, 4:9] = 0
    with pytest.warns(inference.Unfamiliar, match="unlike anything this model was trained on"):
        answers = inference.pipeline(model)([Image.fromarray(page)] * 3, batch_size=2)
    expected = of(model, [page])[0]
    assert [each.unfamiliarity for each in answers] == pytest.approx([expected] * 3, rel=1e-4)
    assert all("do not use the answer" in each.caution for each in answers)


def test_a_familiar_picture_gets_no_warning_and_the_stock_answer(model: Path, corpus, recwarn) -> None:
    import io

    from PIL import Image
    from transformers import pipeline

    scores = inference.scored(model, corpus.pictures_of("train"), progress=False).unfamiliarity
    picture = Image.open(io.BytesIO(corpus.pictures_of("train")[int(scores.argmin())]))
    answer = inference.pipeline(model)(picture)
    assert (answer.caution, [w for w in recwarn if w.category is inference.Unfamiliar]) == ("", [])
    stock = pipeline("image-classification", model=str(model))(picture)
    assert [each["label"] for each in answer] == [each["label"] for each in stock]
    assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in stock], abs=1e-6)


def copied(model: Path, folder: Path, **changes: object) -> Path:
    """A copy of the model with other entries in the section of config.json."""
    import shutil

    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["sdovis"]["familiarity"] |= changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_an_older_model_opens_and_says_nothing(model: Path, tmp_path: Path, recwarn) -> None:
    from PIL import Image

    older = copied(model, tmp_path / "older")
    config = json.loads((older / "config.json").read_text())
    del config["sdovis"]["familiarity"]
    (older / "config.json").write_text(json.dumps(config))
    (older / familiarity.FILE).unlink()
    noise = np.random.default_rng(0).integers(0, 256, (tiny.SIZE, tiny.SIZE), dtype=np.uint8)
    answer = inference.pipeline(older)(Image.fromarray(noise))
    assert (answer.unfamiliarity, answer.caution) == (None, "")
    assert not [w for w in recwarn if w.category is inference.Unfamiliar]
    assert inference.scored(older, [tiny.png(noise)], progress=False).unfamiliarity is None


def test_a_newer_section_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="knows formats only up to 1"):
        inference.pipeline(copied(model, tmp_path / "newer", format=99))


@pytest.mark.parametrize("harm", ["gone", "cut", "another's"])
def test_a_lost_or_wrong_file_is_told(model: Path, tmp_path: Path, harm: str) -> None:
    file = copied(model, tmp_path / "harmed") / familiarity.FILE
    if harm == "gone":
        file.unlink()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        save_file({name: array + 1 for name, array in load_file(file).items()}, file)
    with pytest.raises(BadInput, match=r"familiarity\.safetensors: (is missing|is damaged)"):
        inference.pipeline(tmp_path / "harmed")


def test_a_model_of_the_hub_brings_what_it_knows_at_its_revision(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Hub's cache without a network: `main` holds another model's file."""
    from huggingface_hub import constants

    cache, pins = tmp_path / "models--org--tiny", {"main": "0" * 40, "r-1": "1" * 40}
    for name, commit in pins.items():
        copied(model, cache / "snapshots" / commit)
        (cache / "refs").mkdir(exist_ok=True)
        (cache / "refs" / name).write_text(commit)
    (cache / "snapshots" / pins["main"] / familiarity.FILE).write_bytes(b"another's")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    opened = inference.pipeline("org/tiny", revision="r-1", model_kwargs={"cache_dir": str(tmp_path)})
    assert opened.familiarity is not None
    with pytest.raises(BadInput, match="belongs to another model"):
        inference.pipeline("org/tiny", model_kwargs={"cache_dir": str(tmp_path)})


WHOLE = {"kind": "mahalanobis", "limit": 2.0, "regions": 9, "supported_rate": 0.1, "auroc": {}}


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": {"texture": {"kind": "mahalanobis"}}},
        {"limits": {}},
        {"limits": {"features": WHOLE}},
        {"limits": {"texture": WHOLE, "colour": WHOLE}},
        {"limits": {"texture": WHOLE | {"limit": 0.0}}},
        {"limits": {"texture": WHOLE | {"limit": "near"}}},
        {"rate": None},
    ],
    ids=["half", "empty", "no texture", "unknown", "zero", "text", "no rate"],
)
def test_a_section_that_is_damaged_is_told(model: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="familiarity is damaged"):
        inference.pipeline(copied(model, tmp_path / "harmed", **changes))


@pytest.mark.parametrize("trainable", ["head", "lora"])
def test_other_methods_know_it_too(corpus, tmp_path: Path, trainable: str) -> None:
    tiny.train(tiny.study(trainable, training=TRAINING, method={"trainable": trainable}), corpus, tmp_path)
    found = description.familiarity_of(backbones.load_config(tmp_path / "model"), tmp_path / "model")
    assert found is not None
    assert set(found.limits) == {"texture", "features"}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures a network is shown after its training, pass by pass."""
    passes: list[int] = []

    def counted(model, codes, processor, *, rows=None, **where):
        passes.append(len(codes) if rows is None else len(rows))
        return seen(model, codes, processor, rows=rows, **where)

    monkeypatch.setattr(known, "seen", counted)
    return passes


def test_features_that_a_frozen_body_gave_in_training_are_not_computed_again(
    corpus, tmp_path: Path, shown: list[int]
) -> None:
    tiny.train(tiny.study("once", training=TRAINING, method={"trainable": "head"}), corpus, tmp_path)
    assert shown == [shown[0]]  # the strange pictures alone
    assert shown[0] < 20 * known.EACH


def test_of_many_training_pictures_some_are_enough(
    corpus, tmp_path: Path, shown: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST", 11)
    tiny.train(tiny.study("some", training=TRAINING), corpus, tmp_path)
    assert shown[0] == 11


def test_three_channels_are_looked_at_one_by_one(tmp_path: Path) -> None:
    from sdovis.corpus.build import Corpus

    corpus = Corpus.load(tiny.write_corpus(tmp_path / "corpus", colours=3))
    tiny.train(tiny.study("three", training=TRAINING), corpus, tmp_path)
    pictures = corpus.pictures_of("test")
    known = inference.scored(tmp_path / "model", pictures, progress=False).unfamiliarity
    codes = loader.decode(pictures, backbones.load_processor(tmp_path / "model"))
    noisy = codes.copy()
    noisy[..., 1] = np.random.default_rng(0).integers(0, 256, codes.shape[:3])
    assert (of(tmp_path / "model", list(noisy)) > known).all()


def crafted(seed: int, regions: int = 40) -> Seen:
    """Four alike pictures of each region; those of the first lie far out."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(regions, 18))
    level[0] += 8
    looks = np.repeat(level, 4, axis=0) + 0.01 * rng.normal(size=(4 * regions, 18))
    return Seen(np.empty(0), None, looks)


def test_a_training_picture_is_measured_by_a_fit_that_has_not_seen_its_region() -> None:
    training, names = crafted(0), [f"AR {i // 4}" for i in range(160)]
    found = familiarity.fitted(
        training, names, crafted(1), [f"later {i // 4}" for i in range(160)], training, names, seed=0
    )
    within = Mahalanobis.fitted(training.texture).of(np.concatenate([training.texture, crafted(1).texture]))
    assert found.limits["texture"].limit > 1.3 * within.max()
    assert found.limits["texture"].regions == 80


def test_without_features_only_texture_counts_and_with_too_few_regions_it_says_so() -> None:
    names = [f"AR {i // 4}" for i in range(160)]
    found = familiarity.fitted(crafted(0), names, crafted(1), names, crafted(2), names, seed=0)
    assert set(found.limits) == {"texture"}
    assert found.limits["texture"].supported_rate == pytest.approx(1 / 41)
    assert found.of(None, crafted(1).texture).max() <= 1


@pytest.mark.parametrize(
    ("unfamiliarity", "said"), [(1.0, ""), (1.04, "1.0 times"), (2.34, "2.3 times"), (1e9, "far beyond")]
)
def test_it_is_said_in_words(unfamiliarity: float, said: str) -> None:
    assert said in familiarity.caution(unfamiliarity)
    assert bool(familiarity.caution(unfamiliarity)) == (unfamiliarity > 1)
