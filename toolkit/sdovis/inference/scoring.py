"""The one path by which the pictures of a corpus are scored: evaluation, explanation and benchmarks go through it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def probabilities(
    model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True
) -> NDArray[np.float32]:
    """Class probabilities (N, K) of `scored`."""
    return scored(model_folder, images, batch_size=batch_size, progress=progress).probabilities


def scored(model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True) -> Scored:
    """Of PNG files as stored in the corpus: the only path by which images are scored.

    The model is reloaded from disk and sees the images through its saved processor, as in the stock pipeline.
    """
    import torch
    from tqdm.auto import tqdm

    from sdovis.learning.seen import Watched

    model, processor, device = loaded(model_folder)
    answers = loader.table(processor).to(device)
    familiar, watched = familiarity_of(model.config, model_folder), Watched(model)
    found, strange = [np.empty((0, model.config.num_labels), np.float32)], [np.empty(0)]
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc="score", unit="batch", disable=not progress, dynamic_ncols=True):
        some = loader.decode(images[start : start + batch_size], processor)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = model(loader.normalised(torch.from_numpy(some).to(device), answers)).logits
        found.append(torch.softmax(logits.float(), dim=1).cpu().numpy())
        if familiar:
            strange.append(familiar.of(watched.last(), familiar.looks(some)))
    return Scored(np.concatenate(found), np.concatenate(strange) if familiar else None)


def latency(model_folder: Path, images: Sequence[bytes], *, warmup: int = 5) -> NDArray[np.float64]:
    """Seconds from PNG file to probabilities for each image alone, after ``warmup`` untimed images."""
    import torch

    model, processor, device = loaded(model_folder)
    answers = loader.table(processor).to(device)

    def score(image: bytes) -> None:
        codes = torch.from_numpy(loader.decode([image], processor)).to(device)
        # Only when the result is back on the CPU has an accelerator really finished.
        torch.softmax(model(loader.normalised(codes, answers)).logits, dim=1).cpu()

    seconds = np.empty(len(images))
    with torch.inference_mode():
        for i in range(min(warmup, len(images))):
            score(images[i])
        for i, image in enumerate(images):
            start = time.perf_counter()
            score(image)
            seconds[i] = time.perf_counter() - start
    return seconds


def loaded(model_folder: Path) -> tuple[Any, Any, Any]:
    """The network as saved, in fp32 on the device where it runs best; its processor; and that device."""
    import torch

    allocation.keep_freed()
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    return backbones.reload(model_folder).to(device), backbones.load_processor(model_folder), device
