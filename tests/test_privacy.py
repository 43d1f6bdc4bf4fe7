"""What looks private is known by its look, and a reason is told without the cell that it quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.privacy import emails, found, without_cells


@pytest.mark.parametrize(
    ("reason", "cells", "told"),
    [
        ("'12x' is not a region's number", ["12x"], "'...' is not a region's number"),
        ("no class: the cell 'Mount Wilson' is empty", ["", "12"], "no class: the cell 'Mount Wilson' is empty"),
        ("'Btea' is not a class; '012192' is too long", ["Btea", "012192"], "'...' is not a class; '...' is too long"),
        ("'ask me' is not a class", ["beta, ask me (ada@noaa.gov)"], "'...' is not a class"),
        ('"Ada\'s" is not a class', ["Ada's"], "'...' is not a class"),
        (r"'a\'b\"c' is not a class", ["a'b\"c"], "'...' is not a class"),
        ("image 'x.fits': no such file", ["x.fits"], "image '...': no such file"),
        ("'ada@noaa.gov' is no class", [], "'...' is no class"),
        ("signed ada@noaa.gov, in /home/ada/data", [], "signed ..., in .../data"),
        ("the cutout is blank", ["blank"], "the cutout is blank"),
    ],
)
def test_a_reason_is_told_without_what_a_cell_holds(reason: str, cells: list[str], told: str):
    assert without_cells(reason, cells) == told


@given(st.text(min_size=1))
def test_no_cell_that_a_reason_quotes_is_left_in_it(cell: str):
    told = without_cells(f"the value {cell!r} cannot be read", [cell])
    assert told == "the value '...' cannot be read"


@given(st.text())
def test_any_text_can_be_searched(text: str):
    assert all("\n" not in what for what in found(text)) or "\n" in text


def test_addresses_are_listed():
    assert emails(["Ada <ada@noaa.gov>, eve@x.org.", "none", "a@b"]) == {"ada@noaa.gov", "eve@x.org"}
