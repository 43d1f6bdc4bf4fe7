"""GOES flares: NCEI's yearly reports and SWPC's list in the HEK, and the one table that the reader `srs` takes.

NCEI's layout is xray.fmt.REVISED and XrayDataReports.pro (ngdc.noaa.gov, .../goes/xrs/documentation/miscellaneous/), in
columns counted from 1: 6-11 the date, 14-17 start, 19-22 end, 24-27 peak, 60 the class' letter, 61-63 its number (11 for
1.1), 81-85 the region. The reports of 2015 and 2017 have names of their own (2015 was published again with the rows that it
lacked), and they end in June 2017. HEK's queries are those of sunpy 7.0.5 (net/hek/hek.py, attrs.py).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from sdovis import disk
from sdovis.errors import BadInput, Problem
from sdovis.fetching.archives import Addresses
from sdovis.fetching.wanted import Order, Period, Table, WantedFile
from sdovis.sun import times

#: The last year whose report is complete.
LAST_REPORT = 2016
#: Reports that are not called goes-xrs-report_YEAR.txt.
_OTHER_NAMES = {2015: "goes-xrs-report_2015_modifiedreplacedmissingrows.txt", 2017: "goes-xrs-report_2017-ytd.txt"}
#: More flares than a month has; the HEK is asked month by month, and says whether there are more.
HEK_LIMIT = 5000
COLUMNS = ("start", "peak", "end", "class", "noaa_ar")
_LINE = re.compile(r"31\d{3}(?P<day>\d{6})[ *]{2}(?P<start>\d{4})[ A-Z](?P<end>\d{4})[ A-Z](?P<peak>\d{4})")
_RECORD = re.compile(r"31\d{3}\d{6}")
_CLASS = re.compile(r"([ABCMX]) {0,2}(\d{1,3}(?:\.\d)?)(?= |$)")
_REGION = re.compile(r"(?<!\d)(1[0-9]\d{3})(?=[A-Z ]|$)")


@dataclass(frozen=True, order=True)
class GoesFlare:
    """A flare, times in UTC; ``noaa_ar`` is 0 if none is named."""

    start: datetime
    peak: datetime
    end: datetime
    goes_class: str
    noaa_ar: int


def report_name(year: int) -> str:
    return _OTHER_NAMES.get(year, f"goes-xrs-report_{year}.txt")


def report_url(base: str, year: int) -> str:
    return f"{base}{report_name(year)}"


def events_url(base: str, first: date, following: date) -> str:
    """HEK's flares of SWPC that start from ``first`` on and before ``following``, as JSON, the whole Sun."""
    query = {
        "cosec": "2", "cmd": "search", "type": "column", "event_type": "fl", "event_starttime": f"{first}T00:00:00",
        "event_endtime": f"{following}T00:00:00", "event_coordsys": "helioprojective", "x1": "-5000", "x2": "5000",
        "y1": "-5000", "y2": "5000", "param0": "FRM_Name", "op0": "=", "value0": "SWPC", "result_limit": str(HEK_LIMIT),
        "page": "1",
    }  # fmt: skip
    return f"{base}?{urlencode(query)}"


def flares(addresses: Addresses, period: Period, table: str, *, of: str = "") -> Order:
    """The flares of ``period``, and ``table`` (.csv) made of them. ``of`` is ncei or hek; by default what is complete.

    Raises `BadInput` for years of which NCEI has no complete report.
    """
    of = of or ("ncei" if period.last.year <= LAST_REPORT else "hek")
    folder = Path(table).with_suffix("").as_posix()
    if of == "ncei":
        if period.last.year > LAST_REPORT:
            raise BadInput(Problem(f"NCEI's flare reports end in June {LAST_REPORT + 1}", "take them from hek"))
        base = addresses.of("goes")
        files = tuple(
            WantedFile("goes", report_url(base, year), f"{folder}/{report_name(year)}", "report")
            for year in period.years
        )
        return Order(files, tables=(Table(table, tuple(file.path for file in files), _from_reports),))
    base = addresses.of("hek")
    files = tuple(
        WantedFile("hek", events_url(base, *month), f"{folder}/hek_fl_swpc_{month[0]:%Y_%m}.json", "events")
        for month in period.months
    )
    return Order(files, tables=(Table(table, tuple(file.path for file in files), _from_events),))


def read_report(path: Path) -> tuple[list[GoesFlare], list[str]]:
    """The flares of a report, and what it has in lines that cannot be read, with their numbers."""
    found, unread = [], []
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        if _RECORD.match(line):
            flare = _of_line(line)
            if flare is None:
                unread.append(f"line {number} cannot be read: {line.strip()[:80]!r}")
            else:
                found.append(flare)
    return found, unread


def _of_line(line: str) -> GoesFlare | None:
    times_of = _LINE.match(line)
    class_of = _CLASS.search(line, 40)
    if times_of is None or class_of is None:
        return None
    try:
        day = datetime.strptime(times_of["day"], "%y%m%d").replace(tzinfo=UTC)
        clock = {key: _later(day, times_of[key]) for key in ("start", "peak", "end")}
    except ValueError:
        return None
    number = class_of[2] if "." in class_of[2] else f"{int(class_of[2]) / 10:.1f}"
    region = _REGION.search(line, 72)
    named = int(region[1]) if region else 0
    # The date is that of the start.
    peak, end = (clock[key] + timedelta(days=clock[key] < clock["start"]) for key in ("peak", "end"))
    return GoesFlare(clock["start"], peak, end, f"{class_of[1]}{number}", named)


def _later(day: datetime, clock: str) -> datetime:
    """``HHMM`` of a day; 2400 is the next day's beginning."""
    hours, minutes = int(clock[:2]), int(clock[2:])
    if hours > 24 or minutes > 59:
        raise ValueError(clock)
    return day + timedelta(hours=hours, minutes=minutes)


def read_events(path: Path) -> tuple[list[GoesFlare], list[str]]:
    """The flares in an answer of the HEK, and which of its events cannot be read. Raises `BadInput` if it is none."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        results, more = answer["result"], answer["overmax"]
    except (ValueError, KeyError, TypeError):
        raise BadInput(Problem("is not an answer of the HEK", file=path.name)) from None
    if more or not isinstance(results, list):
        raise BadInput(Problem(f"the HEK has more than {HEK_LIMIT} flares in a month", "report it", path.name))
    found, unread = [], []
    for number, event in enumerate(results, 1):
        try:
            start, peak, end = (times.time(event[f"event_{name}time"]) for name in ("start", "peak", "end"))
            match = _CLASS.fullmatch(event["fl_goescls"].strip())
            if match is None:
                raise ValueError(event["fl_goescls"])
            region = int(event["ar_noaanum"] or 0)
            found.append(GoesFlare(start, peak, end, "".join(match.groups()), region + 10000 * (0 < region < 10000)))
        except (BadInput, KeyError, TypeError, ValueError, AttributeError):
            unread.append(f"event {number} cannot be read")
    return found, unread


def _from_reports(files: Sequence[Path], place: Path) -> list[str]:
    return _written([(path.name, *read_report(path)) for path in files], place)


def _from_events(files: Sequence[Path], place: Path) -> list[str]:
    return _written([(path.name, *read_events(path)) for path in files], place)


def _written(read: Sequence[tuple[str, list[GoesFlare], list[str]]], place: Path) -> list[str]:
    """Write the table, each flare once, in order of time; says what could not be read."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for flare in sorted({flare for _, flares, _ in read for flare in flares}):
        clock = (f"{when:%Y-%m-%d %H:%M:%S}" for when in (flare.start, flare.peak, flare.end))
        writer.writerow([*clock, flare.goes_class, flare.noaa_ar])
    disk.write(place, text.getvalue(), newline="")
    return [each for name, _, unread in read for each in _said(name, unread)]


def _said(name: str, unread: Sequence[str]) -> Iterator[str]:
    if unread:
        yield f"{name}: {len(unread)} flares are not in the table: {unread[0]}"
