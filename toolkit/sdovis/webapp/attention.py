"""Where a transformer looked: attention rollout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rollout(model: Any, pixel_values: Any) -> NDArray[np.float32] | None:
    """Attention rollout (Abnar & Zuidema 2020, ACL, section 3) of one image, (rows, columns) of its patches.

    Heads are averaged, the residual connection adds the identity, each row sums to 1, and the layers are multiplied. The
    answer is the class token's row (the mean over all rows if there is none), from 0 for the least to 1 for the most
    attended patch. None for networks without global self-attention (ConvNeXt, Swin ...) and for a uniform map.

    ``pixel_values`` is (1, 3, H, W). The model's attention implementation is restored afterwards.
    """
    import torch

    before = getattr(model.config, "_attn_implementation", None)
    try:
        model.set_attn_implementation("eager")  # the fused kernels return no maps
        with torch.inference_mode():
            layers = model(pixel_values, output_attentions=True).attentions
    except (TypeError, ValueError, AttributeError):
        return None
    finally:
        if before is not None:
            model.set_attn_implementation(before)
    shape = _grid(model.config, pixel_values.shape[-2:])
    if not layers or shape is None:
        return None
    rows, columns = shape
    tokens = layers[0].shape[-1]
    prefix = tokens - rows * columns
    square = (1, tokens, tokens)
    if prefix < 0 or any(a is None or (a.shape[0], *a.shape[2:]) != square for a in layers):
        return None
    return _relative(rolled_out([a[0].float().cpu().numpy() for a in layers]), prefix, (rows, columns))


def rolled_out(layers: list[NDArray[Any]]) -> NDArray[np.float64]:
    """(T, T): how much each token's output draws on each token's input; ``layers`` are (heads, T, T), in order."""
    joint = np.eye(layers[0].shape[-1])
    for heads in layers:
        mixed = heads.mean(axis=0, dtype=np.float64) + np.eye(len(joint))
        joint = (mixed / mixed.sum(axis=1, keepdims=True)) @ joint
    return joint


def _relative(joint: NDArray[np.float64], prefix: int, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    row = joint[0] if prefix else joint.mean(axis=0)
    patches = row[prefix:]
    low, high = patches.min(), patches.max()
    if not high - low > 1e-9:
        return None
    relative: NDArray[np.float32] = ((patches - low) / (high - low)).reshape(shape).astype(np.float32)
    return relative


def _grid(config: Any, size: Any) -> tuple[int, int] | None:
    patch = getattr(config, "patch_size", None)
    if isinstance(patch, int):
        patch = (patch, patch)
    if not isinstance(patch, list | tuple) or len(patch) != 2:
        return None
    return int(size[0]) // int(patch[0]), int(size[1]) // int(patch[1])
