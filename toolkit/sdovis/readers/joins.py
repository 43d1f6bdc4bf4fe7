"""What other tables say about a region at a given time: GOES flares, SHARP keywords, HARP numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem
from sdovis.images.headers import observed
from sdovis.readers import tables
from sdovis.readers.rows import FlareFacts
from sdovis.readers.srs_settings import SrsSettings
from sdovis.sun import times
from sdovis.sun.notation import regions

#: Peak flux of each flare letter, W/m².
_FLUX = {"A": 1e-8, "B": 1e-7, "C": 1e-6, "M": 1e-5, "X": 1e-4}
_CLASS = re.compile(r"([ABCMX])(\d*(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Flares:
    """A GOES flare list, in order of peak time.

    ``peak`` is in nanoseconds UTC, ``flux`` is the class in W/m², and ``noaa_ar`` is 0 if the event has no region. The
    list is complete for peaks from ``first`` to ``last``.
    """

    peak: NDArray[np.int64]
    flux: NDArray[np.float64]
    noaa_ar: NDArray[np.int64]
    first: datetime
    last: datetime

    def following(self, noaa_ar: int, time: datetime, least: float, hours: float) -> int | None:
        """How many of the region's flares of at least ``least`` W/m² peak in (time, time + hours].

        None if none is listed and the list does not cover that window: then nothing is known.
        """
        inside = self._window(time, hours)
        count = int((inside & (self.noaa_ar == noaa_ar) & (self.flux >= least * (1 - 1e-9))).sum())
        return count if count or self.covers(time, hours) else None

    def covers(self, time: datetime, hours: float) -> bool:
        """Whether the list reaches from ``time`` to ``hours`` later."""
        return self.first <= time and time + timedelta(hours=hours) <= self.last

    def _window(self, time: datetime, hours: float) -> NDArray[np.bool_]:
        start = _ns(time)
        return (self.peak > start) & (self.peak <= start + round(hours * 3.6e12))

    def in_windows(self, times: Iterable[datetime], least: float, hours: float) -> tuple[int, int]:
        """Number of flares of at least ``least`` W/m² in any window after ``times``: all, and those without a region."""
        hit = np.zeros(len(self.peak), bool)
        for time in times:
            hit |= self._window(time, hours)
        hit &= self.flux >= least * (1 - 1e-9)
        return int(hit.sum()), int((hit & (self.noaa_ar == 0)).sum())


def flux(flare_class: str) -> float:
    """Peak flux in W/m² of a GOES class such as ``M5.2``; a bare letter means its lower end. ValueError for any other text."""
    match = _CLASS.fullmatch(flare_class.strip())
    if match is None:
        raise ValueError(f"{flare_class!r} is not a GOES class")
    return _FLUX[match[1].upper()] * float(match[2] or 1)


def read_flares(path: Path) -> Flares:
    """Read a flare list: a table with the columns start or peak, class and noaa_ar.

    An event listed twice counts once, with its region if either row names it.
    Raises `BadInput` with every row that cannot be read.
    """
    rows = tables.rows(path, ("class", "noaa_ar"))
    column = "peak" if "peak" in rows[0][1] else "start"
    if column not in rows[0][1]:
        raise BadInput(
            Problem("there is no column 'peak'", "rename the column with the flares' peak times to peak", path.name)
        )
    events, problems = set(), []
    for number, row in rows:
        try:
            time = times.time(row[column])
            # A peak before its start comes just after midnight and was written with the start's date.
            if "start" in row and (start := times.time(row["start"])) > time:
                time += timedelta(days=1) if start - time > timedelta(hours=12) else timedelta()
            named = regions(row["noaa_ar"])
            if len(named) > 1:
                raise ValueError(f"it has {len(named)} regions")
            events.add((_ns(time), flux(row["class"]), named[0] if named else 0))
        except BadInput as error:
            problems += [replace(each, file=path.name, row=number) for each in error.problems]
        except (ValueError, OverflowError) as error:
            problems.append(Problem(f"the flare cannot be read: {error}", "correct the row", path.name, row=number))
    if problems:
        raise BadInput(problems)
    with_region = {event[:2] for event in events if event[2]}
    once = sorted(event for event in events if event[2] or event[:2] not in with_region)
    peaks, fluxes, numbers = zip(*once, strict=True)
    first, last = (pd.Timestamp(ns, tz="UTC").floor("D").to_pydatetime() for ns in (peaks[0], peaks[-1]))
    return Flares(
        np.array(peaks, np.int64), np.array(fluxes), np.array(numbers, np.int64), first, last + timedelta(days=1)
    )


def flare_facts(root: Path, settings: SrsSettings, times: Iterable[datetime]) -> FlareFacts:
    """What the study's flare list says about the windows after ``times``. Raises `BadInput` if it cannot be read."""
    flares = read_flares(root / settings.flares)
    assert settings.flare_hours is not None
    total, without = flares.in_windows(set(times), flux(settings.flare_class), settings.flare_hours)
    return FlareFacts(
        list=settings.flares,
        threshold=settings.flare_class,
        hours=settings.flare_hours,
        first=flares.first.date().isoformat(),
        last=flares.last.date().isoformat(),
        counted="peaks later than the image and not later than these hours after it",
        events_in_windows=total,
        events_without_region=without,
    )


@dataclass(frozen=True)
class Sharps:
    """Tables of SHARP keywords: region -> times in nanoseconds UTC, in order, each with a row of keywords."""

    keywords: tuple[str, ...]
    times: Mapping[int, NDArray[np.int64]]
    rows: Mapping[int, Sequence[Mapping[str, str]]]

    def nearest(self, noaa_ar: int, time: datetime, max_hours: float) -> tuple[float, Mapping[str, str]] | None:
        """Hours from ``time`` to the region's nearest T_REC, with its keywords; None beyond ``max_hours``."""
        times = self.times.get(noaa_ar)
        if times is None:
            return None
        gaps = (times - _ns(time)) / 3.6e12
        best = int(np.abs(gaps).argmin())
        return (float(gaps[best]), self.rows[noaa_ar][best]) if abs(gaps[best]) <= max_hours else None


def read_sharps(path: Path) -> Sharps:
    """Read a table of SHARP keywords with T_REC (TAI, as JSOC writes it) and NOAA_AR or NOAA_ARS. Raises `BadInput`."""
    rows = tables.rows(path, ("t_rec",))
    number_of = next((name for name in ("noaa_ars", "noaa_ar") if name in rows[0][1]), None)
    if number_of is None:
        raise BadInput(Problem("there is no column 'NOAA_AR'", "add one: each row must name its region", path.name))
    by_region: dict[int, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    problems = []
    for number, row in rows:
        text = row["t_rec"].removesuffix("_TAI").replace(" ", "T").replace("_", "T")
        time = observed({"T_REC": f"{text}_TAI"})
        if time is None or not times.of_sdo(time):
            what = f"T_REC {row['t_rec']!r} is not a time"
            problems.append(Problem(what, "write it as JSOC does: 2011.02.15_00:00:00_TAI", path.name, row=number))
            continue
        keywords = {name: value for name, value in row.items() if name not in ("t_rec", "noaa_ar", "noaa_ars")}
        try:
            for region in regions(row[number_of]):
                by_region[region].append((_ns(time), keywords))
        except BadInput as error:
            problems += [replace(each, file=path.name, row=number) for each in error.problems]
    if problems:
        raise BadInput(problems)
    for entries in by_region.values():
        entries.sort(key=lambda entry: entry[0])
    names = tuple(name.upper() for name in rows[0][1] if name not in ("t_rec", "noaa_ar", "noaa_ars"))
    return Sharps(
        names,
        {region: np.array([ns for ns, _ in entries], np.int64) for region, entries in by_region.items()},
        {region: [row for _, row in entries] for region, entries in by_region.items()},
    )


def read_harps(path: Path) -> dict[int, tuple[int, ...]]:
    """NOAA region -> HARP numbers, from JSOC's ``all_harps_with_noaa_ars.txt``; a HARP may hold several regions.

    Lines look like ``377 11158`` or ``393 11160,11166``; headings and blank lines are skipped. A workbook has the two in
    columns of its first sheet. Raises `BadInput` for any other line.
    """
    found: dict[int, set[int]] = defaultdict(set)
    problems = []
    for number, line in tables.plain_lines(path):
        match = re.fullmatch(r"\s*(\d+)[\s,;]+(\d{4,5}(?:\s*,\s*\d{4,5})*)\s*", line)
        if match:
            for region in regions(match[2]):
                found[region].add(int(match[1]))
        elif line.strip() and not re.match(r"\s*(#|HARPNUM)", line, re.IGNORECASE):
            hint = "write it as 377 11158, or 393 11160,11166"
            problems.append(
                Problem(f"{line.strip()[:60]!r} is not a HARP with its regions", hint, path.name, row=number)
            )
    if problems:
        raise BadInput(problems)
    return {region: tuple(sorted(harps)) for region, harps in found.items()}


#: What a table adds to the row of a region at a time: heading -> text.
Join = Callable[[int, datetime], dict[str, str]]


def joins(root: Path, settings: SrsSettings) -> list[Join]:
    """The joins named in the study, with their tables read. Raises `BadInput` with the problems of every table."""
    found: list[Join] = []
    problems: list[Problem] = []
    for make, name in ((_flare_join, settings.flares), (_sharp_join, settings.sharp), (_harp_join, settings.harps)):
        try:
            found += [make(root / name, settings)] if name else []
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return found


def _flare_join(path: Path, settings: SrsSettings) -> Join:
    flares, least, hours = read_flares(path), flux(settings.flare_class), settings.flare_hours or 0.0

    def join(noaa_ar: int, time: datetime) -> dict[str, str]:
        count = flares.following(noaa_ar, time, least, hours)
        known = (
            {} if count is None else {settings.flare_heading: str(int(count > 0)), "Flares in that time": str(count)}
        )
        return {settings.flare_heading: "", "Flares in that time": "", **known}

    return join


def _sharp_join(path: Path, settings: SrsSettings) -> Join:
    sharps = read_sharps(path)

    def join(noaa_ar: int, time: datetime) -> dict[str, str]:
        found = sharps.nearest(noaa_ar, time, settings.sharp_max_gap_hours)
        if found is None:
            return {}
        gap, keywords = found
        named = {f"SHARP {name.upper()}": text for name, text in keywords.items()}
        return {"SHARP gap (h)": f"{gap:.2f}", **named}

    return join


def _harp_join(path: Path, _: SrsSettings) -> Join:
    harps = read_harps(path)
    return lambda noaa_ar, time: {"HARP": " ".join(map(str, harps.get(noaa_ar, ())))}


def _ns(time: datetime) -> int:
    return pd.Timestamp(time if time.tzinfo else time.replace(tzinfo=UTC)).as_unit("ns").value
