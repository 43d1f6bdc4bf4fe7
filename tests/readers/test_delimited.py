"""Text tables: cells are those that were written, whatever separator, encoding and quotes, or one line says why not."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from sdovis.errors import BadInput
from sdovis.readers import delimited, spreadsheet, tables
from sdovis.readers.grid import WHOLE_ROW
from sdovis.study import Columns, Source

HEAD = ["Image", "NOAA AR", "Mount Wilson", "Lat"]
ROWS = [["a.fits", "11158", "Beta", "1.5"], ["b.fits", "11162", "Älpha", "2.5"], ["c.fits", "11164", "Beta", "3.5"]]


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def joined(lines: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(line) + end for line in lines)


def cells(path: Path) -> list[list[str]]:
    sheet = delimited.read(path).sheet()
    assert all(not line.faults for line in sheet.rows)
    return [list(sheet.headings), *(list(line.cells) for line in sheet.rows)]


def problem(path: Path, on_problem: str = "error") -> str:
    columns = Columns(image="Image", label="Mount Wilson", noaa_ar="NOAA AR")
    with pytest.raises(BadInput) as caught:
        spreadsheet.read(
            Source.model_validate(
                {"root": path.parent, "workbook": path.name, "columns": columns, "on_problem": on_problem}
            )
        )
    assert len(caught.value.problems) == 1 and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["b.csv", "b.tsv", "b.txt"])
def test_every_separator_and_line_end_is_read(tmp_path, separator, end, name):
    assert cells(written(tmp_path / name, joined([HEAD, *ROWS], separator, end))) == [HEAD, *ROWS]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""), ("utf-16-be", b""), ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)  # fmt: skip
def test_every_unicode_encoding_is_read_with_and_without_its_mark(tmp_path, encoding, mark):
    path = tmp_path / "b.csv"
    path.write_bytes(mark + joined([HEAD, *ROWS], ";").encode(encoding))
    assert cells(path) == [HEAD, *ROWS]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (joined([HEAD, *ROWS]).encode("latin-1"), "is not UTF-8 text (line 3, byte 0xc4), perhaps Latin-1"),
        (b"Image,NOAA AR,Mount Wilson\n\x85,1,2\n", "line 2, byte 0x85"),
        (b"PK\x03\x04", "it is a zip archive, such as an Excel workbook"),
        (b"\xd0\xcf\x11\xe0", "it is an Excel workbook of the old kind"),
        (b"Image,NOAA AR\0\n", "contains NUL"),
        (codecs.BOM_UTF16_LE + b"I", "is not UTF-16 text, though it begins like it"),
        (b"", "b.csv: is empty"),
        (b"\n ,,\n", "b.csv: is empty"),
    ],
)
def test_a_file_in_another_encoding_or_of_another_kind_is_one_line(tmp_path, data, why):
    (tmp_path / "b.csv").write_bytes(data)
    assert why in problem(tmp_path / "b.csv")


def test_decimal_commas_do_not_divide_cells_where_another_separator_does(tmp_path):
    rows = [[name, number, label, lat.replace(".", ",")] for name, number, label, lat in ROWS]
    assert cells(written(tmp_path / "b.csv", joined([HEAD, *rows], ";"))) == [HEAD, *rows]
    lines = [["Image", "Lat,deg", "Lon,deg"], ["a.jpg", "1,5", "2,5"], ["b.jpg", "3,5", "4,5"]]
    assert cells(written(tmp_path / "b.csv", joined(lines, ";"))) == lines
    lines = [["Image", "Regions"], ["a.jpg", "11158;11162"], ["b.jpg", "11164;11166"]]
    assert cells(written(tmp_path / "b.csv", joined(lines, ","))) == lines


def test_titles_above_the_headings_do_not_hide_the_separator(tmp_path):
    text = "Regions, plages, filaments\nfrom NOAA, by hand, in 2011\n" + joined([HEAD, *ROWS], ";")
    path = written(tmp_path / "b.csv", text)
    assert delimited.read(path).likely_heading_row() == 3
    assert "row 3: the headings seem to stand here, and not in row 1; set source.header_row = 3" in problem(path)
    assert delimited.read(path).sheet(3).headings == tuple(HEAD)


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n'])
def test_excels_line_for_the_separator_is_followed(tmp_path, line):
    path = written(tmp_path / "b.csv", line + "Image;Notes\na,b,c;x,y,z\n")
    sheet = delimited.read(path).sheet()
    assert sheet.headings == ("Image", "Notes") and sheet.rows[0].cells == ("a,b,c", "x,y,z")
    assert (sheet.heading_row, sheet.rows[0].number) == (2, 3)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (['a,"11158,Beta', "b,11162,Alpha", "c,11164,Beta"], "a quote in line 2 does not end where its cell ends"),
        (['a,"11158,Beta', 'b,"11162",Alpha'], "a quote in line 2 does not end where its cell ends"),
        (['"a,11158,Beta', "b,11162,Alpha", 'c",11164,Beta'], "a quote that opens in line 2 closes only in line 4"),
        (['"a,11158,Beta', 'b",11162,Alpha'], "a quote that opens in line 2 closes only in line 3"),
        (["x,1,Beta", 'a,"11158,Beta', "b,11162,Alpha", 'c,11164",Beta'], "opens in line 3 closes only in line 5"),
        (["x,1,Beta", 'a,11158,"Beta', "b,11162,Alpha", 'c,11164,Beta"'], "opens in line 3 closes only in line 5"),
        (['a,"11158,Beta', 'b",11162,Alpha'], "row 2: the row has more cells than headings: 4, not 3"),
        (['"a" b,11158,Beta'], "a quote in line 2 does not end where its cell ends"),
    ],
)
def test_a_quote_that_swallows_rows_is_refused_with_its_line(tmp_path, rows, why):
    assert why in problem(written(tmp_path / "b.csv", "\n".join(["Image,NOAA AR,Mount Wilson", *rows])))


def test_a_cell_of_several_lines_is_a_cell(tmp_path):
    path = written(tmp_path / "b.csv", 'Image,"NOAA\nAR",Notes\na,1,"weak,\nnear the limb"\nb, "2",""\n')
    assert cells(path) == [["Image", "NOAA\nAR", "Notes"], ["a", "1", "weak,\nnear the limb"], ["b", "2", ""]]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a,11158", "row 3: the row has fewer cells than headings: 2, not 3; complete the row"),
        ("a", "fewer cells than headings: 1, not 3"),
        (
            "a,1,1158,Beta",
            "row 3: the row has more cells than headings: 4, not 3; put cells that contain the separator",
        ),
        ("a,11158,Beta,,x", "more cells than headings: 5, not 3"),
        ("a,11158,#N/A", "row 3, column 'Mount Wilson': the cell shows the error #N/A"),
        ("a,#WERT!,Beta", "column 'NOAA AR': the cell shows the error #WERT!"),
        ("a,Err:502,Beta", "shows the error Err:502"),
    ],
)
def test_a_row_with_other_cells_than_headings_is_a_problem_with_its_number(tmp_path, row, why):
    path = written(tmp_path / "b.csv", f"Image,NOAA AR,Mount Wilson\nx,1,Beta\n{row}\n")
    assert why in problem(path)
    source = Source.model_validate(
        {
            "root": tmp_path,
            "workbook": "b.csv",
            "on_problem": "reject",
            "columns": Columns(image="Image", label="Mount Wilson", noaa_ar="NOAA AR"),
        }
    )
    assert [len(each.faults) for each in spreadsheet.read(source)] == [0, 1]


def test_empty_cells_at_the_end_of_rows_and_headings_do_not_count(tmp_path):
    path = written(tmp_path / "b.csv", "Image,NOAA AR,,\na,1,,,,\nb,2\nc,3,\n\n ,\n")
    sheet = delimited.read(path).sheet()
    assert [(line.number, line.text(0), line.text(1), dict(line.faults)) for line in sheet.rows] == [
        (2, "a", "1", {}),
        (3, "b", "2", {}),
        (4, "c", "3", {}),
    ]


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "MAX_TEXT_BYTES", 10)
    with pytest.raises(BadInput, match="is larger than"):
        tables.read(written(tmp_path / "b.csv", joined([HEAD, *ROWS])))


@pytest.mark.parametrize("blank", [",", ",,,"])
def test_decimal_commas_are_not_hidden_by_blank_headings_at_the_end(tmp_path, blank):
    path = tmp_path / "t.csv"
    path.write_text(f"Image,Lat,Lon{blank}\na.png,12,34,5\nb.png,-7,12,0\n")
    found = [line.faults[WHOLE_ROW].what for line in delimited.read(path).sheet().rows]
    assert found == ["the row has more cells than headings: 4, not 3"] * 2
    path.write_text(f"Image,Lat,Lon{blank}\na.png,12,34{blank}\n")
    assert not any(line.faults for line in delimited.read(path).sheet().rows)
