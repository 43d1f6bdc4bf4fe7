"""The bare forward of a model's engines in turns: images a second, medians of rounds, as JSON.

    python benchmarks/engines.py runs/simulated [--batch 32] [--rounds 7] [--seconds 2]

The model must have been exported (`sdovis export RUN --to onnx`). Every engine gets the same input, already normalised.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sdovis import inference
from sdovis.corpus.build import Corpus
from sdovis.inference.onnx import OnnxEngine
from sdovis.learning import loader

BASE = "torch"


def forwards(model_folder: Path, pictures: list[bytes]) -> dict[str, Callable[[], object]]:
    """Engine -> one forward of these pictures."""
    model, processor, device = inference.loaded(model_folder)
    shown = loader.normalised(torch.from_numpy(loader.decode(pictures, processor)), loader.table(processor))
    on_device, array = shown.to(device), shown.numpy()
    engines = {"onnx": OnnxEngine(model_folder), "onnx-int8": OnnxEngine(model_folder, int8=True)}

    def with_torch() -> object:
        with torch.inference_mode():
            return model(on_device).logits.cpu()

    return {BASE: with_torch} | {name: (lambda of=each: of.run(array)) for name, each in engines.items()}


def rate(forward: Callable[[], object], images: int, seconds: float) -> float:
    """Images a second of forwards that take at least ``seconds``."""
    begun, passes = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        forward()
        passes += 1
    return passes * images / spent


def measured(run: Path, *, batch: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Medians of the rates, and of their ratios to torch's of the same round."""
    corpus = Corpus.load(run / "corpus")
    pictures = [corpus.pictures[i % len(corpus.pictures)] for i in range(batch)]
    ready = forwards(run / "model", pictures)
    for forward in ready.values():
        forward()
    found: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(rounds):
        for name, forward in ready.items():
            found[name].append(rate(forward, batch, seconds))
    ratios = {name: np.divide(rates, found[BASE]) for name, rates in found.items()}
    return {
        "run": run.name,
        "batch": batch,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "images_per_second": {name: round(float(np.median(rates)), 1) for name, rates in found.items()},
        "times_torch": {name: round(float(np.median(of)), 2) for name, of in ratios.items()},
        "times_torch_of_each_round": {name: [round(float(each), 2) for each in of] for name, of in ratios.items()},
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    print(json.dumps(measured(asked.run, batch=asked.batch, rounds=asked.rounds, seconds=asked.seconds), indent=1))


if __name__ == "__main__":
    main()
