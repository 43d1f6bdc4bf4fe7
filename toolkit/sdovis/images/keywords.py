"""The keywords of FITS files that were exported without them: a table as drms gives it, one row a record.

JSOC's as-is protocol sends a segment as it is stored, with no keyword but those of its array. The record's keywords come
from ``drms.Client().query(...)``, which gives a pandas table; its ``to_csv`` writes the file that is read here.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.images.headers import within_floats

_TIME = re.compile(r"(\d{4})\D?(\d\d)\D?(\d\d)\D(\d\d)\D?(\d\d)\D?(\d\d)")
_TIMES = ("T_REC", "T_OBS", "DATE-OBS")
#: A record as drms names it: hmi.sharp_720s[377][2011.02.15_00:00:00_TAI].
_RECORD = re.compile(r"\w+\.\w+((?:\[[^\]]*\])+)(?:\{.*\})?")
_KEYS = "record's keys"
#: What drms writes for a keyword without a value.
_MISSING = ("", "missing", "invalid keylink", "nan")


@dataclass(frozen=True)
class Keywords:
    """The rows of a table of keywords, as FITS cards; ``file`` is the table's name, ``sha256`` that of its bytes."""

    file: str
    rows: tuple[Mapping[str, Any], ...]
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Keywords:
        """Raises `BadInput` if there is no such table, or it cannot tell its rows apart."""
        import pandas as pd

        try:
            data = path.read_bytes()
            table = pd.read_csv(io.BytesIO(data), low_memory=False)
        except FileNotFoundError:
            raise BadInput(
                Problem("there is no such table of keywords", "correct source.keywords", str(path))
            ) from None
        except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
            raise BadInput(Problem(f"the table of keywords cannot be read: {error}", file=str(path))) from error
        rows = tuple(_cards(row) for row in table.to_dict("records"))
        if not any(set(_TIMES) & row.keys() for row in rows):
            hint = "write it with drms: Client().query(records, key='**ALL**', convert_numeric=False).to_csv(...)"
            raise BadInput(Problem("has no column T_REC, so its rows cannot be joined to files", hint, str(path)))
        if rows and all(row.get("QUALITY") == "" for row in rows):
            # drms 0.9.0 makes numbers of hexadecimal texts, and with pandas 3 makes nothing of them.
            hint = "write it with drms: Client().query(..., convert_numeric=False).to_csv(...)"
            raise BadInput(Problem("its column QUALITY is empty in every row", hint, str(path)))
        return cls(path.name, rows, hashlib.sha256(data).hexdigest())

    def cards_of(self, name: str) -> Mapping[str, Any]:
        """The cards of the record that the file ``name`` holds; empty if the table has none.

        A row names the file, or the file's name has the row's time and, of a SHARP, its HARPNUM, as the names have that
        drms gives. Raises `UnreadableImage` if several rows fit.
        """
        file = PurePath(name).name
        found = [row for row in self.rows if any(isinstance(v, str) and PurePath(v).name == file for v in row.values())]
        if len(found) != 1:
            found = [row for row in self.rows if _fits(row, file)]
        for key in ("WAVELNTH", "CAMERA"):  # not in the name of every series
            if len(found) > 1:
                found = [row for row in found if _has(file, row.get(key))] or found
        if len(found) > 1:
            hint = "keep the names that drms gives files, or add a column with the names"
            raise UnreadableImage(name, f"{len(found)} rows of {self.file} fit it", hint)
        return {key: value for key, value in found[0].items() if key != _KEYS} if found else {}


def _cards(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row under FITS' names: drms writes DATE__OBS for DATE-OBS, as its keywords may not have a hyphen."""
    cards: dict[str, Any] = {}
    for key, value in row.items():
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, str) and (record := _RECORD.fullmatch(plain.strip())):
            keys = record[1].strip("[]").split("][")
            cards[_KEYS] = [each for each in keys if each.isdigit()]
            if times := [each for each in keys if _TIME.search(each)]:
                cards["T_REC"] = times[0]
        elif plain == plain and str(plain).strip().lower() not in _MISSING:
            cards[str(key).replace("__", "-")] = within_floats(plain)
        elif key == "QUALITY":
            cards[key] = ""  # not the same as a table without that column: nothing says that the image is good
    return cards


def _fits(row: Mapping[str, Any], file: str) -> bool:
    seen = _digits(file)
    if not seen or seen not in {_digits(str(row[key])) for key in _TIMES if key in row}:
        return False
    numbers = [*row.get(_KEYS, ()), *([row["HARPNUM"]] if "HARPNUM" in row else [])]
    return all(_has(file, number) for number in numbers)


def _digits(text: str) -> str:
    found = _TIME.search(text)
    return "".join(found.groups()) if found else ""


def _has(file: str, value: object) -> bool:
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    return number in re.split(r"[._]", file)
