"""Parts of `gpu.py` that compare: (b) killed and resumed, (c) predictions, (d) LoRA and head, (e) the page, (g) FSDP 2."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gpu_kit import ROOT, Failed, Kit, ran
from gpu_speed import Note

FSDP = ["-m", "accelerate.commands.launch", "--config_file", str(ROOT / "examples/accelerate/fsdp.yaml")]
FSDP += ["--num_processes", "1", "--main_process_port", "0"]


def resuming(kit: Kit, note: Note) -> None:
    """A training killed with signal 9 in its middle and started again, against one that was left alone, and that one
    against its like: what differs there is no fault of the resuming."""
    sizes = kit.sizes
    ways: dict[str, tuple[str, ...]] = {"deterministic": ("training.full_determinism=true",), "as it is": ()}
    ways["compiled"] = ("method.compile=true",)
    for what, sets in list(ways.items())[: sizes.repeats]:
        training = kit.training(
            sizes.killed_steps, sizes.precisions[0], save_strategy="steps", save_steps=sizes.save_steps
        )
        runs = [f"resuming-{what.replace(' ', '-')}-{which}" for which in ("whole", "again", "killed")]
        _small(kit, runs[0], training, *sets)
        # Where the two below are equal, nothing is left to tell apart.
        _stopped(kit, runs[2], training, *sets)
        found = {"killed_and_resumed": difference(kit, runs[0], runs[2])}
        if not found["killed_and_resumed"]["equal"] or what == "as it is":
            _small(kit, runs[1], training, *sets)
            found["run_again"] = difference(kit, runs[0], runs[1])
        note(what, found)


def _small(kit: Kit, name: str, training: Mapping[str, Any], *sets: str, **watched: Any) -> dict[str, Any]:
    """`sdovis train` of the small network with dropout, which draws from the device's random stream."""
    sizes = kit.sizes
    settings = json.loads((kit.network(sizes.small) / "config.json").read_text(encoding="utf-8"))
    names = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size")
    table = {key: settings[key] for key in names} | {"hidden_dropout_prob": 0.1}
    written = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    own = (f"backbone.config={{ {written} }}", 'method.keep="last"', f"images.size_px={sizes.size_px}")
    return kit.sdovis(name, training, *own, *sets, **watched)


def _stopped(kit: Kit, name: str, training: Mapping[str, Any], *sets: str, **watched: Any) -> None:
    """The same, killed in the middle and started again. Raises `Failed` where it was over before."""
    halfway = (kit.run(name) / "training" / "steps.csv", kit.sizes.killed_steps // 2 + 1)
    _small(kit, name, training, *sets, kill=halfway, **watched)
    _small(kit, name, training, *sets, **watched)


def difference(kit: Kit, one: str, other: str) -> dict[str, Any]:
    """Between the models, the optimizers and the losses with which two trainings ended."""
    import torch
    from safetensors.torch import load_file

    runs = [kit.run(name) for name in (one, other)]
    models = [load_file(run / "model" / "model.safetensors") for run in runs]
    lasts = [max((run / "training" / "checkpoints").glob("checkpoint-*"), key=_step) for run in runs]
    states = [torch.load(last / "optimizer.pt", map_location="cpu", weights_only=True)["state"] for last in lasts]
    records = [json.loads((run / "training" / "training.json").read_text(encoding="utf-8")) for run in runs]
    optimizers = [{f"{n}.{key}": t for n, of in state.items() for key, t in of.items()} for state in states]
    losses = [[entry["loss"] for entry in record["curves"] if "loss" in entry] for record in records]
    found = {"model": apart(*models), "optimizer": apart(*optimizers), "losses": losses}
    found["equal"] = found["model"]["differ"] == 0 and found["optimizer"]["differ"] == 0 and losses[0] == losses[1]
    return found | {"resumed_from": records[1]["resumed_from"], "steps": records[1]["steps"]}


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Of tensors by name: how many there are and differ, the largest difference of an entry, and the norm of all
    differences as a share of the norm of all entries. Raises `Failed` where the names do."""
    if one.keys() != other.keys():
        raise Failed(f"different tensors: {sorted(one.keys() ^ other.keys())[:3]}")
    largest, differ, apart_squared, squared = 0.0, 0, 0.0, 0.0
    for name, tensor in one.items():
        left, right = (np.asarray(t.float().numpy(), dtype=np.float64) for t in (tensor, other[name]))
        gaps = left - right
        squared += float(np.sum(left**2))
        if tensor.dtype == other[name].dtype and np.array_equal(left, right):
            continue
        differ += 1
        largest, apart_squared = max(largest, float(np.max(np.abs(gaps)))), apart_squared + float(np.sum(gaps**2))
    relative = (apart_squared / squared) ** 0.5 if squared else 0.0
    return {"tensors": len(one), "differ": differ, "largest": largest, "relative": relative}


def predictions(kit: Kit, note: Note) -> None:
    """The test part on the GPU and on the CPU: largest difference of a probability, and images that change their class."""
    model, sizes = _model(kit), kit.sizes
    scores: dict[tuple[str, str], Any] = {}
    for where, hidden in (("gpu", {}), ("cpu", {"CUDA_VISIBLE_DEVICES": ""})):
        # A CPU takes its time over fp16.
        precisions = [p for p in dict.fromkeys(("no", *sizes.precisions)) if (p, where) != ("fp16", "cpu")]
        out = kit.work / f"predictions-{where}.npz"
        _scored(kit, ["corpus", str(model), str(kit.bundle / "corpus"), str(out), *precisions], **hidden)
        found = np.load(out)
        scores |= {(p, where): {"probabilities": found[p], "device": found["device"]} for p in precisions}
    reference = scores["no", "cpu"]["probabilities"]
    note(
        "probabilities", {"images": len(reference), "lowest": float(reference.min()), "highest": float(reference.max())}
    )
    for (precision, where), found in scores.items():
        against = [
            name for name in (("no", "cpu"), (precision, "cpu")) if name in scores and name != (precision, where)
        ]
        for other in dict.fromkeys(against):
            here, there = found["probabilities"], scores[other]["probabilities"]
            note(
                f"{_named(precision)} on {where} against {_named(other[0])} on {other[1]}",
                {
                    "devices": [str(found["device"]), str(scores[other]["device"])],
                    "largest": float(np.max(np.abs(here - there))),
                    "other_class": int((here.argmax(1) != there.argmax(1)).sum()),
                },
            )


def _named(precision: str) -> str:
    return "fp32" if precision == "no" else precision


def _model(kit: Kit) -> Path:
    """A trained model of the small network; made once. A few steps, so that its answers are not all alike."""
    folder = kit.run("model") / "model"
    if not folder.is_dir():
        training = kit.training(kit.sizes.steps, kit.sizes.precisions[0], learning_rate=3e-4)
        _small(kit, "model", training, "method.augment=false")
    return folder


def _scored(kit: Kit, arguments: list[str], **environment: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_scores.py"), *arguments]
    ran(command, kit.work / "scores.txt", within=kit.work, **environment)


def page(kit: Kit, note: Note) -> None:
    """The page's classifier on a full disc with a place named: its answer on both devices, and how long it takes."""
    answers = {}
    for where, hidden in (("gpu", {}), ("cpu", {"CUDA_VISIBLE_DEVICES": ""})):
        out = kit.work / f"page-{where}.npz"
        place = [str(kit.about["disc"][key]) for key in ("latitude_deg", "longitude_deg")]
        _scored(
            kit,
            ["page", str(_model(kit)), str(kit.bundle / "disc.fits"), *place, str(out), str(kit.sizes.answers)],
            **hidden,
        )
        answers[where] = np.load(out)
        first, *others = (float(each) for each in answers[where]["seconds"])
        seconds = {"first_answer_s": first, "answer_s": float(np.median(others))}
        note(where, {"device": str(answers[where]["device"]), **seconds})
    gpu, cpu = answers["gpu"], answers["cpu"]
    gap = float(np.max(np.abs(gpu["probabilities"] - cpu["probabilities"])))
    levels = np.abs(gpu["overlay"].astype(int) - cpu["overlay"].astype(int))
    note("difference", {"largest": gap, "overlay_levels": int(levels.max()) if levels.size else None})


def methods(kit: Kit, note: Note) -> None:
    """A head on a frozen DINOv2-small, and LoRA in it, with drawn weights: how fast, not how well."""
    sizes, precision = kit.sizes, kit.sizes.precisions[0]
    written = ", ".join(f"{key} = {value}" for key, value in sizes.dino.items())
    own = (
        f'backbone.config={{ model_type = "dinov2", {written} }}',
        f"images.size_px={sizes.dino_px}",
        'method.keep="last"',
    )
    for what in ("head", "lora"):
        training = kit.training(
            -1, precision, num_train_epochs=sizes.epochs if what == "head" else max(sizes.epochs // 10, 1)
        )
        found = kit.sdovis(f"method-{what}", training, f'method.trainable="{what}"', *own)
        record = json.loads((kit.run(f"method-{what}") / "training/training.json").read_text(encoding="utf-8"))
        told = ("seconds", "images_per_second", "timings", "trainable_parameters", "hardware")
        note(what, found | {f"record_{key}": record[key] for key in told} | {"images": record["images"]})


def sharded(kit: Kit, note: Note) -> None:
    """FSDP 2 with one process against a training that shards nothing, in fp32, and killed and resumed against itself."""
    training = kit.training(kit.sizes.killed_steps, "no", save_strategy="steps", save_steps=kit.sizes.save_steps)
    launcher = [sys.executable, *FSDP]
    # In a rehearsal one process must not take the CPU for a GPU while the other shards on it.
    _small(kit, "sharded-plain", training)
    _small(kit, "sharded-whole", training, launcher=launcher)
    note("against one process", difference_of_models(kit, "sharded-plain", "sharded-whole"))
    _stopped(kit, "sharded-killed", training, launcher=launcher)
    note("killed and resumed", difference_of_models(kit, "sharded-whole", "sharded-killed"))


def difference_of_models(kit: Kit, one: str, other: str) -> dict[str, Any]:
    """As `difference`, of the models alone: a sharded optimizer names its states otherwise."""
    from safetensors.torch import load_file

    models = [load_file(kit.run(name) / "model" / "model.safetensors") for name in (one, other)]
    return apart(*models)


def tests(kit: Kit, note: Note) -> None:
    """The tests that are marked ``gpu``."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout"]
    command.append("tests/learning/test_gpu.py")
    log = kit.work / "tests.txt"
    try:
        # Plug-ins of what else is installed there are none of ours.
        ran(command, log, within=ROOT, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    finally:
        note("last lines", log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
