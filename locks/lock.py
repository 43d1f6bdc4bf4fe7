"""Writes the lock files: `make lock`. Every package that is installed, with the sha256 of each of its files.

    locks/tests.txt         what `make demo`, `make test` and `make check` install, in the versions of constraints.txt
    locks/cuda.txt          what torch's CUDA build for Linux needs besides
    space/locked.txt        what a Space installs, and
    space/locked_cuda.txt   what it needs besides where torch is the CUDA build

uv finds one set of versions for all platforms and Pythons from 3.11.5 on. The hash of torch's CPU build, which is not on
the Python Package Index, is taken from the wheels in the folders that PIP_FIND_LINKS names; without any, those of the old
lock stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = [sys.executable, "-m", "uv", "--no-config", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
UV += ["--generate-hashes", "--universal", "--python-version", "3.11.5"]
#: Distributions that only torch's CUDA build for Linux needs.
CUDA = re.compile(r"(nvidia|cuda)-|triton==")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
#: Of these the project itself is not one: it is installed without dependencies, from its source.
OURS = "sdovis"
HEAD = "# Made by `make lock`; {what}.\n"

Locked = dict[str, set[str]]  #: name==version, with its marker -> its hashes


def resolved(*inputs: str) -> Locked:
    """What uv finds for requirements, in the versions of constraints.txt."""
    command = [*UV, "--constraint", "constraints.txt", *inputs]
    return read(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def read(text: str) -> Locked:
    """The requirements of a lock file."""
    lines = (line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#"))
    return {HASH.sub("", line).strip(): set(HASH.findall(line)) for line in lines}


def name(requirement: str) -> str:
    return requirement.partition("==")[0]


def write(file: str, locked: Locked, what: str) -> None:
    blocks = (" \\\n    ".join([requirement, *sorted(locked[requirement])]) for requirement in sorted(locked))
    (ROOT / file).write_text(HEAD.format(what=what) + "\n".join(blocks) + "\n", encoding="utf-8")


def of_torch(found: Locked) -> str:
    (requirement,) = (each for each in found if name(each) == "torch")
    return requirement


def cpu_build(requirement: str) -> set[str]:
    """Hashes of the wheels of torch's CPU build."""
    version = requirement.partition("==")[2]
    folders = map(Path, os.environ.get("PIP_FIND_LINKS", "").split())
    wheels = [wheel for folder in folders for wheel in folder.glob(f"torch-{version}+cpu-*.whl")]
    if not wheels:
        old = read((ROOT / "locks" / "tests.txt").read_text(encoding="utf-8"))
        return old[of_torch(old)]
    return {f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels}


def main() -> None:
    tests = resolved("pyproject.toml", "--extra", "dev")
    tests = {requirement: hashes for requirement, hashes in tests.items() if name(requirement) != OURS}
    tests[of_torch(tests)] |= cpu_build(of_torch(tests))
    needed = {name(each) for each in resolved("space/requirements.txt")}
    space = {requirement: hashes for requirement, hashes in tests.items() if name(requirement) in needed}
    for file, cuda, locked in (
        ("locks/tests.txt", "locks/cuda.txt", tests),
        ("space/locked.txt", "space/locked_cuda.txt", space),
    ):
        beside = {requirement for requirement in locked if CUDA.match(requirement)}
        write(file, {each: locked[each] for each in locked.keys() - beside}, f"pip install --require-hashes -r {file}")
        write(cuda, {each: locked[each] for each in beside}, f"beside {file} where torch is its CUDA build for Linux")


if __name__ == "__main__":
    main()
