"""What the parts of `gpu.py` share: how large everything is, where it lies, and how a training is started and watched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
WATCH = HERE / "gpu_watch.py"
#: What every training of a part is told, beside its length; the rest is each one's own default.
TRAINING = {
    "learning_rate": 5e-5,
    "weight_decay": 0.05,
    "eval_strategy": "no",
    "save_strategy": "no",
    "disable_tqdm": True,
}


@dataclass(frozen=True)
class Sizes:
    """Networks (of `train.MODELS`), pixels, images a batch and steps, for a GPU or for a rehearsal without one.

    ``repeats``: how many of the ways in which a part does the same thing are gone through.
    """

    large: str
    small: str
    size_px: int
    batch: int
    warm: int
    steps: int
    example_steps: int
    killed_steps: int
    save_steps: int
    profiled: int
    epochs: int
    dino_px: int
    dino: Mapping[str, int]
    precisions: tuple[str, str]
    workers: int
    answers: int
    repeats: int


DINOV2_SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "patch_size": 14}
ON_A_GPU = Sizes(
    large="base", small="small", size_px=224, batch=128, warm=10, steps=70, example_steps=30, killed_steps=24, save_steps=8,
    profiled=20, epochs=30, dino_px=224, dino=DINOV2_SMALL, precisions=("bf16", "fp16"), workers=4, answers=20,
    repeats=4,
)  # fmt: skip
#: fp16 needs a GPU: fp32 stands in for it.
REHEARSED = Sizes(
    large="tiny", small="tiny", size_px=32, batch=8, warm=2, steps=4, example_steps=4, killed_steps=6, save_steps=2,
    profiled=1, epochs=1, dino_px=28, dino=DINOV2_SMALL | {"hidden_size": 48, "num_hidden_layers": 2},
    precisions=("bf16", "no"), workers=1, answers=2, repeats=2,
)  # fmt: skip


class Failed(Exception):
    """A process ended badly; the message holds its last lines."""


@dataclass(frozen=True)
class Kit:
    """The bundle of `gpu_pack.sh`, a folder to work in, and whether this is a rehearsal."""

    bundle: Path
    work: Path
    rehearsal: bool

    @property
    def sizes(self) -> Sizes:
        return REHEARSED if self.rehearsal else ON_A_GPU

    @property
    def about(self) -> dict[str, Any]:
        """What `gpu_pack.sh` wrote down of its bundle."""
        return dict(json.loads((self.bundle / "bundle.json").read_text(encoding="utf-8")))

    def network(self, shape: str) -> Path:
        """A network of that shape with drawn weights, from which all begin; made once."""
        import train

        folder = self.work / "networks" / shape
        if not folder.is_dir():
            beside = folder.with_name(f".{shape}")
            train.save_model(beside, self.about["classes"], self.sizes.size_px, shape)
            beside.replace(folder)
        return folder

    def training(self, steps: int, precision: str, **others: Any) -> dict[str, Any]:
        """Arguments of a training of so many steps, whole batches only."""
        given = TRAINING | {"per_device_train_batch_size": self.sizes.batch, "max_steps": steps}
        given |= {"dataloader_drop_last": True, **others}
        return given | ({} if precision == "no" else {precision: True})

    def sdovis(self, name: str, training: Mapping[str, Any], *sets: str, **watched: Any) -> dict[str, Any]:
        """`sdovis train` on the bundle's corpus, in a run folder of that name; see `watched`."""
        place = self.place(name)
        assignments = [*sets, *(f"training.{key}={json.dumps(value)}" for key, value in training.items())]
        command = ["-m", "sdovis", "train", str(self.bundle / "study.toml")]
        command += [part for each in assignments for part in ("--set", each)]
        return self.watched(place, command, **watched)

    def place(self, name: str) -> Path:
        """A working directory with the corpus where `sdovis train` looks for it."""
        place = self.work / name
        corpus = self.run(name) / "corpus"
        if not corpus.exists():
            corpus.parent.mkdir(parents=True, exist_ok=True)
            corpus.symlink_to(self.bundle.resolve() / "corpus")
        return place

    def run(self, name: str) -> Path:
        """The run folder of the training of that name."""
        return self.work / name / "runs" / "gpu"

    def watched(
        self,
        place: Path,
        command: Sequence[str],
        *,
        first: int = 1,
        last: int = 0,
        profiled: int = 0,
        launcher: Sequence[str] = (),
        kill: tuple[Path, int] | None = None,
        **environment: str,
    ) -> dict[str, Any]:
        """What `gpu_watch` notes of a command, with images a second between the two steps where there are two.

        ``kill``: (a table of steps, a step): signal 9 to every process as soon as that step stands there. Raises `Failed`.
        """
        place.mkdir(parents=True, exist_ok=True)
        report = place / "report.json"
        report.unlink(missing_ok=True)
        options = ["--first", str(first), "--last", str(last), "--profile", str(profiled)]
        # What this needs of torch takes seconds to import.
        options += ["--compile-nothing"] if self.rehearsal and "method.compile=true" in command else []
        options += ["--shard-on-cpu"] if self.rehearsal and launcher else []
        started = [*(launcher or [sys.executable]), str(WATCH), str(report), *options, "--", *command]
        seconds = ran(started, place / "log.txt", within=place, kill=kill, HF_HOME=str(place / "home"), **environment)
        if kill:
            return {"seconds": seconds}
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        found["seconds"] = seconds
        ends = {int(step): end for step, end in found.pop("steps").items()}
        found["first_step_s"] = ends.get(1)
        if {first, last} <= ends.keys() and last > first:
            found["images_per_second"] = (last - first) * self.sizes.batch / (ends[last] - ends[first])
        return found

    def floor(self, precision: str, *, compiled: bool) -> dict[str, Any]:
        """The bare step of the large network, as the libraries have it: see `floor`."""
        place = self.work / f"floor-{precision}{'-compiled' * compiled}"
        sizes = self.sizes
        command = [str(self.network(sizes.large)), str(place), "--batch", str(sizes.batch), "--precision", precision]
        command += ["--steps", str(sizes.warm + sizes.steps), "--warm", str(sizes.warm)]
        # A rehearsal makes graphs, and no code of them: see `gpu_watch.compile_for_rehearsal`.
        command += ["--compile", "aot_eager" if self.rehearsal else "inductor"] if compiled else []
        place.mkdir(parents=True, exist_ok=True)
        ran([sys.executable, str(HERE / "floor.py"), *command], place / "log.txt", within=place)
        return dict(json.loads((place / "rates.json").read_text(encoding="utf-8")))

    def example(self, steps: int, precision: str, workers: int) -> dict[str, Any]:
        """transformers' example on the same pictures. Raises `Failed` where it cannot run here."""
        script = self.bundle / "run_image_classification.py"
        if not script.is_file():
            raise Failed("the bundle was packed without transformers' example (EXAMPLE=FILE)")
        pictures, place = self._pictures(), self.work / f"example-{workers}"
        options = {
            "model_name_or_path": self.network(self.sizes.large),
            "output_dir": place / "output",
            "do_train": True,
        }
        options |= {"train_dir": pictures / "train", "validation_dir": pictures / "validation"}
        options |= {"remove_unused_columns": False, "dataloader_num_workers": workers}
        options |= self.training(steps, precision) | {"use_cpu": self.rehearsal}
        command = [str(HERE / "example.py"), str(place / "steps.txt"), str(script)]
        command += [str(part) for key, value in options.items() for part in (f"--{key}", value)]
        environment = {}
        if own := os.environ.get("GPU_TORCHVISION"):  # which only the example is to see: see `example`
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
        return self.watched(place, command, first=self.sizes.warm, last=steps, **environment)

    def _pictures(self) -> Path:
        """The corpus' pictures as files in a folder for each class, as the example reads them; made once."""
        import sdovis

        folder = self.work / "pictures"
        if not folder.is_dir():
            corpus = sdovis.Corpus.load(self.bundle / "corpus")
            beside = folder.with_name(".pictures")
            shutil.rmtree(beside, ignore_errors=True)
            for number, (part, label) in enumerate(zip(corpus.rows["split"], corpus.rows["label"], strict=True)):
                place = beside / part / corpus.classes[label]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number:05}.png").write_bytes(corpus.pictures[number])
            beside.replace(folder)
        return folder


def ran(
    command: Sequence[str], log: Path, *, within: Path, kill: tuple[Path, int] | None = None, **environment: str
) -> float:
    """Seconds that a command took, or until it was killed; what it prints is added to ``log``. Raises `Failed`."""
    begun = time.monotonic()
    with log.open("ab") as printed:
        process = subprocess.Popen(
            command, cwd=within, env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment, stdout=printed, stderr=printed
        )
    while kill and process.poll() is None:
        if last_step(kill[0]) >= kill[1]:
            _kill_all(process.pid)
            process.wait()
            return time.monotonic() - begun
        time.sleep(0.01)
    if process.wait() or kill:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        what = "ended before it could be killed" if kill and not process.returncode else f"exit {process.returncode}"
        raise Failed("\n".join([*lines[-25:], f"{what}: {' '.join(map(str, command[:12]))} ..."]))
    return time.monotonic() - begun


def last_step(table: Path) -> int:
    """The last step in ``steps.csv``, of which the last line may be cut short; 0 where there is none."""
    try:
        lines = table.read_text(encoding="utf-8").split("\n")[1:-1]
    except FileNotFoundError:
        return 0
    return int(lines[-1].split(",")[1]) if lines else 0


def _kill_all(pid: int) -> None:
    import psutil

    tree = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree[:-1], timeout=10)
