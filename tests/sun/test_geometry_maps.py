"""Heliographic maps: against astropy's WCS, sunpy's reprojection, and places known by construction."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.images.images import read_image
from sdovis.sun.geometry import DiscFrame, MapGrid, disc_mu, heliographic_cutout, project, unproject

FRAME = DiscFrame((510.3, 515.8), 2.0, 968.66, -7.2266)


def disc_of(function: Any, frame: DiscFrame = FRAME, side: int = 1030) -> np.ndarray:
    """An image whose values are a function of heliographic latitude and longitude; nan off the disc."""
    y, x = np.mgrid[:side, :side]
    return np.asarray(function(*unproject(x, y, frame)), np.float32)


def blob(lat: float, lon: float, sigma_deg: float = 0.8) -> Any:
    """A Gaussian about a place, by angular distance on the sphere."""

    def value(at_lat: np.ndarray, at_lon: np.ndarray) -> np.ndarray:
        a, b, d = np.radians(lat), np.radians(at_lat), np.radians(at_lon - lon)
        distance = np.degrees(np.arccos(np.clip(np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(d), -1, 1)))
        return np.exp(-0.5 * (distance / sigma_deg) ** 2)

    return value


def centroid(values: np.ndarray) -> tuple[float, float]:
    weight = np.nan_to_num(values)
    y, x = np.mgrid[: values.shape[0], : values.shape[1]]
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


@pytest.mark.parametrize("latitude", [-21.0769, 0.0, 33.0, -70.0])
def test_the_grid_is_that_of_the_fits_standard(latitude: float) -> None:
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["CRLN-CEA", "CRLT-CEA"], [0.03, 0.03]
    wcs.wcs.crpix, wcs.wcs.crval = [372.5, 189.0], [13.0, latitude]
    x, y = np.meshgrid(np.linspace(0, 743, 9), np.linspace(0, 376, 7))
    lon, lat = wcs.all_pix2world(x, y, 0)
    grid = MapGrid((371.5, 376 - 188.0), latitude, 13.0, 0.03)
    ours = grid.place(x, 376 - y)  # row 0 is the north
    assert np.abs(ours[0] - lat).max() < 1e-9
    assert np.abs((ours[1] - lon + 180) % 360 - 180).max() < 1e-9


@settings(deadline=None)
@given(
    lat=st.floats(-80, 80),
    lon=st.floats(-80, 80),
    at=st.floats(-60, 60),
    x=st.floats(-300, 300),
    y=st.floats(-300, 300),
)
def test_placing_undoes_finding_the_pixel(lat: float, lon: float, at: float, x: float, y: float) -> None:
    grid = MapGrid((100.5, 90.0), at, 12.0, 0.1)
    assert np.allclose(grid.pixel(*grid.place(x, y)), (x, y), atol=1e-6)
    assert grid.pixel(at, 12.0) == pytest.approx((100.5, 90.0))
    near = np.allclose(grid.pixel(lat, lon), grid.pixel(*grid.place(*grid.pixel(lat, lon))), atol=1e-6)
    assert near


def test_what_lies_off_the_map_is_nowhere() -> None:
    grid = MapGrid((0.0, 0.0), 10.0, 0.0, 1.0)
    assert np.isnan(grid.place([181.0, 0.0], [0.0, 60.0])).all()


@pytest.mark.parametrize(("size", "side"), [(96, 15.0), (224, 15.0), (100, 20.0), (37, 24.0), (300, 8.0)])
@pytest.mark.parametrize(("lat", "lon"), [(0.0, 0.0), (18.0, -35.0), (-27.0, 58.0)])
def test_a_spot_lies_where_the_projection_puts_it_to_a_tenth_of_a_pixel(
    lat: float, lon: float, size: int, side: float
) -> None:
    grid = MapGrid(((size - 1) / 2, (size - 1) / 2), lat, lon, side / size)
    for dlat, dlon in ((0.0, 0.0), (2.0, -2.5)):
        cut = heliographic_cutout(disc_of(blob(lat + dlat, lon + dlon, 0.5)), lat, lon, FRAME, side, size)
        assert cut.shape == (size, size) and cut.dtype == np.float32
        x, y = grid.pixel(lat + dlat, lon + dlon)
        # A pixel of the source is 0.12 degrees and more: where it is the coarser, a tenth of that.
        within = 0.1 * max(1.0, 0.25 * size / side)
        assert np.hypot(*np.subtract(centroid(cut), (x, y))) < within


def test_north_is_up_west_is_right_and_one_scale_holds_everywhere() -> None:
    cut = heliographic_cutout(disc_of(lambda lat, lon: lat), 20, 30, FRAME, 10, 64)
    assert (np.diff(cut, axis=0) < 0).all()
    cut = heliographic_cutout(disc_of(lambda lat, lon: lon), 20, 30, FRAME, 10, 64)
    assert (np.diff(cut, axis=1) > 0).all()
    for lat, lon in ((0, 0), (25, 50)):
        cut = heliographic_cutout(disc_of(blob(lat, lon, 1.0)), lat, lon, FRAME, 16, 128)
        y, x = np.mgrid[:128, :128] - 63.5
        for axis in (x, y):  # a round spot stays round: 1 degree is 8 pixels
            assert np.sqrt((axis**2 * cut).sum() / cut.sum()) == pytest.approx(8.0, rel=0.03)


@pytest.mark.filterwarnings("ignore")
def test_the_map_is_the_one_that_sunpy_reprojects() -> None:
    import astropy.units as u
    import sunpy.map
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates import frames

    when = datetime(2014, 3, 1, 12, tzinfo=UTC)
    frame = DiscFrame.at(when, (300.0, 305.5), 3.4)
    rng = np.random.default_rng(1)
    places = [(rng.uniform(-25, -3), rng.uniform(30, 52), rng.choice([-1, 1])) for _ in range(40)]
    image = disc_of(lambda lat, lon: sum(sign * blob(a, b, 1.2)(lat, lon) for a, b, sign in places), frame, 610)
    image = np.nan_to_num(image)
    observer = SkyCoord(
        0 * u.deg, frame.b0_deg * u.deg, frame.distance_radii * 695700 * u.km,
        frame=frames.HeliographicStonyhurst(obstime=when),
    )  # fmt: skip
    header = sunpy.map.make_fitswcs_header(
        image[::-1],
        SkyCoord(0 * u.arcsec, 0 * u.arcsec, frame=frames.Helioprojective(observer=observer, obstime=when, rsun=695700 * u.km)),
        reference_pixel=[300.0, 609 - 305.5] * u.pix, scale=[3.4, 3.4] * u.arcsec / u.pix,
    )  # fmt: skip
    full = sunpy.map.Map(image[::-1], header)
    lat, lon, side, size = -14.0, 41.0, 18.0, 72
    target = sunpy.map.make_fitswcs_header(
        (size, size), SkyCoord(lon * u.deg, lat * u.deg, frame=frames.HeliographicStonyhurst(obstime=when, rsun=695700 * u.km)),
        reference_pixel=[(size - 1) / 2] * 2 * u.pix, scale=[side / size] * 2 * u.deg / u.pix, projection_code="CEA",
    )  # fmt: skip
    theirs = full.reproject_to(target, algorithm="interpolation", order="bicubic").data[::-1]
    ours = heliographic_cutout(image.astype(np.float32), lat, lon, frame, side, size)
    assert np.std(theirs) > 0.1
    apart, pixel = np.abs(ours - theirs), np.abs(np.roll(ours, 1, axis=1) - theirs)
    assert apart.mean() < 0.1 * pixel.mean() and apart.max() < 0.1 * pixel.max()


def test_a_map_and_the_disc_it_was_made_from_give_the_same_picture() -> None:
    rng = np.random.default_rng(2)
    places = [(rng.uniform(0, 30), rng.uniform(20, 50)) for _ in range(40)]
    image = disc_of(lambda lat, lon: sum(blob(*place, 1.0)(lat, lon) for place in places))
    whole = heliographic_cutout(image, 15, 35, FRAME, 30, 300)
    grid = MapGrid((149.5, 149.5), 15, 35, 0.1)
    assert np.allclose(heliographic_cutout(whole, 15, 35, grid, 20, 200), whole[50:250, 50:250], atol=1e-4)
    off = heliographic_cutout(whole, 17, 33, grid, 12, 60)
    apart = np.abs(off - heliographic_cutout(image, 17, 33, FRAME, 12, 60))
    assert apart.max() < 0.06 and apart.mean() < 0.01 and off.max() > 1


def test_the_sharp_sample_is_cut_out_at_its_own_scale_pixel_for_pixel(shared_data: Path) -> None:
    image = read_image(next((shared_data / "fits_samples").glob("*377*.magnetogram.fits")))
    assert image.grid is not None
    part = image.values[138:239, 321:422]
    lat, lon = image.grid.place(371.0, 188.0)
    middle = MapGrid((50.0, 50.0), lat, lon, 0.03)
    assert np.allclose(heliographic_cutout(part, lat, lon, middle, 101 * 0.03, 101), part, rtol=1e-4, atol=0.01)
    # From the whole map, whose equator runs through another place: turned by thousandths of a degree.
    cut = heliographic_cutout(image.values, lat, lon, image.grid, 101 * 0.03, 101)
    assert np.abs(cut - part).max() < 0.01 * np.ptp(part)


def test_a_shrinking_map_averages_instead_of_picking_pixels() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (1030, 1030)).astype(np.float32)
    noise[np.isnan(disc_mu(noise.shape, FRAME))] = np.nan
    assert heliographic_cutout(noise, 0, 0, FRAME, 60, 60).std() < 0.2  # 8 x 8 pixels of the source to one
    fine = heliographic_cutout(noise, 0, 0, FRAME, 6, 60)
    assert 0.5 < fine.std() < 1.1


def test_what_is_missing_or_behind_the_limb_is_nan_and_lends_nothing() -> None:
    seven = disc_of(lambda lat, lon: np.where(np.isnan(lat), np.nan, np.where(lon > 10, np.nan, 7.0)))
    cut = heliographic_cutout(seven, 5, 10, FRAME, 10, 50)
    assert np.isnan(cut[:, 27:]).all() and (np.abs(cut[:, :23] - 7) < 1e-3).all()
    assert (np.isnan(cut) | (np.abs(cut - 7) < 1e-3)).all()
    bright = np.full((1030, 1030), 7.0, np.float32)  # the sky is no place on the Sun
    cut = heliographic_cutout(bright, 0, 85, FRAME, 20, 80)
    lat, lon = MapGrid((39.5, 39.5), 0, 85, 0.25).place(*np.meshgrid(np.arange(80), np.arange(80)))
    behind = np.isnan(project(lat, lon, FRAME)[0])
    assert 0.2 < behind.mean() < 0.5 and np.array_equal(np.isnan(cut), behind)
    assert np.isnan(heliographic_cutout(bright, 0, 150, FRAME, 10, 20)).all()
    cropped = heliographic_cutout(bright[:, :600], 0, 12, FRAME, 20, 50)
    assert np.isnan(cropped[:, -10:]).all() and not np.isnan(cropped[:, :10]).any()
    assert np.isnan(heliographic_cutout(np.zeros((50, 50), np.float32), 0, 0, FRAME, 10, 20)).all()


@pytest.mark.parametrize("side", [0.0, -3.0, 91.0, float("nan")])
def test_a_side_that_makes_no_map_is_refused(side: float) -> None:
    with pytest.raises(ValueError, match="side_deg"):
        heliographic_cutout(np.zeros((50, 50), np.float32), 0, 0, FRAME, side, 20)


@pytest.mark.filterwarnings("ignore")
def test_the_ephemeris_is_sunpys_and_costs_next_to_nothing() -> None:
    from sunpy.coordinates import sun

    times = [datetime(2010, 5, 1, 3, tzinfo=UTC) + timedelta(days=311.7 * n) for n in range(19)]
    frames = [DiscFrame.at(when, (0, 0), 1.0) for when in times]
    for when, frame in zip(times, frames, strict=True):
        assert frame.radius_arcsec == pytest.approx(sun.angular_radius(when).to_value("arcsec"), abs=1e-4)
        assert frame.b0_deg == pytest.approx(sun.B0(when).to_value("deg"), abs=1e-5)
    spent = []
    for day in range(100):
        start = time.perf_counter()
        DiscFrame.at(datetime(2012, 1, 1, tzinfo=UTC) + timedelta(days=day), (0, 0), 1.0)
        spent.append(time.perf_counter() - start)
    assert np.median(spent) < 0.3e-3
