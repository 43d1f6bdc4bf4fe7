"""Started by `accelerate launch` on two processes: trains, then trains again from a checkpoint in mid-epoch.

Usage: ranks.py CORPUS FOLDER. Each process writes what it saw to FOLDER/rank-N.json.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from accelerate import PartialState
from sdovis.errors import Conflict
from sdovis.learning import loader
from sdovis.learning.checkpoints import path
from sessions import run

STEP = 3
EPOCHS: list[int] = []


def main() -> None:
    corpus, folder = sys.argv[1], Path(sys.argv[2])
    real = loader.Pictures.set_epoch
    loader.Pictures.set_epoch = lambda self, epoch: (EPOCHS.append(epoch), real(self, epoch))[1]  # type: ignore[method-assign]
    training = {
        "num_train_epochs": 2, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2, "save_steps": STEP,
        "learning_rate": 3e-3, "disable_tqdm": True, "bf16": True, "save_total_limit": 10,
    }  # fmt: skip
    job = {
        "corpus": corpus,
        "folder": str(folder / "whole"),
        "study": {"training": training, "method": {"keep": "last"}},
    }
    record = run(job)
    rank = PartialState().process_index
    if rank == 0:
        resumed = folder / "resumed" / "training"
        checkpoint = path(folder / "whole" / "training" / "checkpoints", STEP)
        shutil.copytree(checkpoint, path(resumed / "checkpoints", STEP))
        shutil.copy(folder / "whole" / "training" / "begun.json", resumed)
    PartialState().wait_for_everyone()
    again = run(job | {"folder": str(folder / "resumed")})
    try:
        (folder / f"conflict-{rank}").mkdir()
        if rank == 0:
            (folder / "resumed" / "training" / "training.json").unlink()
        PartialState().wait_for_everyone()
        conflict = ""
        run(job | {"folder": str(folder / "resumed"), "made_from": {"corpus": "2"}})
    except Conflict as error:
        conflict = str(error)
    seen = {
        "processes": PartialState().num_processes, "weights": [record.weights_sha256, again.weights_sha256],
        "resumed_from": again.resumed_from, "steps": record.steps, "epochs": EPOCHS, "conflict": conflict,
        "curves": [list(record.curves), list(again.curves)], "threads": torch.get_num_threads(),
    }  # fmt: skip
    (folder / f"rank-{rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
