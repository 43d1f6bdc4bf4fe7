"""A sheet's XML as bytes, before it is parsed: what need not be parsed, found at the speed of a search.

Formatting a whole column leaves a cell for each row that a sheet can have: 100,000 blank rows take a parser 18 s.
"""

from __future__ import annotations

import re

_CHUNK, _OVERLAP = 2**20, 2**10
#: Tags may have a prefix: <x:v>. A cell's value is in <v>, <is> or, if nobody computed it, only a formula in <f>.
_VALUE = re.compile(rb"<(?:[^\s<>/:]+:)?(?:v|is|f)[\s>/]")
_ROW_ENDS = re.compile(rb"</(?:[^\s<>/:]+:)?row\s*>")
_ROWS_END = re.compile(rb"</(?:[^\s<>/:]+:)?sheetData\s*>")
_MERGED = re.compile(rb"<(?:[^\s<>/:]+:)?mergeCell\s")
_IN_ONE_COLUMN = re.compile(rb"<(?:[^\s<>/:]+:)?mergeCell\s+ref=\"\$?([A-Z]+)\$?\d+:\$?\1\$?\d+\"")


def without_blank_tail(xml: bytes) -> bytes:
    """``xml`` without the rows below the last cell that holds something.

    Unchanged if they cannot be told without parsing: where there are comments, or the encoding is not like ASCII.
    """
    if b"<!--" in xml or b"<![CDATA[" in xml:
        return xml
    end = _last(_ROWS_END, xml, len(xml))
    value = _last(_VALUE, xml, end) if end > 0 else -1
    row_ends = _ROW_ENDS.search(xml, value, end) if value > 0 else None
    return xml if row_ends is None else xml[: row_ends.end()] + xml[end:]


def merges_columns(xml: bytes) -> bool:
    """Whether a merged range may reach over several columns: then a column's values may stand in another's cells."""
    end = _last(_ROWS_END, xml, len(xml))
    return end < 0 or len(_MERGED.findall(xml, end)) != len(_IN_ONE_COLUMN.findall(xml, end))


def _last(pattern: re.Pattern[bytes], xml: bytes, end: int) -> int:
    """Where the last match before ``end`` begins; -1 if there is none."""
    for at in range(end, 0, -_CHUNK):
        found = [match.start() for match in pattern.finditer(xml, max(at - _CHUNK, 0), min(at + _OVERLAP, end))]
        if found:
            return found[-1]
    return -1
