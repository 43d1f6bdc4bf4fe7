"""FITS in every packing, and broken in every way."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from sdovis.images.images import read_image
from solar_files import HMI_CARDS, dipole, header_only, refused, stored_fits, write


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
    from sdovis.images import fits as sun_fits

    monkeypatch.setattr(sun_fits, "MAX_BYTES", 2**20)
    bomb = gzip.compress(b"SIMPLE  =" + b"\0" * 2**24)
    assert len(bomb) < 2**16
    assert "larger than 1 MiB when decompressed" in refused(tmp_path / "bomb.fits.gz", bomb)
    assert "does not contain FITS" in refused(tmp_path / "text.fits.gz", gzip.compress(b"\xff\xd8\xff"))


def test_cubes_tables_and_empty_or_senseless_images_are_refused(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 5, 5), np.float32)).writeto(tmp_path / "cube.fits")
    assert refused(tmp_path / "cube.fits", (tmp_path / "cube.fits").read_bytes()) == (
        "contains no 2-D image, only a 3-D image"
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
        ({"RSUN_OBS": 3.0}, "is not as seen from the Earth"),
    ],
)
def test_a_broken_coordinate_system_is_named(tmp_path: Path, cards: dict[str, Any], why: str) -> None:
    data = write(tmp_path / "a.fits", np.ones((5, 5), np.float32), **cards).read_bytes()
    assert why in refused(tmp_path / "a.fits", data)


def test_every_way_of_storing_numbers_gives_what_astropy_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    floats = rng.normal(0, 100, (70, 50)).astype(np.float32)
    floats[3, 4], floats[5, 6] = np.nan, 0
    ints = rng.integers(0, 60000, (70, 50))
    made = [
        fits.PrimaryHDU(floats),
        fits.PrimaryHDU(floats.astype(np.float64)),
        fits.PrimaryHDU(ints.astype(np.uint16)),
        fits.PrimaryHDU((ints % 256).astype(np.uint8)),
        fits.PrimaryHDU(ints.astype(np.int64)),
        *(fits.CompImageHDU(ints.astype(np.int32), compression_type=c) for c in ("RICE_1", "GZIP_1", "GZIP_2")),
        fits.CompImageHDU((ints % 1000).astype(np.int32), compression_type="HCOMPRESS_1", tile_shape=(70, 50)),
        fits.CompImageHDU(floats, compression_type="GZIP_2", quantize_level=0),
        fits.CompImageHDU(np.nan_to_num(floats), compression_type="RICE_1", quantize_level=16),
    ]
    for scale, zero in ((0.1, 0.0), (1.0, 32768.0), (-2.0, 1e6)):
        blank = fits.CompImageHDU(ints.astype(np.int32) % 1000, compression_type="RICE_1")
        blank.header["BSCALE"], blank.header["BZERO"], blank.header["BLANK"] = scale, zero, 17
        made.append(blank)
    for hdu in made:
        path = tmp_path / "a.fits"
        parts = [hdu] if isinstance(hdu, fits.PrimaryHDU) else [fits.PrimaryHDU(), hdu]
        fits.HDUList(parts).writeto(path, overwrite=True)
        with fits.open(path) as file:
            expected = next(h.data for h in file if h.data is not None).astype(np.float32)
        read = read_image(path).values
        assert read.dtype == np.float32 and np.array_equal(read, expected[::-1], equal_nan=True), hdu.header


def test_blank_becomes_nan_and_zero_stays_zero(tmp_path: Path) -> None:
    stored = np.array([[0, -32768, 5], [7, 0, -32768]], np.int16)
    (tmp_path / "a.fits").write_bytes(stored_fits(stored, BLANK=-32768, BSCALE=2.0))
    expected = np.array([[14, 0, np.nan], [0, np.nan, 10]], np.float32)
    assert np.array_equal(read_image(tmp_path / "a.fits").values, expected, equal_nan=True)


def test_a_wrong_bitpix_is_named(tmp_path: Path) -> None:
    cards = ("SIMPLE  =                    T", "BITPIX  =                   17", "NAXIS   =                    2",
             "NAXIS1  =                   10", "NAXIS2  =                   10")  # fmt: skip
    assert "BITPIX is 17" in refused(tmp_path / "a.fits", header_only(*cards) + b"\0" * 2880)
