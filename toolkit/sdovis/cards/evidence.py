"""The files a run left behind, each parsed whole: a missing or misspelt entry is an error that names its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sdovis.errors import BadInput, Problem

T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A score with the bounds of its interval; None where it is not defined."""

    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Scheme:
    """The label scheme, as ``corpus.json`` has it; ``read_as``: a cell of the workbook -> the field's class it names."""

    name: str
    version: str
    ordered: bool
    merged: dict[str, str]
    absent: list[str]
    augmentations: list[str]
    breaks: dict[str, str]
    read_as: dict[str, str]
    agreement: str


@dataclass(frozen=True)
class ChannelFacts:
    """A transform to 8 bits, as ``corpus.json`` has it."""

    name: str
    version: str
    title: str
    unit: str
    source: str
    signed: bool
    browse: bool


@dataclass(frozen=True)
class FlareList:
    """The flares that the labels were made from, as ``corpus.json`` has them."""

    list: str
    threshold: str
    hours: float
    first: str
    last: str
    counted: str
    events_in_windows: int
    events_without_region: int


@dataclass(frozen=True)
class CorpusFile:
    """``corpus.json``."""

    study: str
    simulated: bool
    classes: dict[str, str]
    scheme: Scheme
    spellings: dict[str, dict[str, int]]
    channels: list[ChannelFacts]
    size_px: int
    cutout_arcsec: float | None
    cutout_deg: float | None
    rows: int
    rejects: int
    rejects_by_reason: dict[str, int]
    flares: FlareList | None = None


@dataclass(frozen=True)
class Part:
    """One part of the split; ``first`` and ``last`` are times of observation, UTC."""

    rows: int
    regions: int
    images: int
    largest_region: str
    largest_region_share: float
    rows_by_class: dict[str, int]
    regions_by_class: dict[str, int]
    first: str
    last: str


@dataclass(frozen=True)
class Bounds:
    """A score with its interval, which a single region does not have."""

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Shortcut:
    """How well something beside the picture's content tells the class of the test part."""

    balanced_accuracy: Bounds
    chance: float


@dataclass(frozen=True)
class KeptApart:
    """Pairs of images that show the same, of which one was dropped because they lay in two parts."""

    pairs: dict[str, int]


@dataclass(frozen=True)
class Audit:
    """``audit.json``."""

    leaks: dict[str, int]
    crossing_pairs: dict[str, int]
    gap_days: float | None
    parts: dict[str, Part]
    shortcuts: dict[str, Shortcut]
    kept_apart: KeptApart


@dataclass(frozen=True)
class LongitudeBin:
    """Skill within a range of distance from the central meridian, degrees."""

    from_deg: float
    to_deg: float
    rows: int
    balanced_accuracy: float


@dataclass(frozen=True)
class Bootstrap:
    """How the intervals were made."""

    unit: str
    samples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Validation:
    """The validation part's score, for comparison with the test part's."""

    balanced_accuracy: float
    rows: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds an image, one at a time, warm-up left out."""

    median: float
    p95: float


@dataclass(frozen=True)
class ScoresFile:
    """``scores.json``: scores of the test part. ``confusion_matrix`` has the truth in its rows."""

    part: str
    classes: list[str]
    rows: int
    regions: int
    prevalence: dict[str, float]
    bootstrap: Bootstrap
    confusion_matrix: list[list[int]]
    model: dict[str, Estimate | dict[str, Estimate]]
    baselines: dict[str, dict[str, Estimate]]
    difference_to: dict[str, dict[str, Estimate]]
    by_longitude: list[LongitudeBin]
    validation: Validation
    brier_skill: float
    latency_ms: Latency

    @property
    def overall(self) -> dict[str, Estimate]:
        """The scores that are one number."""
        return {name: entry for name, entry in self.model.items() if isinstance(entry, Estimate)}

    @property
    def per_class(self) -> dict[str, dict[str, Estimate]]:
        """The scores that have a number for each class: score -> class -> estimate."""
        return {name: entry for name, entry in self.model.items() if not isinstance(entry, Estimate)}


@dataclass(frozen=True)
class ConfigFile:
    """What a card says of the model's ``config.json``."""

    architectures: list[str]
    model_type: str
    id2label: dict[str, str]
    sdovis: dict[str, Any]


@dataclass(frozen=True)
class ProcessorFile:
    """What a card says of the model's ``preprocessor_config.json``."""

    size: dict[str, int]
    image_mean: list[float]
    image_std: list[float]
    resample: int


def read(kind: type[T], file: Path, *, made_by: str) -> T:
    """A JSON file of the run as ``kind``, types checked.

    Raises `BadInput` with every entry that is missing or of another type; ``made_by`` names the command that writes it.
    """
    try:
        return TypeAdapter(kind).validate_json(_bytes(file, made_by), strict=True)
    except ValidationError as error:
        raise BadInput(_problem(dict(item), file, made_by) for item in error.errors(include_url=False)) from None


def _bytes(file: Path, made_by: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise BadInput(Problem("is missing, and a card needs it", f"run sdovis {made_by}", str(file))) from None


def _problem(item: Mapping[str, Any], file: Path, made_by: str) -> Problem:
    where = ".".join(map(str, item["loc"]))
    what = f"{where} is missing" if item["type"] == "missing" else f"{where}: {item['msg']}"
    return Problem(f"{what}, and a card needs it", f"remove the folder and run sdovis {made_by}", str(file))
