"""Files of every kind, whole and broken; orientation against sunpy's own world coordinates."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from sdovis.errors import UnreadableImage
from sdovis.sun.geometry import DiscFrame, unproject
from sdovis.sun.images import SolarImage, inside, read_image


def sunpy_sample(name: str) -> Path:
    from sunpy.data.test import get_test_filepath

    return Path(get_test_filepath(name))


HMI_CARDS: dict[str, Any] = {
    "TELESCOP": "SDO/HMI", "INSTRUME": "HMI_SIDE1", "CONTENT": "MAGNETOGRAM", "BUNIT": "Gauss", "WAVELNTH": 6173.0,
    "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CDELT1": 12.0, "CDELT2": 12.0,
    "CRPIX1": 101.0, "CRPIX2": 96.5, "CRVAL1": 0.0, "CRVAL2": 0.0, "CROTA2": 0.0, "RSUN_OBS": 968.66,
    "RSUN_REF": 6.96e8, "DSUN_OBS": 1.482055e11, "CRLT_OBS": -7.2267, "CRLN_OBS": 132.56, "HGLN_OBS": 0.0,
    "T_REC": "2014.03.01_00:01:30_TAI", "T_OBS": "2014.03.01_00:01:25_TAI", "DATE-OBS": "2014-03-01T00:00:27.90",
    "HARPNUM": 3784, "NOAA_AR": 11990, "QUALITY": 0,
}  # fmt: skip


def write(path: Path, values: np.ndarray, compress: bool = False, **cards: Any) -> Path:
    header = fits.Header()
    for key, value in (HMI_CARDS | {k.replace("_OBS_", "-OBS"): v for k, v in cards.items()}).items():
        if value is not None:
            header[key] = value
    hdu = fits.CompImageHDU(values, header) if compress else fits.PrimaryHDU(values, header)
    hdu.writeto(path, overwrite=True, output_verify="ignore")
    return path


def stored_fits(stored: np.ndarray, **cards: Any) -> bytes:
    """A FITS file of 16-bit integers with the cards as given: astropy would mend them."""
    height, width = stored.shape
    first = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": width, "NAXIS2": height}
    data = stored.astype(">i2").tobytes()
    return fits.Header(first | HMI_CARDS | cards).tostring().encode() + data + b"\0" * (-len(data) % 2880)


def dipole(shape: tuple[int, int], plus: tuple[float, float], minus: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    blobs = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) for a, b in (plus, minus)]
    return (1000 * (blobs[0] - blobs[1])).astype(np.float32)


def pole(values: np.ndarray) -> tuple[float, float]:
    weight = np.where(np.nan_to_num(values) > 50, values, 0)
    y, x = np.mgrid[: values.shape[0], : values.shape[1]]
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


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
    with pytest.raises(UnreadableImage, match="a rotated map"):
        read_image(write(tmp_path / "cea.fits", values, **cards, CROTA2=12.0))


def test_hmi_times_are_tai_and_aia_times_utc() -> None:
    hmi, aia = read_image(sunpy_sample("resampled_hmi.fits")), read_image(sunpy_sample("aia_171_level1.fits"))
    assert hmi.observed == datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)  # 00:01:25 TAI, 35 s ahead
    assert aia.observed == datetime(2011, 2, 15, 0, 0, 1, 340000, tzinfo=UTC)


def test_a_leap_second_and_a_missing_time_are_survived(tmp_path: Path) -> None:
    values = np.ones((9, 9), np.float32)
    leap = read_image(write(tmp_path / "a.fits", values, T_OBS="MISSING", T_REC="2012.07.01_00:00:34_TAI"))
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


def test_scaled_compressed_gzipped_and_several_hdus_give_the_same_values(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-3000, 3000, (64, 48)).astype(np.int16)
    stored[5, 5] = -32768
    plain = tmp_path / "plain.fits"
    plain.write_bytes(stored_fits(stored, BLANK=-32768, BSCALE=0.1, BZERO=5.0))
    expected = (stored * 0.1 + 5).astype(np.float32)[::-1]
    image = read_image(plain)
    assert np.isnan(image.values[-6, 5]) and np.isnan(image.values).sum() == 1
    known = np.isfinite(image.values)
    assert np.allclose(image.values[known], expected[known], rtol=1e-6)

    packed = tmp_path / "plain.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(read_image(packed).values, image.values, equal_nan=True)
    renamed = tmp_path / "really_gz.fits"
    renamed.write_bytes(packed.read_bytes())
    assert np.array_equal(read_image(renamed).values, image.values, equal_nan=True)

    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])])
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(image.values[::-1], fits.Header(HMI_CARDS))]).writeto(
        tmp_path / "several.fits"
    )
    assert np.array_equal(read_image(tmp_path / "several.fits").values, image.values, equal_nan=True)
    rice = write(tmp_path / "rice.fits", stored.astype(np.int32), compress=True)
    assert np.array_equal(read_image(rice).values, stored[::-1].astype(np.float32))


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


# --- broken FITS ------------------------------------------------------------------------------------------------------


def header_only(*cards: str) -> bytes:
    text = "".join(f"{card:<80}" for card in (*cards, "END")).encode()
    return text + b" " * (-len(text) % 2880)


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return caught.value.why


def test_a_truncated_fits_says_so_at_every_length(tmp_path: Path) -> None:
    for compress in (False, True):
        whole = write(tmp_path / "a.fits", dipole((190, 201), (130, 75), (80, 120)), compress=compress).read_bytes()
        for share in (0.001, 0.02, 0.3, 0.5, 0.9):
            why = refused(tmp_path / "cut.fits", whole[: int(len(whole) * share)])
            assert "truncated" in why or (share == 0.001 and "not a FITS" in why), (compress, share, why)
        packed = gzip.compress(whole)
        assert "truncated" in refused(tmp_path / "cut.fits.gz", packed[: len(packed) // 2])


@pytest.mark.parametrize(
    ("cards", "why"),
    [
        (("BITPIX  =                  -32", "NAXIS   =                    2", "NAXIS1  =                99999",
          "NAXIS2  =                99999"), "99999 x 99999 pixels|truncated"),
        (("BITPIX  =                  -32", "NAXIS   =                    0"), "no 2-D image"),
        (("BITPIX  =                   17", "NAXIS   =                    2", "NAXIS1  =                   10",
          "NAXIS2  =                   10"), "damaged FITS|truncated"),
        (("BITPIX  =                  -32", "NAXIS   =                    2", "NAXIS1  =                   -5",
          "NAXIS2  =                   10"), "damaged FITS|pixels"),
    ],
)  # fmt: skip
def test_hostile_headers_are_refused_before_anything_is_decoded(
    tmp_path: Path, cards: tuple[str, ...], why: str
) -> None:
    import re

    data = header_only("SIMPLE  =                    T", *cards) + b"\0" * 2880
    assert re.search(why, refused(tmp_path / "bad.fits", data))


@pytest.mark.parametrize("keys", [("ZNAXIS1", "ZTILE1"), ("ZTILE1",)])
def test_a_tile_compressed_giant_is_refused_unopened(tmp_path: Path, keys: tuple[str, ...]) -> None:
    path = write(tmp_path / "rice.fits", np.zeros((64, 48), np.int32), compress=True)
    with fits.open(path, disable_image_compression=True) as file:
        for key in keys:
            file[1].header[key] = 2_000_000
        file.writeto(tmp_path / "bomb.fits", output_verify="ignore")
    assert "2000000 x " in refused(tmp_path / "bomb.fits", (tmp_path / "bomb.fits").read_bytes())


def test_a_gzip_bomb_is_refused_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdovis.sun import images

    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    bomb = gzip.compress(b"SIMPLE  =" + b"\0" * 2**24)
    assert len(bomb) < 2**16
    assert "larger than 1 MiB when decompressed" in refused(tmp_path / "bomb.fits.gz", bomb)
    assert "no FITS" in refused(tmp_path / "text.fits.gz", gzip.compress(b"\xff\xd8\xff"))


def test_cubes_tables_and_empty_or_senseless_images_are_refused(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 5, 5), np.float32)).writeto(tmp_path / "cube.fits")
    assert refused(tmp_path / "cube.fits", (tmp_path / "cube.fits").read_bytes()) == (
        "holds no 2-D image, only a 3-D image"
    )
    gone = write(tmp_path / "nan.fits", np.full((5, 5), np.nan, np.float32)).read_bytes()
    assert refused(tmp_path / "nan.fits", gone) == "every pixel is missing"
    flat = stored_fits(np.ones((5, 5), np.int16), BSCALE=0.0)
    assert "BSCALE is 0" in refused(tmp_path / "flat.fits", flat)
    assert refused(tmp_path / "none.fits", b"") == "the file is empty"


@pytest.mark.parametrize(
    ("cards", "why"),
    [
        ({"CTYPE1": "RA---TAN"}, "not an image of the Sun"),
        ({"CDELT1": 0.0}, "coordinate system is broken"),
        ({"CDELT1": "twelve"}, "coordinate system is broken"),
        ({"CRPIX1": "one"}, "coordinate system is broken"),
        ({"CDELT2": 1e300}, "coordinate system is broken"),
        ({"CDELT2": 1200.0}, "coordinate system is broken"),
        ({"CDELT1": 1e9, "CDELT2": 1e9}, "coordinate system is broken"),
        ({"RSUN_OBS": 3.0}, "cannot be seen from the Earth"),
    ],
)
def test_a_broken_coordinate_system_is_named(tmp_path: Path, cards: dict[str, Any], why: str) -> None:
    data = write(tmp_path / "a.fits", np.ones((5, 5), np.float32), **cards).read_bytes()
    assert why in refused(tmp_path / "a.fits", data)


# --- pictures ---------------------------------------------------------------------------------------------------------


def picture(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_jpeg_and_png_are_read_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey, colour = (rng.integers(0, 256, s, dtype=np.uint8) for s in ((20, 30), (20, 30, 3)))
    image = read_image(picture(tmp_path / "g.png", grey))
    assert np.array_equal(image.values, grey) and (image.unit, image.format, image.is_picture) == ("grey", "PNG", True)
    image = read_image(picture(tmp_path / "c.png", colour))
    assert np.array_equal(image.values, colour) and image.unit == "rgb"
    jpeg = picture(tmp_path / "c.jpg", colour)
    assert np.array_equal(read_image(jpeg).values, np.asarray(Image.open(jpeg)))
    wrong_name = tmp_path / "c.fits"
    wrong_name.write_bytes(jpeg.read_bytes())
    assert read_image(wrong_name).format == "JPEG"


def test_sixteen_bits_are_kept_as_numbers(tmp_path: Path) -> None:
    counts = np.array([[0, 255, 256], [1000, 40000, 65535]], np.uint16)
    image = read_image(picture(tmp_path / "deep.png", counts))
    assert image.unit == "count" and np.array_equal(image.values, counts.astype(np.float32))


def test_opaque_alpha_and_palettes_become_plain_and_transparency_is_refused(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    opaque = np.dstack([colour, np.full((8, 9), 255, np.uint8)])
    assert np.array_equal(read_image(picture(tmp_path / "a.png", opaque)).values, colour)
    palette = Image.fromarray(colour).quantize(16)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png").values, np.asarray(palette.convert("RGB")))
    opaque[0, 0, 3] = 7
    assert "transparent" in refused(tmp_path / "t.png", picture(tmp_path / "t.png", opaque).read_bytes())


def png_of_16_bit_colour() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0" + b"\x12\x34" * 6 + b"\0" + b"\x12\x34" * 6)
    head = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_pictures_that_would_lose_something_are_refused(tmp_path: Path) -> None:
    assert "16-bit colour" in refused(tmp_path / "a.png", png_of_16_bit_colour())
    cmyk = io.BytesIO()
    Image.new("CMYK", (5, 5)).save(cmyk, "JPEG")
    assert "mode CMYK" in refused(tmp_path / "a.jpg", cmyk.getvalue())
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    Image.new("L", (5, 5)).save(turned, "JPEG", exif=exif)
    assert "rotation" in refused(tmp_path / "a.jpg", turned.getvalue())
    moving = io.BytesIO()
    frames = [Image.new("L", (5, 5), shade) for shade in (0, 90)]
    frames[0].save(moving, "PNG", save_all=True, append_images=frames[1:])
    assert "animation" in refused(tmp_path / "a.png", moving.getvalue())


def test_half_a_picture_is_refused(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    for suffix in ("jpg", "png"):
        data = picture(tmp_path / f"a.{suffix}", array).read_bytes()
        assert "damaged" in refused(tmp_path / f"a.{suffix}", data[: len(data) // 2])


def test_a_picture_of_too_many_pixels_is_refused_undecoded(tmp_path: Path) -> None:
    data = bytearray(picture(tmp_path / "a.png", np.zeros((4, 4), np.uint8)).read_bytes())
    data[16:24] = struct.pack(">II", 9000, 9000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    assert "9000 x 9000 pixels" in refused(tmp_path / "a.png", bytes(data))


def test_other_formats_are_named_and_refused_whatever_their_name(tmp_path: Path) -> None:
    assert "PostScript" in refused(tmp_path / "a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n")
    tiff = io.BytesIO()
    Image.new("L", (5, 5)).save(tiff, "TIFF")
    assert "TIFF" in refused(tmp_path / "a.png", tiff.getvalue())
    assert "not a FITS" in refused(tmp_path / "a.fits", b"<html>404</html>")


def test_pictures_get_their_frame_from_the_study(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    when = datetime(2013, 1, 1, tzinfo=UTC)
    assert read_image(path, observed=when).frame is None
    image = read_image(path, center_px=(3.5, 3.5), arcsec_per_px=300, observed=when)
    assert image.frame == DiscFrame.at(when, (3.5, 3.5), 300) and image.observed == when


def test_the_header_outranks_the_study(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", np.ones((9, 9), np.float32))
    image = read_image(path, center_px=(0, 0), arcsec_per_px=1, observed=datetime(2000, 1, 1, tzinfo=UTC))
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
