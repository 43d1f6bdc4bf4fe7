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

#: What is installed -> its lock, and those of torch: of the CPU build and of the index's.
LOCKS = {
    "tests": [ROOT / "locks" / name for name in ("tests.txt", "cpu.txt", "cuda.txt")],
    "space": [ROOT / "space" / name for name in ("locked.txt", "locked_cpu.txt", "locked_cuda.txt")],
}
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


@pytest.mark.parametrize("file", [file for files in LOCKS.values() for file in files], ids=lambda file: file.stem)
def test_every_package_has_hashes_and_no_host_is_named(file: Path) -> None:
    assert all(HASH.search(line) for line in _lines(file))
    assert not re.search(r"://|--index|--find-links|--extra-index|@ ", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("what", LOCKS)
def test_the_versions_are_those_of_the_constraints(what: str) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    rest, cpu, cuda = map(_versions, LOCKS[what])
    assert rest == {name: pinned[name] for name in rest}
    assert "torch" not in rest and cpu == {"torch": f"{pinned['torch']}+cpu"} and cuda["torch"] == pinned["torch"]


def test_a_space_installs_what_was_tested() -> None:
    for tested, space in zip(LOCKS["tests"], LOCKS["space"], strict=True):
        assert set(_lines(space)) <= set(_lines(tested))


@pytest.mark.parametrize("what", LOCKS)
def test_torch_has_the_hashes_of_its_builds_and_what_only_cuda_needs_is_apart(what: str) -> None:
    rest, cpu, cuda = LOCKS[what]
    (torch,) = (line for line in _lines(cuda) if line.startswith("torch=="))
    assert len(HASH.findall(torch)) > 20, "a wheel for each platform and Python"
    assert len(HASH.findall(_lines(cpu)[0])) >= 1
    assert not [name for name in _versions(rest) if name.startswith("nvidia-")]
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
    assert _closure(wanted) <= {"torch", *_versions(LOCKS["tests"][0])}
    assert _closure(_lines(ROOT / "space" / "requirements.txt")) <= {"torch", *_versions(LOCKS["space"][0])}


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
