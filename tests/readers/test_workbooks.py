"""What real workbooks do: each cell has the value that a reader of the sheet sees, or one line says why not."""

from __future__ import annotations

import re
from datetime import datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from sdovis.errors import BadInput
from sdovis.readers import spreadsheet, workbooks
from sdovis.study import Columns, Source
from written import SHEET, edited, strict, with_dimension, workbook

HEAD = ["Image", "NOAA AR", "Mount Wilson", "Lat"]
ROWS = [["a.fits", 11158, "Beta", 1.5], ["b.fits", 11162, "Alpha", 2.5], ["c.fits", 11164, "Beta", 3.5]]


def source(path: Path, **settings: Any) -> Source:
    columns = Columns(image="Image", label="Mount Wilson", noaa_ar="NOAA AR", latitude_deg="Lat")
    return Source(root=path.parent, workbook=path.name, **{"columns": columns, **settings})


def cells(path: Path, **settings: Any) -> list[tuple[str, ...]]:
    fields = ("image", "noaa_ar", "label", "latitude_deg")
    return [tuple(row.text(field) for field in fields) for row in spreadsheet.read(source(path, **settings))]


def problems(path: Path, **settings: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        spreadsheet.read(source(path, **settings))
    return [str(problem) for problem in caught.value.problems]


def notices(path: Path, **settings: Any) -> list[str]:
    of = source(path, **settings)
    return spreadsheet.notices(of, None, spreadsheet.read(of))


TEXTS = [("a.fits", "11158", "Beta", "1.5"), ("b.fits", "11162", "Alpha", "2.5"), ("c.fits", "11164", "Beta", "3.5")]


@pytest.mark.parametrize("size", ["A1", "A1:B2", "A1:D3", "A1:D900", "B2:C2", "A1:XFD1048576"])
def test_every_row_is_read_whatever_size_the_sheet_states_of_itself(tmp_path, size):
    path = with_dimension(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS]), size)
    assert f'<dimension ref="{size}"' in zip_text(path)
    assert cells(path) == TEXTS


def test_a_sheet_without_sizes_and_cell_names_is_read(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    bare = edited(path, lambda xml: re.sub(r'<dimension[^>]*>|(?<=<c) r="\w+"|(?<=<row) r="\d+"', "", xml), SHEET)
    assert cells(bare) == TEXTS


def zip_text(path: Path) -> str:
    import zipfile

    return zipfile.ZipFile(path).read(SHEET).decode()


def test_a_merged_range_gives_its_value_to_each_of_its_cells(tmp_path):
    lines = [HEAD, ["a.fits", 11158, "Beta", 1], ["b.fits", None, None, 2], ["c.fits", None, None, 3]]
    path = workbook(tmp_path / "tall.xlsx", lines, merged=["B2:B4", "C2:C3"])
    assert [c[1:3] for c in cells(path)] == [("11158", "Beta"), ("11158", "Beta"), ("11158", "")]
    lines = [HEAD, ["a.fits", "Beta", None, 1], ["b.fits", None, None, 2], ["c.fits", 11164, "Alpha", 3]]
    path = workbook(tmp_path / "square.xlsx", lines, merged=["B2:C3"])
    assert [c[1:3] for c in cells(path)] == [("Beta", "Beta"), ("Beta", "Beta"), ("11164", "Alpha")]
    lines = [HEAD, ["a.fits", 11158, "Beta", 7], ["b.fits", 11158, "Beta", None], [None] * 4]
    path = workbook(tmp_path / "end.xlsx", lines, merged=["D2:D9"])
    assert [c[3] for c in cells(path)] == ["7", "7"]  # a row in which only the range lies is blank


def test_a_range_over_columns_that_nobody_mapped_changes_nothing(tmp_path):
    lines = [[*HEAD, "Notes", "More"], *([*row, "x", None] for row in ROWS)]
    assert cells(workbook(tmp_path / "b.xlsx", lines, merged=["E2:F4"])) == TEXTS


def test_a_value_hidden_behind_a_merged_range_is_not_taken_for_seen(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    ranges = '</sheetData><mergeCells count="1"><mergeCell ref="B2:B3"/></mergeCells>'
    edited(path, lambda xml: xml.replace("</sheetData>", ranges), SHEET)
    (problem,) = problems(path)
    assert "row 3, column 'NOAA AR': the merged range B2:B3 hides '11162' behind '11158'" in problem


def test_a_merged_formula_without_a_value_is_a_problem_of_every_row_it_covers(tmp_path):
    lines = [HEAD, ["a.fits", "=11000+158", "Beta", 1], ["b.fits", None, "Beta", 2]]
    found = problems(workbook(tmp_path / "b.xlsx", lines, merged=["B2:B3"]))
    assert [("row 2" in found[0], "row 3" in found[1], "no stored value" in found[1])] == [(True, True, True)]


def test_headings_in_two_rows_are_read_with_those_merged_downwards(tmp_path):
    lines = [["Image", "NOAA AR", "Class", None], [None, None, "Mount Wilson", "Lat"], *ROWS]
    merged = ["A1:A2", "B1:B2", "C1:D1"]
    assert cells(workbook(tmp_path / "b.xlsx", lines, merged=merged)) == TEXTS


def test_headings_merged_sideways_do_not_name_two_columns(tmp_path):
    lines = [["Image", "NOAA AR", None, "Mount Wilson", "Lat"], ["a.fits", 11158, 11162, "Beta", 1]]
    path = workbook(tmp_path / "b.xlsx", lines, merged=["B1:C1"])
    assert cells(path) == [("a.fits", "11158", "Beta", "1")]


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ('<c r="B2"><f>11000+158</f></c>', "no stored value"),
        ('<c r="B2"><f>11000+158</f><v></v></c>', "no stored value"),
        ('<c r="B2"><f>11000+158</f><v>0</v></c>', "no stored value"),  # XlsxWriter
        ('<c r="B2" t="e"><f>VLOOKUP(1,A:A,1)</f><v>#N/A</v></c>', "shows the error #N/A"),
        ('<c r="B2" t="e"><v>#REF!</v></c>', "shows the error #REF!"),
        ('<c r="B2" t="str"><v>#DIV/0!</v></c>', "shows the error #DIV/0!"),
        ('<c r="B2" t="str"><v>#NV</v></c>', "shows the error #NV"),
    ],
)
def test_a_cell_without_a_value_is_a_problem_with_its_place(tmp_path, formula, why):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    edited(path, lambda xml: re.sub(r'<c r="B2".*?</c>', formula, xml), SHEET)
    (problem,) = problems(path)
    assert problem.startswith("b.xlsx, sheet 'Regions', row 2, column 'NOAA AR': ") and why in problem
    found = spreadsheet.read(source(path, on_problem="reject"))
    assert [len(row.faults) for row in found] == [1, 0, 0]


def test_a_stored_result_is_a_value_even_if_it_is_an_empty_text_or_0(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    stored = {"B2": '<c r="B2" t="str"><f>""</f><v></v></c>', "D2": '<c r="D2"><f>1-1</f><v>0</v></c>'}

    def computed(xml: str) -> str:
        for cell, text in stored.items():
            xml = re.sub(rf'<c r="{cell}".*?</c>', text, xml)
        return xml.replace('fullCalcOnLoad="1"', "")  # as a program that computes formulas saves it

    edited(path, computed)
    assert cells(path)[0] == ("a.fits", "", "Beta", "0")


@pytest.mark.parametrize("kind", ["usual", "strict"])
def test_dates_are_read_in_either_date_system_and_in_strict_workbooks(tmp_path, kind):
    for epoch in (openpyxl.utils.datetime.WINDOWS_EPOCH, openpyxl.utils.datetime.MAC_EPOCH):
        book = openpyxl.Workbook()
        book.epoch = epoch
        book.active.append(HEAD)
        book.active.append(["a.fits", datetime(2011, 2, 15, 1, 30), "Beta", time(13, 45)])
        book.save(tmp_path / "b.xlsx")
        path = strict(tmp_path / "b.xlsx") if kind == "strict" else tmp_path / "b.xlsx"
        assert cells(path) == [("a.fits", "2011-02-15 01:30:00", "Beta", "13:45:00")]


def test_a_strict_workbook_is_read_as_the_usual_one(tmp_path):
    iso = '<c r="B2" t="d"><v>2011-02-15T01:30:00</v></c>'
    path = strict(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS], hidden=[3], merged=["C3:C4"]))
    edited(path, lambda xml: re.sub(r'<c r="B2".*?</c>', iso, xml), SHEET)
    assert cells(path) == [
        ("a.fits", "2011-02-15 01:30:00", "Beta", "1.5"),
        TEXTS[1],
        ("c.fits", "11164", "Alpha", "3.5"),
    ]
    assert "1 of 3 rows are hidden" in notices(path)[0]


@pytest.mark.parametrize("number_format", ["0%", "0.00%", '0" %"'])
def test_a_percentage_is_refused_because_it_shows_another_number_than_it_holds(tmp_path, number_format):
    path = workbook(tmp_path / "b.xlsx", [HEAD, ["a.fits", 11158, "Beta", 0.125]], formats={"D2": number_format})
    (problem,) = problems(path)
    assert "row 2, column 'Lat': the cell is a percentage: it shows 12.5% and holds 0.125" in problem


def test_rows_that_are_hidden_or_struck_through_are_used_and_counted(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS], hidden=[2, 4], struck=["B3", "C3", "A4"])
    assert cells(path) == TEXTS
    assert [row.marks for row in spreadsheet.read(source(path))] == [
        ("hidden",),
        ("struck through",),
        ("hidden", "struck through"),
    ]
    assert notices(path) == [
        "b.xlsx, sheet 'Regions': 2 of 3 rows are hidden, and are used (rows 2, 4)",
        "b.xlsx, sheet 'Regions': 2 of 3 rows are struck through, and are used (rows 3, 4)",
    ]


@pytest.mark.parametrize("look", ['hidden="1"', 'hidden="true"', 'ht="0" customHeight="1"'])
def test_a_row_is_hidden_in_whatever_way_it_is_written(tmp_path, look):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    edited(path, lambda xml: xml.replace('<row r="3"', f'<row r="3" {look}'), SHEET)
    assert "1 of 3 rows are hidden, and are used (rows 3)" in notices(path)[0]


def test_rows_hidden_by_default_are_hidden(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS])
    edited(path, lambda xml: xml.replace("<sheetFormatPr ", '<sheetFormatPr zeroHeight="1" '), SHEET)
    assert "3 of 3 rows are hidden" in notices(path)[0]


def test_the_escapes_of_a_workbook_are_the_characters_that_it_shows(tmp_path):
    path = workbook(
        tmp_path / "b.xlsx", [["Image", "NOAA_x000D_\nAR", *HEAD[2:]], ["a_x0041_.fits_x000D_", "1", "Beta", "x_y"]]
    )
    assert cells(path) == [("aA.fits", "1", "Beta", "x_y")]


def test_a_workbook_of_charts_alone_is_one_line(tmp_path):
    book = openpyxl.Workbook()
    book.create_chartsheet("Chart")
    book.remove(book.active)
    book.save(tmp_path / "b.xlsx")
    assert len(problems(tmp_path / "b.xlsx")) == 1


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_is_not_the_first(tmp_path, state):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS], sheets={"Old": state})
    assert cells(path) == TEXTS
    (notice,) = notices(path)
    assert "only sheet 'Regions' is read, and not 'Old' ('Old' hidden)" in notice and "source.sheets" in notice
    assert not notices(path, sheets=("Regions",))


def test_sheets_that_are_not_read_are_named(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, *ROWS], sheets={"Later": "visible"})
    assert "'Later'" in problems(path)[0]  # the first sheet has other headings
    book = openpyxl.load_workbook(path)
    book.move_sheet("Later", 1)
    book.save(path)
    assert "only sheet 'Regions' is read, and not 'Later'" in notices(path)[0]


def test_a_title_above_the_headings_is_said_and_can_be_named_in_the_study(tmp_path):
    lines = [["Active regions of 2011", None, None, None], ["from NOAA", "and others"], HEAD, *ROWS]
    path = workbook(tmp_path / "b.xlsx", lines, merged=["A1:D1"])
    (problem,) = problems(path)
    assert problem == (
        "b.xlsx, sheet 'Regions', row 3: the headings seem to stand here, and not in row 1; set source.header_row = 3"
    )
    assert cells(path, header_row=3) == TEXTS
    assert [row.row for row in spreadsheet.read(source(path, header_row=3))] == [4, 5, 6]
    assert "row 9: the row is blank" in problems(path, header_row=9)[0]


@pytest.mark.parametrize(
    "heading",
    ["noaa ar", "NOAA\nAR", "NOAA\u00a0AR", " NOAA  AR ", "NOAAAR", "Noaa\tAR", "NOAA AR\u200b", "NOAA\u202fAR"],
)
def test_a_heading_is_matched_but_for_case_and_white_space_and_it_is_said(tmp_path, heading):
    path = workbook(tmp_path / "b.xlsx", [[HEAD[0], heading, *HEAD[2:]], *ROWS])
    assert cells(path) == TEXTS
    assert any("is read as 'NOAA AR'" in notice for notice in notices(path)) == (heading.strip() != "NOAA AR")


def test_headings_alike_but_for_case_are_refused_unless_one_is_as_the_study_has_it(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [[*HEAD, "noaa ar"], *([*row, 1] for row in ROWS)])
    assert cells(path) == TEXTS
    path = workbook(tmp_path / "b.xlsx", [["Image", "Noaa AR", *HEAD[2:], "noaa ar"], *([*row, 1] for row in ROWS)])
    (problem,) = problems(path)
    assert "column 'NOAA AR': the heading occurs 2 times, but for case and white space" in problem


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("b.xls", b"\xd0\xcf\x11\xe0", "is an Excel workbook of the old kind; save it as .xlsx or as CSV UTF-8"),
        ("b.ods", b"PK\x03\x04", "is an OpenDocument sheet; save it"),
        ("b.xlsb", b"PK\x03\x04", "is a binary Excel workbook; save it"),
        ("b.xlsx", b"\xd0\xcf\x11\xe0" + b"\0" * 600, "of the old kind, or protected by a password"),
        ("b.xlsx", b"<html><table>", "is not an Excel workbook"),
        ("b.xlsx", b"", "is not an Excel workbook"),
        ("b.json", b"{}", "is not one of .xlsx, .xlsm, .csv, .tsv, .txt"),
    ],
)
def test_a_file_of_another_kind_is_one_line_that_says_how_to_save_it(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    (problem,) = problems(tmp_path / name)
    assert why in problem


def test_a_workbook_with_a_damaged_sheet_is_one_line(tmp_path):
    path = edited(workbook(tmp_path / "b.xlsx", [HEAD, *ROWS]), lambda xml: xml[:-40], SHEET)
    (problem,) = problems(path)
    assert "b.xlsx: a sheet is damaged" in problem and "\n" not in problem


def test_a_range_merged_over_the_whole_sheet_takes_no_memory(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [["Title"], HEAD, *ROWS])
    ranges = '</sheetData><mergeCells count="1"><mergeCell ref="A1:XFD1"/><mergeCell ref="E2:XFD1048576"/></mergeCells>'
    edited(path, lambda xml: xml.replace("</sheetData>", ranges), SHEET)
    grid = workbooks.read(path)[0]
    assert max(len(line.cells) for line in (*grid.lines, *grid.sheet(2).rows)) == 4


def rich(*runs: str | tuple[str, dict[str, object]]) -> CellRichText:
    return CellRichText(*(r if isinstance(r, str) else TextBlock(InlineFont(**r[1]), r[0]) for r in runs))


RAISED, GONE = {"vertAlign": "superscript"}, {"strike": True}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (rich("1115", ("1", RAISED)), "1115¹"),  # not region 11151
        (rich("1", ("2", {"vertAlign": "subscript"})), "1₂"),
        (rich("111", ("58", {"b": True})), "11158"),
        (rich(("111", {"color": "FF0000"}), "62"), "11162"),
    ],
)
def test_raised_and_lowered_figures_are_no_part_of_a_number(tmp_path, cell, text):
    path = workbook(tmp_path / "b.xlsx", [HEAD, ["a.fits", cell, "Beta", 1]])
    assert [row[1] for row in cells(path)] == [text]


@pytest.mark.parametrize("runs", [(("1", GONE), "2"), ("11158", ("11162", GONE)), (("Alpha ", GONE), "Beta")])
def test_a_cell_of_which_a_part_is_struck_through_is_a_problem(tmp_path, runs):
    (problem,) = problems(workbook(tmp_path / "b.xlsx", [HEAD, ["a.fits", rich(*runs), "Beta", 1]]))
    assert "row 2, column 'NOAA AR': part of the cell is struck through: " in problem


def test_a_cell_whose_whole_text_is_struck_through_marks_its_row(tmp_path):
    path = workbook(tmp_path / "b.xlsx", [HEAD, ["a.fits", rich(("111", GONE), ("58", GONE)), "Beta", 1], *ROWS])
    assert [row.marks for row in spreadsheet.read(source(path))][:2] == [("struck through",), ()]


@pytest.mark.parametrize(
    ("number_format", "value"), [('0"E";0"W"', 12), ('0.0"°E";0.0"°W"', -12), (r'0\S;0\N', 12), ('0" E"', 12), ('0"N"', -3)]
)  # fmt: skip
def test_a_number_that_shows_a_direction_against_its_sign_is_a_problem(tmp_path, number_format, value):
    path = workbook(tmp_path / "b.xlsx", [HEAD, ["a.fits", 11158, "Beta", value]], formats={"D2": number_format})
    (problem,) = problems(path)
    assert "row 2, column 'Lat': the cell shows a direction against the sign of what it holds" in problem


@pytest.mark.parametrize(
    ("number_format", "value"), [('0"W";0"E"', 12), ('0"W";0"E"', -12), ('0"N"', 3), ('"E"0', 0), ('0" NE"', 5), ("0.0E+0", 7)]
)  # fmt: skip
def test_a_number_that_shows_its_own_direction_is_read(tmp_path, number_format, value):
    path = workbook(tmp_path / "b.xlsx", [HEAD, ["a.fits", 11158, "Beta", value]], formats={"D2": number_format})
    assert [row[3] for row in cells(path)] == [str(value)]
