"""A frozen backbone sees each image once: its features are kept, and a head is trained on them in seconds.

    features/KEY/train.npy, validation.npy      (N, D) fp32; KEY is a checksum of the backbone and the images

Importing this module imports torch.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from sdovis import manifests
from sdovis.errors import BadInput, Problem
from sdovis.learning import fusion, loader

Features = NDArray[np.float32]


def classifier(model: Any) -> torch.nn.Linear:
    """The one linear layer that turns features into logits. Raises `BadInput` if there is none, or more than one."""
    body = {id(module) for module in model.base_model.modules()} if model.base_model is not model else set()
    heads = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear)
        and module.out_features == model.config.num_labels
        and id(module) not in body
    ]
    if len(heads) != 1:
        raise BadInput(
            Problem(
                f"{type(model).__name__} has {len(heads) or 'no'} linear classifiers, but one is needed",
                "set method.trainable = 'all', or choose another backbone",
            )
        )
    return heads[0]


def computed(
    model: Any,
    codes: Mapping[str, loader.Pixels],
    processor: Any,
    folder: Path,
    *,
    precision: str,
    batch_size: int,
    device: torch.device,
) -> dict[str, Features]:
    """Features of each part's images: read from ``folder`` if they were computed before from the same content."""
    made_from = _identity(model, codes, processor, precision, device)
    kept = folder / manifests.sha256_text(str(sorted(made_from.items())))[:16]
    if not manifests.finished(kept, made_from):
        with manifests.whole(kept, stage="features", made_from=made_from) as beside:
            for part, pictures in codes.items():
                seen = compute(
                    model, pictures, processor, precision=precision, batch_size=batch_size, device=device, part=part
                )
                np.save(beside / f"{part}.npy", seen)
    return {part: np.load(kept / f"{part}.npy") for part in codes}


def compute(
    model: Any,
    codes: loader.Pixels,
    processor: Any,
    *,
    precision: str,
    batch_size: int,
    device: torch.device,
    part: str = "",
) -> Features:
    """What the classifier of ``model`` is given for each image, (N, D) fp32, in evaluation mode.

    Raises `BadInput` if the logits are not what the classifier makes of these.
    """
    head, answers = classifier(model), loader.table(processor).to(device)
    model = model.eval().to(device)
    caught: list[torch.Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, given: caught.append(given[0]))
    cast = torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
    seen = np.empty((len(codes), head.in_features), np.float32)
    try:
        starts = range(0, len(codes), batch_size)
        for start in tqdm(starts, f"features {part}".strip(), unit="batch", leave=False, disable=len(starts) < 4):
            batch = torch.from_numpy(np.array(codes[start : start + batch_size])).to(device)
            with torch.inference_mode(), cast if precision != "no" else nullcontext():
                blank = fusion.given(model, fusion.blank(model, len(batch)))
                logits = model(loader.normalised(batch, answers), **blank).logits
                features = caught[-1]
                if start == 0:
                    _refuse_other_logits(head, features, logits, model)
            seen[start : start + batch_size] = features.float().cpu().numpy()
            caught.clear()
    finally:
        handle.remove()
    return seen


def _refuse_other_logits(head: torch.nn.Linear, features: torch.Tensor, logits: torch.Tensor, model: Any) -> None:
    if features.ndim != 2 or not torch.allclose(head(features), logits, rtol=1e-3, atol=1e-5):
        raise BadInput(
            Problem(
                f"{type(model).__name__} has more than a linear layer after its features",
                "set method.trainable = 'all', or choose another backbone",
            )
        )


def _identity(
    model: Any, codes: Mapping[str, loader.Pixels], processor: Any, precision: str, device: torch.device
) -> dict[str, str]:
    """What features depend on: the backbone's weights, the images as decoded, how they are normalised and computed."""
    elsewhere = dict.fromkeys(("sdovis", "id2label", "label2id", "_name_or_path"), "")
    body = hashlib.sha256(repr(sorted((model.config.to_diff_dict() | elsewhere).items())).encode())
    head = next(name for name, module in model.named_modules() if module is classifier(model))
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(f"{head}."):
            body.update(
                name.encode() + tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
    made_from = {f"images.{part}": _sha256(pictures) for part, pictures in codes.items()}
    return made_from | {
        "backbone": body.hexdigest(),
        "processor": manifests.sha256_text(loader.table(processor).numpy().tobytes().hex()),
        "precision": precision,
        "device": device.type,
        "torch": torch.__version__,
    }


def _sha256(codes: loader.Pixels) -> str:
    total = hashlib.sha256(str(codes.shape).encode())
    for start in range(0, len(codes), 256):
        total.update(np.ascontiguousarray(codes[start : start + 256]).tobytes())
    return total.hexdigest()


class FeatureSet:
    """A torch dataset of features and labels, read by the batch; ``soft`` and ``table`` as in `loader.Pictures`."""

    def __init__(
        self,
        features: Features,
        labels: NDArray[np.int64],
        soft: NDArray[np.float32] | None = None,
        table: NDArray[np.float32] | None = None,
    ) -> None:
        self.features, self.labels = torch.from_numpy(features), np.asarray(labels)
        self.others = {name: of for name, of in ((loader.SOFT, soft), (loader.TABLE, table)) if of is not None}
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer; a sampler draws from it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """What a data loader asks for: a whole batch at once."""
        which = list(indices)
        others = {name: torch.from_numpy(of[which]) for name, of in self.others.items()}
        return {"features": self.features[which], "labels": torch.from_numpy(self.labels[which]), **others}


def shown(batch: Mapping[str, Any]) -> dict[str, Any]:
    """A batch as `Head` takes it."""
    return {"features": batch["features"], "labels": loader.taught(batch), **loader.told(batch)}


class Head(torch.nn.Module):
    """The classifier alone, in fp32 whatever the study's precision, which costs nothing."""

    def __init__(self, linear: torch.nn.Linear, beside: torch.nn.Module | None = None) -> None:
        """``beside`` is the share of a table, of a network that is told one."""
        super().__init__()
        self.weight = torch.nn.Parameter(linear.weight.detach().clone())
        self.bias = torch.nn.Parameter(linear.bias.detach().clone()) if linear.bias is not None else None
        self.beside = copy.deepcopy(beside)

    def forward(
        self, features: torch.Tensor, labels: torch.Tensor | None = None, beside: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Logits (N, K) of features (N, D) and the table (N, W); ``labels`` are for the loss, not computed here."""
        with torch.autocast(features.device.type, enabled=False):
            logits = torch.nn.functional.linear(features.float(), self.weight, self.bias)
            return {"logits": logits if self.beside is None else logits + self.beside(beside)}

    def put_into(self, model: Any) -> None:
        """Make this head the classifier of ``model``."""
        linear = classifier(model)
        with torch.no_grad():
            linear.weight.copy_(self.weight)
            if self.bias is not None:
                linear.bias.copy_(self.bias)
            if self.beside is not None:
                model.beside.load_state_dict(self.beside.state_dict())


def first(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The collator of `FeatureSet`, which already returns whole batches."""
    return batch
