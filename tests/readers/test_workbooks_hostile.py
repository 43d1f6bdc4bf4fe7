"""Workbooks that hang their parser, fill the memory or lie about themselves cost one clear line; the others read as before."""

from __future__ import annotations

import re
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font
from sdovis.errors import BadInput
from sdovis.readers import sheet_xml, spreadsheet, tables, workbooks
from sdovis.readers.grid import Grid
from sdovis.study import Columns, Source
from written import SHEET, edited, strict, workbook

HEAD = ["Image", "NOAA AR", "Mount Wilson", "Notes"]
ROWS = [["a.fits", 11158, "Beta", "x"], ["b.fits", 11162, "Alpha", None], ["c.fits", 11164, "Beta", 3.5]]
COLUMNS = Columns(image="Image", label="Mount Wilson", noaa_ar="NOAA AR")


def problem(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        tables.read(path)
    (found,) = caught.value.problems
    assert found.file == path.name and "\n" not in str(found)
    return found.what


def with_rows(path: Path, rows: str) -> Path:
    """The workbook with more ``rows`` of XML below its own."""
    return edited(path, lambda xml: xml.replace("</sheetData>", rows + "</sheetData>"), SHEET)


# --- blank tails ------------------------------------------------------------------------------------------------------


def blank(
    first: int, count: int, row: str = '<row r="{0}"><c r="A{0}" s="1"/><c r="B{0}" s="1"/><c r="C{0}"/></row>'
) -> str:
    return "".join(row.format(number) for number in range(first, first + count))


def test_a_hundred_thousand_formatted_blank_rows_take_no_time(tmp_path: Path) -> None:
    book = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS], merged=["C2:C3"], hidden=[3])
    plain = workbooks.read(book)
    start = time.monotonic()
    assert workbooks.read(with_rows(book, blank(5, 100_000))) == plain
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("cell", ["<v>7</v>", "<v >7</v>", "<f>A1</f>", '<f t="shared" si="0"/>', "<is><t>7</t></is>"])
def test_what_stands_below_blank_rows_is_read(tmp_path: Path, cell: str) -> None:
    kind = ' t="inlineStr"' if cell.startswith("<is") else ""
    last = f'<row r="50000"><c r="D50000"{kind}>{cell}</c></row>'
    (grid,) = workbooks.read(
        with_rows(workbook(tmp_path / "b.xlsx", [HEAD]), blank(2, 2000) + last + blank(50001, 9000))
    )
    (line,) = grid.lines[1:]
    assert line.number == 50000 and (line.text(3) == "7" or 3 in line.faults)


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: re.sub(r"<(/?)(?!\?)", r"<\1x:", xml).replace("xmlns=", "xmlns:x="),
        lambda xml: xml.replace("</sheetData>", "</sheetData><!-- </sheetData> -->"),
        lambda xml: xml.replace("<sheetData>", "<!-- <v></row></sheetData> --><sheetData>"),
        lambda xml: xml.replace("</sheetData>", "</sheetData ><extLst><x14:f xmlns:x14='u'>A1</x14:f></extLst>"),
    ],
    ids=["prefixes", "comment below", "comment above", "formula in an extension"],
)
def test_however_the_xml_is_written_the_same_is_read(tmp_path: Path, change: Callable[[str], str]) -> None:
    book = with_rows(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS], merged=["C2:C3"]), blank(5, 50))
    plain = workbooks.read(book)
    assert workbooks.read(edited(book, change, SHEET)) == plain


def test_a_sheet_in_utf_16_is_read_to_its_end(tmp_path: Path) -> None:
    book = with_rows(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS]), blank(5, 50))
    plain = workbooks.read(book)
    with zipfile.ZipFile(book) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = re.sub(r"<\?xml[^>]*\?>", "", parts[SHEET].decode())
    with zipfile.ZipFile(book, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, text.encode("utf-16") if name == SHEET else data)
    assert workbooks.read(book) == plain


def test_only_ranges_within_one_column_are_known_not_to_share_values() -> None:
    xml = "<worksheet><sheetData></sheetData><mergeCells>{}</mergeCells></worksheet>"
    for ranges, shared in (
        ("", False),
        ('<mergeCell ref="B2:B9"/><mergeCell ref="AA2:AA9"/>', False),
        ('<mergeCell ref="B2:B9"/><mergeCell ref="B2:C9"/>', True),
        ('<mergeCell ref="A2:AA9"/>', True),
        ('<x:mergeCell x="" ref="A2:B9"/>', True),
        ('<mergeCell ref = "A2:B9"/>', True),
    ):
        assert sheet_xml.merges_columns(xml.format(ranges).encode()) is shared
    assert sheet_xml.merges_columns(xml.encode("utf-16"))


# --- columns that nobody mapped ---------------------------------------------------------------------------------------


def test_below_the_headings_only_mapped_columns_are_kept(tmp_path: Path) -> None:
    lines = [[f"{number}.fits", 11158, "Beta", "a long remark"] for number in range(200)]
    path = workbook(tmp_path / "b.xlsx", [HEAD, *lines])
    kept: list[Grid] = []
    with pytest.MonkeyPatch.context() as patch:
        real = tables.read
        patch.setattr(tables, "read", lambda *given: kept.extend(real(*given)) or kept)
        rows = spreadsheet.read(Source(root=tmp_path, workbook=path.name, columns=COLUMNS))
    assert len(rows) == 200 and {line.text(3) for line in kept[0].lines[100:]} == {""}


NAMES = st.sampled_from(["Image", "NOAA AR", "Mount Wilson", "Notes", "noaa  ar", "Time", "Area", "", "11158"])
CELL = st.sampled_from(
    [None, 11158, "Beta", "x.fits", " ", "12:30", 0.5, True, "#N/A", "=1+1", "two\nlines",
     CellRichText("111", TextBlock(InlineFont(strike=True), "58"))]
)  # fmt: skip
STRUCK = Font(strike=True)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_leaving_columns_out_changes_no_row(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    width = data.draw(st.integers(3, 6))
    headings = data.draw(st.permutations([*HEAD[:3], *(data.draw(NAMES) for _ in range(width - 3))]))
    table = [[data.draw(CELL) for _ in headings] for _ in range(data.draw(st.integers(1, 12)))]
    header = data.draw(st.sampled_from([None, 1, 3]))
    titles = [["Title"]] * ((header or 1) - 1)
    book = openpyxl.Workbook()
    for line in [*titles, headings, *[["f", 1, "b"]] * data.draw(st.sampled_from([0, 40])), *table]:
        book.active.append(line)
    last = book.active.max_row
    book.active.cell(last, data.draw(st.integers(1, width))).font = STRUCK
    if data.draw(st.booleans()) and len(table) > 3:
        left = data.draw(st.integers(1, width - 1))
        wide = data.draw(st.integers(0, 1))
        book.active.merge_cells(start_row=last - 2, end_row=last, start_column=left, end_column=left + wide)
    path = tmp_path_factory.mktemp("books") / "b.xlsx"
    book.save(path)
    if data.draw(st.booleans()):
        strict(path)
    source = Source(root=path.parent, workbook=path.name, columns=COLUMNS, header_row=header, on_problem="reject")
    real = workbooks.read
    with pytest.MonkeyPatch.context() as patch:
        found = read_or_refused(source)
        patch.setattr(workbooks, "read", lambda path, names=None, wanted=None: real(path, names))
        assert found == read_or_refused(source)


def read_or_refused(source: Source) -> object:
    try:
        return spreadsheet.read(source)
    except BadInput as error:
        return error.problems


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_workbook_that_takes_too_long_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "SECONDS", 0.5)
    monkeypatch.setattr(workbooks, "BYTES_PER_SECOND", 2**40)
    book = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    cells = "".join(f"<c r='{column}{{0}}'><v>1</v></c>" for column in "ABCDEFGHIJ")
    assert problem(with_rows(book, blank(5, 60_000, f"<row r='{{0}}'>{cells}</row>"))).startswith(
        "cannot be read: took longer"
    )


def test_a_workbook_that_needs_too_much_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MEMORY_BYTES", 2**27)
    monkeypatch.setattr(workbooks, "SECONDS", 60.0)
    book = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    far = with_rows(book, blank(5, 4000, "<row r='{0}'><c r='XFD{0}'><v>1</v></c></row>"))
    assert problem(far) == "cannot be read: needed more than 0.125 GiB of memory"


def test_ranges_that_overlap_are_refused_and_not_filled_in(tmp_path: Path) -> None:
    book = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    ranges = "</sheetData><mergeCells>" + '<mergeCell ref="A2:D4"/>' * 50_000 + "</mergeCells>"
    assert (
        problem(edited(book, lambda xml: xml.replace("</sheetData>", ranges), SHEET))
        == "a sheet is damaged: merged ranges overlap"
    )
    # Ranges to the right of all cells cover nothing, however many there are.
    ranges = "</sheetData><mergeCells>" + '<mergeCell ref="Z2:AD4"/>' * 1000 + "</mergeCells>"
    book = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    assert (
        len(workbooks.read(edited(book, lambda xml: xml.replace("</sheetData>", ranges), SHEET))[0].sheet().rows) == 3
    )


# --- archives that lie ------------------------------------------------------------------------------------------------

CENTRAL = b"PK\x01\x02"


def with_directory(path: Path, at: int, value: bytes) -> Path:
    """The workbook with ``value`` written at byte ``at`` of its sheet's entry in the archive's directory."""
    data = path.read_bytes()
    start = data.rindex(CENTRAL, 0, data.rindex(SHEET.encode())) + at
    path.write_bytes(data[:start] + value + data[start + len(value) :])
    return path


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (6, struct.pack("<H", 99)),  # a version of the format that nobody knows
        (
            8,
            struct.pack("<H", 0x0800) + b"\0\0" + bytes(32) + b"\xff\xfe\xfd",
        ),  # a name that is not UTF-8, though it says so
        (8, struct.pack("<H", 1)),  # encrypted
        (10, struct.pack("<H", 98)),  # compressed in another way
        (28, struct.pack("<H", 60000)),  # a name of 60,000 bytes
        (30, struct.pack("<H", 60000)),  # extra fields as long
        (42, struct.pack("<I", 2**32 - 2)),  # beyond the end
        (20, struct.pack("<II", 0, 0)),  # of no size
        (46, b"\0" * 12),  # a name of NUL
    ],
)
def test_an_archive_with_an_odd_directory_is_one_line(tmp_path: Path, at: int, value: bytes) -> None:
    assert problem(with_directory(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS]), at, value))


def test_a_workbook_that_would_unpack_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = with_directory(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS]), 24, struct.pack("<I", 300 * 2**20))
    assert re.fullmatch(r"unpacks to 30\d MB, more than 256 MB", problem(path))


def test_the_problems_of_a_workbook_cross_from_the_child_as_they_are(tmp_path: Path) -> None:
    book = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    with pytest.raises(BadInput) as caught:
        tables.read(book, ["Region", "Notes"])
    assert [(found.sheet, found.hint) for found in caught.value.problems] == [
        ("Region", "did you mean 'Regions'?"),
        ("Notes", "choose one of Regions"),
    ]
