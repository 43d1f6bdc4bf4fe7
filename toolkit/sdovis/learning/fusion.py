"""A network that is also told a table: one linear layer on its features and the values beside the image, together.

The layer is the network's own classifier, W f + b, plus V t of the values t as `sdovis.statistics.tabular` codes them: the
linear classifier of the two put together, which leaves the network what it is. Late fusion; Baltrusaitis et al. 2019, IEEE
TPAMI 41, 423.

The configuration names a kind of model that transformers does not know, so that it cannot open the network without its
values: its message then says what opens it. Importing this module imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem
from sdovis.learning import loader
from sdovis.learning.model_files import KIND

#: Entries of config.json: the kind of the network itself, and the numbers that a row of the table becomes.
OF, WIDTH = "beside_of", "beside_width"

Table = NDArray[np.float32]


class TableHead(torch.nn.Module):
    """The share of the logits (N, K) that the values (N, W) have; none before the first step."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(classes, width))

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        """In fp32, whatever the network computes in."""
        with torch.autocast(table.device.type, enabled=False):
            return torch.nn.functional.linear(table.float(), self.weight.float())


class Fused:
    """What is added to a network's class: see `fused`."""

    held: torch.Tensor | None = None

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        self.beside = TableHead(getattr(config, WIDTH), config.num_labels)

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        beside: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the network's own, with the table (N, W) ``beside``. Raises `BadInput` without it.

        ``labels``, by which the Trainer sees that there are any, are for the loss, which is not computed here.
        """
        answer = super().forward(pixel_values, **kwargs)  # type: ignore[misc]
        if beside is None and self.held is not None:
            beside = self.held.to(answer.logits.device)
        if beside is None:
            what = "this model is told values beside the image, and none are given"
            raise BadInput(Problem(what, 'use sdovis.pipeline(MODEL)(image, beside={"NAME": value})'))
        answer.logits = answer.logits + self.beside(beside)
        return answer


class FusedConfig:
    """What is added to a configuration's class: only what is written names the kind, as transformers reads and writes the
    tensors of a network by its own."""

    def to_dict(self) -> dict[str, Any]:
        """As it is written to config.json."""
        return {**super().to_dict(), "model_type": KIND}  # type: ignore[misc]


@cache
def _classes(network: Any, config: Any) -> tuple[type, type]:
    """The classes of network and configuration that are told a table.

    They count as transformers' own: tensors of anybody else's are not brought up to their present names.
    """
    told = type(f"{config.__name__}Beside", (FusedConfig, config), {"__module__": config.__module__})
    parts = {"config_class": told, "__module__": network.__module__}
    return type(f"{network.__name__}Beside", (Fused, network), parts), told


def fused(model: Any, width: int) -> Any:
    """``model``, which is also told rows of ``width`` numbers; its answers are the same before it learns of them."""
    network_class: Any = type(model)
    config_class: Any = type(model.config)
    made, told = _classes(network_class, config_class)
    config: Any = told.from_dict(model.config.to_dict() | {OF: model.config.model_type, WIDTH: width})  # type: ignore[attr-defined]
    network = made(config)
    lost, left = network.load_state_dict(model.state_dict(), strict=False)
    assert lost == ["beside.weight"] and not left
    return network.eval()


def takes_table(model: Any) -> bool:
    """Whether a network is told values beside the image."""
    return isinstance(model, Fused)


def config_of(folder: Path) -> Any:
    """The configuration of such a model. Raises `BadInput` for a kind of network that this transformers does not know."""
    return _opened(folder)[1]


def reload(folder: Path, **kwargs: Any) -> Any:
    """Such a model as `from_pretrained` gives it with ``kwargs``."""
    made, config = _opened(folder)
    return made.from_pretrained(folder, config=config, **kwargs)


def _opened(folder: Path) -> tuple[Any, Any]:
    from transformers import CONFIG_MAPPING, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    file = Path(folder) / "config.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    kind = str(said.get(OF))
    if kind not in CONFIG_MAPPING or CONFIG_MAPPING[kind] not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        hint = "open it with the transformers that sdovis' requirements name"
        raise BadInput(Problem(f"{OF} = {kind!r} is no image classifier of transformers", hint, str(file)))
    classifiers: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[CONFIG_MAPPING[kind]]
    candidates = classifiers if isinstance(classifiers, tuple) else (classifiers,)
    names = [name.removesuffix("Beside") for name in said.get("architectures") or ()]
    network = next((each for each in candidates if each.__name__ in names), candidates[0])
    made, told = _classes(network, CONFIG_MAPPING[kind])
    return made, told.from_dict(said | {"model_type": kind})  # type: ignore[attr-defined]


def given(model: Any, table: Table | torch.Tensor | None) -> dict[str, torch.Tensor]:
    """The argument that ``model`` is given with its pictures: its rows of the table, on its device; none for other models."""
    if not takes_table(model) or table is None:
        return {}
    return {loader.TABLE: torch.as_tensor(table).to(model.beside.weight.device)}


def blank(model: Any, rows: int) -> Table | None:
    """A table for a pass of which only the network's features count; None for a model that is told none."""
    return np.zeros((rows, model.beside.weight.shape[1]), np.float32) if takes_table(model) else None


@contextmanager
def held(model: Any, row: Table | None = None) -> Iterator[None]:
    """Meanwhile, ``model`` is told ``row`` (1, W) with every picture, by default numbers at their means and no category.

    For maps of where it looked: the values' share of the logits is the same wherever that is.
    """
    if not takes_table(model):
        yield
        return
    row = blank(model, 1) if row is None else row
    assert row is not None
    model.held = torch.as_tensor(row)
    try:
        yield
    finally:
        model.held = None
