"""How a study is trained: `[method]`, and what `[search]` may try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from sdovis.study.sections import Section


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021) of a frozen backbone; merged into it when the model is saved."""

    rank: int = Field(8, ge=1, le=1024, description="Rank of the adapters.")
    alpha: float = Field(16.0, gt=0, description="The adapters' product is scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapters.")
    targets: tuple[str, ...] = Field(
        (), description="Last part of the names of the linear layers that get adapters; if empty, queries and values."
    )


class Probe(Section):
    """The head's own training before all weights are trained (head-then-all); everything else as in [training]."""

    epochs: int = Field(30, ge=1, description="Epochs over the features of the unchanged backbone.")
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate of the head alone.")


#: Settings of a later sdovis, and the values with which models are trained as before: those have no entry of them.
_ADDED: dict[str, Any] = {
    "refit": "none",
    "average": False,
    "soft_labels": 0.0,
    "calibration": "temperature",
    "calibration_folds": 0,
    "beside": "none",
}


class Method(Section):
    """How the model is fine-tuned, beyond what TrainingArguments covers."""

    trainable: Literal["all", "head", "lora", "head-then-all"] = Field(
        "all",
        description="all: every weight. head: the classifier alone, on features computed once. lora: adapters and the "
        "classifier. head-then-all: the classifier first (linear probe), then every weight.",
    )
    lora: Lora = Lora()
    probe: Probe = Probe()
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="Learning rate of each layer as a share of that of the layer above it."
    )
    class_weights: Literal["balanced", "none"] = Field(
        "balanced",
        description="Class weights in the loss; defaults to `none` if sampling is balanced or logit_adjustment is set.",
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        "shuffled",
        description="balanced: each epoch shows every class equally often, with the number of images unchanged.",
    )
    streaming: bool = Field(
        False,
        description="Decode images each time they are shown: for a corpus whose decoded images would fill the disk.",
    )
    compile: bool = Field(
        False,
        description="Compile the network for training with torch.compile: faster steps, slower start; worthwhile on GPUs.",
    )
    logit_adjustment: float = Field(
        0.0, ge=0, le=10, description="tau times the log of the classes' shares is added to the logits in the loss."
    )
    soft_labels: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of each label that comes from models of the measured spots or fields of all other regions: a "
        "second opinion, beside the observer's, on what the image shows.",
    )
    beside: Literal["none", "fusion"] = Field(
        "none",
        description="fusion: one linear layer on the network's features and the values of source.columns.beside together, "
        "trained with the network. Such a model is opened by sdovis.pipeline alone.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after this many evaluations in a row without improvement in keep_by."
    )
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="Number of trainings, with seeds from study.seed upwards; validation decides which becomes the model.",
    )
    average: bool = Field(
        False,
        description="Of several seeds, average the weights instead of choosing one: all heads of a frozen backbone; otherwise "
        "those that do not make the mean worse on the validation part.",
    )
    augment: bool | tuple[str, ...] = Field(
        True,
        description="Flips, quarter turns, reversed polarity. true: all that keep the scheme's labels; false: none; or "
        "names of plug-ins such as flip_ns, flip_ew, rotate90, rotate_any, polarity, rendering (contrast, gamma, "
        "saturation, resolution and JPEG quality of browse pictures).",
    )
    keep: Literal["best", "last"] = Field("best", description="Which checkpoint becomes the model.")
    keep_by: Literal["balanced_accuracy", "macro_f1", "accuracy", "loss"] = Field(
        "balanced_accuracy", description="Validation score that decides which checkpoint is best."
    )

    refit: Literal["none", "train+validation"] = Field(
        "none",
        description="train+validation: once the validation part has chosen step and temperature, train again from the start "
        "on both parts, for as many epochs. The test part stays closed.",
    )
    calibrate: bool = Field(
        True,
        description="Divide the logits by a temperature fitted on the validation part, so that probabilities mean what "
        "they say; it is folded into the classifier.",
    )
    calibration: Literal["temperature", "weighted-temperature", "temperature+bias"] = Field(
        "temperature",
        description="What is fitted. weighted-temperature: with the classes weighted as in the loss, for probabilities that "
        "hold where classes are as common as was taught. temperature+bias: also a number for each class, for probabilities "
        "that hold where they are as common as they were in the images; rare classes are then predicted more rarely.",
    )
    calibration_folds: int = Field(
        0,
        ge=0,
        le=10,
        description="Fit it on all regions of the training and validation parts, dealt into so many folds: for each, a network "
        "is trained on the others. 0: on the validation part alone.",
    )

    @property
    def learns_from_validation(self) -> bool:
        """Whether the model's last training also shows it the validation part."""
        return self.refit == "train+validation"

    @property
    def learned_from(self) -> tuple[str, ...]:
        """The parts of the corpus from which the model learns, in the end."""
        return ("train", "validation") if self.learns_from_validation else ("train",)

    @property
    def made_from(self) -> dict[str, str]:
        """What a model depends on: setting -> value."""
        entries = {name: value for name, value in self if not (name in _ADDED and value == _ADDED[name])}
        return {f"method.{name}": repr(value) for name, value in entries.items()}

    @field_validator("augment", mode="before")
    @classmethod
    def _true_false_or_names(cls, given: object) -> object:
        # pydantic would accept "yes" as true, and report a faulty name once for each alternative.
        if isinstance(given, bool) or (isinstance(given, list | tuple) and all(isinstance(n, str) for n in given)):
            return given
        raise ValueError(f'{given!r} is neither true, false nor a list of names such as ["flip_ns", "rotate90"]')

    @model_validator(mode="before")
    @classmethod
    def _one_correction_by_default(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "class_weights" not in data:
            corrected = data.get("sampling") == "balanced" or data.get("logit_adjustment")
            return {**data, "class_weights": "none" if corrected else "balanced"}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Method:
        problems = []
        corrections = {
            "class_weights": self.class_weights == "balanced",
            "sampling": self.sampling == "balanced",
            "logit_adjustment": self.logit_adjustment > 0,
        }
        if sum(corrections.values()) > 1:
            named = " and ".join(name for name, on in corrections.items() if on)
            problems.append(f"{named} each correct for rare classes, together more than once; keep only one")
        if self.trainable == "head" and isinstance(self.augment, tuple):
            problems.append('augment has no effect: trainable = "head" computes features once; remove augment')
        if self.trainable == "head" and self.compile:
            problems.append('compile has no effect: trainable = "head" trains a single layer; remove compile')
        if self.layer_decay is not None and self.trainable in ("head", "lora"):
            problems.append(f'layer_decay has no effect if trainable = "{self.trainable}"; remove it')
        if self.lora != Lora() and self.trainable != "lora":
            problems.append(f'lora has no effect if trainable = "{self.trainable}"; set trainable = "lora"')
        if self.probe != Probe() and self.trainable != "head-then-all":
            problems.append(f'probe has no effect if trainable = "{self.trainable}"; set trainable = "head-then-all"')
        if self.patience is not None and self.keep == "last":
            problems.append(
                "patience stops after scores have fallen, and keep = 'last' would keep that checkpoint; set keep = 'best'"
            )
        if self.calibration_folds == 1:
            problems.append(
                "calibration_folds = 1 leaves nothing to train on; set 2 or more, or 0 for the validation part"
            )
        if not self.calibrate and (self.calibration != "temperature" or self.calibration_folds):
            problems.append("calibration and calibration_folds have no effect if calibrate = false; remove them")
        if self.calibration == "temperature+bias" and not self.calibration_folds:
            problems.append(
                "a bias for each class needs more regions than a validation part has; set calibration_folds, such as 2"
            )
        if self.calibration_folds and self.average:
            problems.append(
                "calibration_folds judge one seed, and average makes a network of several; remove one of them"
            )
        if self.calibration_folds and self.streaming:
            problems.append("with streaming, calibration_folds would read all files for each fold; set 0")
        if self.average and self.seeds == 1:
            problems.append("average needs several seeds; set seeds, such as seeds = 3")
        if self.streaming and self.sampling == "balanced":
            problems.append(
                "with streaming, sampling = 'balanced' would read all files for each batch; use class_weights"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Range(Section):
    """Values of one setting that a search may try, from ``low`` to ``high``: whole numbers if both are written as such."""

    low: int | float
    high: int | float
    log: bool = False


class Search(Section):
    """Which settings `sdovis search` tries; each is a list of values or a range { low, high, log }."""

    training: dict[str, Any] = Field(default_factory=dict, description="Settings of [training].")
    method: dict[str, Any] = Field(default_factory=dict, description="Settings of [method].")

    @model_validator(mode="after")
    def _each_is_a_range(self) -> Search:
        problems = []
        for name, given in self._leaves():
            if isinstance(given, Mapping):
                try:
                    found = Range.model_validate(given)
                except ValidationError:
                    problems.append(f"{name}: write {{ low = ..., high = ... }}, and log = true for logarithmic steps")
                    continue
                if not found.low < found.high or (found.log and found.low <= 0):
                    problems.append(f"{name}: low must be below high, and above 0 if log = true")
            elif not isinstance(given, list | tuple) or len(given) < 2:
                problems.append(f"{name}: {given!r} leaves nothing to search; write a list of values or a range")
            elif not all(isinstance(value, str | int | float) for value in given):
                problems.append(f"{name}: a list may hold only strings, numbers, true and false")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _leaves(self) -> Iterator[tuple[str, Any]]:
        def below(name: str, given: Any) -> Iterator[tuple[str, Any]]:
            if isinstance(given, Mapping) and not given.keys() & Range.model_fields.keys():
                for key, inner in given.items():
                    yield from below(f"{name}.{key}", inner)
            else:
                yield name, given

        for section, settings in self:
            yield from below(section, settings)

    @property
    def ranges(self) -> dict[str, Range | tuple[Any, ...]]:
        """``section.key`` -> the values to try, sorted by name."""
        found = {n: Range.model_validate(v) if isinstance(v, Mapping) else tuple(v) for n, v in self._leaves()}
        return dict(sorted(found.items()))
