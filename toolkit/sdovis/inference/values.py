"""Values beside an image, as somebody gives them: checked against what the model learned from, and coded as in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.corpus.beside import PREFIX
from sdovis.errors import BadInput, Problem, nearest
from sdovis.statistics import tabular
from sdovis.statistics.tabular import TableColumn


@dataclass(frozen=True, eq=False)
class Paired:
    """One of several sources, with the values beside it."""

    source: Any
    beside: Any


def paired(sources: Sequence[Any], beside: Any, told: Sequence[TableColumn]) -> list[Any]:
    """Each of the ``sources`` with its values. Raises `BadInput` if these are not a list of as many."""
    if beside is None and not told:
        return list(sources)
    if not isinstance(beside, list | tuple) or len(beside) != len(sources):
        given = f"a list of {len(beside)}" if isinstance(beside, list | tuple) else "no list"
        what = f"{len(sources)} images are given, and beside them {given}"
        raise BadInput(Problem(what, "give a list with the values of each image" if told else _NOTHING))
    return [Paired(source, values) for source, values in zip(sources, beside, strict=True)]


_NOTHING = "leave it out: the model looks at the image alone"


def row(told: Sequence[TableColumn], beside: Any) -> tuple[NDArray[np.float32] | None, list[str], list[str]]:
    """What the model is given, (1, W), what is strange about it, and what is missing, in sentences.

    None if it is ``told`` nothing.

    Raises `BadInput` with all problems: names that are missing or not known, and values of another kind.
    """
    if not told:
        if beside:
            raise BadInput(Problem("values are given beside the image, which the model is not told", _NOTHING))
        return None, [], []
    names = [each.name for each in told]
    if not isinstance(beside, Mapping):
        what = "the model is told values beside the image" + ("" if beside is None else ", and these are no mapping")
        raise BadInput(
            Problem(what, f"give beside={{{', '.join(f'{n!r}: ...' for n in names)}}}; None is a missing one")
        )
    problems = [
        Problem(f"beside the image, {name!r} is not known", nearest(str(name), names))
        for name in beside
        if name not in names
    ]
    values: dict[str, Any] = {}
    for column in told:
        if column.name not in beside:
            problems.append(Problem(f"beside the image, {column.name} is missing", f"give {wanted(column)}"))
            continue
        value = beside[column.name]
        if fault := _fault(column, value):
            problems.append(Problem(f"beside the image, {column.name} {fault}", f"give {wanted(column)}"))
        elif column.is_number:
            values[column.name] = math.nan if value is None else float(value)
        else:
            values[column.name] = value
    if problems:
        raise BadInput(problems)
    strange = [said for each in told for _, said in tabular.strange(each, [values[each.name]])]
    missing = [_standing_in(each) for each in told if _is_missing(each, beside[each.name])]
    with np.errstate(over="ignore"):
        table = tabular.encoded(told, {name: [value] for name, value in values.items()})
    if not np.isfinite(table).all():
        raise BadInput(Problem(f"beside the image, a number is too large to be told: {'; '.join(strange)}"))
    return table, strange, missing


def may_be_asked(told: Sequence[TableColumn], row: Mapping[str, Any]) -> bool:
    """Whether the page takes the values beside an image of a data set: it wants all that each training row has."""
    found = of_row(told, row) or {}
    return all(found[each.name] is not None or each.missing for each in told)


def of_row(told: Sequence[TableColumn], row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values beside an image of a data set, of which ``row`` is one, as `row` takes them; None if nothing is ``told``.

    As where models are evaluated, a category that the training part does not have counts as missing.
    """
    values = ((each, row[PREFIX + each.name]) for each in told)
    return {each.name: None if value != value or _fault(each, value) else value for each, value in values} or None


def _is_missing(column: TableColumn, value: Any) -> bool:
    return value is None or (not column.is_number and isinstance(value, str) and not value.strip())


def _standing_in(column: TableColumn) -> str:
    said = f"beside the image, {column.name} is not known"
    return said if column.median is None else f"{said}: the training median, {column.median:g}, stands in for it"


def wanted(column: TableColumn) -> str:
    """What may be given for a value, in words."""
    none = ", or None if it is missing" if column.missing else ""
    if column.categories is not None:
        return f"one of {', '.join(column.categories)}{none}"
    return f"a number, in training from {column.low:g} to {column.high:g}{none}"


def _fault(column: TableColumn, value: Any) -> str:
    """What is wrong with a value; "" if nothing is."""
    if _is_missing(column, value):
        return ""
    if column.categories is not None:
        if not isinstance(value, str):
            return f"is {value!r}, and not a text"
        known = {tabular.folded(name) for name in column.categories}
        return "" if tabular.folded(value) in known else f"is {value!r}, which no row of the training part is"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return f"is {value!r}, and not a number"
    if not math.isfinite(value):
        return f"is {value!r}, which is no number"
    return "is below 0" if column.kind == "logarithm" and value < 0 else ""
