"""Trainings watched by trackers, in two processes under a launcher, on a full disk; see also test_kill_matrix."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from sdovis import manifests
from sdovis.corpus.build import Corpus
from sdovis.errors import Conflict
from sdovis.stages import training_made_from

HERE = Path(__file__).parent
FULL = 4 << 8  # exit code 4, as `os.waitpid` gives it
BASE = {"num_train_epochs": 1, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True}


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


def _sessions(chains: list[dict[str, Any]], folder: Path) -> list[list[int]]:
    """Of each chain the statuses of its jobs: see `sessions`."""
    (folder / "chains.json").write_text(json.dumps(chains))
    command = [sys.executable, HERE / "sessions.py", folder / "chains.json"]
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_DIR"} | {"WANDB_MODE": "offline"}
    subprocess.run(command, check=True, timeout=300, env=environment)
    return [json.loads((Path(chain["folder"]) / "statuses.json").read_text()) for chain in chains]


def test_a_disk_that_is_full_again_and_again_loses_nothing(corpus_folder: Path, tmp_path: Path) -> None:
    import sessions

    probe = os.fork()
    if probe == 0:
        try:
            sessions.mount(tmp_path, 64)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(probe, 0)[1]:
        pytest.skip("a process may have no disk of its own here")
    study = {"training": BASE | {"gradient_accumulation_steps": 2, "save_steps": 2, "save_total_limit": 1}}
    job = {"corpus": str(corpus_folder), "study": study}
    # Full while pictures are decoded, in a checkpoint's weights, in its optimizer, in the second checkpoint ...
    filling = [job | {"free_kib": kib} for kib in (24, 100, 200, 300, 400)]
    chains = [
        {"folder": str(tmp_path / "full"), "disk_kib": 16_000, "jobs": [*filling, job | {"free_kib": 12_000}]},
        {"folder": str(tmp_path / "empty"), "jobs": [job]},
    ]
    full, empty = _sessions(chains, tmp_path)
    assert full == [FULL] * 5 + [0] and empty == [0]
    ends = [json.loads((tmp_path / name / "end.json").read_text()) for name in ("full", "empty")]
    assert ends[0] == ends[1] and ends[0]["optimizer"]


@pytest.fixture
def unfinished(tmp_path: Path) -> Callable[..., Any]:
    """A training that is killed by an error in its second epoch; called again, it goes on with what was changed."""

    def go(*, corpus: Path, kill: bool = False, **training: Any) -> Any:
        study = tiny.study("changing", training=BASE | {"num_train_epochs": 2} | training)
        with pytest.MonkeyPatch.context() as patch:
            if kill:
                patch.setattr("sdovis.learning.trainer.ExactTrainer.keep", lambda *_: 1 / 0)
            found = Corpus.load(corpus)
            made_from = training_made_from(study, found)
            return tiny.train(study, found, tmp_path, augmentations=frozenset({"flip_ns"}), made_from=made_from)

    return go


def _corpus(folder: Path, **change: Any) -> Path:
    """The tiny corpus, its labels or its pictures of the training part changed."""
    tiny.write_corpus(folder)
    file = next((folder / "data").glob("train-*"))
    table = pq.read_table(file)
    rows = table.to_pylist()
    for row in rows[: change.get("labels", 0)]:
        row["label"] = (row["label"] + 1) % 3
    for row in rows[: change.get("pictures", 0)]:
        row["image"]["bytes"] = tiny.png(np.full((32, 32), 9, np.uint8))
    with manifests.whole(folder, stage="prepare", made_from={"rows": str(change)}) as beside:
        shutil.copytree(folder, beside, dirs_exist_ok=True)
        (beside / manifests.NAME).unlink()
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), beside / "data" / file.name)
    return folder


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": 1}, ["corpus.labels of train", "corpus.rows"]),
        ({"pictures": 1}, ["corpus: ", "corpus.rows"]),
        ({"learning_rate": 1e-3}, ["training.learning_rate: 0.003 -> 0.001"]),
        ({"num_train_epochs": 3}, ["training.num_train_epochs: 2 -> 3"]),
        ({"warmup_steps": 3}, ["training.warmup_steps: absent -> 3"]),
    ],
    ids=lambda value: next(iter(value)),
)
def test_changed_data_labels_and_settings_refuse_to_go_on_and_are_named(
    unfinished: Any, tmp_path: Path, change: dict[str, Any], told: list[str]
) -> None:
    before = _corpus(tmp_path / "before")
    with pytest.raises(ZeroDivisionError):
        unfinished(corpus=before, kill=True)
    data = {key: value for key, value in change.items() if key in ("labels", "pictures")}
    after = _corpus(tmp_path / "after", **data) if data else before
    kept = sorted(p.name for p in (tmp_path / "training" / "checkpoints").iterdir())
    with pytest.raises(Conflict) as raised:
        unfinished(corpus=after, **{key: value for key, value in change.items() if key not in data})
    assert raised.value.exit_code == 4
    assert all(clause in str(raised.value) for clause in told), str(raised.value)
    assert "--restart" in str(raised.value) and "\n" not in str(raised.value)
    assert sorted(p.name for p in (tmp_path / "training" / "checkpoints").iterdir()) == kept
    assert unfinished(corpus=before).resumed_from == 16


def test_what_changes_no_weight_may_be_changed_on_the_way(unfinished: Any, tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    with pytest.raises(ZeroDivisionError):
        unfinished(corpus=corpus, kill=True)
    assert unfinished(corpus=corpus, save_total_limit=1, dataloader_num_workers=1).resumed_from == 16


def test_wandb_and_tensorboard_leave_their_files_with_the_run_and_nothing_elsewhere(
    corpus_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    study = {"training": BASE | {"report_to": ["wandb", "tensorboard"]}}
    job = {"corpus": str(corpus_folder), "study": study, "cwd": str(tmp_path / "elsewhere")}
    assert _sessions([{"folder": str(tmp_path / "tracked"), "jobs": [job]}], tmp_path) == [[0]]
    logs = tmp_path / "tracked" / "training" / "logs"
    found = list((logs / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(found) == 1 and found[0].stat().st_size > 1000
    assert b"eval/balanced_accuracy" in found[0].read_bytes()
    assert list((logs / "tensorboard").rglob("events.out.tfevents.*"))
    assert not list((tmp_path / "elsewhere").iterdir())
