"""SWPC's ``solar_regions.json``: the numbered regions of the last month, a summary for each day.

https://services.swpc.noaa.gov/json/solar_regions.json holds a list of objects, one for each region and day. SWPC documents
none of its fields. What is taken for granted here was checked against rows of 2024-05-13 and 2026-09-06: ``location`` and
``carrington_longitude`` agree at 24:00 of ``observed_date``, as in a Solar Region Summary, and ``longitude`` is east positive,
against all custom; so ``location`` is read, and the two must agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sdovis.errors import BadInput, Problem
from sdovis.sun.notation import location
from sdovis.sun.regions import BOUNDS, Region, RegionSummary, noaa_number

#: A month of regions has about 0.2 MB.
MAX_JSON_BYTES = 4 * 2**20
MAX_ROWS = 20_000
_LETTERS = {"A": "Alpha", "B": "Beta", "G": "Gamma", "D": "Delta"}
#: Name in the file -> field of `Region`.
_NUMBERS = {
    "carrington_longitude": "carrington_deg",
    "area": "area_msh",
    "extent": "extent_deg",
    "number_spots": "spots",
}


def parse_json(text: str, file: str = "") -> tuple[RegionSummary, ...]:
    """The summaries of ``solar_regions.json``, one for each day, in order of time; ``file`` is the name used in problems.

    A row that cannot be read is a fault of its day's summary. Raises `BadInput` if the text is something else, if a row does
    not say its day, or if there is no region at all.
    """
    by_day: dict[date, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, row in enumerate(_rows(text, file), 1):
        by_day.setdefault(_day(row, number, file), []).append((number, row))
    return tuple(_summary(day, by_day[day], file) for day in sorted(by_day))


def _rows(text: str, file: str) -> list[Mapping[str, Any]]:
    hint = "give https://services.swpc.noaa.gov/json/solar_regions.json as it is"
    if len(text) > MAX_JSON_BYTES:
        raise BadInput(Problem(f"is larger than {MAX_JSON_BYTES // 2**20} MB", hint, file))
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(Problem("is not JSON", hint, file)) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or len(rows) > MAX_ROWS:
        raise BadInput(Problem("is not a list of regions", hint, file))
    if not rows:
        raise BadInput(Problem("holds no region", hint, file))
    return rows


def _day(row: Mapping[str, Any], number: int, file: str) -> date:
    said = row.get("observed_date")
    try:
        day = date.fromisoformat(str(said)[:10])
    except ValueError:
        day = None
    if day is None or not 1950 <= day.year < 2100:
        what = f"observed_date {str(said)[:40]!r} is no day such as 2026-09-06"
        raise BadInput(Problem(what, "give SWPC's solar_regions.json as it is", file, row=number))
    return day


def _summary(day: date, rows: list[tuple[int, Mapping[str, Any]]], file: str) -> RegionSummary:
    valid = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    regions: dict[int, Region] = {}
    faults, remarks = [], []
    for number, row in rows:
        read = _region(row, number, valid.date())
        if isinstance(read, str):
            faults.append(Problem(read, "correct the row", file, row=number))
        elif regions.setdefault(read.noaa_ar, read) is not read:
            what = f"region {read.noaa_ar} is already listed in row {regions[read.noaa_ar].line}"
            remarks.append(Problem(what, "the first is used", file, row=number))
    counted = {"region": len(regions), "unread": len(faults)}
    return RegionSummary(
        file, valid, valid, False, tuple(regions.values()), tuple(faults), tuple(remarks), lines=counted
    )


def _region(row: Mapping[str, Any], number: int, issued: date) -> Region | str:
    """The region of a row, or why it cannot be read."""
    digits = row.get("region")
    if not isinstance(digits, int) or isinstance(digits, bool) or not 1000 <= digits <= 99_999:
        return f"region {str(digits)[:20]!r} is no NOAA number"
    try:
        latitude, longitude = location(str(row.get("location") or ""))
    except BadInput:
        return f"region {digits}: the location {str(row.get('location'))[:20]!r} is not written like N12W34"
    if abs(latitude) > 90 or abs(longitude) > BOUNDS["longitude_deg"][1]:
        return f"region {digits}: the location {row['location']!r} is not on the disc"
    for name, said in (("latitude", latitude), ("longitude", -longitude)):
        if isinstance(row.get(name), int | float) and abs(row[name] - said) > 1:
            return f"region {digits}: the location {row['location']!r} disagrees with {name} {row[name]}"
    cells: dict[str, int] = {}
    for name, field in _NUMBERS.items():
        value = row.get(name)
        low, high = BOUNDS[field]
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            return f"region {digits}: {name} {str(value)[:20]!r} is out of bounds, {low} to {high}"
        cells[field] = value
    letters = str(row.get("mag_class") or "").strip().upper()
    if unknown := set(letters) - _LETTERS.keys():
        return f"region {digits}: mag_class {letters[:20]!r} has letters other than A, B, G, D: {sorted(unknown)[0]!r}"
    spots = str(row.get("spot_class") or "").strip().capitalize()
    return Region(
        "I" if letters or spots or cells.get("spots") else "IA",
        noaa_number(digits, issued),
        round(latitude),
        round(longitude),
        mcintosh=spots,
        mount_wilson="-".join(_LETTERS[letter] for letter in letters),
        line=number,
        **cells,
    )
