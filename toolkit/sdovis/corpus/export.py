"""A finished corpus as a workbook for colleagues, which the reader `spreadsheet` can read back."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sdovis import disk
from sdovis.corpus import rejects
from sdovis.corpus.beside import PREFIX
from sdovis.corpus.build import Corpus
from sdovis.corpus.columns import POSITIONS
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.readers.srs_settings import HEADINGS
from sdovis.study import SourceSettings, Study
from sdovis.version import __version__

REGIONS, QUIET, REJECTS, ABOUT = "Active regions", "Quiet Sun", "Rejects", "About"
#: Headings of the columns that the corpus itself gives, and of those that come first among the others.
_POSITIONS = {column.heading: column.name for column in POSITIONS}
_LEADING = tuple(HEADINGS[name] for name in ("kind", "mount_wilson", "mcintosh", "area_msh", "spots"))
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
_WIDEST, _NARROWEST = 60, 8

Row = Mapping[str, Any]


def export(corpus: Corpus, study: Study, path: Path) -> None:
    """Write ``corpus`` to a new .xlsx at ``path``: regions, quiet Sun, rejects, and what it was made from.

    Headings are those of a workbook of active regions, then the joined columns, then the part. The reader `spreadsheet`
    gets the same cutouts and labels from it: positions are not rounded. It appears whole or not at all.

    Raises `Conflict` if ``path`` exists, `BadInput` if it cannot be written or does not end in .xlsx.
    """
    if path.suffix.lower() != ".xlsx":
        raise BadInput(Problem("the workbook's name must end in .xlsx", file=str(path)))
    if path.exists():
        raise Conflict(f"{path}: already exists and was not overwritten; name another file, or remove this one")
    if not path.parent.is_dir():
        raise BadInput(Problem("there is no such folder", "create it first", str(path.parent)))
    quiet = corpus.rows["noaa_ar"].isna() & (corpus.rows["label"].map(lambda i: corpus.classes[i]) == "quiet")
    sheets = {
        REGIONS: _table(corpus.rows[~quiet], study),
        QUIET: _table(corpus.rows[quiet], study),
        REJECTS: _rejects(corpus.folder),
        ABOUT: _about(corpus, study),
    }
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        beside = Path(folder) / path.name
        _write({title: rows for title, rows in sheets.items() if rows}, beside)
        disk.sync(beside)
        try:
            path.hardlink_to(beside)  # unlike a rename, this fails if another process was first
        except FileExistsError:
            raise Conflict(f"{path}: already exists and was not overwritten") from None
        except OSError:  # a file system without links
            beside.replace(path)


def _table(rows: pd.DataFrame, study: Study) -> list[Row]:
    """One row per cutout, by heading; empty columns are left out."""
    extras = [json.loads(text) if text else {} for text in rows.get("extra", [""] * len(rows))]
    label = study.source.columns.label
    known = {"Image", "Image 2", "Image 3", "Observed (UTC)", "NOAA AR", "Part", label, *_POSITIONS}
    beside = {of: PREFIX + name for name, (_, of) in study.source.columns.beside.named.items() if of not in known}
    others = dict.fromkeys([*(name for extra in extras for name in extra), *beside])
    joined = [name for name in others if name not in known]
    table = []
    for row, extra in zip(rows.to_dict("records"), extras, strict=True):
        names = row["image_file"].split("; ")
        cells: dict[str, Any] = {"Image" if i == 1 else f"Image {i}": name for i, name in enumerate(names, 1)}
        cells["Observed (UTC)"] = row["observed"].to_pydatetime().replace(tzinfo=None)
        cells["NOAA AR"] = None if pd.isna(row["noaa_ar"]) else int(row["noaa_ar"])
        named = {label: _label(row["label_text"])} | {name: _value(extra.get(name, "")) for name in joined}
        named |= {name: None if pd.isna(row[column]) else row[column] for name, column in beside.items()}
        leading = [*(name for name in _LEADING if name in named), *([] if label in _LEADING else [label])]
        cells |= {name: named[name] for name in leading}
        cells |= {name: None if pd.isna(row[column]) else float(row[column]) for name, column in _POSITIONS.items()}
        cells |= {name: named[name] for name in joined if name not in leading}
        table.append({**cells, "Part": row["split"]})
    filled = [name for name in table[0] if any(row[name] is not None for row in table)] if table else []
    return [{name: row[name] for name in filled} for row in table]


def _value(text: str) -> Any:
    """A number or time as such, other text unchanged; None if it is empty."""
    if _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".eE") else int(text)
    if _TIME.fullmatch(text):
        return datetime.fromisoformat(text)
    return text or None


def _label(text: str) -> Any:
    """A label keeps its spelling: only a whole number is stored as a number, because it reads back the same."""
    return int(text) if re.fullmatch(r"0|[1-9]\d{0,14}", text) else text


def _rejects(folder: Path) -> list[Row]:
    return [
        {str(name).capitalize(): _value(text) if name == "row" else text for name, text in row.items()}
        for row in rejects.read(folder).to_dict("records")
    ]


def _about(corpus: Corpus, study: Study) -> list[Row]:
    """What the corpus is and what it was made from, one fact per line."""
    facts, source = corpus.facts, study.source
    lines: list[tuple[str, Any]] = [
        ("Study", study.study.title or study.name),
        ("Description", study.study.description),
        ("Simulated", "yes" if facts.simulated else "no"),
        ("Made with", f"sdovis {__version__}"),
        ("Rows", len(corpus.rows)),
        ("Rejected rows", facts.rejects),
        *((f"Part {part}", int(n)) for part, n in corpus.rows["split"].value_counts(sort=False).items()),
        *((f"Class {name}", int((corpus.rows["label"] == i).sum())) for i, name in enumerate(corpus.classes)),
        *((f"Meaning of {name}", meaning) for name, meaning in facts.classes.items()),
        ("Label scheme", f"{facts.scheme.name} version {facts.scheme.version}"),
        *(("Channel", f"{c.name} version {c.version}: {c.title}") for c in facts.view.channels),
        ("Rows read from", source.rows_from),
        ("Images read from", source.images),
        *_named_settings(source.settings),
        ("Licence of the images", source.licence),
        ("Credit", source.credit),
        (
            "Positions",
            "X from the left, Y from the top, first pixel 0; longitude from the central meridian, west positive",
        ),
        ("Corpus manifest (sha256)", corpus.manifest.digest),
        *((f"Made from: {name}", text) for name, text in corpus.manifest.made_from.items() if name not in _LONG),
        *(("study.toml", line) for line in study.to_toml(corpus.folder.parent).splitlines() if line),
    ]
    return [{"What": name, "Value": value} for name, value in lines if value not in ("", None)]


def _named_settings(settings: SourceSettings | None) -> Iterator[tuple[str, Any]]:
    """The reader's settings that have a title: what it joined to the rows and how."""
    for name, field in type(settings).model_fields.items() if settings else ():
        if field.title:
            yield field.title, getattr(settings, name)


_LONG = ("study", "about")


def _write(sheets: Mapping[str, Sequence[Row]], path: Path) -> None:
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    book.remove(book.worksheets[0])
    bold = Font(bold=True)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for place, name in enumerate(rows[0], 1):
            _put(sheet.cell(1, place), name)
            sheet.cell(1, place).font = bold
            for number, row in enumerate(rows, 2):
                _put(sheet.cell(number, place), row[name])
            sheet.column_dimensions[get_column_letter(place)].width = _width(name, (row[name] for row in rows))
        sheet.freeze_panes = "A2"
        sheet.auto_filter.ref = sheet.dimensions
    book.save(path)


def _put(cell: Any, value: Any) -> None:
    """Store a number as a number, a time as a time, and anything else as text, whatever it begins with."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, datetime):
        cell.value, cell.number_format = value, "yyyy-mm-dd hh:mm:ss"
    elif isinstance(value, int | float):
        cell.value = value
        if isinstance(value, float) and 1e-3 <= abs(value) < 1e7:
            cell.number_format = "0.00"
    elif value is not None:
        cell.value = ILLEGAL_CHARACTERS_RE.sub("", value)
        cell.data_type = "s"  # '=1+1' in a table is text, not a formula


def _width(heading: str, values: Iterable[Any]) -> float:
    shown = (f"{v:.2f}" if isinstance(v, float) else "" if v is None else str(v) for v in values)
    return min(max(_NARROWEST, len(heading) + 3, *map(len, shown)), _WIDEST) + 1
