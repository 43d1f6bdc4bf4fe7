"""Which wheels `gpu_pack.sh` has to carry: what sdovis needs (by the metadata of what is installed here) and a machine
with a GPU is not taken to have (`gpu_machine.txt`).

    python benchmarks/gpu_wheels.py         prints NAME==VERSION of each wheel in gpu_wheels.txt, as constraints.txt pins it
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
#: Needed by sdovis, and by no part of `gpu.py`: a rehearsal runs without them.
LEFT_OUT = {
    "cyclonedx-python-lib": "no release is made there",
    "gradio": "the page's classifier runs, the page does not",
    "reproject": "sunpy.map is not opened: sdovis reads FITS by astropy alone",
}
#: The machine that the wheels are for.
TARGET = {
    "python_version": "3.12",
    "python_full_version": "3.12.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
}
TARGET |= {"platform_machine": "x86_64", "os_name": "posix", "implementation_name": "cpython"}


def listed(file: Path) -> dict[str, str | None]:
    """Canonical name -> version, None where none is given, of a list of ``NAME`` and ``NAME==VERSION``."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    split = (line.partition("==") for line in lines if line)
    return {canonicalize_name(name): version or None for name, _, version in split}


def machine() -> dict[str, str | None]:
    """What the machine is taken to have."""
    return listed(HERE / "gpu_machine.txt")


def wheels() -> dict[str, str]:
    """What is carried there, in the versions of constraints.txt. KeyError where that has none."""
    pins = listed(HERE.parent / "constraints.txt")
    return {name: str(pins[name]) for name in listed(HERE / "gpu_wheels.txt")}


def needed(root: str = "sdovis", left_out: Mapping[str, str] = LEFT_OUT) -> dict[str, SpecifierSet]:
    """Everything that ``root`` needs, and what of each is asked for, but for ``left_out`` and what only that needs."""
    asked: dict[str, SpecifierSet] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(root, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in importlib.metadata.requires(name) or ():
            need = Requirement(text)
            child = canonicalize_name(need.name)
            if child in left_out or (need.marker and not need.marker.evaluate(TARGET | {"extra": extra})):
                continue
            asked[child] = asked.get(child, SpecifierSet()) & need.specifier
            waiting += [(child, each) for each in ("", *sorted(need.extras))]
    return asked


def absent() -> list[str]:
    """Modules that can be imported here, and neither on the machine nor from the bundle."""
    there = {*machine(), *wheels(), "sdovis"}
    owners = importlib.metadata.packages_distributions()
    return sorted(module for module, of in owners.items() if not there & {canonicalize_name(name) for name in of})


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in wheels().items()))
