"""Learning rates that decrease from the top of the network to its bottom."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sdovis.errors import BadInput, Problem

#: Names of the lists of layers in transformers' networks; the stages of a hierarchical one contain such lists.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|stages?)\.(\d+)(?=\.)")


def depths(names: Iterable[str]) -> dict[str, int]:
    """Depth of each parameter, given in the order of the network: 0 for embeddings, 1 ... n for layers, n + 1 above.

    A parameter in a stage but in none of its layers belongs to the next layer or, at the stage's end, to the last one.
    """
    found: dict[str, int] = {}
    seen: list[tuple[str, ...]] = []
    waiting: list[str] = []
    names = list(names)
    layers = {name: tuple(_LAYER.findall(name)) for name in names}
    deepest = max(map(len, layers.values()), default=0)
    for name in names:
        layer = layers[name]
        if deepest and len(layer) == deepest:
            if layer not in seen:
                seen.append(layer)
            found |= dict.fromkeys([*waiting, name], seen.index(layer) + 1)
            waiting = []
        elif layer and not (seen and seen[-1][: len(layer)] == layer):
            waiting.append(name)
        elif layer:
            found[name] = len(seen)
        else:
            found[name] = 0 if not seen else -1
    found |= dict.fromkeys(waiting, -1)
    return {name: len(seen) + 1 if depth < 0 else depth for name, depth in found.items()}


def scales(names: Iterable[str], decay: float) -> dict[str, float]:
    """Share of the learning rate of each parameter: decay ** (layers above it), as in ELECTRA and BEiT.

    Raises `BadInput` if the network has no layers that can be told apart.
    """
    found = depths(names)
    top = max(found.values(), default=0)
    if top < 2:
        raise BadInput(Problem("method.layer_decay: this backbone has no layers that can be told apart", "remove it"))
    return {name: decay ** (top - depth) for name, depth in found.items()}


def rescale(optimizer: Any, network: Any, decay: float) -> None:
    """Split the optimizer's groups by the layers of ``network``, before its first step; the full rate comes first."""
    share = scales((name for name, _ in network.named_parameters()), decay)
    of = {parameter: share[name] for name, parameter in network.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        for scale in sorted({of[p] for p in group["params"]}, reverse=True):
            members = [p for p in group["params"] if of[p] == scale]
            groups.append({**group, "params": members, "lr": group["lr"] * scale})
    # The Trainer logs the rate of the first group.
    optimizer.param_groups[:] = sorted(groups, key=lambda group: -group["lr"])
