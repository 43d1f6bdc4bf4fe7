"""The reader `spreadsheet`: rows of a workbook or a text table, by headings that the study names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sdovis.errors import BadInput, Problem, nearest
from sdovis.readers import tables
from sdovis.readers.grid import TOP_ROWS, WHOLE_ROW, Grid, Line, Sheet, Wanted, matching, said_of_marks
from sdovis.readers.rows import RawRow
from sdovis.study import BESIDE, IMAGE_FIELDS, Columns, Reader, Source

#: Without these a row is meaningless; the others may be missing from a sheet.
REQUIRED = (*IMAGE_FIELDS, "label")
#: The heading and the cells of a column of times of day.
_CLOCK_HEADING = re.compile(r"(?<![a-z])(?:time|utc?|hours?|clock|uhrzeit|heure)(?![a-z])", re.IGNORECASE)
_CLOCK = re.compile(r"\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[ap]m)?", re.IGNORECASE)


def read(source: Source, settings: None = None) -> list[RawRow]:
    """All rows of the sheets that ``source`` names (by default the first that is not hidden), without blank rows.

    Headings are those of the study but for case and white space; a merged range gives its value to each of its cells.
    Raises `BadInput` with every missing sheet and missing or repeated heading and, unless ``source.on_problem`` is
    "reject", every mapped cell without a value of its own and row that has other cells than headings.
    """
    path = source.root / source.workbook
    if not path.is_file():
        raise BadInput(Problem("there is no such workbook", "set source.root and source.workbook", str(path)))
    rows: list[RawRow] = []
    problems: list[Problem] = []
    file, mapped = source.workbook, source.columns.mapped()
    headings: list[str] = []
    wanted = Wanted(tuple(mapped.values()), _CLOCK_HEADING, source.header_row)
    for grid in tables.read(path, source.sheets or None, wanted):
        sheet, found = _sheet(grid, source)
        problems += found
        if not found:
            indices, found = _columns(sheet, source.columns, file)
            problems += [*found, *_divided_times(sheet, indices, file)]
            headings += [heading for heading in sheet.headings if heading]
            rows += _rows(sheet, indices, file)
    if not problems:
        for field in mapped.keys() - set(REQUIRED):
            if not matching(headings, mapped[field]):
                problems.append(_missing(mapped[field], field, headings, Problem("", file=file)))
    if source.on_problem == "error":
        problems += [fault for row in rows for fault in row.faults]
    if problems:
        raise BadInput(dict.fromkeys(problems))
    if not rows:
        raise BadInput(Problem("there are no rows below the headings", file=file))
    return rows


def _sheet(grid: Grid, source: Source) -> tuple[Sheet, list[Problem]]:
    """The table in ``grid``, and what is wrong with its row of headings."""
    here = Problem("", file=source.workbook, sheet=grid.name)
    if not grid.lines:
        return grid.sheet(), [replace(here, what="is empty", hint="source.sheets names the sheets to read")]
    try:
        sheet = grid.sheet(source.header_row)
    except BadInput as error:
        return Sheet(grid.name, (), ()), [replace(p, file=here.file, sheet=here.sheet) for p in error.problems]
    wanted = source.columns.mapped().values()
    top = {
        line.number: sum(bool(matching(line.cells, heading)) for heading in wanted) for line in grid.lines[:TOP_ROWS]
    }
    best = max(top, key=lambda number: top[number], default=sheet.heading_row)
    if source.header_row is None and top.get(best, 0) > sum(bool(matching(sheet.headings, h)) for h in wanted):
        what = f"the headings seem to stand here, and not in row {sheet.heading_row}"
        return sheet, [replace(here, row=best, what=what, hint=f"set source.header_row = {best}")]
    return sheet, []


def _columns(sheet: Sheet, columns: Columns, file: str) -> tuple[dict[str, int], list[Problem]]:
    """Field -> index of its column, and what is wrong with the headings."""
    indices, problems = {}, []
    here = Problem("", file=file, sheet=sheet.name)
    for field, heading in columns.mapped().items():
        at = matching(sheet.headings, heading)
        if len(at) == 1:
            indices[field] = at[0]
        elif at:
            what = f"the heading occurs {len(at)} times"
            if sheet.headings[at[0]] != heading:
                what += ", but for case and white space"
            problems.append(replace(here, column=heading, what=what, hint="rename all but one"))
        elif field in REQUIRED or field.startswith(BESIDE) or _looks_renamed(heading, sheet.headings, columns):
            problems.append(_missing(heading, field, sheet.headings, here))
    return indices, problems


def _divided_times(sheet: Sheet, indices: Mapping[str, int], file: str) -> Iterator[Problem]:
    """The problem of days without a time of day, which stands in a column of its own."""
    index = indices.get("observed")
    days = [] if index is None else [text for line in sheet.rows if (text := line.text(index))]
    if not days or any(sum(map(str.isdecimal, day.removesuffix(" 00:00:00"))) > len("20110215") for day in days):
        return
    for other, heading in enumerate(sheet.headings):
        cells = [line.text(other) for line in sheet.rows if line.text(other)]
        clocks = len(cells) and _CLOCK_HEADING.search(heading) and all(map(_CLOCK.fullmatch, cells))
        if other not in indices.values() and clocks:
            what = f"the times of day stand in another column, {heading!r}"
            hint = "write both in one column, as 2011-02-15 01:30:00"
            yield Problem(what, hint, file, sheet.name, column=sheet.headings[index or 0])


def _rows(sheet: Sheet, indices: Mapping[str, int], file: str) -> Iterator[RawRow]:
    headings = {field: sheet.headings[index] for field, index in indices.items()}
    texts: dict[str, str] = {}  # many cells are equal: each text is kept once
    for line in sheet.rows:
        picked = {f: texts.setdefault(text, text) for f, i in indices.items() for text in [line.text(i)]}
        faults = [_placed(line, index, sheet, file) for index in line.faults if index in (WHOLE_ROW, *indices.values())]
        if any(picked.values()) or faults:
            yield RawRow(file, sheet.name, line.number, picked, headings, line.marks, tuple(faults))


def _placed(line: Line, index: int, sheet: Sheet, file: str) -> Problem:
    column = "" if index == WHOLE_ROW else sheet.headings[index]
    return replace(line.faults[index], file=file, sheet=sheet.name, row=line.number, column=column)


def _looks_renamed(heading: str, headings: Sequence[str], columns: Columns) -> bool:
    unclaimed = [h.casefold() for h in headings if h and h not in columns.mapped().values()]
    return bool(difflib.get_close_matches(heading.casefold(), unclaimed, n=1, cutoff=0.75))


def _missing(heading: str, field: str, headings: Iterable[str], where: Problem) -> Problem:
    hint = f"{nearest(heading, tuple(dict.fromkeys(h for h in headings if h)))} (source.columns.{field} asks for it)"
    return replace(where, column=heading, what="there is no column with this heading", hint=hint)


def notices(source: Source, settings: None, rows: Sequence[RawRow]) -> list[str]:
    """What a reader of the results should know: rows used although marked, sheets not read, headings spelled otherwise."""
    found = []
    for sheet in dict.fromkeys(row.sheet for row in rows):
        of = [row for row in rows if row.sheet == sheet]
        where = f"{source.workbook}, sheet {sheet!r}" if sheet else source.workbook
        found += said_of_marks(where, {row.row: row.marks for row in of})
        spelled = [
            f"{own!r} is read as {heading!r}"
            for field, heading in source.columns.mapped().items()
            if (own := of[0].headings.get(field, heading)) != heading
        ]
        found += [f"{where}: the heading {each}" for each in spelled]
    if not source.sheets:
        tabs = tables.tabs(source.root / source.workbook)
        unread = [f"{name!r}" for name in (*tabs.shown, *tabs.hidden) if name != rows[0].sheet]
        hidden = f" ({', '.join(map(repr, tabs.hidden))} hidden)" if tabs.hidden else ""
        if unread:
            what = f"only sheet {rows[0].sheet!r} is read, and not {', '.join(unread)}{hidden}"
            found.append(f"{source.workbook}: {what}; source.sheets names the sheets to read")
    return found


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(read, requires=("workbook",), notices=notices)
