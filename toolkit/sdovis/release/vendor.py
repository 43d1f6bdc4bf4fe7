"""The sources that make a Space self-contained: sdovis itself, and the plug-ins that the study names."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterable
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path

import sdovis
from sdovis.cards.card import space_card
from sdovis.cards.facts import Facts
from sdovis.cards.templates import Templates
from sdovis.errors import BadInput, Problem

#: What counts as source in a package's folder; never caches, tests or anything else there.
SOURCES = (".py", ".typed", ".css", ".js", ".svg", ".html", ".json", ".csv", ".txt")
SPACE_FILES = ("app.py", "requirements.txt", "Dockerfile")
#: What Gradio needs to speak the Model Context Protocol; its own extra excludes the pydantic that the rest needs.
PROTOCOL = "mcp>=1.21,<2"
#: The same requirements with all that they need, and hashes.
LOCKS = ("locked.txt", "locked_cpu.txt", "locked_cuda.txt")


def write_space(facts: Facts, folder: Path, templates: Templates) -> None:
    """Fill ``folder``, new and empty, with all of the Space repository except space.json and examples."""
    space = files("sdovis.space")
    for name in SPACE_FILES + LOCKS:
        (folder / name).write_text(space.joinpath(name).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "README.md").write_text(space_card(facts, templates), encoding="utf-8")
    _copy(Path(sdovis.__file__).parent, folder / "sdovis")
    ours = {point.dist.name: point.dist for point in _points() if point.dist and point.dist.name == "sdovis"}
    if not ours:
        raise BadInput(Problem("sdovis is not installed, only its source is on the path", "install it with pip"))
    _describe(ours["sdovis"], folder)
    named = [("sdovis.channels", each.name) for each in facts.channels] + [("sdovis.labels", facts.scheme.name)]
    if facts.space.mcp_server:
        _add([PROTOCOL], folder / "requirements.txt")
    for group, name in named:
        for point in entry_points(group=group, name=name):
            _plug_in(point, folder)
    required = space.joinpath("requirements.txt").read_text(encoding="utf-8")
    if (folder / "requirements.txt").read_text(encoding="utf-8") != required:
        for name in LOCKS:  # what a plug-in needs is not locked
            (folder / name).unlink()


def copy_source(space: Path, folder: Path) -> None:
    """Copy what `write_space` vendored into ``space``, sources and their descriptions, to another repository's folder."""
    for path in sorted(space.iterdir()):
        if path.is_dir() and (path.suffix == ".dist-info" or (path / "__init__.py").is_file()):
            shutil.copytree(path, folder / path.name)
        elif path.suffix == ".py" and path.name not in SPACE_FILES:
            shutil.copyfile(path, folder / path.name)


def _points() -> Iterable[EntryPoint]:
    return entry_points(group="sdovis.readers")


def _plug_in(point: EntryPoint, folder: Path) -> None:
    distribution = point.dist
    if distribution is not None and distribution.name == "sdovis":
        # What a built-in needs beyond sdovis' own requirements, such as aiapy, is an extra.
        _add(getattr(point.load(), "requires", ()), folder / "requirements.txt")
    if distribution is None or distribution.name == "sdovis":
        return
    top = point.module.partition(".")[0]
    found = importlib.util.find_spec(top)
    if found is None or found.origin is None:
        what = f"plug-in {point.name!r} of {distribution.name} has no source file to copy into the Space"
        raise BadInput(Problem(what, "make it an ordinary module or package"))
    source = Path(found.origin)
    if source.name == "__init__.py":
        _copy(source.parent, folder / top)
    else:
        shutil.copyfile(source, folder / source.name)
    _describe(distribution, folder)
    _require(distribution, folder / "requirements.txt")


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        hidden = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
        if path.is_file() and path.suffix in SOURCES and not hidden:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)


def _describe(distribution: Distribution, folder: Path) -> None:
    """What `importlib.metadata` needs to find the entry points next to the source: name, version and their list."""
    escaped = re.sub(r"[-_.]+", "_", distribution.name)
    info = folder / f"{escaped}-{distribution.version}.dist-info"
    info.mkdir(exist_ok=True)
    about = f"Metadata-Version: 2.1\nName: {distribution.name}\nVersion: {distribution.version}\n"
    (info / "METADATA").write_text(about, encoding="utf-8")
    (info / "entry_points.txt").write_text(distribution.read_text("entry_points.txt") or "", encoding="utf-8")


def _require(distribution: Distribution, requirements: Path) -> None:
    _add([line for line in distribution.requires or () if "extra ==" not in line], requirements)


def _add(wanted: Iterable[str], requirements: Path) -> None:
    text = requirements.read_text(encoding="utf-8")
    there = {project(line) for line in text.splitlines()} | {"sdovis"}
    needed = [line for line in wanted if project(line) not in there]
    if needed:
        requirements.write_text(text.rstrip("\n") + "\n" + "\n".join(needed) + "\n", encoding="utf-8")


def project(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;#@]", requirement.strip(), maxsplit=1)[0]).lower()
