"""A heading may say that the numbers below it are not what the study takes them for."""

from __future__ import annotations

import pytest
from sdovis.corpus.headings import fault, says_carrington


@pytest.mark.parametrize(
    "heading", ["hgc_x", "Carr. Lon", "carr_lon", "LonCarr", "L0", "L (deg)", "Lon_CR", "CRLN_OBS"]
)
def test_a_heading_of_carringtons_longitudes_is_known(heading):
    assert says_carrington(heading)


@pytest.mark.parametrize("heading", ["Longitude (deg)", "Lon", "CMD", "hgs_x", "Long. (scarred)", "location"])
def test_other_longitudes_are_not_carringtons(heading):
    assert not says_carrington(heading)


@pytest.mark.parametrize(
    ("field", "heading"),
    [
        ("latitude_deg", "Latitude (rad)"), ("latitude_deg", "sin(lat)"), ("latitude_deg", "Colatitude"),
        ("x_px", "hpc_x"), ("x_px", 'X (")'), ("x_px", "XCEN"), ("y_px", "y [Mm]"), ("x_px", "x / R_sun"), ("y_px", "HPLT"),
    ],
)  # fmt: skip
def test_another_unit_is_refused(field, heading):
    problem = fault(field, heading, "0.5")
    assert problem and "positions are in degrees or pixels" in problem.what


@pytest.mark.parametrize(
    ("field", "heading"),
    [("latitude_deg", "Latitude (deg)"), ("longitude_deg", "Stonyhurst lon"), ("x_px", "X (px)"), ("y_px", "y centre"),
     ("x_px", "Xmin"), ("location", "Location"), ("latitude_deg", "Lat, radial"), ("noaa_ar", "NOAA AR")],
)  # fmt: skip
def test_usual_headings_say_nothing_against_their_numbers(field, heading):
    assert fault(field, heading, "12") is None


@pytest.mark.parametrize(
    ("field", "heading"),
    [("longitude_deg", "Longitude (deg E)"), ("longitude_deg", "lon, east positive"), ("longitude_deg", "CMD (E+)"),
     ("latitude_deg", "Latitude (S positive)"), ("longitude_deg", "lon_east")],
)  # fmt: skip
def test_numbers_that_count_the_other_way_are_refused(field, heading):
    problem = fault(field, heading, "12")
    assert problem and "is positive here" in problem.what
    assert fault(field, heading, "E12" if field == "longitude_deg" else "S12") is None  # the letter says it


@pytest.mark.parametrize(
    "heading",
    ["Longitude (W+)", "lon (west positive, east negative)", "Lon (E-)", "Longitude E/W", "lon [+ to the west]", "Lon (deg W)"],
)  # fmt: skip
def test_a_heading_that_counts_as_we_do_is_read(heading):
    assert fault("longitude_deg", heading, "12") is None


@pytest.mark.parametrize("heading", ["HARPNUM", "SHARP number", "harp"])
def test_harps_are_not_taken_for_regions(heading):
    problem = fault("noaa_ar", heading, "1449")
    assert problem and "names HARPs" in problem.what
    assert fault("noaa_ar", "NOAA_AR of the HARP", "1449") is None
