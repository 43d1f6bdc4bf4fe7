"""The tables of a study file, except those on where its rows come from and how the model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sdovis.study import names

#: From a region's first day on the disc to its last: half a synodic rotation, rounded up.
PASSAGE_DAYS = 14.0


#: Sizes that the configurations of vision transformers share.
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size")


class Section(BaseModel):
    # A text such as "inf" would be taken for a number.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class About(Section):
    """What the study is called."""

    name: str = Field(json_schema_extra={"pattern": f"^{names.STUDY}$"}, description="Folder and repository name.")
    title: str = Field("", description="Title shown to readers; if empty, the name.")
    description: str = Field("", description="A paragraph for the cards.")
    seed: int = Field(
        0, ge=0, lt=2**32, description="Seeds the weights, the batches, the augmentation and the bootstrap."
    )
    simulated: bool = Field(False, description="The images are simulated; the cards and the Space say so.")

    _names_a_repository = field_validator("name", mode="before")(names.repository)


class Images(Section):
    """How pixels become the network's input."""

    channel: str | tuple[str, str, str] = Field(
        description="Plug-in that turns physical values into 8 bits; three plug-ins make a three-colour picture."
    )
    size_px: int = Field(224, ge=16, le=1024, description="Side of the network's input, pixels.")
    cutout_arcsec: float | None = Field(
        None,
        gt=0,
        description="Side of the cutout around each position, arc seconds; if absent, the whole image is used.",
    )
    cutout_deg: float | None = Field(
        None,
        gt=0,
        le=90,
        description="Instead of cutout_arcsec: side of a deprojected cutout in heliographic degrees, scaled as SHARP CEA maps.",
    )
    max_longitude_deg: float | None = Field(
        None, gt=0, le=90, description="Rows farther from the central meridian are rejected (projection)."
    )
    center_px: tuple[float, float] | None = Field(
        None, description="Disc centre (x, y) in images without a header, pixels; the first pixel is 0."
    )
    arcsec_per_px: float | None = Field(
        None, gt=0, description="Scale of images without a header, arc seconds per pixel."
    )
    native_px: tuple[int, int] | None = Field(
        None,
        description="Width and height of the images that center_px and arcsec_per_px refer to, if the disc is not in "
        "their middle. Images 2, 3, ... times that size are taken to show the same field at a finer scale.",
    )
    neighbours: Literal["keep", "mask"] = Field(
        "keep",
        description="What a cutout shows of the disc's other numbered regions. keep: all. mask: quiet Sun in their place, "
        "so that a region is judged by its own spots; every row with a number counts, also those that are rejected.",
    )
    flatten: bool = Field(
        False, description="Divide browse pictures in white light by the limb darkening measured in each."
    )
    orientation: Literal["north-up", "rotated-180"] | None = Field(
        None,
        description="Which way FITS files without any WCS run. JSOC's as-is files of HMI's full discs are rotated-180, "
        "those of SHARP CEA maps north-up. If absent, such files are refused.",
    )
    check_pointing: bool = Field(True, description="Reject full-disc images whose disc is not where it should be.")
    check_quality: bool = Field(True, description="Reject images whose QUALITY bits mark them as unusable.")
    check_names: bool = Field(
        True, description="Compare each row's time with that in the image's file name if the header gives none."
    )

    @model_validator(mode="after")
    def _one_scale(self) -> Images:
        if self.cutout_arcsec is not None and self.cutout_deg is not None:
            raise ValueError("give cutout_arcsec (angular) or cutout_deg (heliographic), not both")
        return self

    @model_validator(mode="after")
    def _masks_cutouts(self) -> Images:
        if self.neighbours == "mask" and not self.cuts_out:
            raise ValueError('neighbours = "mask" needs cutout_arcsec or cutout_deg: a whole image shows every region')
        return self

    @model_validator(mode="after")
    def _places_the_disc(self) -> Images:
        if (self.center_px is None) != (self.arcsec_per_px is None):
            raise ValueError("center_px and arcsec_per_px only work together; give both or neither")
        if self.native_px is not None and (self.center_px is None or min(self.native_px) < 16):
            raise ValueError("native_px is the width and height (16 or more) that center_px refers to; give both")
        if self.center_px is not None and self.native_px is None and min(self.center_px) < 8:
            raise ValueError(
                "center_px lies at or outside the image's edge; also give native_px, the size of the image"
            )
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
    """How rows are divided. No active region, image or duplicate of an image ever lies in two parts."""

    method: Literal["temporal", "grouped", "kfold", "leave-year-out", "published"] = Field(
        "temporal",
        description="temporal: train on the past, test on the future. grouped: regions at random. kfold: regions at "
        "random in folds, one of which is the test part. leave-year-out: one year is the test part. published: the parts "
        "of the data set itself, from source.columns.part, kept as they are; what leaks between them is said.",
    )
    validation: float = Field(
        0.15,
        gt=0,
        lt=0.5,
        description="Share of the rows used for validation (not for kfold; for leave-year-out, of the other years; for "
        "published, of the regions of the training part where the data set has no validation part).",
    )
    test: float = Field(0.2, gt=0, lt=0.6, description="Share of the rows used for the test (temporal, grouped).")
    gap_days: float = Field(
        27.0, ge=0, description="Days dropped between two parts (temporal, leave-year-out); 27 is one rotation."
    )
    folds: int = Field(5, ge=3, le=100, description="Number of folds (kfold).")
    fold: int = Field(
        0, ge=0, description="Fold used as the test part, counted from 0; the next one is the validation part (kfold)."
    )
    year: int | None = Field(None, description="Year used as the test part (leave-year-out).")
    link_returning: bool = Field(
        False, description="Treat a region that returns after a rotation under a new number as the same region."
    )
    near_duplicate_bits: int = Field(
        4,
        ge=0,
        le=16,
        description="Images whose perceptual hashes differ in at most this many of 64 bits count as near-duplicates.",
    )
    allow_missing_regions: bool = Field(
        False,
        description="Split by region although more than a tenth of the rows name none, so that nobody can tell whether "
        "one lies in two parts.",
    )

    @model_validator(mode="after")
    def _fits_the_method(self) -> Split:
        if self.method == "kfold" and self.fold >= self.folds:
            raise ValueError(f"fold = {self.fold}: the folds are 0 to {self.folds - 1}")
        if self.method == "leave-year-out" and self.year is None:
            raise ValueError("method leave-year-out needs a year; add, for example, year = 2014")
        if self.method != "leave-year-out" and self.year is not None:
            raise ValueError("year is used only by method leave-year-out; remove it")
        return self

    @property
    def gap(self) -> float | None:
        """Days between any two parts; None if the parts overlap in time."""
        return self.gap_days if self.method in ("temporal", "leave-year-out") else None

    @property
    def needs_regions(self) -> bool:
        """Whether only region numbers keep a region in one part: no gap outlasts its passage across the disc."""
        return self.method != "published" and (self.gap is None or self.gap < PASSAGE_DAYS)


class Backbone(Section):
    """The network that is fine-tuned."""

    id: str | None = Field(None, description="Hub id or local folder of a pretrained image model.")
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

    @field_validator("config")
    @classmethod
    def _has_no_layer_of_nothing(cls, config: dict[str, Any] | None) -> dict[str, Any] | None:
        sizes = {name: (config or {}).get(name) for name in SIZES}
        problems = [
            f"{name} = {size!r} is not a whole number of at least 1"
            for name, size in sizes.items()
            # Some networks have a list of sizes, one for each of their stages.
            if size is not None
            and not all(type(each) is int and each > 0 for each in (size if type(size) is list else [size]))
        ]
        if not isinstance((config or {}).get("model_type", ""), str):
            problems.append(f"model_type = {(config or {})['model_type']!r} is not a name, such as 'vit'")
        width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
        if not problems and type(width) is int and type(heads) is int and width % heads:
            problems.append(f"hidden_size = {width} is not a multiple of num_attention_heads = {heads}")
        if problems:
            raise ValueError("\n".join(problems))
        return config


class Abstain(Section):
    """When the model should give no answer; chosen on the validation part."""

    coverage: float | None = Field(None, gt=0, le=1, description="Answer this share of the images, the surest ones.")
    risk: float | None = Field(
        None, gt=0, lt=1, description="Answer as many images as possible with at most this share of answers wrong."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Abstain:
        if self.coverage is not None and self.risk is not None:
            raise ValueError("coverage and risk each decide the threshold; give one of them")
        return self


class Evaluation(Section):
    """How scores are computed."""

    metrics: tuple[str, ...] = Field(
        ("accuracy", "balanced-accuracy", "macro-f1", "precision", "recall", "tss", "hss", "confusion-matrix"),
        description="Plug-ins, one for each metric.",
    )
    bootstrap_samples: int = Field(2000, ge=100, description="Bootstrap resamples of the regions.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    baselines: bool = Field(
        True,
        description="Also score baselines: the majority class; raw pixels; brightness; measures of spots and polarities.",
    )
    threshold: str = Field(
        "",
        description="For two classes: the score, such as tss, for which the validation part chooses the probability from "
        "which the second class is predicted. If empty, the more probable class is.",
    )
    abstain: Abstain = Abstain()
    prevalence: dict[str, float] | Literal["estimated"] = Field(
        default_factory=dict,
        description="Also score where classes have these shares, as in { flare = 0.05 } (a class left out gets the rest), or "
        '"estimated" from the probabilities.',
    )

    @field_validator("prevalence", mode="before")
    @classmethod
    def _shares_or_estimated(cls, given: object) -> object:
        # pydantic would report a faulty value once for each alternative.
        if given == "estimated":
            return given
        told = given if isinstance(given, Mapping) else None
        if told is None or not all(type(share) in (int, float) for share in told.values()):
            raise ValueError(f'{given!r} is neither "estimated" nor a table of shares such as {{ flare = 0.05 }}')
        if told and not (min(told.values()) >= 0 and sum(told.values()) <= 1 + 1e-9):
            raise ValueError("shares must not be negative, and their sum not above 1")
        return given


class Space(Section):
    """What the page may do beyond answering for what it is sent. All of it is off unless the study says otherwise."""

    live: bool = Field(
        False,
        description="Show a button that fetches the newest image of the model's channel, and NOAA's regions, from the network.",
    )
    live_image: str = Field(
        "",
        description="Where that image is: an address, or a folder's with a pattern and the day, "
        "https://HOST/%Y/%m/%d/*_1024_0211.jpg. If empty, NASA's browse pictures, for channels that read them.",
    )
    live_regions: str = Field(
        "",
        description="Where the regions are, as SWPC's solar_regions.json or an SRS text; if empty, SWPC's own address.",
    )
    mcp_server: bool = Field(
        False, description="Also answer programs that speak the Model Context Protocol; needs the package mcp."
    )

    @field_validator("live_image", "live_regions")
    @classmethod
    def _is_a_web_address(cls, given: str) -> str:
        parts = urlsplit(given)
        if given and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError(f"{given!r} is no web address; write it as https://HOST/PATH")
        if parts.username or parts.password:
            raise ValueError("an address with a name or a password in it would be published; leave them out")
        return given
