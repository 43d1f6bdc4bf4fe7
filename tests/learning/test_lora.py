from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from sdovis.errors import BadInput
from sdovis.learning import backbones, lora
from sdovis.study import Lora
from test_backbones import KINDS

QUICK = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "learning_rate": 1e-2, "disable_tqdm": True}


def _network(kind: str = "vit"):
    return backbones.build(tiny.study(backbone={"config": KINDS[kind]}), tiny.CLASSES, {})[0]


@pytest.mark.parametrize(
    ("kind", "layers"),
    [
        ("vit", {"q_proj", "v_proj"}),
        ("deit", {"q_proj", "v_proj"}),
        ("dinov2", {"q_proj", "v_proj"}),
        ("swin", {"q_proj", "v_proj"}),
        ("convnext", {"pwconv1", "pwconv2"}),
    ],
)
def test_adapters_are_trained_beside_frozen_weights_and_merge_to_the_same_logits(kind: str, layers: set[str]) -> None:
    model = _network(kind).eval()
    names, frozen = set(model.state_dict()), {n: p.clone() for n, p in model.named_parameters()}
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        before = model(images).logits
    adapters = lora.adapted(model, Lora(rank=3, alpha=6.0), seed=1)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained if "lora_" in name} == layers
    assert {name for name in trained if "lora_" not in name} == {"classifier.weight", "classifier.bias"}
    with torch.no_grad():
        assert torch.equal(model(images).logits, before), "adapters begin as nothing"
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter += 0.1 * torch.randn_like(parameter)
        unmerged = model(images).logits
        merged = lora.merged(adapters)
        assert merged is model and set(merged.state_dict()) == names
        assert torch.allclose(merged(images).logits, unmerged, atol=1e-5)
    assert not torch.equal(unmerged, before)
    changed = {name for name, p in merged.named_parameters() if not torch.equal(p, frozen[name])}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in changed} == layers


def test_the_seed_alone_draws_the_adapters() -> None:
    drawn = []
    for seed, noise in ((1, 0), (1, 5), (2, 0)):
        model = _network()
        torch.rand(noise)
        lora.adapted(model, Lora(), seed=seed)
        drawn.append(next(p for n, p in model.named_parameters() if "lora_A" in n).detach())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_model_folder_is_an_ordinary_one(corpus, tmp_path: Path) -> None:
    study = tiny.study(training=QUICK, method={"trainable": "lora", "lora": {"rank": 2, "dropout": 0.1}})
    record = tiny.train(study, corpus, tmp_path)
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "config.json", "familiarity.safetensors", "model.safetensors", "preprocessor_config.json", "manifest.json"
    }  # fmt: skip
    assert "lora" not in (tmp_path / "model" / "config.json").read_text().lower()
    model, fresh = backbones.reload(tmp_path / "model"), backbones.build(study, tiny.CLASSES, {})[0]
    before, after = fresh.state_dict(), model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert len([n for n in changed if n.endswith(("q_proj.weight", "v_proj.weight"))]) == 4
    assert {n for n in changed if not n.endswith(("q_proj.weight", "v_proj.weight"))} == {
        "classifier.weight", "classifier.bias"
    }  # fmt: skip
    assert record.trainable_parameters == 2 * 2 * 2 * (32 + 32) + 99 < record.parameters == 24003
    assert record.versions["peft"]
    weights = {p.name: p.stat().st_size for p in (tmp_path / "training").rglob("*.safetensors")}
    assert list(weights) == ["trained.safetensors"] and weights["trained.safetensors"] < 4000 + 4 * 700


def test_layers_may_be_named_and_unknown_ones_are_refused() -> None:
    assert len(lora.targets(_network(), ("fc1", "o_proj"))) == 4
    with pytest.raises(BadInput, match=r"no linear layer 'fc11'; did you mean 'fc1'\?"):
        lora.targets(_network(), ("fc11",))


def test_a_backbone_with_running_means_is_refused() -> None:
    model = _network()
    model.base_model.add_module("norm", torch.nn.BatchNorm2d(3))
    with pytest.raises(BadInput, match="running means"):
        lora.adapted(model, Lora(), seed=0)
