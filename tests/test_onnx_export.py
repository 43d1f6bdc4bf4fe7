"""`sdovis export --to onnx`: the same answers from onnxruntime, on the card, in the release, and never of another model."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import saved_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from releases import finished_run  # noqa: F401  fixture
from runs import Run, remade
from sdovis import inference, manifests, stages
from sdovis import study as studies
from sdovis.cards import card, templates
from sdovis.cards import verify as cards
from sdovis.cards.engines import engines
from sdovis.cards.facts import gather
from sdovis.cli import run_command
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.evaluation import parity
from sdovis.evaluation.facts import Resampling
from sdovis.inference import onnx
from sdovis.release import assembly, sbom
from sdovis.release.private import Private
from studies import ROOT

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
BOOTSTRAP = Resampling("region", 100, 0.95, 0)


@pytest.fixture(scope="module")
def exported(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:  # noqa: F811
    """A copy of the small run, its model exported. Do not write into it."""
    folder = tmp_path_factory.mktemp("exported") / "small"
    shutil.copytree(finished_run.folder, folder)
    shutil.copytree(finished_run.folder.parents[1] / "data", folder.parents[1] / "data", dirs_exist_ok=True)
    assert run_command(["export", str(folder), "--to", "onnx"]) == 0
    return Run(folder, gather(studies.load(folder / "study.toml"), folder))


@pytest.fixture
def run(exported: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of it, to be changed at will."""
    shutil.copytree(exported.folder, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    return dataclasses.replace(exported, folder=tmp_path / "runs" / "small")


def _codes(count: int, *, colours: int = 1) -> np.ndarray:
    shape = (count, saved_models.SIZE, saved_models.SIZE, *((colours,) if colours > 1 else ()))
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="module", params=["dinov2", "swin"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a network with weights far from zero, exported."""
    folder = saved_models.save_model(tmp_path_factory.mktemp(request.param) / "model", kind=request.param)
    (folder / onnx.FOLDER).mkdir()
    onnx.export(folder, folder / onnx.FOLDER)
    return folder


@pytest.mark.parametrize(("count", "colours"), [(1, 1), (2, 3), (5, 1)])
def test_any_number_of_pictures_is_answered_as_torch_does(network: Path, count: int, colours: int) -> None:
    codes = _codes(count, colours=colours)
    told = inference.TorchEngine(network).scored(codes).probabilities
    assert np.ptp(told[:, 0]) > 0 or count == 1  # the pictures are told apart
    assert np.abs(onnx.OnnxEngine(network).scored(codes).probabilities - told).max() < 1e-5
    assert np.abs(onnx.OnnxEngine(network, int8=True).scored(codes).probabilities - told).max() < 0.1


def test_no_attention_is_masked_by_zeros(network: Path) -> None:
    import onnx as onnx_format

    written = onnx_format.load(network / "onnx" / onnx.FP32).graph
    softmax = {node.input[0] for node in written.node if node.op_type == "Softmax"}
    added = {node.output[0] for node in written.node if node.op_type == "Add"}
    if json.loads((network / "config.json").read_text())["model_type"] == "swin":
        pytest.skip("swin adds biases of position to its attention")
    assert softmax and not softmax & added


def test_an_answer_does_not_depend_on_what_else_is_asked(network: Path) -> None:
    """Bright pictures beside dark ones would change the scale of all in 8 bits."""
    codes = np.concatenate([_codes(2), np.full_like(_codes(1), 255), _codes(1) // 64])
    engine = onnx.OnnxEngine(network, int8=True)
    alone = [engine.scored(codes[i : i + 1]).probabilities for i in range(len(codes))]
    assert (engine.scored(codes).probabilities == np.concatenate(alone)).all()


def test_the_features_that_the_classifier_is_given_come_out_beside_the_logits(network: Path) -> None:
    found = onnx.OnnxEngine(network).run(np.zeros((2, 3, saved_models.SIZE, saved_models.SIZE), np.float32))
    assert [*found] == ["logits", "features"]
    assert found["features"].ndim == 2


def test_what_is_unfamiliar_is_so_to_every_engine(exported: Run) -> None:
    model = exported.folder / "model"
    noise = np.random.default_rng(1).integers(0, 256, (3, 96, 96)).astype(np.uint8)
    told = inference.TorchEngine(model).scored(noise).unfamiliarity
    assert told is not None and (told > 1).all()
    assert onnx.OnnxEngine(model).scored(noise).unfamiliarity == pytest.approx(told, rel=1e-3)
    assert (onnx.OnnxEngine(model, int8=True).scored(noise).unfamiliarity > 1).all()


def test_the_export_was_tested_on_the_test_part(exported: Run) -> None:
    found = exported.facts.parity
    assert found is not None
    assert (found.rows, found.regions) == (exported.facts.scores.rows, exported.facts.scores.regions)
    assert found.torch == exported.facts.scores.model["balanced-accuracy"]
    assert found.engines["onnx"].largest_difference < 1e-5
    assert found.engines["onnx"].same_class == found.engines["onnx"].same_caution == found.rows
    assert {*found.engines} == {"onnx", "onnx-int8"}


def test_the_same_model_gives_the_same_bytes_and_names_no_folder_of_this_machine(exported: Run, tmp_path: Path) -> None:
    model = exported.folder / "model"
    assert onnx.export(model, tmp_path) == onnx.Exported.load(model / onnx.FOLDER)
    written = b"".join(path.read_bytes() for path in (model / onnx.FOLDER).glob("*.onnx"))
    for place in (Path(onnx.__file__).parent, Path(sys.prefix), Path(np.__file__).parent.parent, exported.folder):
        assert str(place).encode() not in written
    assert Private((exported.folder,)).problems(model / onnx.FOLDER) == []


def test_what_torch_notes_of_its_sources_would_be_found_in_a_release(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a" + f'File "{Path.home()}/work/model.py", line 1'.encode())
    assert [problem.file for problem in Private().problems(tmp_path)] == ["model.onnx"]


def test_an_export_leaves_model_and_scores_as_they_are_and_is_done_once(run: Run) -> None:
    study = studies.load(run.folder / "study.toml")
    said: list[str] = []
    stages.export(study, stages.Folders(run.folder), said.append)
    stages.evaluate(study, stages.Folders(run.folder), said.append)
    assert said == ["export: nothing changed, keeping the ONNX files", "evaluate: nothing changed, keeping the scores"]


def test_a_killed_export_does_not_damage_the_model(run: Run) -> None:
    before = manifests.read(run.folder / "model", made_by="train").digest
    (run.folder / "model" / ".onnx-abc").mkdir()
    (run.folder / "model" / ".onnx-abc" / "model.onnx").write_bytes(b"half")
    assert manifests.read(run.folder / "model", made_by="train").digest == before
    (run.folder / "model" / "more.bin").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"more\.bin changed"):
        manifests.read(run.folder / "model", made_by="train")


def _other_weights(model: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    save_file({k: v * 2 for k, v in weights.items()}, model / "model.safetensors", metadata={"format": "pt"})


def _other_processor(model: Path) -> None:
    said = json.loads((model / "preprocessor_config.json").read_text())
    (model / "preprocessor_config.json").write_text(json.dumps(said | {"image_mean": [0.4, 0.4, 0.4]}))


def _other_classes(model: Path) -> None:
    said = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(said | {"id2label": {"0": "b", "1": "a", "2": "c"}}))


def _exchanged(model: Path) -> None:
    shutil.copyfile(model / "onnx" / onnx.INT8, model / "onnx" / onnx.FP32)


def _cut_off(model: Path) -> None:
    file = model / "onnx" / onnx.FP32
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_other_weights, "another model"),
        (_other_processor, "another model"),
        (_other_classes, "another model"),
        (_exchanged, "damaged"),
        (_cut_off, "damaged"),
        (lambda model: (model / "onnx" / onnx.FP32).unlink(), "not exported"),
        (lambda model: (model / "onnx" / onnx.EXPORTED).unlink(), "export"),
    ],
)
def test_a_file_that_is_not_of_this_model_is_refused(run: Run, change, told: str) -> None:
    change(run.folder / "model")
    with pytest.raises(BadInput, match=told):
        onnx.OnnxEngine(run.folder / "model")


def test_without_the_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match=r"onnxruntime, which is not installed; pip install 'sdovis\[onnx\]'"):
        onnx.OnnxEngine(run.folder / "model")


@pytest.mark.parametrize("named", ["model", "elsewhere", "."])
def test_only_a_run_can_be_exported(run: Run, tmp_path: Path, named: str, capsys) -> None:
    """A model folder that was copied out of its run has no corpus to be tested on."""
    shutil.copytree(run.folder / "model", tmp_path / "model")
    assert run_command(["export", str(tmp_path / named), "--to", "onnx"]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_a_network_that_answers_otherwise_in_onnx_is_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(run.folder / parity.FOLDER)
    monkeypatch.setattr(onnx.OnnxEngine, "scored", lambda self, codes: _reversed(inference.TorchEngine, run, codes))
    with pytest.raises(BadInput, match="which is no rounding"):
        parity.export(studies.load(run.folder / "study.toml"), Corpus.load(run.folder / "corpus"), run.folder / "model")
    assert not (run.folder / parity.FOLDER).exists()
    manifests.read(run.folder / "model", made_by="train")


def _reversed(engine, run: Run, codes: np.ndarray) -> inference.Scored:
    told = engine(run.folder / "model").scored(codes)
    return inference.Scored(np.roll(told.probabilities, 1, axis=1), told.unfamiliarity)


def test_more_weights_than_one_file_holds_are_refused(run: Run, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx, "MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="do not fit into one ONNX file"):
        onnx.export(run.folder / "model", tmp_path)


# --- card, verify, release --------------------------------------------------------------------------------------------


def _carded(run: Run) -> Run:
    study = studies.load(run.folder / "study.toml")
    facts = gather(study, run.folder)
    card.write(facts, run.folder, templates.load(None))
    return dataclasses.replace(run, facts=facts)


def test_the_card_tells_what_the_files_answer_and_verify_computes_it_again(run: Run) -> None:
    run = _carded(run)
    text = (run.folder / "cards" / "model" / "README.md").read_text()
    assert "### Other engines" in text and "(opset 20, any number of images at a time)" in text
    assert cards.verify(run.folder) == []


def test_an_answer_changed_in_the_table_is_found(run: Run) -> None:
    run = _carded(run)
    folder = run.folder / parity.FOLDER
    table = pd.read_parquet(folder / parity.TABLE)
    first = table.index[table["engine"] == "onnx-int8"][0]
    table.loc[first, ["prob_alpha", "prob_beta", "prob_complex"]] = [0.0, 0.0, 1.0]
    changed = io.BytesIO()
    table.to_parquet(changed, index=False)
    remade(folder, {parity.TABLE: changed.getvalue()})
    assert any("onnx/model_quantized.onnx" in found.printed for found in cards.verify(run.folder))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.assign(id=table["id"].iloc[::-1].to_numpy()), "not those of the test part"),
        (lambda table: table.assign(label=(table["label"] + 1) % 3), "not those of the test part"),
        (lambda table: table.assign(prob_alpha=table["prob_beta"], prob_beta=table["prob_alpha"]), "of the scores"),
    ],
)
def test_a_table_of_other_images_or_another_network_is_refused(run: Run, change, told: str) -> None:
    change(pd.read_parquet(run.folder / parity.FOLDER / parity.TABLE)).to_parquet(
        run.folder / parity.FOLDER / parity.TABLE
    )
    classes = Corpus.load(run.folder / "corpus").classes
    with pytest.raises(BadInput, match=told):
        parity.again(run.folder, run.facts.parity, classes)


def test_what_was_exported_is_released_with_its_packages_and_gives_another_pin(run: Run, finished_run: Run) -> None:  # noqa: F811
    run = _carded(run)
    released = assembly.release(run.facts, run.folder, templates.load(None))
    names = [name for name in released.repositories["model"].files if name.startswith("onnx/")]
    assert names == [
        f"onnx/{n}" for n in ("export.json", "model.onnx", "model_quantized.onnx", "parity.json", "parity.parquet")
    ]
    assert released.pin != finished_run.facts.repositories.pin
    bill = json.loads((released.folder / "model" / sbom.NAME).read_text())
    assert {"onnx", "onnxruntime", "onnxscript"} <= {part["name"] for part in bill["components"]}
    assert sbom.verify(run.folder) == []
    codes = np.zeros((1, 96, 96), np.uint8)
    onnx.OnnxEngine(released.folder / "model").scored(codes)  # it is of the released weights


def test_a_study_that_asks_for_onnx_is_not_released_without(finished_run: Run) -> None:  # noqa: F811
    study = studies.load(finished_run.folder / "study.toml", ["publish.onnx=true"])
    with pytest.raises(BadInput, match=r"publish\.onnx asks for it"):
        gather(study, finished_run.folder)


def test_files_of_another_model_are_not_put_on_a_card(run: Run) -> None:
    manifest = run.folder / parity.FOLDER / manifests.NAME
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"made_from": said["made_from"] | {"model": "0" * 64}}))
    with pytest.raises(BadInput, match="not made from this corpus and this model"):
        gather(studies.load(run.folder / "study.toml"), run.folder)


# --- the numbers ------------------------------------------------------------------------------------------------------


def _table(torch: list[list[float]], other: list[list[float]], label: list[int]) -> pd.DataFrame:
    rows = pd.DataFrame({"id": [*map(str, range(len(label)))], "group": [*map(str, range(len(label)))], "label": label})
    parts = []
    for name, probabilities in (("torch", torch), ("onnx", torch), ("onnx-int8", other)):
        parts.append(
            rows.assign(engine=name, **dict(zip(["prob_a", "prob_b"], np.transpose(probabilities), strict=True)))
        )
    return pd.concat(parts, ignore_index=True)


def test_differences_are_counted_as_they_are() -> None:
    torch, int8 = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]], [[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.3, 0.7]]
    found = parity.facts(_table(torch, int8, [0, 0, 1, 1]), ("a", "b"), 20, BOOTSTRAP)
    of = found.engines["onnx-int8"]
    assert (of.same_class, of.same_caution, found.rows) == (3, None, 4)
    assert of.largest_difference == pytest.approx(0.15)
    assert (found.torch.estimate, of.balanced_accuracy.estimate, of.difference.estimate) == (1.0, 0.75, -0.25)
    assert found.engines["onnx"].difference.estimate == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1)), min_size=2, max_size=12))
def test_an_engine_that_agrees_in_class_loses_nothing(rows: list[tuple[float, float, int]]) -> None:
    shown = [[p, 1 - p] for p, _, _ in rows]
    other = [[q, 1 - q] for _, q, _ in rows]
    found = parity.facts(_table(shown, other, [label for *_, label in rows]), ("a", "b"), 20, BOOTSTRAP)
    of = found.engines["onnx-int8"]
    assert of.largest_difference == pytest.approx(max(abs(p - q) for p, q, _ in rows))
    assert 0 <= of.same_class <= len(rows)
    if of.same_class == len(rows):
        assert of.balanced_accuracy == found.torch


def test_a_loss_beyond_its_interval_is_said_in_bold(exported: Run) -> None:
    found = exported.facts.parity
    worse = dataclasses.replace(found.engines["onnx-int8"], difference=type(found.torch)(-0.1, -0.2, -0.05))
    facts = dataclasses.replace(
        exported.facts, parity=dataclasses.replace(found, engines={**found.engines, "onnx-int8": worse})
    )
    assert "**onnx-int8 is worse than torch" in engines(facts)
    assert "worse" not in engines(exported.facts)
    assert engines(dataclasses.replace(exported.facts, parity=None)) == ""


# --- transformers.js --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with transformers.js beside the project (see .ci/run); skips where it is absent."""
    found = shutil.which("node")
    if found is None or not (ROOT / "node_modules" / "@huggingface" / "transformers").is_dir():
        why = "node or node_modules/@huggingface/transformers is not here"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    return found


@pytest.mark.parametrize(("dtype", "engine"), [("fp32", None), ("q8", "int8")])
def test_transformers_js_answers_as_torch_does(exported: Run, tmp_path: Path, node: str, dtype: str, engine) -> None:
    model = exported.folder / "model"
    corpus = Corpus.load(exported.folder / "corpus")
    pictures = {str(tmp_path / f"{i}.png"): data for i, data in enumerate(corpus.pictures[:32])}
    for name, data in pictures.items():
        Path(name).write_bytes(data)
    assert {Image.open(name).size for name in pictures} == {(96, 96)}  # nothing is resized
    command = [node, str(ROOT / "tests" / "node" / "classify.mjs"), str(exported.folder), "model", dtype, *pictures]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    answers = json.loads(done.stdout.splitlines()[-1])
    found = np.array([[{e["label"]: e["score"] for e in answers[n]}[c] for c in corpus.classes] for n in pictures])
    used = onnx.OnnxEngine(model, int8=True) if engine else None
    told = inference.scored(model, [*pictures.values()], engine=used, progress=False).probabilities
    assert (found.argmax(axis=1) == told.argmax(axis=1)).all()
    assert np.abs(found - told).max() < 1e-3
