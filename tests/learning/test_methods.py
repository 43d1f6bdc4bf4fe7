"""Every method on every family of backbones; stopped and resumed, each ends with the same weights, bit for bit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from chains import run as run_chains
from PIL import Image
from pydantic import ValidationError
from sdovis.learning import backbones, methods
from sdovis.learning.record import TrainingRecord
from sdovis.learning.sampling import BalancedSampler
from sdovis.learning.stopping import Patience
from test_backbones import KINDS
from test_kill_matrix import SIGKILL

TWO_STEPS = {"max_steps": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-2, "disable_tqdm": True}
METHODS: dict[str, dict[str, Any]] = {
    "all": {"layer_decay": 0.6},
    "head": {"trainable": "head"},
    "lora": {"trainable": "lora"},
    "head-then-all": {"trainable": "head-then-all", "probe": {"epochs": 1}},
}


def _train(corpus: Any, folder: Path, **sections: Any) -> TrainingRecord:
    return tiny.train(tiny.study(**sections), corpus, folder, augmentations=frozenset({"flip_ns"}))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_family_is_trained_by_each_method_and_opens_as_a_pipeline(
    corpus: Any, tmp_path: Path, kind: str, method: str
) -> None:
    from transformers import pipeline

    backbone = {"config": KINDS[kind]}
    record = _train(corpus, tmp_path, training=TWO_STEPS, method=METHODS[method], backbone=backbone)
    assert record.steps == 2
    assert (record.trainable_parameters == record.parameters) == ("all" in method)
    model = backbones.reload(tmp_path / "model")
    fresh, _ = backbones.build(tiny.study(backbone=backbone), tiny.CLASSES, {})
    assert model.state_dict().keys() == fresh.state_dict().keys()
    assert not torch.equal(model.classifier.weight, fresh.classifier.weight)
    with backbones.quiet():
        classify = pipeline("image-classification", model=str(tmp_path / "model"))
    answer = classify(Image.fromarray(tiny.picture(1, np.random.default_rng(0))), top_k=3)
    assert {entry["label"] for entry in answer} == set(tiny.CLASSES)
    assert sum(entry["score"] for entry in answer) == pytest.approx(1, abs=1e-5)


def test_the_probe_learns_the_head_before_the_body_moves(corpus: Any, tmp_path: Path) -> None:
    # The rate of the first step of a warm-up is 0.
    frozen = {"max_steps": 1, "warmup_steps": 1, "per_device_train_batch_size": 8, "disable_tqdm": True}
    probe = {"epochs": 20, "learning_rate": 1e-2}
    _train(corpus, tmp_path, training=frozen, method={"trainable": "head-then-all", "probe": probe})
    model = backbones.reload(tmp_path / "model")
    fresh, _ = backbones.build(tiny.study(), tiny.CLASSES, {})
    same = {n for n, t in model.state_dict().items() if torch.equal(t, fresh.state_dict()[n])}
    assert set(fresh.state_dict()) - same == {"classifier.weight", "classifier.bias"}
    alone = _train(
        corpus, tmp_path / "alone", method={"trainable": "head", "keep": "last"},
        training={"num_train_epochs": 20, "learning_rate": 1e-2, "per_device_train_batch_size": 8, "warmup_steps": 1},
    )  # fmt: skip
    assert torch.equal(backbones.reload(tmp_path / "alone" / "model").classifier.weight, model.classifier.weight)
    assert alone.kept_step == 20 * 4


class _Examples:
    def __init__(self, labels: list[int]) -> None:
        self.labels, self.epoch = np.array(labels), 0


def test_a_balanced_epoch_shows_each_class_equally_often_and_rare_images_evenly() -> None:
    examples = _Examples([0] * 70 + [1] * 25 + [3] * 5)
    sampler = BalancedSampler(examples, seed=1)
    first = list(sampler)
    assert len(first) == len(sampler) == 100
    assert sorted(Counter(examples.labels[first].tolist()).values()) == [33, 33, 34]
    shown = Counter(first)
    assert max(shown[i] for i in range(70)) == 1
    assert {shown[i] for i in range(95, 100)} <= {6, 7}
    assert len(set(examples.labels[first[:20]].tolist())) == 3, "classes are mixed"
    np.random.seed(3)
    torch.rand(3)
    assert list(sampler) == first
    examples.epoch = 1
    assert list(sampler) != first != list(BalancedSampler(_Examples(examples.labels.tolist()), seed=2))


@pytest.mark.parametrize(
    ("scores", "patience", "over"),
    [
        ([0.1, 0.2, 0.2], 1, True), ([0.1, 0.2, 0.2], 2, False), ([0.3, 0.2, 0.25], 2, True),
        ([0.3, 0.2, 0.4], 2, False), ([], 1, False), ([0.5], 1, False), ([0.5, 0.4, 0.6, 0.1, 0.2, 0.3], 3, True),
    ],
)  # fmt: skip
def test_patience_ends_after_so_many_scores_in_a_row_that_are_no_better(
    scores: list[float], patience: int, over: bool
) -> None:
    history = [entry for score in scores for entry in ({"loss": 1.0}, {"eval_accuracy": score, "eval_loss": -score})]
    assert Patience(patience, "accuracy").exhausted(history) == over
    assert Patience(patience, "loss").exhausted(history) == over


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"method": {"trainable": "head", "augment": ["flip_ns"]}}, "augment has no effect: trainable = \"head\""),
        ({"method": {"sampling": "balanced", "class_weights": "balanced"}}, "class_weights and sampling each correct for rare"),
        ({"method": {"sampling": "balanced", "logit_adjustment": 1}}, "sampling and logit_adjustment each correct for rare"),
        ({"method": {"logit_adjustment": 1, "class_weights": "balanced"}}, "class_weights and logit_adjustment each"),
        ({"method": {"trainable": "lora", "layer_decay": 0.5}}, "layer_decay has no effect if trainable = \"lora\""),
        ({"method": {"lora": {"rank": 2}}}, 'lora has no effect if trainable = "all"'),
        ({"method": {"probe": {"epochs": 2}}}, 'probe has no effect if trainable = "all"'),
        ({"method": {"patience": 2, "keep": "last"}}, "patience stops after scores have fallen"),
        ({"method": {"patience": 2}, "training": {"eval_strategy": "no"}}, "patience: decided by validation scores"),
        ({"method": {"seeds": 3}, "training": {"eval_strategy": "no"}}, "seeds: decided by validation scores"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_together_is_refused_when_the_study_is_read(sections: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError) as raised:
        tiny.study(**sections)
    (error,) = raised.value.errors()
    assert line in error["msg"] and "\n" not in error["msg"]


def test_classes_are_weighted_unless_something_else_makes_up_for_them_and_a_resolved_study_reads_the_same() -> None:
    import tomllib

    from sdovis.study import Study

    for settings, weights in (
        ({}, "balanced"),
        ({"sampling": "balanced"}, "none"),
        ({"logit_adjustment": 1.0}, "none"),
    ):
        study = tiny.study(method=settings)
        assert study.method.class_weights == weights
        assert Study.model_validate(tomllib.loads(study.to_toml(Path()))).method == study.method


def test_the_probe_keeps_the_studys_training_but_for_epochs_rate_and_checkpoints() -> None:
    study = tiny.study(training=TWO_STEPS | {"weight_decay": 0.1, "save_steps": 3}, method=METHODS["head-then-all"])
    probe = methods.probe_of(study)
    assert probe.method.trainable == "head" and probe.method.keep == "last"
    assert probe.training["weight_decay"] == 0.1 and probe.training["num_train_epochs"] == 1
    assert not {"max_steps", "save_steps"} & probe.training.keys()


_STEPS = {
    "num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True,
    "gradient_accumulation_steps": 2, "save_steps": 3, "save_total_limit": 1,
}  # fmt: skip
_STEP, _KEEP = "sdovis.learning.trainer:ExactTrainer.training_step", "sdovis.learning.trainer:ExactTrainer.keep"
STUDIES: dict[str, dict[str, Any]] = {
    "lora": {"method": {"trainable": "lora", "lora": {"rank": 2, "dropout": 0.2}}, "training": _STEPS},
    "head": {"method": {"trainable": "head"}, "training": _STEPS},
    "head-then-all": {
        "method": {"trainable": "head-then-all", "probe": {"epochs": 2}, "layer_decay": 0.7}, "training": _STEPS,
    },
    "balanced": {"method": {"sampling": "balanced"}, "training": _STEPS | {"per_device_train_batch_size": 2}},
    "patience": {
        "method": {"patience": 1, "keep_by": "accuracy"}, "training": _STEPS | {"num_train_epochs": 20},
    },
}  # fmt: skip
#: 16 batches are the probe's before the 16 of everything.
KILLS: dict[str, tuple[str, list[list[Any]]]] = {
    "lora in mid-epoch": ("lora", [[_STEP, "before", 9]]),
    "lora in a save": ("lora", [["sdovis.learning.tensors:save", "after", 2]]),
    "lora once merged": ("lora", [["sdovis.learning.lora:merged", "after", 1]]),
    "head while features are computed": ("head", [["sdovis.learning.features:compute", "after", 1]]),
    "head in mid-epoch": ("head", [[_STEP, "before", 9]]),
    "head-then-all in the probe": ("head-then-all", [[_STEP, "before", 5]]),
    "head-then-all before the first checkpoint": ("head-then-all", [[_STEP, "before", 20]]),
    "head-then-all in mid-epoch, twice": ("head-then-all", [[_STEP, "before", 27], [_STEP, "before", 2]]),
    "balanced in both epochs": ("balanced", [[_STEP, "before", 6, 1], [_STEP, "before", 5, 0]]),
    "patience before it ends": ("patience", [[_STEP, "before", 11]]),
    "patience once it has ended": ("patience", [[_KEEP, "before", 1]]),
}


@pytest.fixture(scope="module")
def runs(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[int], dict[str, Any]]]:
    root = tmp_path_factory.mktemp("methods")
    chains = []
    for name, (study, kills) in ({study: (study, []) for study in STUDIES} | KILLS).items():
        job = {"corpus": str(corpus_folder), "study": STUDIES[study]}
        job |= {"processes": 2} if study == "balanced" else {}
        jobs = [*(job | {"kill": kill} for kill in kills), job]
        chains.append({"name": name, "folder": str(root / name.replace(" ", "-")), "jobs": jobs})
    ran, errors = run_chains(root, chains, timeout=400)
    found = {}
    for chain in chains:
        statuses = ran[chain["name"]]
        assert statuses[-1] == 0, (chain, statuses, errors[-3000:])
        found[chain["name"]] = (statuses, json.loads((Path(chain["folder"]) / "end.json").read_text()))
    return found


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_started_again_a_method_ends_as_if_nothing_had_been(runs: Any, name: str) -> None:
    study, kills = KILLS[name]
    statuses, end = runs[name]
    assert statuses == [SIGKILL] * len(kills) + [0]
    assert end == runs[study][1]


def test_patience_stopped_before_the_planned_end_and_every_method_differs(runs: Any) -> None:
    ends = {study: runs[study][1] for study in STUDIES}
    assert ends["patience"]["state"]["global_step"] < 80 == ends["patience"]["record"]["planned_steps"]
    assert len({end["model"] for end in ends.values()}) == len(STUDIES)
    assert "trained.safetensors" in ends["lora"]["files"] and "trained.safetensors" not in ends["balanced"]["files"]
