"""What a reader hands over: rows of text, each knowing where it stands, and what flares their labels were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdovis.errors import Problem
from sdovis.study import IMAGE_FIELDS, Columns


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in its source.

    ``cells`` maps a field of `sdovis.study.Columns` to the cell's text, unchanged but for outer white space (so
    ``012192`` and ``NA`` stay what they are); ``headings`` maps the field to the column's own heading. ``row`` counts
    from 1 as a spreadsheet does, the heading row included.
    """

    file: str
    sheet: str
    row: int
    cells: Mapping[str, str]
    headings: Mapping[str, str]

    def text(self, field: str) -> str:
        """The cell's text; empty where the cell or the whole column is missing."""
        return self.cells.get(field, "")

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the row's image files, one for each channel; empty where no cell is filled."""
        return tuple(self.text(field) for field in IMAGE_FIELDS if field == "image" or field in self.headings)

    @property
    def extra(self) -> dict[str, str]:
        """Heading -> text of what the reader gave beyond the study's own columns, where there is any."""
        known = Columns.model_fields.keys() | set(IMAGE_FIELDS)
        return {self.headings[f]: text for f, text in self.cells.items() if f not in known and text}

    def problem(self, what: str, hint: str = "", *, field: str = "") -> Problem:
        """A problem that points at this row and, with ``field``, at that column."""
        return Problem(what, hint, self.file, self.sheet, self.row, self.headings.get(field, ""))


@dataclass(frozen=True)
class FlareFacts:
    """The flares that a study's labels were made from, as ``corpus.json`` records them.

    ``list`` is the table's path in the study, ``first`` and ``last`` the dates (UTC) that it reaches from and to;
    ``threshold`` the least GOES class that counts; ``hours`` after an image, ``counted`` in words, the window.
    ``events_in_windows`` are all flares that count after any of the images, ``events_without_region`` those that the
    list gives no region: each may have come from a region that is labelled as one without a flare.
    """

    list: str
    threshold: str
    hours: float
    first: str
    last: str
    counted: str
    events_in_windows: int
    events_without_region: int
