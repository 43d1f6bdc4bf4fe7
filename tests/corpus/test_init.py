"""`sdovis init`: what it writes can be used as it is, and what it could not do it says."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from PIL import Image
from sdovis.corpus.init import draft, why_unread
from sdovis.errors import BadInput
from sdovis.images.timestamps import SUFFIXES

HEAD = ["Image", "NOAA AR", "Observed (UTC)", "Mount Wilson", "Latitude", "Longitude"]
ROW = ["a.jpg", 11158, "2011-02-15 01:30:00", "Beta", 10.5, -20.0]


def book(path: Path, lines: list[list[Any]], more: dict[str, tuple[str, list[list[Any]]]] | None = None) -> Path:
    """A workbook with ``lines``, and more sheets: name -> (state, lines)."""
    made = openpyxl.Workbook()
    made.active.title = "Regions"
    for line in lines:
        made.active.append(line)
    for name, (state, rows) in (more or {}).items():
        sheet = made.create_sheet(name)
        sheet.sheet_state = state
        for line in rows:
            sheet.append(line)
    made.save(path)
    return path


def drafted(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The study that is drafted, and its remarks."""
    text = draft(path, path.parent)
    return tomllib.loads(text), [line for line in text.splitlines() if line.startswith("# CHECK: ")]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".FITS", ".Jp2"])
def test_an_image_is_known_by_every_suffix_that_images_have(tmp_path, suffix):
    lines = [["Notes", *HEAD], *(["x", f"i{n}{suffix}", *ROW[1:]] for n in range(3))]
    assert drafted(book(tmp_path / "b.xlsx", lines))[0]["source"]["columns"]["image"] == "Image"


@pytest.mark.parametrize("missing", ["n/a", "-", "lost", "TBD"])
def test_a_name_that_is_missing_does_not_hide_the_column_of_images(tmp_path, missing):
    for first in (0, 1, 3):
        rows = [[f"i{n}.jpg", *ROW[1:]] for n in range(5)]
        rows[first][0] = missing
        study, _ = drafted(book(tmp_path / "b.xlsx", [HEAD, *rows]))
        assert study["source"]["columns"]["image"] == "Image"


def test_a_table_without_images_is_one_line_that_names_the_suffixes(tmp_path):
    with pytest.raises(BadInput, match=r"no column contains image file names \(\.fits, .*\.jp2"):
        draft(book(tmp_path / "b.xlsx", [["NOAA AR"], [11158]]), tmp_path)


@pytest.mark.parametrize("titles", [0, 1, 3])
def test_the_row_of_headings_is_found_below_titles_and_written(tmp_path, titles):
    lines = [*([f"Title {n}", None] for n in range(titles)), HEAD, ROW, ["b.jpg", *ROW[1:]]]
    study, _ = drafted(book(tmp_path / "b.xlsx", lines))
    assert study["source"].get("header_row") == (titles + 1 if titles else None)
    assert study["source"]["columns"]["noaa_ar"] == "NOAA AR"


def test_a_text_table_is_drafted_like_a_workbook(tmp_path):
    lines = [["A title, with a comma"], HEAD, [str(cell) for cell in ROW]]
    (tmp_path / "b.csv").write_bytes("\r\n".join(";".join(line) for line in lines).encode("utf-16"))
    study, _ = drafted(tmp_path / "b.csv")
    assert study["source"]["header_row"] == 2 and study["source"]["columns"]["label"] == "Mount Wilson"


@pytest.mark.parametrize(
    ("heading", "field", "cells"),
    [
        ("NOAA AR", "noaa_ar", ["yes", "no", "yes"]),
        ("Observed (UTC)", "observed", ["day 1", "day 2", "day 3"]),
        ("Latitude", "latitude_deg", [123456, 234567, 345678]),
        ("Longitude", "longitude_deg", [None, None, None]),
    ],
)
def test_a_column_whose_cells_cannot_be_read_is_not_mapped_and_it_says_why(tmp_path, heading, field, cells):
    lines = [HEAD, *([f"i{n}.jpg", *ROW[1:]] for n in range(3))]
    for line, cell in zip(lines[1:], cells, strict=True):
        line[HEAD.index(heading)] = cell
    study, remarks = drafted(book(tmp_path / "b.xlsx", lines))
    assert field not in study["source"]["columns"]
    why = "is blank" if cells[0] is None else f"was not taken as {field}: 3 of 3 cells cannot be read ({cells[0]!r}"
    if field == "observed":
        why = "was not taken as observed: 3 of 3 cells cannot be read (time 'day 1' cannot be read)"
    assert [remark for remark in remarks if repr(heading) in remark and why.replace("(123456", "('123456'") in remark]


def test_the_next_column_is_taken_where_the_first_cannot_be_read(tmp_path):
    lines = [["Date", *HEAD], *(["soon", f"i{n}.jpg", *ROW[1:]] for n in range(3))]
    lines[0][3] = "Time"
    study, remarks = drafted(book(tmp_path / "b.xlsx", lines))
    assert study["source"]["columns"]["observed"] == "Time"
    assert "'Date' was not taken as observed" in remarks[0]


def test_a_column_of_which_a_few_cells_cannot_be_read_is_mapped_and_they_are_counted(tmp_path):
    lines = [HEAD, *([f"i{n}.jpg", number, *ROW[2:]] for n, number in enumerate([11158, "n.a.", 11162]))]
    study, remarks = drafted(book(tmp_path / "b.xlsx", lines))
    assert study["source"]["columns"]["noaa_ar"] == "NOAA AR"
    assert "'NOAA AR' was taken as noaa_ar: 1 of 3 cells cannot be read" in remarks[0]


def test_cells_that_show_an_error_are_counted_and_are_no_class(tmp_path):
    lines = [HEAD, *([f"i{n}.jpg", *ROW[1:]] for n in range(4))]
    lines[2][3], lines[3][3] = "#N/A", "=1+1"
    study, remarks = drafted(book(tmp_path / "b.xlsx", lines))
    assert study["source"]["columns"]["label"] == "Mount Wilson" and study["labels"]["scheme"] == "mount-wilson-3"
    assert "2 of 4 cells cannot be read (the cell shows the error #N/A)" in remarks[0]


def test_helioviewers_jpeg2000_get_the_channel_of_pictures(tmp_path, shared_data):
    for name in ("2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2", "2023_01_31__03_39_23_200__SDO_HMI_HMI_continuum.jp2"):
        (tmp_path / name).write_bytes((shared_data / "fits_samples" / name).read_bytes())
        study, _ = drafted(book(tmp_path / "b.xlsx", [HEAD, [name, *ROW[1:]]]))
        assert study["images"]["channel"] == ("aia-193-browse" if "AIA" in name else "hmi-continuum-browse")


def test_a_heading_that_stands_twice_is_not_mapped(tmp_path):
    study, remarks = drafted(book(tmp_path / "b.xlsx", [[*HEAD, "NOAA AR"], [*ROW, 1]]))
    assert "noaa_ar" not in study["source"]["columns"]
    assert "the heading 'NOAA AR' occurs more than once" in remarks[0]


def test_hidden_sheets_are_not_looked_at_and_sheets_of_other_headings_not_taken(tmp_path):
    other = [["Image", "Kind"], ["q.jpg", "quiet"]]
    more = {"Old": ("hidden", [HEAD, ROW]), "More": ("visible", [HEAD, ROW]), "Quiet": ("visible", other)}
    study, remarks = drafted(book(tmp_path / "b.xlsx", [HEAD, ROW], more))
    assert study["source"]["sheets"] == ["Regions", "More"]
    assert any("sheet 'Old' is hidden" in r for r in remarks) and any("sheet 'Quiet'" in r for r in remarks)


@pytest.mark.parametrize(("center", "radius"), [((255.5, 255.5), 200.0), ((240.0, 262.5), 180.0)])
def test_the_disc_of_images_without_a_header_is_measured_from_the_limb(tmp_path, center, radius):
    y, x = np.mgrid[:512, :512]
    r = np.hypot(x - center[0], y - center[1]) / radius
    disc = np.where(r < 1, 250 * (0.4 + 0.6 * np.sqrt(np.maximum(1 - r**2, 0))), 0).astype(np.uint8)
    (tmp_path / "discs").mkdir()
    for number in range(3):
        Image.fromarray(disc).save(tmp_path / f"discs/2011021{number}_000000_Ic.png")
    rows = [[f"2011021{n // 2}_000000_Ic.png", *ROW[1:]] for n in range(6)]
    study, _ = drafted(book(tmp_path / "b.xlsx", [HEAD, *rows]))
    assert study["source"]["images"] == "discs"
    assert study["images"]["center_px"] == pytest.approx(center, abs=0.3)
    # On 11 February the Sun's radius is 972 arc seconds: 959.63 at 0.9872 astronomical units.
    assert study["images"]["arcsec_per_px"] == pytest.approx(959.63 / 0.9872 / radius, rel=2e-3)


def test_a_cell_is_read_as_the_study_would_read_it():
    for field, heading, text in (
        ("noaa_ar", "NOAA", "AR 11158"),
        ("noaa_ar", "NOAA", "11158.0"),
        ("label", "Class", "anything"),
        ("location", "Location", "N12W34"),
        ("latitude_deg", "Lat", "S12"),
        ("observed", "T_REC", "2011.02.15_01:30:00_TAI"),
        ("longitude_deg", "Lon", "n/a"),
    ):
        assert why_unread(field, heading, text) == "", text
    assert why_unread("latitude_deg", "Lat", "95") == "'95' is not a number between -90 and 90"
    assert "names the clock 'JST'" in why_unread("observed", "Time (JST)", "2011-02-15 01:30")
