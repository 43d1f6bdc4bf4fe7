"""Measures of magnetic fields, against fields made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sdovis.channels import polarity
from sdovis.channels.channel import channel
from sdovis.channels.surface import Surface, of_cutout, unknown

SIDE = 120
CONTRAST = channel("hmi-magnetogram").contrast
assert CONTRAST is not None
#: A map of 18 degrees: 0.15 degrees a pixel, every pixel of one area.
MAP = of_cutout(SIDE, None, 18.0, 0.0, 0.0, None)


def _field(*knots: tuple[float, float, float, float], noise: float = 0.0) -> NDArray[np.float64]:
    """Round knots (west, north, radius, field), in degrees and gauss."""
    field = np.random.default_rng(0).normal(0, 1, MAP.mu.shape) * noise
    for west, north, radius, strength in knots:
        field[np.hypot(MAP.west_deg - west, MAP.north_deg - north) < radius] = strength
    return field


def _named(field: NDArray[np.float64], surface: Surface = MAP) -> dict[str, float]:
    return dict(zip(polarity.MEASURES, polarity.measures(field, surface, CONTRAST), strict=True))


def _cap_msh(radius_deg: float) -> float:
    return float(1e6 * (1 - np.cos(np.radians(radius_deg))))


def test_fluxes_and_areas_are_those_of_the_knots_drawn() -> None:
    found = _named(_field((-3, 0, 1.5, 600), (3, 0, 1.0, -300), noise=8))
    strong, weak = 600 * _cap_msh(1.5), 300 * _cap_msh(1.0)
    assert found["stronger flux"] == pytest.approx(strong, rel=0.03)
    assert found["weaker flux"] == pytest.approx(weak, rel=0.05)
    assert found["unsigned flux"] == pytest.approx(strong + weak, rel=0.03)
    assert found["flux imbalance"] == pytest.approx((strong - weak) / (strong + weak), abs=0.02)
    assert found["plage area"] == pytest.approx(_cap_msh(1.5) + _cap_msh(1.0), rel=0.03)
    assert found["largest knot"] == pytest.approx(_cap_msh(1.5), rel=0.03)
    assert found["largest opposite knot"] == pytest.approx(_cap_msh(1.0), rel=0.05)
    assert found["weaker umbral area"] == 0 < found["stronger umbral area"], "300 G is no umbra"
    assert (found["knots"], found["weaker polarity's knots"]) == (2, 1)


def test_the_place_of_a_cutout_on_the_sun_does_not_change_an_area_or_a_radial_field() -> None:
    flux = {}
    for longitude in (0.0, 30.0, 50.0):
        surface = of_cutout(SIDE, 300.0, None, 10.0, longitude, datetime(2013, 6, 1, tzinfo=UTC))
        field = np.where(np.hypot(surface.west_deg, surface.north_deg) < 3, 1000 * surface.mu, 0.0)
        found = _named(field, surface)
        flux[longitude] = found["unsigned flux"]
        assert found["largest knot"] == pytest.approx(_cap_msh(3), rel=0.03)
    assert flux[30.0] == pytest.approx(flux[0.0], rel=0.02) and flux[50.0] == pytest.approx(flux[0.0], rel=0.02)


@pytest.mark.parametrize("turn", [0, 30, 45, 70])
def test_the_neutral_line_of_two_halves_is_as_long_as_their_boundary(turn: float) -> None:
    angle = np.radians(turn)
    across = MAP.west_deg * np.cos(angle) + MAP.north_deg * np.sin(angle)
    along = MAP.north_deg * np.cos(angle) - MAP.west_deg * np.sin(angle)
    # Two half discs of 4 degrees, against each other along a diameter of 8.
    field = np.where(np.hypot(across, along) < 4, np.where(across > 0, 500.0, -500.0), 0.0)
    length, steep = polarity.neutral_line(field, MAP, 50.0)
    # Counted crossings are 1 to 4/pi times too few along the grid, and exact on average over directions.
    assert 8 * np.pi / 4 * 0.97 < length < 8 * np.pi / 4 * np.sqrt(2) * 1.12
    assert steep > 0


def test_two_poles_far_apart_have_no_neutral_line_and_no_r_and_close_ones_have_both() -> None:
    apart, close = (
        _named(_field((-5, 0, 1.5, 800), (5, 0, 1.5, -800))),
        _named(_field((-1.4, 0, 1.5, 800), (1.4, 0, 1.5, -800))),
    )
    assert apart["neutral line"] == apart["Schrijver's R"] == apart["opposite pairs"] == 0
    assert close["neutral line"] > 1 and close["Schrijver's R"] > 4
    assert close["closest opposites"] > 10 * apart["closest opposites"]
    assert close["effective distance"] > apart["effective distance"]


def test_schrijvers_r_is_the_flux_at_the_line_weighted_with_its_distance() -> None:
    half = np.where(MAP.west_deg > 0, 400.0, -400.0)
    sigma = 15 * polarity.DEG_PER_MM / (2 * np.sqrt(2 * np.log(2)))
    # The integral of the Gaussian on both sides, along 18 degrees; the line itself is two pixels wide.
    deg2 = 18 * (np.sqrt(2 * np.pi) * sigma + MAP.step_deg)
    msh = deg2 * np.radians(1) ** 2 / (2e-6 * np.pi)
    assert polarity.schrijver_r(half, MAP, 150.0) == pytest.approx(np.log10(400 * msh), abs=0.02)


@pytest.mark.parametrize(("distance", "pairs"), [(1.5, 1), (1.9, 1), (2.2, 0), (4.0, 0)])
def test_opposite_knots_within_two_degrees_are_a_pair(distance: float, pairs: int) -> None:
    field = _field((-distance / 2, 0, 0.5, 900), (distance / 2, 0, 0.5, -900), (distance / 2, 5, 0.5, 900))
    assert _named(field)["opposite pairs"] == pairs


def test_a_bipole_is_not_mixed_whatever_its_axis_and_a_pole_within_the_other_is() -> None:
    for west, north in ((3, 0), (2, 2), (0, 3)):
        assert _named(_field((-west, -north, 1, 600), (west, north, 1.5, -600)))["mixing"] < 0.02
    ring = _field((0, 0, 4, 600), (0, 0, 1.5, -600))
    assert 0.2 < _named(ring)["mixing"] <= 0.5


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**16), st.sampled_from(["reverse", "mirror", "turn"]))
def test_reversed_and_mirrored_fields_measure_the_same(seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    knots = [
        (*rng.uniform(-5, 5, 2), rng.uniform(0.4, 2), rng.choice([-1, 1]) * rng.uniform(200, 1500)) for _ in range(5)
    ]
    field = _field(*knots, noise=8)
    surface = unknown((SIDE, SIDE))
    other = {"reverse": -field, "mirror": field[:, ::-1], "turn": field[::-1, ::-1]}[how]
    one, two = (polarity.measures(each, surface, CONTRAST) for each in (field, other))
    assert two == pytest.approx(one, rel=1e-6, abs=1e-6)


def test_nothing_and_missing_values_have_finite_measures() -> None:
    for field in (np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), np.nan), _field((0, 0, 2, 900))):
        found = polarity.measures(field, MAP, CONTRAST)
        assert np.isfinite(found).all() and len(found) == len(polarity.MEASURES)
    missing = _field((0, 0, 2, 900), (3, 0, 1, -900))
    missing[MAP.west_deg > 1.8] = np.nan
    assert _named(missing)["weaker flux"] == 0


def test_what_lies_off_the_disc_counts_for_nothing() -> None:
    surface = of_cutout(SIDE, 400.0, None, 0.0, 75.0, datetime(2013, 6, 1, tzinfo=UTC))
    sky = ~np.isfinite(surface.mu)
    assert sky.any() and (surface.area_msh[sky] == 0).all()
    field = np.where(sky, 900.0, 0.0)
    assert polarity.measures(field, surface, CONTRAST)[0] == 0
