"""The reader `suryabench`: SuryaBench's flare index (CSV) and its core set, a NetCDF file for each time.

The index is that of NASA-IMPACT/SuryaBench at a8f198b (``flare/flare_index_creator.py``: timestep, max_goes_class,
cumulative_index, label_max, label_cum) with the parts of ``flare/flare_split.py`` at cd6ac64: train.csv, validation.csv,
test.csv, and leaky_validation.csv, the days between. The core set has an index of its own (path, timestep, present:
``HelioFM/datasets/helio.py`` at a8f198b) and variables aia94 ... hmi_v (NASA-IMPACT/Surya at 1227cb8,
``downstream_examples/solar_flare_forcasting/config.yaml``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from sdovis.errors import BadInput, Problem
from sdovis.images.address import Address
from sdovis.readers import tables
from sdovis.readers.of_channels import IMAGES, told
from sdovis.readers.rows import MadeLine, RawRow, of_lines
from sdovis.study import Reader, Source, SourceSettings
from sdovis.sun.times import time

TIME, PART, BUFFER = "Observed (UTC)", "split", "leaky_validation"
#: What the index calls the time, in its editions.
TIMES = ("timestep", "timestamp")
#: Channel of a study -> variable of the core set. hmi_bx, hmi_by and hmi_v are no channels.
_VARIABLES = {
    r"aia-(94|131|171|193|211|304|335|1600)-precorrected": r"aia\1", "hmi-magnetogram": "hmi_m", "hmi-bz": "hmi_bz",
}  # fmt: skip
#: The paths of an index are those of the machine that wrote it: at most so many of their last parts are looked for.
TAIL = 3


class SuryabenchSettings(SourceSettings):
    """SuryaBench's flare labels, and the index of the images that they are of."""

    flares: tuple[str, ...] = Field(
        ("train.csv", "validation.csv", "test.csv"),
        min_length=1,
        description="The flare index, a file for each part, relative to source.root; a file's name is that of its part.",
    )
    index: str = Field(
        min_length=1,
        description="Index of the images (.csv with path, timestep, present), relative to source.root. Of a path as the index "
        "has it, the last parts are looked for under source.images.",
    )
    variables: tuple[str, ...] = Field(
        (), description="Variables of the files, one for each channel; by default those that the channels' names tell."
    )


def read(source: Source, settings: SuryabenchSettings) -> list[RawRow]:
    """A row for each time of the flare index of which there is an image; its other columns travel along.

    Raises `BadInput` for tables that cannot be read, columns that are missing, and if no time has an image.
    """
    if not settings.variables:
        what = "nothing says which variables the study's channels are"
        raise BadInput(Problem(what, "use channels such as aia-171-precorrected, or set source.suryabench.variables"))
    lines = [line for line, found in _lines(source, settings) if found]
    if not lines:
        hint = "set source.images to the folder of the NetCDF files"
        raise BadInput(Problem("no time of the flare index has an image", hint, settings.index))
    return of_lines(lines, source.columns.mapped(), "suryabench")


def _lines(source: Source, settings: SuryabenchSettings) -> Iterator[tuple[MadeLine, bool]]:
    """Each row of the flare index, and whether there is an image of its time."""
    files = _files(source, settings)
    for name in settings.flares:
        for number, cells in _table(source.root / name, ("label_max", "label_cum")):
            when = _when(cells)
            path = files.get(time(when))
            images = (str(Address.entry(path, variable)) if path else "" for variable in settings.variables)
            rest = {heading: text for heading, text in cells.items() if heading not in TIMES}
            texts = {TIME: when, PART: PurePosixPath(name).stem, **dict(zip(IMAGES, images, strict=False)), **rest}
            yield ((name, "", number), texts), path is not None


def _table(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    rows = tables.rows(path, needed)
    if not any(name in rows[0][1] for name in TIMES):
        raise BadInput(Problem("there is no column 'timestep'", "name SuryaBench's own table", path.name))
    return rows


def _when(cells: Mapping[str, str]) -> str:
    return next(cells[name] for name in TIMES if name in cells)


def _files(source: Source, settings: SuryabenchSettings) -> dict[datetime, str]:
    """Time -> the file of that time, relative to the images' folder, where it is there."""
    folder = source.root / source.images
    found = {}
    for _, cells in _table(source.root / settings.index, ("path", "present")):
        if cells["present"] not in ("1", "1.0"):
            continue
        parts = PurePosixPath(cells["path"]).parts
        tails = ("/".join(parts[-count:]) for count in range(min(TAIL, len(parts)), 0, -1))
        path = next((tail for tail in tails if (folder / tail).is_file()), None)
        if path is not None:
            found[time(_when(cells))] = path
    return found


def _notices(source: Source, settings: SuryabenchSettings, rows: Sequence[RawRow]) -> list[str]:
    missing = sum(not found for _, found in _lines(source, settings))
    said = [f"{missing} rows of the flare index have no image here and are not read"] if missing else []
    folder = PurePosixPath(settings.flares[0]).parent
    if (source.root / folder / f"{BUFFER}.csv").is_file() and f"{folder / BUFFER}.csv" not in settings.flares:
        said.append(f"{BUFFER}.csv, the days between SuryaBench's parts, is not read")
    return said


def _fills_in(study: Mapping[str, Any]) -> dict[str, Any]:
    image, variables = told(study, _VARIABLES)
    columns = {"image": image, "observed": TIME, "label": "label_max", "part": PART}
    return {"columns": columns, **({"suryabench": {"variables": variables}} if variables else {})}


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(
    read,
    settings=SuryabenchSettings,
    fills_in=_fills_in,
    rows_from=lambda source, settings: settings.index,
    notices=_notices,
)
