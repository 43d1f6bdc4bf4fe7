"""Plug-ins of a separate distribution, one of each kind, installed with pip and run by name from study to Space."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest
from studies import STUDY

HERE = Path(__file__).parent / "plugin_distribution"
SOURCE = """
[source]
reader = "json-lines"
root = "data"
images = "images"
[source.json-lines]
file = "regions.jsonl"
least_area_msh = 20
"""
SETS = ["--set", "labels.scheme=spot-complexity", "--set", "images.channel=hmi-unsigned"]
SETS += ["--set", 'evaluation.metrics=["balanced-accuracy", "macro-f1", "complex-found"]']


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that finds the distribution, installed by pip into a folder of its own."""
    source = tmp_path_factory.mktemp("source") / "spot-complexity"
    shutil.copytree(HERE, source)
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, str(source)], check=True)
    return {**os.environ, "PYTHONPATH": str(site)}


def _sdovis(installed: dict[str, str], folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sdovis", *arguments], cwd=folder, env=installed, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def _study_of_json_lines(data: Path, folder: Path) -> int:
    """Write the small study with its rows as JSON lines, for the stranger's reader; the number of lines."""
    (workbook,) = data.glob("*.xlsx")
    headings, *rows = openpyxl.load_workbook(workbook).worksheets[0].iter_rows(values_only=True)
    lines = [json.dumps(dict(zip(headings, row, strict=True)), default=str) for row in rows]
    (data / "regions.jsonl").write_text("\n".join(lines) + "\n")
    text = re.sub(r"\n\[source\].*?\n\[images\]", lambda _: f"{SOURCE}[images]", STUDY, flags=re.DOTALL)
    (folder / "study.toml").write_text(text)
    return len(lines)


@pytest.fixture(scope="module")
def run(simulated, installed, tmp_path_factory) -> Path:
    """The folder of a study that uses all of the distribution's plug-ins, run to its release."""
    folder = tmp_path_factory.mktemp("strangers")
    shutil.copytree(simulated, folder / "data")
    _study_of_json_lines(folder / "data", folder)
    _sdovis(installed, folder, "run", "study.toml", *SETS)
    return folder


CLASSIFY = """
import sys
from pathlib import Path
import sdovis
from sdovis.labels.schemes import scheme
from sdovis.webapp.classifier import Classifier
answer = Classifier(Path(sys.argv[1])).answer(sys.argv[2])
print(sdovis.__file__)
print(sorted(answer.probabilities), scheme("spot-complexity").policy.chosen(True, signed=True))
"""
ANSWERED = "['complex', 'simple'] ('flip_ns', 'flip_ew', 'one_step')"


def test_the_distribution_is_written_against_the_face_towards_plug_ins_alone():
    tree = ast.parse((HERE / "spot_complexity.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {module for module in modules if module.startswith("sdovis")} == {"sdovis.plugin"}


def test_the_reader_takes_its_own_settings_and_the_corpus_depends_on_them(run, installed):
    facts = json.loads((run / "runs/small/corpus/corpus.json").read_text())
    assert list(facts["classes"]) == ["simple", "complex"]
    made_from = json.loads((run / "runs/small/corpus/manifest.json").read_text())["made_from"]
    assert made_from["reader"] == "spot-complexity 1.0"
    settings = json.loads(made_from["study"])["source"]["json-lines"]
    assert settings == {"file": "regions.jsonl", "least_area_msh": 20.0}
    assert "regions.jsonl" in (run / "runs/small/cards/dataset/README.md").read_text()
    said = _sdovis(installed, run, "check", "study.toml", *SETS, "--set", "source.json-lines.least_area=20", code=2)
    assert "source.json-lines.least_area is unknown; did you mean 'least_area_msh'?" in said
    said = _sdovis(installed, run, "check", "study.toml", *SETS, "--set", "source.json-lines={}", code=2)
    assert "source.json-lines.file is missing; add file = ... under [source.json-lines]" in said
    schema = json.loads(_sdovis(installed, run, "schema"))
    assert schema["$defs"]["Source"]["properties"]["json-lines"]["properties"]["least_area_msh"]["default"] == 0.0


def test_a_small_region_is_left_out_by_the_readers_setting(run):
    from_all = (run / "data/regions.jsonl").read_text().splitlines()
    small = sum(json.loads(line)["Area (MSH)"] < 20 for line in from_all)
    corpus = json.loads((run / "runs/small/corpus/corpus.json").read_text())
    assert small > 0 and corpus["rows"] + corpus["rejects"] == len(from_all) - small


def test_scheme_channel_augmentation_and_metric_run_by_name_through_train_predict_and_page(run, installed):
    facts = json.loads((run / "runs/small/corpus/corpus.json").read_text())
    assert facts["view"]["channels"][0]["name"] == "hmi-unsigned"
    trained = json.loads((run / "runs/small/training/training.json").read_text())
    assert trained["augmentations"] == ["flip_ns", "flip_ew", "one_step"]
    made_from = json.loads((run / "runs/small/model/manifest.json").read_text())["made_from"]
    assert made_from["augmentation one_step"] == "spot-complexity 1.0"
    scores = json.loads((run / "runs/small/scores/scores.json").read_text())
    assert 0 <= scores["model"]["complex-found"]["estimate"] <= 1
    image = next((run / "data/images").glob("*.fits"))
    assert "simple 0." in _sdovis(installed, run, "predict", "runs/small/model", str(image))
    page = [sys.executable, "-c", CLASSIFY, "runs/small/model", str(image)]
    done = subprocess.run(page, cwd=run, env=installed, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == ANSWERED


def test_the_release_goes_to_the_target_and_its_space_finds_the_plug_ins_without_the_checkout(run, installed, tmp_path):
    archive = _sdovis(installed, run, "publish", "runs/small", "--to", f"zip:{tmp_path / 'sent'}").strip()
    with zipfile.ZipFile(archive) as sent:
        assert sent.read("release.json") == (run / "runs/small/release/release.json").read_bytes()
    space = run / "runs/small/release/space"
    assert (space / "spot_complexity.py").is_file()
    image = next((run / "data/images").glob("*.fits"))
    page = [sys.executable, "-c", CLASSIFY, str(run / "runs/small/release/model"), str(image)]
    environment = {**os.environ, "PYTHONPATH": str(space)}
    done = subprocess.run(page, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    package, answer = done.stdout.strip().splitlines()[-2:]
    assert Path(package).is_relative_to(space) and answer == ANSWERED


def test_the_target_refuses_a_release_that_was_changed(run, installed, tmp_path):
    shutil.copytree(run / "runs/small/release", tmp_path / "run/release")
    (tmp_path / "run/release/dataset/corpus.json").write_text("{}")
    said = _sdovis(installed, tmp_path, "publish", "run", "--to", f"zip:{tmp_path / 'sent'}", code=2)
    assert "dataset/corpus.json changed since it was made" in said
    assert not (tmp_path / "sent.zip").exists()


def test_plugins_lists_a_stranger_beside_the_built_ins(installed, tmp_path):
    listed = _sdovis({**installed, "COLUMNS": "200"}, tmp_path, "plugins")
    assert listed.count("spot-complexity 1.0") == 6
    assert "mount-wilson-3" in listed and "json-lines" in listed
    assert "one_step" in listed and "rotate_any" in listed


def test_without_the_distribution_its_names_are_unknown(small_study, capfd):
    from sdovis.cli import run_command

    assert run_command(["check", "study.toml", *SETS, "--set", "source.reader=json-lines"]) == 2
    said = capfd.readouterr().err
    assert "labels.scheme 'spot-complexity' is unknown" in said
    assert "source.reader 'json-lines' is unknown; choose one of arccnet, " in said and "spreadsheet, srs" in said
