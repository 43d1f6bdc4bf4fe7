"""Text tables (.csv, .tsv, .txt): their encoding, their separator, and quotes that were never closed."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sdovis.errors import BadInput, Problem
from sdovis.readers.grid import Grid, Line, error_shown

MAX_TEXT_BYTES = 512 * 2**20
#: Of two separators that divide as many rows alike, the earlier is meant: the others occur in texts and numbers.
SEPARATORS = "\t|;,"
SAMPLE_ROWS = 100
UNCLOSED = "close it, or write a quote that belongs to a cell as two"

_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
_BOMS |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive, such as an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind",
}


def text_of(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16, with or without a byte-order mark. Raises `BadInput` for any other."""
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise BadInput(Problem(f"is larger than {MAX_TEXT_BYTES // 2**20} MB", "split it", path.name))
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(Problem(f"cannot be read: {error.strerror or error}", file=path.name)) from error
    for magic, name in _OTHER_FILES.items():
        if data.startswith(magic):
            raise BadInput(
                Problem(f"is not a text table: it is {name}", "rename it or save it as CSV UTF-8", path.name)
            )
    encoding = next((name for bom, name in _BOMS.items() if data.startswith(bom)), _unmarked(data))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8 text (line {line}, byte 0x{data[error.start]:02x}), perhaps Latin-1 or Windows-1252"
        if encoding != "utf-8":
            what = f"is not {encoding.upper()} text, though it begins like it: {error.reason}"
        raise BadInput(Problem(what, "save it as CSV UTF-8", path.name)) from None
    if "\0" in text:
        raise BadInput(Problem("is not a text table: it contains NUL", "save it as CSV UTF-8", path.name))
    return text


def _unmarked(data: bytes) -> str:
    """UTF-16 that lacks its mark has a zero in every other byte, as tables are mostly ASCII."""
    head = data[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) / 4 and min(even, odd) == 0:
        return "utf-16-be" if even else "utf-16-le"
    return "utf-8"


def read(path: Path) -> Grid:
    """The table in a text file. Raises `BadInput` for a file that is none, or quotes that swallow rows."""
    text = text_of(path)
    skipped = 0
    said = re.match(r"\"?sep=(.)\"?\r?\n", text, re.IGNORECASE)  # Excel's own line for the separator
    if said:
        text, skipped = text[said.end() :], 1
    separator = said[1] if said else _separator(text, path)
    lines, problems = [], []
    for number, (first, last, cells) in enumerate(_records(text, separator, path, skipped), skipped + 1):
        if any(_swallows(cell, separator, len(cells)) for cell in cells):
            what = (
                f"a quote that opens in line {first} closes only in line {last}, and the lines between look like rows"
            )
            problems.append(Problem(what, UNCLOSED, path.name))
        texts = tuple(map(str.strip, cells))
        if any(texts):
            faults = {index: fault for index, cell in enumerate(texts) if (fault := error_shown(cell))}
            lines.append(Line(number, texts, (), faults))
    if problems:
        raise BadInput(problems)
    return Grid("", tuple(lines), text=True)


def _records(text: str, separator: str, path: Path, skipped: int = 0) -> Iterator[tuple[int, int, list[str]]]:
    """Each record with its first and last line, counted from 1 after those ``skipped``. Raises `BadInput`."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    first = 1
    try:
        for cells in reader:
            yield skipped + first, skipped + reader.line_num, cells
            first = reader.line_num + 1
    except csv.Error as error:
        what = f"a quote in line {skipped + first} does not end where its cell ends ({error})"
        raise BadInput(Problem(what, UNCLOSED, path.name)) from None


def _swallows(cell: str, separator: str, width: int) -> bool:
    """Whether a cell holds whole rows: as many line breaks and separators as an unclosed quote would swallow."""
    breaks = cell.count("\n") or cell.count("\r")
    return breaks > 0 and width > 1 and cell.count(separator) == breaks * (width - 1)


def _separator(text: str, path: Path) -> str:
    """The separator that divides the most of the first rows into the same number of cells."""
    counts = {separator: _rows_alike(text, separator, path) for separator in SEPARATORS}
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts[best] else ","


def _rows_alike(text: str, separator: str, path: Path) -> int:
    widths: Counter[int] = Counter()
    try:
        for _, _, cells in islice(_records(text, separator, path), SAMPLE_ROWS):
            widths[len(cells)] += any(cells) and len(cells) > 1
    except BadInput:  # a quote is reported when the table is read
        pass
    return max(widths.values(), default=0)
