"""What becomes of an image: orientation against sunpy's own world coordinates, time, unit, place, provenance."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from sdovis.errors import UnreadableImage
from sdovis.images.images import SolarImage, inside, read_image
from sdovis.sun.geometry import DiscFrame, MapGrid, project, unproject
from solar_files import HMI_CARDS, dipole, picture, pole, sunpy_sample, write


@pytest.mark.parametrize("matrix", ["CROTA2", "PC", "CD"])
@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0, 37.0, 179.93, -0.4])
def test_a_dipole_lies_where_sunpy_says_however_the_camera_was_turned(
    tmp_path: Path, angle: float, matrix: str
) -> None:
    import sunpy.map
    from sunpy.coordinates.frames import HeliographicStonyhurst

    plus, minus = (130.0, 75.0), (80.0, 120.0)
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    cards: dict[str, Any] = {"CROTA2": angle, "CRVAL1": 2.5, "CRVAL2": 1.7}
    if matrix == "PC":
        cards |= {"CROTA2": None, "PC1_1": c, "PC1_2": -s, "PC2_1": s, "PC2_2": c}
    if matrix == "CD":
        cards |= {"CROTA2": None, "CDELT1": None, "CDELT2": None}
        cards |= {
            f"CD{i}_{j}": 12 * v for (i, j), v in zip(((1, 1), (1, 2), (2, 1), (2, 2)), (c, -s, s, c), strict=True)
        }
    path = write(tmp_path / "turned.fits", dipole((190, 201), plus, minus), **cards)
    image = read_image(path)
    assert image.frame is not None
    with fits.open(path) as file:
        header = file[0].header
        if matrix == "CD":  # sunpy reads no CD matrix: give it the same turn
            header["CDELT1"] = header["CDELT2"] = 12.0
            header["CROTA2"] = angle
            for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
                del header[key]
        map_ = sunpy.map.Map(file[0].data, header)
    for at, sign in ((plus, 1), (minus, -1)):
        world = map_.wcs.pixel_to_world(*at).transform_to(HeliographicStonyhurst(obstime=map_.date))
        lat, lon = unproject(*pole(sign * image.values), image.frame)
        assert lat == pytest.approx(world.lat.to_value("deg"), abs=0.15)
        assert (lon - world.lon.to_value("deg") + 180) % 360 - 180 == pytest.approx(0, abs=0.15)


def test_a_mirrored_camera_is_undone(tmp_path: Path) -> None:
    values = dipole((190, 201), (130, 75), (80, 120))
    plain = read_image(write(tmp_path / "a.fits", values))
    mirrored = read_image(write(tmp_path / "b.fits", values[:, ::-1], CDELT1=-12.0, CRPIX1=101.0))
    assert np.array_equal(plain.values, mirrored.values)
    assert plain.frame == mirrored.frame


def test_row_zero_is_north_and_missing_stays_missing_in_turned_images(tmp_path: Path) -> None:
    values = dipole((190, 201), (130, 75), (80, 120))
    values[:20] = np.nan
    for angle in (0.0, 37.0):
        image = read_image(write(tmp_path / "a.fits", values, CROTA2=angle))
        assert image.values.dtype == np.float32 and image.values.shape == values.shape
        assert 0.05 < np.isnan(image.values).mean() < 0.4
        assert np.nanmax(image.values) == pytest.approx(1000, rel=0.02)
    assert np.isnan(read_image(write(tmp_path / "a.fits", values)).values[-20:]).all()


def test_maps_in_heliographic_projection_are_flipped_but_never_turned(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    cards = {"CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "degree", "CUNIT2": "degree", "CDELT1": 0.03}
    image = read_image(write(tmp_path / "cea.fits", values, **cards))
    assert np.array_equal(image.values, values[::-1])
    assert image.frame is None and image.header["HARPNUM"] == 3784
    assert image.grid is None, "CDELT2 is another than CDELT1"
    with pytest.raises(UnreadableImage, match="a rotated map"):
        read_image(write(tmp_path / "cea.fits", values, **cards, CROTA2=12.0))


def test_hmi_times_are_tai_and_aia_times_utc() -> None:
    hmi, aia = read_image(sunpy_sample("resampled_hmi.fits")), read_image(sunpy_sample("aia_171_level1.fits"))
    assert hmi.observed == datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)  # 00:01:25 TAI, 35 s ahead
    assert aia.observed == datetime(2011, 2, 15, 0, 0, 1, 340000, tzinfo=UTC)


def test_a_time_that_does_not_state_its_scale_is_its_instruments(tmp_path: Path) -> None:
    values = np.ones((9, 9), np.float32)
    told = {"T_OBS": "2014-03-01T00:01:25", "T_REC": ""}
    hmi = read_image(write(tmp_path / "a.fits", values, **told)).observed
    assert hmi == datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)
    aia = read_image(write(tmp_path / "a.fits", values, **told, INSTRUME="AIA_3")).observed
    assert aia == datetime(2014, 3, 1, 0, 1, 25, tzinfo=UTC)
    stated = read_image(write(tmp_path / "a.fits", values, **told, INSTRUME="AIA_3", TIMESYS="TAI")).observed
    assert stated == datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)


def test_a_leap_second_and_a_missing_time_are_survived(tmp_path: Path) -> None:
    values = np.ones((9, 9), np.float32)
    leap = read_image(
        write(tmp_path / "a.fits", values, T_OBS="MISSING", T_REC="2012.07.01_00:00:34_TAI", DATE_OBS_=None)
    )
    assert leap.observed is not None and abs(leap.observed - datetime(2012, 7, 1, tzinfo=UTC)).total_seconds() <= 1
    image = read_image(
        write(tmp_path / "a.fits", values, T_OBS="MISSING", T_REC="", DATE_OBS_="2014-03-01T00:00:27.90")
    )
    assert image.observed == datetime(2014, 3, 1, 0, 0, 27, 900000, tzinfo=UTC)


@pytest.mark.parametrize("name", ["resampled_hmi.fits", "aia_171_level1.fits"])
def test_values_unit_and_frame_of_real_files_are_those_of_astropy_and_sunpy(name: str) -> None:
    import astropy.units as u
    import sunpy.map
    from astropy.coordinates import SkyCoord

    path = sunpy_sample(name)
    image, map_ = read_image(path), sunpy.map.Map(path)
    raw = np.asarray(map_.data, np.float32)
    # Raw HMI is upside down: turned by 180 degrees and then flipped to row 0 = north leaves a mirror.
    upright = raw[:, ::-1] if name == "resampled_hmi.fits" else raw[::-1]
    assert np.array_equal(image.values, upright, equal_nan=True)
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image.format == "FITS" and not image.simulated
    assert image.frame is not None
    assert image.frame.radius_arcsec == map_.meta["rsun_obs"]
    assert image.frame.arcsec_per_px == pytest.approx(map_.meta["cdelt1"])
    x, y = (
        float(v.value) for v in map_.world_to_pixel(SkyCoord(0 * u.arcsec, 0 * u.arcsec, frame=map_.coordinate_frame))
    )
    height, width = raw.shape
    here = (width - 1 - x, y) if name == "resampled_hmi.fits" else (x, height - 1 - y)
    assert image.frame.center_px == pytest.approx(here, abs=0.01)
    assert image.unit == ("DN/s" if name == "resampled_hmi.fits" else "")


def test_without_a_radius_in_the_header_the_date_gives_it(tmp_path: Path) -> None:
    values = np.ones((9, 9), np.float32)
    cards = dict.fromkeys(("RSUN_OBS", "DSUN_OBS", "CRLT_OBS"))
    frame = read_image(write(tmp_path / "a.fits", values, **cards)).frame
    assert frame is not None
    assert frame.radius_arcsec == pytest.approx(968.66, abs=1) and frame.b0_deg == pytest.approx(-7.2267, abs=0.02)


def test_the_sharp_samples_are_read_as_astropy_reads_them(shared_data: Path) -> None:
    for path in sorted((shared_data / "fits_samples").glob("*.fits")):
        image = read_image(path)
        with fits.open(path) as file:
            raw = next(h.data for h in file if h.data is not None)
        if "sharp" in path.name:
            assert np.array_equal(image.values, np.asarray(raw, np.float32)[::-1])
            assert image.observed == datetime(2011, 2, 15, 1, 59, 20, tzinfo=UTC)  # 01:59:54 TAI, 34 s ahead
            assert image.header["HARPNUM"] == 377 and image.header["NOAA_AR"] == 11158
        assert np.nanmax(image.values) == np.float32(np.nanmax(raw))


def test_the_simulator_is_recognised(tmp_path: Path) -> None:
    values = np.ones((9, 9), np.float32)
    assert not read_image(write(tmp_path / "a.fits", values)).simulated
    assert read_image(write(tmp_path / "a.fits", values, SIMULATE=True)).simulated
    assert read_image(write(tmp_path / "a.fits", values, HISTORY="SIMULATED by hand")).simulated


def test_the_headers_time_outranks_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", np.ones((9, 9), np.float32))
    image = read_image(path, observed=datetime(2000, 1, 1, tzinfo=UTC))
    assert image.frame is not None and image.frame.arcsec_per_px == pytest.approx(12)
    assert image.observed == datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)


# --- the image root ---------------------------------------------------------------------------------------------------


def test_only_files_inside_the_root_are_opened(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    secret = picture(tmp_path / "secret.png", np.zeros((4, 4), np.uint8))
    kept = picture(root / "sub" / "kept.png", np.zeros((4, 4), np.uint8))
    (root / "leaving.png").symlink_to(secret)
    (root / "staying.png").symlink_to(kept)
    assert inside(root, "sub/kept.png") == inside(root, "sub/../staying.png") == kept.resolve()
    assert isinstance(read_image("staying.png", root=root), SolarImage)
    for name in ("../secret.png", str(secret), "leaving.png", "sub/../../secret.png"):
        with pytest.raises(UnreadableImage, match="lies outside the image root"):
            inside(root, name)
        with pytest.raises(UnreadableImage, match="lies outside the image root"):
            read_image(name, root=root)
    for name, why in (("gone.png", "no such image"), ("sub", "not a file"), ("a\0b", "file name"), ("x" * 999, "file")):
        with pytest.raises(UnreadableImage, match=why):
            inside(root, name)
    with pytest.raises(UnreadableImage, match="no such image"):
        read_image(tmp_path / "gone.fits")


# --- what is missing, off the disc, and zero --------------------------------------------------------------------------


def test_missing_off_disc_and_zero_are_three_things(tmp_path: Path) -> None:
    values = np.zeros((190, 201), np.float32)
    values[:, :20], values[90, 100] = np.nan, np.nan
    image = read_image(write(tmp_path / "a.fits", values))
    assert image.frame is not None and image.off_disc is not None
    off, missing = image.off_disc, np.isnan(image.values)
    assert missing.sum() == 190 * 20 + 1 and (image.values[~missing] == 0).all()
    assert (off & ~missing).any() and (~off & missing).any()
    x, y = np.meshgrid(np.arange(201), np.arange(190))
    assert np.array_equal(off, np.isnan(unproject(x, y, image.frame)[0]))
    assert read_image(write(tmp_path / "a.fits", values, CTYPE1=None)).off_disc is None


@pytest.mark.parametrize(
    "center", [(20.0, 30.0), (-40.2, 30.5), (60.0, 95.5), (-50.0, -50.0), (39.5, 200.0), (90.4, 10.0)]
)
@pytest.mark.parametrize("radius_arcsec", [30.0, 55.0, 960.0])
def test_an_image_misses_the_disc_if_every_pixel_lies_off_it(center: tuple[float, float], radius_arcsec: float) -> None:
    image = SolarImage(np.zeros((60, 40), np.float32), "G", DiscFrame(center, 1.0, radius_arcsec, 0.0))
    assert image.off_disc is not None and image.misses_disc == image.off_disc.all()
    assert not SolarImage(np.zeros((60, 40), np.float32), "G").misses_disc


# --- maps -------------------------------------------------------------------------------------------------------------


def test_a_map_of_the_projection_of_sharp_tells_its_grid_and_any_other_does_not(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    cards = {
        "CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "degree", "CUNIT2": "degree", "CDELT1": 0.03,
        "CDELT2": 0.03, "CRPIX1": 2.5, "CRPIX2": 1.0, "CRVAL1": 4.0, "CRVAL2": -21.0, "CRLN_OBS": 350.0,
    }  # fmt: skip
    grid = read_image(write(tmp_path / "a.fits", values, **cards)).grid
    assert grid == MapGrid((1.5, 2.0), -21.0, pytest.approx(14.0), 0.03)  # CRPIX2 = 1 is the southernmost row
    stonyhurst = cards | {"CTYPE1": "HGLN-CEA", "CTYPE2": "HGLT-CEA", "CRVAL1": -30.0}
    grid = read_image(write(tmp_path / "a.fits", values, **stonyhurst)).grid
    assert grid is not None and grid.longitude_deg == -30.0
    for other in (
        {"CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR"}, {"CRLN_OBS": None}, {"PV2_1": 0.5}, {"CRVAL2": 100.0},
    ):  # fmt: skip
        assert read_image(write(tmp_path / "a.fits", values, **(cards | other))).grid is None, other
    with pytest.raises(UnreadableImage, match="CUNIT2 is 'Sine Latitude', which is not a unit of angle"):
        read_image(write(tmp_path / "a.fits", values, **(cards | {"CUNIT2": "Sine Latitude"})))


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({"CDELT1": -0.03}, "a mirrored map: CTYPE1 = CRLN-CEA, CDELT1 = -0.03"), ({"CDELT2": -0.03}, "a mirrored map"),
        ({"PC1_1": -1.0}, "a mirrored map"), ({"PC1_2": -1.0, "PC2_1": 1.0}, "a rotated map"),
        ({"CROTA2": 5.0}, "a rotated map"),
        ({"CTYPE2": "HPLT-TAN"}, "contradicts itself"), ({"CTYPE1": "HPLN-TAN"}, "contradicts itself"),
        ({"CDELT1": 90.0}, "a map of 360 degrees of longitude"),
        ({"CDELT1": 5000.0, "CUNIT1": "arcmin"}, "a map of 333 degrees"),
        ({"CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR", "CDELT1": 90.0}, "a map of 360 degrees"),
        ({"CTYPE1": "HGLN-CAR", "CTYPE2": "HGLT-CAR", "CDELT2": -1.0}, "a mirrored map"),
    ],
)  # fmt: skip
def test_a_map_that_is_turned_mirrored_or_of_a_whole_rotation_is_refused(
    tmp_path: Path, cards: dict[str, Any], said: str
) -> None:
    whole = {
        "CTYPE1": "CRLN-CEA",
        "CTYPE2": "CRLT-CEA",
        "CUNIT1": "degree",
        "CUNIT2": "degree",
        "CDELT1": 0.03,
        "CDELT2": 0.03,
    }
    with pytest.raises(UnreadableImage, match=said):
        read_image(write(tmp_path / "a.fits", np.eye(4, dtype=np.float32), **(whole | cards)))


@pytest.mark.parametrize("key", ["CROTA1", "CROTA"])
def test_a_turn_under_another_name_is_refused_where_nothing_else_tells_it(tmp_path: Path, key: str) -> None:
    values = np.eye(9, dtype=np.float32)
    with pytest.raises(UnreadableImage, match=f"{key} is 180.0, but CROTA2 says"):
        read_image(write(tmp_path / "a.fits", values, CROTA2=None, **{key: 180.0}))
    for beside in ({"CROTA2": 180.0}, {"CROTA2": None, "PC1_1": -1.0, "PC2_2": -1.0}):
        assert read_image(write(tmp_path / "a.fits", values, **{key: 180.0}, **beside)).values.shape == (9, 9)


@pytest.mark.parametrize("degrees", [180.0, 179.9, -90.0])
def test_a_matrix_and_an_angle_of_different_turns_contradict_each_other(tmp_path: Path, degrees: float) -> None:
    angle = np.radians(degrees)
    same = {"PC1_1": np.cos(angle), "PC1_2": -np.sin(angle), "PC2_1": np.sin(angle), "PC2_2": np.cos(angle)}
    values = np.eye(9, dtype=np.float32)
    assert read_image(write(tmp_path / "a.fits", values, CROTA2=degrees, **same)).values.shape == (9, 9)
    with pytest.raises(UnreadableImage, match=f"CROTA2 is {degrees}, but the PC matrix is of another turn"):
        read_image(write(tmp_path / "a.fits", values, CROTA2=degrees, PC1_1=1.0, PC2_2=1.0))


@pytest.mark.parametrize(
    "times",
    [
        {"T_OBS": "2011.03.01_00:01:25_TAI"}, {"T_REC": "2014.03.02_00:01:30_TAI"}, {"DATE_OBS_": "2014-03-04T00:00:27"},
        {"T_OBS": None, "DATE_OBS_": "2014-09-01T00:00:27"},
    ],
)  # fmt: skip
def test_times_of_a_header_that_are_far_apart_contradict_each_other(tmp_path: Path, times: dict[str, Any]) -> None:
    with pytest.raises(UnreadableImage, match=r"its header contradicts itself: .*T_REC is '2014"):
        read_image(write(tmp_path / "a.fits", np.eye(9, dtype=np.float32), **times))


def test_a_file_of_several_images_is_refused_and_a_table_beside_one_is_not(tmp_path: Path) -> None:
    header = fits.Header(HMI_CARDS)
    segments = [
        fits.ImageHDU(np.eye(9, dtype=np.float32) * sign, header, name=name) for sign, name in ((1, "Br"), (-1, "los"))
    ]
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))])
    fits.HDUList([fits.PrimaryHDU(), segments[0], table]).writeto(tmp_path / "one.fits")
    assert read_image(tmp_path / "one.fits").values.max() == 1
    fits.HDUList([fits.PrimaryHDU(), *segments]).writeto(tmp_path / "two.fits")
    with pytest.raises(UnreadableImage, match=r"contains several 2-D images \(BR and LOS\)"):
        read_image(tmp_path / "two.fits")
    fits.HDUList([fits.PrimaryHDU(np.eye(9, dtype=np.float32), header), segments[1]]).writeto(tmp_path / "first.fits")
    with pytest.raises(UnreadableImage, match="several 2-D images"):
        read_image(tmp_path / "first.fits")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_wcs_in_a_first_header_without_pixels_is_that_of_the_image(tmp_path: Path, compressed: bool) -> None:
    kind = fits.CompImageHDU if compressed else fits.ImageHDU
    first = fits.PrimaryHDU(header=fits.Header(HMI_CARDS))
    fits.HDUList([first, kind(np.eye(20, dtype=np.float32))]).writeto(tmp_path / "a.fits")
    image = read_image(tmp_path / "a.fits")
    assert image.oriented and image.frame is not None and image.frame.arcsec_per_px == 12.0


# --- the real samples -------------------------------------------------------------------------------------------------

SAMPLES = {
    "aia_171_level1.fits": ("", "FITS", datetime(2011, 2, 15, 0, 0, 1, 340000, tzinfo=UTC)),
    "resampled_hmi.fits": ("DN/s", "FITS", datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)),
    "2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2": (
        "grey", "JPEG2000", datetime(2013, 6, 24, 17, 31, 31, 840000, tzinfo=UTC)),
    "2023_01_31__03_39_23_200__SDO_HMI_HMI_continuum.jp2": (
        "grey", "JPEG2000", datetime(2023, 1, 31, 3, 39, 45, 661000, tzinfo=UTC)),
} | {
    f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{segment}.fits": (
        unit, "FITS", datetime(2011, 2, 15, 1, 59, 20, tzinfo=UTC))
    for segment, unit in {"magnetogram": "G", "Br": "G", "continuum": "DN/s", "bitmap": ""}.items()
}  # fmt: skip


def test_no_sample_is_left_out(shared_data: Path) -> None:
    files = {path.name for path in (shared_data / "fits_samples").iterdir()} - {"SOURCE.txt"}
    assert files == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_unit_format_time_and_file_of_every_sample(shared_data: Path, name: str) -> None:
    path = shared_data / "fits_samples" / name
    image = read_image(path)
    assert (image.unit, image.format, image.observed) == SAMPLES[name]
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not image.simulated


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith("fits")])
def test_values_and_orientation_of_every_sample_are_those_of_astropy_and_sunpy(shared_data: Path, name: str) -> None:
    import astropy.units as u
    import sunpy.map
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates.frames import HeliographicStonyhurst

    path = shared_data / "fits_samples" / name
    image = read_image(path)
    with fits.open(path) as file:
        hdu = next(h for h in file if h.data is not None)
        file.verify("silentfix")
        raw, header = np.asarray(hdu.data), hdu.header
        map_ = sunpy.map.Map(raw, header)
    turned = abs(map_.meta["crota2"]) > 90
    expected = raw.astype(np.float32)[:, ::-1] if turned else raw.astype(np.float32)[::-1]
    assert np.array_equal(image.values, expected, equal_nan=True)
    # Where sunpy's WCS puts five places, pixels of the image say the same.
    where = image.frame or image.grid
    assert where is not None
    height, width = raw.shape
    middle = (image.grid.longitude_deg, image.grid.latitude_deg) if image.grid else (0.0, 0.0)
    reach = 5.0 if image.grid else 40.0
    for dx, dy in ((0, 0), (reach, 0), (-reach, 0), (0, reach / 2), (0, -reach / 2)):
        lon, lat = middle[0] + dx, middle[1] + dy
        place = SkyCoord(lon * u.deg, lat * u.deg, frame=HeliographicStonyhurst(obstime=map_.reference_date))
        if image.grid:  # Carrington longitudes count from the header's own central meridian
            x, y = map_.wcs.wcs_world2pix([[lon + header["CRLN_OBS"], lat]], 0)[0]
            here = image.grid.pixel(lat, lon)
        else:
            assert image.frame is not None
            x, y = (float(v.value) for v in map_.world_to_pixel(place))
            here = project(lat, lon, image.frame)[:2]
        upright = (width - 1 - x, y) if turned else (x, height - 1 - y)
        assert here == pytest.approx(upright, abs=0.1)


def test_the_provenance_of_a_sharp_is_whole(shared_data: Path) -> None:
    image = read_image(next((shared_data / "fits_samples").glob("*377*.Br.fits")))
    header = dict(image.header)
    assert header["HARPNUM"] == 377 and header["NOAA_AR"] == 11158 and header["NOAA_ARS"] == "11158"
    assert header["TELESCOP"] == "SDO/HMI" and header["QUALITY"] == 0 and header["BUNIT"] == "Mx/cm^2"
    for key in "INSTRUME WAVELNTH CDELT1 CROTA2 RSUN_OBS DSUN_OBS CRLN_OBS CRLT_OBS T_OBS T_REC DATE-OBS".split():
        assert key in header
    assert image.grid == MapGrid((371.5, 188.0), -21.0769, pytest.approx(34.879105 - 21.725103), 0.03)


# --- speed ------------------------------------------------------------------------------------------------------------


def test_a_jpeg_costs_little_more_than_its_decoding_and_loads_no_astropy(shared_data: Path) -> None:
    code = """
import io, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import numpy as np
from PIL import Image
from sdovis.channels.view import View
from sdovis.images.images import read_image
view = View((), center_px=(255.5, 255.5), arcsec_per_px=4.8)
path, least = Path(sys.argv[1]), [9.0, 9.0]
data = path.read_bytes()
for minute in range(120):
    start = time.perf_counter()
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        np.asarray(image)
    middle = time.perf_counter()
    when = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    view.placed(read_image(path, root=path.parent, observed=when), of_study=True)
    least = [min(least[0], middle - start), min(least[1], time.perf_counter() - middle)]
assert not {"astropy", "sunpy", "pandas"} & set(sys.modules), "heavy imports"
print(least[1] / least[0])
"""
    path = sorted((shared_data / "aia211").glob("*.jpg"))[50]
    for _ in range(3):  # the machine is shared: once is enough
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        if float(done.stdout) < 1.3:
            return
    raise AssertionError(f"reading takes {float(done.stdout):.2f} times the decoding")
