"""A trained network is made less sure of itself, or surer: one temperature, fitted on the validation part.

It is folded into the classifier, so that every way to open the model gives the same probabilities; the predicted classes
stay as they are. Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import ArrayLike

from sdovis.errors import BadInput
from sdovis.learning import features, fusion
from sdovis.statistics.calibration import fit_temperature


def calibrate(model: Any, logits: ArrayLike, labels: ArrayLike, regions: ArrayLike) -> float | None:
    """Fit the temperature to the ``logits`` (N, K) of ``model`` by region, divide its classifier by it, and return it.

    None, with the network as it was, for one that has no single linear classifier.
    """
    try:
        features.classifier(model)
    except BadInput:
        return None
    temperature = fit_temperature(labels, logits, regions)
    cool(model, temperature)
    return temperature


def cool(model: Any, temperature: float) -> None:
    """Divide the logits of a network's classifier by the temperature."""
    head = features.classifier(model)
    with torch.no_grad():
        if fusion.takes_table(model):
            model.beside.weight /= temperature
        head.weight /= temperature
        if head.bias is not None:
            head.bias /= temperature
