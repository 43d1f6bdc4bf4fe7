"""Bad input: one clear line each with file, sheet, row, column; exit code 2; nothing half-written; all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from sdovis.cli import run_command

BOOK = "SDO_Simulated_Active_Regions.xlsx"
SHEET = "Active regions"


def _edit(folder: Path, change: Callable[[dict[str, int], openpyxl.worksheet.worksheet.Worksheet], None]) -> None:
    book = openpyxl.load_workbook(folder / BOOK)
    sheet = book[SHEET]
    change({cell.value: cell.column for cell in sheet[1]}, sheet)
    book.save(folder / BOOK)


def _set(folder: Path, heading: str, value: object, row: int = 5) -> None:
    _edit(folder, lambda columns, sheet: sheet.cell(row, columns[heading], value))


def _rename(folder: Path) -> None:
    _edit(folder, lambda columns, sheet: sheet.cell(1, columns["Mount Wilson"], "Mt Wilson class"))


def _image(folder: Path, row: int = 5) -> Path:
    sheet = openpyxl.load_workbook(folder / BOOK)[SHEET]
    columns = {cell.value: cell.column for cell in sheet[1]}
    return folder / "images" / sheet.cell(row, columns["Image"]).value


def _truncate(folder: Path) -> None:
    path = _image(folder)
    path.write_bytes(path.read_bytes()[:-4000])


def _position(folder: Path) -> None:
    _set(folder, "Longitude (deg)", 140.0)


def _link_outside(folder: Path) -> None:
    path = _image(folder)
    (folder / "elsewhere.fits").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(folder / "elsewhere.fits")


def _other_time(folder: Path) -> None:
    _set(folder, "Observed (UTC)", "2012-01-01 00:00:00")


ROW = f"{BOOK}, sheet '{SHEET}', row 5, column "
CASES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "renamed column": (
        _rename,
        f"{BOOK}, sheet '{SHEET}', column 'Mount Wilson'",
        "there is no column with this heading",
    ),
    "misspelt label": (lambda f: _set(f, "Mount Wilson", "Btea"), ROW + "'Mount Wilson'", "label 'Btea' is not known"),
    "missing image": (lambda f: _image(f).unlink(), ROW + "'Image'", "there is no such"),
    "position off the disc": (_position, ROW + "'Longitude (deg)'", "off the solar disc"),
    "path outside": (lambda f: _set(f, "Image", "../../secret.fits"), ROW + "'Image'", "outside the image root"),
    "link outside": (_link_outside, ROW + "'Image'", "outside the image root"),
    "number with zero": (lambda f: _set(f, "NOAA AR", "012192"), ROW + "'NOAA AR'", "'012192' begins with a zero"),
    "label NA": (lambda f: _set(f, "Mount Wilson", "NA"), ROW + "'Mount Wilson'", "label 'NA' is not known"),
    "truncated FITS": (_truncate, ROW + "'Image'", "truncated"),
    "not a number": (lambda f: _set(f, "Latitude (deg)", "north"), ROW + "'Latitude (deg)'", "'north' is not a number"),
    "other time": (_other_time, ROW + "'Observed (UTC)'", "the image's header"),
    "other region": (lambda f: _set(f, "NOAA AR", 12345), ROW + "'NOAA AR'", "the row says region 12345"),
}


def _lines(study: Path, capfd, *more: str, command: str = "prepare") -> list[str]:
    """The error lines of one run, after checking its exit code and that nothing was written."""
    before = {path for path in study.parent.rglob("*") if "runs" not in path.parts}
    assert run_command([command, str(study), *more]) == 2
    after = {p for p in study.parent.rglob("*") if p.relative_to(study.parent).as_posix() not in LEFT}
    assert after == before
    return [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]


#: What a refused study may leave: the lock of its folder.
LEFT = {"runs", "runs/small", "runs/small/.lock"}


@pytest.mark.parametrize("case", CASES)
def test_one_mistake_is_one_clear_line_and_exit_code_2(small_study, capfd, case):
    spoil, place, what = CASES[case]
    spoil(small_study.parent / "data")
    (line,) = _lines(small_study, capfd)
    assert line.startswith(f"error: {place}")
    assert what in line


def test_an_empty_split_is_one_clear_line(small_study, capfd):
    lines = _lines(small_study, capfd, "--set", "split.gap_days=2000")
    assert any("part is empty (temporal, gap 2000 days)" in line for line in lines)


def test_all_problems_of_a_workbook_are_reported_in_one_run(small_study, capfd):
    data = small_study.parent / "data"
    _set(data, "Mount Wilson", "NA", row=3)
    _set(data, "Mount Wilson", "Btea", row=4)
    _set(data, "NOAA AR", "012192", row=6)
    _set(data, "Image", "../outside.fits", row=7)
    _set(data, "Longitude (deg)", 140.0, row=8)
    _image(data, row=9).unlink()
    path = _image(data, row=10)
    path.write_bytes(path.read_bytes()[:-4000])
    lines = _lines(small_study, capfd)
    assert [int(line.split("row ")[1].split(",")[0]) for line in lines] == [3, 4, 6, 7, 8, 9, 10]


def test_faulty_rows_may_go_to_the_rejects_with_their_reason(small_study):
    import pandas as pd

    data = small_study.parent / "data"
    _set(data, "Mount Wilson", "Btea", row=4)
    _truncate(data)
    assert run_command(["prepare", str(small_study), "--set", "source.on_problem=reject"]) == 0
    rejects = pd.read_csv(small_study.parent / "runs/small/corpus/rejects.csv").set_index("row")["reason"]
    assert "label 'Btea' is not known" in rejects[4]
    assert "truncated" in rejects[5]


def test_check_finds_the_same_without_writing_a_thing(small_study, capfd):
    _set(small_study.parent / "data", "Mount Wilson", "NA")
    (line,) = _lines(small_study, capfd, command="check")
    assert "label 'NA'" in line
    assert not (small_study.parent / "runs").exists()
