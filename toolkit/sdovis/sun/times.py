"""How tables and headers write times: each spelling means one moment, or is refused.

Years come first in what is read without being told: a date such as 03/04/2011 has two readings.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from sdovis.errors import BadInput, Problem
from sdovis.sun.notation import of_one_value

DateOrder = Literal["day-first", "month-first"]

#: SDO's first public images; an earlier date is a typing error or an unformatted spreadsheet serial number.
SDO_FIRST_LIGHT = datetime(2010, 3, 1, tzinfo=UTC)
HINT = "write it in UTC, as 2011-02-15 01:30:00"
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = r"(?P<month>[a-z]{3,9})\.?"
_DATES = (
    r"(?P<Y>\d{4})(?P<s>[-./ ])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)",
    r"(?P<Y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
    rf"(?P<Y>\d{{4}})[-./ ]?{_MONTH}[-./ ]?(?P<d>\d\d?)",
    rf"(?P<d>\d\d?)[-./ ]?{_MONTH}[-./ ]?(?P<Y>\d{{4}})",
    rf"{_MONTH} (?P<d>\d\d?),? (?P<Y>\d{{4}})",
    r"(?P<a>\d\d?)(?P<s>[-./])(?P<b>\d\d?)(?P=s)(?P<Y>\d{4})",
)
_CLOCK = (
    r"(?:(?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d(?:[.,]\d+)?))?|(?P<H2>\d\d)(?P<M2>\d\d)(?P<S2>\d\d)?"
    r"|(?P<H3>\d\d)\.(?P<M3>\d\d)(?:\.(?P<S3>\d\d))?)"
)
_ZONE = r"(?:[ _]?(?P<zone>z|utc?|gmt|tai|tt|[+-]\d\d:?\d\d))?"
_TIMES = tuple(re.compile(rf"{date}(?:(?:t| ?[t_]? ?|_)?{_CLOCK}{_ZONE})?") for date in _DATES)
#: Clocks that a heading may name and that are not UTC.
_LOCAL = re.compile(
    r"(?<![a-z])(jst|kst|hkt|sgt|npt|ist|msk|cet|cest|mez|mesz|bst|eet|eest|est|edt|cst|cdt|mst|mdt|pst|pdt|hst|aest|aedt"
    r"|local|lt|civil|ortszeit|beijing|tokyo|seoul|(?:utc?|gmt)\s*[-−+]\s*0*[1-9][\d:]*)(?![a-z])",
    re.IGNORECASE,
)
_TAI = re.compile(r"(?<![a-z])(?:tai|t_(?:rec|obs)(?![a-z])(?!.*ut))(?![a-z])", re.IGNORECASE)
#: No clock is farther from UTC; what looks like one is the end of a range, as in 01:30-23:00.
MAX_ZONE = timedelta(hours=14)


@lru_cache(maxsize=2**16)  # many rows are of one image
def time(text: str, *, scale: str = "UTC", order: DateOrder | None = None) -> datetime:
    """The moment in UTC that ``text`` names; ``scale`` (UTC, TAI, TT) is that of a clock whose scale is not written.

    ISO 8601 and what comes near it, JSOC's ``2011.02.15_01:30:00_TAI``, ``20110215_013000``, ``15-Feb-2011 01:30``. With
    ``order`` dates begin with the day or the month, and those that begin with the year are refused. Raises `BadInput`
    for anything else, also for a bare number: spreadsheets and astronomers count days from several dates.
    """
    said = of_one_value(text)
    found = next(filter(None, (form.fullmatch(said) for form in _TIMES)), None)
    if found is None:
        raise _unread(text, said)
    parts = found.groupdict()
    year = int(parts["Y"])
    if parts.get("a"):
        month, day = _ordered(text, int(parts["a"]), int(parts["b"]), year, order)
    else:
        if order is not None and not parts.get("month"):
            raise BadInput(Problem(f"date {text!r} begins with the year, but source.date_order says {order}", HINT))
        month, day = _month(parts["month"]) if parts.get("month") else int(parts["m"]), int(parts["d"])
    hour, minute, second = (next((parts[k + i] for i in ("", "2", "3") if parts[k + i]), "0") for k in "HMS")
    zone = (parts["zone"] or "").upper()
    if abs(_offset(zone)) > MAX_ZONE or (zone.startswith("-") and not (parts["S"] or parts["S2"] or parts["S3"])):
        raise BadInput(Problem(f"time {text!r} may name two times, or one and its clock's zone", HINT))
    try:
        clock = utc(year, month, day, int(hour), int(minute), float(second.replace(",", ".")), _scale_of(zone) or scale)
        return clock - _offset(zone)
    except (ValueError, OverflowError):
        raise _unread(text, said) from None


def of_sdo(time: datetime) -> bool:
    """Whether SDO can have seen the Sun then."""
    return SDO_FIRST_LIGHT <= time <= datetime.now(UTC) + timedelta(days=1)


def _unread(text: str, said: str) -> BadInput:
    if re.fullmatch(r"\d+([.,]\d*)?", said):
        what = f"time {text!r} is a number, which a spreadsheet, a Julian date and a computer's clock count differently"
        return BadInput(Problem(what, HINT))
    return BadInput(Problem(f"time {text!r} cannot be read", HINT))


def _ordered(text: str, first: int, second: int, year: int, order: DateOrder | None) -> tuple[int, int]:
    """Month and day of a date that does not begin with the year. Raises `BadInput` if nothing says which is which."""
    if order is not None:
        return (second, first) if order == "day-first" else (first, second)
    read = [
        f"{day} {_MONTHS[month - 1].capitalize()}"
        for day, month in ((first, second), (second, first))
        if 0 < month <= 12
    ]
    readings = " or ".join(dict.fromkeys(read)) or "no day"
    hint = f"{HINT}, or set source.date_order to day-first or month-first"
    kind = "date order" if len(set(read)) > 1 else "date order, one reading"
    raise BadInput(Problem(f"date {text!r} may be {readings} {year}: the year does not come first", hint, kind=kind))


def _month(name: str) -> int:
    found = [n for n, month in enumerate(_MONTHS, 1) if name in (month, month[:3]) or (n == 9 and name == "sept")]
    return found[0] if found else 0


def _scale_of(zone: str) -> str:
    return zone if zone in ("TAI", "TT") else "UTC" if zone else ""


def _offset(zone: str) -> timedelta:
    """How far a clock with the zone ``+01:00`` is ahead of UTC."""
    if zone[:1] not in ("+", "-"):
        return timedelta()
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -ahead if zone[0] == "-" else ahead


@lru_cache
def scale_of(heading: str) -> str:
    """The time scale that a column's heading names: TAI, or UTC where it names none; T_REC and T_OBS are JSOC's, in TAI.

    Raises `BadInput` if it names a clock of some country.
    """
    if found := _LOCAL.search(heading):
        what = f"the heading {heading!r} names the clock {found[1]!r}, which is not UTC"
        raise BadInput(Problem(what, "convert the times to UTC and rename the column", kind="local clock"))
    return "TAI" if _TAI.search(heading) else "UTC"


@lru_cache(maxsize=256)
def _ahead_around(year: int, month: int) -> int | None:
    """Seconds that TAI is ahead of UTC throughout a month and those beside it; None if that changes, or before leap seconds."""
    import erfa  # type: ignore[import-untyped]

    months = [divmod(12 * year + month - 1 + step, 12) for step in (-1, 0, 1, 2)]
    if months[0][0] < 1972:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `utc`
        found = {float(erfa.dat(*divided, 1, 0.0)) for divided in ((y, m + 1) for y, m in months)}
    return int(found.pop()) if len(found) == 1 else None


def utc(year: int, month: int, day: int, hour: int, minute: int, second: float, scale: str) -> datetime:
    """A date in ``scale`` (TAI, TT, any other being UTC) as UTC; a leap second is the last before it.

    Raises ValueError for a date that does not exist.
    """
    start = datetime(year, month, day, hour, minute, tzinfo=UTC)
    if scale == "TAI" and 0 <= second < 60 and (ahead := _ahead_around(year, month)) is not None:
        return start + timedelta(seconds=second) - timedelta(seconds=ahead)
    if scale in ("TAI", "TT") and second < 60:
        import erfa

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ERFA warns that years after its newest leap second are dubious
            date = erfa.dtf2d(scale, year, month, day, hour, minute, second)
            if scale == "TT":
                date = erfa.tttai(*date)
            year, month, day, clock = erfa.d2dtf("UTC", 6, *erfa.taiutc(*date))
        start = datetime(int(year), int(month), int(day), int(clock["h"]), int(clock["m"]), tzinfo=UTC)
        second = int(clock["s"]) + int(clock["f"]) / 1e6
    if not second < 61:
        raise ValueError(f"{second} seconds")
    return start + timedelta(seconds=min(second, 59.999999))
