"""Tables written in whatever way is wanted: workbooks whose XML says what no program would write for us, and texts."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.styles import Font

SHEET = "xl/worksheets/sheet1.xml"
STRICT = {
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
    "http://schemas.openxmlformats.org/officeDocument/2006/": "http://purl.oclc.org/ooxml/officeDocument/",
    "http://schemas.openxmlformats.org/drawingml/2006/main": "http://purl.oclc.org/ooxml/drawingml/main",
}


def workbook(
    path: Path,
    lines: Iterable[Sequence[Any]],
    *,
    merged: Iterable[str] = (),
    hidden: Iterable[int] = (),
    struck: Iterable[str] = (),
    formats: dict[str, str] | None = None,
    sheets: dict[str, str] | None = None,
) -> Path:
    """A workbook with one sheet of ``lines``, and more ``sheets`` (name -> state), empty, before it."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Regions"
    for line in lines:
        sheet.append(list(line))
    for cell, number_format in (formats or {}).items():
        sheet[cell].number_format = number_format
    for cell in struck:
        sheet[cell].font = Font(strike=True)
    for number in hidden:
        sheet.row_dimensions[number].hidden = True
    for cells in merged:
        sheet.merge_cells(cells)
    for index, (name, state) in enumerate((sheets or {}).items()):
        more = book.create_sheet(name, index)
        more.sheet_state = state
        more.append(["Notes"])
    book.active = len(book.sheetnames) - 1
    book.save(path)
    return path


def edited(path: Path, change: Callable[[str], str], part: str = r".*\.(xml|rels)") -> Path:
    """The workbook with ``change`` made to the text of each part whose name matches ``part``."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts:
            archive.writestr(name, change(data.decode()).encode() if re.fullmatch(part, name) else data)
    return path


def with_dimension(path: Path, size: str) -> Path:
    """The workbook with ``size`` as what its first sheet states of itself."""
    return edited(path, lambda xml: re.sub(r'<dimension ref="[^"]*"', f'<dimension ref="{size}"', xml), SHEET)


def strict(path: Path) -> Path:
    """The workbook as Excel's "Strict Open XML" has it."""

    def renamed(xml: str) -> str:
        for usual, other in STRICT.items():
            xml = xml.replace(usual, other)
        return xml

    return edited(path, renamed)
