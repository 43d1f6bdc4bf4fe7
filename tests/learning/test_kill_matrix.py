"""Killed with signal 9 at any moment and started again, a training ends as if nothing had been: bit for bit.

What is compared: the model's tensors, those of the last checkpoint, the optimizer's, the schedule, every random state,
all losses and scores, the record, the names of all files. Augmentation, dropout and gradient accumulation are on.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from chains import run as run_chains

HERE = Path(__file__).parent
#: The first test waits for all of the runs.
pytestmark = pytest.mark.timeout(1600)
SIGKILL = int(signal.SIGKILL)

_BASE = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True}
#: 30 images make 8 batches, 4 steps an epoch: checkpoints, each with an evaluation, after steps 3, 6 and 8.
_STEPS = _BASE | {"gradient_accumulation_steps": 2, "save_steps": 3, "save_total_limit": 1}
STUDIES: dict[str, dict[str, Any]] = {
    "vit": {"study": {"training": _STEPS}},
    "dinov2 in bf16, checkpoints at the epochs' ends": {
        "study": {"kind": "dinov2", "training": _BASE | {"bf16": True}, "method": {"keep": "last"}},
    },
    "two persistent workers": {
        "study": {"training": _STEPS | {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}},
    },
    "ended by max_steps in mid-epoch": {"study": {"training": _STEPS | {"max_steps": 5}}},
    "two processes": {"study": {"training": _STEPS | {"per_device_train_batch_size": 2}}, "processes": 2},
    "streamed": {"study": {"training": _STEPS, "method": {"streaming": True}}},
    "streamed, two processes with a worker each": {
        "study": {
            "training": _STEPS | {"per_device_train_batch_size": 2, "dataloader_num_workers": 1},
            "method": {"streaming": True},
        },
        "processes": 2,
    },
    "refit, after every step": {
        "study": {"training": _STEPS, "method": {"refit": "train+validation", "keep": "last"}},
    },
    "refit, two processes": {
        "study": {"training": _STEPS | {"per_device_train_batch_size": 2}, "method": {"refit": "train+validation"}},
        "processes": 2,
    },
    "transformers' own Trainer": {"study": {"training": _STEPS}, "plain": True},
}  # fmt: skip
VIT, DINO, WORKERS, SHORT, TWO, STREAM, STREAMS, REFIT, REFITS, PLAIN = STUDIES

_TRAINER, _CALL = "sdovis.learning.trainer:ExactTrainer.", "transformers.trainer:"
_MODEL, _TORCH = "transformers.modeling_utils:safe_save_file", "torch:save"
_CACHE, _SEALS = "sdovis.learning.cache:", "sdovis.learning.checkpoints:"
_BESIDE = "sdovis.manifests:tempfile.mkdtemp"  # twice for each of: pictures to train on, to validate on, the model

#: Where a training is killed: see `sessions`. Several kills are met one after another, each by a new start.
KILLS: dict[str, tuple[str, list[Any]]] = {
    # before there is anything
    "before it is noted what was begun": (VIT, [[_SEALS + "write_json", "before", 1]]),
    "while the network is built": (VIT, [["sdovis.learning.backbones:build", "before", 1]]),
    # while the cache is built
    "while the first pictures are decoded": (VIT, [["sdovis.learning.loader:decode", "after", 1]]),
    "while the pictures to validate on are decoded": (VIT, [["sdovis.learning.loader:decode", "before", 2]]),
    "before the cache has its manifest": (VIT, [["sdovis.manifests:sums", "before", 3]]),
    "before the cache appears": (VIT, [[_BESIDE, "before", 2]]),
    "before the cache is noted as verified": (VIT, [[_CACHE + "_note_checked", "before", 1]]),
    # between steps
    "before the first step": (VIT, [[_TRAINER + "training_step", "before", 1]]),
    "between two batches of one step": (VIT, [[_TRAINER + "training_step", "before", 8]]),
    "between gradient and optimizer": (VIT, [[_TRAINER + "_clip_grad_norm", "after", 5]]),
    "between optimizer and schedule": (VIT, [["torch.optim:AdamW.step", "after", 5]]),
    "after the schedule": (VIT, [["torch.optim.lr_scheduler:LambdaLR.step", "after", 7]]),
    "in the second epoch": (VIT, [[_TRAINER + "training_step", "before", 15]]),
    "twice in one epoch": (VIT, [[_TRAINER + "training_step", "before", 8], [_TRAINER + "training_step", "before", 2]]),
    "at every step that it reaches": (VIT, [[_TRAINER + "training_step", "before", n] for n in (3, 6, 9, 2, 5, 4)]),
    # during evaluation
    "as an evaluation begins": (VIT, [[_TRAINER + "evaluate", "before", 2]]),
    "in an evaluation": (VIT, [[_TRAINER + "prediction_step", "before", 1]]),
    "between evaluation and checkpoint": (VIT, [[_TRAINER + "_save_checkpoint", "before", 2]]),
    # inside a save
    "in the middle of the weights": (VIT, [[_MODEL, "torn", 2]]),
    "between weights and optimizer": (VIT, [[_TRAINER + "_save_optimizer_and_scheduler", "before", 1]]),
    "in the middle of the optimizer": (VIT, [[_TORCH, "torn", 4]]),
    "in the middle of the schedule": (VIT, [[_TORCH, "torn", 5]]),
    "in the middle of the random states": (VIT, [[_TORCH, "torn", 3]]),
    "before the Trainer's state": (VIT, [[_CALL + "TrainerState.save_to_json", "before", 2]]),
    "in the middle of the Trainer's state": (VIT, [[_CALL + "TrainerState.save_to_json", "torn", 1]]),
    "before the seal": (VIT, [[_SEALS + "seal", "before", 2]]),
    "in the middle of the seal": (VIT, [["pathlib:Path.write_text", "before", 8]]),
    "between seal and rename": (VIT, [[_SEALS + "seal", "after", 2]]),
    "between rename and pruning": (VIT, [[_SEALS + "rotate", "before", 2]]),
    "in the middle of pruning": (VIT, [[_SEALS + "shutil.rmtree", "before", 3]]),
    "in three saves, one after another": (
        VIT, [[_TORCH, "torn", 1], [_MODEL, "torn", 2], [_SEALS + "rotate", "before", 1]],
    ),
    # on the way back
    "while what was half-written is deleted": (
        VIT, [[_SEALS + "seal", "before", 2], [_SEALS + "shutil.rmtree", "before", 1]],
    ),
    "while a checkpoint is read back": (
        VIT, [[_TRAINER + "training_step", "before", 9], [_TRAINER + "_load_optimizer_and_scheduler", "after", 1]],
    ),
    # at the end
    "after the last checkpoint": (VIT, [[_TRAINER + "keep", "before", 1]]),
    "while the model is exported": (VIT, [[_MODEL, "torn", 4]]),
    "before the model appears": (VIT, [[_BESIDE, "before", 6]]),
    "between model and record": (VIT, [["sdovis.learning.record:TrainingRecord.save", "before", 1]]),
    # other networks and ways to train
    "bf16: in the second epoch": (DINO, [[_TRAINER + "training_step", "before", 12]]),
    "bf16: in a save at an epoch's end": (DINO, [[_TORCH, "torn", 4]]),
    "with workers: in mid-epoch": (WORKERS, [[_TRAINER + "training_step", "before", 9]]),
    "with workers: in a save": (WORKERS, [[_TRAINER + "_save_rng_state", "before", 2]]),
    "max_steps: after the last checkpoint": (SHORT, [[_TRAINER + "keep", "before", 1]]),
    # two processes: the fourth number is the one that is killed, the other one follows
    "two processes: while one decodes and one waits": (TWO, [["sdovis.learning.loader:decode", "after", 1, -1]]),
    "two processes: the first in mid-epoch": (TWO, [[_TRAINER + "training_step", "before", 9, 0]]),
    "two processes: the second in mid-epoch": (TWO, [[_TRAINER + "training_step", "before", 12, 1]]),
    "two processes: the second in a save": (TWO, [[_TRAINER + "_save_rng_state", "before", 2, 1]]),
    "two processes: before the seal": (TWO, [[_SEALS + "seal", "before", 2, 0]]),
    "two processes: in an evaluation": (TWO, [[_TRAINER + "prediction_step", "before", 2, 1]]),
    "two processes: while the model is exported": (TWO, [[_MODEL, "torn", 4, 0]]),
    # decoded whenever they are shown
    "streamed: in mid-epoch": (STREAM, [[_TRAINER + "training_step", "before", 9]]),
    "streamed: twice in one epoch": (
        STREAM, [[_TRAINER + "training_step", "before", 8], [_TRAINER + "training_step", "before", 2]],
    ),
    "streamed, two processes: the second in mid-epoch": (STREAMS, [[_TRAINER + "training_step", "before", 14, 1]]),
    # in the second training, on both parts: the first makes 16 batches in three checkpoints of three torch files
    "refit: in the first training": (REFIT, [[_TRAINER + "training_step", "before", 9]]),
    "refit: between the two trainings": (REFIT, [["sdovis.learning.training:_run_again", "before", 1]]),
    "refit: as the first network is saved": (REFIT, [[_MODEL, "torn", 4]]),
    "refit: before it is noted what the second begins from": (REFIT, [[_SEALS + "write_json", "before", 7]]),
    "refit: before its first step": (REFIT, [[_TRAINER + "training_step", "before", 17]]),
    "refit: in mid-epoch": (REFIT, [[_TRAINER + "training_step", "before", 19]]),
    "refit: twice": (REFIT, [[_TRAINER + "training_step", "before", 25], [_TRAINER + "training_step", "before", 2]]),
    "refit: in the middle of its weights": (REFIT, [[_MODEL, "torn", 5]]),
    "refit: in the middle of its optimizer": (REFIT, [[_TORCH, "torn", 10]]),
    "refit: before its seal": (REFIT, [[_SEALS + "seal", "before", 4]]),
    "refit: after its last checkpoint": (REFIT, [[_TRAINER + "keep", "before", 2]]),
    "refit: before the model appears": (REFIT, [[_BESIDE, "before", 8]]),
    "refit: between model and record": (REFIT, [["sdovis.learning.record:TrainingRecord.save", "before", 1]]),
    "refit, two processes: the second in mid-epoch": (REFITS, [[_TRAINER + "training_step", "before", 19, 1]]),
    # wherever it is after some time
    "again and again, from outside": (VIT, [0.15, 0.3, 0.45, 0.6, 0.75, 0.9]),
    "refit: again and again, from outside": (REFIT, [0.5, 0.7, 0.9, 1.1]),
}  # fmt: skip
#: The same moments, met by transformers' own Trainer.
PLAINLY = {
    "in mid-epoch": [[_CALL + "Trainer.training_step", "before", 9]],
    "in the middle of the optimizer": [[_TORCH, "torn", 4]],
    "before the Trainer's state": [[_CALL + "TrainerState.save_to_json", "before", 2]],
}


def _of_plain(name: str) -> str:
    return f"{PLAIN}: {name}"


@pytest.fixture(scope="module")
def runs(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[int], dict[str, Any]]]:
    """Of each study and each kill: the exit statuses of its starts, and what the last of them ended with."""
    root = tmp_path_factory.mktemp("kills")
    chains: list[dict[str, Any]] = []

    def add(name: str, study: str, kills: list[Any]) -> None:
        job = STUDIES[study] | {"corpus": str(corpus_folder)}
        jobs = [*(job | {"kill": kill} for kill in kills), job]
        chains.append({"name": name, "folder": str(root / str(len(chains))), "jobs": jobs})

    for study in STUDIES:
        add(study, study, [])
    add(_of_plain("twice the same"), PLAIN, [])
    for name, (study, kills) in KILLS.items():
        add(name, study, kills)
    for name, kills in PLAINLY.items():
        add(_of_plain(name), PLAIN, kills)
    ran, errors = run_chains(root, chains, timeout=1500)
    found = {}
    for chain in chains:
        end = Path(chain["folder"]) / "end.json"
        statuses = ran[chain["name"]]
        assert statuses[-1] == 0 or chain["name"].startswith(PLAIN), (chain, statuses, errors)
        found[chain["name"]] = (statuses, json.loads(end.read_text()) if end.is_file() else {})
    return found


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_started_again_it_ends_as_if_nothing_had_been(runs: Any, name: str) -> None:
    study, kills = KILLS[name]
    statuses, end = runs[name]
    # A kill from outside may come after the end.
    assert statuses[-1] == 0
    for status, kill in zip(statuses[:-1], kills, strict=True):
        assert status == SIGKILL or (status == 0 and isinstance(kill, float))
    assert end == runs[study][1]


def test_every_run_trains_and_every_study_is_another(runs: Any) -> None:
    ends = [runs[study][1] for study in STUDIES]
    assert [end["state"]["global_step"] for end in ends] == [8, 16, 8, 5, 8, 8, 8, 12, 4, 8]
    assert all(end["optimizer"] and end["metrics"] and end["model"] for end in ends)
    assert len({end["model"] for end in ends}) == len(STUDIES) - 1, "workers change nothing, all else does"
    assert ends[0]["model"] == ends[2]["model"]
    assert {"rng_state_0", "rng_state_1"} <= set(runs[TWO][1])


def test_there_are_enough_kills_and_some_meet_two_processes() -> None:
    assert len(KILLS) >= 25
    assert sum(study == TWO for study, _ in KILLS.values()) >= 5


def test_the_plain_trainer_is_deterministic_as_long_as_nobody_kills_it(runs: Any) -> None:
    assert runs[_of_plain("twice the same")] == runs[PLAIN]


@pytest.mark.parametrize("name", PLAINLY)
def test_the_same_kills_are_too_much_for_the_plain_trainer_so_that_this_harness_can_fail(runs: Any, name: str) -> None:
    statuses, end = runs[_of_plain(name)]
    assert statuses[0] == SIGKILL
    assert statuses[-1] != 0 or end["model"] != runs[PLAIN][1]["model"]
