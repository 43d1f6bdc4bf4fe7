"""Turns what pydantic finds wrong with a study into lines that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sdovis import formats, plugins
from sdovis.errors import Problem, nearest
from sdovis.study.source import READERS, Source, settings_of

#: How pydantic names the second alternative of fields that take one name, or a list of three.
THREE = "tuple[str, str, str]"


def problems_of(error: ValidationError, root: type[BaseModel], file: str = "") -> Iterator[Problem]:
    """One problem for each fault in data for the model ``root``; unknown keys come with the nearest known key."""
    listed: set[str] = set()
    items = error.errors()
    one_or_three = {_dotted(item["loc"][: item["loc"].index(THREE)]) for item in items if THREE in item["loc"]}
    for item in items:
        where = _dotted(item["loc"])
        either = next((key for key in one_or_three if where.startswith(f"{key}.")), None)
        if either is not None:  # pydantic reports every alternative
            if either not in listed:
                yield Problem(f"{either} is neither a name nor a list of three names", file=file)
            listed.add(either)
        elif item["type"] == "extra_forbidden":
            yield _unknown(root, item["loc"], item["input"], file)
        elif item["type"] == "model_type":
            hint = _moved(where) or f"write its entries under [{where}]"
            yield Problem(f"{where} = {item['input']!r} is not a table", hint, file=file)
        elif item["type"] == "missing":
            yield Problem(
                f"{where} is missing", f"add {item['loc'][-1]} = ... under [{_table(item['loc'])}]", file=file
            )
        elif item["type"] == "value_error":
            text = str(item["ctx"]["error"])
            for line in text.split("\n"):
                yield Problem(line if not where or line.startswith("training.") else f"{where}: {line}", file=file)
        else:
            given = (
                item["input"] if isinstance(item["input"], str | int | float | bool) else type(item["input"]).__name__
            )
            yield Problem(f"{where} = {given!r}: {item['msg'][0].lower()}{item['msg'][1:]}", file=file)


def _unknown(root: type[BaseModel], loc: Sequence[Any], given: Any, file: str) -> Problem:
    """Why a key is unknown: it has moved, it is a table for a reader that does not use it, or it is misspelt."""
    where, (*path, key) = _dotted(loc), loc
    if (moved := _moved(where)) and not isinstance(given, Mapping):
        return Problem(f"{where} is unknown", moved, file=file)
    if path == ["source"] and key in plugins.names(READERS):
        if settings_of(str(key)) is None:
            return Problem(f"[{where}] is not used: the reader {key!r} has no settings", "remove it", file=file)
        hint = f'remove it, or set source.reader = "{key}"'
        return Problem(f"[{where}] is for the reader {key!r}, which the study does not use", hint, file=file)
    return Problem(f"{where} is unknown", nearest(str(key), _keys_at(root, path)), file=file)


def _moved(where: str) -> str:
    new = formats.MOVED.get(where, "")
    return f"it moved to {new} in format {formats.newest(formats.STUDY)}" if new else ""


def _dotted(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc)


def _table(loc: Sequence[Any]) -> str:
    return _dotted(loc[:-1]) or "study"


def _keys_at(root: type[BaseModel], path: Sequence[Any]) -> list[str]:
    model: Any = root
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
        field = model.model_fields.get(part)
        model = field.annotation if field else settings_of(str(part)) if model is Source else None
        model = next((each for each in get_args(model) if each is not NoneType), model)  # of an optional table
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
