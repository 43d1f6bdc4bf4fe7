"""What the reader `srs` adds to a study: its settings, `[source.srs]`, and the columns of the table it makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from sdovis.study import Columns, SourceSettings

#: The headings are those of a workbook of active regions.
HEADINGS = {
    "image": "Image", "observed": "Observed (UTC)", "noaa_ar": "NOAA AR", "kind": "Kind",
    "mount_wilson": "Mount Wilson", "mcintosh": "McIntosh", "area_msh": "Area (MSH)", "spots": "Spots",
    "latitude_deg": "Latitude (deg)", "longitude_deg": "Longitude (deg)",
}  # fmt: skip
#: One for each channel.
IMAGE_HEADINGS = ("Image", "Image 2", "Image 3")
#: Beginning of a label scheme's name -> the column that it reads.
LABELS = {"mount-wilson": "mount_wilson", "mcintosh": "mcintosh", "activity": "kind"}


class SrsSettings(SourceSettings):
    """NOAA region summaries, what is drawn beside them or joined to them, and the images they apply to."""

    summaries: str = Field(
        min_length=1,
        description="NOAA region summaries: a folder of .txt and .tar.gz files, or one file, relative to source.root.",
    )
    max_gap_hours: float = Field(
        24.0, gt=0, le=240, description="Most hours between an image and the nearest summary's positions."
    )
    files: str | tuple[str, str, str] = Field(
        "*",
        description="Pattern of the image file names: * for anything, %Y %m %d %H %M %S for the time in UTC if neither "
        "the header nor the usual name gives it; for three channels, one pattern each.",
    )
    quiet_per_image: int = Field(2, ge=0, le=50, description="Quiet-Sun positions per image (scheme `activity`).")
    quiet_distance_deg: float = Field(
        25.0, gt=0, lt=90, description="Least distance of a quiet position from every region, degrees on the Sun."
    )
    quiet_seed: int | None = Field(None, ge=0, description="Seed for drawing quiet positions; by default study.seed.")
    flares: str = Field("", title="Flare list", description="GOES flare list (.csv or .xlsx), relative to source.root.")
    flare_class: str = Field(
        "",
        pattern=r"^([ABCMX]\d{0,2}(\.\d)?)?$",
        title="Least flare class",
        description="Least class of a flare that counts, such as M1.0.",
    )
    flare_hours: float | None = Field(
        None, gt=0, le=240, title="Flare hours", description="Hours after the image within which the flare must peak."
    )
    sharp: str = Field(
        "",
        title="SHARP keywords",
        description="Table of SHARP keywords (.csv or .xlsx with T_REC, TAI, and NOAA_AR), relative to source.root.",
    )
    sharp_max_gap_hours: float = Field(12.0, gt=0, description="Most hours between T_REC and the image.")
    harps: str = Field(
        "",
        title="HARP numbers",
        description="JSOC's table of HARP numbers with their NOAA regions, relative to source.root.",
    )

    @model_validator(mode="after")
    def _flares_have_a_class_and_a_time(self) -> SrsSettings:
        if len({bool(self.flares), bool(self.flare_class), bool(self.flare_hours)}) > 1:
            raise ValueError('flares, flare_class = "C1.0" (the least that counts) and flare_hours = 24 go together')
        return self

    @property
    def flare_heading(self) -> str:
        """Heading of the column that says whether a flare followed; C1.0 becomes C."""
        return _flare_heading(self.flare_class, self.flare_hours)


def _flare_heading(flare_class: Any, hours: Any) -> str:
    """``M flare next 24 h``; '' if either is not given."""
    named = re.sub(r"(?<=^[ABCMX])1(\.0)?$|\.0$", "", str(flare_class or ""))
    return f"{named} flare next {hours:g} h" if named and isinstance(hours, int | float) else ""


def fills_in(study: Mapping[str, Any]) -> dict[str, Any]:
    """The default columns, with the label column that the scheme reads, and the study's seed for quiet positions."""
    written, labels, images, section = (study.get(name, {}) for name in ("source", "labels", "images", "study"))
    columns: dict[str, Any] = {field: heading for field, heading in HEADINGS.items() if field in Columns.model_fields}
    if isinstance(images.get("channel"), list | tuple):
        columns["image"] = IMAGE_HEADINGS
    scheme, settings = str(labels.get("scheme", "")), written.get("srs", {})
    column = next((field for name, field in LABELS.items() if scheme.startswith(name)), "")
    label = HEADINGS.get(column, "")
    if scheme == "flare" and isinstance(settings, Mapping):
        label = _flare_heading(settings.get("flare_class"), settings.get("flare_hours"))
    if label:
        columns["label"] = label
    return {"columns": columns, "srs": {"quiet_seed": section.get("seed", 0)}}
