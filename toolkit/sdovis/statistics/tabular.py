"""The columns of a table as the numbers that a linear layer is given, with statistics of the rows that it learns from.

A number becomes two: itself, standardised, and whether it is missing; a missing one stands at the median, and is never a 0.
A category becomes one for each of the categories that were learned from, and one for a missing value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: More categories than this are names of rows.
MOST_CATEGORIES = 50


@dataclass(frozen=True)
class TableColumn:
    """A column of the source under ``heading``, and what the rows that are learned from say of it.

    Of a number: ``centre`` and ``scale`` are mean and standard deviation of what the layer is given (of a logarithm
    log(1 + x)), ``low``, ``high`` and ``median`` of the values themselves. Of a category: the ``categories``, by which
    values are compared without their case. ``missing`` is the share of the rows without a value.
    """

    name: str
    heading: str
    kind: Literal["number", "logarithm", "category"]
    missing: float
    centre: float | None = None
    scale: float | None = None
    low: float | None = None
    high: float | None = None
    median: float | None = None
    categories: tuple[str, ...] | None = None

    @property
    def is_number(self) -> bool:
        return self.kind != "category"

    @property
    def width(self) -> int:
        """How many numbers the layer is given."""
        return 2 if self.categories is None else len(self.categories) + 1


def fitted(name: str, heading: str, kind: Literal["number", "logarithm", "category"], values: pd.Series) -> TableColumn:
    """A column with the statistics of ``values``: numbers with NaN, or texts with None or '' where one is missing.

    Raises ValueError, which says why, for values that tell nothing apart.
    """
    if kind == "category":
        texts = values.map(_text)
        known = texts[texts != ""]
        commonest = known.groupby(known.map(folded)).agg(lambda of: of.value_counts().index[0])
        if len(commonest) + (len(known) < len(values)) < 2:
            raise ValueError(_same(known.tolist()))
        if len(commonest) > MOST_CATEGORIES:
            raise ValueError(
                f"has {len(commonest)} different values in the training part, and at most {MOST_CATEGORIES} are categories"
            )
        share = 1 - len(known) / len(values)
        return TableColumn(name, heading, kind, share, categories=tuple(sorted(commonest, key=folded)))
    given = values.to_numpy(dtype=np.float64)
    known_numbers = given[~np.isnan(given)]
    seen = _scaled(known_numbers, kind)
    if not len(seen) or not seen.std() > 0:
        raise ValueError(_same(known_numbers.tolist()))
    return TableColumn(
        name,
        heading,
        kind,
        float(np.isnan(given).mean()),
        float(seen.mean()),
        float(seen.std()),
        float(known_numbers.min()),
        float(known_numbers.max()),
        float(np.median(known_numbers)),
    )


def _same(known: Sequence[Any]) -> str:
    what = f"is {known[0]!r} wherever it is known" if known else "has no value"
    return f"{what} in the training part, so it tells nothing"


def encoded(columns: Sequence[TableColumn], rows: Mapping[str, Sequence[Any]] | pd.DataFrame) -> NDArray[np.float32]:
    """(N, sum of the widths): what the layer is given of the values of ``rows``, by the columns' names.

    A category that was not learned from counts as a missing value (`strange` finds those).
    """
    return np.concatenate([_encoded(each, pd.Series(rows[each.name])) for each in columns], axis=1)


def _encoded(column: TableColumn, values: pd.Series) -> NDArray[np.float32]:
    if column.categories is not None:
        places = {folded(name): i for i, name in enumerate(column.categories)}
        which = [places.get(folded(_text(value)), len(places)) for value in values]
        return np.eye(len(places) + 1, dtype=np.float32)[which]
    assert column.median is not None and column.centre is not None and column.scale is not None
    given = values.to_numpy(dtype=np.float64)
    missing = np.isnan(given)
    standard = (_scaled(np.where(missing, column.median, given), column.kind) - column.centre) / column.scale
    return np.column_stack([standard, missing]).astype(np.float32)


def strange(column: TableColumn, values: Sequence[Any] | pd.Series) -> Iterator[tuple[int, str]]:
    """The positions of ``values`` that are unlike those that were learned from, each with what is strange about it."""
    known = {folded(name) for name in column.categories or ()}
    for position, value in enumerate(values):
        missing = _text(value) == "" if column.categories is not None else pd.isna(value)
        if missing:
            if not column.missing:
                yield position, f"{column.name} is missing, and no row of the training part lacked it"
        elif column.categories is not None:
            if folded(_text(value)) not in known:
                yield position, f"{column.name} = {value!r} does not occur in the training part, and counts as missing"
        elif not (column.low or 0.0) <= value <= (column.high or 0.0):
            yield (
                position,
                f"{column.name} = {value:g} lies outside the training range, {column.low:g} to {column.high:g}",
            )


def folded(text: str) -> str:
    """A category as it is compared: without case, and with single spaces."""
    return " ".join(text.split()).casefold()


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()


def _scaled(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    return np.log1p(values) if kind == "logarithm" else values
