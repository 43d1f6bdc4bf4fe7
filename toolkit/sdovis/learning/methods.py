"""The methods of fine-tuning: what is trained, on what, and how it becomes an ordinary network.

all             the network as it is
head            the classifier alone, on features computed once by the frozen body
lora            adapters and the classifier; merged when the model is saved
head-then-all   the classifier as with ``head``, then the network as with ``all``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdovis.learning import loader
from sdovis.study import Study


@dataclass(frozen=True)
class Task:
    """What a Trainer is given, and ``export``, which returns an ordinary network with what was learned; call it once.

    ``collator`` makes a batch of what a worker returns, and ``prepare`` turns it into the network's arguments on the
    network's device.
    """

    network: Any
    training: Any
    validation: Any
    collator: Callable[[Any], dict[str, Any]]
    prepare: Callable[[Mapping[str, Any]], dict[str, Any]]
    export: Callable[[], Any]

    @property
    def trainable(self) -> int:
        """The number of trained parameters."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)


@dataclass(frozen=True)
class Body:
    """A backbone with its processor, the parts of the corpus, and how and where their features are computed.

    ``joined`` has both parts one after the other, for a network that learns from both.
    """

    model: Any
    processor: Any
    training: loader.Pictures
    validation: loader.Pictures
    cache: Path
    precision: str
    batch_size: int
    device: Any
    joined: loader.Pictures | None = None

    @property
    def learned_from(self) -> loader.Pictures:
        """The pictures that change the weights."""
        return self.training if self.joined is None else self.joined


def augments(study: Study) -> bool:
    """Whether training shows the network variants of an image beyond the image itself."""
    return study.method.trainable != "head"


def task(study: Study, body: Body, prepare: Any, on_main: Callable[[Callable[[], Any]], Any]) -> Task:
    """The task of the study's method. ``on_main`` runs something in the main process alone, on behalf of all.

    Raises `BadInput` for a backbone that the method cannot work on.
    """
    model = body.model
    if study.method.trainable == "head":
        return of_head(body, on_main)
    export: Callable[[], Any] = lambda: model  # noqa: E731
    if study.method.trainable == "lora":
        from sdovis.learning import lora

        adapters = lora.adapted(model, study.method.lora, study.study.seed)
        export = lambda: lora.merged(adapters)  # noqa: E731
    return Task(model, body.learned_from, body.validation, loader.collated, prepare, export)


def of_head(body: Body, on_main: Callable[[Callable[[], Any]], Any]) -> Task:
    """The classifier's task, with features as its images."""
    from sdovis.learning import features

    codes = {"train": body.training.codes, "validation": body.validation.codes}

    def compute() -> dict[str, features.Features]:
        return features.computed(
            body.model, codes, body.processor, body.cache,
            precision=body.precision, batch_size=body.batch_size, device=body.device,
        )  # fmt: skip

    def make() -> None:
        compute()

    on_main(make)  # the other processes would compute the same
    seen = compute()
    head = features.Head(features.classifier(body.model), getattr(body.model, loader.TABLE, None))

    def export() -> Any:
        head.put_into(body.model)
        return body.model

    learned = seen["train"] if body.joined is None else np.concatenate([seen["train"], seen["validation"]])
    of, held = body.learned_from, body.validation
    training = features.FeatureSet(learned, np.asarray(of.labels), of.soft, of.table)
    validation = features.FeatureSet(seen["validation"], np.asarray(held.labels), table=held.table)
    return Task(head, training, validation, features.first, features.shown, export)


def probe_of(study: Study) -> Study:
    """The study for training the head alone before everything is trained: to the end, without checkpoints."""
    training = {name: value for name, value in study.training.items() if name not in _PROBE_LEAVES_OUT}
    training |= {"num_train_epochs": study.method.probe.epochs, "learning_rate": study.method.probe.learning_rate}
    training |= {"save_strategy": "no", "eval_strategy": "no", "report_to": "none"}
    method = study.method.model_copy(
        update={"trainable": "head", "keep": "last", "layer_decay": None, "patience": None, "compile": False}
    )
    return study.model_copy(update={"training": training, "method": method})


_PROBE_LEAVES_OUT = frozenset("max_steps save_steps eval_steps logging_steps logging_strategy".split())
