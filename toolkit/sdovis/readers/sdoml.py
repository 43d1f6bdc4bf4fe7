"""The reader `sdoml`: SDOML v2, whose images are entries of zarr arrays, with labels from a table by time.

The store is that of SDOML/SDOMLv2 at a84b67f (2024-06-12): groups YEAR/{94A ... 1700A, Bx, By, Bz}, arrays (N, 512, 512), a
list of N values for each FITS keyword. It brings no labels and no parts.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from sdovis.channels.channel import MAX_TIME_GAP
from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.images import isolation
from sdovis.images.address import Address
from sdovis.images.containers import zarr_store
from sdovis.readers import tables
from sdovis.readers.of_channels import IMAGES, told
from sdovis.readers.rows import MadeLine, Origin, RawRow, of_lines
from sdovis.study import IMAGE_FIELDS, Reader, Source, SourceSettings
from sdovis.sun.notation import is_nothing
from sdovis.sun.times import HINT, scale_of, time

#: Channel of a study -> array of the store. Bx and By are no channels: see `channels.data_sets`.
_ARRAYS = {r"aia-(\d+)-precorrected": r"\1A", "hmi-bz": "Bz"}
#: Reading the times of a year: some eighty thousand entries of a few keywords.
SECONDS, BYTES = 120.0, 4 * 2**30


class SdomlSettings(SourceSettings):
    """SDOML v2, and the table whose rows are its labels."""

    store: str = Field(
        min_length=1, pattern=r"\.zarr/?$", description="The store, relative to source.images: a folder named `*.zarr`."
    )
    labels: str = Field(
        min_length=1,
        description="Table of labels (.csv or .xlsx), relative to source.root: a row for each region, or disc, and time. "
        "source.columns names its headings; observed is required, and each row gets the image nearest to it in time.",
    )
    arrays: tuple[str, ...] = Field(
        (), description="Arrays of the store, one for each channel; by default those that the channels' names tell."
    )


def read(source: Source, settings: SdomlSettings) -> list[RawRow]:
    """The rows of the table of labels, each with the images nearest to its time, one for each channel.

    Raises `BadInput` for a store or table that cannot be read; a row without a time, or without an image within 12 minutes,
    has a fault.
    """
    columns = source.columns.mapped()
    if not settings.arrays:
        what = "nothing says which arrays the study's channels are"
        raise BadInput(Problem(what, "use channels such as aia-171-precorrected or hmi-bz, or set source.sdoml.arrays"))
    if "observed" not in columns:
        raise BadInput(Problem("source.columns.observed is not set", "labels are joined to images by their time"))
    store = source.root / source.images / settings.store
    listed = [_times(store, settings.store, array) for array in settings.arrays]
    own = {" ".join(of.split()).casefold(): of for field, of in columns.items() if field not in IMAGE_FIELDS}
    lines: list[MadeLine] = []
    faults: dict[Origin, list[Problem]] = {}
    needed = [name for name, of in own.items() if of in (columns["label"], columns["observed"])]
    for number, cells in tables.rows(source.root / settings.labels, needed):
        origin = (settings.labels, "", number)
        texts = {own.get(name, name): text for name, text in cells.items()}
        heading = columns["observed"]
        images, problem = _nearest(texts.get(heading, ""), heading, listed, source)
        if problem is not None:
            faults[origin] = [Problem(*problem, settings.labels, "", number, heading, "no image")]
        lines.append((origin, {**dict(zip(IMAGES, images, strict=False)), **texts}))
    if faults and source.on_problem == "error":
        raise BadInput([each for of in faults.values() for each in of])
    return of_lines(lines, columns, "sdoml", faults=faults)


Listed = tuple[list[datetime], list[str]]


def _nearest(
    text: str, heading: str, listed: Sequence[Listed], source: Source
) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The images nearest to the time that a cell names, or what is wrong and what to do about it."""
    blank = ("",) * len(listed)
    if is_nothing(text):
        return blank, ("the time of observation is unknown", HINT)
    try:
        wanted = time(text, scale=scale_of(heading), order=source.date_order)
    except BadInput as error:
        return blank, (error.problems[0].what, error.problems[0].hint)
    found = []
    for times, names in listed:
        at = bisect.bisect_left(times, wanted)
        near = min(range(max(at - 1, 0), min(at + 1, len(times))), key=lambda i: abs(times[i] - wanted), default=None)
        if near is None or abs(times[near] - wanted) > MAX_TIME_GAP:
            gap = MAX_TIME_GAP.total_seconds() / 60
            return blank, (
                f"the store has no image within {gap:g} minutes of {wanted:%Y-%m-%d %H:%M}",
                "leave the row out",
            )
        found.append(names[near])
    return tuple(found), None


def _times(store: Path, name: str, array: str) -> Listed:
    """The times of an array's images in all years, in order, and the images' addresses relative to the images' folder."""
    groups = sorted(path.name for path in store.iterdir() if (path / array).is_dir()) if store.is_dir() else []
    if not groups:
        what = f"has no array {array!r} in any of its groups" if store.is_dir() else "there is no such store"
        raise BadInput(Problem(what, "set source.sdoml.store, relative to source.images", name))
    dated: list[tuple[datetime, str]] = []
    for group in groups:
        address = Address.entry(store, f"{group}/{array}")
        times = isolation.isolated(zarr_store.times, address, seconds=SECONDS, memory_bytes=BYTES)
        if isinstance(times, UnreadableImage):
            raise BadInput(Problem(times.why, file=f"{name}::{group}/{array}"))
        entries = (str(Address.entry(name, f"{group}/{array}", index)) for index in range(len(times)))
        dated += [(when, entry) for when, entry in zip(times, entries, strict=True) if when is not None]
    if not dated:
        raise BadInput(Problem(f"no image of {array} has a time", "its attributes should have T_OBS", name))
    dated.sort()
    return [when for when, _ in dated], [entry for _, entry in dated]


def _fills_in(study: Mapping[str, Any]) -> dict[str, Any]:
    image, arrays = told(study, _ARRAYS)
    return {"columns": {"image": image}, **({"sdoml": {"arrays": arrays}} if arrays else {})}


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(read, settings=SdomlSettings, fills_in=_fills_in, rows_from=lambda source, settings: settings.labels)
