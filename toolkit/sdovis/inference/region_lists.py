"""Lists of the disc's regions in whatever form people have them: which regions there were at a time, and where.

NOAA's summaries (a text, a folder, a year's archive) are read by `sun.archives`, SWPC's ``solar_regions.json`` by `sun.swpc`.
Here are tables: a workbook, a CSV file, SHARP keywords or HARPs, with a time, a region and a position in each row.
"""

from __future__ import annotations

import gzip
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sdovis.corpus import headings
from sdovis.corpus.init import HEADINGS
from sdovis.errors import BadInput, Problem
from sdovis.readers import tables
from sdovis.readers.grid import Line, Sheet
from sdovis.sun import notation, times
from sdovis.sun.archives import MAX_GAP, MAX_UNPACKED_BYTES, Archive, read_archive
from sdovis.sun.rotation import rotated
from sdovis.sun.swpc import MAX_JSON_BYTES, parse_json

Places = dict[int, tuple[float, float]]
#: The columns of a list, and headings beyond `corpus.init.HEADINGS`: NOAA's daily tables, and JSOC's flux-weighted places.
_FIELDS = ("observed", "noaa_ar", "location", "latitude_deg", "longitude_deg")
_MORE = {"observed": (r"^valid",), "noaa_ar": (r"^nmbr",)}
_PACKED = (".csv.gz", ".tsv.gz", ".txt.gz")


class RegionList(Protocol):
    """The regions of some time, as `sun.archives.Archive` also gives them."""

    def at(self, time: datetime) -> Places:
        """The regions listed nearest to ``time`` (UTC): number -> latitude and longitude (degrees) then.

        Raises `BadInput` if none are listed within a day.
        """
        ...


@dataclass(frozen=True)
class RegionTable:
    """The regions of a table by the times (UTC) at which their positions are valid."""

    file: str
    listed: Mapping[datetime, Places]

    def at(self, time: datetime) -> Places:
        """See `RegionList`."""
        valid = min(self.listed, key=lambda each: (abs(each - time), time - each))
        if abs(valid - time) > MAX_GAP:
            hours = MAX_GAP.total_seconds() / 3600
            what = f"no regions are listed within {hours:g} hours of {time:%Y-%m-%d %H:%M}"
            raise BadInput(Problem(what, f"the nearest are of {valid:%Y-%m-%d %H:%M}", self.file))
        return {
            number: (latitude, round(float(rotated(latitude, longitude, valid, time)), 2))
            for number, (latitude, longitude) in self.listed[valid].items()
        }


def read(path: Path) -> RegionList:
    """The list in a file or folder. Raises `BadInput` with what is wrong in it, each line named."""
    name = path.name.lower()
    if not path.exists():
        raise BadInput(Problem("there is no such file of regions", file=str(path)))
    if path.is_file() and name.endswith(".json"):
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadInput(Problem("is too large to be a list of regions", file=path.name))
        return Archive(parse_json(path.read_text(encoding="utf-8", errors="replace"), path.name), ())
    if path.is_file() and name.endswith((*tables.WORKBOOKS, ".csv", ".tsv")):
        return _table(path, path.name)
    if path.is_file() and name.endswith(_PACKED):
        return _unpacked(path)
    if path.is_file() and name.endswith(".txt") and _is_table(path):
        return _table(path, path.name)
    return read_archive(path)


def _is_table(path: Path) -> bool:
    """Whether a text is a table rather than a summary: its first line that is no remark names columns."""
    with path.open(encoding="latin-1") as file:
        first = next((line for line in file if line.strip() and line[0] not in "#:"), "")
    words = [word.casefold() for word in first.replace(",", " ").replace(";", " ").split()]
    return any(word in ("t_rec", "harpnum", "noaa_ar", "noaa_ars") for word in words)


def _unpacked(path: Path) -> RegionTable:
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, Path(path.name).stem)
        try:
            with gzip.open(path) as packed:
                data = packed.read(MAX_UNPACKED_BYTES + 1)
        except (OSError, EOFError) as error:
            raise BadInput(Problem(f"is damaged: {error}", "download it again", path.name)) from error
        if len(data) > MAX_UNPACKED_BYTES:
            what = f"unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB"
            raise BadInput(Problem(what, "it is not a list of regions", path.name))
        plain.write_bytes(data)
        return _table(plain, path.name)


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(path: Path, name: str) -> RegionTable:
    """A table's first sheet with a time, a region and a position in each row; rows without a region are passed over."""
    grid = tables.read(path)[0]
    sheet = grid.sheet(grid.likely_heading_row())
    columns = _columns(sheet, name)
    found: dict[datetime, Places] = defaultdict(dict)
    problems: list[Problem] = []
    for line in sheet.rows:
        where = Problem("", "", name, grid.name, line.number)
        try:
            _row(line, sheet, columns, found, problems, where)
        except BadInput as error:
            problems += [replace(where, what=each.what, hint=each.hint, column=each.column) for each in error.problems]
    return _made(name, found, problems)


def _columns(sheet: Sheet, name: str) -> dict[str, int]:
    """Field -> index of its column. Raises `BadInput` if time, region or position have none."""
    found: dict[str, int] = {}
    for field in _FIELDS:
        for pattern in (*_MORE.get(field, ()), *HEADINGS[field]):
            at = [i for i, heading in enumerate(sheet.headings) if re.search(pattern, heading, re.IGNORECASE)]
            at = [i for i in at if not (field == "longitude_deg" and headings.says_carrington(sheet.headings[i]))]
            if at:
                found[field] = at[0]
                break
    lacking = [word for word, ok in (
        ("time", "observed" in found),
        ("region's number", "noaa_ar" in found),
        ("position", "location" in found or {"latitude_deg", "longitude_deg"} <= found.keys()),
    ) if not ok]  # fmt: skip
    if lacking:
        what = f"has no column of the {' and the '.join(lacking)} (columns: {', '.join(filter(None, sheet.headings))})"
        hint = "name columns such as T_REC or Observed, NOAA AR, and Latitude and Longitude (Stonyhurst) or Location"
        raise BadInput(Problem(what, hint, name))
    return found


def _row(
    line: Line,
    sheet: Sheet,
    columns: Mapping[str, int],
    found: dict[datetime, Places],
    problems: list[Problem],
    where: Problem,
) -> None:
    texts = {field: line.text(index) for field, index in columns.items()}
    if notation.is_nothing(texts["noaa_ar"]) or not (numbers := notation.regions(texts["noaa_ar"])):
        return
    for field, index in columns.items():
        if wrong := headings.fault(field, sheet.headings[index], texts[field]) or line.faults.get(index):
            raise BadInput(replace(wrong, column=sheet.headings[index]))
    heading = sheet.headings[columns["observed"]]
    when = times.time(texts["observed"], scale=times.scale_of(heading))
    if "latitude_deg" in texts and "longitude_deg" in texts:
        place = notation.latitude(texts["latitude_deg"]), notation.longitude(texts["longitude_deg"])
    else:
        place = notation.location(texts["location"])
    for number in numbers:
        _put(found[when], number, place, problems, where)


def _put(at: Places, region: int, place: tuple[float, float], problems: list[Problem], where: Problem) -> None:
    """Add a region to those of its time, unless it stands there at another place: then nobody knows which is right."""
    if at.setdefault(region, place) != place:
        what = f"region {region} is at {_written(at[region])} and at {_written(place)} at one time"
        problems.append(replace(where, what=what, hint="keep one of them"))


def _written(place: Sequence[float]) -> str:
    return f"latitude {place[0]:g}, longitude {place[1]:g}"


def _made(name: str, found: Mapping[datetime, Places], problems: Iterable[Problem]) -> RegionTable:
    if wrong := list(problems):
        raise BadInput(wrong)
    if not any(found.values()):
        raise BadInput(Problem("lists no region", "", name))
    return RegionTable(name, {when: places for when, places in sorted(found.items()) if places})
