"""FITS: the first two-dimensional image of a file, with its header. FITS must never reach Pillow, which misreads it."""

from __future__ import annotations

import gzip
import io
import math
import re
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import UnreadableImage
from sdovis.images import cards
from sdovis.images.bounds import MAX_BYTES, MAX_HDUS, MAX_HEADER_BYTES, MAX_SIDE, check_size, refuse_empty
from sdovis.images.headers import Cards, places, restored

ROWS = 64  # this many rows of a large image and its float64 copy fit in the cache
BLOCK = 2880  # FITS is written in blocks of this many bytes
#: Cards of the first header that hold for an image in an extension, unless that has its own.
OF_THE_FILE = (
    "TELESCOP INSTRUME OBSRVTRY DETECTOR ORIGIN CONTENT SEGMENT DRMS_ID BUNIT WAVELNTH EXPTIME QUALITY T_REC T_OBS DATE-OBS "
    "HARPNUM NOAA_AR NOAA_ARS"
).split()
#: Cards that count what other cards describe, and the most of it (FITS standard 4.0, sections 4.4.1 and 7.2.1).
COUNTS, MOST = (b"NAXIS   = ", b"ZNAXIS  = ", b"TFIELDS = "), 999
BITPIX = (8, 16, 32, 64, -32, -64)
END = b"END" + b" " * 77
#: The first cards of a file whose image is not packed; those that say that there is more to it; and how values are made.
PLAIN = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2")
NOT_PLAIN = ("XTENSION", "GROUPS", "PCOUNT", "GCOUNT", "ZIMAGE", "ZNAXIS", "TFIELDS")
SCALING = ("BSCALE", "BZERO", "BLANK", "ZBLANK")


def gunzipped(data: bytes, path: Path) -> bytes:
    """The contents of a gzip file, read no further than `MAX_BYTES`."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImage(path, f"truncated or damaged gzip: {error}") from error
    if len(plain) > MAX_BYTES:
        raise UnreadableImage(path, f"larger than {MAX_BYTES // 2**20} MiB when decompressed")
    return plain


def fits_pixels(data: bytes, path: Path) -> tuple[NDArray[np.float32], Cards]:
    """The first two-dimensional image, rows as stored (row 0 first), missing = NaN, and its header."""
    if len(data) < BLOCK or data.find(END, 0, MAX_HEADER_BYTES) < 0:
        raise UnreadableImage(path, "truncated: the FITS header has no END card")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns of cosmetic faults in JSOC's own headers
            stored, header, known = _plain(data) or _by_astropy(data, path)
            if header.get("BSCALE", 1) == 0:
                raise UnreadableImage(path, "BSCALE is 0: all values are lost")
            values = _scaled(stored, header)
    except (UnreadableImage, MemoryError):
        raise
    except OverflowError as error:
        raise UnreadableImage(path, "damaged FITS: it declares an impossible size") from error
    # Damaged FITS can raise any exception of astropy, numpy or a codec; each means that it cannot be decoded.
    except Exception as error:
        raise UnreadableImage(path, f"damaged FITS: {type(error).__name__}: {error}") from error
    refuse_empty(values, path)
    return values, known


def _plain(data: bytes) -> tuple[NDArray[Any], Cards, Cards] | None:
    """The numbers as stored, the header and its cards of a file that is one whole image and nothing else, in no packing.

    None for every other: astropy takes ten times as long, and says what is wrong.
    """
    at = data.find(END)
    if at % cards.LENGTH or not data[:at].isascii() or b"CONTINUE" in data[:at]:
        return None
    found = list(cards.read(data[:at].decode("ascii")))
    # Once each: of several, astropy takes the last, or refuses the file.
    if [key for key, _ in found if key in PLAIN] != list(PLAIN) or [key for key, _ in found[: len(PLAIN)]] != list(
        PLAIN
    ):
        return None
    header: dict[str, Any] = {}
    for key, value in found:
        if key not in cards.REMARKS:
            header.setdefault(key.upper(), value)
    simple, bitpix, axes, *sides = (header[key] for key in PLAIN)
    if simple is not True or axes != 2 or bitpix not in BITPIX or not header.keys().isdisjoint(NOT_PLAIN):
        return None
    if not all(isinstance(header.get(key, 0), int | float) for key in SCALING):
        return None
    if not all(type(each) is int for each in (bitpix, axes, *sides)) or not all(
        1 <= side <= MAX_SIDE for side in sides
    ):
        return None
    width, height = sides
    begin = _whole_blocks(at + cards.LENGTH)
    kind = np.dtype(f">{'f' if bitpix < 0 else 'u' if bitpix == 8 else 'i'}{abs(bitpix) // 8}")
    end = begin + width * height * kind.itemsize
    if not end <= len(data) < _whole_blocks(end) + BLOCK:  # cut off, or something follows
        return None
    stored = np.frombuffer(data, kind, width * height, begin).reshape(height, width)
    return stored, header, _kept(found)


def _whole_blocks(count: int) -> int:
    return -(-count // BLOCK) * BLOCK


def _by_astropy(data: bytes, path: Path) -> tuple[NDArray[Any], Cards, Cards]:
    """What `_plain` gives, of any file; the cards are also those of the file's first header."""
    from astropy.io import fits

    _check_counts(data, path)
    index, shape = _first_image(fits, data, path)
    with fits.open(io.BytesIO(data), memmap=False, do_not_scale_image_data=True) as file:
        header = file[index].header
        stored = file[index].data
        if stored is None or stored.shape != shape:
            raise UnreadableImage(path, "damaged FITS: it holds another thing than the image that it declares")
        of_the_file = _kept(map(cards.of_astropy, file[0].header.cards))
        own = of_the_file if index == 0 else _kept(map(cards.of_astropy, header.cards))
    # A first header without pixels that gives a WCS gives that of the image which follows.
    inherited = OF_THE_FILE if places(own) else of_the_file
    return stored, header, {key: of_the_file[key] for key in inherited if key in of_the_file} | own


def _check_counts(data: bytes, path: Path) -> None:
    """Raise `UnreadableImage` for a number of axes or columns beyond the standard's: astropy would go through them all."""
    for word in COUNTS:
        at = data.find(word)
        while at >= 0:
            found = re.match(rb"[ +]*(\d+)", data[at + len(word) : at + 80])
            if at % 80 == 0 and found and int(found[1]) > MOST:
                key, value = word[:8].decode().strip(), found[1].decode()
                raise UnreadableImage(path, f"damaged FITS: {key} is {value}, and the standard allows {MOST}")
            at = data.find(word, at + 1)


def _scaled(stored: NDArray[Any], header: Any) -> NDArray[np.float32]:
    """Physical values, missing = NaN, computed in float64 a few rows at a time: astropy takes twice as long."""
    scale, zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
    blank = header.get("BLANK", header.get("ZBLANK")) if stored.dtype.kind in "iu" else None
    values = np.empty(stored.shape, np.float32)
    for top in range(0, len(stored), ROWS):
        part = stored[top : top + ROWS]
        if (scale, zero) == (1, 0):
            values[top : top + ROWS] = part
        else:
            values[top : top + ROWS] = part * np.float64(scale) + zero
        if blank is not None:
            values[top : top + ROWS][part == blank] = np.nan
    if stored.dtype.kind == "f" or not math.isfinite(scale * zero):
        values[~np.isfinite(values)] = np.nan
    return values


def _kept(found: Iterable[tuple[str, cards.Value | None]]) -> dict[str, Any]:
    """Readable values under FITS' own names, comments and history joined under COMMENT."""
    kept: dict[str, Any] = {}
    remarks = []
    for key, value in found:
        if key in cards.REMARKS:
            remarks.append(str(value))
        elif value is not None or key == "QUALITY":  # one that cannot be read is not the same as none
            kept.setdefault(key, "" if value is None else value)
    return restored(kept) | {"COMMENT": " ".join(remarks)}


def _first_image(fits: Any, data: bytes, path: Path) -> tuple[int, tuple[int, int]]:
    """Index of the HDU with the file's 2-D image, which is whole and within bounds, found without decoding anything; its shape.

    Raises `UnreadableImage` also for several such images: nothing says which of them is meant.
    """
    seen = []
    found: list[int] = []
    shape = (0, 0)
    with fits.open(io.BytesIO(data), memmap=False, disable_image_compression=True, lazy_load_hdus=True) as file:
        for index in range(MAX_HDUS):
            try:
                hdu = file[index]
            except Exception as error:
                if found or isinstance(error, IndexError):  # what follows an image is not read
                    break
                raise
            header, at = hdu.header, hdu.fileinfo()["datLoc"]
            z = "Z" if header.get("ZIMAGE") else ""
            sides = [header[f"{z}NAXIS{i}"] for i in range(1, header[f"{z}NAXIS"] + 1)]
            flat = len(sides) == 2 and (z or isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU))
            if found:
                if flat:
                    names = [file[each].name or "the first" for each in (*found, index)]
                    hint = "save the one that is meant as a file of its own"
                    raise UnreadableImage(path, f"contains several 2-D images ({' and '.join(names)})", hint)
                continue
            if header[f"{z}BITPIX"] not in BITPIX:
                raise UnreadableImage(path, f"damaged FITS: {z}BITPIX is {header[f'{z}BITPIX']!r}")
            if flat:
                check_size(sides[0], sides[1], path)
                if z:  # a tile is unpacked whole, however small the image is
                    check_size(header.get("ZTILE1", sides[0]), header.get("ZTILE2", 1), path)
            if at + hdu.size > len(data):
                raise UnreadableImage(path, f"truncated: {len(data)} of {at + hdu.size} bytes")
            if flat:
                found.append(index)
                shape = (sides[1], sides[0])
                continue
            seen += [f"{len(sides)}-D {'image' if z or hdu.is_image else 'table'}"] if sides else []
    if found:
        return found[0], shape
    only = f", only a {' and a '.join(seen)}" if seen else ""
    cut = "truncated: " if len(data) % BLOCK else ""
    raise UnreadableImage(path, f"{cut}contains no 2-D image{only}")
