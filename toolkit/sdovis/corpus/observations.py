"""Rows parsed: text becomes an observation, a reject with its reason, or a problem to fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from sdovis.channels.place import Position
from sdovis.corpus import beside, headings
from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.images.address import Address
from sdovis.images.images import located
from sdovis.labels.schemes import LabelScheme, UnknownLabel
from sdovis.readers.rows import RawRow
from sdovis.study import IMAGE_FIELDS, Study
from sdovis.sun.notation import angle, carrington, is_nothing, latitude, location, longitude, pixel, regions
from sdovis.sun.times import HINT, of_sdo, scale_of, time

T = TypeVar("T")
#: What publishers call the parts.
PUBLISHED = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
#: Rotating a day-old position may carry it just beyond the limb: far from the meridian, but not a mistake.
MAX_LONGITUDE_DEG = 105.0
#: A location in whole degrees may differ from latitude and longitude by so much.
MAX_LOCATION_GAP_DEG = 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """A parsed row: what was seen (``label``, a class), where, when, and in which images (one for each channel).

    ``noaa_ar`` is the region that the row or, if it names none, the image's header names; ``several`` if these are more than
    one. ``harp`` is the header's HARP. ``carrington_deg`` is a longitude that becomes Stonyhurst's once the image's time is
    known. ``part`` is the one that the data set's publisher put the row in, '' if the study does not ask; ``beside`` has the
    values beside the image, as `corpus.beside.read` gives them.
    """

    raw: RawRow
    images: tuple[str, ...]
    label: str
    noaa_ar: int | None
    observed: datetime | None
    latitude_deg: float | None
    longitude_deg: float | None
    x_px: float | None
    y_px: float | None
    several: tuple[int, ...] = ()
    harp: int | None = None
    carrington_deg: float | None = None
    part: str = ""
    beside: str = ""

    @property
    def image(self) -> str:
        """The image of the first channel."""
        return self.images[0]

    @property
    def position(self) -> Position:
        """Where its region is, as far as the row says."""
        return Position(self.latitude_deg, self.longitude_deg, self.x_px, self.y_px)

    @property
    def regions(self) -> tuple[int, ...]:
        """Every region that row or header names."""
        return self.several if self.noaa_ar is None else (self.noaa_ar,)

    @property
    def id(self) -> str:
        """The image's name with the region's number or, if it has none, with the row."""
        stem = stem_of(self.image)
        if self.noaa_ar is not None:
            return f"{stem}-ar{self.noaa_ar}"
        return "-".join(filter(None, [stem, re.sub(r"\W+", "-", self.raw.sheet.lower()), str(self.raw.row)]))


@dataclass(frozen=True)
class Reject:
    """A row left out on purpose, and why."""

    raw: RawRow
    reason: str


@dataclass
class Sorted:
    """What becomes of rows while the catalog is made.

    ``numbered`` are the rows of each image (one for each channel) that number a region and say where it is, whatever becomes
    of them: a region without a class, or too near the limb, is a neighbour of the others.
    """

    kept: list[Any] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    problems: list[tuple[RawRow, Problem]] = field(default_factory=list)
    numbered: dict[tuple[str, ...], list[Observation]] = field(default_factory=dict)


def understand(study: Study, rows: Iterable[RawRow], scheme: LabelScheme) -> Sorted:
    """Parse every cell that the study maps. ``kept`` holds `Observation`."""
    out = Sorted()
    first: dict[str, Observation] = {}
    faults: dict[str, Problem | None] = {}
    rows = list(rows)
    turning = _turning(study, rows)
    for raw in rows:
        misnamed, misplaced = _misnamed(raw), list[Problem]()
        problems = [*misnamed]
        label = _label(raw, scheme, problems)
        named = _read(raw, "noaa_ar", regions, problems) or ()
        if len(named) > 1 and study.images.cuts_out:
            what = f"names {len(named)} regions ({', '.join(map(str, named))}), so it is unclear which one is shown"
            problems.append(raw.problem(what, "write a row for each, with its position", field="noaa_ar"))
        observation = Observation(
            raw,
            _images(study, raw, faults, problems),
            label or "",
            named[0] if len(named) == 1 else None,
            _observed(study, raw, problems),
            *_position(raw, turning, misplaced),
            several=named if len(named) > 1 else (),
            part=_part(raw, problems) if study.split.method == "published" else "",
            beside=beside.read(study, raw, problems),
        )
        if turning == "carrington":
            observation = replace(observation, longitude_deg=None, carrington_deg=observation.longitude_deg)
        if named and not misplaced and _has_position(observation) and not _of_where(raw, [*raw.faults, *misnamed]):
            out.numbered.setdefault(observation.images, []).append(observation)
        if raw.faults:  # then what else is wrong with the row may be due to them
            out.problems += [(raw, fault) for fault in raw.faults]
            continue
        problems += misplaced
        # A heliographic map, recognised only once it is opened, may be cut out around its own centre.
        if study.images.cutout_arcsec and not problems and not _has_position(observation):
            problems.append(no_position(raw))
        twin = None if problems or label is None else first.setdefault(observation.id, observation)
        if twin is not None and twin is not observation and twin.label != label:
            what = f"says {label!r} and row {twin.raw.row} says {twin.label!r} of the same region in the same image"
            problems.append(raw.problem(what, "keep one of the rows", field="label"))
        if problems:
            out.problems += [(raw, problem) for problem in problems]
        elif label is None:
            out.rejects.append(Reject(raw, f"no class: the cell {raw.headings['label']!r} is empty"))
        elif twin is not observation and twin is not None:
            out.rejects.append(Reject(raw, f"repeats row {twin.raw.row}"))
        else:
            out.kept.append(observation)
    if not study.images.cuts_out:
        _take_out_shared_images(out)
    return out


def _take_out_shared_images(out: Sorted) -> None:
    """Make problems of the rows of one whole image that differ in class or region: nothing says which part each means."""
    of_image: dict[tuple[str, ...], list[Observation]] = {}
    for row in out.kept:
        of_image.setdefault(row.images, []).append(row)

    def differ(of: Sequence[Observation]) -> bool:
        return len({row.label for row in of}) > 1 or len({row.regions for row in of if row.regions}) > 1

    shared = {images: of for images, of in of_image.items() if differ(of)}
    if not shared:
        return
    two = sum(len({row.label for row in of}) > 1 for of in shared.values())
    what = (
        f"whole images with rows of several regions or classes: {len(shared)}, {two} of them of several classes; nothing "
        "is cut out, so the rows of an image would show the same picture"
    )
    hint = (
        "set images.cutout_arcsec or images.cutout_deg, and give each row a position (source.columns.latitude_deg and "
        "longitude_deg, x_px and y_px, or location)"
    )
    taken = [row for row in out.kept if row.images in shared]
    out.problems += [(row.raw, row.raw.problem(what, hint, field="image", kind="shared image")) for row in taken]
    out.kept = [row for row in out.kept if row.images not in shared]


def _misnamed(raw: RawRow) -> list[Problem]:
    """The problems of cells whose heading says that they are not what the study takes them for."""
    found = ((field, headings.fault(field, heading, raw.text(field))) for field, heading in raw.headings.items())
    return [raw.problem(each.what, each.hint, field=field, kind=each.kind) for field, each in found if each]


def no_position(raw: RawRow) -> Problem:
    """The problem of a row whose cutout has no position."""
    hint = "fill in latitude and longitude, x and y, or a location; [source.columns] names the columns"
    return raw.problem("no position to cut out", hint, kind="no position")


def _has_position(row: Observation) -> bool:
    longitude = row.longitude_deg if row.carrington_deg is None else row.carrington_deg
    return None not in (row.x_px, row.y_px) or None not in (row.latitude_deg, longitude)


def _of_where(raw: RawRow, problems: Iterable[Problem]) -> bool:
    """Whether one of a row's problems is of its region or its position, or of the whole row."""
    columns = {"", *(raw.headings.get(name, "") for name in ("noaa_ar", *headings.PLACES))}
    return any(problem.column in columns for problem in problems)


def _label(raw: RawRow, scheme: LabelScheme, problems: list[Problem]) -> str | None:
    text = raw.text("label")
    try:
        return scheme.label(text)
    except UnknownLabel as error:
        problems.append(
            raw.problem(f"label {text!r} is not known to the scheme {scheme.name}", error.hint, field="label")
        )
        return None


def _part(raw: RawRow, problems: list[Problem]) -> str:
    """The part that the row was published in: train, validation or test."""
    text = raw.text("part")
    found = PUBLISHED.get(text.casefold().strip("_- "), "")
    if not found:
        what = f"part {text!r} is not one of {', '.join(PUBLISHED)}" if text else "names no part"
        problems.append(
            raw.problem(what, "leave such rows out, or use another split.method", field="part", kind="part")
        )
    return found


def _images(study: Study, raw: RawRow, faults: dict[str, Problem | None], problems: list[Problem]) -> tuple[str, ...]:
    """The row's image files; ``faults`` caches what is wrong with each, as many rows name the same one."""
    for cell, name in zip(IMAGE_FIELDS, raw.images, strict=False):
        if not name:
            problems.append(raw.problem("no image is named", "fill in the file name", field=cell))
            continue
        if name not in faults:
            faults[name] = _fault(study, name)
        if fault := faults[name]:
            problems.append(raw.problem(fault.what, fault.hint, field=cell))
    return raw.images


def _fault(study: Study, name: str) -> Problem | None:
    try:
        located(study.image_root, name)
    except UnreadableImage as error:
        return Problem(f"image {name!r}: {error.why}", error.problems[0].hint)
    return None


def _read(raw: RawRow, field: str, reading: Callable[[str], T], problems: list[Problem], hint: str = "") -> T | None:
    """What ``reading`` makes of a cell; None if it is empty, says that there is nothing, or has a problem."""
    if is_nothing(raw.text(field)):
        return None
    try:
        return reading(raw.text(field))
    except BadInput as error:
        (problem,) = error.problems
        problems.append(raw.problem(problem.what, hint or problem.hint, field=field, kind=problem.kind))
        return None


def _observed(study: Study, raw: RawRow, problems: list[Problem]) -> datetime | None:
    def reading(text: str) -> datetime:
        return time(text, scale=scale_of(raw.headings.get("observed", "")), order=study.source.date_order)

    found = _read(raw, "observed", reading, problems)
    if found is not None and not of_sdo(found):
        what = f"time {raw.text('observed')!r} lies outside the SDO era"
        problems.append(raw.problem(what, HINT, field="observed"))
    return found


def _turning(study: Study, rows: Sequence[RawRow]) -> str:
    """The system of the rows' longitudes, ``stonyhurst`` or ``carrington``; '' if they may be either."""
    if study.source.longitude_system:
        return study.source.longitude_system
    if any(map(headings.says_carrington, {row.headings.get("longitude_deg", "") for row in rows})):
        return ""
    values = []
    for text in {row.text("longitude_deg") for row in rows}:
        with suppress(BadInput):
            values.append(angle(text, letters="we", limit=360.0))
    # A single longitude behind the limb is a slip; where none is east, all may be counted from 0 to 360.
    return "" if values and min(values) >= 0 and max(values) > MAX_LONGITUDE_DEG else "stonyhurst"


def _position(
    raw: RawRow, turning: str, problems: list[Problem]
) -> tuple[float | None, float | None, float | None, float | None]:
    """Latitude and longitude (in the system ``turning``), and pixel x and y."""
    if not turning and not is_nothing(raw.text("longitude_deg")):
        what = "the longitudes may be Carrington's, which turn with the Sun, or Stonyhurst's, from the central meridian"
        hint = "set source.longitude_system to carrington or stonyhurst"
        problems.append(raw.problem(what, hint, field="longitude_deg", kind="longitude system"))
        return None, None, None, None
    north = _read(raw, "latitude_deg", latitude, problems)
    west = _read(raw, "longitude_deg", carrington if turning == "carrington" else longitude, problems)
    placed = _read(raw, "location", location, problems, "write it as N12W34")
    if placed is not None and turning == "carrington":
        what = "a location is in Stonyhurst's system, but source.longitude_system says carrington"
        problems.append(
            raw.problem(what, "leave out source.columns.location", field="location", kind="longitude system")
        )
    elif placed is not None:
        for place, value, other in (("latitude_deg", north, placed[0]), ("longitude_deg", west, placed[1])):
            if value is not None and abs(value - other) > MAX_LOCATION_GAP_DEG:
                what = f"says {raw.text(place)!r}, but the location says {raw.text('location')!r}"
                problems.append(raw.problem(what, "correct one of them", field=place))
        north, west = placed if None in (north, west) else (north, west)
    return north, west, _read(raw, "x_px", pixel, problems), _read(raw, "y_px", pixel, problems)


@lru_cache(maxsize=4096)  # many rows name one image
def stem_of(image: str) -> str:
    """The image's name, fit for an id."""
    return Address.of(image).stem
