"""The cards of a FITS header: the usual kinds are read here, every other by astropy, and both give the same.

astropy makes an object of each card and looks its own configuration up for each value: a header took it longer than all
the rest of reading a cutout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float

LENGTH = 80
REMARKS = ("COMMENT", "HISTORY")
#: A text without quotes in it, a truth, a whole number or a decimal, and a comment (FITS standard 4.0, section 4.2).
_USUAL = re.compile(
    r"(?=.{8}= )([A-Z0-9_-]+) *= +(?:'([ -&(-~]*)'|([TF])|([+-]?[0-9]+)|([+-]?[0-9]+\.[0-9]*(?:E[+-]?[0-9]+)?)) *(?:/.*)?",
    re.DOTALL,
)


def read(header: str) -> Iterator[tuple[str, Value | None]]:
    """Keyword and value of each card of ``header``, which holds whole cards without CONTINUE; None for what is no value.

    A blank keyword and those of `REMARKS` have their text.
    """
    for at in range(0, len(header), LENGTH):
        card = header[at : at + LENGTH]
        usual = _USUAL.fullmatch(card)
        if usual is None or usual[1] in (*REMARKS, "END"):
            key = card[:8].rstrip()
            yield (key, card[8:].rstrip()) if key in REMARKS else _by_astropy(card)
        elif (text := usual[2]) is not None:
            # astropy takes a text such as 'AXIS.1: 2' for a card of its own.
            yield _by_astropy(card) if ": " in card else (usual[1], text.rstrip())
        elif usual[3]:
            yield usual[1], usual[3] == "T"
        else:
            yield usual[1], int(usual[4]) if usual[4] else float(usual[5])


def of_astropy(card: Any) -> tuple[str, Value | None]:
    """Keyword and value of a card of `astropy.io.fits`, as `read` gives them."""
    from astropy.io.fits import VerifyError

    key = card.keyword
    try:
        value = card.value
    except VerifyError:  # JSOC writes "R_VALUE = nan", which is not valid FITS
        return key, None
    return key, value if isinstance(value, str | int | float) else None


def _by_astropy(text: str) -> tuple[str, Value | None]:
    from astropy.io.fits import Card

    return of_astropy(Card.fromstring(text))
