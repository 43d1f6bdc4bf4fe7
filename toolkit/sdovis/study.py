"""The study file: one TOML document that says all a study is. Every mistake in it is reported at once."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sdovis import plugins
from sdovis.errors import BadInput, Problem, nearest

#: Set by sdovis itself: a study that sets one of them would be overruled in silence.
OURS = frozenset(
    "output_dir hub_token push_to_hub hub_model_id hub_strategy hub_private_repo hub_always_push hub_revision "
    "remove_unused_columns resume_from_checkpoint label_names do_train do_eval do_predict data_seed seed "
    "load_best_model_at_end metric_for_best_model greater_is_better accelerator_config include_for_metrics "
    "save_only_model ignore_data_skip".split()
)
#: Fields that hold a path. In the file they are relative to the file, in ``--set`` to the working directory.
PATHS = ("source.root", "backbone.id")
#: Fields that take one name, or a list of three.
ONE_OR_THREE = ("images.channel", "source.columns.image", "source.files")
TRACKERS = ("wandb", "tensorboard", "trackio", "none")


#: The fields of a row that name its image files, in the order of the study's channels.
IMAGE_FIELDS = ("image", "image_2", "image_3")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(_Section):
    """What the study is called."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Folder and repository name.")
    title: str = Field("", description="A title for people; the name when empty.")
    description: str = Field("", description="A paragraph for the cards.")
    seed: int = Field(0, ge=0, description="Seeds the weights, the batches, the augmentation and the bootstrap.")
    simulated: bool = Field(False, description="The images are simulated; card and Space say so.")


class Columns(_Section):
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


class Source(_Section):
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


def _with_srs_columns(data: Mapping[str, Any]) -> Mapping[str, Any]:
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


class Images(_Section):
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


class Labels(_Section):
    """What the classes are."""

    scheme: str = Field("column", description="Plug-in that turns a cell into a class.")
    classes: tuple[str, ...] = Field((), description="For the scheme `column`: the classes, in order.")


class Split(_Section):
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


class Backbone(_Section):
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


class Method(_Section):
    """How it is fine-tuned, where TrainingArguments has no word for it."""

    trainable: Literal["all", "head"] = Field("all", description="Train every weight, or the classifier alone.")
    class_weights: Literal["balanced", "none"] = Field("balanced", description="Weight of the classes in the loss.")
    augment: bool | tuple[str, ...] = Field(
        True,
        description="Flips, quarter turns, reversed polarity: true for those that keep the scheme's labels, false, or "
        "names such as flip_ns, flip_ew, rotate90, rotate_any, polarity.",
    )
    keep: Literal["best", "last"] = Field("best", description="Which checkpoint becomes the model.")
    keep_by: Literal["balanced_accuracy", "macro_f1", "accuracy", "loss"] = Field(
        "balanced_accuracy", description="Validation score that decides which is best."
    )

    @field_validator("augment", mode="before")
    @classmethod
    def _true_false_or_names(cls, given: object) -> object:
        # pydantic would take "yes" for true, and report a faulty name once for each alternative.
        if isinstance(given, bool) or (isinstance(given, list | tuple) and all(isinstance(n, str) for n in given)):
            return given
        raise ValueError(f'{given!r} is neither true, false nor a list of names such as ["flip_ns", "rotate90"]')


class Evaluation(_Section):
    """How scores are computed."""

    metrics: tuple[str, ...] = Field(
        ("accuracy", "balanced-accuracy", "macro-f1", "precision", "recall", "tss", "hss", "confusion-matrix"),
        description="Plug-ins.",
    )
    bootstrap_samples: int = Field(2000, ge=100, description="Bootstrap resamples of the regions.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    baselines: bool = Field(True, description="Score majority class, raw pixels and brightness beside the model.")


class Publish(_Section):
    """Where a release goes."""

    namespace: str = Field("", description="User or organisation on the Hub.")
    licence: str = Field("", description="Licence of the model and of the dataset's annotations.")
    authors: tuple[str, ...] = Field((), description="For the citation.")
    notes: tuple[str, ...] = Field((), description="Remarks for the model card's limits, a sentence or two each.")


class Study(_Section):
    """A whole study. Build one with `load`."""

    study: About
    source: Source
    images: Images
    labels: Labels = Labels()
    split: Split = Split()
    backbone: Backbone
    method: Method = Method()
    training: dict[str, Any] = Field(default_factory=dict, description="transformers' TrainingArguments, their names.")
    evaluation: Evaluation = Evaluation()
    publish: Publish = Publish()

    @field_validator("training")
    @classmethod
    def _training_arguments(cls, training: dict[str, Any]) -> dict[str, Any]:
        problems = [text for name, value in training.items() if (text := _training_problem(name, value))]
        if problems:
            raise ValueError("\n".join(problems))
        return training

    @model_validator(mode="before")
    @classmethod
    def _columns_of_the_srs_reader(cls, data: Any) -> Any:
        return _with_srs_columns(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _a_file_for_each_channel(self) -> Study:
        headings, channels = self.source.columns.image, self.images.channels
        files = 1 if isinstance(headings, str) else len(headings)
        if files != len(channels):
            raise ValueError(
                f"images.channel: {len(channels)} channel(s) need as many columns of image files, and {files} are named; "
                "write source.columns.image and images.channel as lists of three"
            )
        return self

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
    def image_root(self) -> Path:
        return self.source.root / self.source.images

    @property
    def precision(self) -> Literal["no", "bf16", "fp16"]:
        """Mixed precision as accelerate names it."""
        return "bf16" if self.training.get("bf16") else "fp16" if self.training.get("fp16") else "no"

    def digest_of(self, *sections: str) -> str:
        """JSON of those sections, without what does not change a result: where the root lies, and words for the cards."""
        data = self.model_dump(mode="json", include=set(sections))
        for name in ("root", "licence", "credit"):
            data.get("source", {}).pop(name, None)
        return json.dumps(data, sort_keys=True)

    def to_toml(self, folder: Path) -> str:
        """The resolved study, defaults filled in, paths relative to ``folder``."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["source"]["root"] = os.path.relpath(self.source.root.resolve(), folder.resolve())
        if self.backbone.id and Path(self.backbone.id).is_dir():
            data["backbone"]["id"] = os.path.relpath(Path(self.backbone.id).resolve(), folder.resolve())
        return tomlkit.dumps(data)


@cache
def _training_fields() -> dict[str, Any]:
    """Name -> default of every field of transformers' TrainingArguments."""
    import dataclasses

    from transformers import TrainingArguments

    return {f.name: f.default for f in dataclasses.fields(TrainingArguments) if f.init}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _training_problem(name: str, value: Any) -> str:
    if name in OURS:
        mend = {"seed": "set study.seed", "data_seed": "set study.seed", "metric_for_best_model": "set method.keep_by"}
        mend["load_best_model_at_end"] = "set method.keep"
        return f"training.{name}: is set by sdovis; {mend.get(name, 'remove it')}"
    fields = _training_fields()
    if name not in fields:
        return f"training.{name}: is not one of transformers' TrainingArguments; {nearest(name, sorted(fields))}"
    default = fields[name]
    if isinstance(default, bool) and not isinstance(value, bool):
        return f"training.{name}: {value!r} is not true or false; write {name} = true or {name} = false"
    if name == "report_to" and (unknown := [t for t in _listed(value) if t not in TRACKERS]):
        return f"training.report_to: {unknown[0]!r} is unknown; {nearest(str(unknown[0]), TRACKERS)}"
    # An integer default does not forbid a fraction: warmup_steps = 0.1 is a share of all steps.
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if number and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"training.{name}: {value!r} is not a number; write it without quotes, like {default}"
    return ""


def _problems(error: ValidationError, file: str) -> Iterator[Problem]:
    listed: set[str] = set()
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        either = next((key for key in ONE_OR_THREE if where.startswith(f"{key}.")), None)
        if either is not None:  # pydantic reports every alternative
            if either not in listed:
                yield Problem(f"{either} is neither a name nor a list of three names", file=file)
            listed.add(either)
        elif item["type"] == "extra_forbidden":
            *path, key = item["loc"]
            yield Problem(f"{where} is unknown", nearest(str(key), _keys_at(path)), file=file)
        elif item["type"] == "missing":
            yield Problem(
                f"{where} is missing", f"add {item['loc'][-1]} = ... under [{_table(item['loc'])}]", file=file
            )
        elif item["type"] == "value_error":
            text = str(item["ctx"]["error"])
            for line in text.split("\n"):
                yield Problem(line if not where or line.startswith("training.") else f"{where}: {line}", file=file)
        else:
            given = (
                item["input"] if isinstance(item["input"], str | int | float | bool) else type(item["input"]).__name__
            )
            yield Problem(f"{where} = {given!r}: {item['msg'][0].lower()}{item['msg'][1:]}", file=file)


def _table(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc[:-1]) or "study"


def _keys_at(path: Sequence[Any]) -> list[str]:
    model: Any = Study
    for part in path:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is None:
            return []
        model = field.annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _plugin_problems(data: Mapping[str, Any], file: str) -> Iterator[Problem]:
    named = {
        ("source", "reader"): "sdovis.readers",
        ("images", "channel"): "sdovis.channels",
        ("labels", "scheme"): "sdovis.labels",
        ("evaluation", "metrics"): "sdovis.metrics",
    }
    for (section, key), group in named.items():
        given = data.get(section, {}).get(key) if isinstance(data.get(section), dict) else None
        for name in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
            choices = plugins.names(group)
            if isinstance(name, str) and name not in choices:
                yield Problem(f"{section}.{key} {name!r} is unknown", nearest(name, choices), file=file)


def _override(data: dict[str, Any], assignment: str) -> Problem | None:
    """Apply ``section.key=value`` in place; the value is TOML, or else a plain string."""
    key, equals, text = assignment.partition("=")
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)+", key.strip()):
        return Problem(f"--set {assignment!r} is not an assignment", "write it as section.key=value")
    *path, last = key.strip().split(".")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    target = data
    for part in path:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            return Problem(f"--set {key}: {part} is not a section")
    target[last] = value
    return None


def _anchor(data: dict[str, Any], key: str, base: Path) -> None:
    section, name = key.split(".")
    table = data.get(section)
    if not isinstance(table, dict) or not isinstance(table.get(name), str):
        return
    path = base / table[name]
    # A backbone is a folder only where that folder is there: otherwise the text is a Hub id.
    if key != "backbone.id" or path.is_dir():
        table[name] = str(path)


def load(path: Path | str, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and apply ``overrides`` (``section.key=value``).

    Raises `BadInput` with every mistake of the file: TOML syntax, unknown sections, keys, plug-ins and training
    arguments (each with the nearest valid name), missing keys, values of the wrong kind.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(Problem("there is no such study file", "sdovis init WORKBOOK writes one", str(path))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem(f"the study file cannot be read: {error}", file=str(path))) from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(Problem(f"not valid TOML: {error}", file=str(path))) from error
    if isinstance(data.get("source"), dict):
        data["source"].setdefault("root", ".")
    for key in PATHS:
        _anchor(data, key, path.parent)
    problems = []
    for assignment in overrides:
        if problem := _override(data, assignment):
            problems.append(problem)
        elif (key := assignment.partition("=")[0].strip()) in PATHS:
            _anchor(data, key, Path())
    problems += _plugin_problems(data, str(path))
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        problems += _problems(error, str(path))
    if problems:
        raise BadInput(problems)
    return study


def json_schema() -> dict[str, Any]:
    """JSON schema of the study file, for editors; training arguments and plug-in names included."""
    schema = Study.model_json_schema()
    fields = {name: default for name, default in _training_fields().items() if name not in OURS}
    schema["properties"]["training"] |= {
        "additionalProperties": False,
        "properties": {n: {"type": "boolean"} if type(d) is bool else {} for n, d in sorted(fields.items())},
    }
    for model, key, group in (
        ("Source", "reader", "readers"),
        ("Images", "channel", "channels"),
        ("Labels", "scheme", "labels"),
    ):
        schema["$defs"][model]["properties"][key]["examples"] = plugins.names(f"sdovis.{group}")
    return schema
