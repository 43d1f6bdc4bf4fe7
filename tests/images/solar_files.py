"""Files of every kind that the tests of images read, written in whatever way is wanted."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from sdovis.errors import UnreadableImage
from sdovis.images.images import read_image


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


def header_only(*cards: str) -> bytes:
    text = "".join(f"{card:<80}" for card in (*cards, "END")).encode()
    return text + b" " * (-len(text) % 2880)


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return caught.value.why


def picture(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def png_of_16_bit_colour() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0" + b"\x12\x34" * 6 + b"\0" + b"\x12\x34" * 6)
    head = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(array: np.ndarray, *, little: bool = True, photometric: int = 1, **tags: int) -> bytes:
    """An uncompressed TIFF of one page, whatever its numbers: Pillow writes few kinds. ``tags``: tag_277=3 and the like."""
    order = "<" if little else ">"
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    height, width = array.shape[:2]
    colours = array.shape[2] if array.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    entries = {256: width, 257: height, 258: 8 * array.itemsize, 259: 1, 262: photometric, 273: 0, 277: colours}
    entries |= {278: height, 279: len(data), 339: kind}
    entries |= {int(name.removeprefix("tag_")): value for name, value in tags.items()}
    many = {258, 339} if colours > 1 else set()
    start = 8 + 2 + 12 * len(entries) + 4
    entries[273] = start + 2 * colours * len(many)
    directory, extra = b"", b""
    for tag, value in sorted(entries.items()):
        if tag in many:
            directory += struct.pack(order + "HHII", tag, 3, colours, start + len(extra))
            extra += struct.pack(order + "H", value) * colours
        else:
            directory += struct.pack(order + "HHII", tag, 4, 1, value)
    head = (b"II*\0" if little else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return head + directory + struct.pack(order + "I", 0) + extra + data
