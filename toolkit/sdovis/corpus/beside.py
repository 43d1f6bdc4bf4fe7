"""Values that stand beside the images: read from the rows, kept with them, and refused if they give the label away.

A corpus has a column ``beside_NAME`` for each value that `[source.columns.beside]` names, and ``corpus.json`` says what the
training part says of it (`sdovis.statistics.tabular`): nothing is learned from the other parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.corpus.columns import CorpusColumn
from sdovis.corpus.twins import Twin, twins
from sdovis.errors import BadInput, Problem, nearest
from sdovis.readers.rows import RawRow
from sdovis.statistics import tabular
from sdovis.statistics.tabular import TableColumn
from sdovis.study import BESIDE, Study
from sdovis.sun.notation import is_nothing, number

#: What the names of the corpus' columns begin with.
PREFIX = "beside_"
#: Labels of an earlier image may be known when an image is taken; all others are what is to be predicted.
EARLIER = ("of the row before", "of the day before")


def read(study: Study, raw: RawRow, problems: list[Problem]) -> str:
    """The row's values as JSON, name -> value; null where a cell says that there is none. "" if the study names none."""
    found: dict[str, float | str | None] = {}
    for name, (kind, _) in study.source.columns.beside.named.items():
        field, text = BESIDE + name, raw.text(BESIDE + name)
        found[name] = None
        if is_nothing(text):
            continue
        if kind == "category":
            found[name] = text
            continue
        try:
            value = number(text)
        except BadInput as error:
            problems.append(raw.problem(error.problems[0].what, error.problems[0].hint, field=field, kind=name))
            continue
        if kind == "logarithm" and value < 0:
            hint = f"empty the cell if nothing was measured, or write {name} under [source.columns.beside.numbers]"
            problems.append(raw.problem(f"{text} is below 0 and has no logarithm", hint, field=field, kind=name))
        found[name] = value
    return json.dumps(found) if found else ""


def expanded(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with a column for each of the values that `read` found."""
    named = study.source.columns.beside.named
    if not named:
        return rows
    values = [json.loads(text) for text in rows["beside"]]
    own = {PREFIX + name: [each[name] for each in values] for name in named}
    made = {
        c: pd.Series(v, dtype=object if named[c[len(PREFIX) :]][0] == "category" else float) for c, v in own.items()
    }
    return rows.assign(**{name: of.set_axis(rows.index) for name, of in made.items()})


def fitted(study: Study, rows: pd.DataFrame) -> tuple[TableColumn, ...] | None:
    """What the training part of ``rows``, `expanded`, says of each value; None if the study names none.

    Raises `BadInput` for values that tell nothing apart there.
    """
    train = rows[rows["split"] == "train"]
    found, problems = [], []
    for name, (kind, heading) in study.source.columns.beside.named.items():
        here = Problem("", file=study.source.rows_from, column=heading)
        values = train[PREFIX + name]
        try:
            found.append(tabular.fitted(name, heading, kind, values))
        except ValueError as error:
            problems.append(
                Problem(str(error), f"take {name} out of [source.columns.beside]", here.file, column=heading)
            )
    if problems:
        raise BadInput(problems)
    return tuple(found) or None


def refuse_marks(study: Study, rows: pd.DataFrame) -> None:
    """Raise `BadInput` for marks of missing values that would be taken for numbers; ``rows`` are `expanded`."""
    problems = []
    for name, (kind, heading) in study.source.columns.beside.named.items():
        if kind != "category" and (mark := _mark(rows[PREFIX + name])):
            what = f"{mark} is far below all other values: it looks like the mark of a missing value"
            hint = "empty these cells: a missing value is none"
            problems.append(Problem(what, hint, study.source.rows_from, column=heading))
    if problems:
        raise BadInput(problems)


def _mark(values: pd.Series) -> str:
    """A number of nines below 0, such as -999 or -99.9, that is less than twice the next lowest; "" if there is none."""
    below = sorted({float(value) for value in values[values < 0]})
    nines = [value for value in below if len(digits := f"{-value:g}".replace(".", "")) > 1 and set(digits) == {"9"}]
    others = [value for value in below if value not in nines]
    return f"{nines[0]:g}" if nines and (not others or nines[0] < 2 * others[0]) else ""


def refuse_given_away(study: Study, rows: pd.DataFrame, seed: int) -> tuple[str, ...]:
    """Raise `BadInput` for values that are the label, or tell it; what is said of those that tell an earlier one.

    ``rows`` are `expanded`, with the columns that `twins` needs.
    """
    named = study.source.columns.beside.named
    if not named:
        return ()
    ordered = rows.sort_values(["source_file", "source_sheet", "source_row"], kind="stable", ignore_index=True)
    found = twins(
        ordered, ordered[[PREFIX + name for name in named]].rename(columns=lambda c: c[len(PREFIX) :]), seed=seed
    )
    later = [twin for twin in found if twin.where not in EARLIER]
    if later:
        hint = "take it out of [source.columns.beside]"
        raise BadInput(
            Problem(_told(twin), hint, study.source.rows_from, column=named[twin.column][1]) for twin in later
        )
    return tuple(
        f"{_told(twin)}: the model is told the class of an earlier image, so compare it with persistence"
        for twin in found
    )


def _told(twin: Twin) -> str:
    return f"beside the image, {twin.sentence.partition(': keep')[0].removeprefix('the column ')}"


def columns(given: Sequence[TableColumn] | None) -> tuple[CorpusColumn, ...]:
    """The corpus' columns of these values."""
    return tuple(
        CorpusColumn(
            PREFIX + each.name,
            "number" if each.is_number else "text",
            f"beside the image, {'a number' if each.is_number else 'a name'} that a model may be told: the source's "
            f"{each.heading!r}; empty where it is missing",
        )
        for each in given or ()
    )


def encoded(given: Sequence[TableColumn], rows: pd.DataFrame) -> NDArray[np.float32]:
    """(N, width): what a model is given of the ``rows`` of a corpus. Raises `BadInput` for columns that are not there."""
    values: dict[str, Any] = {each.name: rows.get(PREFIX + each.name) for each in given}
    if lacking := [name for name, of in values.items() if of is None]:
        there = [str(name) for name in rows if str(name).startswith(PREFIX)]
        raise BadInput(
            Problem(f"the corpus has no column {PREFIX}{name}", nearest(PREFIX + name, there)) for name in lacking
        )
    return tabular.encoded(given, values)


def strange(given: Sequence[TableColumn], rows: pd.DataFrame) -> dict[str, int]:
    """Name -> how many ``rows`` have a value that is unlike those of the training part (`tabular.strange`)."""
    counts = {each.name: sum(1 for _ in tabular.strange(each, rows[PREFIX + each.name])) for each in given}
    return {name: count for name, count in counts.items() if count}
