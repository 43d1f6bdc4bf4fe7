"""The independent unit of a row: its region, and which rows are of the same one; how many rows name none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem
from sdovis.labels.schemes import LabelScheme
from sdovis.readers import tables
from sdovis.readers.rows import RawRow
from sdovis.study import Source, Study
from sdovis.study.source import DEFAULT_READER
from sdovis.sun.notation import is_nothing, named_as_region, regions

#: The largest share of rows without a region that a split by region may have unless the study allows more.
MAX_MISSING = 0.1
#: Headings of columns of region numbers.
HEADING = re.compile(r"noaa|(?:^|[\s_])ars?(?:$|[\s_(])|active.?region|\bregions?\b", re.IGNORECASE)
#: A NOAA number of SDO's time; a column of such numbers that repeat is likely to be one of regions, whatever its heading.
SDO_NUMBER = re.compile(r"1[1-5]\d{3}(\.0+)?")


def unit(noaa: Iterable[int], harp: int | None) -> str:
    """What tells which region a row shows: ``ar11158 ar11162 harp377``; '' if nothing does."""
    return " ".join([*(f"ar{number}" for number in noaa), *([f"harp{harp}"] if harp else [])])


def groups(units: Sequence[str], frames: Sequence[str]) -> NDArray[np.object_]:
    """The independent unit of each row: its region, else its HARP, else its image, ``frame-NAME``.

    ``units`` are those of `unit`. A row of several regions makes them one, and so does a HARP of which some image gives no
    region: that may show any of those that others of its images give. Such a unit has the name of its lowest number.
    """
    parent: dict[str, str] = {}

    def first(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    def join(keys: Sequence[str]) -> None:
        for key in keys[1:]:
            one, other = sorted((first(keys[0]), first(key)), key=_by_number)
            parent[other] = one

    named = [text.split() for text in units]
    alone = {keys[0] for keys in named if len(keys) == 1 and keys[0].startswith("harp")}
    for keys in named:
        join([key for key in keys if key.startswith("ar") or key in alone])
    return np.array(
        [first(keys[0]) if keys else f"frame-{frame}" for keys, frame in zip(named, frames, strict=True)], object
    )


def _by_number(key: str) -> tuple[bool, int]:
    return key.startswith("harp"), int(key.lstrip("arhp"))


def named_units(cells: Iterable[str], column: str) -> list[tuple[str, ...]]:
    """What each cell of a ``column`` of groups names: numbers of regions or HARPs, however written; else the cell itself.

    A column is one of regions if its heading says so, or if a cell has NOAA or AR before a number. A cell that cannot be
    read but holds numbers of regions, such as ``11158*``, may mean these, and counts as if it did.
    """
    cells = list(cells)
    if not _of_regions(cells, column):
        harps = "harp" in column.casefold()
        return [(_same_number(cell, harps),) if cell else () for cell in cells]
    found = {cell: _regions(cell) for cell in set(cells)}
    units = {
        cell: tuple(map(str, numbers)) if numbers is not None else tuple(_numbers_in(cell)) or (cell,)
        for cell, numbers in found.items()
    }
    return [units[cell] for cell in cells]


def _same_number(cell: str, harp: bool) -> str:
    """A whole number without the decimals that programs add to it, ``377.0``; of a HARP also without name and zeros."""
    number = re.fullmatch(r"(?:s?harp(?:num)?[\W_]*)?0*(\d+)(?:[.,]0+)?", cell, re.IGNORECASE) if harp else None
    return number[1] if number else re.sub(r"^(\d+)[.,]0+$", r"\1", cell)


def _numbers_in(cell: str) -> list[str]:
    """The five-digit numbers in a text, also with a separator of thousands."""
    return re.findall(r"(?<!\d)1\d{4}(?!\d)", re.sub(r"(?<=\d)[.,'\u2019\s](?=\d{3}(?!\d))", "", cell))


def strange_regions(cells: Iterable[str], column: str) -> list[str]:
    """The spellings in a column of regions, by its heading, that are neither a region's number nor say that there is none."""
    if not HEADING.search(column):
        return []
    return sorted(cell for cell in set(cells) if _regions(cell) is None)


def _of_regions(cells: Iterable[str], column: str) -> bool:
    return HEADING.search(column) is not None or any(map(named_as_region, set(cells)))


def _regions(cell: str) -> tuple[int, ...] | None:
    """The regions that a cell names; None if it cannot be read."""
    try:
        return regions(cell)
    except BadInput:
        return None


def lacking(rows: pd.DataFrame, scheme: LabelScheme) -> NDArray[np.bool_]:
    """Which rows (columns group, label) name no region although rows of their class have one."""
    return (rows["group"].str.startswith("frame-") & ~rows["label"].isin(scheme.without_region)).to_numpy(bool)


def said_of_missing(missing: int | None, rows: int) -> str:
    """The sentence on rows without a region; '' if there are none."""
    if not missing:
        return ""
    return f"{missing} of {rows} rows name no region, so it is not known whether a region they show lies in two parts"


def refuse_unknown(study: Study, rows: pd.DataFrame, scheme: LabelScheme) -> None:
    """Raise `BadInput` if the split rests on region numbers and too many ``rows`` have none."""
    should = ~rows["label"].isin(scheme.without_region)
    missing, of = int(lacking(rows, scheme).sum()), int(should.sum())
    if not study.split.needs_regions or study.split.allow_missing_regions or missing <= MAX_MISSING * of:
        return
    how = study.split.method + (f", gap {study.split.gap:g} days" if study.split.gap is not None else "")
    hint = (
        "name the column in source.columns.noaa_ar and fill it in, use split.method = 'temporal' with a gap of 14 days or "
        "more, or set split.allow_missing_regions = true"
    )
    raise BadInput(Problem(f"split ({how}): {said_of_missing(missing, of)}", hint))


def refuse_unmapped(study: Study, rows: Iterable[RawRow]) -> None:
    """Raise `BadInput` if a sheet of ``rows`` has no column mapped to noaa_ar, but one that looks like region numbers."""
    source = study.source
    sheets = list(dict.fromkeys(row.sheet for row in rows if "noaa_ar" not in row.headings))
    if source.reader != DEFAULT_READER or study.split.allow_missing_regions or not sheets:
        return
    mapped, taken = source.columns.noaa_ar, set(source.columns.mapped().values())
    problems = [
        Problem(
            "holds region numbers, but the study does not use them: a region could lie in two parts",
            f"{_mend(mapped, heading)}, or set split.allow_missing_regions = true",
            source.workbook,
            sheet,
            column=heading,
        )
        for sheet, columns in _columns(source, sheets)
        for heading, cells in columns.items()
        if heading not in taken and _look_like_regions(heading, cells)
    ]
    if problems:
        raise BadInput(problems)


def _mend(mapped: str, heading: str) -> str:
    return f"rename it {mapped!r}, as in the other sheets" if mapped else f"set source.columns.noaa_ar = {heading!r}"


def _columns(source: Source, sheets: Sequence[str]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """The name of each of the ``sheets`` and its columns: heading -> cells."""
    for grid in tables.read(source.root / source.workbook, sheets):
        sheet = grid.sheet(source.header_row)
        headings = {heading: i for i, heading in enumerate(sheet.headings) if heading}
        yield sheet.name, {heading: [line.text(i) for line in sheet.rows] for heading, i in headings.items()}


def _look_like_regions(heading: str, cells: Sequence[str]) -> bool:
    """Whether nearly all filled cells are region numbers, and heading, spelling or repetition says that they are meant so."""
    filled = [cell for cell in cells if not is_nothing(cell) and cell != "0"]
    if sum(bool(_regions(cell)) for cell in filled) < max(0.9 * len(filled), 1):
        return False
    repeated = len(set(filled)) <= len(filled) / 2 and all(map(SDO_NUMBER.fullmatch, filled))
    return repeated or HEADING.search(heading) is not None or all(map(named_as_region, filled))
