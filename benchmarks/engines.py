"""The bare forward of a model's engines in turns: images a second, medians of rounds, as JSON.

    python benchmarks/engines.py runs/simulated [--batch 32] [--rounds 7] [--seconds 2]
    python benchmarks/engines.py demo           networks with random weights: speed does not depend on them
    python benchmarks/engines.py dinov2-small

The model of a run must have been exported (`sdovis export RUN --to onnx`). Every engine gets the same input, already
normalised.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from predict import BACKBONES, made_model
from sdovis import inference
from sdovis.corpus.build import Corpus
from sdovis.inference import onnx
from sdovis.learning import backbones, loader

BASE = "torch"


def forwards(model_folder: Path, codes: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    """Engine -> one forward of these codes."""
    model, processor, device = inference.loaded(model_folder)
    shown = loader.normalised(torch.from_numpy(codes), loader.table(processor))
    on_device, array = shown.to(device), shown.numpy()
    engines = {"onnx": onnx.OnnxEngine(model_folder), "onnx-int8": onnx.OnnxEngine(model_folder, int8=True)}

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


def opened(name: str, batch: int, scratch: Path) -> tuple[Path, NDArray[np.uint8]]:
    """The model folder of a run, or of a name in `predict.BACKBONES`, and a batch that it is shown."""
    if name in BACKBONES:
        model = made_model(name, scratch / "model")
        (model / onnx.FOLDER).mkdir()
        onnx.export(model, model / onnx.FOLDER)
        side = backbones.load_processor(model).size["height"]
        return model, np.random.default_rng(0).integers(0, 256, (batch, side, side), np.uint8)
    corpus = Corpus.load(Path(name) / "corpus")
    pictures = [corpus.pictures[i % len(corpus.pictures)] for i in range(batch)]
    return Path(name) / "model", loader.decode(pictures, backbones.load_processor(Path(name) / "model"))


def measured(run: str, *, batch: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Medians of the rates, and of their ratios to torch's of the same round."""
    with tempfile.TemporaryDirectory() as scratch:
        ready = forwards(*opened(run, batch, Path(scratch)))
    for forward in ready.values():
        forward()
    found: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(rounds):
        for name, forward in ready.items():
            found[name].append(rate(forward, batch, seconds))
    ratios = {name: np.divide(rates, found[BASE]) for name, rates in found.items()}
    return {
        "run": Path(run).name,
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
    parser.add_argument("run", help="a run's folder, demo or dinov2-small")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path, help="also write the result there")
    asked = parser.parse_args()
    found = measured(asked.run, batch=asked.batch, rounds=asked.rounds, seconds=asked.seconds)
    text = json.dumps(found, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
