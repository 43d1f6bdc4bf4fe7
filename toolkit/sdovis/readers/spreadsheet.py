"""The reader `spreadsheet`: rows of an Excel workbook or a CSV file, by headings that the study names."""

from __future__ import annotations

import csv
import difflib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, Problem, nearest
from sdovis.readers.rows import RawRow
from sdovis.study import IMAGE_FIELDS, Columns, Reader, Source

#: A workbook is a zip archive. This limits what it unpacks to, so that a small file cannot fill the memory.
MAX_UNPACKED_BYTES = 256 * 2**20
#: Without these a row is meaningless; the others may be missing from a sheet.
REQUIRED = (*IMAGE_FIELDS, "label")


@dataclass(frozen=True)
class Sheet:
    """A sheet as text: its name ('' for CSV), its headings, and the rows below them with their numbers."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def read(source: Source, settings: None = None) -> list[RawRow]:
    """All rows of the sheets that ``source`` names (by default the first sheet), without blank rows.

    Raises `BadInput` with every missing sheet, missing or repeated heading, and formula without a value.
    """
    path = source.root / source.workbook
    sheets = read_sheets(path, source.sheets or None)
    rows, problems = [], []
    file = source.workbook
    for sheet in sheets:
        indices, found = _columns(sheet, source.columns, file)
        problems += found
        headings = {field: sheet.headings[i] for field, i in indices.items()}
        texts: dict[str, str] = {}  # many cells are equal: each text is kept once
        for number, cells in sheet.rows:
            picked = {field: texts.setdefault(cells[i], cells[i]) for field, i in indices.items() if i < len(cells)}
            if any(picked.values()):
                rows.append(RawRow(file, sheet.name, number, picked, headings))
    mapped = source.columns.mapped()
    for field in mapped.keys() - set(REQUIRED):
        if all(mapped[field] not in sheet.headings for sheet in sheets):
            everywhere = tuple(h for sheet in sheets for h in sheet.headings if h)
            problems.append(_missing(mapped[field], field, everywhere, Problem("", file=file)))
    if problems:
        raise BadInput(dict.fromkeys(problems))
    if not rows:
        raise BadInput(Problem("there are no rows below the headings", file=file))
    return rows


def _columns(sheet: Sheet, columns: Columns, file: str) -> tuple[dict[str, int], list[Problem]]:
    """Field -> index of its column, and what is wrong with the headings."""
    indices, problems = {}, []
    here = Problem("", file=file, sheet=sheet.name)
    for field, heading in columns.mapped().items():
        count = sheet.headings.count(heading)
        if count == 1:
            indices[field] = sheet.headings.index(heading)
        elif count > 1:
            problems.append(
                replace(here, column=heading, what=f"the heading occurs {count} times", hint="rename all but one")
            )
        elif field in REQUIRED or _looks_renamed(heading, sheet.headings, columns):
            problems.append(_missing(heading, field, sheet.headings, here))
    for index in indices.values():
        for number, cells in sheet.rows:
            if index < len(cells) and cells[index] == UNCACHED:
                what, hint = "the formula has no stored value", "open the workbook in a spreadsheet program and save it"
                problems.append(replace(here, row=number, column=sheet.headings[index], what=what, hint=hint))
    return indices, problems


def _looks_renamed(heading: str, headings: Sequence[str], columns: Columns) -> bool:
    unclaimed = [h.casefold() for h in headings if h and h not in columns.mapped().values()]
    return bool(difflib.get_close_matches(heading.casefold(), unclaimed, n=1, cutoff=0.75))


def _missing(heading: str, field: str, headings: Iterable[str], where: Problem) -> Problem:
    hint = f"{nearest(heading, tuple(dict.fromkeys(h for h in headings if h)))} (source.columns.{field} asks for it)"
    return replace(where, column=heading, what="there is no column with this heading", hint=hint)


def read_sheets(path: Path, names: Sequence[str] | None = None) -> list[Sheet]:
    """The sheets of an .xlsx or .csv file as text: those in ``names``, or the first if None.

    Raises `BadInput` for a file that is absent, not of the type its name says, too large unpacked, or without a sheet.
    """
    if not path.is_file():
        raise BadInput(Problem("there is no such workbook", "set source.root and source.workbook", str(path)))
    if path.suffix.lower() == ".csv":
        return [_read_csv(path)]
    if path.suffix.lower() not in {".xlsx", ".xlsm"}:
        raise BadInput(Problem("is neither .xlsx nor .csv", "save it as one of these", path.name))
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except zipfile.BadZipFile:
        raise BadInput(Problem("is not an Excel workbook", "save it as .xlsx again", path.name)) from None
    if unpacked > MAX_UNPACKED_BYTES:
        limit = MAX_UNPACKED_BYTES // 2**20
        raise BadInput(Problem(f"unpacks to {unpacked / 2**20:.0f} MB, more than {limit} MB", "split it", path.name))
    return _read_excel(path, names)


def _read_csv(path: Path) -> Sheet:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            sample = file.read(65536)
            file.seek(0)
            delimiter = max(",;\t", key=sample.partition("\n")[0].count)
            lines = [
                (n, tuple(c.strip() for c in cells)) for n, cells in enumerate(csv.reader(file, delimiter=delimiter), 1)
            ]
    except UnicodeDecodeError as error:
        raise BadInput(Problem(f"is not UTF-8 text ({error.reason})", "save it as CSV UTF-8", path.name)) from None
    except csv.Error as error:
        raise BadInput(Problem(f"is not a CSV table: {error}", file=path.name)) from None
    return _sheet("", lines)


#: Stands for a formula whose value is not stored; no cell can contain it (NUL is not allowed in a workbook).
UNCACHED = "\0"


def _read_excel(path: Path, names: Sequence[str] | None) -> list[Sheet]:
    import openpyxl

    # Two passes: a formula without a stored value reads as empty in one and as '=...' in the other.
    try:
        values = openpyxl.load_workbook(path, read_only=True, data_only=True)
        formulas = openpyxl.load_workbook(path, read_only=True)
    except Exception as error:  # openpyxl lets many kinds of error through for a damaged file
        raise BadInput(Problem(f"cannot be read as a workbook: {error}", "save it again", path.name)) from error
    there = [sheet.title for sheet in values.worksheets]  # a chart's tab is not a worksheet
    chosen = list(names) if names else there[:1]
    missing = [name for name in chosen if name not in there]
    if missing:
        raise BadInput(
            Problem("there is no such sheet", nearest(name, there), path.name, sheet=name) for name in missing
        )
    try:
        return [_sheet(name, _merged(values[name], formulas[name])) for name in chosen]
    except Exception as error:  # the sheets are parsed only now
        raise BadInput(Problem(f"a sheet is damaged: {error}", "save it again", path.name)) from error


def _merged(values: Any, formulas: Any) -> Iterator[tuple[int, tuple[str, ...]]]:
    both = zip(values.iter_rows(), formulas.iter_rows(values_only=True), strict=True)
    for number, (cells, raw) in enumerate(both, 1):
        texts = (_text(cell.value) for cell in cells)
        yield (
            number,
            tuple(
                UNCACHED if not text and isinstance(formula, str) and formula.startswith("=") else text
                for text, formula in zip(texts, raw, strict=True)
            ),
        )


def _sheet(name: str, lines: Iterable[tuple[int, tuple[str, ...]]]) -> Sheet:
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        return Sheet(name, (), ())
    return Sheet(name, filled[0][1], tuple(filled[1:]))


def _text(value: Any) -> str:
    """A cell as text: 11076.0 becomes '11076', a date is in ISO format, text is unchanged."""
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def headings_of(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Sheet name -> headings, for every sheet; used by `sdovis init`."""
    (first,) = read_sheets(path)  # with all its checks
    if path.suffix.lower() == ".csv":
        return {"": first.headings}
    import openpyxl

    names = [sheet.title for sheet in openpyxl.load_workbook(path, read_only=True).worksheets]
    return {sheet.name: sheet.headings for sheet in read_sheets(path, names)}


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(read, requires=("workbook",))
