"""Cells become an observation, or a problem of their row; one mistake made in many rows is one line."""

from __future__ import annotations

from typing import Any

import pytest
from sdovis import study as studies
from sdovis.corpus.observations import Sorted, understand
from sdovis.errors import Problem, once
from sdovis.labels.schemes import MOUNT_WILSON_3
from sdovis.readers.rows import RawRow
from sdovis.study import Study
from studies import STUDY

HEADINGS = {
    "image": "Image", "observed": "Observed", "noaa_ar": "NOAA AR", "label": "Class", "latitude_deg": "Lat",
    "longitude_deg": "Lon", "location": "Location", "x_px": "X", "y_px": "Y",
}  # fmt: skip


@pytest.fixture
def study(tmp_path) -> Study:
    (tmp_path / "data" / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (tmp_path / "data" / "images" / name).touch()
    (tmp_path / "study.toml").write_text(STUDY)
    return studies.load(tmp_path / "study.toml")


def _with(study: Study, section: str, **changes: Any) -> Study:
    return study.model_copy(update={section: getattr(study, section).model_copy(update=changes)})


def _understood(study: Study, *rows: dict[str, str], headings: dict[str, str] | None = None) -> Sorted:
    named = HEADINGS | (headings or {})
    full = ({"image": "a.png", "label": "alpha", **cells} for cells in rows)
    raws = [
        RawRow("book", "s", 2 + i, {field: cells.get(field, "") for field in named}, named)
        for i, cells in enumerate(full)
    ]
    return understand(study, raws, MOUNT_WILSON_3)


def _lines(found: Sorted) -> list[str]:
    return [str(problem) for problem in once(problem for _, problem in found.problems)]


# --- several rows of one whole image --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "others", [{"label": "beta"}, {"noaa_ar": "11160"}, {"label": "beta", "noaa_ar": "11160", "location": "N12W34"}]
)
def test_rows_of_one_whole_image_that_differ_are_one_line(study, others):
    found = _understood(
        study, {"noaa_ar": "11158"}, {"noaa_ar": "11158", **others}, {"image": "b.png", "noaa_ar": "11162"}
    )
    if "noaa_ar" in others or "label" not in others:
        (line,) = _lines(found)
        assert "whole images with rows of several regions or classes: 1," in line and "(2 such rows)" in line
        assert "images.cutout_arcsec" in line
        assert [row.image for row in found.kept] == ["b.png"]
    else:  # the older message names both rows
        (line,) = _lines(found)
        assert "of the same region in the same image" in line


def test_rows_of_one_image_are_kept_where_regions_are_cut_out(study):
    cut = _with(study, "images", cutout_arcsec=300.0)
    rows = [{"noaa_ar": "11158", "location": "N12W34"}, {"noaa_ar": "11160", "label": "beta", "location": "S05E07"}]
    assert [(row.latitude_deg, row.longitude_deg) for row in _understood(cut, *rows).kept] == [(12, 34), (-5, -7)]


def test_cutouts_without_a_position_are_one_line(study):
    cut = _with(study, "images", cutout_arcsec=300.0)
    (line,) = _lines(_understood(cut, *({"noaa_ar": str(11158 + i)} for i in range(5))))
    assert "no position to cut out (5 such rows)" in line and "a location" in line


# --- rows that say where a region is --------------------------------------------------------------------------------


def test_a_row_that_places_a_region_counts_as_a_neighbour_whatever_becomes_of_it(study):
    cut = _with(study, "images", cutout_arcsec=300.0)
    found = _understood(
        cut,
        {"noaa_ar": "11158", "location": "N12W34"},
        {"noaa_ar": "11159/11160", "location": "S05E07"},
        {"noaa_ar": "AR 11161", "label": "", "latitude_deg": "1", "longitude_deg": "2"},
        {"noaa_ar": "11162", "label": "epsilon", "x_px": "100", "y_px": "20"},
        {"noaa_ar": "11163", "latitude_deg": "12", "longitude_deg": "3", "location": "S12W03"},  # which of them?
        {"noaa_ar": "11164", "latitude_deg": "12"},
        {"location": "N20W20"},
    )
    assert [row.noaa_ar for row in found.kept] == [11158, None]
    (numbered,) = found.numbered.values()
    assert [row.regions for row in numbered] == [(11158,), (11159, 11160), (11161,), (11162,)]


def test_a_longitude_that_turns_with_the_sun_places_a_region_too_and_one_that_may_does_not(study):
    said = {"noaa_ar": "11158", "label": "", "latitude_deg": "-20", "longitude_deg": "34"}
    (rows,) = _understood(_with(study, "source", longitude_system="carrington"), said).numbered.values()
    assert rows[0].carrington_deg == 34
    assert not _understood(study, said, headings={"longitude_deg": "Carrington longitude"}).numbered


@pytest.mark.parametrize(
    "heading", [{"noaa_ar": "HARPNUM"}, {"latitude_deg": "Lat (arcsec)"}, {"longitude_deg": "degrees east"}]
)
def test_a_column_that_says_something_else_places_no_region(study, heading):
    said = {"noaa_ar": "11158", "latitude_deg": "-20", "longitude_deg": "34"}
    assert _understood(study, said).numbered and not _understood(study, said, headings=heading).numbered


@pytest.mark.parametrize(("column", "told"), [("Class", True), ("Lat", False), ("NOAA AR", False), ("", False)])
def test_a_cell_that_cannot_be_read_hides_only_what_it_says(study, column, told):
    cells = {"image": "a.png", "noaa_ar": "11158", "latitude_deg": "-20", "longitude_deg": "34"}
    fault = Problem("shows an error, #N/A", column=column)
    row = RawRow("book", "s", 2, dict.fromkeys(HEADINGS, "") | cells, HEADINGS, faults=(fault,))
    found = understand(study, [row], MOUNT_WILSON_3)
    assert found.problems == [(row, fault)] and not found.kept and bool(found.numbered) == told


# --- longitudes of another system -----------------------------------------------------------------------------------


@pytest.mark.parametrize("heading", ["Carrington longitude", "CRLN", "Lo"])
def test_a_heading_of_carringtons_longitudes_asks_for_the_system(study, heading):
    rows = [{"noaa_ar": "11158", "latitude_deg": "-20", "longitude_deg": "34"}] * 3
    (line,) = _lines(_understood(study, *rows, headings={"longitude_deg": heading}))
    assert "set source.longitude_system to carrington or stonyhurst" in line and "(3 such rows)" in line


def test_longitudes_of_the_whole_circle_ask_for_the_system_in_every_row(study):
    rows = [{"noaa_ar": str(11158 + i), "latitude_deg": "-20", "longitude_deg": str(i * 50)} for i in range(4)]
    found = _understood(study, *rows)
    (line,) = _lines(found)
    assert "may be Carrington's" in line and found.kept == []  # none is kept with on_problem = "reject" either


def test_one_longitude_behind_the_limb_among_eastern_ones_is_a_slip_of_its_row(study):
    rows = [{"image": f"{name}.png", "longitude_deg": text} for name, text in (("a", "-30"), ("b", "140"))]
    assert [row.longitude_deg for row in _understood(study, *rows).kept] == [-30, 140]  # refused with its image


def test_carringtons_longitudes_wait_for_the_images_time(study):
    turning = _with(study, "source", longitude_system="carrington")
    (row,) = _understood(turning, {"latitude_deg": "-20", "longitude_deg": "34"}).kept
    assert (row.longitude_deg, row.carrington_deg) == (None, 34)
    for longitude in ("-34", "361", "W34"):
        assert not _understood(turning, {"latitude_deg": "-20", "longitude_deg": longitude}).kept
    assert "in Stonyhurst's system" in _lines(_understood(turning, {"location": "N12W34"}))[0]


# --- units, and positions given twice -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["latitude_deg", "x_px"])
@pytest.mark.parametrize("heading", ["Y (arcsec)", "HPC y", "helioprojective", "solar x"])
def test_a_heading_in_arc_seconds_is_refused(study, field, heading):
    (line,) = _lines(_understood(study, {field: "12"}, headings={field: heading}))
    assert "positions are in degrees or pixels" in line


def test_a_location_and_a_latitude_must_agree(study):
    said = {"latitude_deg": "12.4", "longitude_deg": "34.2", "location": "N12W34"}
    (row,) = _understood(study, said).kept
    assert (row.latitude_deg, row.longitude_deg) == (12.4, 34.2)
    (line,) = _lines(_understood(study, said | {"location": "S12W34"}))
    assert "says '12.4', but the location says 'S12W34'" in line


# --- times ----------------------------------------------------------------------------------------------------------


def test_dates_of_two_readings_are_one_line_and_the_study_may_say_which(study):
    rows = [{"image": name, "observed": text} for name, text in (("a.png", "03/04/2011"), ("b.png", "05/04/2011"))]
    (line,) = _lines(_understood(study, *rows))
    assert "'03/04/2011' may be 3 April or 4 March 2011" in line and "(2 such rows)" in line
    told = _understood(_with(study, "source", date_order="day-first"), *rows)
    assert [row.observed.month for row in told.kept] == [4, 4]


def test_a_column_of_tai_is_read_as_tai(study):
    text = {"observed": "2011-02-15 01:30:34"}
    times = [_understood(study, text, headings={"observed": heading}).kept[0].observed for heading in ("T_REC", "Time")]
    assert (times[1] - times[0]).total_seconds() == 34


def test_a_clock_of_some_country_is_one_line(study):
    rows = [{"image": name, "observed": "2011-02-15 10:30"} for name in ("a.png", "b.png")]
    (line,) = _lines(_understood(study, *rows, headings={"observed": "Time (JST)"}))
    assert "names the clock 'JST'" in line and "(2 such rows)" in line
