"""What reads a cell shows what the cell shows, or refuses; it never fails in another way."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.sun.notation import (
    carrington,
    is_nothing,
    latitude,
    location,
    longitude,
    named_as_region,
    pixel,
    plain,
    regions,
)

CELLS = st.one_of(
    st.text(max_size=10),
    st.text(alphabet="0123456789.,;:/-+−– NSEWnsewARar#°", max_size=12),
    st.from_regex(r"[0-9]{3,6}(\.0|[a-z ,/]*[0-9]{0,5})", fullmatch=True),
)


@given(CELLS)
@example("1158¹")
@example("1.12E4")
def test_a_region_read_from_any_text_stands_in_it_digit_by_digit(text):
    try:
        found = regions(text)
    except BadInput as error:
        assert len(error.problems) == 1 and "\n" not in str(error)
        return
    digits = "".join(character for character in plain(text).partition("e")[0] if character.isdigit())
    assert all(str(number)[-4:] in digits and 11000 <= number <= 99999 for number in found if number >= 11000)
    assert found or is_nothing(text) or plain(text).startswith("0")


@given(CELLS)
def test_a_position_read_from_any_text_is_on_the_sphere(text):
    for reading, limit in ((latitude, 90), (longitude, 180), (carrington, 360), (pixel, 1e6)):
        try:
            assert abs(reading(text)) <= limit
        except BadInput as error:
            assert len(error.problems) == 1
    try:
        north, west = location(text)
    except BadInput:
        return
    assert abs(north) <= 90 and abs(west) <= 180


@pytest.mark.parametrize(
    "text", ["", " ", "-", "—", "None", "n/a", "#N/A", "NaN", "<NA>", "MISSING", "0", "0.0", "-2147483648"]
)
def test_what_says_that_there_is_nothing_names_no_region(text):
    assert regions(text) == ()


def test_a_number_that_a_spreadsheet_rounded_is_not_guessed():
    with pytest.raises(BadInput, match="is rounded, so it is unclear which region is meant"):
        regions("1.12E+04")


@pytest.mark.parametrize(
    ("text", "named"),
    [("ar11158", True), ("NOAA 11158", True), ("noaa-ar-1158", True), ("AR No. 11158", True), ("11158", False)],
)
def test_a_prefix_tells_a_region_from_any_other_number(text, named):
    assert named_as_region(text) is named
    assert named_as_region("arcade 3") is named_as_region("region 3") is False


def test_a_letter_of_the_other_axis_is_named():
    with pytest.raises(BadInput, match="'W34' is a longitude"):
        latitude("W34")
    with pytest.raises(BadInput, match="'N12' is a latitude"):
        longitude("N12")
    with pytest.raises(BadInput, match="'S-12' has two signs"):
        latitude("S-12")


def test_a_location_in_a_column_of_latitudes_is_told_where_it_belongs():
    with pytest.raises(BadInput, match=r"'N12W34' is not a number .*; name its column in source\.columns\.location"):
        latitude("N12W34")


@pytest.mark.parametrize("text", ["9999", "99999", "99999.0"])
def test_what_tables_write_where_there_is_nothing_is_no_region(text):
    with pytest.raises(BadInput, match="is not a NOAA number"):
        regions(text)
