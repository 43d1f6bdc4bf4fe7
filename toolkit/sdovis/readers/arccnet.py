"""The reader `arccnet`: ARCCnet's catalogue of cutouts (Parquet) and the FITS files that it names.

The columns are those that ARCAFF/ARCCnet at 04efd98 (2025-08-21) writes (``region_cutouts`` of ``arccnet/pipeline/main.py``,
``arccnet/data_generation/mag_processing.py``) and reads (``make_dataframe`` of ``arccnet/models/dataset_utils.py``): a time as
two Julian days, masked values with a column ``NAME.mask`` beside them, HMI's and MDI's places and files under names ending in
``_hmi`` and ``_mdi``. A cutout is 800 x 400 px of a magnetogram turned north up, in gauss, 0 G off the disc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field

from sdovis.errors import BadInput, Problem
from sdovis.readers.rows import MadeLine, RawRow, cell_text, of_lines
from sdovis.study import Reader, Source, SourceSettings

#: Column of the catalogue -> heading of the table that is made of it.
HEADINGS = {
    "path_image_cutout_hmi": "Image", "number": "NOAA AR", "latitude_hmi": "Latitude (deg)",
    "longitude_hmi": "Longitude (deg)", "magnetic_class": "Mount Wilson", "mcintosh_class": "McIntosh",
    "area": "Area (MSH)", "number_of_sunspots": "Spots",
}  # fmt: skip
NEEDED = ("path_image_cutout_hmi", "number", "region_type", "magnetic_class", "mcintosh_class")
#: What ARCCnet calls the kinds of region (``ARBox``, ``IABox``, ``QSBox``); others are rows without a cutout.
KIND, KINDS = "Kind", {"AR": "spotted", "IA": "plage", "QS": "quiet"}
#: Beginning of a label scheme's name -> the heading that it reads.
LABELS = {"mount-wilson": "Mount Wilson", "mcintosh": "McIntosh", "activity": KIND}
#: Julian day of an epoch near SDO's time, so that days are told apart from minutes.
EPOCH, EPOCH_JD = datetime(2010, 1, 1), 2455197.5
#: What pyarrow and astropy write for a text without a value.
NOTHING = ("", "None", "nan", "--")


class ArccnetSettings(SourceSettings):
    """ARCCnet's catalogue of cutouts. Only HMI's are read: MDI's are of another instrument."""

    catalogue: str = Field(
        min_length=1,
        description="The catalogue, such as cutout-mcintosh-catalog-v20240715.parq, relative to source.root; the files that it "
        "names are relative to its folder.",
    )


def read(source: Source, settings: ArccnetSettings) -> list[RawRow]:
    """A row for each cutout of HMI that the catalogue names, with its other columns as they are.

    The time is the image's own: the catalogue has that of the region summary. Raises `BadInput` for a catalogue that
    cannot be read or is another one, and for columns that are missing.
    """
    lines = [line for line, reason in _lines(source, settings) if not reason]
    if not lines:
        raise BadInput(Problem("names no cutout of HMI", file=settings.catalogue))
    return of_lines(lines, source.columns.mapped(), "arccnet")


def _lines(source: Source, settings: ArccnetSettings) -> Iterator[tuple[MadeLine, str]]:
    """Each row of the catalogue, and why it is left out, '' if it is not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = source.root / settings.catalogue
    if not path.is_file():
        raise BadInput(Problem("there is no such catalogue", "set source.root and source.arccnet.catalogue", str(path)))
    try:
        table = pq.ParquetFile(path)
        names = table.schema_arrow.names
        if missing := [name for name in NEEDED if name not in names]:
            what = f"has no column {', '.join(missing)}"
            raise BadInput(Problem(what, "name ARCCnet's catalogue of cutouts", settings.catalogue))
        plain = [name for name in names if not pa.types.is_nested(table.schema_arrow.field(name).type)]
        number = 0
        for batch in table.iter_batches(columns=plain):
            for cells in batch.to_pylist():
                number += 1
                yield _line(settings, number, cells)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(Problem(f"cannot be read: {str(error).splitlines()[0]}", file=settings.catalogue)) from error


def _line(settings: ArccnetSettings, number: int, cells: Mapping[str, Any]) -> tuple[MadeLine, str]:
    texts = {}
    for name, value in cells.items():
        if name.endswith(".mask"):
            continue
        text = "" if cells.get(f"{name}.mask") else cell_text(value)
        texts[HEADINGS.get(name, name)] = "" if text in NOTHING else text
    region, image = texts["region_type"], texts["Image"]
    reason = ""
    if region not in KINDS:
        reason = f"of type {region!r}, which have no cutout,"
    elif not image:
        reason = "without a cutout of HMI"
    elif texts.get("filtered", "") not in ("False", ""):
        reason = "that ARCCnet filtered out"
    folder = PurePosixPath(settings.catalogue).parent
    days = cells.get("target_time.jd1"), cells.get("target_time.jd2")
    if isinstance(days[0], int | float) and isinstance(days[1], int | float):
        texts = {name: text for name, text in texts.items() if not name.startswith("target_time.")}
        texts["Target time"] = f"{EPOCH + timedelta(days=days[0] - EPOCH_JD + days[1]):%Y-%m-%d %H:%M}"
    texts |= {"Image": str(folder / image) if image else "", KIND: KINDS.get(region, "")}
    return ((settings.catalogue, "", number), texts), reason


def _notices(source: Source, settings: ArccnetSettings, rows: Sequence[RawRow]) -> list[str]:
    left_out = Counter(reason for _, reason in _lines(source, settings) if reason)
    return [f"{settings.catalogue}: {count} rows {reason} are not read" for reason, count in left_out.items()]


def _fills_in(study: Mapping[str, Any]) -> dict[str, Any]:
    scheme = str(study.get("labels", {}).get("scheme", ""))
    label = next((heading for name, heading in LABELS.items() if scheme.startswith(name)), "")
    columns = {
        "image": "Image", "noaa_ar": "NOAA AR", "latitude_deg": "Latitude (deg)", "longitude_deg": "Longitude (deg)",
    }  # fmt: skip
    return {"columns": columns | ({"label": label} if label else {})}


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(
    read,
    settings=ArccnetSettings,
    fills_in=_fills_in,
    rows_from=lambda source, settings: settings.catalogue,
    notices=_notices,
)
