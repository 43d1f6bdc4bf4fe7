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
        (), description="Last names of the linear layers that get adapters; empty: queries and values."
    )


class Probe(Section):
    """The head's own training before everything is trained (head-then-all); the rest is as in [training]."""

    epochs: int = Field(30, ge=1, description="Epochs over the features of the backbone as it was.")
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate of the head alone.")


class Method(Section):
    """How it is fine-tuned, where TrainingArguments has no word for it."""

    trainable: Literal["all", "head", "lora", "head-then-all"] = Field(
        "all",
        description="all: every weight. head: the classifier alone, on features computed once. lora: adapters and the "
        "classifier. head-then-all: the classifier first (linear probe), then every weight.",
    )
    lora: Lora = Lora()
    probe: Probe = Probe()
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="Each layer learns at this share of the rate of the layer above it."
    )
    class_weights: Literal["balanced", "none"] = Field(
        "balanced", description="Weight of the classes in the loss; `none` where sampling or logit_adjustment is set."
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="balanced: an epoch shows every class equally often, in as many images."
    )
    streaming: bool = Field(
        False, description="Decode images whenever they are shown: for a corpus whose decoded images fill the disk."
    )
    compile: bool = Field(
        False,
        description="Compile the network for training with torch.compile: faster steps for a slower start; worth it on GPUs.",
    )
    logit_adjustment: float = Field(
        0.0, ge=0, le=10, description="tau times the log of the classes' shares is added to the logits in the loss."
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after so many evaluations in a row that are not better by keep_by."
    )
    seeds: int = Field(
        1, ge=1, le=100, description="Train so often, from study.seed on; validation chooses which becomes the model."
    )
    augment: bool | tuple[str, ...] = Field(
        True,
        description="Flips, quarter turns, reversed polarity: true for those that keep the scheme's labels, false, or "
        "names of plug-ins such as flip_ns, flip_ew, rotate90, rotate_any, polarity.",
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
            problems.append(f"{named} each make up for rare classes: together they do it twice; keep one")
        if self.trainable == "head" and isinstance(self.augment, tuple):
            problems.append('augment has no effect where trainable = "head" computes features once; remove augment')
        if self.trainable == "head" and self.compile:
            problems.append('compile has no effect where trainable = "head" trains a single layer; remove compile')
        if self.layer_decay is not None and self.trainable in ("head", "lora"):
            problems.append(f'layer_decay has no effect where trainable = "{self.trainable}"; remove it')
        if self.lora != Lora() and self.trainable != "lora":
            problems.append(f'lora has no effect where trainable = "{self.trainable}"; set trainable = "lora"')
        if self.probe != Probe() and self.trainable != "head-then-all":
            problems.append(
                f'probe has no effect where trainable = "{self.trainable}"; set trainable = "head-then-all"'
            )
        if self.patience is not None and self.keep == "last":
            problems.append(
                "patience stops where the scores fall, and keep = 'last' would keep those; set keep = 'best'"
            )
        if self.streaming and self.sampling == "balanced":
            problems.append(
                "sampling = 'balanced' would read all files for each batch; use class_weights with streaming"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Range(Section):
    """Values of one setting that a search may try, from ``low`` to ``high``: whole numbers where both are written so."""

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
                    problems.append(f"{name}: write {{ low = ..., high = ... }}, log = true for steps by a factor")
                    continue
                if not found.low < found.high or (found.log and found.low <= 0):
                    problems.append(f"{name}: low must be below high, and above 0 where log = true")
            elif not isinstance(given, list | tuple) or len(given) < 2:
                problems.append(f"{name}: {given!r} leaves nothing to search; write a list of values or a range")
            elif not all(isinstance(value, str | int | float) for value in given):
                problems.append(f"{name}: a list holds words, numbers, true and false")
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
        """``section.key`` -> what is tried, in the order of the names."""
        found = {n: Range.model_validate(v) if isinstance(v, Mapping) else tuple(v) for n, v in self._leaves()}
        return dict(sorted(found.items()))
