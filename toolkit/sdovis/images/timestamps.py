"""When an image was taken, from its header or file name, without decoding its pixels."""

from __future__ import annotations

import gzip
import re
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

from sdovis.errors import UnreadableImage
from sdovis.images import headers
from sdovis.images.bounds import MAX_BYTES, MAX_HEADER_BYTES
from sdovis.images.jpeg2000 import checked_header
from sdovis.sun.times import utc

#: How the names of images end, in lower case; what a file holds is determined by its content.
SUFFIXES = tuple(f"{fits}{packed}" for packed in ("", ".gz", ".fz") for fits in (".fits", ".fit", ".fts"))
SUFFIXES += (".jp2", ".jpx", ".jpg", ".jpeg", ".png", ".tif", ".tiff")
#: AIA's and HMI's browse images, Helioviewer's and JSOC's files: 20110215_013000, 2011.02.15_01.30.00_TAI ...
#: What follows a date may also be the picture's width: 20110215_1024.jpg.
_USUAL_NAME = re.compile(
    r"(?<!\d)(?P<Y>20\d\d)(?P<s>[-_.]?)(?P<m>\d\d)(?P=s)(?P<d>\d\d)[T_-]{1,2}(?!(?:1024|2048)(?!\d))"
    r"(?P<H>\d\d)(?P<c>[-_.:]?)(?P<M>\d\d)(?:(?P=c)(?P<S>\d\d))?(?!\d)(?:[_.]\d+)?(?P<scale>_TAI)?"
)
_FIELDS = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d\d)", "%d": r"(?P<d>\d\d)", "%H": r"(?P<H>\d\d)"}
_FIELDS |= {"%M": r"(?P<M>\d\d)", "%S": r"(?P<S>\d\d)", "*": ".*", "?": "."}
_CARD = re.compile(rb"([A-Z0-9_-]{1,8}) *= *(?:'((?:[^']|'')*)'|([^/ ']+))")


def name_pattern(pattern: str) -> re.Pattern[str]:
    """A file-name pattern (``*``, ``?``, ``%Y %m %d %H %M %S``) as a regular expression. Raises ValueError if it is invalid."""
    parts = re.split(r"(%[A-Za-z]|[*?])", pattern)
    if unknown := [part for part in parts[1::2] if part not in _FIELDS]:
        raise ValueError(f"{unknown[0]!r} is not one of {' '.join(_FIELDS)}")
    try:
        return re.compile("".join(_FIELDS.get(part) or re.escape(part) for part in parts))
    except re.error as error:  # a field that occurs twice
        raise ValueError(str(error)) from error


def taken_at(path: Path, pattern: re.Pattern[str]) -> datetime | None:
    """The time in UTC of the image at ``path``: from its header, or its name by ``pattern``, or by a common naming scheme.

    None if none of these gives a time. A damaged file counts as having no header; opening it reports the damage.
    """
    return headers.observed(_cards(path)) or time_in_name(path.name, pattern)


def time_in_name(name: str, pattern: re.Pattern[str] | None = None) -> datetime | None:
    """The time in UTC that a file's name gives by ``pattern``, or by a common naming scheme; None if it gives none."""
    named = pattern.fullmatch(name) if pattern else None
    if named is None or not {"Y", "m", "d"} <= named.groupdict().keys():
        named = _USUAL_NAME.search(name)
    if named is None:
        return None
    parts = {"H": "0", "M": "0", "S": "0", **{k: v for k, v in named.groupdict().items() if v}}
    scale = "TAI" if parts.get("scale") == "_TAI" else "UTC"
    year, month, day, hour, minute, second = (int(parts[key]) for key in ("Y", "m", "d", "H", "M", "S"))
    try:
        return utc(year, month, day, hour, minute, second, scale)
    except ValueError:  # digits that are not a date
        return None


def _cards(path: Path) -> dict[str, Any]:
    """The header's cards that give the time; empty for a picture without a header."""
    try:
        with path.open("rb") as file:
            magic = file.read(12)
            file.seek(0)
            if magic.startswith(b"SIMPLE  ="):
                return _fits_cards(file.read(MAX_HEADER_BYTES))
            if magic.startswith(b"\x1f\x8b"):
                with gzip.open(file) as unpacked:
                    return _fits_cards(unpacked.read(MAX_HEADER_BYTES))
            if magic.startswith(b"\x00\x00\x00\x0cjP  ") and path.stat().st_size <= MAX_BYTES:
                return checked_header(file.read(), path)
    except (OSError, EOFError, zlib.error, UnreadableImage):
        pass
    return {}


def _fits_cards(head: bytes) -> dict[str, Any]:
    """Cards of the leading headers: a compressed image has its own after an empty first one."""
    cards: dict[str, Any] = {}
    for start in range(0, len(head) - 79, 80):
        card = head[start : start + 80]
        if found := _CARD.match(card):
            text = found[2] if found[2] is not None else found[3]
            cards.setdefault(found[1].decode(), text.decode("latin-1").strip())
        elif card.rstrip() == b"END" and cards.get("NAXIS", "0") != "0":
            break  # what follows is data
        elif card.rstrip() == b"END":
            cards.pop("NAXIS", None)
    return cards
