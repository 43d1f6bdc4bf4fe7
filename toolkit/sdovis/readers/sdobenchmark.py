"""The reader `sdobenchmark`: SDOBenchmark, folders of a region's cutouts at four times before a window of 24 hours.

The layout is that which i4Ds/SDOBenchmark writes (``dataset/load_data.py`` at 0195ed7, ``dataset/data/load.py`` at 01d8f1f,
``dataset/create_small_dataset.py`` at 3e256f9): ``training`` and ``test``, each with meta_data.csv (id, start, end, peak_flux)
and a folder AR/REST for the id AR_REST, which holds TIME__WAVE.jpg. Images may be missing; those whose header warns have
"flagged" in their EXIF description.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from sdovis.errors import BadInput, Problem
from sdovis.readers import tables
from sdovis.readers.joins import flux
from sdovis.readers.of_channels import IMAGES, told
from sdovis.readers.rows import MadeLine, RawRow, of_lines
from sdovis.study import Reader, Source, SourceSettings
from sdovis.sun.times import time

PARTS = ("training", "test")
#: Minutes after the beginning of a sample at which its images were taken (``DEFAULT_ARGS["time_steps"]``).
STEPS = (0.0, 7 * 60.0, 10 * 60.0 + 30, 11 * 60.0 + 50)
#: Images bear the nominal time; this is how far the archive's own may be from it (``load.py``).
TOLERANCE = timedelta(minutes=15)
FLARE, LETTER, TIME, REGION, PART = "Flare next 24 h", "GOES letter", "Observed (UTC)", "NOAA AR", "split"
QUIET_FLUX = 1e-9
#: ``transform.py`` at 0195ed7 divides the flux of a class by this: SWPC's M1.0 has 1.18e-5 W/m2, and C9.9 more than 1e-5.
SCALED = 0.85
#: GOES classes have two digits: how near to such a number the flux of a class is, and of how many it must be.
TWO_DIGITS, SHARE = 2e-3, 0.9
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}__\w+\.jpg")
#: Enough of a JPEG to hold its EXIF.
EXIF_BYTES = 4096


class SdobenchmarkSettings(SourceSettings):
    """SDOBenchmark: which of a sample's images are shown, and which flares count."""

    path: str = Field(min_length=1, description="Folder that holds `training` and `test`, relative to source.root.")
    step: int = Field(
        3,
        ge=0,
        le=3,
        description="Which of the four times: 0, 1, 2, 3 are 12 h, 5 h, 1.5 h and 10 min before the window.",
    )
    flare_class: str = Field(
        "M1.0",
        pattern=r"^[BCMX](\d(\.\d)?)?$",
        description="Least GOES class, as SWPC lists it, of a flare that counts.",
    )
    flagged: bool = Field(False, description="Whether images that are marked as flagged, for their QUALITY, are used.")
    waves: tuple[str, ...] = Field(
        (), description="Names of the images, one for each channel; by default those that the channels' names tell."
    )


def read(source: Source, settings: SdobenchmarkSettings) -> list[RawRow]:
    """A row for each sample that has the images asked for.

    Raises `BadInput` for a folder of another layout, and for peak fluxes of which nobody can tell whether they are classes
    or classes over 0.85: a threshold would mean another flare.
    """
    if not settings.waves:
        what = "nothing says which images the study's channels are"
        raise BadInput(Problem(what, "use channels such as sdobenchmark-171, or set source.sdobenchmark.waves"))
    lines = [line for line, reason in _lines(source, settings) if not reason]
    if not lines:
        raise BadInput(
            Problem("no sample has the images asked for", "try another step or other channels", settings.path)
        )
    return of_lines(lines, source.columns.mapped(), "sdobenchmark")


def _lines(source: Source, settings: SdobenchmarkSettings) -> Iterator[tuple[MadeLine, str]]:
    """Each sample, and why it is left out, '' if it is not."""
    samples = {part: _meta_data(source, settings, part) for part in PARTS}
    factor = _factor([cells for of in samples.values() for _, cells in of], settings.path)
    for part, of in samples.items():
        for number, cells in of:
            yield _line(source, settings, part, number, cells, factor)


def _meta_data(source: Source, settings: SdobenchmarkSettings, part: str) -> list[tuple[int, dict[str, str]]]:
    path = source.root / settings.path / part / "meta_data.csv"
    if not path.is_file():
        hint = "set source.sdobenchmark.path to the unpacked data set"
        raise BadInput(Problem("there is no such file", hint, str(path)))
    rows = tables.rows(path, ("id", "start", "end", "peak_flux"))
    problems = [
        Problem(f"peak_flux {cells['peak_flux']!r} is no flux", "", path.name, row=number, column="peak_flux")
        for number, cells in rows
        if not _is_flux(cells["peak_flux"])
    ]
    if problems:
        raise BadInput(problems)
    return rows


def _is_flux(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def _factor(samples: Sequence[Mapping[str, str]], where: str) -> float:
    """By what to multiply a peak flux to have that of the flare's class: 1 or 0.85."""
    flares = [value for cells in samples if (value := float(cells["peak_flux"])) > 1.5 * QUIET_FLUX]
    told_by = {factor: sum(_has_two_digits(each * factor) for each in flares) for factor in (1.0, SCALED)}
    alike = [factor for factor, count in told_by.items() if count >= SHARE * len(flares)]
    if len(alike) != 1 and flares:
        what = (
            f"of {len(flares)} peak fluxes {told_by[1.0]} are those of GOES classes and {told_by[SCALED]} are classes over "
            f"{SCALED:g}, so it is unclear which flare a flux means"
        )
        raise BadInput(Problem(what, "use all of the data set", where))
    return alike[0]


def _has_two_digits(value: float) -> bool:
    return math.isclose(value, float(f"{value:.1e}"), rel_tol=TWO_DIGITS)


def _line(
    source: Source, settings: SdobenchmarkSettings, part: str, number: int, cells: Mapping[str, str], factor: float
) -> tuple[MadeLine, str]:
    region, _, rest = cells["id"].partition("_")
    folder = source.root / settings.path / part / region / rest
    wanted = time(cells["start"]) + timedelta(minutes=STEPS[settings.step])
    found = [_image(folder, wave, wanted) for wave in settings.waves]
    peak = float(cells["peak_flux"]) * factor * (1 + TWO_DIGITS)
    texts = {
        REGION: region,
        FLARE: str(int(peak >= flux(settings.flare_class))),
        LETTER: next((letter for letter in "XMCBA" if peak >= flux(letter)), "quiet"),
        PART: part,
        "Peak flux (W/m2)": cells["peak_flux"],
        "Sample": cells["id"],
    }
    texts |= {
        heading: str(path.relative_to(source.root)) if path else ""
        for heading, path in zip(IMAGES, found, strict=False)
    }
    texts[TIME] = next((f"{_time(path):%Y-%m-%d %H:%M:%S}" for path in found if path), "")
    return ((f"{settings.path}/{part}/meta_data.csv", "", number), texts), _reason(settings, found)


def _reason(settings: SdobenchmarkSettings, images: Sequence[Path | None]) -> str:
    """Why a sample is left out; '' if it is not."""
    for wave, path in zip(settings.waves, images, strict=True):
        if path is None:
            return f"without an image of {wave} at that time"
        with path.open("rb") as file:
            if not settings.flagged and b"flagged" in file.read(EXIF_BYTES):
                return "whose image is flagged (source.sdobenchmark.flagged = true uses them)"
    return ""


def _time(path: Path) -> datetime:
    return datetime.strptime(path.name.partition("__")[0], "%Y-%m-%dT%H%M%S").replace(tzinfo=UTC)


def _image(folder: Path, wave: str, wanted: datetime) -> Path | None:
    """The sample's image of ``wave`` nearest to a time; None if it has none near it."""
    named = [path for path in folder.glob(f"*__{wave}.jpg") if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    nearest = min(named, key=lambda path: abs(_time(path) - wanted), default=None)
    return nearest if nearest is not None and abs(_time(nearest) - wanted) <= TOLERANCE else None


def _notices(source: Source, settings: SdobenchmarkSettings, rows: Sequence[RawRow]) -> list[str]:
    left_out = Counter(reason for _, reason in _lines(source, settings) if reason)
    return [f"{settings.path}: {count} samples {reason} are not read" for reason, count in left_out.items()]


def _fills_in(study: Mapping[str, Any]) -> dict[str, Any]:
    image, waves = told(study, {r"sdobenchmark-(\w+)": r"\1"})
    columns = {"image": image, "noaa_ar": REGION, "observed": TIME, "label": FLARE, "part": PART}
    return {"columns": columns, **({"sdobenchmark": {"waves": waves}} if waves else {})}


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(
    read,
    settings=SdobenchmarkSettings,
    fills_in=_fills_in,
    rows_from=lambda source, settings: settings.path,
    notices=_notices,
)
