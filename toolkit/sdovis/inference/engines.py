"""Engines by name: what computes a saved network's answers, from codes to probabilities."""

from __future__ import annotations

import importlib
from pathlib import Path

from sdovis.errors import BadInput, Problem, nearest
from sdovis.inference.scoring import Engine, TorchEngine

__all__ = ["ENGINES", "Engine", "TorchEngine", "engine"]

ENGINES = ("torch", "onnx", "onnx-int8")


def engine(name: str, model_folder: Path) -> Engine:
    """The engine ``name`` (of `ENGINES`) with the network of a model folder.

    Raises `BadInput` for another name, and if what it needs is not installed or not in the folder.
    """
    if name == "torch":
        return TorchEngine(model_folder)
    if name not in ENGINES:
        raise BadInput(Problem(f"there is no engine {name!r}", nearest(name, ENGINES)))
    try:
        # onnxruntime is an extra: nothing of it is loaded unless it is asked for.
        onnx = importlib.import_module("sdovis.inference.onnx")
    except ImportError as error:
        hint = "pip install 'sdovis[onnx]'"
        raise BadInput(Problem(f"the engine {name!r} needs the extra onnx, which is not installed", hint)) from error
    found: Engine = onnx.OnnxEngine(model_folder, int8=name == "onnx-int8")
    return found
