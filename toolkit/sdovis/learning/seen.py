"""What a trained network makes of pictures in one pass: logits, what its classifier was given, and the pictures' texture.

Importing this module imports torch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdovis.errors import BadInput
from sdovis.learning import features, fusion, loader
from sdovis.statistics import texture


@dataclass(frozen=True, eq=False)
class Seen:
    """Of N pictures: ``logits`` (N, K), ``features`` (N, D), fp32, and `texture.measures` (N, M).

    ``features`` are None for a network that has no single linear classifier.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None
    texture: NDArray[np.float64]


class Watched:
    """A network of which can be read, after each pass, what its classifier was given: no second pass is needed.

    Several threads may use the network at once: each reads what its own last pass gave.
    """

    def __init__(self, model: Any) -> None:
        self._of_thread = threading.local()
        try:
            self._hook: Any = features.classifier(model).register_forward_pre_hook(self._keep)
        except BadInput:
            self._hook = None

    def _keep(self, module: Any, given: tuple[torch.Tensor, ...]) -> None:
        self._of_thread.given = given[0].detach()

    def last(self) -> NDArray[np.float32] | None:
        """The features (N, D) of the last pass; None if they are not vectors, or there is no single classifier."""
        given = getattr(self._of_thread, "given", None)
        if given is None or given.ndim != 2:
            return None
        found: NDArray[np.float32] = given.float().cpu().numpy()
        return found

    def close(self) -> None:
        """Watch no longer."""
        if self._hook is not None:
            self._hook.remove()


def seen(
    model: Any,
    codes: loader.Pixels,
    processor: Any,
    *,
    batch_size: int,
    device: torch.device,
    rows: Sequence[int] | None = None,
    table: NDArray[np.float32] | None = None,
) -> Seen:
    """What ``model`` makes of these pictures in evaluation mode, in fp32, as scoring does; of all or of ``rows``.

    ``table`` are the values beside all the pictures, for a model that is told them: without these its logits are NaN, as
    only the features can be known.
    """
    answers = loader.table(processor).to(device)
    model = model.eval().to(device)
    which = range(len(codes)) if rows is None else list(rows)
    logits, given, looks = [], [], []
    watched = Watched(model)
    unsaid = table is None and fusion.takes_table(model)
    # A network that was compiled for training would be compiled once more, for these batches alone.
    eager = torch.compiler.set_stance("force_eager")
    try:
        with eager, torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for start in range(0, len(which), batch_size):
                some = np.array(codes[list(which[start : start + batch_size])])
                batch = torch.from_numpy(some).to(device)
                beside = fusion.blank(model, len(some)) if table is None else table[which[start : start + batch_size]]
                found = model(loader.normalised(batch, answers), **fusion.given(model, beside)).logits
                logits.append(found.float().cpu().numpy() * (np.nan if unsaid else 1))
                given.append(watched.last())
                looks.append(texture.measures(some))
    finally:
        watched.close()
    vectors = [each for each in given if each is not None]
    return Seen(
        np.concatenate(logits), np.concatenate(vectors) if len(vectors) == len(given) else None, np.concatenate(looks)
    )
