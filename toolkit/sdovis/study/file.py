"""Reading a study file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdovis import formats, plugins
from sdovis.errors import BadInput, Problem, nearest
from sdovis.study import arguments
from sdovis.study.fetch import DATES
from sdovis.study.model import Study
from sdovis.study.problems import problems_of
from sdovis.study.source import READERS, reader

#: A study needs five levels; whatever looks through one calls itself at each.
DEEPEST = 20
#: Fields that hold a path. In the file they are relative to the file; in ``--set``, to the working directory.
PATHS = ("source.root", "backbone.id", "publish.templates", "publish.signing_key")


def _plugin_problems(data: Mapping[str, Any], file: str) -> Iterator[Problem]:
    named = {
        ("source", "reader"): READERS,
        ("images", "channel"): "sdovis.channels",
        ("labels", "scheme"): "sdovis.labels",
        ("evaluation", "metrics"): "sdovis.metrics",
        ("evaluation", "threshold"): "sdovis.metrics",
    }
    for (section, key), group in named.items():
        given = data.get(section, {}).get(key) if isinstance(data.get(section), dict) else None
        for name in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
            choices = plugins.names(group)
            if isinstance(name, str) and name and name not in choices:
                yield Problem(f"{section}.{key} {name!r} is unknown", nearest(name, choices), file=file)
            elif group == READERS and isinstance(name, str):
                try:
                    reader(name)
                except BadInput as error:
                    yield from error.problems


def _override(data: dict[str, Any], assignment: str) -> Problem | None:
    """Apply ``section.key=value`` in place; the value is TOML if it parses, otherwise a plain string."""
    key, equals, text = assignment.partition("=")
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)+", key.strip()):
        return Problem(f"--set {assignment!r} is not an assignment", "write it as section.key=value")
    *path, last = key.strip().split(".")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except (ValueError, RecursionError):
        value = text
    if len(path) >= DEEPEST or _is_deep([value]):
        return Problem(f"--set {key[:40]} is nested more than {DEEPEST} deep", "write it as section.key=value")
    target = data
    for part in path:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            return Problem(f"--set {key}: {part} is not a section", "write it as section.key=value")
    target[last] = value
    return None


def _anchor(data: dict[str, Any], key: str, base: Path) -> None:
    section, name = key.split(".")
    table = data.get(section)
    if not isinstance(table, dict) or not isinstance(table.get(name), str):
        return
    path = base / table[name]
    # A backbone is a folder only if that folder exists; otherwise the text is a Hub id.
    if key != "backbone.id" or path.is_dir():
        table[name] = str(path)


def read(path: Path) -> str:
    """The text of a study file. Raises `BadInput` if it does not exist or cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")  # editors of Windows write a mark before the text
    except FileNotFoundError:
        raise BadInput(
            Problem("there is no such study file", "to write one, run: sdovis init WORKBOOK", str(path))
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem(f"the study file cannot be read: {error}", file=str(path))) from error


def tables(text: str, file: str) -> dict[str, Any]:
    """The tables in a study file's ``text``, as written. Raises `BadInput` if it is not TOML."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is another ValueError than TOML's own
        raise BadInput(Problem(f"not valid TOML: {error}", file=file)) from error
    if _is_deep(found):
        raise BadInput(Problem(f"its tables and lists are nested more than {DEEPEST} deep", "flatten them", file))
    return found


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEEPEST):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [each for values in inner for each in values if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _unsayable(data: Mapping[str, Any], file: str, where: str = "") -> Iterator[Problem]:
    """What TOML can say and no setting is: dates, and numbers that are not finite. Tables of any keys would take them."""
    for key, value in data.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from _unsayable(each, file, f"{where}{key}.")
            elif isinstance(each, date | time) and f"{where}{key}" not in DATES:  # a datetime is a date
                yield Problem(
                    f"{where}{key} = {each} is a date or a time, and no setting is", "put a text in quotes", file
                )
            elif isinstance(each, float) and not math.isfinite(each):
                yield Problem(f"{where}{key} = {each} is not a finite number", "correct it", file)


def load(path: Path | str, overrides: Sequence[str] = (), *, like: Study | None = None) -> Study:
    """Read a study file and apply ``overrides`` (``section.key=value``).

    The file may leave out its backbone if it is read to be evaluated ``like`` another study, whose model it is shown to.
    A file in an older format is upgraded in memory; an override may then name a key as that format does, or as the
    newest one does. Raises `BadInput` with every mistake of the file: TOML syntax, a format that is newer than this
    sdovis, unknown sections, keys, plug-ins and training arguments (each with the nearest valid name), missing keys,
    values of the wrong type.
    """
    path = Path(path)
    data = tables(read(path), str(path))
    older = formats.format_of(data, formats.STUDY, file=str(path)) < formats.newest(formats.STUDY)
    if isinstance(data.get("source"), dict):
        data["source"].setdefault("root", ".")
    for key in PATHS:
        _anchor(data, key, path.parent)
    keys = {assignment: assignment.partition("=")[0].strip() for assignment in overrides}
    first = [assignment for assignment in overrides if older and keys[assignment] in formats.MOVED]
    problems = [problem for assignment in first if (problem := _override(data, assignment))]
    data = formats.brought_up(data, formats.STUDY)
    for assignment in overrides:
        if assignment in first:
            continue
        if problem := _override(data, assignment):
            problems.append(problem)
        elif keys[assignment] in PATHS:
            _anchor(data, keys[assignment], Path())
    if like is not None:
        data.setdefault("backbone", like.backbone.model_dump(exclude_none=True))
    problems += _plugin_problems(data, str(path))
    try:
        study = Study.model_validate(data)
        problems += _unsayable(data, str(path))
    except ValidationError as error:
        problems += problems_of(error, Study, str(path))
    if problems:
        raise BadInput(problems)
    return study


def json_schema() -> dict[str, Any]:
    """JSON schema of the study file, for editors: training arguments, plug-in names and readers' settings included."""
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
    source = schema["$defs"]["Source"] | {"additionalProperties": False}
    for name in plugins.names(READERS):
        if settings := reader(name).settings:
            # Two readers may give their models the same name.
            own = settings.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
            schema["$defs"] |= {f"{name}.{inner}": of for inner, of in own.pop("$defs", {}).items()}
            source["properties"][name] = own
    schema["$defs"]["Source"] = source
    return schema
