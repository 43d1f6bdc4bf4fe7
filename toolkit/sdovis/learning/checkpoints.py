"""Checkpoints that count only if they are whole, and the point from which an interrupted training continues.

    checkpoints/checkpoint-120/   whole: it contains `SEAL`, the sha256 of every file
    checkpoints/unfinished/       where the Trainer writes the next one
    begun.json                    what the training was started from
    training.json                 there only once the training is finished

The seal is written last, then the folder is renamed. Older checkpoints are deleted only after that, when the new one is on
the disk.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sdovis import disk, manifests
from sdovis.errors import Conflict

SEAL = "sdovis.json"
UNFINISHED = "unfinished"
BEGUN = "begun.json"
FINISHED = "training.json"

log = logging.getLogger(__name__)


def path(root: Path, at: int) -> Path:
    """The folder of the checkpoint after step ``at``."""
    return root / f"checkpoint-{at}"


def step(checkpoint: Path) -> int:
    """The step after which a checkpoint was made."""
    return int(checkpoint.name.rpartition("-")[2])


def ended(checkpoint: Path) -> bool:
    """Whether a training had made all its steps: in mid-epoch the Trainer would otherwise make another one."""
    state = _state(checkpoint)
    return bool(state["global_step"] >= state["max_steps"])


def finish(root: Path, at: int) -> None:
    """Make the checkpoint after step ``at``, fully written under `UNFINISHED`, appear in its place."""
    beside = path(root / UNFINISHED, at)
    seal(beside)
    disk.move(beside, path(root, at))
    beside.parent.rmdir()


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint whole; the last thing done when writing it."""
    write_json(checkpoint / SEAL, _sums(checkpoint))


def is_whole(checkpoint: Path) -> bool:
    """Whether the checkpoint is sealed and every file is unchanged since."""
    try:
        sums = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sums == _sums(checkpoint))


def newest(root: Path) -> Path | None:
    """The newest whole checkpoint whose best one so far is whole too; None if there is none.

    Anything newer is moved out of the Trainer's way with a message: deleted if it was never finished, otherwise renamed.
    """
    for checkpoint in _all(root / UNFINISHED):
        log.warning("%s was left half-written: deleted", checkpoint.name)
    shutil.rmtree(root / UNFINISHED, ignore_errors=True)
    for checkpoint in sorted(_all(root), key=step, reverse=True):
        if not (checkpoint / SEAL).is_file():
            log.warning("%s was left half-written: deleted", checkpoint.name)
            shutil.rmtree(checkpoint)
        elif not is_whole(checkpoint):
            _set_aside(checkpoint, "is damaged")
        elif (best := _best(checkpoint)) is not None and not is_whole(path(root, best)):
            _set_aside(checkpoint, f"depends on a best checkpoint that is missing or damaged, checkpoint-{best}")
        else:
            return checkpoint
    return None


def last_whole(root: Path) -> Path | None:
    """The newest whole checkpoint; None if there is none. Nothing is moved."""
    return next(filter(is_whole, sorted(_all(root), key=step, reverse=True)), None)


def rotate(root: Path, *, limit: int | None, best: int | None) -> None:
    """Delete the oldest checkpoints beyond ``limit``, but neither the newest nor the best."""
    steps = sorted(map(step, _all(root)))
    kept = {steps[-1], best} if steps else set()
    surplus = len(steps) - limit if limit else 0
    for checkpoint in [path(root, s) for s in steps if s not in kept][: max(surplus, 0)]:
        # Without its seal it counts as half-written if this is interrupted.
        (checkpoint / SEAL).unlink(missing_ok=True)
        shutil.rmtree(checkpoint)


def resume_point(folder: Path, made_from: Mapping[str, str], *, restart: bool) -> Path | None:
    """Prepare ``folder`` for a training from ``made_from``; returns the checkpoint to continue from, or None.

    A finished training from other inputs, or any if ``restart``, is cleared away. Raises `Conflict` if an unfinished one
    was started from other inputs, naming what changed.
    """
    root = folder / "checkpoints"
    begun = _read_json(folder / BEGUN)
    if begun != made_from or restart:
        if begun is not None and not restart and not (folder / FINISHED).is_file():
            raise Conflict(
                f"{folder}: an unfinished training was started from other inputs ({'; '.join(_changes(begun, made_from))}); "
                "restore them to continue it, or start over with --restart"
            )
        disk.remove(root)
        write_json(folder / BEGUN, dict(made_from))
    disk.remove(folder / FINISHED)
    disk.make(root)
    return newest(root)


@contextmanager
def told_if_full(folder: Path) -> Iterator[None]:
    """Raise `Conflict` if the block fails because the disk is full, whoever wrote. What was whole stays whole."""
    try:
        yield
    except Exception as error:
        chain: list[BaseException] = [error]
        while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(deeper)
        if any(map(_is_of_a_full_disk, chain)):
            raise Conflict(
                f"{folder}: the disk is full; free some space, then run the same command to continue from the newest checkpoint"
            ) from error
        raise


def _is_of_a_full_disk(error: BaseException) -> bool:
    # Neither torch nor safetensors passes on the error number.
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    texts = ("No space left on device", "PytorchStreamWriter failed writing", "iostream error")
    return any(text in str(error) for text in texts)


def write_json(target: Path, data: object) -> None:
    """Write a JSON file that appears whole or not at all."""
    disk.write(target, json.dumps(data, indent=1, allow_nan=False) + "\n")


def _all(root: Path) -> list[Path]:
    return [p for p in root.glob("checkpoint-*") if p.is_dir() and p.name.rpartition("-")[2].isdecimal()]


def _sums(checkpoint: Path) -> dict[str, str]:
    return manifests.sums(checkpoint, without=(SEAL, f".{SEAL}.part"))


def _best(checkpoint: Path) -> int | None:
    best = _state(checkpoint).get("best_global_step")
    # The best may be this very checkpoint, which is already known to be whole.
    return None if best is None or best == step(checkpoint) else int(best)


def _state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return state


def _set_aside(checkpoint: Path, why: str) -> None:
    aside = checkpoint.with_name(f"damaged-{checkpoint.name}")
    log.warning("%s %s: skipped, kept as %s", checkpoint.name, why, aside.name)
    shutil.rmtree(aside, ignore_errors=True)
    checkpoint.replace(aside)


def _read_json(file: Path) -> dict[str, str] | None:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """One clause for each input that differs; an input that is JSON is compared key by key."""
    before, after = dict(_leaves("", old)), dict(_leaves("", new))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield f"{key}: {_short(before.get(key))} -> {_short(after.get(key))}"


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, str) and value.startswith("{"):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}" if key else str(name), inner)
    else:
        yield key, value


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
