"""A trained network is made less sure of itself, or surer: a temperature, and biases if the study wants them.

They are folded into the classifier, so that every way to open the model gives the same probabilities. A temperature leaves
the predicted classes as they are. Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from sdovis.errors import BadInput
from sdovis.learning import features, fusion, losses
from sdovis.statistics.calibration import fit_temperature, fit_temperature_and_biases
from sdovis.study import Method


@dataclass(frozen=True)
class Scaling:
    """Logits are divided by the ``temperature``; then the ``biases`` (K,), if there are any, are added."""

    temperature: float
    biases: tuple[float, ...] = ()

    @classmethod
    def of(cls, temperature: float | None, biases: Mapping[str, float]) -> Scaling | None:
        """As a record has it; None if nothing was fitted."""
        return None if temperature is None else cls(temperature, tuple(biases.values()))

    def fold_into(self, model: Any) -> None:
        """Change the one linear classifier of ``model``."""
        head = features.classifier(model)
        with torch.no_grad():
            if fusion.takes_table(model):
                model.beside.weight /= self.temperature
            head.weight /= self.temperature
            if head.bias is not None:
                head.bias /= self.temperature
            if self.biases:
                head.bias += torch.tensor(self.biases).to(head.bias)


def calibrate(
    model: Any, method: Method, learned: Sequence[int], logits: ArrayLike, labels: ArrayLike, regions: ArrayLike
) -> Scaling | None:
    """Fit what the ``method`` says to ``logits`` (N, K) by region, fold it into ``model``, and return it.

    ``learned`` has the classes of all images that were trained on. None, with the network as it was, for one that has no
    single linear classifier; a classifier without biases gets none.
    """
    try:
        head = features.classifier(model)
    except BadInput:
        return None
    if method.calibration == "temperature+bias" and head.bias is not None:
        temperature, biases = fit_temperature_and_biases(labels, logits, regions)
        scaling = Scaling(temperature, tuple(biases.tolist()))
    else:
        weighted = method.calibration == "weighted-temperature"
        counts = np.bincount(learned, minlength=head.out_features)
        shares = losses.prior(method.model_dump(), counts / counts.sum()) if weighted else None
        scaling = Scaling(fit_temperature(labels, logits, regions, shares))
    scaling.fold_into(model)
    return scaling
