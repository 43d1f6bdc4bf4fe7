"""Formats of the files that outlive this program: an older one is brought up by small pure functions, one a step.

Such a file says ``format = N``; one that says nothing is of format 1. A step takes what a file of one format holds and
returns the same in the next format, without changing what it was given. Only what is loaded is brought up: the file
itself stays until somebody asks for it (``sdovis check --upgrade``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sdovis.errors import BadInput, Problem
from sdovis.version import __version__

KEY = "format"

Step = Callable[[Mapping[str, Any]], dict[str, Any]]


def newest(steps: Sequence[Step]) -> int:
    """The format that ``steps`` lead to."""
    return 1 + len(steps)


def format_of(data: Mapping[str, Any], steps: Sequence[Step], *, file: str = "") -> int:
    """The format that ``data`` is in. Raises `BadInput` where it is not a number, or is newer than ``steps`` lead to."""
    found = data.get(KEY, 1)
    if type(found) is not int or found < 1:
        raise BadInput(Problem(f"{KEY} = {found!r} is not a whole number from 1", f"write {newest(steps)}", file))
    if found > newest(steps):
        what = f"is of format {found}, and sdovis {__version__} knows formats up to {newest(steps)}"
        raise BadInput(Problem(what, f"pip install 'sdovis>{__version__}'", file))
    return found


def brought_up(data: Mapping[str, Any], steps: Sequence[Step], *, file: str = "") -> dict[str, Any]:
    """``data`` in the newest format, with its number. Raises `BadInput` as `format_of` does."""
    found = dict(data)
    for step in steps[format_of(data, steps, file=file) - 1 :]:
        found = step(found)
    return {**found, KEY: newest(steps)}


# --- the study file ---------------------------------------------------------------------------------------------------

#: Format 1 -> 2: the settings of the reader `srs` have a table of their own. Old key -> new key, and what format 1 took
#: where nothing was written.
SRS_MOVED = {
    "srs": ("summaries", ""),
    "srs_max_gap_hours": ("max_gap_hours", 24.0),
    "files": ("files", "*"),
    "quiet_per_image": ("quiet_per_image", 2),
    "quiet_distance_deg": ("quiet_distance_deg", 25.0),
    "quiet_seed": ("quiet_seed", None),
    "flares": ("flares", ""),
    "flare_class": ("flare_class", ""),
    "flare_hours": ("flare_hours", None),
    "sharp": ("sharp", ""),
    "sharp_max_gap_hours": ("sharp_max_gap_hours", 12.0),
    "harps": ("harps", ""),
}  # fmt: skip

#: Keys of older study files -> where they are now.
MOVED = {f"source.{old}": f"source.srs.{new}" for old, (new, _) in SRS_MOVED.items()}


def _srs_table(data: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 -> 2. A resolved study of another reader spells out what `srs` would have taken: that says nothing."""
    source = data.get("source")
    if not isinstance(source, Mapping):
        return dict(data)
    unused = source.get("reader", "spreadsheet") != "srs"
    kept: dict[str, Any] = {}
    table: dict[str, Any] = {}
    for key, value in source.items():
        if key not in SRS_MOVED or isinstance(value, Mapping):  # [source.srs] may be there already
            kept[key] = value
            continue
        name, default = SRS_MOVED[key]
        if not (unused and value == default):
            table[name] = value
    if table:
        kept["srs"] = table | dict(kept.get("srs", {}))
    return {**data, "source": kept}


STUDY: tuple[Step, ...] = (_srs_table,)

# --- the manifests of a run's folders ---------------------------------------------------------------------------------

MANIFEST: tuple[Step, ...] = ()
