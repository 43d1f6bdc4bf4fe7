from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from sdovis.errors import Conflict
from sdovis.learning import checkpoints


def write(root: Path, step: int, *, best: int | None = None, seal: bool = True) -> Path:
    folder = checkpoints.path(root, step)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(step))
    (folder / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
    if seal:
        checkpoints.seal(folder)
    return folder


def steps(root: Path) -> list[int]:
    return sorted(map(checkpoints.step, root.glob("checkpoint-*")))


def test_the_newest_checkpoint_counts_by_its_step_and_not_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, 9)
    write(tmp_path, 10)
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-10"


def test_without_checkpoints_there_is_no_newest(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path / "absent") is None


def test_a_half_written_checkpoint_is_deleted_with_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, 3)
    write(tmp_path, 6, seal=False)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-3"
    assert caplog.messages == ["checkpoint-6 was left half-written: deleted"]
    assert steps(tmp_path) == [3]


@pytest.mark.parametrize("harm", ["changed", "missing", "added"])
def test_a_damaged_checkpoint_is_set_aside_with_a_message(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 3)
    weights = write(tmp_path, 6) / "model.safetensors"
    if harm == "changed":
        weights.write_bytes(b"123456")
    elif harm == "missing":
        weights.unlink()
    else:
        (weights.parent / "more.bin").touch()
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-3"
    assert caplog.messages == ["checkpoint-6 is damaged: skipped, kept as damaged-checkpoint-6"]
    assert steps(tmp_path) == [3] and (tmp_path / "damaged-checkpoint-6").is_dir()


def test_a_checkpoint_whose_best_one_is_gone_cannot_be_gone_on_from(tmp_path: Path) -> None:
    write(tmp_path, 3, best=3)
    write(tmp_path, 6, best=3)
    write(tmp_path, 9, best=6)
    (tmp_path / "checkpoint-6" / "model.safetensors").unlink()
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-3"


def test_rotation_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in (3, 6, 9, 12):
        write(tmp_path, step)
    checkpoints.rotate(tmp_path, limit=2, best=6)
    assert steps(tmp_path) == [6, 12]
    checkpoints.rotate(tmp_path, limit=1, best=6)
    assert steps(tmp_path) == [6, 12]
    checkpoints.rotate(tmp_path, limit=1, best=None)
    assert steps(tmp_path) == [12]


def test_without_a_limit_nothing_is_deleted(tmp_path: Path) -> None:
    for step in (3, 6, 9):
        write(tmp_path, step)
    checkpoints.rotate(tmp_path, limit=None, best=None)
    assert steps(tmp_path) == [3, 6, 9]


def test_an_unfinished_training_from_other_inputs_is_refused_and_names_each_change(tmp_path: Path) -> None:
    begun = {"corpus": "a" * 64, "study": json.dumps({"training": {"learning_rate": 0.1, "seed": 1}}), "gone": "x"}
    checkpoints.resume_point(tmp_path, begun, restart=False)
    kept = write(tmp_path / "checkpoints", 3)
    now = {"corpus": "b" * 64, "study": json.dumps({"training": {"learning_rate": 0.2, "seed": 1}}), "new": "y"}
    with pytest.raises(Conflict) as raised:
        checkpoints.resume_point(tmp_path, now, restart=False)
    for clause in ("corpus: aaaaaaaaaaaa... -> bbbbbbbbbbbb...", "study.training.learning_rate: 0.1 -> 0.2",
                   "gone: x -> absent", "new: absent -> y", "--restart"):  # fmt: skip
        assert clause in str(raised.value)
    assert "seed" not in str(raised.value)
    assert checkpoints.resume_point(tmp_path, begun, restart=False) == kept


def test_restart_clears_an_unfinished_training_away(tmp_path: Path) -> None:
    checkpoints.resume_point(tmp_path, {"corpus": "1"}, restart=False)
    write(tmp_path / "checkpoints", 3)
    assert checkpoints.resume_point(tmp_path, {"corpus": "2"}, restart=True) is None
    assert checkpoints.resume_point(tmp_path, {"corpus": "2"}, restart=False) is None


def test_a_finished_training_from_other_inputs_is_begun_anew(tmp_path: Path) -> None:
    checkpoints.resume_point(tmp_path, {"corpus": "1"}, restart=False)
    write(tmp_path / "checkpoints", 3)
    (tmp_path / checkpoints.FINISHED).write_text("{}")
    assert checkpoints.resume_point(tmp_path, {"corpus": "2"}, restart=False) is None
    assert not (tmp_path / checkpoints.FINISHED).exists()
