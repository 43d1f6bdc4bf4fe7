"""What a reader returns: rows of text, each with its origin, and the flares that the labels were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sdovis.errors import BadInput, Problem, nearest
from sdovis.study import BESIDE, IMAGE_FIELDS, Columns


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in its source.

    ``cells`` maps a field of `sdovis.study.Columns` to the cell's text, unchanged except for surrounding white space (so
    ``012192`` and ``NA`` stay as they are); ``headings`` maps the field to the column's own heading. ``row`` counts from
    1, as a spreadsheet does, including the heading row. ``marks`` says how the row stands in its table besides its text,
    such as "hidden"; ``faults`` are problems of cells that have no value to be parsed.
    """

    file: str
    sheet: str
    row: int
    cells: Mapping[str, str]
    headings: Mapping[str, str]
    marks: tuple[str, ...] = ()
    faults: tuple[Problem, ...] = ()

    def text(self, field: str) -> str:
        """The cell's text; empty if the cell or the whole column is missing."""
        return self.cells.get(field, "")

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the row's image files, one for each channel; an unfilled cell gives an empty name."""
        return tuple(self.text(field) for field in IMAGE_FIELDS if field == "image" or field in self.headings)

    @property
    def extra(self) -> dict[str, str]:
        """Heading -> text of the filled cells that the reader gave beyond the study's own columns."""
        known = Columns.model_fields.keys() | set(IMAGE_FIELDS)
        own = {field: text for field, text in self.cells.items() if text and not field.startswith(BESIDE)}
        return {self.headings[field]: text for field, text in own.items() if field not in known}

    def problem(self, what: str, hint: str = "", *, field: str = "", kind: str = "") -> Problem:
        """A problem that points at this row and, if ``field`` is given, at its column."""
        return Problem(what, hint, self.file, self.sheet, self.row, self.headings.get(field, ""), kind)


@dataclass(frozen=True)
class FlareFacts:
    """The flares that a study's labels were made from, as ``corpus.json`` records them.

    ``list`` is the table's path in the study, ``first`` and ``last`` are the first and last dates (UTC) it covers, and
    ``threshold`` is the least GOES class that counts. The window is ``hours`` after an image; ``counted`` says so in
    words. ``events_in_windows`` counts all such flares after any of the images, ``events_without_region`` those to which
    the list gives no region: each may have come from a region that is labelled as having no flare.
    """

    list: str
    threshold: str
    hours: float
    first: str
    last: str
    counted: str
    events_in_windows: int
    events_without_region: int


#: A row's origin (file, sheet and line), and the row: its origin and its cells by heading.
Origin = tuple[str, str, int]
MadeLine = tuple[Origin, Mapping[str, str]]


def of_lines(
    lines: Sequence[MadeLine],
    columns: Mapping[str, str],
    reader: str,
    *,
    hints: Mapping[str, str] | None = None,
    faults: Mapping[Origin, Sequence[Problem]] | None = None,
) -> list[RawRow]:
    """The rows of a table that a reader made: ``columns`` (field -> heading) are the study's, all others travel along.

    Raises `BadInput` for headings that the table does not have; ``hints`` says more of a field's.
    """
    there = dict.fromkeys(heading for _, cells in lines for heading in cells)
    problems = [
        Problem(
            f"the reader {reader} has no column {heading!r}",
            f"{nearest(heading, tuple(there))} (source.columns.{field} asks for it{(hints or {}).get(field, '')})",
        )
        for field, heading in columns.items()
        if heading not in there
    ]
    if problems:
        raise BadInput(problems)
    known, mapped = Columns.model_fields.keys() | set(IMAGE_FIELDS), set(columns.values())
    # A column that the study does not map is no field of its row, even if it has the name of one.
    others = {
        heading: f"{heading} (other)" if heading in known else heading for heading in there if heading not in mapped
    }
    headings = {**columns, **{name: heading for heading, name in others.items()}}
    return [
        RawRow(
            *origin,
            {name: cells[heading] for name, heading in headings.items() if heading in cells},
            headings,
            faults=tuple((faults or {}).get(origin, ())),
        )
        for origin, cells in lines
    ]


def cell_text(value: object) -> str:
    """A cell of any type as text; '' if it is missing. A whole number stored as a float is that number."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(cell_text, value))
    if isinstance(value, bytes):
        return value.decode(errors="replace").strip()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
