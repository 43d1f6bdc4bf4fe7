"""The parts of `gpu.py`, in order of worth, and the process in which one of them runs.

    python benchmarks/gpu_parts.py NAME --bundle FOLDER --work FOLDER [--rehearse]

WORK/parts/NAME.json is written anew with everything that was found so far, whenever something is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_checks
import gpu_speed
from gpu_kit import Kit


@dataclass(frozen=True)
class Part:
    """``least_s``: with less time left it is not begun. ``most_s``: then it is stopped, and keeps what it has found."""

    title: str
    work: Callable[[Kit, gpu_speed.Note], None]
    least_s: float
    most_s: float


#: Guesses for an H100, made without one; nobody has seen how long they take.
PARTS = {
    "a": Part("speed against the bare step and the example", gpu_speed.speed, 60, 210),
    "b": Part("killed and resumed", gpu_checks.resuming, 40, 120),
    "c": Part("predictions on the GPU and on the CPU", gpu_checks.predictions, 25, 60),
    "d": Part("LoRA and head, DINOv2-small", gpu_checks.methods, 20, 60),
    "e": Part("the page's classifier", gpu_checks.page, 15, 45),
    "f": Part("torch.compile: gain and start", gpu_speed.compiling, 40, 110),
    "g": Part("FSDP 2 with one process", gpu_checks.sharded, 30, 80),
    "h": Part("waiting for data", gpu_speed.waiting, 20, 90),
    "tests": Part("the tests marked gpu", gpu_checks.tests, 20, 90),
}


def write_json(file: Path, data: object) -> None:
    """Write a JSON file that appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.part")
    beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PARTS)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rehearse", action="store_true")
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {}

    def note(what: str, of: Any) -> None:
        found[what] = of
        write_json(given.work / "parts" / f"{given.name}.json", {"state": "running", "found": found})
        print(f"{given.name}: {what}: {_short(of)}", flush=True)

    PARTS[given.name].work(Kit(given.bundle.resolve(), given.work.resolve(), given.rehearse), note)


def _short(of: Any) -> str:
    """Numbers to four digits, and no more than a line."""
    shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in of.items()} if isinstance(of, dict) else of
    text = json.dumps(shown)
    return text if len(text) <= 300 else f"{text[:297]}..."


if __name__ == "__main__":
    main()
