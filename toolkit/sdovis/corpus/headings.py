"""What a heading says of the numbers below it: their system, unit, direction and kind."""

from __future__ import annotations

import re

from sdovis.errors import Problem

PLACES = ("latitude_deg", "longitude_deg", "location", "x_px", "y_px")


def _words(*words: str) -> str:
    """A pattern of any of ``words`` with no letter beside it: an underscore or a bracket ends a word here."""
    return rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


#: Longitudes that turn with the Sun: hgc_x is HEK's name, CRLN FITS', Lo (or L) that of NOAA's summaries.
_CARRINGTON = _any(
    "carrington", r"(?<![a-z])carr", r"carr(?![a-z])", r"^l[o0]?(?![a-z])", _words("car", "cr", r"crln\w*", "hgc")
)
#: Positions that are neither degrees nor pixels.
_OTHER_UNIT = _any(
    r"arc\s*(?:sec|min)\w*", "helioprojective", r"colat\w*", "[\"″]", "''",
    _words("asec", "hpc", "hpl[nt]", "solar.?[xy]", "[xy]cen", "t_?[xy]", "rad(?:ians?)?", "r_?sun", r"sin\w*", "[ckm]m"),
)  # fmt: skip
_HARP, _NOAA = _any("harp"), _any(_words("noaa", "ars?"))
#: The direction that counts as negative here, how a heading says that it does there too, and how it names it at all.
_NEGATIVE = {
    field: (
        _any(
            rf"(?<![a-z]){ours}\w*\W*(?:is\s*)?(?:pos|\+)",
            rf"(?:pos\w*|\+)\W*(?:to\w*\s*)?(?:the\s*)?{ours}",
            rf"(?<![a-z]){theirs}\w*\W*(?:is\s*)?neg",
            rf"(?<![a-z]){theirs}\w*\s*[-−/]",
            rf"{ours}\w*\s*[-−/]\s*{theirs}",
        ),
        _any(_words(theirs, word)),
    )
    for field, ours, theirs, word in (
        ("longitude_deg", "w", "e", r"east\w*"),
        ("latitude_deg", "n", "s", r"south\w*"),
    )
}


def says_carrington(heading: str) -> bool:
    """Whether longitudes below ``heading`` turn with the Sun."""
    return _CARRINGTON.search(heading) is not None


def fault(field: str, heading: str, text: str) -> Problem | None:
    """Why ``text`` below ``heading`` cannot be what the study takes it for; None if nothing speaks against it."""
    if field == "noaa_ar" and _HARP.search(heading) and not _NOAA.search(heading):
        what = f"the heading {heading!r} names HARPs, whose numbers are not NOAA's"
        return Problem(
            what, "source.columns.noaa_ar names the column of NOAA numbers; HARPs are read from headers", kind="HARP"
        )
    if field in PLACES and (found := _OTHER_UNIT.search(heading)):
        what = f"the heading says {found[0]!r}, and positions are in degrees or pixels"
        return Problem(what, "convert them, and rename the column", kind="unit")
    if field in _NEGATIVE and not re.search(r"[a-z]", text, re.IGNORECASE):
        same, direction = _NEGATIVE[field]
        if not same.search(heading) and (found := direction.search(heading)):
            positive = "west" if field == "longitude_deg" else "north"
            what = f"the heading says {found[0]!r}, and {positive} is positive here"
            return Problem(what, "turn the signs, and rename the column", kind="direction")
    return None
