"""Pipeline, `sdovis predict` and page say the same of a picture that is unlike the training pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from saved_models import SIZE, save_model
from sdovis import inference
from sdovis.cli import run_command
from sdovis.learning import backbones, familiarity
from sdovis.learning.seen import seen
from sdovis.webapp.classifier import Classifier

UNLIKE = "unlike anything this model was trained on"


def smooth(count: int, seed: int) -> np.ndarray:
    """Pictures of a soft field, (N, SIZE, SIZE)."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(0, 1, (count, SIZE, SIZE))
    soft = np.array([gaussian_filter(each, 3) for each in noise])
    return np.clip(128 + 40 * soft / soft.std(axis=(1, 2), keepdims=True), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def knowing_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows soft fields."""
    folder = save_model(tmp_path_factory.mktemp("knowing") / "model")
    model, processor = backbones.reload(folder), backbones.load_processor(folder)
    where = {"batch_size": 32, "device": torch.device("cpu")}
    noise = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE), dtype=np.uint8)
    parts = [seen(model, codes, processor, **where) for codes in (smooth(150, 1), smooth(150, 2), noise)]
    regions = [[f"{part}{i}" for i in range(150)] for part in "ab"]
    known = familiarity.fitted(parts[0], regions[0], parts[1], regions[1], parts[2], ["noise"] * 4, seed=0)
    config = json.loads((folder / "config.json").read_text())
    config["sdovis"]["familiarity"] = known.save(folder)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A soft field, and noise, as sdovis saves pictures."""
    noise = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    found = {"soft": tmp_path / "soft.png", "noise": tmp_path / "noise.png"}
    Image.fromarray(smooth(1, 9)[0]).save(found["soft"])
    Image.fromarray(noise).save(found["noise"])
    return found


def test_predict_says_it_in_a_last_field(knowing_model: Path, files: dict[str, Path], capfd) -> None:
    assert run_command(["predict", str(knowing_model), str(files["soft"]), str(files["noise"])]) == 0
    said = capfd.readouterr()
    soft, noise = (line.split("\t") for line in said.out.splitlines())
    assert len(noise) == len(soft) + 1
    assert noise[-1].startswith(UNLIKE)
    assert "do not use the answer" in noise[-1]
    assert UNLIKE not in said.err  # once is enough


def test_the_page_says_it_before_all_else(knowing_model: Path, files: dict[str, Path]) -> None:
    classifier = Classifier(knowing_model)
    assert not [note for note in classifier.answer(files["soft"]).notes if UNLIKE in note]
    assert classifier.answer(files["noise"]).notes[0].startswith(f"This image is {UNLIKE}")


def test_all_of_them_have_one_number(knowing_model: Path, files: dict[str, Path], capfd) -> None:
    with pytest.warns(inference.Unfamiliar):
        answer = inference.pipeline(knowing_model)(str(files["noise"]))
    scored = inference.scored(knowing_model, [files["noise"].read_bytes()], progress=False).unfamiliarity
    assert scored == pytest.approx([answer.unfamiliarity], rel=1e-4)
    run_command(["predict", str(knowing_model), str(files["noise"])])
    assert answer.caution in capfd.readouterr().out
    assert answer.caution in Classifier(knowing_model).answer(files["noise"]).notes[0]


def test_no_second_pass_through_the_network_is_needed(knowing_model: Path, files: dict[str, Path]) -> None:
    classify = inference.pipeline(knowing_model)
    passes: list[int] = []
    classify.model.register_forward_hook(lambda *_: passes.append(1))
    assert classify(str(files["soft"])).unfamiliarity is not None
    assert len(passes) == 1


def test_a_model_that_cannot_tell_says_nothing(magnetogram_model: Path, files: dict[str, Path], capfd) -> None:
    assert run_command(["predict", str(magnetogram_model), str(files["noise"])]) == 0
    assert "unlike" not in capfd.readouterr().out
    assert not [note for note in Classifier(magnetogram_model).answer(files["noise"]).notes if "unlike" in note]
