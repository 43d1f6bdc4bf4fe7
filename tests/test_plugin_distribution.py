"""Plug-ins of a separate distribution, installed with pip, run by name through the whole line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "plugin_distribution"
SETS = ["--set", "labels.scheme=spot-complexity", "--set", "images.channel=hmi-unsigned"]
SETS += ["--set", 'method.augment=["one_step", "flip_ns"]']


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that finds the distribution, installed by pip into a folder of its own."""
    import shutil

    source = tmp_path_factory.mktemp("source") / "spot-complexity"
    shutil.copytree(HERE, source)
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, str(source)], check=True)
    return {**os.environ, "PYTHONPATH": str(site)}


def _sdovis(installed: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sdovis", *arguments], cwd=folder, env=installed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CLASSIFY = """
import sys
from pathlib import Path
from sdovis.webapp.classifier import Classifier
answer = Classifier(Path(sys.argv[1])).answer(sys.argv[2])
print(sorted(answer.probabilities))
"""


def test_plug_ins_run_by_name_through_train_predict_and_space(small_study, installed):
    folder = small_study.parent
    _sdovis(installed, folder, "run", "study.toml", *SETS)
    facts = json.loads((folder / "runs/small/corpus/corpus.json").read_text())
    assert list(facts["classes"]) == ["simple", "complex"]
    assert facts["channels"][0]["name"] == "hmi-unsigned"
    trained = json.loads((folder / "runs/small/training/training.json").read_text())
    assert trained["augmentations"] == ["flip_ns", "one_step"]
    made_from = json.loads((folder / "runs/small/model/manifest.json").read_text())["made_from"]
    assert made_from["augmentation one_step"] == "spot-complexity 1.0"
    image = next((folder / "data/images").glob("*.fits"))
    assert "simple 0." in _sdovis(installed, folder, "predict", "runs/small/model", str(image))
    page = [sys.executable, "-c", CLASSIFY, "runs/small/model", str(image)]
    done = subprocess.run(page, cwd=folder, env=installed, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['complex', 'simple']"


def test_the_release_goes_to_the_target_and_its_space_finds_the_plug_ins_without_the_checkout(small_study, installed):
    folder = small_study.parent
    _sdovis(installed, folder, "run", "study.toml", *SETS)
    archive = _sdovis(installed, folder, "publish", "runs/small", "--to", f"zip:{folder / 'sent'}").strip()
    with zipfile.ZipFile(archive) as sent:
        assert sent.read("release.json") == (folder / "runs/small/release/release.json").read_bytes()
    space = folder / "runs/small/release/space"
    assert (space / "spot_complexity.py").is_file()
    code = "from sdovis.channels.channel import channel; import sdovis; print(channel('hmi-unsigned').title, sdovis.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(space)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("HMI unsigned line-of-sight field")
    assert str(space) in done.stdout


def test_plugins_lists_a_stranger_beside_the_built_ins(installed, tmp_path):
    listed = _sdovis({**installed, "COLUMNS": "200"}, tmp_path, "plugins")
    assert "spot-complexity 1.0" in listed
    assert "mount-wilson-3" in listed
    assert "one_step" in listed and "rotate_any" in listed


def test_without_the_distribution_its_names_are_unknown(small_study, capfd):
    from sdovis.cli import run_command

    assert run_command(["check", "study.toml", *SETS]) == 2
    assert "labels.scheme 'spot-complexity' is unknown" in capfd.readouterr().err
