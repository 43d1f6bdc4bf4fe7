"""Two processes, by DDP and by FSDP with the configuration that is shipped: the same training as in one.

FSDP's processes meet on a CPU, see `sessions.configure`; all else is torch's and accelerate's own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from chains import run as run_chains
from safetensors.torch import load_file
from sdovis.errors import BadInput
from sdovis.learning import backbones, trainer
from studies import ROOT
from test_backbones import KINDS
from test_kill_matrix import SIGKILL

FSDP = str(ROOT / "examples" / "accelerate" / "fsdp.yaml")
WAYS: dict[str, dict[str, Any]] = {"one": {}, "DDP": {"processes": 2}, "FSDP": {"processes": 2, "config": FSDP}}

#: 30 images make 15 batches: the last one of an epoch is one process' alone.
_STEPS = {
    "num_train_epochs": 2, "per_device_train_batch_size": 2, "learning_rate": 3e-3, "disable_tqdm": True,
    "gradient_accumulation_steps": 2, "save_steps": 3, "save_total_limit": 1,
}  # fmt: skip
STUDIES: dict[str, dict[str, Any]] = {
    "all": {"method": {"layer_decay": 0.7}, "training": _STEPS},
    "dinov2 in bf16": {"kind": "dinov2", "method": {"keep": "last"}, "training": _STEPS | {"bf16": True}},
    "lora": {"method": {"trainable": "lora", "lora": {"rank": 2, "dropout": 0.2}}, "training": _STEPS},
    "head-then-all": {"method": {"trainable": "head-then-all", "probe": {"epochs": 2}}, "training": _STEPS},
    "patience": {"method": {"patience": 1, "keep_by": "loss"}, "training": _STEPS | {"num_train_epochs": 20}},
}  # fmt: skip
_STEP, _KEEP = "sdovis.learning.trainer:ExactTrainer.training_step", "sdovis.learning.trainer:ExactTrainer.keep"
_SEAL = "sdovis.learning.checkpoints:seal"
#: The fourth number of a kill is the process it meets. 16 batches of each are the probe's.
KILLS: dict[str, tuple[str, str, list[Any]]] = {
    "FSDP: the second in mid-epoch": ("all", "FSDP", [_STEP, "before", 12, 1]),
    "FSDP: the first in a save": ("all", "FSDP", [_SEAL, "before", 2, 0]),
    "FSDP: dinov2 in mid-epoch": ("dinov2 in bf16", "FSDP", [_STEP, "before", 12, 0]),
    "FSDP: lora in mid-epoch": ("lora", "FSDP", [_STEP, "before", 12, 1]),
    "FSDP: head-then-all in mid-epoch": ("head-then-all", "FSDP", [_STEP, "before", 28, 1]),
    "DDP: head-then-all in the probe": ("head-then-all", "DDP", [_STEP, "before", 9, 1]),
    "DDP: patience before it ends": ("patience", "DDP", [_STEP, "before", 7, 1]),
    "DDP: patience once it has ended": ("patience", "DDP", [_KEEP, "before", 1, 0]),
}
#: Plain gradients, neither clipped nor scaled as Adam does: of a loss that is scaled wrongly nothing is left to see.
_PLAIN = {
    "max_steps": 3, "learning_rate": 0.1, "optim": "sgd", "max_grad_norm": 0, "gradient_accumulation_steps": 2,
    "save_steps": 3, "disable_tqdm": True,
}  # fmt: skip
_CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
FAMILIES = ("vit", "dinov2")


def _plain(kind: str, way: str) -> dict[str, Any]:
    return {
        "training": _PLAIN | {"per_device_train_batch_size": 4 if way == "one" else 2},
        "method": {"keep": "last"},
        "backbone": {"config": KINDS[kind] | _CALM},
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each study, family and kill, the folder with what it left."""
    root = tmp_path_factory.mktemp("processes")
    corpus = tiny.write_corpus(root / "corpus", validation=11)
    chains: list[dict[str, Any]] = []

    def add(name: str, study: dict[str, Any], way: str, kills: list[Any]) -> None:
        job = {"corpus": str(corpus), "study": study} | WAYS[way]
        jobs = [*(job | {"kill": kill} for kill in kills), job]
        chains.append({"name": name, "folder": str(root / str(len(chains))), "jobs": jobs})

    for study, way in {(study, way) for study, way, _ in KILLS.values()} | {("lora", "DDP"), ("all", "DDP")}:
        add(f"{study} {way}", STUDIES[study], way, [])
    for kill, (study, way, where) in KILLS.items():
        add(kill, STUDIES[study], way, [where])
    for kind in FAMILIES:
        for way in WAYS:
            add(f"{kind} {way}", _plain(kind, way), way, [])
    ran, errors = run_chains(root, chains, timeout=300)
    for chain in chains:
        statuses = ran[chain["name"]]
        assert statuses == [SIGKILL] * (len(chain["jobs"]) - 1) + [0], (chain, errors[-4000:])
    return {chain["name"]: Path(chain["folder"]) for chain in chains}


def _end(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "end.json").read_text())
    return found


def _distance(one: Path, other: Path) -> float:
    """The greatest difference between two trained models, which have the same tensors."""
    first, second = (load_file(place / "model" / "model.safetensors") for place in (one, other))
    assert first.keys() == second.keys() and all(t.dtype == second[n].dtype for n, t in first.items())
    return max(float((t - second[n]).abs().max()) for n, t in first.items())


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_started_again_they_end_as_if_nothing_had_been(places: dict[str, Path], name: str) -> None:
    study, way, _ = KILLS[name]
    assert _end(places[name]) == _end(places[f"{study} {way}"])


@pytest.mark.parametrize("kind", FAMILIES)
def test_two_processes_make_the_steps_of_one(places: dict[str, Path], kind: str) -> None:
    fresh, _ = backbones.build(tiny.study(**_plain(kind, "one")), tiny.CLASSES, {})
    trained = backbones.reload(places[f"{kind} one"] / "model")
    assert float((trained.classifier.weight - fresh.classifier.weight).detach().abs().max()) > 1e-2
    assert _distance(places[f"{kind} one"], places[f"{kind} DDP"]) < 1e-6
    assert _distance(places[f"{kind} one"], places[f"{kind} FSDP"]) < 1e-6


def test_fsdp_shards_and_leaves_what_ddp_leaves_but_for_its_optimizer(places: dict[str, Path]) -> None:
    ddp, fsdp = (set(_end(places[f"all {way}"])["files"]) for way in ("DDP", "FSDP"))
    assert fsdp - ddp == {"optimizer.bin", "pytorch_model_fsdp.bin"} and ddp - fsdp == {"optimizer.pt"}
    for study in ("all", "lora", "head-then-all"):
        assert _distance(places[f"{study} DDP"], places[f"{study} FSDP"]) < 1e-3
    config = json.loads((places["all FSDP"] / "model" / "config.json").read_text())
    assert config["architectures"] == ["ViTForImageClassification"]


def test_a_validation_score_counts_each_image_once_however_many_processes_share_them(places: dict[str, Path]) -> None:
    for kind in FAMILIES:
        one, *others = ([e for e in _end(places[f"{kind} {way}"])["metrics"] if "eval_loss" in e] for way in WAYS)
        assert len(one) == 1
        assert all(other[0] == pytest.approx(one[0], abs=1e-6) for other in others)


def test_patience_ends_both_processes_before_the_planned_end(places: dict[str, Path]) -> None:
    end = _end(places["patience DDP"])
    assert end["state"]["global_step"] < end["record"]["planned_steps"] == 80
    assert end["record"]["processes"] == 2


@pytest.fixture
def sharded(corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Trainer that believes that its network is sharded."""
    from sdovis.learning import loader
    from transformers import TrainingArguments

    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    model, processor = backbones.build(tiny.study(kind="dinov2"), tiny.CLASSES, {})
    pictures = loader.Pictures(loader.decode(corpus.pictures_of("train"), processor), corpus.part("train")["label"])
    return trainer.ExactTrainer(
        model=model, processor=processor, args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True),
        training=pictures, validation=pictures, shown=dict, loss=lambda *_, **__: torch.zeros(()), checkpoint_limit=None,
    )  # fmt: skip


def test_what_is_not_whole_is_never_saved(sharded: Any, tmp_path: Path) -> None:
    with torch.no_grad():
        sharded.model.classifier.bias += 1
    sharded.collect()
    assert torch.equal(sharded.network.classifier.bias, sharded.model.classifier.bias)
    sharded.model.classifier.weight.data = torch.empty(0)  # what DeepSpeed's stage 3 leaves of it
    with pytest.raises(RuntimeError, match=r"size mismatch for classifier.weight"):
        sharded.save_model(str(tmp_path / "saved"))
    assert not (tmp_path / "saved").exists()


def test_the_network_itself_is_not_sharded_and_all_of_it_stays_trainable(sharded: Any) -> None:
    assert sharded.model is not sharded.network
    assert all(p.requires_grad for p in sharded.network.parameters())
    frozen = [name for name, p in sharded.model.named_parameters() if not p.requires_grad]
    assert frozen == ["dinov2.embeddings.mask_token"]


@pytest.mark.parametrize(
    ("kind", "layers"),
    [("vit", ["ViTLayer"]), ("dinov2", ["Dinov2Layer"]), ("deit", ["DeiTLayer"]), ("swin", ["SwinStage"])],
)
def test_layers_are_sharded_one_by_one_and_the_embeddings_apart(kind: str, layers: list[str]) -> None:
    model, _ = backbones.build(tiny.study(backbone={"config": KINDS[kind]}), tiny.CLASSES, {})
    assert trainer._blocks(model) == layers


def test_a_backbone_that_accelerate_cannot_shard_is_refused() -> None:
    model, _ = backbones.build(tiny.study(backbone={"config": KINDS["convnext"]}), tiny.CLASSES, {})
    with pytest.raises(BadInput, match=r"cannot shard a ConvNextForImageClassification; launch with .*ddp_gpu.yaml"):
        trainer._blocks(model)
    assert trainer._blocks(torch.nn.Linear(2, 2)) == []
