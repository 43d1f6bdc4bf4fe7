"""Runs trainings, each in processes of its own that may be killed with signal 9 at a named moment.

Usage: sessions.py CHAINS.json. A chain is {name, folder, jobs}: its jobs run one after another in ``folder``. A job is
{corpus, study (of tiny.study)} and, where wanted, made_from, cwd, restart, processes (2: gloo, as torchrun starts
them), config (of accelerate, as its launcher reads it), plain (transformers' own Trainer), kill. FOLDER/statuses.json
gets the exit status of each job, as `os.waitpid` gives it, and FOLDER/end.json what the last one ended with. With
disk_kib the jobs run on a disk of that size, on which each finds free_kib free; it is gone when the chain ends.

A kill is [target, when, count] or [target, when, count, rank]: the ``count``-th call of ``module:name.name`` is not
survived by the process of that rank (-1: by any); ``when`` is "before" it, "after" it, or "torn": after it, and half of
the file that it wrote is lost. A number of seconds instead kills from outside, wherever the training is by then.

Importing torch and transformers takes seconds: it is done once, and each job is forked from here before torch has
started a thread.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

AUGMENTATIONS = frozenset({"flip_ns", "flip_ew", "rotate90", "rotate_any", "polarity"})
#: Chains that run at a time.
AT_ONCE = min(2, os.cpu_count() or 1)


def run(job: dict[str, Any]) -> Any:
    """`sdovis train`, without the command line."""
    import tiny
    from sdovis.corpus.build import Corpus

    folder = Path(job["folder"])
    study = tiny.study(**job["study"])
    os.chdir(job.get("cwd", "."))
    if isinstance(job.get("kill"), list):
        arm(*job["kill"])
    return tiny.train(
        study, Corpus.load(Path(job["corpus"])), folder, restart=job.get("restart", False),
        augmentations=AUGMENTATIONS, about={"study": study.name}, made_from=job.get("made_from", {}),
    )  # fmt: skip


def plain(job: dict[str, Any]) -> None:
    """The same network, pictures and arguments with transformers' Trainer, as its documentation shows it."""
    import tiny
    import torch
    from sdovis.corpus.build import Corpus
    from sdovis.learning import backbones, loader
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    folder, corpus = Path(job["folder"]) / "training", Corpus.load(Path(job["corpus"]))
    model, processor = backbones.build(tiny.study(**job["study"]), tiny.CLASSES, {})
    answers = loader.table(processor)

    class Shown(torch.utils.data.Dataset):
        def __init__(self, part: str) -> None:
            self.codes = torch.from_numpy(loader.decode(corpus.pictures_of(part), processor))
            self.labels, self.flipped = corpus.part(part)["label"].tolist(), part == "train"

        def __len__(self) -> int:
            return len(self.codes)

        def __getitem__(self, index: int) -> dict[str, Any]:
            codes = self.codes[index]
            if self.flipped and torch.rand(()) < 0.5:  # what every torchvision transform does
                codes = codes.flip(0)
            return {"pixel_values": loader.normalised(codes[None], answers)[0], "labels": self.labels[index]}

    arguments = TrainingArguments(
        output_dir=str(folder), use_cpu=True, seed=5, report_to="none", eval_strategy="steps",
        eval_steps=job["study"]["training"]["save_steps"], **job["study"]["training"],
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=Shown("train"), eval_dataset=Shown("validation"))
    if isinstance(job.get("kill"), list):
        arm(*job["kill"])
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)) if folder.is_dir() else None)
    trainer.save_model(str(folder.parent / "model"))


def configure(config: str) -> None:
    """Be a process that accelerate has launched with that file, on two GPUs that are a CPU.

    accelerate shards on GPUs alone: it is told that the processes, which have met over gloo, have one each.
    """
    import torch
    from accelerate.commands import launch
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType
    from accelerate.utils.launch import prepare_multi_gpu_env

    given = ["--config_file", config, "--num_processes", "2", "--main_process_port", "0", "sdovis"]
    arguments, *_ = launch._validate_launch_command(launch.launch_command_parser().parse_args(given))
    os.environ |= prepare_multi_gpu_env(arguments) | {"ACCELERATE_TORCH_DEVICE": "cpu"}
    torch.distributed.init_process_group("gloo")
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)  # type: ignore[method-assign]


def arm(target: str, when: str, count: int, rank: int = 0) -> None:
    """Let this process, if it is of that rank, not survive the ``count``-th call."""
    if rank not in (-1, int(os.environ.get("RANK", "0"))):
        return
    module, _, names = target.partition(":")
    place: Any = importlib.import_module(module)
    *outer, name = names.split(".")
    for each in outer:
        place = getattr(place, each)
    real, left = getattr(place, name), [count]

    def deadly(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        result = real(*args, **kwargs) if left[0] or when != "before" else None
        if not left[0]:
            if when == "torn":
                (file,) = (p for p in (*args, *kwargs.values()) if isinstance(p, str | Path) and Path(p).is_file())
                os.truncate(file, Path(file).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, deadly)


def ending(folder: Path) -> dict[str, Any]:
    """Everything a training ended with: weights, optimizer, schedule, random states, losses and scores."""
    import torch
    from safetensors.torch import load_file

    of_second = (folder / "training").glob("refit/checkpoints/checkpoint-*")
    places = list(of_second) or (folder / "training").rglob("checkpoint-*")
    last = max(places, key=lambda p: int(p.name.rpartition("-")[2]))
    state = json.loads((last / "trainer_state.json").read_text())
    told = ("best_global_step", "best_metric", "epoch", "global_step", "max_steps")
    record = folder / "training" / "training.json"
    return {
        "model": _digest(load_file(folder / "model" / "model.safetensors")),
        "checkpoint": last.name,
        "files": sorted(p.name for p in last.iterdir()),
        "others": sorted(p.name for p in last.parent.iterdir()),
        **{p.stem: _digest(torch.load(p, weights_only=False)) for p in last.iterdir() if _is_torch(p)},
        "weights": [_digest(load_file(p)) for p in sorted(last.glob("*.safetensors"))],
        "metrics": [_untimed(entry) for entry in state["log_history"]],
        "state": {name: state[name] for name in told},
        "record": _untimed(json.loads(record.read_text())) if record.is_file() else {},
    }


def _is_torch(file: Path) -> bool:
    return file.suffix in (".pt", ".pth", ".bin") and file.stem != "training_args"


def _untimed(entry: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from run to run: times, and where a session began."""
    varies = ("_per_second", "_runtime", "seconds", "resumed_from", "hardware", "timings")
    return {key: value for key, value in entry.items() if not key.endswith(varies)}


def _digest(value: Any) -> str:
    import hashlib

    import numpy as np
    import torch

    digest = hashlib.sha256()

    def add(inner: Any) -> None:
        if isinstance(inner, dict):
            for key in inner:
                digest.update(repr(key).encode())
                add(inner[key])
        elif isinstance(inner, list | tuple):
            digest.update(f"{len(inner)}".encode())
            for each in inner:
                add(each)
        elif isinstance(inner, torch.Tensor):
            digest.update(f"{inner.dtype} {tuple(inner.shape)}".encode())
            digest.update(inner.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(inner, np.ndarray):
            digest.update(inner.tobytes())
        else:
            digest.update(repr(inner).encode())

    add(value)
    return digest.hexdigest()


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            # What a test looks for stands at the end; a shared port may be told from a defect by the rest.
            traceback.print_exc()
            code = getattr(error, "exit_code", 1)
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def _job(job: dict[str, Any]) -> int:
    """Run one job; the status of its first process that ended badly (9 where one was killed), else 0."""
    ranks = job.get("processes", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def work(rank: int) -> None:
        if ranks > 1:
            where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
            os.environ |= {name: str(value) for name, value in where.items()}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            configure(job["config"]) if "config" in job else os.environ.update(ACCELERATE_USE_CPU="true")
        (plain if job.get("plain") else run)(job)
        if ranks > 1:
            import torch

            if torch.distributed.is_initialized():  # a training that was finished has met nobody
                torch.distributed.destroy_process_group()

    alive = {_forked(lambda rank=rank: work(rank)) for rank in range(ranks)}
    seconds = job["kill"] if isinstance(job.get("kill"), float) else None
    end, first = time.monotonic() + (seconds or 120), 0

    def ended() -> list[int]:
        found = {child: os.waitpid(child, os.WNOHANG) for child in alive}
        alive.difference_update(child for child, (done, _) in found.items() if done)
        return [status for done, status in found.values() if done and status]

    while alive:
        bad = ended()
        if bad and not first:
            # The others of a killed one may give up before a look round comes to it: it is there at a second look.
            bad += ended()
            first = signal.SIGKILL if signal.SIGKILL in bad else bad[0]
        # One that dies takes the others with it, as under a launcher.
        if alive and (first or time.monotonic() > end):
            for child in alive:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return first


def _chain(chain: dict[str, Any]) -> None:
    folder = Path(chain["folder"])
    place = folder / "disk" if "disk_kib" in chain else folder
    place.mkdir(parents=True)
    if "disk_kib" in chain:
        mount(place, chain["disk_kib"])
    statuses = []
    for job in chain["jobs"]:
        if "free_kib" in job:
            _leave(place, job["free_kib"])
        statuses.append(_job(job | {"folder": str(place)}))
    (folder / "statuses.json").write_text(json.dumps(statuses))
    if statuses[-1] == 0:
        (folder / "end.json").write_text(json.dumps(ending(place)))


def mount(place: Path, kib: int) -> None:
    """Put a disk of that size in memory, which only this process and its children see. OSError where not allowed."""
    new_mounts, new_user = 0x20000, 0x10000000
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(new_mounts | (new_user if os.geteuid() else 0)):
        raise OSError(ctypes.get_errno(), "no namespace of its own")
    private, recursive = 1 << 18, 1 << 14
    unseen = libc.mount(b"none", b"/", None, ctypes.c_ulong(private | recursive), None)
    if unseen or libc.mount(b"disk", bytes(place), b"tmpfs", ctypes.c_ulong(0), b"size=%dk" % kib):
        raise OSError(ctypes.get_errno(), "no disk of its own")


def _leave(place: Path, kib: int) -> None:
    ballast = place / "ballast"
    ballast.unlink(missing_ok=True)
    disk = os.statvfs(place)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_bsize - kib * 1024)


def _warm(chain: dict[str, Any]) -> None:
    """Import what a training imports on its way, as one that is thrown away finds out: seconds for each job otherwise.

    It is not trained here: a fork of a process that has started threads may hang.
    """
    with tempfile.TemporaryDirectory() as folder:
        loaded = Path(folder) / "modules"

        def work() -> None:
            run({"corpus": chain["jobs"][0]["corpus"], "study": {}, "folder": folder})
            loaded.write_text("\n".join(sys.modules))

        os.waitpid(_forked(work), 0)
        for name in loaded.read_text().split("\n"):
            if name not in sys.modules and not name.startswith("_"):
                with suppress(ImportError):
                    importlib.import_module(name)
    # pyarrow's jemalloc has one, and looks after it in a fork.
    threads = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
    assert len([name for name in threads if name != "jemalloc_bg_thd"]) <= 1, f"an import has started one of {threads}"


def main() -> None:
    chains = json.loads(Path(sys.argv[1]).read_text())
    _warm(chains[0])
    running: set[int] = set()
    for chain in chains:
        if len(running) == AT_ONCE:
            running.remove(os.wait()[0])
        running.add(_forked(lambda chain=chain: _chain(chain)))
    while running:
        running.remove(os.wait()[0])


if __name__ == "__main__":
    main()
