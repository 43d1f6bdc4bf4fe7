"""Rotation is what sunpy says it is, and nearer to how spots move than the alternative."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sdovis.sun.rotation import HOWARD, rotated, shear, sidereal_rate, synodic_rate, westward_deg

START = datetime(2013, 7, 4, tzinfo=UTC)


def test_rotation_agrees_with_sunpy_over_the_year():
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from astropy.utils import iers
    from sunpy.coordinates import HeliographicStonyhurst, propagate_with_solar_surface

    random = np.random.default_rng(0)
    for month in range(1, 13):
        start = datetime(2010 + month % 5, month, 1, tzinfo=UTC)
        end = start + timedelta(hours=float(random.uniform(-24, 24)))
        lat, lon = random.uniform(-45, 45, 20), random.uniform(-80, 80, 20)
        with iers.conf.set_temp("auto_download", False), propagate_with_solar_surface("howard"):
            here = HeliographicStonyhurst(obstime=start.replace(tzinfo=None))
            there = HeliographicStonyhurst(obstime=end.replace(tzinfo=None))
            moved = SkyCoord(lon * u.deg, lat * u.deg, 1 * u.R_sun, frame=here).transform_to(there).lon.deg
        days = abs((end - start).total_seconds()) / 86400
        np.testing.assert_allclose(rotated(lat, lon, start, end), moved, atol=0.01 * days)


def test_the_sidereal_rate_is_sunpys_model_howard():
    import astropy.units as u
    from sunpy.sun.models import differential_rotation

    latitudes = np.linspace(-75, 75, 31)
    turned = differential_rotation(1 * u.day, latitudes * u.deg, model="howard", frame_time="sidereal")
    np.testing.assert_allclose(sidereal_rate(latitudes), turned.to_value("deg"), atol=1e-6)


def test_shear_is_the_derivative_of_the_rate():
    latitudes = np.linspace(-80, 80, 33)
    step = 1e-4
    slope = (sidereal_rate(latitudes + step) - sidereal_rate(latitudes - step)) / (2 * step)
    np.testing.assert_allclose(shear(latitudes), slope, atol=1e-8)
    assert shear(30.0) < 0 < shear(-30.0)


def test_the_rate_halfway_serves_for_a_whole_rotation():
    for month in range(1, 13):
        start = datetime(2012, month, 1, tzinfo=UTC)
        hours = [start + timedelta(hours=h) for h in range(27 * 24 + 1)]
        by_hours = sum(float(westward_deg(15, a, b)) for a, b in itertools.pairwise(hours))
        assert abs(by_hours - westward_deg(15, start, hours[-1])) < 0.01


@given(st.floats(-60, 60), st.floats(-179, 179), st.floats(-240, 240))
def test_rotation_comes_back(lat, lon, hours):
    end = START + timedelta(hours=hours)
    there = rotated(lat, lon, START, end)
    assert -180 < there <= 180
    back = rotated(lat, there, end, START)
    assert abs((back - lon + 180) % 360 - 180) < 1e-6


def test_the_equator_moves_west_and_faster_than_high_latitudes():
    assert rotated(0, 10, START, START + timedelta(days=1)) > 23
    rates = synodic_rate([0, 20, 40, 60], START)
    assert (np.diff(rates) < 0).all()


def test_the_summaries_own_spots_move_at_this_rate(shared_data):
    """Spotted regions of five years, day by day: nearer to Howard's rate than to that of Doppler features."""
    from sdovis.sun.archives import read_archive
    from sdovis.sun.regions import table

    spots = table(read_archive(shared_data / "noaa_srs").summaries).query("section == 'I' and abs(longitude_deg) <= 60")
    days = (spots["valid"] - spots["valid"].min()).dt.total_seconds() / 86400
    rates, weights, latitudes = [], [], []
    for _, region in spots.assign(days=days).groupby("noaa_ar"):
        if len(region) >= 4:
            x = region["days"] - region["days"].mean()
            weights.append((x**2).sum())
            rates.append((x * region["longitude_deg"].astype(float)).sum() / weights[-1])
            latitudes.append(region["latitude_deg"].mean())
    sine2 = np.sin(np.radians(latitudes)) ** 2
    sidereal = np.array(rates) + 0.9856

    def bias(a: float, b: float, c: float) -> float:
        return float(np.average(sidereal - (a + b * sine2 + c * sine2**2), weights=weights))

    assert len(rates) > 800
    assert abs(bias(*HOWARD)) < 0.12
    assert abs(bias(14.713, -2.396, -1.787)) > 0.24  # Snodgrass & Ulrich 1990, which the reference workbook used
