"""Constants are the sources' values, and are written once."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import sdovis
from sdovis.sun import constants

#: Numbers that mean other things elsewhere: 4096 and 0.6.
COMMON = {"CAMERA_PX", "AIA_PIXEL_ARCSEC"}


def test_lengths_are_those_of_the_international_astronomical_union():
    from astropy import constants as iau

    assert iau.au.to_value("m") == constants.ASTRONOMICAL_UNIT_M
    assert iau.R_sun.to_value("m") == constants.NOMINAL_RADIUS_M
    assert math.degrees(math.asin(constants.NOMINAL_RADIUS_M / constants.ASTRONOMICAL_UNIT_M)) == pytest.approx(
        959.23 / 3600, abs=1e-6
    )


def test_each_constant_is_written_in_one_module():
    known = {
        abs(value)
        for name, value in vars(constants).items()
        if name.isupper() and isinstance(value, int | float) and name not in COMMON
    }
    home, package = Path(constants.__file__), Path(sdovis.__file__).parent
    again = [
        f"{path.relative_to(package)}:{node.lineno} has {node.value}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if path != home and isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if any(math.isclose(node.value, value, rel_tol=1e-12) for value in known)
    ]
    assert not again
