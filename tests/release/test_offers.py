"""What goes out beside dataset, model and Space: citations, scores in the Hub's own format, a handler, signatures."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCard, EvalResult, ModelCard, RepoCard, parse_eval_result_entries
from PIL import Image
from runs import Run
from sdovis.cards import card, templates
from sdovis.cards.facts import Facts, Offers
from sdovis.errors import BadInput
from sdovis.release import archive, benchmark, citation, croissant, signing
from sdovis.release.assembly import KINDS, NAMING, Release, release

DOI = "10.5281/zenodo.1234567"


@pytest.fixture(scope="module")
def facts(finished_run: Run) -> Facts:
    """Those of the run, of a study that asks for everything."""
    offers = Offers(collection="Sun", benchmark="inspect-ai")
    return replace(finished_run.facts, authors=("Lovelace, Ada", "The SDO team"), doi=DOI, offers=offers)


@pytest.fixture(scope="module")
def made(finished_run: Run, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Release, Path]]:
    """A release with all that can be asked for, and the key it is signed with."""
    folder = tmp_path_factory.mktemp("offers")
    shutil.copytree(finished_run.folder, folder / "run")
    card.write(facts, folder / "run", templates.load(None))
    key = _key(folder / "key.pem")
    yield release(facts, folder / "run", templates.load(None), signing.Key(key)), key


def _key(file: Path) -> Path:
    from cryptography.hazmat.primitives import serialization as keys
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    file.write_bytes(private.private_bytes(keys.Encoding.PEM, keys.PrivateFormat.PKCS8, keys.NoEncryption()))
    return file


def test_each_repository_says_how_it_is_cited(made: tuple[Release, Path]):
    for kind, form in (("dataset", "dataset"), ("model", "software"), ("space", "software")):
        said = yaml.safe_load(made[0].path(kind, "CITATION.cff").read_text())
        assert {"cff-version", "message", "title", "authors"} <= said.keys()
        assert (said["type"], said["version"], said["doi"]) == (form, made[0].pin, DOI)
        assert said["authors"] == [{"family-names": "Lovelace", "given-names": "Ada"}, {"name": "The SDO team"}]
        assert said["license"] == "MIT" and "date-released" not in said


@pytest.mark.parametrize(
    ("hub", "spdx"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("mit", "MIT"),
        ("gpl-3.0", "GPL-3.0"),
        ("llama2", ""),
        ("other", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_a_licence_is_cited_by_its_spdx_identifier_or_not_at_all(hub: str, spdx: str):
    assert citation.spdx(hub) == spdx


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Lovelace, Ada", {"family-names": "Lovelace", "given-names": "Ada"}),
        ("Ada Lovelace", {"name": "Ada Lovelace"}),
        ("The SDO team", {"name": "The SDO team"}),
        ("Lovelace,", {"name": "Lovelace,"}),
    ],
)
def test_the_parts_of_a_name_are_told_apart_only_by_a_comma(name: str, told: dict[str, str]):
    assert citation.author(name) == told


def test_the_readers_of_huggingface_hub_accept_every_card(made: tuple[Release, Path]):
    where = {kind: made[0].path(kind, "README.md") for kind in KINDS}
    model, dataset = ModelCard.load(where["model"]), DatasetCard.load(where["dataset"])
    assert model.data.eval_results and all(isinstance(each, EvalResult) for each in model.data.eval_results)
    assert dataset.data.pretty_name and RepoCard.load(where["space"]).data.to_dict()["sdk"] == "gradio"
    assert f"doi = {{{DOI}}}" in model.text and f"https://doi.org/{DOI}" in dataset.text


def test_scores_are_given_in_the_hubs_own_format_where_the_study_names_a_framework(
    made: tuple[Release, Path], facts: Facts, finished_run: Run
):
    asked = yaml.safe_load(made[0].path("dataset", "eval.yaml").read_text())
    assert asked["evaluation_framework"] == "inspect-ai"
    assert {task["id"] for task in asked["tasks"]} == facts.scores.overall.keys()
    assert {(task["config"], task["split"]) for task in asked["tasks"]} == {("default", "test")}
    entries = parse_eval_result_entries(yaml.safe_load(made[0].path("model", benchmark.RESULTS).read_text()))
    assert {entry.dataset_id for entry in entries} == {facts.repositories.dataset}
    assert {entry.task_id: entry.value for entry in entries} == {
        name: round(each.estimate, 4) for name, each in facts.scores.overall.items() if each.estimate is not None
    }
    assert all(made[0].pin in entry.source_url and entry.date is None for entry in entries)
    assert finished_run.facts.offers.benchmark == ""


def test_the_dataset_is_iterated_by_mlcroissant_offline_images_included(
    made: tuple[Release, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mlcroissant = pytest.importorskip("mlcroissant")
    archive.write(made[0], tmp_path)
    stem = archive.name(made[0])
    shutil.unpack_archive(tmp_path / f"{stem}.zip", tmp_path)
    monkeypatch.setattr("urllib.request.urlopen", None)
    rows, size = 0, json.loads(made[0].path("dataset", "corpus.json").read_text())["view"]["size_px"]
    for file in (tmp_path / croissant.FILE, tmp_path / stem / croissant.FILE):
        read = mlcroissant.Dataset(file)
        assert not read.metadata.ctx.issues.errors
        for row in read.records("test"):
            assert isinstance(row["test/image"], Image.Image) and len(row["test/image"].tobytes()) == size**2
            assert row["test/label"] in (0, 1, 2)
            rows += 1
    predicted = json.loads(made[0].path("model", "scores.json").read_text())["rows"]
    assert rows == 2 * predicted


# --- the endpoint ---------------------------------------------------------------------------------------------------

#: As huggingface-inference-toolkit does: src/huggingface_inference_toolkit/utils.py and webservice_starlette.py.
ENDPOINT = """
import base64, importlib.util, io, json, sys
from pathlib import Path
from PIL import Image
folder, fits, png = sys.argv[1:]
spec = importlib.util.spec_from_file_location("handler", str(Path(folder) / "handler.py"))
sys.path.insert(0, folder)
handler = importlib.util.module_from_spec(spec)
sys.modules["handler"] = handler
spec.loader.exec_module(handler)
served = handler.EndpointHandler(folder)
import sdovis
assert Path(sdovis.__file__).is_relative_to(folder), sdovis.__file__
picture = Image.open(io.BytesIO(Path(png).read_bytes())).convert("RGB")
encoded = lambda file: base64.b64encode(Path(file).read_bytes()).decode()
asked = [{"inputs": encoded(fits)}, {"inputs": picture}, {"inputs": encoded(png), "parameters": {"top_k": 1}}]
print(json.dumps([served(body) for body in asked]))
"""


@pytest.fixture(scope="module")
def images(
    finished_run: Run, made: tuple[Release, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A FITS file of the run, and the picture that its corpus holds of the same region."""
    import pyarrow.parquet as pq

    part = next((finished_run.folder / "corpus" / "data").glob("test-*.parquet"))
    row = pq.read_table(part).to_pylist()[0]
    png = tmp_path_factory.mktemp("images") / "region.png"
    png.write_bytes(row["image"]["bytes"])
    fits = next(finished_run.folder.parents[1].rglob(row["image_file"]))
    return fits, png


def test_the_endpoints_handler_answers_for_fits_and_png_from_the_release_alone(
    made: tuple[Release, Path], images: tuple[Path, Path], tmp_path: Path
):
    """Once in a fresh environment of its requirements: SDOVIS_ENDPOINT_PYTHON names its interpreter."""
    folder = shutil.copytree(made[0].folder / "model", tmp_path / "repository")
    python = os.environ.get("SDOVIS_ENDPOINT_PYTHON", sys.executable)
    done = subprocess.run(
        [python, "-c", ENDPOINT, str(folder), *map(str, images)],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    fits, picture, best = json.loads(done.stdout.splitlines()[-1])
    assert [each["label"] for each in fits] == [each["label"] for each in picture]
    assert all(abs(a["score"] - b["score"]) < 1e-3 for a, b in zip(fits, picture, strict=True))
    assert len(best) == 1 and best[0]["label"] == fits[0]["label"]
    kept = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()}
    assert {"transformers", "astropy", "sunpy[map]"} < kept and not kept & {"gradio", "torch"}


@pytest.fixture(scope="module")
def handler(made: tuple[Release, Path]) -> Any:
    from sdovis.inference.endpoint import EndpointHandler

    return EndpointHandler(str(made[0].folder / "model"))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"inputs": "not base64!"}, "inputs is not the base64 of a file"),
        ({"inputs": base64.b64encode(b"no image").decode()}, "image0"),
        ({"inputs": ""}, "the file has 0 bytes"),
        ({"inputs": 7}, "inputs is a int"),
        ({}, "inputs is a NoneType"),
        ({"inputs": []}, "inputs holds 0 files"),
        ({"inputs": ["a"] * 4}, "inputs holds 4 files"),
        ({"inputs": "aGk=", "parameters": {"top_k": 0}}, "top_k = 0 is not a whole number"),
        ({"inputs": "aGk=", "parameters": {"temperature": 1}}, "'temperature' is not known; give at, top_k or beside"),
        ({"inputs": "aGk=", "parameters": {"at": "there"}}, "there"),
    ],
)
def test_what_an_endpoint_cannot_use_is_refused_in_words(handler: Any, body: dict[str, Any], told: str):
    with pytest.raises(BadInput, match=told):
        handler(body)


def test_an_endpoint_says_with_its_answer_why_it_must_not_be_used(
    handler: Any, images: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(type(handler.classify.familiarity), "of", lambda self, *seen: np.array([9.0]))
    answer = handler({"inputs": base64.b64encode(images[1].read_bytes()).decode()})
    assert "trained on" in answer[0]["notes"][-1] and "notes" not in answer[1]


# --- signatures -----------------------------------------------------------------------------------------------------


def test_a_release_is_signed_and_its_signatures_are_kept_while_they_hold(made: tuple[Release, Path], facts: Facts):
    signed, key = made[0], signing.Key(made[1])
    assert signing.verify(signed.folder, KINDS, NAMING, key) == []
    before = {kind: signed.path(kind, signing.FILE).read_bytes() for kind in KINDS}
    again = release(facts, signed.folder.parent, templates.load(None), key)
    assert {kind: again.path(kind, signing.FILE).read_bytes() for kind in KINDS} == before


@pytest.mark.parametrize("file", ["model/config.json", "dataset/corpus.json", "space/app.py", "model/added.txt"])
def test_what_was_changed_since_is_found_by_its_signature(made: tuple[Release, Path], tmp_path: Path, file: str):
    folder = shutil.copytree(made[0].folder, tmp_path / "release")
    (folder / file).write_text("changed")
    (problem,) = signing.verify(folder, KINDS, NAMING, signing.Key(made[1]))
    assert problem.file == f"{file.partition('/')[0]}/model.sig" and "does not hold" in problem.what


def test_another_pin_and_words_by_hand_leave_a_signature_as_it_is_and_another_key_does_not(
    made: tuple[Release, Path], tmp_path: Path
):
    folder = shutil.copytree(made[0].folder, tmp_path / "release")
    (folder / "model" / "README.md").write_text("other words")
    assert signing.verify(folder, KINDS, NAMING, signing.Key(made[1])) == []
    other = signing.Key(_key(tmp_path / "other.pem"))
    assert len(signing.verify(folder, KINDS, NAMING, other)) == 3
    (folder / "space" / signing.FILE).unlink()
    assert [p.what for p in signing.verify(folder, KINDS, NAMING, signing.Key(made[1]))] == ["is not signed"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "the key cannot be read"),
        ("hello", "is not a key in PEM"),
        ("-----BEGIN PUBLIC KEY-----\n-----END", "is not a key"),
    ],
)
def test_a_key_that_is_none_is_told(tmp_path: Path, text: str | None, told: str):
    if text is not None:
        (tmp_path / "key.pem").write_text(text)
    with pytest.raises(BadInput, match=told):
        signing.Key(tmp_path / "key.pem").public()
