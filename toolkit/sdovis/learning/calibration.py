"""A trained network is made less sure of itself, or surer: one temperature, fitted on the validation part.

It is folded into the classifier, so that every way to open the model gives the same probabilities; the predicted classes
stay as they are. Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sdovis.errors import BadInput
from sdovis.learning import features, loader
from sdovis.statistics.calibration import fit_temperature


def calibrate(
    model: Any,
    codes: loader.Pixels,
    labels: ArrayLike,
    regions: ArrayLike,
    processor: Any,
    *,
    batch_size: int,
    device: torch.device,
) -> float | None:
    """Fit the temperature on images with these labels, by region, divide the classifier by it, and return it.

    None, with the network as it was, for one that has no single linear classifier.
    """
    try:
        head = features.classifier(model)
    except BadInput:
        return None
    temperature = fit_temperature(labels, logits(model, codes, processor, batch_size, device), regions)
    cool(head, temperature)
    return temperature


def cool(head: torch.nn.Linear, temperature: float) -> None:
    """Divide a classifier's logits by the temperature."""
    with torch.no_grad():
        head.weight /= temperature
        if head.bias is not None:
            head.bias /= temperature


def logits(
    model: Any, codes: loader.Pixels, processor: Any, batch_size: int, device: torch.device
) -> NDArray[np.float32]:
    """(N, K), fp32, in evaluation mode: what scoring computes from the saved model."""
    answers = loader.table(processor).to(device)
    model = model.eval().to(device)
    found = []
    # A network that was compiled for training would be compiled once more, for these batches alone.
    eager = torch.compiler.set_stance("force_eager")
    with eager, torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for start in range(0, len(codes), batch_size):
            batch = torch.from_numpy(np.array(codes[start : start + batch_size])).to(device)
            found.append(model(loader.normalised(batch, answers)).logits.float().cpu().numpy())
    return np.concatenate(found)
