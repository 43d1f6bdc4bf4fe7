"""The name `swan-sf`: SWAN-SF and other tables of SHARP keywords hold no images, and this says what they are good for here."""

from __future__ import annotations

from typing import NoReturn

from sdovis.errors import BadInput, Problem
from sdovis.study import Reader, Source

WHAT = "SWAN-SF holds time series of SHARP keywords and no images, and what sdovis trains is a network that looks at images"
HINT = (
    "audit its partitions with sdovis audit, as a table with a row for each series; join SHARP keywords to images of the same "
    "regions with source.srs.sharp"
)


def read(source: Source, settings: None) -> NoReturn:
    """Raises `BadInput`, always."""
    raise BadInput(Problem(WHAT, HINT))


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(read)
