"""Lets the power fail while a stage works, again and again, and looks at what is left: `cuts.py JOB.json`.

A job is {what: training, prepare or run; corpus or study; place, an empty folder; library; cuts; seed} and, where
wanted, unsynced: "all", or "folders", which are then not synced. PLACE/told.json gets what was found.

Each cut comes before a call drawn at random from those that the stage makes to the end. After it, what is left is
looked at, and the stage begins again there, to meet the next cut; after `IN_A_ROW` of them it is let through, compared
with one that met none, and begins on an empty disk.

The library made of `power.c` has to be loaded before libc, and the folders of tests and of tests of learning to be on
PYTHONPATH. Children are forked, as importing torch takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from power import Disk
from sdovis import disk, manifests
from sdovis.errors import BadInput
from sdovis.learning import checkpoints
from sessions import _forked, _warm, run

IN_A_ROW = 3
#: 30 images make 8 batches, 4 steps an epoch: checkpoints after steps 3, 6 and 8, of which only the newest and the best stay.
STUDY = {
    "training": {
        "num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True,
        "gradient_accumulation_steps": 2, "save_steps": 3, "save_total_limit": 1,
    },
}  # fmt: skip


def _train(job: dict[str, Any], root: Path) -> None:
    run({"corpus": job["corpus"], "study": STUDY, "folder": str(root)})


def _stage(job: dict[str, Any], root: Path) -> None:
    from sdovis import stages, study

    os.chdir(root)
    read = study.load(Path(job["study"]))
    with stages.opened(read) as folders:
        getattr(stages, job["what"])(read, folders, print)


def _ended(what: str, root: Path) -> dict[str, str]:
    """What must be the same whether the power failed or not."""
    if what == "training":
        record = json.loads((root / "training" / "training.json").read_text())
        return {"weights": record["weights_sha256"], "curves": json.dumps(record["curves"], sort_keys=True)}
    (run_dir,) = (root / "runs").glob("*")
    if what == "prepare":
        return {"corpus": manifests.read(run_dir / "corpus", made_by="prepare").digest}
    stages = ("corpus", "model", "scores", "summary", "cards", "release")
    files = {stage: sorted(manifests.read(run_dir / stage, made_by=stage).files) for stage in stages}
    weights = json.loads((run_dir / "training" / "training.json").read_text())["weights_sha256"]
    return {"weights": weights, "files": json.dumps(files), "corpus": _sum(run_dir / "corpus" / "manifest.json")}


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _watched(place: Path, root: Path, unsynced: str) -> None:
    """Note, outside the disk, what the program takes for written: from then on it must not be lost."""
    said = place / "said"
    real, flush = disk.move, disk.flush

    def move(beside: Path, target: Path) -> None:
        real(beside, target)
        with said.open("a") as file:
            file.write(f"{target.stat().st_ino} {target.resolve()}\n")

    disk.move = move
    if unsynced:
        disk.flush = lambda path: None if unsynced == "all" or path.is_dir() else flush(path)


def _lost(place: Path, before: dict[Path, str]) -> list[str]:
    return [str(path) for path, told in before.items() if not path.is_file() or _sum(path) != told]


def _said(place: Path) -> dict[Path, str]:
    """Files that were said to be written, and still are there as they were then: their sums."""
    said = place / "said"
    if not said.is_file():
        return {}
    found = {}
    for line in said.read_text().splitlines():
        inode, _, name = line.partition(" ")
        path = Path(name)
        # The seal of a checkpoint is among what is said, but nobody takes one that is unfinished for written.
        if checkpoints.UNFINISHED not in path.parts and path.exists() and path.stat().st_ino == int(inode):
            files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
            found |= {file: _sum(file) for file in files}
    return found


def _false(root: Path, whole: dict[str, set[str]]) -> list[str]:
    """What passes for whole and is not what an undisturbed run had whole."""
    found = []
    for seal in root.rglob(checkpoints.SEAL):
        if checkpoints.UNFINISHED not in seal.parts and checkpoints.is_whole(seal.parent):
            sums = {_sum(file) for file in seal.parent.glob("*.safetensors")}
            if not sums <= whole[seal.parent.name]:
                found.append(str(seal.parent))
    for manifest in root.rglob(manifests.NAME):
        folder = manifest.parent
        if any(part.startswith(".") for part in folder.relative_to(root).parts):
            continue
        try:
            files = manifests.read(folder, made_by="again").files
        except BadInput:
            continue
        if not set(files) <= whole[folder.name]:
            found.append(str(folder))
    return found


def _wholes(root: Path) -> dict[str, set[str]]:
    """Of each folder that an undisturbed run leaves whole, by name: its files; of a checkpoint the sums of its weights."""
    found: dict[str, set[str]] = {}
    for manifest in root.rglob(manifests.NAME):
        found.setdefault(manifest.parent.name, set()).update(manifests.read(manifest.parent, made_by="").files)
    return found


def _keep_all_checkpoints(folder: Path) -> Callable[..., None]:
    def rotate(root: Path, **_: Any) -> None:
        for each in root.glob("checkpoint-*"):
            shutil.copytree(each, folder / each.name, dirs_exist_ok=True)

    return rotate


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    place, chance = Path(job["place"]).resolve(), random.Random(job["seed"])
    made = Disk(place / "disk", place / "store", Path(job["library"]))
    work = partial(_train if job["what"] == "training" else _stage, job)
    logging.disable(logging.WARNING)
    _warm({"jobs": [{"corpus": job["corpus"]}]})

    def begin(*, cut: int | None, rotate: Callable[..., None] | None = None) -> int:
        def child() -> None:
            os.setpgid(0, 0)
            os.environ |= {"POWER_ROOT": str(made.root), "POWER_STORE": str(made.store)}
            os.environ |= {"POWER_COUNT": str(place / "count")} | ({"POWER_CUT": str(cut)} if cut else {})
            if rotate is not None:
                checkpoints.rotate = rotate
            _watched(place, made.root, job.get("unsynced", ""))
            work(made.root)

        (place / "count").unlink(missing_ok=True)
        return os.waitpid(_forked(child), 0)[1]

    def empty() -> None:
        for each in (made.root, place / "said"):
            shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink(missing_ok=True)
        made.root.mkdir()
        made.remember()

    empty()
    kept = place / "kept"
    assert begin(cut=None, rotate=_keep_all_checkpoints(kept)) == 0
    calls = (place / "count").stat().st_size
    right, whole = _ended(job["what"], made.root), _wholes(made.root)
    for each in kept.glob("checkpoint-*"):
        whole[each.name] = {_sum(file) for file in each.glob("*.safetensors")}
    told: dict[str, Any] = {
        "calls": calls,
        "cuts": 0,
        "lost": [],
        "false": [],
        "other": [],
        "failed": [],
        "by": Counter(),
    }
    empty()
    while told["cuts"] < job["cuts"]:
        for _ in range(IN_A_ROW):
            at = chance.randint(1, calls)
            status = begin(cut=at)
            if status != signal.SIGKILL:
                if status:
                    told["failed"].append(f"before the cut at {at}: status {status}")
                break
            told["cuts"] += 1
            before = _said(place)
            survives = chance.choice((0.0, 0.5, 0.9))
            made.cut(chance, survives)
            (place / "said").unlink(missing_ok=True)
            told["by"][str(survives)] += 1
            told["lost"] += [f"call {at}, {survives}: {name}" for name in _lost(place, before)]
            told["false"] += [f"call {at}, {survives}: {name}" for name in _false(made.root, whole)]
        if status := begin(cut=None):
            told["failed"].append(f"after a cut: status {status}")
        elif (end := _ended(job["what"], made.root)) != right:
            told["other"].append({name: (end[name], right[name]) for name in right if end[name] != right[name]})
        empty()
    (place / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
