from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from sdovis.errors import BadInput
from sdovis.learning import backbones, features, loader
from test_backbones import KINDS

CPU = torch.device("cpu")


def _built(kind: str = "vit"):
    return backbones.build(tiny.study(backbone={"config": KINDS[kind]}), tiny.CLASSES, {})


def _codes(count: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, tiny.SIZE, tiny.SIZE), dtype=np.uint8)


def _compute(model: Any, codes: np.ndarray, processor: Any, precision: str = "no") -> np.ndarray:
    return features.compute(model, codes, processor, precision=precision, batch_size=3, device=CPU)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_classifier_of_the_features_is_the_network_through_its_saved_processor(kind: str) -> None:
    from PIL import Image

    model, processor = _built(kind)
    codes = _codes()
    seen = _compute(model.train(), codes, processor)
    pictures = [Image.fromarray(each).convert("RGB") for each in codes]
    with torch.no_grad():
        logits = model(processor(images=pictures, return_tensors="pt")["pixel_values"]).logits
        of_head = features.Head(features.classifier(model))(torch.from_numpy(seen))["logits"]
    assert torch.allclose(of_head, logits, atol=1e-5)
    assert logits.std(dim=0).max() > 1e-4, "the images are told apart"


def test_in_bf16_the_features_are_near_those_in_fp32_and_not_the_same() -> None:
    model, processor = _built()
    exact, rounded = (_compute(model, _codes(), processor, precision) for precision in ("no", "bf16"))
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def _kept(
    folder: Path, model: Any, processor: Any, precision: str = "no", **codes: np.ndarray
) -> dict[str, np.ndarray]:
    return features.computed(model, codes, processor, folder, precision=precision, batch_size=4, device=CPU)


def test_features_are_computed_once_for_the_same_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = _built()
    calls: list[str] = []
    real = features.compute
    monkeypatch.setattr(features, "compute", lambda *a, **k: (calls.append(k["part"]), real(*a, **k))[1])
    parts = {"train": _codes(), "validation": _codes(3, seed=1)}
    first = _kept(tmp_path, model, processor, **parts)
    again = _kept(tmp_path, _built()[0], processor, **parts)
    assert calls == ["train", "validation"]
    assert all(np.array_equal(first[part], again[part]) for part in parts)
    with torch.no_grad():
        features.classifier(model).weight.add_(1)
    _kept(tmp_path, model, processor, **parts)
    assert len(calls) == 2, "the classifier is not the backbone"
    with torch.no_grad():
        next(model.base_model.parameters()).add_(1)
    moved = _kept(tmp_path, model, processor, **parts)
    assert len(calls) == 4 and not np.array_equal(moved["train"], first["train"])
    parts["train"] = parts["train"].copy()
    parts["train"][0, 0, 0] ^= 1
    _kept(tmp_path, model, processor, **parts)
    _kept(tmp_path, model, processor, precision="bf16", **parts)
    processor.image_mean = (0.4, 0.5, 0.5)
    _kept(tmp_path, model, processor, **parts)
    assert len(calls) == 10


def test_damaged_features_are_computed_again(tmp_path: Path) -> None:
    model, processor = _built()
    first = _kept(tmp_path, model, processor, train=_codes())
    (file,) = tmp_path.glob("*/train.npy")
    with file.open("r+b") as damaged:
        damaged.seek(200)
        damaged.write(b"\xff\xff")
    assert np.array_equal(_kept(tmp_path, model, processor, train=_codes())["train"], first["train"])


def test_a_network_without_one_linear_classifier_is_refused() -> None:
    model, _ = _built()
    model.other = torch.nn.Linear(32, 3)
    with pytest.raises(BadInput, match="has 2 linear classifiers, but one is needed"):
        features.classifier(model)


def test_a_network_that_does_more_than_its_classifier_is_refused() -> None:
    model, processor = _built()
    model.register_forward_hook(lambda module, given, out: setattr(out, "logits", out.logits * 2) or out)
    with pytest.raises(BadInput, match="has more than a linear layer"):
        _compute(model, _codes(), processor)


def test_the_trained_head_is_in_the_exported_model_and_nothing_else_moved(corpus, tmp_path: Path) -> None:
    study = tiny.study("quick", method={"trainable": "head"})
    fresh, processor = backbones.build(study, tiny.CLASSES, {})
    record = tiny.train(study, corpus, tmp_path, augmentations=frozenset({"flip_ns"}))
    model = backbones.reload(tmp_path / "model")
    before, after = fresh.state_dict(), model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "classifier.weight",
        "classifier.bias",
    }
    assert list(record.augmentations) == [] and record.trainable_parameters == 32 * 3 + 3 < record.parameters
    codes = loader.decode(corpus.pictures_of("validation"), processor)
    labels = corpus.part("validation")["label"].to_numpy()
    logits = features.Head(features.classifier(model))(torch.from_numpy(_compute(model, codes, processor)))["logits"]
    entry = next(e for e in record.curves if e.get("step") == record.kept_step and "eval_accuracy" in e)
    assert (logits.argmax(dim=1).numpy() == labels).mean() == pytest.approx(entry["eval_accuracy"])
