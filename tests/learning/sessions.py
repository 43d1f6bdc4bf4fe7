"""Runs trainings one after another, each in a process of its own that may be told to kill itself with signal 9.

Usage: sessions.py JOBS.json STATUSES. The jobs are a list of {folder, corpus, study (of tiny.study), made_from,
kill: [where, count], cwd}; STATUSES gets a line for each job: its exit status, as `os.waitpid` gives it.
Importing torch and transformers takes seconds: it is done once, and each job is forked from here before torch has
started a thread.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

AUGMENTATIONS = frozenset({"flip_ns", "flip_ew", "rotate90", "polarity"})


def run(job: dict[str, Any]) -> Any:
    import tiny
    from sdovis.corpus.build import Corpus
    from sdovis.learning.training import train

    folder = Path(job["folder"])
    study = tiny.study(**job["study"])
    os.chdir(job.get("cwd", "."))
    if "kill" in job:
        arm(*job["kill"])
    return train(
        study, Corpus.load(Path(job["corpus"])), folder=folder / "training", model_folder=folder / "model",
        augmentations=AUGMENTATIONS, signed=[True], about={"study": study.name}, made_from=job.get("made_from", {}),
        restart=job.get("restart", False),
    )  # fmt: skip


def arm(where: str, count: int) -> None:
    """SIGKILL this process at the ``count``-th training step, or as a checkpoint is being written or sealed."""
    from sdovis.learning import checkpoints
    from sdovis.learning.trainer import ExactTrainer

    place: tuple[Any, str] = {
        "step": (ExactTrainer, "training_step"),
        "optimizer": (ExactTrainer, "_save_optimizer_and_scheduler"),
        "random state": (ExactTrainer, "_save_rng_state"),
        "seal": (checkpoints, "seal"),
        "rotation": (checkpoints, "rotate"),
    }[where]
    real, left = getattr(*place), [count]

    def deadly(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(*place, deadly)


def main() -> None:
    import accelerate  # noqa: F401
    import sdovis.corpus.build
    import sdovis.learning.trainer  # noqa: F401

    for job in json.loads(Path(sys.argv[1]).read_text()):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(job)
                code = 0
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        with Path(sys.argv[2]).open("a") as statuses:
            print(os.waitpid(child, 0)[1], file=statuses)


if __name__ == "__main__":
    main()
