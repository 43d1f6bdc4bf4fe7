"""What pydantic finds wrong with a study, in lines that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from sdovis.errors import Problem, nearest

#: Fields that take one name, or a list of three.
ONE_OR_THREE = ("images.channel", "source.columns.image", "source.files")


def problems_of(error: ValidationError, root: type[BaseModel], file: str = "") -> Iterator[Problem]:
    """A problem for each fault of a model of ``root``, those of unknown keys with the nearest known one."""
    listed: set[str] = set()
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        either = next((key for key in ONE_OR_THREE if where.startswith(f"{key}.")), None)
        if either is not None:  # pydantic reports every alternative
            if either not in listed:
                yield Problem(f"{either} is neither a name nor a list of three names", file=file)
            listed.add(either)
        elif item["type"] == "extra_forbidden":
            *path, key = item["loc"]
            yield Problem(f"{where} is unknown", nearest(str(key), _keys_at(root, path)), file=file)
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


def _table(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc[:-1]) or "study"


def _keys_at(root: type[BaseModel], path: Sequence[Any]) -> list[str]:
    model: Any = root
    for part in path:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is None:
            return []
        model = field.annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
