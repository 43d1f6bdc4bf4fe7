"""The one path by which the pictures of a corpus are scored: evaluation, explanation and benchmarks go through it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdovis import allocation
from sdovis.learning import backbones, loader
from sdovis.learning.description import familiarity_of


@dataclass(frozen=True, eq=False)
class Scored:
    """Of N pictures: ``probabilities`` (N, K), fp32, and ``unfamiliarity`` (N,), which is None as in `Classified`."""

    probabilities: NDArray[np.float32]
    unfamiliarity: NDArray[np.float64] | None


class Engine(Protocol):
    """What computes a network's answers. Each is opened from a model folder (`inference.engines`)."""

    def scored(self, codes: NDArray[np.uint8], table: NDArray[np.float32] | None = None) -> Scored:
        """Of a batch of codes as `loader.decode` and `loader.resized` give them: (N, S, S), or (N, S, S, 3).

        ``table`` (N, W) are the values beside the pictures, of a model that is told them, which answers nothing without.
        """
        ...


class TorchEngine:
    """The network as it was saved, in fp32 on torch's best device: the reference for every other engine."""

    def __init__(self, model_folder: Path) -> None:
        from sdovis.learning.seen import Watched

        self.model, self.processor, self.device = loaded(model_folder)
        self._answers = loader.table(self.processor).to(self.device)
        self._familiar = familiarity_of(self.model.config, model_folder)
        self._watched = Watched(self.model)

    def scored(self, codes: NDArray[np.uint8], table: NDArray[np.float32] | None = None) -> Scored:
        """See `Engine`."""
        import torch

        from sdovis.learning import fusion

        told = fusion.given(self.model, table)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            batch = loader.normalised(torch.from_numpy(codes).to(self.device), self._answers)
            found = torch.softmax(self.model(batch, **told).logits.float(), dim=1).cpu().numpy()
        familiar = self._familiar
        return Scored(found, familiar.of(self._watched.last(), familiar.looks(codes)) if familiar else None)


def probabilities(
    model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True
) -> NDArray[np.float32]:
    """Class probabilities (N, K) of `scored`."""
    return scored(model_folder, images, batch_size=batch_size, progress=progress).probabilities


def scored(
    model_folder: Path,
    images: Sequence[bytes],
    *,
    batch_size: int = 32,
    table: NDArray[np.float32] | None = None,
    progress: bool = True,
    engine: Engine | None = None,
) -> Scored:
    """Of PNG files as stored in the corpus: the only path by which images are scored.

    The model is reloaded from disk and sees the images through its saved processor, as in the stock pipeline; with
    ``engine``, only the processor is, and that engine answers. ``table`` as `Engine.scored` takes it.
    """
    from tqdm.auto import tqdm

    engine = engine or TorchEngine(model_folder)
    processor = backbones.load_processor(model_folder)
    starts = range(0, len(images), batch_size)
    found = [
        engine.scored(
            loader.decode(images[start : start + batch_size], processor),
            *([] if table is None else [table[start : start + batch_size]]),
        )
        for start in tqdm(starts, desc="score", unit="batch", disable=not progress, dynamic_ncols=True)
    ]
    if not found:
        classes = backbones.load_config(model_folder).num_labels
        return Scored(np.empty((0, classes), np.float32), None)
    strange = [each.unfamiliarity for each in found if each.unfamiliarity is not None]
    return Scored(np.concatenate([each.probabilities for each in found]), np.concatenate(strange) if strange else None)


def latency(
    model_folder: Path, images: Sequence[bytes], *, table: NDArray[np.float32] | None = None, warmup: int = 5
) -> NDArray[np.float64]:
    """Seconds from PNG file to probabilities for each image alone, after ``warmup`` untimed ones; ``table`` as in `scored`."""
    import torch

    from sdovis.learning import fusion

    model, processor, device = loaded(model_folder)
    answers = loader.table(processor).to(device)

    def score(i: int) -> None:
        codes = torch.from_numpy(loader.decode([images[i]], processor)).to(device)
        told = fusion.given(model, None if table is None else table[i : i + 1])
        # Only when the result is back on the CPU has an accelerator really finished.
        torch.softmax(model(loader.normalised(codes, answers), **told).logits, dim=1).cpu()

    seconds = np.empty(len(images))
    with torch.inference_mode():
        for i in range(min(warmup, len(images))):
            score(i)
        for i in range(len(images)):
            start = time.perf_counter()
            score(i)
            seconds[i] = time.perf_counter() - start
    return seconds


def loaded(model_folder: Path) -> tuple[Any, Any, Any]:
    """The network as saved, in fp32 on the device where it runs best; its processor; and that device."""
    import torch

    allocation.keep_freed()
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    return backbones.reload(model_folder).to(device), backbones.load_processor(model_folder), device
