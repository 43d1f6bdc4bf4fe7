"""The summary as an Excel workbook. Text stays text: the contents of a scientist's table cannot become a formula."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

#: Sheets of the workbook after README: name -> rows, all with the same columns.
Sheets = Mapping[str, Sequence[Mapping[str, Any]]]

#: The earliest time a zip archive can hold, so that two runs of the same summary give the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
WIDEST = 60


def workbook(readme: Sequence[tuple[str, str]], sheets: Sheets) -> bytes:
    """An .xlsx file: README (a heading and a text per row), then ``sheets``; None becomes an empty cell."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "README"
    for number, (heading, text) in enumerate(readme, 1):
        _put(sheet.cell(number, 1), heading)
        _put(sheet.cell(number, 2), text)
        sheet.cell(number, 1).font = Font(bold=True)
        sheet.cell(number, 2).alignment = sheet.cell(number, 1).alignment = Alignment(wrap_text=True, vertical="top")
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 28, 110
    for title, rows in sheets.items():
        _fill(book.create_sheet(title), rows)
    buffer = io.BytesIO()
    book.save(buffer)
    return _timeless(buffer.getvalue())


def _fill(sheet: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    columns = list(rows[0]) if rows else ["nothing to report"]
    for index, name in enumerate(columns, 1):
        _put(sheet.cell(1, index), name)
        sheet.cell(1, index).font = Font(bold=True)
        widest = max([len(name), *(len(_shown(row[name])) for row in rows)])
        sheet.column_dimensions[get_column_letter(index)].width = min(widest, WIDEST) + 2
        for number, row in enumerate(rows, 2):
            cell = sheet.cell(number, index)
            _put(cell, row[name])
            if isinstance(row[name], float):
                cell.number_format = "0.00E+00" if 0 < abs(row[name]) < 1e-3 or abs(row[name]) >= 1e7 else "0.0000"
    sheet.freeze_panes = "A2"
    if rows:
        sheet.auto_filter.ref = sheet.dimensions


def _shown(value: Any) -> str:
    return (
        f"{value:.4f}"
        if isinstance(value, float) and abs(value) < 1e7
        else ""
        if value is None
        else str(value)[:WIDEST]
    )


def _put(cell: Any, value: Any) -> None:
    """Store a number as a number and anything else as text, whatever it begins with."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, int | float):
        cell.value = value
    elif value is not None:
        cell.value = ILLEGAL_CHARACTERS_RE.sub("", str(value))
        cell.data_type = "s"  # openpyxl takes '=...' for a formula and '#N/A' for an error
        cell.quotePrefix = True  # and keeps it text when the cell is edited in a spreadsheet program


def _timeless(data: bytes) -> bytes:
    """The same archive without the time at which it was made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"1980-01-01T00:00:00Z", content)
            new.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
