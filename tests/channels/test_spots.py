"""Measures of sunspots, against spots that were drawn."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from sdovis.channels import spots
from sdovis.channels.hmi import limb_darkening
from sdovis.channels.surface import UNKNOWN_SIDE_DEG, of_cutout

SIDE = 112
#: Of a picture whose place is unknown, each pixel is a share of a hemisphere.
WHOLE_MSH = 1e6 / SIDE**2


def _sun(*ellipses: tuple[float, float, float, float, float], limb: float = 0.0, level: float = 200.0) -> NDArray:
    """Quiet Sun that darkens by ``limb`` from left to right, with (x, y, a, b, ratio) ellipses on it."""
    y, x = np.indices((SIDE, SIDE), dtype=np.float64)
    image = level * (1 - limb * (x / SIDE) ** 2)
    for cx, cy, a, b, ratio in ellipses:
        image = np.where(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1, image * ratio, image)
    return image


def _named(image: NDArray) -> dict[str, float]:
    return dict(zip(spots.MEASURES, spots.measures(image), strict=True))


@pytest.mark.parametrize("level", [0.9, 200.0, 50_000.0])
@pytest.mark.parametrize("limb", [0.0, 0.3])
def test_area_umbra_and_number_are_those_of_the_spots_drawn(limb: float, level: float) -> None:
    found = _named(_sun((30, 50, 10, 10, 0.8), (30, 50, 5, 5, 0.5), (80, 60, 6, 6, 0.8), limb=limb, level=level))
    assert found["spots"] == 2 and found["umbrae"] == 1
    assert found["spot area"] == pytest.approx(np.pi * (100 + 36) * WHOLE_MSH, rel=0.05)
    assert found["umbral area"] == pytest.approx(np.pi * 25 * WHOLE_MSH, rel=0.06)
    assert found["largest spot"] == pytest.approx(100 / 136, rel=0.05)
    assert found["darkest"] == pytest.approx(0.4, abs=0.02)


def test_extent_and_elongation_are_those_of_an_ellipse_however_it_is_turned() -> None:
    # An ellipse's r.m.s. distance along a half-axis is half of it.
    along = _named(_sun((56, 56, 24, 8, 0.7)))
    across = _named(_sun((56, 56, 8, 24, 0.7)))
    assert along["extent"] == pytest.approx(12 * UNKNOWN_SIDE_DEG / SIDE, rel=0.03)
    assert along["elongation"] == pytest.approx(3, rel=0.03)
    assert across == pytest.approx(along, rel=1e-9)


def test_a_quiet_sun_has_no_spots_and_neither_has_noise_of_single_pixels() -> None:
    spotted = (56, 56, 10, 10, 0.7)
    noisy, both = _sun(limb=0.2), _sun(spotted, limb=0.2)
    noisy[::20, ::20] *= 0.7
    both[:30:20, ::20] *= 0.7
    assert spots.measures(_sun(limb=0.2)).tolist() == pytest.approx([0, 0, 0, 0, 0, 1, 0, 0], abs=1e-6)
    assert spots.measures(noisy)[:4].tolist() == [0, 0, 0, 0]
    assert _named(both) == pytest.approx(_named(_sun(spotted, limb=0.2)), rel=0.01)


def test_a_group_that_fills_a_third_of_the_image_does_not_dim_the_quiet_sun() -> None:
    found = _named(_sun((40, 56, 36, 36, 0.6), limb=0.2))
    assert found["spot area"] == pytest.approx(np.pi * 36**2 * WHOLE_MSH, rel=0.03)
    assert found["darkest"] == pytest.approx(0.6, abs=0.02)


def test_spots_that_touch_at_a_corner_are_one() -> None:
    sun = _sun()
    sun[20:30, 20:30] = sun[30:40, 30:40] = 140
    assert _named(sun)["spots"] == 1


@pytest.mark.parametrize("sky_level", [0, 3])
def test_sky_and_missing_pixels_are_no_spots(sky_level: int) -> None:
    sun = _sun((56, 56, 10, 10, 0.7))
    sky = sun.copy()
    sky[:, :20], sky[:10] = sky_level, np.nan
    assert _named(sky)["spots"] == 1
    assert _named(sky)["spot area"] == _named(sun)["spot area"]


def test_an_image_with_nothing_in_it_still_has_finite_measures() -> None:
    for value in (np.nan, 0.0):
        assert np.isfinite(spots.measures(np.full((8, 8), value))).all()


@pytest.mark.parametrize("place", [(0.0, 0.0), (20.0, -30.0), (-15.0, 55.0)])
@pytest.mark.parametrize("span", [(300.0, None), (None, 18.0)])
def test_a_spot_has_one_area_and_extent_wherever_on_the_sun_it_lies(place, span) -> None:
    surface = of_cutout(SIDE, *span, *place, datetime(2011, 2, 15, tzinfo=UTC))
    inside = np.hypot(surface.west_deg, surface.north_deg) < 2.5
    found = dict(zip(spots.MEASURES, spots.measures(np.where(inside, 120.0, 200.0), surface), strict=True))
    # A cap of 2.5 degrees: 1 - cos(2.5 degrees) of a hemisphere. Its r.m.s. distance along an axis is half its radius.
    assert found["spot area"] == pytest.approx(1e6 * (1 - np.cos(np.radians(2.5))), rel=0.03)
    assert found["extent"] == pytest.approx(1.25, rel=0.04) and found["elongation"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("longitude", [0.0, 45.0, 60.0, 75.0])
def test_limb_darkening_is_no_spot_and_hides_none(longitude: float) -> None:
    surface = of_cutout(SIDE, 300.0, None, 10.0, longitude, datetime(2011, 2, 15, tzinfo=UTC))
    noise = np.random.default_rng(0).normal(0, 2, surface.mu.shape)
    quiet = 220 * limb_darkening(np.nan_to_num(surface.mu)) + noise
    quiet[np.isnan(surface.mu)] = 3  # the sky of a JPEG
    assert spots.measures(quiet, surface)[0] == 0
    spot = np.hypot(surface.west_deg, surface.north_deg) < 1.5
    found = spots.measures(np.where(spot, 0.6 * quiet, quiet), surface)
    assert found[0] == pytest.approx(1e6 * (1 - np.cos(np.radians(1.5))), rel=0.1) and found[2] == 1
