"""A whole study, its sections checked against each other."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import Field, ValidationError, field_validator, model_validator

from sdovis import formats
from sdovis.study import arguments
from sdovis.study.method import Method, Range, Search
from sdovis.study.names import LONGEST_ID
from sdovis.study.problems import problems_of
from sdovis.study.publishing import Publish
from sdovis.study.sections import (
    About,
    Backbone,
    Evaluation,
    Images,
    Labels,
    Section,
    Space,
    Split,
)
from sdovis.study.source import Source, filled_in


class Study(Section):
    """A whole study. Build one with `load`."""

    format: int = Field(
        formats.newest(formats.STUDY),
        ge=formats.newest(formats.STUDY),
        le=formats.newest(formats.STUDY),
        description="Format of the file; if absent, the file is in format 1 and is upgraded on reading.",
    )
    study: About
    source: Source
    images: Images
    labels: Labels = Labels()
    split: Split = Split()
    backbone: Backbone
    method: Method = Method()
    training: dict[str, Any] = Field(default_factory=dict, description="transformers' TrainingArguments, by name.")
    evaluation: Evaluation = Evaluation()
    publish: Publish = Publish()
    space: Space = Space()
    search: Search = Search()

    @field_validator("training")
    @classmethod
    def _training_arguments(cls, training: dict[str, Any]) -> dict[str, Any]:
        problems = [text for name, value in training.items() if (text := arguments.problem_of(name, value))]
        if problems:
            raise ValueError("\n".join(problems))
        return training

    @model_validator(mode="before")
    @classmethod
    def _with_what_the_reader_fills_in(cls, data: Any) -> Any:
        return filled_in(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _a_file_for_each_channel(self) -> Study:
        headings, channels = self.source.columns.image, self.images.channels
        files = 1 if isinstance(headings, str) else len(headings)
        if files != len(channels):
            raise ValueError(
                f"images.channel: {len(channels)} channel(s) need as many columns of image files, but {files} are named; "
                "write source.columns.image and images.channel as lists of three"
            )
        return self

    @model_validator(mode="after")
    def _names_the_published_part(self) -> Study:
        if self.split.method == "published" and not self.source.columns.part:
            raise ValueError(
                "split.method = 'published': set source.columns.part to the heading of the column that names the parts"
            )
        return self

    @model_validator(mode="after")
    def _names_what_is_fused(self) -> Study:
        if self.method.beside != "none" and not self.source.columns.beside.named:
            raise ValueError(
                "method.beside: no value beside the image is named; name some in [source.columns.beside], such as "
                'logarithms = { area = "Area" }'
            )
        return self

    @model_validator(mode="after")
    def _offers_what_can_be_told(self) -> Study:
        if self.method.beside != "none" and self.space.live:
            raise ValueError(
                "space.live: of today's Sun nobody says the values beside the image; remove it, or method.beside"
            )
        if self.method.beside != "none" and self.publish.onnx:
            raise ValueError("publish.onnx: ONNX files take no values beside the image; remove it, or method.beside")
        return self

    @model_validator(mode="after")
    def _fits_into_a_repositorys_id(self) -> Study:
        id = f"{self.publish.namespace}/{self.name}"
        if len(id) > LONGEST_ID:
            raise ValueError(
                f"publish.namespace and study.name: {id} has {len(id)} characters, and the Hub allows {LONGEST_ID}; "
                f"make study.name shorter by {len(id) - LONGEST_ID}"
            )
        return self

    @model_validator(mode="after")
    def _is_evaluated_where_scores_decide(self) -> Study:
        if self.training.get("eval_strategy") == "no":
            asks = {"patience": self.method.patience is not None, "seeds": self.method.seeds > 1}
            asks["search"] = bool(self.search.ranges)
            if named := [name for name, on in asks.items() if on]:
                raise ValueError(
                    f"{', '.join(named)}: decided by validation scores, but training.eval_strategy is 'no'; remove that"
                )
        return self

    @model_validator(mode="after")
    def _averages_what_began_alike(self) -> Study:
        if self.method.average and self.backbone.id is None:
            raise ValueError(
                "method.average: networks that begin with different random weights cannot be averaged; name a pretrained "
                "backbone.id, or remove average"
            )
        return self

    @model_validator(mode="after")
    def _search_ends_are_settings(self) -> Study:
        """Each end of each range must be a valid setting of the study."""
        problems = []
        for name, tried in self.search.ranges.items():
            for value in (tried.low, tried.high) if isinstance(tried, Range) else tried:
                try:
                    self.with_settings({name: value})
                except ValidationError as error:
                    problems += [f"search.{name} = {value!r}: {problem}" for problem in problems_of(error, Study)]
                    break
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def with_settings(self, settings: Mapping[str, Any]) -> Study:
        """The study with other values of ``section.key``, and no search. Raises pydantic's ValidationError."""
        data = self.model_dump(exclude={"search"})
        for name, value in settings.items():
            *path, last = name.split(".")
            table = data
            for part in path:
                table = table.setdefault(part, {})
            table[last] = value
        return Study.model_validate(data)

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def run_dir(self) -> Path:
        """``runs/NAME`` in the working directory."""
        return Path("runs") / self.name

    @property
    def workbook(self) -> Path:
        return self.source.root / self.source.workbook

    @property
    def keywords(self) -> Path | None:
        """The table of the keywords that the FITS files lack; None if they have them."""
        return self.source.root / self.source.keywords if self.source.keywords else None

    @property
    def image_root(self) -> Path:
        return self.source.root / self.source.images

    @property
    def precision(self) -> Literal["no", "bf16", "fp16"]:
        """Mixed precision, by accelerate's name for it."""
        return "bf16" if self.training.get("bf16") else "fp16" if self.training.get("fp16") else "no"

    def digest_of(self, *sections: str) -> str:
        """JSON of those sections, without what cannot change a result: the root's location, where its files were
        fetched, and texts for the cards."""
        data = self.model_dump(mode="json", include=set(sections))
        for name in ("root", "fetch", "licence", "credit"):
            data.get("source", {}).pop(name, None)
        if not self.source.columns.beside.named:  # as written before there were any: what was made then still holds
            data.get("source", {}).get("columns", {}).pop("beside", None)
        return json.dumps(data, sort_keys=True)

    def to_toml(self, folder: Path) -> str:
        """The resolved study, defaults filled in, paths relative to ``folder``."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["source"]["root"] = os.path.relpath(self.source.root.resolve(), folder.resolve())
        for name in ("templates", "signing_key"):
            if (path := getattr(self.publish, name)) is not None:
                data["publish"][name] = os.path.relpath(path.resolve(), folder.resolve())
        if self.backbone.id and Path(self.backbone.id).is_dir():
            data["backbone"]["id"] = os.path.relpath(Path(self.backbone.id).resolve(), folder.resolve())
        return tomlkit.dumps(data)
