"""Any small table, written in any way, reads back as the same cells."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.readers import tables
from sdovis.readers.grid import Grid, Line, matching
from written import strict, with_dimension, workbook

HEADINGS = ["Image", "NOAA AR", "Mount Wilson", "Notes"]
#: Texts that are kept as they are: not stripped, not an error, not a formula, not an escape of Excel's.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="=#_"), max_size=8)
ROW = st.tuples(TEXT.filter(bool), TEXT, TEXT, TEXT)
TABLE = st.lists(ROW, min_size=1, max_size=8)


@st.composite
def ranges(draw: st.DrawFn, count: int) -> list[tuple[int, int, int, int]]:
    """Ranges of rows (from 0) and columns below the headings, ends inclusive, that do not overlap."""
    found: list[tuple[int, int, int, int]] = []
    for _ in range(draw(st.integers(0, 3))):
        top, left = draw(st.integers(0, count - 1)), draw(st.integers(1, 3))
        bottom, right = draw(st.integers(top, count - 1)), draw(st.integers(left, 3))
        if all(top > b or bottom < t or left > r or right < a for t, a, b, r in found):
            found.append((top, left, bottom, right))
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=TABLE)
def test_a_workbook_reads_back_as_it_looks(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows) -> None:
    titles = data.draw(st.lists(st.just("A title"), max_size=2))
    merged = data.draw(ranges(len(rows)))
    first = len(titles) + 2
    hidden = data.draw(st.sets(st.integers(first, first + len(rows) - 1)))
    size = data.draw(st.sampled_from(["A1", "A1:B2", "A1:D999"]))
    seen = [list(row) for row in rows]
    for top, left, bottom, right in merged:
        for i in range(top, bottom + 1):
            seen[i][left : right + 1] = [rows[top][left]] * (right + 1 - left)
    path = tmp_path_factory.mktemp("books") / "b.xlsx"
    names = [f"{'ABCD'[left]}{top + first}:{'ABCD'[right]}{bottom + first}" for top, left, bottom, right in merged]
    workbook(path, [*([title] for title in titles), HEADINGS, *rows], merged=names, hidden=hidden)
    with_dimension(path, size)
    if data.draw(st.booleans()):
        strict(path)
    (grid,) = tables.read(path)
    assert grid.likely_heading_row() == first - 1
    sheet = grid.sheet(first - 1)
    assert list(sheet.headings) == HEADINGS
    assert [[line.text(i) for i in range(4)] for line in sheet.rows] == seen
    assert [line.number for line in sheet.rows if line.marks] == sorted(hidden)


@settings(max_examples=150, deadline=None)
@given(
    rows=TABLE,
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    said=st.booleans(),
)
def test_a_text_table_reads_back_as_it_was_written_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, rows, separator, encoding, end, quoting, said
) -> None:
    path = tmp_path_factory.mktemp("texts") / "b.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        file.write(f"sep={separator}{end}" if said else "")
        csv.writer(file, delimiter=separator, lineterminator=end, quoting=quoting).writerows([HEADINGS, *rows])
    sheet = tables.read(path)[0].sheet()
    assert list(sheet.headings) == HEADINGS
    assert [list(line.cells) for line in sheet.rows] == [list(row) for row in rows]


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, min_size=2, max_size=8), data=st.data())
def test_a_quote_that_is_left_out_never_loses_a_row_silently(
    tmp_path_factory: pytest.TempPathFactory, rows, data: st.DataObject
) -> None:
    lines = ['"' + '","'.join(text.replace('"', "") for text in row) + '"' for row in (HEADINGS, *rows)]
    number = data.draw(st.integers(1, len(rows)))
    at = data.draw(st.sampled_from([i for i, c in enumerate(lines[number]) if c == '"']))
    lines[number] = lines[number][:at] + lines[number][at + 1 :]
    path = tmp_path_factory.mktemp("quotes") / "b.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        sheet = tables.read(path)[0].sheet()
    except BadInput:
        return
    assert len(sheet.rows) == len(rows)


@pytest.mark.parametrize(
    ("lines", "row"),
    [
        ([["Image", "NOAA"], ["a.jpg", "11158"]], 1),
        ([["A title"], ["Image", "NOAA", "Lat"], ["a.jpg", "11158", "1"]], 2),
        ([["A title", "", "2011-02-15"], ["Image", "NOAA", "Lat"], ["a.jpg", "11158", "1"]], 2),
        ([["Image", "171 A", "94 A"], ["a.jpg", "b.jpg", "c.jpg"]], 1),
        ([["# made by hand"], ["# in 2011", "twice"], ["Image", "NOAA", "Lat", ""], ["a.jpg", "1", "1", "x"]], 3),
        ([["a.jpg", "11158", "1"], ["b.jpg", "11162", "2"]], None),
    ],
)
def test_the_row_that_looks_like_headings_is_the_first_wide_one_of_distinct_words(lines, row):
    grid = Grid("", tuple(Line(number, tuple(cells)) for number, cells in enumerate(lines, 1)))
    assert grid.likely_heading_row() == row


def test_a_heading_is_found_exactly_or_else_but_for_case_and_white_space():
    assert matching(["Lat", "lat", "LAT "], "Lat") == [0]
    assert matching(["Lat", "lat"], "LAT") == [0, 1]
    assert matching(["Mount\nWilson", ""], "mount wilson") == [0]
    assert matching(["NOAA_AR", "Latitude"], "NOAA AR") == []


def test_a_joined_table_is_refused_with_all_that_is_wrong(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("T_REC;USFLUX;USFLUX\n1;2;3\n2;3\n")
    with pytest.raises(BadInput) as caught:
        tables.rows(path, ("t_rec", "noaa_ar"))
    assert [str(problem) for problem in caught.value.problems] == [
        "t.csv: there is no column 'noaa_ar'; choose one of t_rec, usflux",
        "t.csv: the heading 'usflux' occurs 2 times; rename all but one",
        "t.csv, row 3: the row has fewer cells than headings: 2, not 3; complete the row",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_joined_table_is_read_alike_from_a_workbook_and_from_text(tmp_path: Path, suffix):
    lines = [[" T_REC ", "NOAA\u00a0AR", "UsFlux"], ["2011.02.15_00:00:34_TAI", "11158", "1.5e22"]]
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        path.write_bytes("\r\n".join("\t".join(line) for line in lines).encode("utf-16"))
    else:
        workbook(path, lines)
    assert tables.rows(path, ("t_rec", "noaa ar")) == [
        (2, {"t_rec": "2011.02.15_00:00:34_TAI", "noaa ar": "11158", "usflux": "1.5e22"})
    ]


def test_an_error_in_a_column_that_has_no_heading_concerns_nobody(tmp_path: Path):
    path = workbook(tmp_path / "t.xlsx", [["T_REC", None], ["1", "#N/A"], ["2", None, "#REF!"]])
    assert len(tables.rows(path, ("t_rec",))) == 2
    path = workbook(tmp_path / "t.xlsx", [["T_REC", None, "X"], ["1", "#N/A", "#REF!"]])
    with pytest.raises(BadInput, match=r"^t\.xlsx, row 2, column 'X': the cell shows the error #REF!"):
        tables.rows(path, ("t_rec",))


def test_a_heading_that_stands_twice_in_a_joined_table_is_refused(tmp_path: Path):
    path = workbook(tmp_path / "t.xlsx", [["T_REC", "t_rec"], ["1", "2"]])
    with pytest.raises(BadInput, match="the heading 't_rec' occurs 2 times"):
        tables.rows(path, ("t_rec",))
