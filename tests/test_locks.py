"""The lock files: every package with hashes, in the versions of constraints.txt, all that is needed, and no host."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from studies import ROOT

TESTS, CUDA = ROOT / "locks" / "tests.txt", ROOT / "locks" / "cuda.txt"
SPACE, SPACE_CUDA = ROOT / "space" / "locked.txt", ROOT / "space" / "locked_cuda.txt"
FILES = (TESTS, CUDA, SPACE, SPACE_CUDA)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _versions(file: Path) -> dict[str, str]:
    found = {}
    for line in _lines(file):
        requirement = Requirement(HASH.sub("", line).strip())
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        found[canonicalize_name(requirement.name)] = pin.version
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_every_package_has_hashes_and_no_host_is_named(file: Path) -> None:
    assert all(HASH.search(line) for line in _lines(file))
    assert not re.search(r"://|--index|--find-links|--extra-index|@ ", file.read_text(encoding="utf-8"))


def test_the_versions_are_those_of_the_constraints() -> None:
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("==")
        pinned[canonicalize_name(name)] = version
    locked = _versions(TESTS)
    assert locked == {name: pinned[name] for name in locked}
    assert _versions(SPACE).items() <= locked.items() and _versions(SPACE_CUDA).items() <= _versions(CUDA).items()


def test_torch_has_its_cpu_build_and_its_cuda_builds_and_what_only_those_need_is_apart() -> None:
    for file, cuda in ((TESTS, CUDA), (SPACE, SPACE_CUDA)):
        (torch,) = (line for line in _lines(file) if line.startswith("torch=="))
        # A wheel for each platform and Python on the index, and the CPU build for Linux and Python 3.11.
        assert len(HASH.findall(torch)) > 20 and torch.startswith("torch==2.13.0 ")
        assert "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b" in torch
        assert not [name for name in _versions(file) if name.startswith("nvidia-")]
        assert {"nvidia-cublas", "triton"} < _versions(cuda).keys()


def _closure(names: list[str]) -> set[str]:
    """What must be installed here for ``names`` to work, as the metadata of what is installed has it."""
    found, seen, left = set(), set(), [Requirement(name) for name in names]
    while left:
        wanted = left.pop()
        for extra in ("", *wanted.extras):
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            try:
                needs = map(Requirement, distribution(wanted.name).requires or ())
            except PackageNotFoundError:
                continue
            found.add(canonicalize_name(wanted.name))
            left += [n for n in needs if not n.marker or n.marker.evaluate({"extra": extra})]
    return found - {"sdovis"}


def test_nothing_that_is_needed_here_is_missing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [each for extra in project["optional-dependencies"].values() for each in extra]
    assert _closure(wanted) <= _versions(TESTS).keys()
    assert _closure(_lines(ROOT / "space" / "requirements.txt")) <= _versions(SPACE).keys()


@pytest.mark.parametrize("hashed", [True, False])
def test_pip_refuses_a_file_with_another_hash(tmp_path: Path, hashed: bool) -> None:
    (tmp_path / "setup.py").write_text("from setuptools import setup; setup(name='sunspot', version='1')")
    build = "from setuptools import build_meta; print(build_meta.build_sdist('.'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "lock.txt").write_text(f"sunspot==1 --hash=sha256:{'0' * 64}" if hashed else "sunspot==1")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--require-hashes",
    ]
    pip += ["--find-links", str(tmp_path), "-d", str(tmp_path / "got"), "-r", str(tmp_path / "lock.txt")]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode and ("DO NOT MATCH" if hashed else "Hashes are required") in done.stderr
