"""Helioviewer's JPEG2000: what its boxes declare, and the header that it carries as XML.

A JP2 file is a sequence of boxes (ISO/IEC 15444-1, annex I). Helioviewer stores the FITS header of its source in an
"xml " box, adapted to the picture: recentred, rotated to solar north up (CROTA2 = 0) and scaled (CRPIX, CDELT).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdovis.errors import UnreadableImage
from sdovis.images.bounds import MAX_HEADER_BYTES, check_size
from sdovis.images.headers import number, within_floats

MAX_BOXES = 256
MAGIC = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


def checked_header(data: bytes, path: Path) -> dict[str, Any]:
    """The cards of a JP2 file's XML header, upper-case, adapted to its picture; empty if there is none.

    Raises `UnreadableImage` for boxes of false length, sizes that are out of bounds or contradict each other, and XML
    that is not a plain header.
    """
    size: tuple[int, int] | None = None
    cards: dict[str, Any] = {}
    for kind, begin, end in _boxes(data, path):
        if kind == b"jp2h" and end - begin >= 22 and data[begin + 4 : begin + 8] == b"ihdr":
            height, width = struct.unpack_from(">II", data, begin + 8)
            check_size(width, height, path)
            size = (width, height)
        elif kind == b"xml " and not cards:  # sunpy also takes the first
            cards = _cards(data[begin:end], path)
        elif kind == b"jp2c":
            drawn = _codestream_size(data[begin:end], path)
            if size is None or drawn != size:
                declared = f"{size[0]} x {size[1]}" if size else "no"
                raise UnreadableImage(
                    path, f"damaged JPEG2000: {declared} pixels declared, {drawn[0]} x {drawn[1]} coded"
                )
    if size is None:
        raise UnreadableImage(path, "damaged JPEG2000: it declares no size")
    return _fitted(cards, *size, path)


def _boxes(data: bytes, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and start and end of the content, of each outer box."""
    at = 0
    for _ in range(MAX_BOXES):
        if at == len(data):
            return
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        elif length == 0:  # to the end of the file
            length = len(data) - at
        if length < head:
            raise UnreadableImage(path, f"damaged JPEG2000: a box of {length} bytes")
        if at + length > len(data):
            raise UnreadableImage(path, f"truncated JPEG2000: {len(data)} of {at + length} bytes")
        yield kind, at + head, at + length
        at += length
    else:
        raise UnreadableImage(path, f"damaged JPEG2000: more than {MAX_BOXES} boxes")
    raise UnreadableImage(path, "truncated JPEG2000: it ends within a box")


def _codestream_size(code: bytes, path: Path) -> tuple[int, int]:
    """Width and height from the SIZ marker that begins every codestream; checks that its tiles are within bounds."""
    if len(code) < 40 or code[:4] != b"\xff\x4f\xff\x51":
        raise UnreadableImage(path, "damaged JPEG2000: no codestream in its box")
    x1, y1, x0, y0, *tile = struct.unpack_from(">6I", code, 8)
    width, height = x1 - x0, y1 - y0
    check_size(width, height, path)
    if min(tile[:2]) < 1 or math.ceil(x1 / tile[0]) * math.ceil(y1 / tile[1]) > 65535:
        raise UnreadableImage(path, f"damaged JPEG2000: tiles of {tile[0]} x {tile[1]} pixels")
    return width, height


def _cards(xml: bytes, path: Path) -> dict[str, Any]:
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

    if len(xml) > MAX_HEADER_BYTES:
        raise UnreadableImage(path, f"its XML header is larger than {MAX_HEADER_BYTES // 2**20} MiB")
    try:
        root = fromstring(xml.strip(b"\0"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UnreadableImage(path, f"its XML header cannot be read: {type(error).__name__}: {error}") from error
    cards: dict[str, Any] = {}
    remarks = []
    for node in root.iter():
        key, text = node.tag.upper(), (node.text or "").strip()
        if key in ("COMMENT", "HISTORY"):
            remarks.append(text)
        elif (text or key == "QUALITY") and not len(node):
            cards.setdefault(key, _value(text))
    return cards | {"COMMENT": " ".join(remarks)}


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return within_floats(kind(text))  # type: ignore[no-any-return]
        except ValueError:
            continue
    return text


def _fitted(cards: dict[str, Any], width: int, height: int, path: Path) -> dict[str, Any]:
    """``cards`` for a picture of this size: files reduced from their source keep its NAXIS, CRPIX and CDELT."""
    across, down = number(cards, "NAXIS1"), number(cards, "NAXIS2")
    if not across or not down or (across, down) == (width, height):
        return cards
    if abs(across / width / (down / height) - 1) > 0.01:
        raise UnreadableImage(path, f"{width} x {height} pixels, but the header is for {across:g} x {down:g}")
    for axis, factor in ((1, across / width), (2, down / height)):
        for key in (f"CDELT{axis}", f"CD{axis}_1", f"CD{axis}_2"):
            if (step := number(cards, key)) is not None:
                cards[key] = step * factor
        if (middle := number(cards, f"CRPIX{axis}")) is not None:
            cards[f"CRPIX{axis}"] = (middle - 0.5) / factor + 0.5
    return cards
