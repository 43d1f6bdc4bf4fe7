"""The templates of dataset card, model card and the Space's README: sdovis' own, or the user's in a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from sdovis.cards.render import Template, problems
from sdovis.errors import BadInput, Conflict, Problem, nearest
from sdovis.manifests import sha256_text

#: Kind of card -> the package whose README.md.j2 is its template. By name: the folders hold data and are not imported.
BUILT_IN = {"dataset": "sdovis.datacard", "model": "sdovis.modelcard", "space": "sdovis.space"}
#: Kind of card -> its template in a user's folder.
FILES = {kind: f"{kind}.md.j2" for kind in BUILT_IN}


@dataclass(frozen=True)
class Templates:
    """The three templates of a release."""

    dataset: Template
    model: Template
    space: Template

    @property
    def digest(self) -> str:
        """sha256 of their text, wherever they are stored."""
        return sha256_text(json.dumps([template["text"] for template in asdict(self).values()]))


def load(folder: Path | None) -> Templates:
    """The templates in ``folder``, and sdovis' own for those that are not there; if it is None, all are sdovis' own.

    Raises `BadInput` if there is no such folder, if it holds no template or one of another name, and with every mistake
    that can be seen in a template itself.
    """
    found = {kind: _built_in(kind) for kind in BUILT_IN}
    if folder is not None:
        found |= _own(folder)
        if mistakes := [problem for template in found.values() if template.own for problem in problems(template)]:
            raise BadInput(mistakes)
    return Templates(**found)


def write(folder: Path) -> list[Path]:
    """Write sdovis' own templates to ``folder``, to start from. Raises `Conflict` if one of them is already there."""
    written = {folder / name: _built_in(kind).text for kind, name in FILES.items()}
    if there := [file for file in written if file.exists()]:
        names = ", ".join(map(str, there))
        raise Conflict(f"{names}: already there, and left unchanged; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in written.items():
        file.write_text(text, encoding="utf-8")
    return list(written)


def _built_in(kind: str) -> Template:
    text = files(BUILT_IN[kind]).joinpath("README.md.j2").read_text(encoding="utf-8")
    return Template(text, f"{BUILT_IN[kind]}/README.md.j2", own=False)


def _own(folder: Path) -> dict[str, Template]:
    names = list(FILES.values())
    start = "sdovis card STUDY.toml --write-templates FOLDER writes some to start from"
    if not folder.is_dir():
        raise BadInput(Problem("publish.templates: there is no such folder", start, str(folder)))
    there = sorted(file.name for file in folder.glob("*.j2"))
    if strange := [name for name in there if name not in names]:
        raise BadInput(Problem("is not the name of a template", nearest(n, names), str(folder / n)) for n in strange)
    if not there:
        raise BadInput(Problem(f"publish.templates: contains none of {', '.join(names)}", start, str(folder)))
    return {kind: _read(folder / name) for kind, name in FILES.items() if name in there}


def _read(file: Path) -> Template:
    try:
        return Template(file.read_text(encoding="utf-8"), str(file), own=True)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem(f"cannot be read: {error}", file=str(file))) from error
