"""The tables of a study file, but for how it is trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

#: The fields of a row that name its image files, in the order of the study's channels.
IMAGE_FIELDS = ("image", "image_2", "image_3")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Section):
    """What the study is called."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Folder and repository name.")
    title: str = Field("", description="A title for people; the name when empty.")
    description: str = Field("", description="A paragraph for the cards.")
    seed: int = Field(0, ge=0, description="Seeds the weights, the batches, the augmentation and the bootstrap.")
    simulated: bool = Field(False, description="The images are simulated; card and Space say so.")


class Columns(Section):
    """The workbook's own column headings, as they stand in its first row."""

    image: str | tuple[str, str, str] = Field(
        "Image", description="File name of the image, relative to source.images; for three channels, three headings."
    )
    label: str = Field("Label", description="The class as the observer wrote it.")
    noaa_ar: str = Field("", description="NOAA active-region number: groups rows of one region.")
    observed: str = Field("", description="Time of observation, UTC; empty: taken from the image's header.")
    latitude_deg: str = Field("", description="Stonyhurst latitude, degrees, north positive.")
    longitude_deg: str = Field(
        "", description="Stonyhurst longitude, degrees from the central meridian, west positive."
    )
    x_px: str = Field("", description="Position in the image: pixels from the left edge, first pixel is 0.")
    y_px: str = Field("", description="Position in the image: pixels from the top edge, first pixel is 0.")

    def mapped(self) -> dict[str, str]:
        """Field name -> heading, of the columns the study names; ``image_2``, ``image_3`` are further channels'."""
        named = {field: heading for field, heading in self if heading and field != "image"}
        headings = (self.image,) if isinstance(self.image, str) else self.image
        return dict(zip(IMAGE_FIELDS, headings, strict=False)) | named


class Source(Section):
    """Where the rows and the images come from."""

    reader: str = Field("spreadsheet", description="Plug-in that reads the rows.")
    root: Path = Field(Path(), description="Folder that holds workbook and images.")
    workbook: str = Field(
        "", validate_default=True, description="The .xlsx or .csv file, relative to root; required by `spreadsheet`."
    )
    sheets: tuple[str, ...] = Field((), description="Sheets to read; empty: the first.")
    images: str = Field(".", description="Folder of the images, relative to root. No image outside it is read.")
    columns: Columns = Columns()
    on_problem: Literal["error", "reject"] = Field(
        "error", description="A faulty row stops the study (error) or goes to rejects.csv with its reason (reject)."
    )
    licence: str = Field("", description="Licence of the images, as an SPDX or Hub identifier.")
    credit: str = Field("", description="Who is to be credited for the images.")
    srs: str = Field(
        "",
        validate_default=True,
        description="Reader `srs`: NOAA region summaries, a folder of .txt and .tar.gz files or one, relative to root.",
    )
    srs_max_gap_hours: float = Field(
        24.0, gt=0, le=240, description="Hours that the nearest summary's positions may lie from the image."
    )
    files: str | tuple[str, str, str] = Field(
        "*",
        description="Pattern of the image files' names: * for anything, %Y %m %d %H %M %S for the time in UTC where "
        "neither header nor usual name tells it; a pattern for each channel.",
    )
    quiet_per_image: int = Field(2, ge=0, le=50, description="Quiet-Sun positions an image (scheme `activity`).")
    quiet_distance_deg: float = Field(
        25.0, gt=0, lt=90, description="Least distance of a quiet position from every region, degrees on the Sun."
    )
    quiet_seed: int | None = Field(None, ge=0, description="Draws the quiet positions; none: study.seed.")
    flares: str = Field("", description="GOES flare list (.csv), relative to root.")
    flare_class: str = Field(
        "", pattern=r"^([ABCMX]\d{0,2}(\.\d)?)?$", description="Least class of a flare that counts, such as M1.0."
    )
    flare_hours: float | None = Field(
        None, gt=0, le=240, description="Hours after the image in which the flare must peak."
    )
    sharp: str = Field("", description="Table of SHARP keywords (.csv with T_REC, TAI, and NOAA_AR), relative to root.")
    sharp_max_gap_hours: float = Field(12.0, gt=0, description="Hours that T_REC may lie from the image.")
    harps: str = Field("", description="JSOC's table of HARP numbers with their NOAA regions, relative to root.")

    @field_validator("workbook", "srs")
    @classmethod
    def _what_the_reader_reads(cls, value: str, info: ValidationInfo) -> str:
        needed = {"workbook": "spreadsheet", "srs": "srs"}[str(info.field_name)]
        if not value and info.data.get("reader") == needed:
            raise PydanticCustomError("missing", "Field required")
        return value

    @model_validator(mode="after")
    def _settings_of_the_srs_reader(self) -> Source:
        fields = type(self).model_fields
        given = [name for name in SRS_SETTINGS if getattr(self, name) != fields[name].default]
        if self.reader == "spreadsheet" and given:
            raise ValueError(f'{", ".join(given)}: used by the reader srs alone; remove it or set reader = "srs"')
        if len({bool(self.flares), bool(self.flare_class), bool(self.flare_hours)}) > 1:
            raise ValueError('flares, flare_class = "C1.0" (the least that counts) and flare_hours = 24 go together')
        return self

    @property
    def rows_from(self) -> str:
        """The file or folder that the rows are read from, relative to root."""
        return self.workbook or self.srs

    @property
    def flare_heading(self) -> str:
        """Heading of the column that says whether a flare followed; C1.0 is written C."""
        return flare_heading(self.flare_class, self.flare_hours)


def flare_heading(flare_class: Any, hours: Any) -> str:
    """``M flare next 24 h``; '' where either is not given."""
    named = re.sub(r"(?<=^[ABCMX])1(\.0)?$|\.0$", "", str(flare_class or ""))
    return f"{named} flare next {hours:g} h" if named and isinstance(hours, int | float) else ""


#: Settings of `Source` that only the reader `srs` uses.
SRS_SETTINGS = tuple(
    "srs srs_max_gap_hours files quiet_per_image quiet_distance_deg quiet_seed flares flare_class flare_hours sharp "
    "sharp_max_gap_hours harps".split()
)
#: The reader `srs` makes a table with the headings of a workbook of active regions.
SRS_HEADINGS = {
    "image": "Image", "observed": "Observed (UTC)", "noaa_ar": "NOAA AR", "kind": "Kind",
    "mount_wilson": "Mount Wilson", "mcintosh": "McIntosh", "area_msh": "Area (MSH)", "spots": "Spots",
    "latitude_deg": "Latitude (deg)", "longitude_deg": "Longitude (deg)",
}  # fmt: skip
#: Beginning of a label scheme's name -> the column that it reads.
SRS_LABELS = {"mount-wilson": "mount_wilson", "mcintosh": "mcintosh", "activity": "kind"}


def with_srs_columns(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The study with the columns filled in that the reader `srs` gives; what the study names itself stays."""
    sections = [data.get(name, {}) for name in ("source", "labels", "images", "study")]
    if not all(isinstance(section, Mapping) for section in sections) or sections[0].get("reader") != "srs":
        return data
    source, labels, images, about = sections
    columns: dict[str, Any] = {f: heading for f, heading in SRS_HEADINGS.items() if f in Columns.model_fields}
    if isinstance(images.get("channel"), list | tuple):
        columns["image"] = ("Image", "Image 2", "Image 3")
    scheme = str(labels.get("scheme", ""))
    column = next((field for name, field in SRS_LABELS.items() if scheme.startswith(name)), "")
    label = flare_heading(source.get("flare_class"), source.get("flare_hours")) if scheme == "flare" else ""
    if label := label or SRS_HEADINGS.get(column, ""):
        columns["label"] = label
    given = source.get("columns", {})
    columns = {**columns, **given} if isinstance(given, Mapping) else given
    return {**data, "source": {"quiet_seed": about.get("seed", 0), **source, "columns": columns}}


class Images(Section):
    """How pixels become the network's input."""

    channel: str | tuple[str, str, str] = Field(
        description="Plug-in that turns physical values into 8 bits; three make a picture of three colours."
    )
    size_px: int = Field(224, ge=16, le=1024, description="Side of the network's input, pixels.")
    cutout_arcsec: float | None = Field(
        None, gt=0, description="Side of the cutout around each position, arc seconds; none: the whole image."
    )
    cutout_deg: float | None = Field(
        None,
        gt=0,
        le=90,
        description="Instead: side of a deprojected cutout, heliographic degrees, on the scale of SHARP CEA maps.",
    )
    max_longitude_deg: float | None = Field(
        None, gt=0, le=90, description="Rows farther from the central meridian are rejected (projection)."
    )
    center_px: tuple[float, float] | None = Field(
        None, description="Disc centre x, y in images without a header; the first pixel is 0."
    )
    arcsec_per_px: float | None = Field(None, gt=0, description="Scale of images without a header.")
    native_px: tuple[int, int] | None = Field(
        None,
        description="Width and height of the images that center_px and arcsec_per_px are given for, where the disc is not "
        "in their middle. Images of 2, 3 ... times that size are taken to show the same at a finer scale.",
    )
    check_pointing: bool = Field(True, description="Reject full-disc frames whose disc is not where it should be.")
    check_quality: bool = Field(True, description="Reject images whose QUALITY bits say that they are not to be used.")

    @model_validator(mode="after")
    def _one_scale(self) -> Images:
        if self.cutout_arcsec is not None and self.cutout_deg is not None:
            raise ValueError("give cutout_arcsec (angular) or cutout_deg (heliographic), not both")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels' names: one, or three."""
        return (self.channel,) if isinstance(self.channel, str) else self.channel

    @property
    def cuts_out(self) -> bool:
        """Whether each row is a cutout around its position."""
        return self.cutout_arcsec is not None or self.cutout_deg is not None


class Labels(Section):
    """What the classes are."""

    scheme: str = Field("column", description="Plug-in that turns a cell into a class.")
    classes: tuple[str, ...] = Field((), description="For the scheme `column`: the classes, in order.")


class Split(Section):
    """How rows are divided. No active region, no image and nothing that shows the same ever lies in two parts."""

    method: Literal["temporal", "grouped", "kfold", "leave-year-out"] = Field(
        "temporal",
        description="temporal: train on the past, test on the future. grouped: regions at random. kfold: regions in "
        "folds at random, one of them the test. leave-year-out: one year is the test.",
    )
    validation: float = Field(
        0.15,
        gt=0,
        lt=0.5,
        description="Share of the rows for validation (not kfold; leave-year-out: of the other years).",
    )
    test: float = Field(0.2, gt=0, lt=0.6, description="Share of the rows for the test (temporal, grouped).")
    gap_days: float = Field(
        27.0, ge=0, description="Days dropped between two parts (temporal, leave-year-out); 27 is one rotation."
    )
    folds: int = Field(5, ge=3, le=100, description="Number of folds (kfold).")
    fold: int = Field(
        0, ge=0, description="The fold that is the test part, from 0; the next one is validation (kfold)."
    )
    year: int | None = Field(None, description="The year that is the test part (leave-year-out).")
    link_returning: bool = Field(
        False, description="A region that returns after a rotation under a new number counts as the same region."
    )
    near_duplicate_bits: int = Field(
        4, ge=0, le=16, description="Images whose perceptual hashes differ in so many of 64 bits show the same."
    )

    @model_validator(mode="after")
    def _fits_the_method(self) -> Split:
        if self.method == "kfold" and self.fold >= self.folds:
            raise ValueError(f"fold = {self.fold}: the folds are 0 to {self.folds - 1}")
        if self.method == "leave-year-out" and self.year is None:
            raise ValueError("method leave-year-out needs the year; add year = 2014, say")
        if self.method != "leave-year-out" and self.year is not None:
            raise ValueError("year is for method leave-year-out; remove it")
        return self

    @property
    def gap(self) -> float | None:
        """Days between any two parts; None where the parts run through the same time."""
        return self.gap_days if self.method in ("temporal", "leave-year-out") else None


class Backbone(Section):
    """The network that is fine-tuned."""

    id: str | None = Field(None, description="A Hub id or a local folder of a pretrained image model.")
    revision: str | None = Field(None, description="Commit of the Hub repository.")
    config: dict[str, Any] | None = Field(
        None,
        description="Without id: a transformers configuration (model_type, hidden_size ...), trained from scratch.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Backbone:
        if (self.id is None) == (self.config is None):
            raise ValueError("give either id (a Hub id or a folder) or config (a network from scratch), not both")
        return self


class Evaluation(Section):
    """How scores are computed."""

    metrics: tuple[str, ...] = Field(
        ("accuracy", "balanced-accuracy", "macro-f1", "precision", "recall", "tss", "hss", "confusion-matrix"),
        description="Plug-ins.",
    )
    bootstrap_samples: int = Field(2000, ge=100, description="Bootstrap resamples of the regions.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    baselines: bool = Field(True, description="Score majority class, raw pixels and brightness beside the model.")


class Publish(Section):
    """Where a release goes."""

    namespace: str = Field("", description="User or organisation on the Hub.")
    licence: str = Field("", description="Licence of the model and of the dataset's annotations.")
    authors: tuple[str, ...] = Field((), description="For the citation.")
    notes: tuple[str, ...] = Field((), description="Remarks for the model card's limits, a sentence or two each.")
    templates: Path | None = Field(
        None,
        description="Folder of card templates of your own: dataset.md.j2, model.md.j2, space.md.j2, each in place of the "
        "built-in one. sdovis card STUDY.toml --write-templates FOLDER writes them to start from.",
    )
