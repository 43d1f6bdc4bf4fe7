"""NOAA's Solar Region Summary (SRS): which active regions were on the disc, their positions and classes.

One text per day, issued about 00:30 UTC: section I holds regions with spots, IA plages without spots, II regions due
to return. Positions are Stonyhurst and valid at the time in the section's heading, 24:00 UTC of the day before the issue.
Layout: SWPC's user guide to the Solar Region Summary.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from sdovis.errors import BadInput, Problem

SECTIONS = {"I": "spotted", "IA": "plage", "II": "due to return"}
#: Number 10000 was assigned on 2002-06-14; the summaries still print four digits.
NUMBERS_WRAP = date(2002, 6, 14)
#: Limits on a row's values; anything beyond is a typing error.
BOUNDS = {
    "latitude_deg": (-90, 90),
    "longitude_deg": (-120, 120),
    "carrington_deg": (0, 360),
    "area_msh": (0, 9999),
    "extent_deg": (0, 99),
    "spots": (0, 999),
}


@dataclass(frozen=True)
class Region:
    """One row of a summary; ``None`` or '' for what it does not state.

    Stonyhurst latitude (north positive) and longitude (west positive) and Carrington longitude in degrees, area in
    millionths of the solar hemisphere, McIntosh class, longitudinal extent in degrees, number of spots, Mount Wilson
    class; ``line`` counts from 1 in the summary's text.
    """

    section: str
    noaa_ar: int
    latitude_deg: int | None = None
    longitude_deg: int | None = None
    carrington_deg: int | None = None
    area_msh: int | None = None
    mcintosh: str = ""
    extent_deg: int | None = None
    spots: int | None = None
    mount_wilson: str = ""
    line: int = 0

    @property
    def kind(self) -> str:
        """``spotted``, ``plage`` or ``due to return``."""
        return SECTIONS[self.section]


@dataclass(frozen=True)
class RegionSummary:
    """One issue of the summary: the file, when it was issued, and when its positions are valid (both UTC).

    ``faults`` are lines that should be regions but cannot be read, ``remarks`` other oddities, each with file, section
    and line; ``lines`` counts every line of the text by the kind it was read as.
    """

    file: str
    issued: datetime
    valid: datetime
    corrected: bool
    regions: tuple[Region, ...]
    faults: tuple[Problem, ...] = ()
    remarks: tuple[Problem, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)


_MONTHS = {m: i for i, m in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_I = re.IGNORECASE
_SECTION = re.compile(r"(II|IA|I)\s*\.\s*\D.*", _I)
_VALID = re.compile(r"valid\s+at\s+(\d\d)/(\d\d)(\d\d)", _I)
_CORRECTED = re.compile(r"[\s:*#-]*correct", _I)
_ROW = re.compile(r"[\s*]*(?=\d{4})")
#: Lines around the regions in every issue.
_KNOWN = {
    "blank": re.compile(r""),
    "none": re.compile(r"none\.?", _I),
    "column headings": re.compile(r"nmbr\b.*", _I),
    "correction": re.compile(rf"{_CORRECTED.pattern}.*", _I),
    "header": re.compile(
        r":(product|issued):.*|#.*|joint usaf/noaa solar region summary|srs number .*|report compiled .*", _I
    ),
}
#: After such a line, and after the last section, comes prose.
_PROSE = re.compile(r"III\..*|comments?\b.*|plain\b.*|nnn+|effective \d.*|this message is .*", _I)

_NUMBER = r"(?P<noaa>\d{4,5})"
_PLACE = r"(?P<ns>[NS])\s?(?P<lat>\d{1,2})\s?(?P<ew>[EW])\s?(?P<lon>\d{1,3}|[*/-]+)"
_BEGINNING = {
    "I": re.compile(rf"{_NUMBER}\s+{_PLACE}(?!\S)", _I),
    "IA": re.compile(rf"{_NUMBER}\s+{_PLACE}(?!\S)", _I),
    "II": re.compile(rf"{_NUMBER}\s+(?P<ns>[NS])\s?(?P<lat>\d{{1,2}})(?!\S)", _I),
}
_MCINTOSH = re.compile(r"[A-H][XRSAHK][XOIC]", _I)
_MOUNT_WILSON = re.compile(r"[A-Z]+(?:\s*-\s*[A-Z]+|\s+(?:alpha|beta|gamma|delta))*-?", _I)
_NOTHING = re.compile(r"[*/-]+")
#: Where each column's heading starts in the usual layout, for rows in which a number is missing.
_USUAL_COLUMNS = {"carrington_deg": 14, "area_msh": 19, "extent_deg": 29, "spots": 34}
_TITLES = {"carrington_deg": "Lo", "area_msh": "Area", "extent_deg": "LL", "spots": "NN"}
_EXPECTED = {
    "I": ("longitude_deg", *_TITLES, "mcintosh", "mount_wilson"),
    "IA": ("longitude_deg", "carrington_deg"),
    "II": ("carrington_deg",),
}


def parse(text: str, file: str = "") -> RegionSummary:
    """Read one summary's text; ``file`` is the name used in problems.

    Raises `BadInput` if it is not a summary: without sections or without a date of issue.
    """
    reading = _Reading(file)
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        reading.take(number, line.rstrip())
    return reading.summary(text)


def noaa_number(digits: int, issued: date) -> int:
    """The full number of a region written with four digits in a summary issued on ``issued``."""
    # For some weeks numbers below and above 10000 were in use side by side.
    old = issued < NUMBERS_WRAP or (digits >= 9000 and issued.year < 2004)
    return digits if old or digits >= 10000 else digits + 10000


class _Reading:
    """A summary being read: one call of `take` per line."""

    def __init__(self, file: str) -> None:
        self.file, self.section, self.prose = file, "", False
        self.rows: list[tuple[int, str, Region]] = []
        self.faults: list[Problem] = []
        self.remarks: list[Problem] = []
        self.lines: Counter[str] = Counter()
        self.columns = dict(_USUAL_COLUMNS)

    def take(self, number: int, line: str) -> None:
        self.lines[self._kind(number, line)] += 1

    def _kind(self, number: int, line: str) -> str:
        plain = line.strip()
        known = next((kind for kind, pattern in _KNOWN.items() if pattern.fullmatch(plain)), "")
        if known:
            if known == "column headings":
                self._learn_columns(line)
            return known
        if self.prose or (_PROSE.fullmatch(plain) and self.section == "II"):
            self.prose = True
            return "prose"
        if heading := _SECTION.fullmatch(plain):
            self.section = heading[1].upper()
            return "section"
        if self.section and (start := _ROW.match(line)):
            return self._row(number, line[start.end() :], start.end())
        self._remark(number, f"text that is not a region: {plain[:60]!r}")
        return "unknown"

    def _learn_columns(self, line: str) -> None:
        for name, title in _TITLES.items():
            if self.section == "I" and (found := re.search(rf"\b{title}\b", line, _I)):
                self.columns[name] = found.start()

    def _row(self, number: int, text: str, shift: int) -> str:
        start = _BEGINNING[self.section].match(text)
        if start is None:
            return self._fault(number, text, "the location is not written like N12W34")
        position = start.groupdict()
        cells: dict[str, Any] = {"latitude_deg": _signed(position["lat"], position["ns"], "S")}
        if position.get("ew"):
            cells["longitude_deg"] = _signed(position["lon"], position["ew"], "E")
        rest = [(m.start() + shift, m[0]) for m in re.compile(r"\S+").finditer(text, start.end())]
        read = _spotted_cells(rest, self.columns) if self.section == "I" else _short_cells(rest)
        if isinstance(read, str):
            return self._fault(number, text, read)
        cells |= read
        for name, value in cells.items():
            low, high = BOUNDS.get(name, (0, 0))
            if isinstance(value, int) and not low <= value <= high:
                return self._fault(number, text, f"{name} {value} is out of bounds, {low} to {high}")
        if missing := [name for name in _EXPECTED[self.section] if cells.get(name) in (None, "")]:
            self._remark(number, f"region {position['noaa']} lacks {', '.join(missing)}")
        self.rows.append((number, position["noaa"], Region(self.section, 0, **cells, line=number)))
        return "region"

    def _fault(self, number: int, text: str, why: str) -> str:
        what = f"a region that cannot be read: {text.strip()[:60]!r}: {why}"
        self.faults.append(Problem(what, "correct the line", self.file, self.section, number))
        return "unread"

    def _remark(self, number: int | None, what: str, hint: str = "") -> None:
        self.remarks.append(Problem(what, hint, self.file, self.section if number else "", number))

    def summary(self, text: str) -> RegionSummary:
        if self.lines["section"] < 2:
            raise BadInput(Problem("is not a Solar Region Summary: its sections are missing", "remove it", self.file))
        day, issued = _issue(text)
        if day is None or issued is None:
            raise BadInput(
                Problem("the summary's date of issue is missing or damaged", "correct or remove it", self.file)
            )
        valid = self._valid(text, day)
        regions: dict[int, Region] = {}
        for number, digits, region in self.rows:
            noaa = noaa_number(int(digits), day)
            region = Region(**{**vars(region), "noaa_ar": noaa})
            first = regions.setdefault(noaa, region)
            if first is not region:
                self._remark(number, f"region {noaa} is already listed in line {first.line}", "the first is used")
        corrected = bool(self.lines["correction"])
        found, faults, remarks = tuple(regions.values()), tuple(self.faults), tuple(self.remarks)
        return RegionSummary(self.file, issued, valid, corrected, found, faults, remarks, dict(self.lines))

    def _valid(self, text: str, day: date) -> datetime:
        """When the positions are valid: the time in the first heading that has one, the month from the date of issue."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        said = _VALID.search(text)
        if said is None:
            self._remark(
                None, "no heading says when the positions are valid", f"assumed to be {midnight:%Y-%m-%d %H:%M}"
            )
            return midnight
        days = [midnight + timedelta(days=d) for d in (-1, -2, 0, -3, 1)]
        start = next((d for d in days if d.day == int(said[1])), None)
        if start is None or int(said[2]) > 24:
            self._remark(None, f"the heading's time {said[0]!r} does not fit the issue of {day}", "the issue's is used")
            return midnight
        valid = start + timedelta(hours=int(said[2]), minutes=int(said[3]))
        if valid != midnight:
            self._remark(
                None, f"positions are valid at {valid:%Y-%m-%d %H:%M}, not at the usual {midnight:%Y-%m-%d %H:%M}"
            )
        return valid


def _signed(digits: str, letter: str, negative: str) -> int | None:
    if not digits.isdigit():
        return None
    return -int(digits) if letter.upper() == negative else int(digits)


def _short_cells(rest: Sequence[tuple[int, str]]) -> dict[str, Any] | str:
    """The Carrington longitude of a plage or a returning region, or why it cannot be read."""
    if not rest or (len(rest) == 1 and _NOTHING.fullmatch(rest[0][1])):
        return {}
    if len(rest) == 1 and re.fullmatch(r"\d{1,3}", rest[0][1]):
        return {"carrington_deg": int(rest[0][1])}
    return f"{' '.join(t for _, t in rest)!r} is not a Carrington longitude"


def _spotted_cells(rest: Sequence[tuple[int, str]], columns: Mapping[str, int]) -> dict[str, Any] | str:
    """What follows the location of a spotted region, or why it cannot be read. Any cell may be blank."""
    words = [(at, t) for at, t in rest if t[:1].isalpha()]
    code = words.pop(0) if words and _MCINTOSH.fullmatch(words[0][1]) else None
    begin = words[0][0] if words else math.inf  # of the magnetic type
    numbers = [(at, t) for at, t in rest if at < begin and (at, t) != code]
    if wrong := [t for _, t in numbers if not (t.isdigit() or _NOTHING.fullmatch(t))]:
        return f"{wrong[0]!r} is not a number"
    cells: dict[str, Any] = {}
    groups: list[tuple[tuple[str, ...], list[tuple[int, str]]]] = [(tuple(_TITLES), numbers)]
    if code:
        cells["mcintosh"] = code[1].capitalize()
        groups = [
            (("carrington_deg", "area_msh"), [item for item in numbers if item[0] < code[0]]),
            (("extent_deg", "spots"), [item for item in numbers if item[0] > code[0]]),
        ]
    for names, found in groups:
        if len(found) > len(names):
            return f"more numbers than columns: {' '.join(t for _, t in found)}"
        placed = dict(zip(names, found, strict=True)) if len(found) == len(names) else _by_column(found, names, columns)
        if len(placed) < len(found):
            return "two numbers are under one heading"
        cells |= {name: int(t) for name, (_, t) in placed.items() if t.isdigit()}
    magnetic = " ".join(t for at, t in rest if at >= begin)
    if magnetic and not _MOUNT_WILSON.fullmatch(magnetic):
        return f"{magnetic!r} is not a magnetic type"
    parts = [part for part in re.split(r"[\s-]+", magnetic) if part]
    if [part.casefold() for part in parts] != ["none"]:
        cells["mount_wilson"] = "-".join(part.capitalize() for part in parts)
    return cells


def _by_column(
    found: Iterable[tuple[int, str]], names: Sequence[str], columns: Mapping[str, int]
) -> dict[str, tuple[int, str]]:
    return {min(names, key=lambda name: abs(columns[name] - item[0])): item for item in found}


def _issue(text: str) -> tuple[date | None, datetime | None]:
    """The summary's day, and when this copy was issued (a correction comes later, or the evening before)."""
    day = moment = None
    if said := re.search(r"issued\s+at\s+\d{3,4}Z?\s+on\s+(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{4})", text, _I):
        day = _date(said[3], said[2], said[1])
    if said := re.search(r"^:issued:\s*(\d{4})\s+([a-z]{3})[a-z]*\s+(\d{1,2})\s+(\d\d)(\d\d)", text, _I | re.M):
        copied = _date(said[1], said[2], said[3])
        if copied and int(said[4]) < 24 and int(said[5]) < 60:
            moment = datetime(copied.year, copied.month, copied.day, int(said[4]), int(said[5]), tzinfo=UTC)
    day = day or (moment.date() if moment else None)
    if day and moment is None:
        moment = datetime(day.year, day.month, day.day, 0, 30, tzinfo=UTC)
    return day, moment


def _date(year: str, month: str, day: str) -> date | None:
    try:
        # The summaries' predecessors began in the 1950s; at the ends of the calendar there is no day before or after.
        return date(int(year), _MONTHS[month.casefold()], int(day)) if 1950 <= int(year) < 2100 else None
    except (KeyError, ValueError):
        return None


def latest(summaries: Iterable[RegionSummary]) -> tuple[list[RegionSummary], list[Problem]]:
    """One summary per time, in order of time: the copy issued last; and remarks on the others."""
    chosen: dict[datetime, RegionSummary] = {}
    remarks = []
    for summary in sorted(summaries, key=lambda s: (s.valid, s.issued, s.corrected, s.file)):
        if earlier := chosen.get(summary.valid):
            same = "the same" if earlier.regions == summary.regions else "different"
            what = f"{summary.file} is for the same time and was issued no earlier, with {same} regions"
            remarks.append(Problem(what, "the later copy is used", earlier.file))
        chosen[summary.valid] = summary
    return list(chosen.values()), remarks


def table(summaries: Iterable[RegionSummary]) -> pd.DataFrame:
    """One row per region and summary: file, issued, valid and the fields of `Region`."""
    return pd.DataFrame(_table_rows(summaries))


def _table_rows(summaries: Iterable[RegionSummary]) -> Iterator[dict[str, Any]]:
    for summary in summaries:
        for region in summary.regions:
            yield {"file": summary.file, "issued": summary.issued, "valid": summary.valid, **vars(region)}
