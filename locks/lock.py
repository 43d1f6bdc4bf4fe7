"""Writes the lock files: `make lock`. Every package that is installed, with the sha256 of each of its files.

    locks/tests.txt         what `make demo`, `make test` and `make check` install, but for torch
    locks/cpu.txt           torch's CPU build: of PyTorch's own index, not on the Python Package Index
    locks/cuda.txt          torch of the Python Package Index: on Linux its CUDA build, with the libraries of that
    space/locked*.txt       the same for what a Space installs

Torch is apart because pip, told to check hashes, takes the index's build before a file that lies on the disk.
uv finds one set of versions for all platforms and Pythons from 3.11.5 on. Those of constraints.txt are
taken. The hash of torch's CPU build is that of its wheels in the folders that PIP_FIND_LINKS names; without any, the old
lock of it stays.
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
UV += ["--no-strip-extras", "--generate-hashes", "--universal", "--python-version", "3.11.5"]
#: Torch, and what only its CUDA build needs.
TORCH = re.compile(r"torch==|(nvidia|cuda)-|triton==")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
EXTRAS = re.compile(r"\[.*?\]")
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
    return EXTRAS.sub("", requirement).partition("==")[0]


def write(file: str, locked: Locked, what: str) -> None:
    """Each package as it is and with the extras that others ask for: to pip, told to check hashes, these are two."""
    lines = locked | {EXTRAS.sub("", requirement): hashes for requirement, hashes in locked.items()}
    blocks = (" \\\n    ".join([requirement, *sorted(lines[requirement])]) for requirement in sorted(lines))
    (ROOT / file).write_text(HEAD.format(what=what) + "\n".join(blocks) + "\n", encoding="utf-8")


def cpu_build(requirement: str) -> Locked | None:
    """Torch's CPU build of that version, with the hashes of its wheels; None if there are none here."""
    build = f"{requirement}+cpu"
    folders = map(Path, os.environ.get("PIP_FIND_LINKS", "").split())
    wheels = [wheel for folder in folders for wheel in folder.glob(f"{build.replace('==', '-')}-*.whl")]
    hashes = {f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels}
    return {build: hashes} if hashes else None


def main() -> None:
    tests = resolved("pyproject.toml", "--extra", "dev")
    needed = {name(each) for each in resolved("space/requirements.txt")}
    (torch,) = (each for each in tests if name(each) == "torch")
    for prefix, locked in (
        ("locks/", {each: of for each, of in tests.items() if name(each) != OURS}),
        ("space/locked_", {each: of for each, of in tests.items() if name(each) in needed}),
    ):
        rest = "locks/tests.txt" if prefix == "locks/" else "space/locked.txt"
        write(rest, {each: of for each, of in locked.items() if not TORCH.match(each)}, "torch is in another file")
        write(f"{prefix}cuda.txt", {each: of for each, of in locked.items() if TORCH.match(each)}, f"beside {rest}")
        if cpu := cpu_build(torch):
            write(f"{prefix}cpu.txt", cpu, f"beside {rest}")


if __name__ == "__main__":
    main()
