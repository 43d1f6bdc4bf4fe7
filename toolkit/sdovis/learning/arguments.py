"""From ``[training]`` in the study to transformers' TrainingArguments, and to the trackers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdovis.errors import BadInput, Problem
from sdovis.study import Study

if TYPE_CHECKING:
    from transformers import TrainingArguments

_CONFIGS = "examples/accelerate/"
#: For each launcher variable: the values with which tensors are saved whole and loaded strictly, and its default.
_WHOLE: dict[str, dict[str, tuple[tuple[str, ...], str]]] = {
    "FSDP": {
        "FSDP_VERSION": (("2",), "1"),
        "FSDP_STATE_DICT_TYPE": (("FULL_STATE_DICT",), "SHARDED_STATE_DICT"),
        "FSDP_CPU_RAM_EFFICIENT_LOADING": (("false",), "false"),
    },
    "DEEPSPEED": {"ACCELERATE_DEEPSPEED_ZERO_STAGE": (("1", "2"), "2")},
}


def training_arguments(study: Study, checkpoints: Path) -> TrainingArguments:
    """The study's arguments, unchanged, on top of our defaults.

    Raises `BadInput` with everything that cannot work: a launcher that compiles or has another precision, fp16 without
    a GPU, keeping the best checkpoint without evaluating and saving together, a tracker or compiler that is not
    installed, sharding that would not leave whole tensors, and whatever TrainingArguments refuses.
    """
    import torch
    from transformers import TrainingArguments

    given = dict(study.training)
    given.setdefault("use_cpu", not torch.accelerator.is_available())
    given = _paired(given)
    problems = [
        *_precision_problems(study, bool(given["use_cpu"])),
        *_sharding_problems(study),
        *_compile_problems(study),
        *_keep_problems(study, given),
        *_tracker_problems(reported_to(study)),
    ]
    if problems:
        raise BadInput(problems)
    defaults = {
        "save_total_limit": 2,
        "logging_strategy": "steps" if "logging_steps" in given else "epoch",
        "per_device_eval_batch_size": 32,
        "report_to": "none",
        "run_name": study.name,
        "project": "sdovis",
        "log_level": "error",
        "disable_tqdm": False,
    }
    ours = {
        "output_dir": str(checkpoints),
        "seed": study.study.seed,
        "data_seed": study.study.seed,
        "remove_unused_columns": False,
        "metric_for_best_model": study.method.keep_by if study.method.keep == "best" else None,
    }
    try:
        arguments = TrainingArguments(**(defaults | given | ours))
        _ = arguments.device
    except (TypeError, ValueError, KeyError, ImportError) as error:
        raise BadInput(Problem(f"training: {error}".split("\n")[0])) from error
    if (kind := sharding()) and arguments.distributed_state.distributed_type in ("NO", "MULTI_CPU"):
        # accelerate would silently continue without sharding.
        raise BadInput(
            Problem(
                f"the launcher asks for {kind}, but accelerate shards only on GPUs",
                f"launch with {_CONFIGS}ddp_cpu.yaml",
            )
        )
    # One process drives one device; `accelerate launch` starts more.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def sharding() -> str | None:
    """What the launcher shards with, ``FSDP`` or ``DEEPSPEED``; None if each process has the whole network."""
    asked = (kind for kind in ("FSDP", "DEEPSPEED") if os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true")
    return next(asked, None)


def reported_to(study: Study) -> list[str]:
    """The trackers that the study names."""
    given = study.training.get("report_to") or []
    return [str(name) for name in ([given] if isinstance(given, str) else given) if name != "none"]


@contextmanager
def tracked_in(logs: Path, trackers: list[str]) -> Iterator[None]:
    """Local tracker files go to ``logs``, unless the environment says otherwise; a W&B run is ended afterwards."""
    folders = {"WANDB_DIR": logs, "TENSORBOARD_LOGGING_DIR": logs / "tensorboard", "TRACKIO_DIR": logs / "trackio"}
    added = {name: str(folder.absolute()) for name, folder in folders.items() if name not in os.environ}
    if trackers:
        logs.mkdir(parents=True, exist_ok=True)
        os.environ |= added
    try:
        yield
    finally:
        wandb: Any = sys.modules.get("wandb") if "wandb" in trackers else None
        if wandb is not None and wandb.run is not None:
            wandb.finish()
        for name in added if trackers else ():
            os.environ.pop(name, None)


def _paired(given: dict[str, Any]) -> dict[str, Any]:
    """Evaluate when a checkpoint is saved, and save when evaluated, if the study names only one of the two."""
    for this, other in (("save", "eval"), ("eval", "save")):
        if f"{other}_strategy" not in given:
            if given.get(f"{this}_strategy") in ("steps", "epoch"):
                given[f"{other}_strategy"] = given[f"{this}_strategy"]
            if f"{this}_steps" in given:
                given.setdefault(f"{other}_steps", given[f"{this}_steps"])
    for name in ("save", "eval"):
        given.setdefault(f"{name}_strategy", "steps" if f"{name}_steps" in given else "epoch")
    given.setdefault("save_steps", given.get("eval_steps", 500))
    given.setdefault("eval_steps", given["save_steps"])
    return given


def _precision_problems(study: Study, use_cpu: bool) -> Iterator[Problem]:
    launcher = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if launcher not in ("no", study.precision):
        yield Problem(
            f"the launcher asks for {launcher}, but the study for {study.precision}",
            f"launch with --mixed_precision {study.precision}, or set training.{launcher} = true",
        )
    if study.training.get("bf16") and study.training.get("fp16"):
        yield Problem("training.bf16 and training.fp16 are both true", "choose one")
    if study.precision == "fp16" and use_cpu:
        yield Problem(
            "training.fp16 needs a GPU, and there is none here", "set training.fp16 = false and training.bf16 = true"
        )


def _sharding_problems(study: Study) -> Iterator[Problem]:
    for name in ("fsdp", "deepspeed"):
        if study.training.get(name):
            yield Problem(f"training.{name} must be set by the launcher", f"remove it and launch with {_CONFIGS}*.yaml")
    kind = sharding()
    untested = {
        "compile": study.method.compile,
        "refit": study.method.learns_from_validation,
        "calibration_folds": study.method.calibration_folds,
    }
    for setting in (name for name, asked in untested.items() if kind and asked):
        yield Problem(
            f"method.{setting} has never been tested with {kind}", f"remove it, or launch with {_CONFIGS}ddp_gpu.yaml"
        )
    for name, (good, default) in _WHOLE[kind].items() if kind else ():
        if (given := os.environ.get(name, default)) not in good:
            yield Problem(
                f"the launcher sets {name} to {given}", f"set it to {' or '.join(good)}, as {_CONFIGS}*.yaml do"
            )


def _compile_problems(study: Study) -> Iterator[Problem]:
    launcher = os.environ.get("ACCELERATE_DYNAMO_BACKEND", "no").lower()
    if launcher != "no":
        yield Problem(
            f"the launcher asks for torch.compile ({launcher})",
            "launch with --dynamo_backend no, and set method.compile = true",
        )
    if not study.method.compile:
        return
    # torch generates C++ for a CPU and, for a GPU, C around each kernel.
    named = [os.environ[name].split()[0] for name in ("CXX", "CC") if os.environ.get(name, "").strip()]
    if not any(map(shutil.which, (*named, "g++", "gcc", "clang++", "clang"))):
        yield Problem(
            "method.compile needs a C++ compiler, and there is none here", "install g++, or remove method.compile"
        )


def _keep_problems(study: Study, given: dict[str, Any]) -> Iterator[Problem]:
    if study.method.keep != "best":
        return
    same = ("save_strategy", "eval_strategy"), ("save_steps", "eval_steps")
    wants = given["save_strategy"]
    if wants == "no" or (wants != "best" and any(given.get(a) != given.get(b) for a, b in same)):
        yield Problem(
            "method.keep = 'best' needs an evaluation with every checkpoint",
            "set training.save_strategy or save_steps and leave out eval_strategy and eval_steps, or set method.keep = 'last'",
        )


def _tracker_problems(trackers: list[str]) -> Iterator[Problem]:
    for name in trackers:
        if find_spec(name) is None:
            yield Problem(f"training.report_to: {name} is not installed", "pip install 'sdovis[trackers]'")
