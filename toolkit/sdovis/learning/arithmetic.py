"""What decides how a training's sums are rounded, and what is said where a part of it was computed on something else.

A sum of floating-point numbers depends on its order, and that on the number of threads, the libraries and the processor.
On the same of each, a resumed training ends with the weights of an uninterrupted one, bit for bit; on others, it does not
have to. `FILE` in the training's folder lists the sessions of which steps count, each with what it was computed on.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sdovis.learning import checkpoints

FILE = "sessions.json"
PACKAGES = ("torch", "transformers", "accelerate", "numpy", "pillow")
#: Variables by which torch, oneDNN and MKL are told to use other instructions than the processor has.
TOLD = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")
#: Instructions, as Linux names them, that add up products of 16-bit numbers in an order of their own.
SIXTEEN_BIT = ("avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16", "bf16", "svebf16")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stretch:
    """The steps beyond ``after_step``, and what they were computed on; nothing if that was not recorded.

    ``again``: of the second training, if there were two (see `refit`).
    """

    after_step: int
    on: Mapping[str, str]
    again: bool = False


def here(precision: str, device: Any) -> dict[str, str]:
    """What this process computes on. ``precision`` is the study's: only 16-bit numbers have instructions of their own."""
    import torch

    found = {name: version(name) for name in PACKAGES}
    if device.type == "cuda":
        found |= {"device": torch.cuda.get_device_name(), "CUDA": str(torch.version.cuda)}
        return found | {"cuDNN": str(torch.backends.cudnn.version())}
    instructions = [torch.backends.cpu.get_cpu_capability()]
    if precision != "no":
        known = {flag for line in _processor("flags", "Features") for flag in line.split()}
        instructions += sorted(known & set(SIXTEEN_BIT))
    found |= {"threads": str(torch.get_num_threads()), "instructions": " ".join(instructions)}
    found |= {
        "BLAS": torch.__config__.show().partition("BLAS_INFO=")[2].partition(",")[0],
        "processor": processor_name(),
    }
    return found | {name: os.environ[name] for name in TOLD if name in os.environ}


def processor_name() -> str:
    """The name that Linux gives; on other systems, what Python knows."""
    return next(iter(_processor("model name")), platform.processor())


def _processor(*names: str) -> Sequence[str]:
    """What Linux says of a processor under one of these ``names``, for each core; nothing on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    said = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in said if name.strip() in names]


def noted(folder: Path, start: Path | None, now: Mapping[str, str]) -> tuple[Stretch, ...]:
    """Note that a training goes on from the checkpoint ``start``, or begins; say so where it is on something else.

    Returns the sessions of which steps count: one whose steps were all lost is forgotten.
    """
    if start is None:
        sessions = [Stretch(0, now)]
    else:
        step = checkpoints.step(start)
        sessions = [session for session in load(folder) if session.after_step < step] or [Stretch(0, {})]
        if sessions[-1].on != now:
            sessions.append(Stretch(step, now))
            log.warning("%s", told(sessions[-2], sessions[-1]))
    checkpoints.write_json(folder / FILE, [asdict(session) for session in sessions])
    return tuple(sessions)


def load(folder: Path) -> list[Stretch]:
    """The sessions noted so far; none if the file is absent or damaged."""
    try:
        return [Stretch(**entry) for entry in json.loads((folder / FILE).read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def told(before: Stretch, after: Stretch) -> str:
    """One line that says what is another, and what that means."""
    return (
        f"the training continues after step {after.after_step} with {'; '.join(changes(before, after))}: sums are rounded "
        "differently, so the weights will not be bit for bit those of a training that was not interrupted. "
        "training.json and the model card record it"
    )


def changes(before: Stretch, after: Stretch) -> Sequence[str]:
    """A clause for each thing that is another, with both."""
    names = sorted(before.on.keys() | after.on.keys())
    differ = [name for name in names if before.on.get(name) != after.on.get(name)]
    unknown = "unset" if before.on else "what was not recorded"
    return [f"{name} {after.on.get(name, 'unset')} instead of {before.on.get(name, unknown)}" for name in differ]
