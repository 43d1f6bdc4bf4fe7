from __future__ import annotations

import pytest
import tiny
import torch
from sdovis.errors import BadInput
from sdovis.learning import backbones, rates
from test_backbones import KINDS

DEEP = KINDS | {
    "swin": KINDS["swin"] | {"depths": [1, 2]},
    "convnext": KINDS["convnext"] | {"depths": [1, 2, 1, 1]},
}


def _network(kind: str):
    return backbones.build(tiny.study(backbone={"config": DEEP[kind]}), tiny.CLASSES, {})[0]


def _depth(network, part: str) -> int:
    found = rates.depths(name for name, _ in network.named_parameters())
    (depth,) = {depth for name, depth in found.items() if part in name}
    return depth


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("vit", {"embeddings": 0, "layers.0": 1, "layers.1": 2, "vit.layernorm": 3, "classifier": 3}),
        ("deit", {"embeddings": 0, "layers.0": 1, "layers.1": 2, "classifier": 3}),
        ("dinov2", {"embeddings": 0, "layer.0": 1, "layer.1": 2, "dinov2.layernorm": 3, "classifier": 3}),
        (
            "swin",
            {
                "embeddings": 0, "layers.0.blocks.0": 1, "layers.0.downsample": 1, "layers.1.blocks.0": 2,
                "layers.1.blocks.1": 3, "swin.layernorm": 4, "classifier": 4,
            },
        ),
        (
            "convnext",
            {
                "embeddings": 0, "stages.0.layers.0": 1, "stages.1.downsampling_layer": 2, "stages.1.layers.0": 2,
                "stages.1.layers.1": 3, "stages.2.downsampling_layer": 4, "stages.3.layers.0": 5,
                "convnext.layernorm": 6, "classifier": 6,
            },
        ),
    ],
)  # fmt: skip
def test_each_layer_has_its_depth_in_every_family(kind: str, expected: dict[str, int]) -> None:
    network = _network(kind)
    assert {part: _depth(network, part) for part in expected} == expected


@pytest.mark.parametrize("kind", ["vit", "swin"])
def test_rates_fall_geometrically_and_every_parameter_is_in_one_group_with_its_weight_decay(kind: str) -> None:
    network = _network(kind)
    named = dict(network.named_parameters())
    decayed = [p for n, p in named.items() if "bias" not in n]
    plain = [p for n, p in named.items() if "bias" in n]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    rates.rescale(optimizer, network, 0.5)
    seen = {p: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(seen) == len(named)
    depth = rates.depths(named)
    top = max(depth.values())
    for name, parameter in named.items():
        expected = 0.01 * 0.5 ** (top - depth[name]), 0.0 if "bias" in name else 0.1
        assert seen[parameter] == pytest.approx(expected), name
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_a_schedule_keeps_the_shares() -> None:
    network = _network("vit")
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    rates.rescale(optimizer, network, 0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    optimizer.step()
    schedule.step()
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([1 / 16, 1 / 8, 1 / 4, 1 / 2])


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(BadInput, match=r"layer_decay: this backbone has no layers"):
        rates.scales(["stem.weight", "classifier.weight"], 0.5)
