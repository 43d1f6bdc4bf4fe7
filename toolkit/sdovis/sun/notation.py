"""How tables, headers and people write region numbers and positions: each spelling means one value, or is refused.

Every place that reads one (a workbook's cell, an image's header, a split made elsewhere, ``--at``) reads it here, so
that it is the same everywhere. Functions raise `BadInput` with one problem that says what is unclear and how to write it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache

from sdovis.errors import BadInput, Problem

#: NOAA's lists still use four digits after number 10000 (2002-06-15); every region that SDO saw is later.
WRAP = 10000
#: What tables and headers write where there is nothing: the last two are JSOC's.
_NOTHING = {"", "-", "--", "---", "none", "n/a", "#n/a", "na", "nan", "<na>", "null", "nil", "missing", "-2147483648"}
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE63, 0xFF0D], "-")

#: No cell that means one value is longer.
LONGEST = 1000
# Possessive: '#' and '.' belong to words and to gaps, and a row of them could be divided in 2^n ways.
_GAP = r"[\s_.:#-]*+"
_PREFIX = rf"(?:(?:noaa|swpc|active region|region|ar|number|no\.?|nr\.?|#){_GAP})*+"
_REGION = re.compile(rf"{_PREFIX}(\d\.\d+e\+?\d+|\d+(?:[.,]0+(?!\d))?)")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?")
_SEPARATOR = re.compile(r"\s*[,;/&+|]\s*|\s+and\s+|\s+")
_NAMED = re.compile(rf"#?(?:(?:noaa|active region|ar){_GAP})+(?:(?:number|no\.?|nr\.?){_GAP})?\d")

_SIZE = r"(?:\d+(?:[.,]\d*)?|[.,]\d+)"
_ANGLE = re.compile(rf"([nsew]?)\s*([+-]?)\s*({_SIZE}|\d[.,]\d+e[+-]\d+)\s*([nsew]?)")
_LOCATION = re.compile(rf"([ns]\s*{_SIZE}|{_SIZE}\s*[ns])\s*[,;/]?\s*([ew]\s*{_SIZE}|{_SIZE}\s*[ew])")
#: Two numbers: with a comma between them they have points; with a semicolon or a space, points or commas.
_POINTED = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*,\s*([+-]?(?:\d+\.?\d*|\.\d+))")
_SPACED = re.compile(rf"([+-]?{_SIZE})(?:\s*;\s*|\s+)([+-]?{_SIZE})")


def plain(text: str) -> str:
    """``text`` in lower case with ASCII digits, signs and spaces; invisible characters are dropped.

    Raised digits stay as they are: a footnote's mark is not part of a number.
    """
    if text.isascii():
        return " ".join(text.split()).lower()
    kept = []
    for character in text.translate(_DASHES):
        if "\uff01" <= character <= "\uff5e":
            character = unicodedata.normalize("NFKC", character)
        if character.isdecimal():
            character = str(unicodedata.decimal(character))
        # A soft hyphen is invisible too, but somebody may have meant a minus sign.
        if unicodedata.category(character) != "Cf" or character == "\u00ad":
            kept.append(character)
    return " ".join("".join(kept).split()).lower()


def of_one_value(text: str) -> str:
    """``text`` as `plain`. Raises `BadInput` for a text that is too long to mean one value."""
    if len(text) > LONGEST:
        raise BadInput(Problem(f"a text of {len(text)} characters, {text[:40]!r} ..., is no value", "correct the cell"))
    return plain(text)


def is_nothing(text: str) -> bool:
    """Whether a cell says that there is no value: empty, a dash, none, n/a, nan ..."""
    return plain(text) in _NOTHING


def named_as_region(text: str) -> bool:
    """Whether a number is written as a region's, with NOAA or AR before it."""
    return _NAMED.match(plain(text)) is not None


@lru_cache(maxsize=2**16)  # many rows name one region
def regions(text: str) -> tuple[int, ...]:
    """The NOAA numbers that ``text`` names, five digits each, in their order; none for an empty cell, 0 or a dash.

    ``AR 1158``, ``NOAA-11158``, ``#11158`` and ``11158.0`` are all 11158; ``11158, 11162`` names two.
    """
    said = of_one_value(text)
    if said in _NOTHING or re.fullmatch(r"0(\.0+)?", said):
        return ()
    found: list[int] = []
    at = 0
    while True:
        number = _REGION.match(said, at)
        if number is None:
            raise _no_region(text)
        found.append(_number(number[1], text))
        if number.end() == len(said):
            return tuple(dict.fromkeys(found))
        gap = _SEPARATOR.match(said, number.end())
        if gap is None:
            raise _no_region(text)
        at = gap.end()


def _number(written: str, text: str) -> int:
    if "e" in written:
        digits, _, exponent = written.partition("e")
        places = len(digits) - 2
        if places < int(exponent):
            what = f"{text!r} is rounded, so it is unclear which region is meant"
            raise BadInput(Problem(what, "format the column as whole numbers and save it again"))
        shifted = digits.replace(".", "")
        written = shifted[: int(exponent) + 1] + "." + (shifted[int(exponent) + 1 :] or "0")
    whole, _, rest = written.replace(",", ".").partition(".")
    if re.fullmatch(r"0\d+", whole):
        what = f"NOAA number {text!r} begins with a zero, so it is unclear which region is meant"
        raise BadInput(Problem(what, f"write it as {int(whole)} if that is the region"))
    if (
        not re.fullmatch(r"\d{4,5}", whole) or rest.strip("0") or re.fullmatch("9+", whole)
    ):  # 9999 is where tables have none
        raise _no_region(text)
    return int(whole) + WRAP if int(whole) < WRAP else int(whole)


def _no_region(text: str) -> BadInput:
    return BadInput(Problem(f"{text!r} is not a NOAA number", "write four or five digits, like 11158"))


def angle(text: str, *, letters: str = "", limit: float = 90.0) -> float:
    """Degrees: ``-12.5``, ``12,5`` (a decimal comma), ``12.5°`` or, with the positive and negative of ``letters``, ``S12.5``.

    The sign may be any dash. Raises `BadInput` beyond ``limit`` on either side.
    """
    found = _ANGLE.fullmatch(_without_degrees(text))
    if found is None:
        raise _no_angle(text, limit)
    before, sign, size, after = found.groups()
    letter = before or after
    if letter and (sign or (before and after) or letter not in letters):
        other = "has two signs" if letter in letters else "is a longitude" if letter in "ew" else "is a latitude"
        raise BadInput(Problem(f"{text!r} {other}", "correct the cell"))
    value = float(size.replace(",", "."))
    if sign == "-" or (letter and letter == letters[1]):
        value = -value
    if not abs(value) <= limit:
        raise _no_angle(text, limit)
    return value + 0.0  # no negative zero


def _no_angle(text: str, limit: float) -> BadInput:
    is_location = _LOCATION.fullmatch(_without_degrees(text))
    hint = "name its column in source.columns.location" if is_location else "correct the cell"
    return BadInput(Problem(f"{text!r} is not a number between {-limit:g} and {limit:g}", hint))


def _without_degrees(text: str) -> str:
    """The text as `plain`, without signs and words for degrees; those before a digit stay: minutes of arc follow."""
    said = of_one_value(text)
    if said.isascii() and "d" not in said:
        return said
    return re.sub(r"\s*(?:°|º|˚|degrees|degree|deg)(?!\s*\d)\s*", " ", said).strip()


def latitude(text: str) -> float:
    """Degrees, north positive: as `angle`, or with a letter, ``N12`` or ``12 S``."""
    return angle(text, letters="ns")


def longitude(text: str) -> float:
    """Stonyhurst degrees, west positive: as `angle`, or with a letter, ``W34`` or ``34 E``."""
    return angle(text, letters="we", limit=180.0)


def carrington(text: str) -> float:
    """Carrington degrees: as `angle`, without letters, from 0 to 360."""
    value = angle(text, limit=360.0)
    if value < 0:
        raise BadInput(Problem(f"{text!r} is not a Carrington longitude", "write a number between 0 and 360"))
    return value


def pixel(text: str) -> float:
    """A pixel's number: as `angle`, without letters."""
    of_one_value(text)
    try:
        return angle(text, limit=1e6)
    except BadInput:
        raise BadInput(Problem(f"{text!r} is not a number", "correct the cell")) from None


def number(text: str) -> float:
    """Any number: ``-12.5``, ``12,5`` (a decimal comma) or ``1.2e-6``; the sign may be any dash.

    Raises `BadInput` for what is none, and for ``1,234``, which may be a number of thousands.
    """
    said = of_one_value(text)
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", said):
        what = f"{text!r} may be a number of thousands, or one with a decimal comma"
        raise BadInput(Problem(what, "write it without a comma, or with a point"))
    if not _NUMBER.fullmatch(said) or not math.isfinite(value := float(said.replace(",", "."))):
        raise BadInput(Problem(f"{text!r} is not a number", "correct the cell, or empty it if there is no value"))
    return value + 0.0  # no negative zero


def location(text: str) -> tuple[float, float]:
    """Latitude and longitude: as NOAA writes them, ``N12W34``, or as two numbers, ``-21.5,42`` or ``-21,5; 42``."""
    said = _without_degrees(text).removeprefix("(").removesuffix(")").strip()
    found = _LOCATION.fullmatch(said) or _POINTED.fullmatch(said) or _SPACED.fullmatch(said)
    if found is None:
        raise _no_location(text)
    try:
        return latitude(found[1]), longitude(found[2])
    except BadInput as error:
        raise _no_location(text) from error


def _no_location(text: str) -> BadInput:
    return BadInput(Problem(f"{text!r} is not a position", "write it as S21W42, or as two numbers: --at=-21.5,42"))
