"""Positions against sunpy and against an independently derived workbook; cutouts against shapes of known place."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.sun.geometry import DiscFrame, cutout, disc_mu, project, unproject, unturned

WHEN = datetime(2014, 3, 1, 12, tzinfo=UTC)
FRAME = DiscFrame((255.5, 255.5), 4.8, 968.66, -7.2266)


def test_the_ephemeris_follows_the_year() -> None:
    """B0 and radius of the Astronomical Almanac: extremes in March, September, January and July."""
    at = {m: DiscFrame.at(datetime(2014, m, 5, tzinfo=UTC), (0, 0), 1.0) for m in (1, 3, 7, 9)}
    assert at[3].b0_deg == pytest.approx(-7.25, abs=0.02)
    assert at[9].b0_deg == pytest.approx(7.23, abs=0.02)
    assert at[1].radius_arcsec == pytest.approx(975.7, abs=1)
    assert at[7].radius_arcsec == pytest.approx(943.5, abs=1)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone-aware"):
        DiscFrame.at(datetime(2014, 3, 1), (0, 0), 1.0)


def test_projection_agrees_with_sunpy_within_a_twentieth_of_a_pixel_of_aia() -> None:
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates import Helioprojective, get_earth
    from sunpy.coordinates.frames import HeliographicStonyhurst

    frame = DiscFrame.at(WHEN, (2047.5, 2047.5), 0.6)
    lat, lon = (a.ravel() for a in np.meshgrid(np.linspace(-80, 80, 17), np.linspace(-85, 85, 18)))
    sky = SkyCoord(lon * u.deg, lat * u.deg, frame=HeliographicStonyhurst(obstime=WHEN)).transform_to(
        Helioprojective(observer=get_earth(WHEN), obstime=WHEN)
    )
    x, y, mu = project(lat, lon, frame)
    seen = np.isfinite(x)
    assert seen.sum() > 250
    assert np.abs(2047.5 + sky.Tx.to_value("arcsec") / 0.6 - x)[seen].max() < 0.05
    assert np.abs(2047.5 - sky.Ty.to_value("arcsec") / 0.6 - y)[seen].max() < 0.05
    assert ((mu[seen] > 0) & (mu[seen] <= 1)).all()


def test_north_is_up_and_west_is_right() -> None:
    x, y, _ = project([30, 0], [0, 30], FRAME)
    assert y[0] < 255.5 and x[1] > 255.5


@settings(deadline=None)
@given(lat=st.floats(-75, 75), lon=st.floats(-75, 75), b0=st.floats(-7.25, 7.25))
def test_unprojecting_undoes_projecting(lat: float, lon: float, b0: float) -> None:
    frame = DiscFrame((250.3, 260.1), 2.4, 960.0, b0)
    x, y, _ = project(lat, lon, frame)
    if np.isfinite(x):
        assert np.allclose(unproject(x, y, frame), (lat, lon), atol=1e-6)


def test_what_lies_behind_the_limb_or_off_the_disc_is_nan() -> None:
    assert np.isnan(project(0, [95, 180, -120], FRAME)).all()
    assert np.isnan(unproject(255.5, 255.5 + 1.01 * FRAME.radius_px, FRAME)).all()


def test_mu_falls_from_one_at_the_centre_to_nothing_at_the_limb() -> None:
    mu = disc_mu((512, 512), FRAME)
    assert mu[255, 255] == pytest.approx(1, abs=1e-4)
    assert mu[255, 255 + int(0.999 * FRAME.radius_px)] < 0.15
    assert np.isfinite(mu).sum() == pytest.approx(np.pi * FRAME.radius_px**2, rel=0.005)
    _, _, expected = project(20, 40, FRAME)
    x, y, _ = project(20, 40, FRAME)
    assert mu[round(y), round(x)] == pytest.approx(expected, abs=0.005)


def test_positions_agree_with_the_workbook(shared_data: Path) -> None:
    """The workbook's pixels were derived elsewhere; within 60 degrees of the central meridian."""
    rows = pd.read_excel(shared_data / "SDO_Solar_Active_Regions.xlsx", sheet_name=0).dropna(subset=["X (px)"])
    rows = rows[rows["Longitude (deg)"].abs() <= 60]
    away = []
    for when, group in rows.groupby("Observed (UTC)"):
        frame = DiscFrame.at(pd.Timestamp(when).tz_localize("UTC").to_pydatetime(), (255.5, 255.5), 4.8)
        x, y, _ = project(group["Latitude (deg)"], group["Longitude (deg)"], frame)
        away.append(np.hypot(x - group["X (px)"], y - group["Y (px)"]))
    distance = np.concatenate(away)
    assert len(distance) > 1500
    assert np.median(distance) < 0.5
    assert np.quantile(distance, 0.99) < 1.5


def test_a_cutout_keeps_a_blob_where_it_is_to_a_hundredth_of_a_pixel() -> None:
    y, x = np.mgrid[:200, :200]
    blob = np.exp(-((x - 90.3) ** 2 + (y - 110.8) ** 2) / (2 * 4.0**2)).astype(np.float32)
    for size in (30, 60, 120):
        part = cutout(blob, 91.0, 110.0, 240, 4.0, size)  # 60 pixels a side
        rows, columns = np.mgrid[:size, :size]
        scale = size / 60
        assert np.sum(columns * part) / part.sum() == pytest.approx((90.3 - 91.0 + 30) * scale - 0.5, abs=0.02)
        assert np.sum(rows * part) / part.sum() == pytest.approx((110.8 - 110.0 + 30) * scale - 0.5, abs=0.02)


def test_a_cutout_at_the_images_own_scale_changes_no_pixel() -> None:
    values = np.random.default_rng(0).normal(size=(60, 50)).astype(np.float32)
    assert np.array_equal(cutout(values, 19.5, 29.5, 32, 2.0, 16), values[22:38, 12:28])


def test_a_shrinking_cutout_averages_instead_of_picking_pixels() -> None:
    checkers = (np.indices((400, 400)).sum(axis=0) % 2).astype(np.float32)
    part = cutout(checkers, 200, 200, 320, 1.0, 40)
    assert np.abs(part - 0.5).max() < 0.02


def test_what_is_missing_becomes_fill_and_lends_nothing_to_its_neighbours() -> None:
    values = np.full((100, 100), 7.0, np.float32)
    values[:, 60:] = np.nan
    part = cutout(values, 50, 2, 60, 1.0, 60, fill=-1.0)
    assert np.all((np.abs(part - 7) < 1e-5) | (part == -1))
    assert (part[:27] == -1).all(), "above the image"
    assert (part[:, 41:] == -1).all(), "missing in the image"
    assert (np.abs(part[28:, :39] - 7) < 1e-5).all()
    assert np.isnan(cutout(values, 500, 500, 60, 1.0, 8)).all()


def test_a_cutout_takes_under_two_milliseconds() -> None:
    values = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    values[:, 300:] = np.nan
    spent = []
    for _ in range(30):
        start = time.perf_counter()
        cutout(values, 290.2, 250.7, 480, 4.8, 96)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 2e-3


@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_quarter_turns_and_mirrors_move_pixels_and_change_none(quarter: int, mirror: int) -> None:
    values = np.arange(35, dtype=np.float32).reshape(5, 7)
    angle = np.radians(90 * quarter + 0.05)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([mirror, 1])
    at = np.array([6.0, 1.0])
    turned, (x, y) = unturned(values, turn, at)
    assert sorted(turned.ravel()) == sorted(values.ravel())
    assert turned[round(y), round(x)] == values[1, 6]
    # The neighbour to the west in the turned image is the pixel that `turn` takes one step to the west.
    step = np.rint(np.linalg.inv(turn) @ [1, 0]).astype(int)
    inner, (x, y) = unturned(values, turn, np.array([3.0, 2.0]))
    assert inner[round(y), round(x) + 1] == values[2 + step[1], 3 + step[0]]


def test_other_turns_interpolate_and_keep_holes() -> None:
    y, x = np.mgrid[:101, :101]
    smooth = (np.sin(x / 9) + np.cos(y / 7)).astype(np.float32)
    smooth[40:45, 60:66] = np.nan
    angle = np.radians(37)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned, hole = unturned(smooth, turn, np.array([62.5, 42.0]))
    assert np.isnan(turned[round(hole[1]), round(hole[0])])
    rows, columns = np.mgrid[:101, :101] - 50
    back_x = np.cos(angle) * columns + np.sin(angle) * rows + 50
    back_y = -np.sin(angle) * columns + np.cos(angle) * rows + 50
    known = np.isfinite(turned)
    assert known.mean() > 0.8
    error = np.abs(turned - (np.sin(back_x / 9) + np.cos(back_y / 7)))[known]
    assert error.max() < 0.05 and np.median(error) < 1e-4
