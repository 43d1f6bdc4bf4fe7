"""The loss: cross entropy, with corrections for rare classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from sdovis.study import Method


class Loss:
    """Cross entropy, each image weighted by its class, averaged over all images of an optimizer step.

    Dividing by the number of images, not by the sum of their weights, makes the gradient the same however a step is
    divided into micro-batches and processes; balanced weights have a mean of 1 over the training part. ``offsets`` (K,)
    are added to the logits. ``last`` is the mean over the latest training batch, on its device.
    """

    def __init__(self, weights: torch.Tensor, smoothing: float, offsets: torch.Tensor | None = None) -> None:
        self.weights, self.smoothing, self.offsets = weights, smoothing, offsets
        self.last: torch.Tensor | None = None

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        import torch

        logits = outputs["logits"]
        shifted = logits if self.offsets is None else logits + self.offsets.to(logits)
        total = torch.nn.functional.cross_entropy(
            shifted, labels, weight=self.weights.to(logits), reduction="sum", label_smoothing=self.smoothing
        )
        if torch.is_grad_enabled():
            self.last = total.detach() / len(labels)
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def loss_of(method: Method, labels: Sequence[int], n_classes: int, smoothing: float) -> Loss:
    """The study's loss for a training part with these labels."""
    import torch

    weights = torch.tensor(class_weights(labels, n_classes, method.class_weights))
    offsets = None
    if method.logit_adjustment:
        offsets = torch.tensor(logit_offsets(labels, n_classes, method.logit_adjustment))
    return Loss(weights, smoothing, offsets)


def class_weights(labels: Sequence[int], n_classes: int, how: str) -> NDArray[np.float64]:
    """Weight of each class in the loss: ``balanced`` is n / (k n_c), and 0 for a class that does not occur."""
    if how == "none":
        return np.ones(n_classes)
    counts = np.bincount(labels, minlength=n_classes)
    weights: NDArray[np.float64] = np.zeros(n_classes)
    np.divide(len(labels), n_classes * counts, out=weights, where=counts > 0)
    return weights


def logit_offsets(labels: Sequence[int], n_classes: int, tau: float) -> NDArray[np.float64]:
    """tau log(share of each class): the logit-adjusted loss of Menon et al. 2021 (arXiv:2007.07314, eq. 10).

    A class that does not occur counts as half an image, so that nothing is infinite.
    """
    counts = np.maximum(np.bincount(labels, minlength=n_classes), 0.5)
    offsets: NDArray[np.float64] = tau * np.log(counts / counts.sum())
    return offsets


def prior(method: Mapping[str, Any], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of the classes (K,) where the model's probabilities hold, if it was trained with these ``shares``.

    Class weights and balanced sampling show it every class equally often; an adjustment of the logits by tau times ln of the
    shares leaves shares ** (1 - tau) (Menon et al. 2021, arXiv:2007.07314). Biases that were fitted afterwards undo all that.
    """
    if method.get("calibration") == "temperature+bias" and method["calibrate"]:
        return shares
    if method["class_weights"] == "balanced" or method["sampling"] == "balanced":
        implied = (shares > 0).astype(np.float64)
    else:
        implied = np.where(shares > 0, shares, 1.0) ** (1 - method["logit_adjustment"]) * (shares > 0)
    return np.asarray(implied / implied.sum())
