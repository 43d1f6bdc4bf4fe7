"""Formats of the files that outlive this program: an older one is upgraded by small pure functions, one per step.

Such a file says ``format = N``; a file without that entry is in format 1. A step takes the contents of a file in one
format and returns them in the next, without changing its argument. Only the loaded data is upgraded: the file itself
stays unchanged until ``sdovis check --upgrade`` is run.
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
    """The format that ``data`` is in. Raises `BadInput` if it is not a number, or is newer than ``steps`` lead to."""
    found = data.get(KEY, 1)
    if type(found) is not int or found < 1:
        raise BadInput(
            Problem(f"{KEY} = {found!r} is not a whole number of at least 1", f"write {newest(steps)}", file)
        )
    if found > newest(steps):
        what = f"is in format {found}, but sdovis {__version__} knows formats only up to {newest(steps)}"
        raise BadInput(Problem(what, f"run pip install 'sdovis>{__version__}'", file))
    return found


def brought_up(data: Mapping[str, Any], steps: Sequence[Step], *, file: str = "") -> dict[str, Any]:
    """``data`` in the newest format, with its number. Raises `BadInput` as `format_of` does."""
    found = dict(data)
    for step in steps[format_of(data, steps, file=file) - 1 :]:
        found = step(found)
    return {**found, KEY: newest(steps)}


# --- the study file ---------------------------------------------------------------------------------------------------

#: Format 1 -> 2: the settings of the reader `srs` have their own table. Old key -> new key, and the default in
#: format 1.
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
    """Format 1 -> 2. A resolved study with another reader spells out the defaults of `srs`: those are dropped."""
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
