"""Hostile and broken files, each read in a child: its clear error within 10 s and 1 GB, and the next file is read."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import hostile_work as work
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from sdovis.errors import UnreadableImage
from sdovis.images.isolation import READING_BYTES, READING_IMPORTS, READING_SECONDS, Death, imap, read_isolated
from solar_files import HMI_CARDS, header_only, stored_fits, tiff
from test_pictures_jpeg2000 import jp2

SOME = np.random.default_rng(0).integers(0, 3000, (190, 201)).astype(np.int16)


def in_memory(hdus: list[fits.hdu.base.ExtensionHDU]) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer, output_verify="ignore")
    return buffer.getvalue()


def with_cards(data: bytes, **cards: int | str) -> bytes:
    """A file whose compressed image declares other things than it holds."""
    with fits.open(io.BytesIO(data), disable_image_compression=True) as file:
        for key, value in cards.items():
            file[1].header[key] = value
        return in_memory(list(file))


def compressed(values: np.ndarray, **options: object) -> bytes:
    return in_memory([fits.PrimaryHDU(), fits.CompImageHDU(values, fits.Header(HMI_CARDS), **options)])


def zeros(mebibytes: int, wbits: int) -> bytes:
    """So many zero bytes packed by deflate: 31 with gzip's head, 15 with zlib's; without an end or a checksum."""
    head = zlib.compressobj(1, zlib.DEFLATED, wbits).flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return head + (packer.compress(b"\0" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)) * mebibytes


def tile_bomb() -> bytes:
    """A tile whose gzip holds 2 GiB of zeros, declared as a small image."""
    column = fits.Column("COMPRESSED_DATA", "1PB()", array=np.array([np.frombuffer(zeros(2048, 31), np.uint8)], object))
    table = fits.BinTableHDU.from_columns([column])
    cards = {"ZIMAGE": True, "ZCMPTYPE": "GZIP_1", "ZBITPIX": 32, "ZNAXIS": 2, "ZNAXIS1": 64, "ZNAXIS2": 64}
    for key, value in (cards | {"ZTILE1": 64, "ZTILE2": 64}).items():
        table.header[key] = value
    return in_memory([fits.PrimaryHDU(), table])


def gzip_bomb() -> bytes:
    """4 GiB behind the header of an image of 8000 x 8000."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    head = packer.compress(header(-32, 8000, 8000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + zeros(4096, -15)


def tiff_bomb() -> bytes:
    """A small image in tiles of 32768 x 32768."""
    tiles = {"tag_322": 32768, "tag_323": 32768, "tag_324": 500, "tag_325": 60000}
    return tiff(np.zeros((64, 64), np.float32), tag_259=8, **tiles) + zeros(64, 15)


def png_bomb(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    pixels = zeros(side * (4 * side + 1) // 2**20 + 1, 15)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def half_a_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((SOME % 256).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()[: buffer.tell() // 2]


def lying_jp2() -> bytes:
    data = bytearray(jp2(np.zeros((190, 201), np.uint8)))
    at = data.index(b"jp2c") - 4
    data[at : at + 4] = struct.pack(">I", 2**31)
    return bytes(data)


def tiled_jp2() -> bytes:
    """Its codestream says one component of 38 bits in tiles of 1 x 1 pixel."""
    data = bytearray(jp2(np.zeros((190, 201), np.uint8)))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at + 16 : at + 24] = struct.pack(">II", 1, 1)
    data[at + 34] = 37
    return bytes(data)


def fits_of(values: np.ndarray) -> bytes:
    return in_memory([fits.PrimaryHDU(values, fits.Header(HMI_CARDS))])


def header(bitpix: int, *sides: int) -> bytes:
    cards = ["SIMPLE  =                    T", f"BITPIX  = {bitpix:>20}", f"NAXIS   = {len(sides):>20}"]
    return header_only(*cards, *(f"NAXIS{n}  = {side:>20}" for n, side in enumerate(sides, 1))) + b"\0" * 2880


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "truncated": ("a.fits", lambda: stored_fits(SOME)[:40000], "truncated"),
    "truncated tiles": ("a.fits", lambda: compressed(SOME)[:40000], "truncated"),
    "truncated gzip": ("a.fits.gz", lambda: gzip.compress(stored_fits(SOME))[:9000], "truncated or damaged gzip"),
    "all nan": ("a.fits", lambda: fits_of(np.full((9, 9), np.nan, np.float32)), "every pixel is missing"),
    "3-D": ("a.fits", lambda: fits_of(np.zeros((3, 9, 9), np.float32)), "no 2-D image, only a 3-D image"),
    "empty": ("a.fits", lambda: b"", "the file is empty"),
    "empty image": ("a.fits", lambda: header(-32), "contains no 2-D image"),
    "wrong BITPIX": ("a.fits", lambda: header(17, 10, 10), "BITPIX is 17"),
    "BSCALE = 0": ("a.fits", lambda: stored_fits(SOME, BSCALE=0.0), "BSCALE is 0"),
    "huge NAXIS": ("a.fits", lambda: header(-64, 2**31, 2**31), "declares an impossible size"),
    "huge and negative": ("a.fits", lambda: header(-64, -(2**31), 2**31), "declares an impossible size"),
    "999 axes": ("a.fits", lambda: header(8, *[9] * 60), "truncated|damaged FITS|no 2-D"),
    "gzip bomb": ("a.fits.gz", gzip_bomb, "larger than 257 MiB when decompressed"),
    "tiles of gzip bombs": ("a.fits", tile_bomb, "memory|damaged FITS"),
    "giant tiles": ("a.fits", lambda: with_cards(compressed(SOME), ZTILE1=2**31 - 1), "2147483647 x 1 pixels"),
    "giant image": ("a.fits", lambda: with_cards(compressed(SOME), ZNAXIS1=10**9), "1000000000 x 190 pixels"),
    "more tiles than rows": ("a.fits", lambda: with_cards(compressed(SOME), ZNAXIS2=8192, ZTILE2=1), "damaged|memory"),
    "EPS named .jpg": ("a.jpg", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is PostScript"),
    "half a JPEG": ("a.jpg", half_a_jpeg, "damaged JPEG"),
    "JP2 with lying boxes": ("a.jp2", lying_jp2, "truncated JPEG2000"),
    "JP2 of a pixel a tile": ("a.jp2", tiled_jp2, "damaged JPEG2000|memory|crashed"),
    "PNG bomb": ("a.png", lambda: png_bomb(9000), "9000 x 9000 pixels"),
    "PNG at the bound": ("a.png", lambda: png_bomb(8192), "transparent|memory"),
    "TIFF bomb": ("a.tif", tiff_bomb, "damaged TIFF|memory|crashed"),
    "web page": ("a.fits", lambda: b"<html>404</html>", "a web page"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_its_clear_error_within_ten_seconds_and_a_gigabyte(tmp_path: Path, name: str) -> None:
    file, make, why = HOSTILE[name]
    (tmp_path / file).write_bytes(make())
    with pytest.raises(UnreadableImage, match=why) as caught:
        read_isolated(tmp_path / file)
    assert "\n" not in str(caught.value) and file in str(caught.value) and len(caught.value.why) < 300
    limits = {"seconds": READING_SECONDS, "memory_bytes": READING_BYTES, "imports": READING_IMPORTS}
    (weighed,) = imap(work.read_and_weigh, [tmp_path / file], workers=1, **limits)
    if isinstance(weighed, Death):
        seconds, peak = 0.0, weighed.peak_bytes
        assert "longer" not in weighed.why
    else:
        _, seconds, peak = weighed
    print(f"{name}: {seconds:.2f} s, {peak / 2**20:.0f} MiB: {caught.value.why}")
    assert seconds < 10 and 0 < peak < 2**30


def test_a_gzip_file_named_fits_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(gzip.compress(stored_fits(SOME)))
    assert np.array_equal(read_isolated(tmp_path / "a.fits").values, SOME[::-1].astype(np.float32))


def largest(path: Path) -> None:
    """The largest image allowed, all zero, on disk as a hole."""
    with path.open("wb") as file:
        file.write(header(-32, 8192, 8192)[:-2880])
        file.truncate(file.tell() + -(-4 * 8192**2 // 2880) * 2880)


def test_the_largest_image_allowed_is_read_within_the_limits(tmp_path: Path) -> None:
    largest(tmp_path / "a.fits")
    values = read_isolated(tmp_path / "a.fits").values
    assert values.shape == (8192, 8192) and not values.any()


def test_a_hang_is_cut_off_at_its_time(tmp_path: Path) -> None:
    largest(tmp_path / "large.fits")
    with pytest.raises(UnreadableImage, match=r"took longer than 0\.01 s"):
        read_isolated(tmp_path / "large.fits", seconds=0.01)
    (tmp_path / "a.fits").write_bytes(stored_fits(SOME))
    assert read_isolated(tmp_path / "a.fits").format == "FITS"
