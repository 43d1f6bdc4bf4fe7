"""A sheet as its file holds it, and as a table: headings, and below them rows whose merged cells have their value."""

from __future__ import annotations

import bisect
import operator
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sdovis.errors import BadInput, Problem
from sdovis.images.timestamps import SUFFIXES

#: How a row stands in its sheet besides its text: people mark in these ways what they no longer mean.
HIDDEN, STRUCK = "hidden", "struck through"
#: The key of a fault that concerns the whole row.
WHOLE_ROW = -1
#: The most row numbers that a sentence lists.
LISTED = 10
#: Headings are looked for in this many filled rows at the top of a sheet.
TOP_ROWS = 30
#: What spreadsheet programs show in place of a value that cannot be computed: #N/A (German #NV), #REF!, #NAME?, Err:502.
_ERROR = re.compile(r"#N/[A-Z]|#NV|#GETTING_DATA|#[^\W\d_][\w/]*[!?]|Err:\d{3}")
_DATE = re.compile(r"\d{4}[-./]\d|\d{1,2}[-./]\d{1,2}[-./]\d")


@dataclass(frozen=True, slots=True)
class Line:
    """A row as text.

    ``number`` counts from 1. ``faults`` maps the index of a cell, or `WHOLE_ROW`, to what is wrong with it (a problem
    without its place).
    """

    number: int
    cells: tuple[str, ...]
    marks: tuple[str, ...] = ()
    faults: Mapping[int, Problem] = field(default_factory=dict)

    def text(self, index: int) -> str:
        """The cell's text; empty beyond the row's end."""
        return self.cells[index] if index < len(self.cells) else ""


@dataclass(frozen=True)
class Wanted:
    """Which columns of a sheet are needed: those with one of ``headings`` at the top, or with one that ``pattern`` finds.

    The rows at the top, where headings may stand, are read whole: `TOP_ROWS` filled ones, and as many below ``header_row``.
    """

    headings: tuple[str, ...]
    pattern: re.Pattern[str]
    header_row: int | None = None

    def columns(self, top: Iterable[Line]) -> frozenset[int]:
        """Indices of the needed columns of a sheet whose first rows are ``top``."""
        names = set(map(plain, self.headings))
        texts = ((index, text) for line in top for index, text in enumerate(line.cells) if text)
        return frozenset(index for index, text in texts if plain(text) in names or self.pattern.search(text))


@dataclass(frozen=True)
class Merged:
    """A range of merged cells, all ends inclusive: rows counted from 1, columns from 0. ``name`` is like ``A2:A5``."""

    name: str
    first_row: int
    last_row: int
    first: int
    last: int


@dataclass(frozen=True)
class Sheet:
    """A table: the headings in row ``heading_row``, and the rows below them."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[Line, ...]
    heading_row: int = 1


@dataclass(frozen=True)
class Grid:
    """The filled rows of a sheet as they stand in the file, with its merged ranges. ``name`` is '' for text files.

    In a text file (``text``) a row may have more or fewer cells than there are headings; in a workbook it cannot.
    """

    name: str
    lines: tuple[Line, ...]
    merged: tuple[Merged, ...] = ()
    text: bool = False

    def sheet(self, heading_row: int | None = None) -> Sheet:
        """The table whose headings stand in ``heading_row``, by default in the first filled row.

        A heading that is merged with cells below it makes a heading of several rows: the last of them counts, with the
        headings that reach down to it. Raises `BadInput` if ``heading_row`` is blank.
        """
        if not self.lines:
            return Sheet(self.name, (), ())
        number = heading_row or self.lines[0].number
        tall = [m for m in self.merged if m.first_row <= number <= m.last_row and self._text(m.first_row, m.first)]
        number = max((m.last_row for m in tall), default=number)
        names = {index: text for line in self.lines if line.number == number for index, text in enumerate(line.cells)}
        names |= {m.first: self._text(m.first_row, m.first) for m in tall if m.last_row == number}
        if not names:
            raise BadInput(Problem("the row is blank", "set source.header_row to the headings' row", row=number))
        headings = tuple(names.get(index, "") for index in range(max(names) + 1))
        below = [line for line in self.lines if line.number > number]
        rows = _filled(below, [m for m in self.merged if m.last_row > number], max(map(_width, self.lines)))
        return Sheet(self.name, headings, tuple(_checked(rows, headings) if self.text else rows), number)

    def with_separate_ranges(self) -> Grid:
        """This grid. Raises ValueError if merged ranges overlap, which no program allows: their cells would have two values.

        Ranges that do not overlap cover no more cells than there are.
        """
        numbers, width = [line.number for line in self.lines], max(map(_width, self.lines), default=0)
        rows = (
            bisect.bisect_right(numbers, m.last_row) - bisect.bisect_left(numbers, m.first_row) for m in self.merged
        )
        wide = (max(min(m.last + 1, width) - m.first, 0) for m in self.merged)
        if sum(map(operator.mul, rows, wide)) > len(numbers) * width:
            raise ValueError("merged ranges overlap")
        return self

    def likely_heading_row(self) -> int | None:
        """The row that looks like headings: the first that fills most columns with texts, no two alike. None if none does."""
        top = self.lines[:TOP_ROWS]
        widest = max((_filled_cells(line) for line in top), default=0)
        for line in top:
            texts = [text for text in line.cells if text]
            words = all(not _is_value(text) for text in texts) and not line.faults
            if words and len(set(map(plain, texts))) == len(texts) and 0.6 * widest <= len(texts):
                return line.number
        return None

    def row_with(self, headings: Iterable[str]) -> int | None:
        """The first of the top rows in which all of ``headings`` stand; None if there is none."""
        wanted = list(headings)
        top = self.lines[:TOP_ROWS]
        return next((line.number for line in top if all(matching(line.cells, each) for each in wanted)), None)

    def _text(self, number: int, index: int) -> str:
        return next((line.text(index) for line in self.lines if line.number == number), "")


def plain(heading: str) -> str:
    """A heading without case and white space, which people change unawares: line breaks and non-breaking spaces too."""
    text = unicodedata.normalize("NFC", heading).casefold()
    return "".join(c for c in text if not c.isspace() and unicodedata.category(c) != "Cf")


def matching(headings: Sequence[str], wanted: str) -> list[int]:
    """Where ``wanted`` stands among ``headings``: exactly, or else but for case and white space."""
    exact = [index for index, heading in enumerate(headings) if heading == wanted]
    return exact or [index for index, heading in enumerate(headings) if heading and plain(heading) == plain(wanted)]


def said_of_marks(where: str, marks: Mapping[int, Sequence[str]]) -> list[str]:
    """A sentence for each mark: which rows have it, and that they are used. ``marks`` gives those of every row, by number."""
    found = []
    for mark in (HIDDEN, STRUCK):
        rows = [number for number, of in marks.items() if mark in of]
        if rows:
            listed = ", ".join(map(str, rows[:LISTED])) + (", ..." if len(rows) > LISTED else "")
            found.append(f"{where}: {len(rows)} of {len(marks)} rows are {mark}, and are used (rows {listed})")
    return found


def _width(line: Line) -> int:
    return max((index + 1 for index, text in enumerate(line.cells) if text or index in line.faults), default=0)


def _filled_cells(line: Line) -> int:
    return sum(map(bool, line.cells))


def _is_value(text: str) -> bool:
    """Whether the text is a number, a date or the name of an image: headings are none of these."""
    if _DATE.match(text) or text.lower().endswith(SUFFIXES):
        return True
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def error_shown(text: str) -> Problem | None:
    """The fault of a cell that shows an error such as ``#N/A``; None for any other text."""
    if _ERROR.fullmatch(text):
        return Problem(f"the cell shows the error {text}", "correct its formula, or clear the cell")
    return None


def _filled(lines: Sequence[Line], merged: Iterable[Merged], width: int) -> list[Line]:
    """``lines`` with the value of each merged range in all of its cells, as a reader of the sheet sees it."""
    found = list(lines)
    numbers = [line.number for line in lines]
    covered: dict[int, tuple[list[str], dict[int, Problem]]] = {}
    for of in (each for each in merged if each.first < width):
        first, end = bisect.bisect_left(numbers, of.first_row), bisect.bisect_right(numbers, of.last_row)
        begins = first < end and numbers[first] == of.first_row  # if its first row is blank, so is its value
        origin = lines[first] if begins else Line(of.first_row, ())
        for index in range(first, end):
            if index not in covered:
                line = lines[index]
                covered[index] = [*line.cells, *[""] * (width - len(line.cells))], dict(line.faults)
            _cover(*covered[index], of, origin.text(of.first), origin.faults.get(of.first))
    for index, (cells, faults) in covered.items():
        found[index] = replace(lines[index], cells=tuple(cells), faults=faults)
    return found


def _cover(cells: list[str], faults: dict[int, Problem], of: Merged, text: str, fault: Problem | None) -> None:
    """Give the part of a row that lies in the range ``of`` its value, in place."""
    for index in range(of.first, min(of.last + 1, len(cells))):
        found = fault
        if cells[index] not in ("", text):
            what = f"the merged range {of.name} hides {cells[index]!r} behind {text!r}"
            found = Problem(what, "split the range, and keep the value that is meant")
        cells[index] = text
        if found:
            faults[index] = found


def _checked(lines: Iterable[Line], headings: Sequence[str]) -> list[Line]:
    """``lines`` of a text file, with a fault in each that has more or fewer cells than there are headings."""
    needed = max((index + 1 for index, heading in enumerate(headings) if heading), default=0)
    found = []
    for line in lines:
        # Blank headings at the end name nothing: a spreadsheet writes them where a column was cleared.
        if (cells := _width(line)) > needed or len(line.cells) < needed:
            more, cells = ("more", cells) if cells > needed else ("fewer", len(line.cells))
            what = f"the row has {more} cells than headings: {cells}, not {needed}"
            hint = "put cells that contain the separator in quotes" if more == "more" else "complete the row"
            line = replace(line, faults={**line.faults, WHOLE_ROW: Problem(what, hint)})
        found.append(line)
    return found
