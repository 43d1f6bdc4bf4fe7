"""`[source.columns]`: the headings of the columns that a row is read from, and of those that a model may look at too."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from sdovis.study.sections import Section

#: The fields of a row that name its image files, in the order of the study's channels.
IMAGE_FIELDS = ("image", "image_2", "image_3")
#: What the fields of a row that hold values beside its image begin with.
BESIDE = "beside."
#: What a value beside the image may be: see `Beside`.
BesideKind = Literal["number", "logarithm", "category"]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Beside(Section):
    """What a model may be told beside the image: name = "heading", each in the table of its kind.

    The names are yours; predictions are asked with them, and the data set has a column beside_NAME for each.
    """

    numbers: dict[str, str] = Field(
        default_factory=dict, description="Numbers, such as a longitude; the model sees them standardised."
    )
    logarithms: dict[str, str] = Field(
        default_factory=dict,
        description="Numbers of 0 or more that span decades, such as an area; the model sees log(1 + x), standardised.",
    )
    categories: dict[str, str] = Field(
        default_factory=dict, description="Names out of a few, such as the class of the day before."
    )

    @property
    def named(self) -> dict[str, tuple[BesideKind, str]]:
        """Name -> kind and heading, in the order of the study."""
        kinds: tuple[tuple[BesideKind, dict[str, str]], ...] = (
            ("number", self.numbers),
            ("logarithm", self.logarithms),
            ("category", self.categories),
        )
        return {name: (kind, heading) for kind, table in kinds for name, heading in table.items()}

    @model_validator(mode="after")
    def _names_each_once(self) -> Beside:
        problems, names, headings = [], set[str](), set[str]()
        for table in (self.numbers, self.logarithms, self.categories):
            for name, heading in table.items():
                if not _NAME.fullmatch(name):
                    problems.append(
                        f"{name!r} is no name: a letter from a to z, then letters, digits and _, 40 at most"
                    )
                if not heading.strip():
                    problems.append(f"{name} names no heading; write that of the column, as it stands in the table")
                folded = " ".join(heading.split())
                if name in names or folded in headings:
                    problems.append(f"{name} = {heading!r} stands there twice; keep one")
                names.add(name)
                headings.add(folded)
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Columns(Section):
    """The workbook's own column headings. Case and white space need not agree unless two headings differ only by them."""

    image: str | tuple[str, str, str] = Field(
        "Image", description="File name of the image, relative to source.images; three headings for three channels."
    )
    label: str = Field("Label", description="The class as the observer wrote it.")
    noaa_ar: str = Field("", description="NOAA active-region number: groups the rows of one region.")
    observed: str = Field("", description="Time of observation, UTC; if empty, taken from the image's header.")
    latitude_deg: str = Field("", description="Stonyhurst latitude, degrees, north positive.")
    longitude_deg: str = Field(
        "", description="Stonyhurst longitude, degrees from the central meridian, west positive."
    )
    x_px: str = Field("", description="Position in the image: pixels from the left edge; the first pixel is 0.")
    y_px: str = Field("", description="Position in the image: pixels from the top edge; the first pixel is 0.")
    location: str = Field(
        "", description="Instead of latitude and longitude: position in one cell, as NOAA writes it, N12W34."
    )
    part: str = Field(
        "", description="The part that the data set's publisher put the row in; required by split.method = published."
    )

    beside: Beside = Beside()

    @field_validator("image", "label")
    @classmethod
    def _is_a_heading(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not all(name.strip() for name in ([given] if isinstance(given, str) else given)):
            raise ValueError("no heading is named; write that of the column, as it stands in the table")
        return given

    @model_validator(mode="after")
    def _keeps_the_label_from_the_model(self) -> Columns:
        label = " ".join(self.label.split()).casefold()
        for name, (_, heading) in self.beside.named.items():
            if " ".join(heading.split()).casefold() == label:
                raise ValueError(f"beside: {name} is the column of the label, {heading!r}; keep it from the model")
        return self

    def mapped(self) -> dict[str, str]:
        """Field name -> heading for the columns the study names; ``image_2`` and ``image_3`` are the other two channels'.

        A value beside the image is the field ``beside.NAME``.
        """
        named = {field: heading for field, heading in self if heading and field not in ("image", "beside")}
        named |= {BESIDE + name: heading for name, (_, heading) in self.beside.named.items()}
        headings = (self.image,) if isinstance(self.image, str) else self.image
        return dict(zip(IMAGE_FIELDS, headings, strict=False)) | named
