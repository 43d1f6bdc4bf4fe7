"""Reading a study file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdovis import plugins
from sdovis.errors import BadInput, Problem, nearest
from sdovis.study import arguments
from sdovis.study.model import Study
from sdovis.study.problems import problems_of

#: Fields that hold a path. In the file they are relative to the file, in ``--set`` to the working directory.
PATHS = ("source.root", "backbone.id", "publish.templates")


def _plugin_problems(data: Mapping[str, Any], file: str) -> Iterator[Problem]:
    named = {
        ("source", "reader"): "sdovis.readers",
        ("images", "channel"): "sdovis.channels",
        ("labels", "scheme"): "sdovis.labels",
        ("evaluation", "metrics"): "sdovis.metrics",
    }
    for (section, key), group in named.items():
        given = data.get(section, {}).get(key) if isinstance(data.get(section), dict) else None
        for name in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
            choices = plugins.names(group)
            if isinstance(name, str) and name not in choices:
                yield Problem(f"{section}.{key} {name!r} is unknown", nearest(name, choices), file=file)


def _override(data: dict[str, Any], assignment: str) -> Problem | None:
    """Apply ``section.key=value`` in place; the value is TOML, or else a plain string."""
    key, equals, text = assignment.partition("=")
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)+", key.strip()):
        return Problem(f"--set {assignment!r} is not an assignment", "write it as section.key=value")
    *path, last = key.strip().split(".")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    target = data
    for part in path:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            return Problem(f"--set {key}: {part} is not a section")
    target[last] = value
    return None


def _anchor(data: dict[str, Any], key: str, base: Path) -> None:
    section, name = key.split(".")
    table = data.get(section)
    if not isinstance(table, dict) or not isinstance(table.get(name), str):
        return
    path = base / table[name]
    # A backbone is a folder only where that folder is there: otherwise the text is a Hub id.
    if key != "backbone.id" or path.is_dir():
        table[name] = str(path)


def load(path: Path | str, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and apply ``overrides`` (``section.key=value``).

    Raises `BadInput` with every mistake of the file: TOML syntax, unknown sections, keys, plug-ins and training
    arguments (each with the nearest valid name), missing keys, values of the wrong kind.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(Problem("there is no such study file", "sdovis init WORKBOOK writes one", str(path))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem(f"the study file cannot be read: {error}", file=str(path))) from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(Problem(f"not valid TOML: {error}", file=str(path))) from error
    if isinstance(data.get("source"), dict):
        data["source"].setdefault("root", ".")
    for key in PATHS:
        _anchor(data, key, path.parent)
    problems = []
    for assignment in overrides:
        if problem := _override(data, assignment):
            problems.append(problem)
        elif (key := assignment.partition("=")[0].strip()) in PATHS:
            _anchor(data, key, Path())
    problems += _plugin_problems(data, str(path))
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, Study, str(path))
    if problems:
        raise BadInput(problems)
    return study


def json_schema() -> dict[str, Any]:
    """JSON schema of the study file, for editors; training arguments and plug-in names included."""
    schema = Study.model_json_schema()
    fields = {name: default for name, default in arguments.fields().items() if name not in arguments.OURS}
    schema["properties"]["training"] |= {
        "additionalProperties": False,
        "properties": {n: {"type": "boolean"} if type(d) is bool else {} for n, d in sorted(fields.items())},
    }
    for model, key, group in (
        ("Source", "reader", "readers"),
        ("Images", "channel", "channels"),
        ("Labels", "scheme", "labels"),
    ):
        schema["$defs"][model]["properties"][key]["examples"] = list(plugins.names(f"sdovis.{group}"))
    return schema
