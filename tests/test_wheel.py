"""What pip installs is all that the source has: every module and template, the Space, the entry points."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
#: In the wheel -> in the repository.
PACKAGES = {
    "sdovis": "toolkit/sdovis",
    "sdovis/datacard": "datacard",
    "sdovis/modelcard": "modelcard",
    "sdovis/space": "space",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this source, built beside it: a build leaves folders where it runs."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES.values():
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, "dist"], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return zipfile.ZipFile(next((source / "dist").glob("*.whl")))


def test_every_file_of_the_source_is_in_the_wheel_and_nothing_else(wheel: zipfile.ZipFile):
    wanted = {
        f"{there}/{path.relative_to(REPOSITORY / here).as_posix()}"
        for there, here in PACKAGES.items()
        for path in (REPOSITORY / here).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == wanted


def test_the_wheel_says_which_plug_ins_and_which_command_it_has(wheel: zipfile.ZipFile):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (name,) = (each for each in wheel.namelist() if each.endswith("entry_points.txt"))
    said = wheel.read(name).decode()
    for group, points in {**project["entry-points"], "console_scripts": project["scripts"]}.items():
        section = said.partition(f"[{group}]\n")[2].partition("\n[")[0]
        assert all(f"{point} = {target}" in section for point, target in points.items()), group
