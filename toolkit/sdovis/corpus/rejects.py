"""``rejects.csv``: the rows that were left out, written so that no spreadsheet program runs what a cell says.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` is a formula to Excel and LibreOffice, whoever wrote it. Where one
would begin, also behind a semicolon, which separates cells in many countries, an apostrophe is written before it:
spreadsheet programs take the rest for text. `read` takes it away again; where the table itself has apostrophes before such
a sign, there is one more, so that every text reads back exactly.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

FILE = "rejects.csv"
#: Where a cell may begin, and the signs that make it a formula: the last four are those of East Asian keyboards.
_BEGINS = r"(?:^|(?<=[;|\t\r\n]))"
_SIGN = r"(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
_FORMULA, _MARKED = re.compile(_BEGINS + _SIGN), re.compile(f"{_BEGINS}'{_SIGN}")


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before what a spreadsheet program would take for a formula."""
    return table.map(lambda cell: _FORMULA.sub("'", cell) if isinstance(cell, str) else cell)


def write(table: pd.DataFrame, folder: Path) -> None:
    """Write ``folder/rejects.csv``."""
    harmless(table).to_csv(folder / FILE, index=False, lineterminator="\n")


def read(folder: Path) -> pd.DataFrame:
    """The table in ``folder/rejects.csv``, every cell as text."""
    # Without a pass of its own, pandas would take a carriage return within a cell for the end of a line.
    with (folder / FILE).open(encoding="utf-8", newline="") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, lineterminator="\n")
    return table.map(lambda text: _MARKED.sub("", text))
