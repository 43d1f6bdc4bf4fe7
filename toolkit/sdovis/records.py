"""Records: what a stage found, as a frozen dataclass that is written to a JSON file of the run and read back whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from sdovis import disk, formats
from sdovis.errors import BadInput, Problem

T = TypeVar("T")


def write(record: object, file: Path, *, steps: Sequence[formats.Step] = ()) -> None:
    """Write ``record``, a dataclass, to ``file``, with the number of the format that ``steps`` lead to.

    The file appears whole or not at all.
    """
    told = {formats.KEY: formats.newest(steps), **plain(record)}
    disk.write(file, json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """``value`` in a form that JSON can hold: dataclasses become dictionaries.

    A field whose default is None is left out if it is None: only some studies have it.
    """
    if is_dataclass(value):
        entries = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: plain(v) for field, v in entries if not (v is None and field.default is None)}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def read(kind: type[T], file: Path, *, made_by: str, steps: Sequence[formats.Step] | None = ()) -> T:
    """The JSON file of a run as ``kind``, a dataclass, types checked; one of an older format is brought up by ``steps``.

    Files that `write` did not write have no format: their ``steps`` are None. Raises `BadInput` with every entry that is
    missing or of the wrong type, and for a format that is newer than this sdovis; ``made_by`` names the command that writes
    it.
    """
    written = _bytes(file, made_by)
    try:
        found = pydantic_core.from_json(written)
    except ValueError as error:
        raise BadInput(Problem(f"Invalid JSON: {error}", _again(made_by), str(file))) from None
    if steps is not None and isinstance(found, dict):
        written = pydantic_core.to_json(formats.brought_up(found, steps, file=str(file)), inf_nan_mode="constants")
    try:
        return TypeAdapter(kind).validate_json(written, strict=True)
    except ValidationError as error:
        raise BadInput(_problem(dict(item), file, made_by) for item in error.errors(include_url=False)) from None


def _bytes(file: Path, made_by: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise BadInput(Problem("is missing", f"run sdovis {made_by}", str(file))) from None


def _problem(item: Mapping[str, Any], file: Path, made_by: str) -> Problem:
    where = ".".join(map(str, item["loc"]))
    what = f"{where} is missing" if item["type"] == "missing" else f"{where}: {item['msg']}".removeprefix(": ")
    return Problem(what, _again(made_by), str(file))


def _again(made_by: str) -> str:
    return f"remove the folder and run sdovis {made_by}"
