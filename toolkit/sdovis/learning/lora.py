"""Low-rank adapters: trained beside a frozen backbone and merged into it at the end. Importing this module imports peft."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, LoraModel

from sdovis.errors import BadInput, Problem, nearest
from sdovis.learning import features, fusion
from sdovis.study import Lora

#: Names of queries and values in the families of transformers; in ConvNeXt, without attention, the pointwise layers.
TARGETS = (("q_proj", "v_proj"), ("query", "value"), ("q", "v"), ("qkv",), ("pwconv1", "pwconv2"))


def adapted(model: Any, settings: Lora, seed: int) -> LoraModel:
    """Put adapters into ``model`` (in place), with all weights frozen except the classifier's; pass the result to `merged`.

    The adapters are drawn from ``seed`` and change nothing before the first step. Raises `BadInput` for a backbone
    without the named layers, or without any known ones.
    """
    from transformers import set_seed

    if any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        raise BadInput(
            Problem(
                "method.trainable = 'lora': this backbone has running means, which adapters cannot store", "set 'all'"
            )
        )
    head = features.classifier(model)
    names = targets(model, settings.targets)
    set_seed(seed)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=names, bias="none"
    )
    adapters = LoraModel(model, {"default": config}, "default")
    head.requires_grad_(True)
    if fusion.takes_table(model):
        model.beside.requires_grad_(True)
    return adapters


def targets(model: Any, wanted: tuple[str, ...] = ()) -> list[str]:
    """Full names of the linear layers of the body that get adapters."""
    body = model.base_model_prefix + "."
    linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n.startswith(body)]
    last = {name.rpartition(".")[2] for name in linear}
    if unknown := sorted(set(wanted) - last):
        raise BadInput(
            Problem(
                f"method.lora.targets: the backbone has no linear layer {unknown[0]!r}",
                nearest(unknown[0], sorted(last)),
            )
        )
    chosen = wanted or next((names for names in TARGETS if last.issuperset(names)), ())
    if not chosen:
        raise BadInput(
            Problem(
                "method.lora: the names of this backbone's queries and values are unknown",
                f"name layers in method.lora.targets: {', '.join(sorted(last)) or 'it has no linear ones'}",
            )
        )
    return [name for name in linear if name.rpartition(".")[2] in chosen]


def merged(adapters: LoraModel) -> Any:
    """The network with the adapters added to its weights: an ordinary model without a trace of peft."""
    model = adapters.merge_and_unload()
    model.requires_grad_(True)
    return model
