"""JPEG, PNG and TIFF: their own numbers, nothing lost, nothing hostile decoded."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sdovis.images.images import read_image
from solar_files import picture, png_of_16_bit_colour, refused, tiff


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
    gif = io.BytesIO()
    Image.new("L", (5, 5)).save(gif, "GIF")
    assert "it is GIF" in refused(tmp_path / "a.png", gif.getvalue())
    assert "not a FITS" in refused(tmp_path / "a.fits", b"<html>404</html>")


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u4", "i4", "f4"])
def test_tiff_of_every_depth_keeps_its_numbers(tmp_path: Path, kind: str, little: bool) -> None:
    values = np.array([[0, 1, 200], [30000, 40000, 70000], [2**31 - 128, 3_000_000_000, 5]], np.float64)
    info = None if kind == "f4" else np.iinfo(kind)
    values = values.clip(0, info.max if info else None)
    values[0, 1] = -7 if np.dtype(kind).kind != "u" else 7
    array = values.astype(kind)
    (tmp_path / "a.tif").write_bytes(tiff(array, little=little))
    if kind == "u4" and not little:
        assert "a variant that Pillow cannot read" in refused(tmp_path / "a.tif", tiff(array, little=little))
        return
    image = read_image(tmp_path / "a.tif")
    assert image.format == "TIFF" and np.array_equal(image.values, array.astype(np.float32))
    assert (image.unit, image.is_picture) == (("grey", True) if kind == "u1" else ("count", False))
    assert image.values.dtype == (np.uint8 if kind == "u1" else np.float32)


def test_colour_tiff_and_compressed_tiff_are_read(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate"):
        image = read_image(picture(tmp_path / "c.tif", colour, compression=compression))
        assert image.unit == "rgb" and np.array_equal(image.values, colour)


def test_missing_numbers_of_a_float_tiff_stay_missing_and_zero_stays_zero(tmp_path: Path) -> None:
    values = np.array([[0, np.nan], [np.inf, -2.5]], np.float32)
    (tmp_path / "a.tif").write_bytes(tiff(values))
    read = read_image(tmp_path / "a.tif").values
    assert np.array_equal(read, np.array([[0, np.nan], [np.nan, -2.5]], np.float32), equal_nan=True)
    assert refused(tmp_path / "a.tif", tiff(np.full((3, 3), np.nan, np.float32))) == "every pixel is missing"


def test_tiff_that_would_lose_something_is_refused(tmp_path: Path) -> None:
    deep = np.zeros((4, 4, 3), np.uint16)
    assert "16-bit colour" in refused(tmp_path / "a.tif", tiff(deep, photometric=2))
    assert "0 is white" in refused(tmp_path / "a.tif", tiff(np.zeros((4, 4), np.uint16), photometric=0))
    assert "rotation" in refused(tmp_path / "a.tif", tiff(np.zeros((4, 4), np.uint16), tag_274=6))
    pages = io.BytesIO()
    Image.new("L", (5, 5)).save(pages, "TIFF", save_all=True, append_images=[Image.new("L", (5, 5), 9)])
    assert "several pages" in refused(tmp_path / "a.tif", pages.getvalue())
    whole = tiff(np.random.default_rng(0).integers(0, 65535, (64, 64), dtype=np.uint16))
    assert "damaged TIFF" in refused(tmp_path / "a.tif", whole[: len(whole) // 2])
    assert "2000000 x 4 pixels" in refused(tmp_path / "a.tif", tiff(np.zeros((4, 4), np.uint8), tag_256=2_000_000))
