"""An interrupted training ends with the weights of an uninterrupted one, bit for bit; real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SIGKILL = int(signal.SIGKILL)
BASE = {"num_train_epochs": 3, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True}
#: Dropout and all augmentations are on in each; 30 images make 8 batches an epoch.
STUDIES: dict[str, dict[str, Any]] = {
    "vit in fp32, two batches a step, saved in mid-epoch": {
        "training": BASE | {"gradient_accumulation_steps": 2, "save_steps": 3}, "method": {"keep": "last"},
    },
    "dinov2 in bf16, saved each epoch, best kept": {
        "kind": "dinov2", "training": BASE | {"bf16": True, "num_train_epochs": 2},
    },
    "vit with two persistent workers": {
        "training": BASE | {
            "gradient_accumulation_steps": 2, "save_steps": 3, "dataloader_num_workers": 2,
            "dataloader_persistent_workers": True,
        },
        "method": {"keep": "last"},
    },
    "vit watched by W&B offline and by TensorBoard": {
        "training": BASE | {"num_train_epochs": 1, "report_to": ["wandb", "tensorboard"]},
    },
}  # fmt: skip
FIRST, SECOND, WORKERS, TRACKED = STUDIES
#: Where a training is killed: the call it does not survive, counted from 1. Several are met one after another.
KILLS: dict[str, tuple[str, list[tuple[str, int]]]] = {
    "before the first checkpoint": (FIRST, [("step", 4)]),
    "in mid-epoch, after a checkpoint in mid-epoch": (FIRST, [("step", 15)]),
    "twice in one epoch": (FIRST, [("step", 9), ("step", 2)]),
    "between weights and optimizer": (FIRST, [("optimizer", 2)]),
    "between optimizer and random state": (FIRST, [("random state", 2)]),
    "between the last file and the seal": (FIRST, [("seal", 2)]),
    "between the seal and the rotation": (FIRST, [("rotation", 3)]),
    "after the last checkpoint's last file": (FIRST, [("seal", 4)]),
    "in the second epoch": (SECOND, [("step", 12)]),
    "with workers": (WORKERS, [("step", 15)]),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    (folder / "elsewhere").mkdir()
    return folder


@pytest.fixture(scope="module")
def runs(corpus_folder: Path, root: Path) -> dict[str, tuple[list[int], dict[str, Any]]]:
    """Of each study and each kill: the exit statuses of its processes and the training record at the end."""
    jobs: list[dict[str, Any]] = []
    names: list[str] = []

    def add(name: str, study: str, kills: list[tuple[str, int]]) -> None:
        folder = root / ("tracked" if name == TRACKED else str(len(set(names))))
        job = {
            "corpus": str(corpus_folder),
            "folder": str(folder),
            "study": STUDIES[study],
            "cwd": str(root / "elsewhere"),
        }
        jobs.extend([job | {"kill": kill} for kill in kills] + [job])
        names.extend([name] * (len(kills) + 1))

    for study in STUDIES:
        add(study, study, [])
    for name, (study, kills) in KILLS.items():
        add(name, study, kills)
    (root / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, HERE / "sessions.py", root / "jobs.json", root / "statuses"]
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_DIR"} | {"WANDB_MODE": "offline"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert done.returncode == 0, done.stderr
    statuses: dict[str, list[int]] = {}
    for name, line in zip(names, (root / "statuses").read_text().split(), strict=True):
        statuses.setdefault(name, []).append(int(line))
    folders = dict(zip(names, (Path(job["folder"]) for job in jobs), strict=True))
    found = {}
    for name, folder in folders.items():
        assert (folder / "training" / "training.json").is_file(), (name, statuses[name], done.stderr)
        found[name] = (statuses[name], json.loads((folder / "training" / "training.json").read_text()))
    return found


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_started_again_it_ends_with_the_same_weights_and_curves(runs: Any, name: str) -> None:
    study, kills = KILLS[name]
    statuses, record = runs[name]
    _, uninterrupted = runs[study]
    assert statuses == [SIGKILL] * len(kills) + [0]
    assert record["weights_sha256"] == uninterrupted["weights_sha256"]
    assert record["curves"] == uninterrupted["curves"]
    assert record["kept_step"] == uninterrupted["kept_step"]


def test_a_kill_in_a_save_falls_back_to_the_checkpoint_before_it(runs: Any) -> None:
    assert runs["between optimizer and random state"][1]["resumed_from"] == 3
    assert runs["between the last file and the seal"][1]["resumed_from"] == 3
    assert runs["between the seal and the rotation"][1]["resumed_from"] == 9
    assert runs["before the first checkpoint"][1]["resumed_from"] is None


def test_the_number_of_workers_does_not_change_the_weights(runs: Any) -> None:
    assert runs[WORKERS][1]["weights_sha256"] == runs[FIRST][1]["weights_sha256"]


def test_the_studies_differ_where_they_should(runs: Any) -> None:
    assert runs[FIRST][1]["weights_sha256"] != runs[SECOND][1]["weights_sha256"]
    assert runs[SECOND][1]["precision"] == "bf16"


def test_two_processes_end_with_the_same_weights_also_when_resumed(corpus_folder: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "bf16", "--dynamo_backend", "no", "--main_process_port", "0"]
    # kill -9 on the launcher would leave the workers running: they get a process group of their own.
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [*launch, HERE / "ranks.py", corpus_folder, tmp_path], stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(timeout=240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, (tmp_path / "output").read_text()[-4000:]
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert first["processes"] == second["processes"] == 2
    assert first["weights"] == second["weights"] and len(set(first["weights"])) == 1
    assert first["resumed_from"] == 3 < first["steps"] == 6
    assert first["curves"][0] == first["curves"][1]
    assert set(first["epochs"]) == set(second["epochs"]) == {0, 1}
    assert "corpus: absent -> 2" in first["conflict"] and first["conflict"] == second["conflict"]


def test_wandb_and_tensorboard_leave_their_files_with_the_run_and_nothing_elsewhere(runs: Any, root: Path) -> None:
    assert runs[TRACKED][0] == [0]
    logs = root / "tracked" / "training" / "logs"
    found = list((logs / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(found) == 1 and found[0].stat().st_size > 1000
    assert b"eval/balanced_accuracy" in found[0].read_bytes()
    assert list((logs / "tensorboard").rglob("events.out.tfevents.*"))
    assert not list((root / "elsewhere").iterdir())
