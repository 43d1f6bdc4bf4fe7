"""Rows parsed: text becomes an observation, a reject with its reason, or a problem to fix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sdovis.channels.place import Position
from sdovis.errors import Problem, UnreadableImage
from sdovis.images.images import inside
from sdovis.labels.schemes import LabelScheme, UnknownLabel
from sdovis.readers.rows import RawRow
from sdovis.study import IMAGE_FIELDS, Study

#: SDO's first public images; an earlier date is a typing error or an unformatted spreadsheet serial number.
SDO_FIRST_LIGHT = datetime(2010, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Observation:
    """A parsed row: what was seen (``label``, a class), where, when, and in which images (one for each channel)."""

    raw: RawRow
    images: tuple[str, ...]
    label: str
    noaa_ar: int | None
    observed: datetime | None
    latitude_deg: float | None
    longitude_deg: float | None
    x_px: float | None
    y_px: float | None

    @property
    def image(self) -> str:
        """The image of the first channel."""
        return self.images[0]

    @property
    def position(self) -> Position:
        """Where its region is, as far as the row says."""
        return Position(self.latitude_deg, self.longitude_deg, self.x_px, self.y_px)

    @property
    def id(self) -> str:
        """The image's name with the region's number or, if it has none, with the row."""
        stem = stem_of(self.image)
        if self.noaa_ar is not None:
            return f"{stem}-ar{self.noaa_ar}"
        return "-".join(filter(None, [stem, re.sub(r"\W+", "-", self.raw.sheet.lower()), str(self.raw.row)]))

    @property
    def group(self) -> str:
        """The independent unit: the region or, if it has no number, the image."""
        return f"ar{self.noaa_ar}" if self.noaa_ar is not None else f"frame-{stem_of(self.image)}"


@dataclass(frozen=True)
class Reject:
    """A row left out on purpose, and why."""

    raw: RawRow
    reason: str


@dataclass
class Sorted:
    """What becomes of rows while the catalog is made.

    ``regions`` are the numbered regions of each image (one for each channel), whatever becomes of their rows: a region
    without a class, or too near the limb, is a neighbour of the others.
    """

    kept: list[Any] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    problems: list[tuple[RawRow, Problem]] = field(default_factory=list)
    regions: dict[tuple[str, ...], dict[int, Position]] = field(default_factory=dict)


def understand(study: Study, rows: Iterable[RawRow], scheme: LabelScheme) -> Sorted:
    """Parse every cell that the study maps. ``kept`` holds `Observation`."""
    out = Sorted()
    first: dict[str, Observation] = {}
    faults: dict[str, Problem | None] = {}
    for raw in rows:
        problems: list[Problem] = []
        label = _label(raw, scheme, problems)
        observation = Observation(
            raw,
            _images(study, raw, faults, problems),
            label or "",
            _noaa_ar(raw, problems),
            _observed(raw, problems),
            _number(raw, "latitude_deg", problems, -90, 90),
            _number(raw, "longitude_deg", problems, -180, 180),
            _number(raw, "x_px", problems),
            _number(raw, "y_px", problems),
        )
        if observation.noaa_ar is not None and _has_position(observation):
            out.regions.setdefault(observation.images, {}).setdefault(observation.noaa_ar, observation.position)
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
    return out


def no_position(raw: RawRow) -> Problem:
    """The problem of a row whose cutout has no position."""
    return raw.problem(
        "no position to cut out", "fill in latitude and longitude, or x and y; [source.columns] names the columns"
    )


def _has_position(row: Observation) -> bool:
    return None not in (row.x_px, row.y_px) or None not in (row.latitude_deg, row.longitude_deg)


def _label(raw: RawRow, scheme: LabelScheme, problems: list[Problem]) -> str | None:
    text = raw.text("label")
    try:
        return scheme.label(text)
    except UnknownLabel as error:
        problems.append(
            raw.problem(f"label {text!r} is not known to the scheme {scheme.name}", error.hint, field="label")
        )
        return None


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
        inside(study.image_root, name)
    except UnreadableImage as error:
        return Problem(f"image {name!r}: {error.why}", error.problems[0].hint)
    return None


def _noaa_ar(raw: RawRow, problems: list[Problem]) -> int | None:
    text = raw.text("noaa_ar")
    if not text:
        return None
    digits = re.sub(r"^(NOAA)?\s*(AR)?\s*", "", text, flags=re.IGNORECASE)
    if re.fullmatch(r"0\d+", digits):
        what = f"NOAA number {text!r} begins with a zero, so it is unclear which region is meant"
        problems.append(raw.problem(what, f"write it as {int(digits)} if that is the region", field="noaa_ar"))
    elif not re.fullmatch(r"\d{4,5}", digits):
        hint = "write four or five digits, like 11158"
        problems.append(raw.problem(f"{text!r} is not a NOAA number", hint, field="noaa_ar"))
    else:
        number = int(digits)
        # NOAA's own lists still use four digits after number 10000 (2002-06-15); every SDO region is later.
        return number + 10000 if number < 10000 else number
    return None


def _observed(raw: RawRow, problems: list[Problem]) -> datetime | None:
    text = raw.text("observed")
    if not text:
        return None
    hint = "write it in UTC, as 2011-02-15 01:30:00"
    try:
        time = datetime.fromisoformat(text.replace("/", "-"))
    except ValueError:
        problems.append(raw.problem(f"time {text!r} cannot be read", hint, field="observed"))
        return None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    if not SDO_FIRST_LIGHT <= time <= datetime.now(UTC) + timedelta(days=1):
        problems.append(raw.problem(f"time {text!r} lies outside the SDO era", hint, field="observed"))
    return time


def _number(
    raw: RawRow, name: str, problems: list[Problem], low: float = -np.inf, high: float = np.inf
) -> float | None:
    text = raw.text(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not (np.isfinite(value) and low <= value <= high):
        limits = f"a number between {low:g} and {high:g}" if np.isfinite(low) else "a number"
        problems.append(raw.problem(f"{text!r} is not {limits}", "correct the cell", field=name))
        return None
    return value


@lru_cache(maxsize=4096)  # many rows name one image
def stem_of(image: str) -> str:
    """The image's path without suffix, fit for an id: folders are included, so that names stay distinct."""
    return re.sub(r"[^\w.-]+", "_", str(Path(image).with_suffix("")))
