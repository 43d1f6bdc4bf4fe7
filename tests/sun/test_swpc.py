"""SWPC's solar_regions.json: a summary for each day, and nothing that cannot be read goes by in silence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.sun.archives import Archive
from sdovis.sun.swpc import parse_json

#: As SWPC wrote it.
ROW = {
    "observed_date": "2024-05-13", "region": 3664, "latitude": -19, "longitude": -87, "location": "S19W87",
    "carrington_longitude": 348, "old_carrington_longitude": 349, "area": 1170, "spot_class": "Fkc", "extent": 24,
    "number_spots": 15, "mag_class": "BGD", "mag_string": None, "status": "f", "c_xray_events": 0,
    "first_date": "2024-05-01T16:42:56",
}  # fmt: skip


def text(*changes):
    return json.dumps([ROW | change for change in changes])


def only(found):
    (summary,) = found
    (region,) = summary.regions
    return region


def test_a_region_is_read_as_the_summary_of_its_day_has_it():
    region = only(parse_json(text({})))
    assert (region.noaa_ar, region.section, region.latitude_deg, region.longitude_deg) == (13664, "I", -19, 87)
    assert (region.mount_wilson, region.mcintosh) == ("Beta-Gamma-Delta", "Fkc")
    assert (region.area_msh, region.extent_deg, region.spots, region.carrington_deg) == (1170, 24, 15, 348)


def test_positions_are_valid_at_the_end_of_the_observed_day():
    """The Carrington longitude says so: sunpy's L0 is 273.9 on 13 May 2024 at 0 UT, and 260.7 on 14 May."""
    (summary,) = parse_json(text({}))
    assert summary.valid == datetime(2024, 5, 14, tzinfo=UTC)
    region = summary.regions[0]
    assert abs(260.7 - (region.carrington_deg - region.longitude_deg)) < 1


def test_each_day_is_a_summary_of_its_own_and_the_nearest_one_is_used():
    found = parse_json(text({"observed_date": "2024-05-12", "location": "S19W75", "longitude": -75}, {}))
    assert [f"{each.valid:%m-%d}" for each in found] == ["05-13", "05-14"]
    latitude, longitude = Archive(found, ()).at(datetime(2024, 5, 12, 22, tzinfo=UTC))[13664]
    assert latitude == -19 and 73 < longitude < 75


def test_a_region_without_spots_is_a_plage():
    region = only(parse_json(text({"mag_class": None, "spot_class": None, "number_spots": 0, "area": None})))
    assert (region.kind, region.mount_wilson, region.area_msh) == ("plage", "", None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"longitude": 87}, "disagrees with longitude 87"), ({"latitude": 19}, "disagrees with latitude 19"),
        ({"location": "somewhere"}, "not written like N12W34"), ({"location": None}, "not written like N12W34"),
        ({"region": "3664b"}, "no NOAA number"), ({"region": None}, "no NOAA number"), ({"region": True}, "no NOAA number"),
        ({"mag_class": "BGX"}, "'X'"), ({"area": -5}, "area '-5' is out of bounds"), ({"area": 3.5}, "out of bounds"),
        ({"location": "N95W10", "latitude": None, "longitude": None}, "location"), ({"extent": "9"}, "out of bounds"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_a_fault_and_its_day_is_not_used(change, why):
    (summary,) = parse_json(text(change, {"region": 3665}), "regions.json")
    (fault,) = summary.faults
    assert why in str(fault) and "regions.json, row 1" in str(fault)
    with pytest.raises(BadInput, match="row 1"):
        Archive((summary,), ()).at(datetime(2024, 5, 14, tzinfo=UTC))


def test_a_region_that_is_listed_twice_is_said_and_the_first_is_used():
    (summary,) = parse_json(text({}, {"location": "S19W80", "longitude": -80}))
    assert [region.longitude_deg for region in summary.regions] == [87]
    assert "13664 is already listed in row 1" in str(summary.remarks[0])


@pytest.mark.parametrize(
    "given_text",
    ["", "{}", "[1]", "[]", "<html>", '{"a": []}', "[" * 5000, text({"observed_date": None}), text({"observed_date": "x"}),
     text({"observed_date": "0001-01-01"})],
)  # fmt: skip
def test_what_is_no_list_of_regions_is_refused_in_words(given_text):
    with pytest.raises(BadInput, match=r"JSON|list of regions|holds no region|is no day"):
        parse_json(given_text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(ROW)), inner, max_size=4),
    max_leaves=9,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(st.sampled_from(list(ROW)), JSON, max_size=5), min_size=1, max_size=3))
def test_any_json_is_read_or_refused(changes):
    try:
        found = parse_json(text(*changes))
    except BadInput:
        return
    assert sum(len(each.regions) + len(each.faults) + len(each.remarks) for each in found) == len(changes)
