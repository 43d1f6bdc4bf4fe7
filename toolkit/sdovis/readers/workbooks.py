"""Excel workbooks (.xlsx, .xlsm): cells as their readers see them, and how their rows are marked.

A workbook is opened in a child process: one that hangs its parser, or fills the memory, costs only itself.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from sdovis.errors import BadInput, Problem, nearest
from sdovis.images import isolation
from sdovis.images.isolation import Death
from sdovis.readers import sheet_xml
from sdovis.readers.grid import HIDDEN, STRUCK, TOP_ROWS, Grid, Line, Merged, Wanted, error_shown

T = TypeVar("T")
#: Limits of the child that reads a workbook. What a person keeps is read at 70 kB a second or more, by a busy machine too.
SECONDS, BYTES_PER_SECOND = 8.0, 16_000
MEMORY_BYTES = 3 * 2**28
IMPORTS = ("sdovis.readers.workbooks", "openpyxl")

#: A workbook is a zip archive. This limits what it unpacks to, so that a small file cannot fill the memory.
MAX_UNPACKED_BYTES = 256 * 2**20
UNCOMPUTED = Problem("the formula has no stored value", "open the workbook in a spreadsheet program and save it")

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_UNCOMPUTED_BOOK = re.compile(rb"fullCalcOnLoad\s*=\s*[\"'](1|true)[\"']")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # ISO/IEC 29500-1, 22.9.2.19
_RAISED = str.maketrans("0123456789+-=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾")
_LOWERED = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
_PLACED = {"superscript": _RAISED, "subscript": _LOWERED}
#: A letter that a number format adds to a number: 0.0"W" and 0\\N.
_LETTER = re.compile(r'["\\][\s°º]*([NSEW])[\s.°º]*(?:"|$)')
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"


@dataclass(frozen=True)
class Tabs:
    """The worksheets of a workbook, in order: those that are shown, and those that are hidden."""

    shown: tuple[str, ...]
    hidden: tuple[str, ...]


def tabs(path: Path) -> Tabs:
    """The names of a workbook's sheets. Raises `BadInput` as `read` does."""
    return _isolated(_tabs_of, path)


def read(path: Path, names: Sequence[str] | None = None, wanted: Wanted | None = None) -> list[Grid]:
    """The sheets in ``names``, or the first that is not hidden if None.

    With ``wanted``, other columns' cells are left out below the top rows, unless ranges merge columns. Raises `BadInput` for
    a file that is no workbook, is damaged, unpacks to too much, takes too long for its size, or lacks a sheet.
    """
    return _isolated(partial(_grids, names=names, wanted=wanted), path)


def _isolated(function: Callable[[Path], T], path: Path) -> T:
    """``function`` of a workbook in a child process. Raises `BadInput` with what it raises there, also if that dies."""
    seconds = SECONDS + path.stat().st_size / BYTES_PER_SECOND
    work = partial(_answered, function)
    answer = isolation.isolated(work, path, seconds=seconds, memory_bytes=MEMORY_BYTES, imports=IMPORTS)
    if isinstance(answer, Death):
        hint = "copy the rows that are meant into a new workbook, or save it as CSV UTF-8"
        raise BadInput(Problem(f"cannot be read: {answer.why}", hint, path.name))
    found, problems = answer
    if problems:
        raise BadInput(problems)
    assert found is not None
    return found


def _answered(function: Callable[[Path], T], path: Path) -> tuple[T | None, tuple[Problem, ...]]:
    """In the child: what ``function`` gives, or the problems that it raises, which an exception would lose on its way."""
    try:
        return function(path), ()
    except BadInput as error:
        return None, error.problems


def _tabs_of(path: Path) -> Tabs:
    return _tabs(_opened(path))


def _grids(path: Path, names: Sequence[str] | None, wanted: Wanted | None) -> list[Grid]:
    book = _opened(path)
    there = _tabs(book)
    chosen = list(names or (there.shown or there.hidden)[:1])
    known = (*there.shown, *there.hidden)
    if not known:
        raise BadInput(Problem("has no worksheet", file=path.name))
    if missing := [name for name in chosen if name not in known]:
        raise BadInput(
            Problem("there is no such sheet", nearest(name, known), path.name, sheet=name) for name in missing
        )
    try:
        with warnings.catch_warnings():  # openpyxl warns of what it does not support and nobody asked for
            warnings.simplefilter("ignore")
            return [_grid(book, name, wanted) for name in chosen]
    except MemoryError:
        raise
    except Exception as error:  # the sheets are parsed only now
        raise BadInput(Problem(f"a sheet is damaged: {error}", "save it again", path.name)) from error


def _opened(path: Path) -> Any:
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                what = f"unpacks to {unpacked / 2**20:.0f} MB, more than {MAX_UNPACKED_BYTES // 2**20} MB"
                raise BadInput(Problem(what, "split it", path.name))
            source = _transitional(archive) or path
    except OSError as error:
        raise BadInput(Problem(f"cannot be read: {error.strerror or error}", file=path.name)) from error
    except (BadInput, MemoryError):
        raise
    except Exception:  # zipfile trusts an archive's directory: versions, names and sizes of damaged ones raise anything
        raise BadInput(_no_workbook(path)) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return openpyxl.load_workbook(source, read_only=True, data_only=True, rich_text=True)
    except MemoryError:
        raise
    except Exception as error:  # openpyxl lets many kinds of error through for a damaged file
        raise BadInput(Problem(f"cannot be read as a workbook: {error}", "save it again", path.name)) from error


def _no_workbook(path: Path) -> Problem:
    with path.open("rb") as file:
        if file.read(4) == b"\xd0\xcf\x11\xe0":
            what = "is an Excel workbook of the old kind, or protected by a password"
            return Problem(what, "save it as .xlsx without a password", path.name)
    return Problem("is not an Excel workbook", "save it as .xlsx again", path.name)


def _transitional(archive: zipfile.ZipFile) -> IO[bytes] | None:
    """A copy of a workbook in strict OOXML with the names of the usual kind, which openpyxl reads; else None.

    The two differ in the namespaces, and in that dates may be ISO texts (ISO/IEC 29500-1 and -4).
    """
    books = [name for name in archive.namelist() if name.endswith("workbook.xml")]
    if not any(_STRICT.search(archive.read(name)) for name in books):
        return None
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as usual:
        for info in archive.infolist():
            data = archive.read(info)
            xml = info.filename.endswith((".xml", ".rels"))
            usual.writestr(info.filename, _STRICT.sub(_TRANSITIONAL, data) if xml else data)
    return copy


def _tabs(book: Any) -> Tabs:
    sheets = book.worksheets  # a chart's tab is not a worksheet
    shown = tuple(sheet.title for sheet in sheets if sheet.sheet_state == "visible")
    return Tabs(shown, tuple(sheet.title for sheet in sheets if sheet.title not in shown))


def _grid(book: Any, name: str, wanted: Wanted | None) -> Grid:
    parser, looks = _parser(book, name), _Looks(book[name])
    lines: list[Line] = []
    kept: frozenset[int] | None = None  # None: all columns
    for number, cells in parser.parse():
        if wanted and kept is None and len(lines) >= TOP_ROWS and number > (wanted.header_row or 0) + TOP_ROWS:
            kept = None if parser.shares_values else wanted.columns(lines)
            wanted = None
        texts, faults, struck = [""] * max((cell["column"] for cell in cells), default=0), {}, False
        for cell in cells:
            index, text = cell["column"] - 1, _text(cell["value"])
            texts[index] = text
            if cell["uncomputed"]:
                faults[index] = UNCOMPUTED
            elif shown := error_shown(text):
                faults[index] = shown
            elif (gone := _struck_runs(cell["value"])) == text:
                struck |= bool(text)
            elif gone:
                what = f"part of the cell is struck through: {gone!r} of {text!r}"
                faults[index] = Problem(what, "delete what is not meant")
            elif text and cell["style_id"]:
                struck |= looks.struck(cell)
                if looks.percent(cell):
                    what = f"the cell is a percentage: it shows {100 * cell['value']:g}% and holds {text}"
                    faults[index] = Problem(what, "format it as a number")
                elif looks.turned(cell):
                    what = f"the cell shows a direction against the sign of what it holds, {text}"
                    faults[index] = Problem(what, "format it as a number, and correct the sign")
        if any(texts) or faults:
            if kept is not None:  # a row of other columns stays, so that it is not taken for a blank one
                texts = [text if index in kept else "" for index, text in enumerate(texts[: max(kept, default=-1) + 1])]
                faults = {index: fault for index, fault in faults.items() if index in kept}
            hidden = (HIDDEN,) if number in parser.hidden else ()
            lines.append(Line(number, tuple(texts), (*hidden, STRUCK) if struck else hidden, faults))
    ranges = parser.merged_cells.mergeCell if parser.merged_cells else ()
    merged = tuple(Merged(m.coord, m.min_row, m.max_row, m.min_col - 1, m.max_col - 1) for m in ranges)
    return Grid(name, tuple(lines), merged).with_separate_ranges()


class _Looks:
    """How cells look, by their style; each style is looked up once."""

    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet
        self._known: dict[int, tuple[bool, str]] = {}

    def struck(self, cell: dict[str, Any]) -> bool:
        """Whether the cell's text is struck through."""
        return self._of(cell)[0]

    def percent(self, cell: dict[str, Any]) -> bool:
        """Whether the cell shows its number as a percentage."""
        return "%" in self._of(cell)[1] and not isinstance(cell["value"], str)

    def turned(self, cell: dict[str, Any]) -> bool:
        """Whether the cell shows its number with E or S although it is positive, or with W or N although it is negative."""
        sections = self._of(cell)[1].split(";")
        if not isinstance(cell["value"], int | float) or not cell["value"]:
            return False
        negative = cell["value"] < 0
        letter = _LETTER.search(sections[negative and len(sections) > 1])
        return letter is not None and (letter[1] in "WN") == negative

    def _of(self, cell: dict[str, Any]) -> tuple[bool, str]:
        from openpyxl.cell.read_only import ReadOnlyCell

        style = cell["style_id"]
        if style not in self._known:
            read_only = ReadOnlyCell(self._sheet, cell["row"], cell["column"], None, style_id=style)
            self._known[style] = bool(read_only.font.strike), read_only.number_format
        return self._known[style]


def _parser(book: Any, name: str) -> Any:
    """openpyxl's parser of a sheet, which also notes hidden rows and formulas without a value.

    The parser is used directly because a sheet opened to be read only tells nothing of merged cells and hidden rows and
    trusts the size that the sheet states of itself, which may be out of date; one loaded whole takes ten times the memory.
    """
    from openpyxl.worksheet._reader import FORMULA_TAG, VALUE_TAG, WorkSheetParser

    # Programs that write formulas without computing them ask for that, and some store 0 in the meantime.
    books = [part for part in book._archive.namelist() if part.endswith("workbook.xml")]
    asks = any(_UNCOMPUTED_BOOK.search(book._archive.read(part)) for part in books)

    class Parser(WorkSheetParser):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.hidden: set[int] = set()
            self.sheet_format: Any = None
            self.shares_values = shares_values

        def parse_row(self, row: Any) -> Any:
            if not any(map(len, row)):  # cells with a format and no value
                del row[:]
            number, cells = super().parse_row(row)
            look = self.row_dimensions.pop(str(number), {})
            all_hidden = self.sheet_format is not None and self.sheet_format.zeroHeight
            if look.get("hidden", "1" if all_hidden else "0") in ("1", "true") or float(look.get("ht", 1)) == 0:
                self.hidden.add(number)
            return number, cells

        def parse_cell(self, element: Any) -> Any:
            cell = super().parse_cell(element)
            cell["uncomputed"] = False
            if element.find(FORMULA_TAG) is not None:
                value = element.find(VALUE_TAG)
                stored = value is not None and (value.text or element.get("t") == "str")
                cell["uncomputed"] = not stored or (asks and value.text == "0")
            return cell

    sheet = book[name]
    with sheet._get_source() as source:
        xml = source.read()
    shares_values = sheet_xml.merges_columns(xml)
    return Parser(
        io.BytesIO(sheet_xml.without_blank_tail(xml)),
        sheet._shared_strings,
        data_only=True,
        rich_text=True,
        epoch=book.epoch,
        date_formats=book._date_formats,
        timedelta_formats=book._timedelta_formats,
    )


def _text(value: Any) -> str:
    """A cell as text: 11076.0 becomes '11076', a date is in ISO format, text is unchanged but for escapes (_x000D_)."""
    if value is None:
        return ""
    if isinstance(value, list):  # openpyxl's rich text: runs that differ in font
        value = "".join(run if isinstance(run, str) else _as_placed(run) for run in value)
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value).strip()
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _as_placed(run: Any) -> str:
    """A run of rich text with raised and lowered figures as such: a footnote's mark is not part of a number."""
    return str(run.text.translate(_PLACED.get(run.font.vertAlign, {})))


def _struck_runs(value: Any) -> str:
    """What is struck through in rich text; the style of a cell strikes all of it."""
    runs = value if isinstance(value, list) else []
    return "".join(run.text for run in runs if not isinstance(run, str) and run.font.strike).strip()
