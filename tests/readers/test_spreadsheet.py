from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.readers import spreadsheet, workbooks
from sdovis.study import Columns, Source

HEADINGS = ["Image", "NOAA AR", "Mount Wilson"]


def _workbook(path: Path, rows, headings=HEADINGS, more=()):
    book = openpyxl.Workbook()
    book.active.title = "Regions"
    for line in (headings, *rows):
        book.active.append(line)
    for title, lines in more:
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return path


def _source(path: Path, sheets=(), **columns) -> Source:
    named = {"image": "Image", "label": "Mount Wilson", "noaa_ar": "NOAA AR"} | columns
    return Source(root=path.parent, workbook=path.name, sheets=sheets, columns=Columns(**named))


def _problems(source: Source) -> list[str]:
    with pytest.raises(BadInput) as caught:
        spreadsheet.read(source)
    return [str(problem) for problem in caught.value.problems]


def test_cells_are_read_as_their_writer_saw_them(tmp_path):
    rows = [["a.fits", "012192", "NA"], ["b.fits", 11076, "Beta "], ["c.fits", 11076.0, None]]
    found = spreadsheet.read(_source(_workbook(tmp_path / "b.xlsx", rows)))
    assert [row.cells["noaa_ar"] for row in found] == ["012192", "11076", "11076"]
    assert [row.cells["label"] for row in found] == ["NA", "Beta", ""]
    assert [row.row for row in found] == [2, 3, 4]


def test_a_date_cell_becomes_iso_text(tmp_path):
    path = _workbook(tmp_path / "b.xlsx", [["a", datetime(2011, 2, 15, 1, 30), "x"]])
    assert spreadsheet.read(_source(path))[0].text("noaa_ar") == "2011-02-15 01:30:00"


def test_blank_rows_are_left_out_and_the_others_keep_their_numbers(tmp_path):
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x"], [None, None, None], ["b", 2, "y"]])
    assert [row.row for row in spreadsheet.read(_source(path))] == [2, 4]


def test_a_renamed_column_names_the_sheet_and_the_nearest_heading(tmp_path):
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x"]], ["Image", "NOAA_AR", "Mt Wilson"])
    problems = _problems(_source(path))
    assert any(p.startswith("b.xlsx, sheet 'Regions', column 'Mount Wilson': there is no column") for p in problems)
    assert any("did you mean 'NOAA_AR'? (source.columns.noaa_ar asks for it)" in p for p in problems)


def test_a_heading_that_stands_twice_is_refused(tmp_path):
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x", 2]], [*HEADINGS, "NOAA AR"])
    assert "the heading occurs 2 times" in _problems(_source(path))[0]


def test_a_formula_that_was_never_computed_is_refused_with_its_row(tmp_path):
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x"], ["b", "=1+1", "y"]])
    (problem,) = _problems(_source(path))
    assert problem.startswith("b.xlsx, sheet 'Regions', row 3, column 'NOAA AR': the formula has no stored value")


def test_several_sheets_are_read_and_an_optional_column_may_be_missing_from_one(tmp_path):
    more = [("Quiet", [["Image", "Mount Wilson"], ["q", "z"]])]
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x"]], more=more)
    found = spreadsheet.read(_source(path, sheets=("Regions", "Quiet")))
    assert [(row.sheet, row.text("noaa_ar")) for row in found] == [("Regions", "1"), ("Quiet", "")]


def test_an_optional_column_that_looks_renamed_in_one_sheet_is_refused(tmp_path):
    more = [("Quiet", [["Image", "NOAA-AR", "Mount Wilson"], ["q", 1, "z"]])]
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x"]], more=more)
    (problem,) = _problems(_source(path, sheets=("Regions", "Quiet")))
    assert "sheet 'Quiet', column 'NOAA AR'" in problem


def test_a_missing_sheet_is_named_with_the_nearest(tmp_path):
    path = _workbook(tmp_path / "b.xlsx", [["a", 1, "x"]])
    (problem,) = _problems(_source(path, sheets=("Region",)))
    assert "there is no such sheet; did you mean 'Regions'?" in problem


@pytest.mark.parametrize(("name", "content"), [("b.xlsx", b"not a zip"), ("b.ods", b"x"), ("b.csv", b"\xff\xfe\x00")])
def test_a_file_that_is_not_a_table_is_one_clear_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert len(_problems(_source(tmp_path / name))) == 1


def test_a_missing_workbook_is_one_clear_line(tmp_path):
    assert "there is no such workbook" in _problems(_source(tmp_path / "none.xlsx"))[0]


def test_headings_without_rows_are_refused(tmp_path):
    assert "there are no rows" in _problems(_source(_workbook(tmp_path / "b.xlsx", [])))[0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_with_the_separators_people_use(tmp_path, delimiter):
    lines = [HEADINGS, ["a.fits", "012192", "NA"]]
    (tmp_path / "b.csv").write_text("\ufeff" + "\n".join(delimiter.join(line) for line in lines), encoding="utf-8")
    (row,) = spreadsheet.read(_source(tmp_path / "b.csv"))
    assert (row.text("image"), row.text("noaa_ar"), row.text("label")) == ("a.fits", "012192", "NA")


_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12).map(str.strip)


@given(st.lists(st.tuples(_texts, _texts, _texts).filter(any), min_size=1, max_size=6))
def test_any_text_in_a_csv_comes_back_unchanged(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.mktemp("csv") / "b.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADINGS, *rows])
    found = spreadsheet.read(_source(path))
    assert [tuple(row.text(f) for f in ("image", "noaa_ar", "label")) for row in found] == rows


def test_the_real_workbook_is_read_with_both_sheets(shared_data):
    columns = Columns(image="Image", label="Kind", noaa_ar="NOAA AR", x_px="X (px)", y_px="Y (px)")
    source = Source(
        root=shared_data,
        workbook="SDO_Solar_Active_Regions.xlsx",
        sheets=("Active regions", "Quiet Sun"),
        columns=columns,
    )
    rows = spreadsheet.read(source)
    assert len(rows) == 2394 + 674
    assert {row.text("label") for row in rows} == {"spotted", "plage", "quiet"}


def test_a_whole_number_kept_as_a_fraction_is_read_without_its_point():
    # openpyxl writes 11076.0 as 11076; other programs do not.
    assert [workbooks._text(value) for value in (11076.0, 7.5, 3)] == ["11076", "7.5", "3"]
