"""Tables of any kind that people keep: the one place where their files are opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sdovis.errors import BadInput, Problem, nearest
from sdovis.readers import delimited, workbooks
from sdovis.readers.grid import WHOLE_ROW, Grid, Wanted, matching, said_of_marks
from sdovis.readers.workbooks import Tabs

WORKBOOKS = (".xlsx", ".xlsm")
TEXTS = (".csv", ".tsv", ".txt")
_OTHERS = {
    ".xls": "an Excel workbook of the old kind", ".xlsb": "a binary Excel workbook", ".ods": "an OpenDocument sheet",
    ".numbers": "a Numbers sheet",
}  # fmt: skip


def read(path: Path, names: Sequence[str] | None = None, wanted: Wanted | None = None) -> list[Grid]:
    """The sheets in ``names``, or the first that is not hidden if None; a text file is one sheet without a name.

    With ``wanted``, cells of a workbook's other columns may be left out below the top rows.

    Raises `BadInput` for a file that is absent, of another kind, damaged, too large, or without a sheet.
    """
    return workbooks.read(path, names, wanted) if _is_workbook(path) else [delimited.read(path)]


def tabs(path: Path) -> Tabs:
    """The sheets of a workbook; a text file has one, without a name. Raises `BadInput` as `read` does."""
    return workbooks.tabs(path) if _is_workbook(path) else Tabs(("",), ())


def rows(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a table's first sheet, with their numbers, as heading in lower case -> text.

    ``needed`` names, in lower case, columns that must be there; titles may stand above their headings. Raises `BadInput`
    with every cell that has no value and every row that has other cells than headings.
    """
    grid = read(path)[0]
    sheet = grid.sheet(grid.row_with(needed))
    headings = [" ".join(heading.split()).casefold() for heading in sheet.headings]
    problems = []
    for name in needed:
        if at := matching(headings, name):
            headings = [name if index in at else heading for index, heading in enumerate(headings)]
        else:
            hint = nearest(name, list(dict.fromkeys(filter(None, headings))))
            problems.append(Problem(f"there is no column {name!r}", hint, path.name))
    for name, count in Counter(headings).items():
        if name and count > 1:
            problems.append(Problem(f"the heading {name!r} occurs {count} times", "rename all but one", path.name))
    for line in sheet.rows:
        for index, fault in line.faults.items():
            if index == WHOLE_ROW or any(headings[index : index + 1]):
                column = "" if index == WHOLE_ROW else sheet.headings[index]
                problems.append(replace(fault, file=path.name, row=line.number, column=column))
    if not sheet.rows and not problems:
        problems.append(Problem("there are no rows below the headings", file=path.name))
    if problems:
        raise BadInput(problems)
    return [(line.number, {h: line.text(i) for i, h in enumerate(headings) if h}) for line in sheet.rows]


def plain_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text, or the rows of a workbook's first sheet with spaces between cells, with their numbers."""
    if _is_workbook(path):
        return [(line.number, " ".join(line.cells)) for line in read(path)[0].lines]
    return list(enumerate(delimited.text_of(path).splitlines(), 1))


def said_of(path: Path) -> list[str]:
    """What a reader of the results should know of a joined table: rows that are used although they are marked."""
    if not _is_workbook(path):
        return []
    return [
        each
        for grid in read(path)
        for each in said_of_marks(path.name, {line.number: line.marks for line in grid.lines})
    ]


def _is_workbook(path: Path) -> bool:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise BadInput(Problem("there is no such table", "paths are relative to source.root", str(path)))
    if suffix not in (*WORKBOOKS, *TEXTS):
        what = f"is {_OTHERS[suffix]}" if suffix in _OTHERS else f"is not one of {', '.join((*WORKBOOKS, *TEXTS))}"
        raise BadInput(Problem(what, "save it as .xlsx or as CSV UTF-8", path.name))
    return suffix in WORKBOOKS
