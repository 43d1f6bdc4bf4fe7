"""Where a network looked: maps with a number for each patch of a picture, by three methods.

Importing this module imports no torch. All methods answer for the class ``target`` of each picture, except `rollout`, which
knows no class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Pictures (N, 3, H, W) as the network takes them -> maps (N, rows, columns), or None where the method does not apply.
Method = Callable[[Any, Any, Any], NDArray[np.float64] | None]

#: Steps of the path along which `integrated_gradients` adds up gradients.
PATH_STEPS = 8
#: Cells per side of the maps of a network without patches of its own.
CELLS = 8


def rollout(model: Any, pictures: Any, target: Any = None) -> NDArray[np.float64] | None:
    """Attention rollout (Abnar and Zuidema 2020, ACL, section 3).

    Heads are averaged, the residual connection adds the identity, each row sums to 1, and the layers are multiplied. The
    answer is the class token's row (the mean over all rows if there is none). None for networks without global
    self-attention (ConvNeXt, Swin ...).
    """
    import torch

    with torch.inference_mode():
        _, layers = _with_attentions(model, pictures)
    if layers is None:
        return None
    joint = rolled_out([layer.float().cpu().numpy() for layer in layers])
    return _of_patches(joint[:, 0] if _prefix(model, pictures, layers) else joint.mean(axis=1), model, pictures)


def rolled_out(layers: list[NDArray[Any]]) -> NDArray[np.float64]:
    """(..., T, T): how much each token's output draws on each token's input; ``layers`` are (..., heads, T, T), in order."""
    joint = np.eye(layers[0].shape[-1])
    for heads in layers:
        mixed = heads.mean(axis=-3, dtype=np.float64) + np.eye(joint.shape[-1])
        joint = (mixed / mixed.sum(axis=-1, keepdims=True)) @ joint
    return joint


def weighted_rollout(model: Any, pictures: Any, target: Any) -> NDArray[np.float64] | None:
    """Gradient-weighted rollout (Chefer, Gur and Wolf 2021, ICCV, equations 5 and 6, for self-attention).

    Attention is multiplied by the gradient of the target's logit, negative products are dropped, heads are averaged, and
    relevance is carried from layer to layer. The answer is the class token's row; where the classifier also reads the mean
    of the patches' tokens, as DINOv2's does, the mean of their rows is added. None where `rollout` is.
    """
    import torch

    with torch.enable_grad(), _without_parameters(model):
        logits, layers = _with_attentions(model, pictures.clone().requires_grad_())
        if layers is None:
            return None
        gradients = torch.autograd.grad(_logits_of(target, logits).sum(), layers)
    pairs = zip(layers, gradients, strict=True)
    joint = relevance([(a.detach() * g).float().cpu().numpy() for a, g in pairs])
    prefix = _prefix(model, pictures, layers)
    row = joint[:, 0] if prefix else joint.mean(axis=1)
    if prefix and _reads_patches(model):
        row = row + joint[:, prefix:].mean(axis=1)
    return _of_patches(row, model, pictures)


def relevance(layers: list[NDArray[Any]]) -> NDArray[np.float64]:
    """(..., T, T): relevance of each input token to each output; ``layers``: attention times gradient, (..., heads, T, T)."""
    joint = np.eye(layers[0].shape[-1])
    for heads in layers:
        joint = joint + np.maximum(heads, 0).mean(axis=-3, dtype=np.float64) @ joint
    return joint


def integrated_gradients(model: Any, pictures: Any, target: Any) -> NDArray[np.float64]:
    """Integrated gradients (Sundararajan, Taly and Yan 2017, ICML, equation 3) of the target's logit, added up in patches.

    The path leads from `blank` to the picture, with the midpoint rule. Any network has them.
    """
    import torch

    pictures = pictures.clone()  # as in _logits_of
    start = blank(pictures)
    total = torch.zeros_like(pictures)
    with torch.enable_grad(), _without_parameters(model):
        for step in range(PATH_STEPS):
            point = (start + (step + 0.5) / PATH_STEPS * (pictures - start)).detach().requires_grad_()
            total += torch.autograd.grad(_logits_of(target, model(point).logits).sum(), point)[0]
    found = ((pictures - start) * total / PATH_STEPS).sum(dim=1, keepdim=True)
    rows, columns = grid(model, pictures)
    means = torch.nn.functional.adaptive_avg_pool2d(found, (rows, columns))[:, 0]
    area = pictures.shape[-2] * pictures.shape[-1] / (rows * columns)
    return np.asarray((means * area).double().cpu().numpy())


#: Name -> method, in the order in which a card names them.
METHODS: Mapping[str, Method] = {
    "rollout": rollout,
    "weighted-rollout": weighted_rollout,
    "integrated-gradients": integrated_gradients,
}
#: Name -> what people call it, and its source.
TITLES = {
    "rollout": "attention rollout (Abnar and Zuidema 2020)",
    "weighted-rollout": "gradient-weighted rollout (Chefer et al. 2021)",
    "integrated-gradients": "integrated gradients (Sundararajan et al. 2017)",
}


def blank(pictures: Any) -> Any:
    """Pictures without content, of the same shape: each is its picture's median in each colour, which is mostly quiet Sun."""
    return pictures.flatten(2).median(dim=2).values[..., None, None].expand_as(pictures)


def relative(found: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """One map (rows, columns) from 0 for the least to 1 for the most important patch; None if all are alike.

    What speaks against the class (integrated gradients below 0) counts as unimportant.
    """
    found = np.maximum(found, 0)
    low, high = found.min(), found.max()
    if not high - low > 1e-9 * max(1.0, abs(high)):
        return None
    scaled: NDArray[np.float32] = ((found - low) / (high - low)).astype(np.float32)
    return scaled


def grid(model: Any, pictures: Any) -> tuple[int, int]:
    """Rows and columns of the patches of ``pictures`` (N, 3, H, W); a network without patches gets some of our own."""
    height, width = (int(side) for side in pictures.shape[-2:])
    patch = getattr(model.config, "patch_size", None)
    # Swin and ConvNeXt name the tiny patches of their first layer, which do not stay apart in the others.
    if not isinstance(patch, int | list | tuple) or not isinstance(_heads(model), int):
        return min(CELLS, height), min(CELLS, width)
    rows, columns = (patch, patch) if isinstance(patch, int) else patch
    return height // int(rows), width // int(columns)


def _heads(model: Any) -> Any:
    """The number of heads; Swin has a list of them, one for each stage."""
    return getattr(model.config, "num_attention_heads", None)


def _with_attentions(model: Any, pictures: Any) -> tuple[Any, tuple[Any, ...] | None]:
    """Logits, and each layer's attention (N, heads, T, T); None for a network without global self-attention."""
    before = getattr(model.config, "_attn_implementation", None)
    try:
        model.set_attn_implementation("eager")  # the fused kernels return no maps
        answer = model(pictures, output_attentions=True)
        layers = answer.attentions
    except (TypeError, ValueError, AttributeError):
        return None, None
    finally:
        if before is not None:
            model.set_attn_implementation(before)
    if not layers or any(layer is None for layer in layers):
        return None, None
    tokens = layers[0].shape[-1]
    if any((layer.shape[0], *layer.shape[2:]) != (len(pictures), tokens, tokens) for layer in layers):
        return None, None
    rows, columns = grid(model, pictures)
    return (None, None) if tokens < rows * columns else (answer.logits, tuple(layers))


def _prefix(model: Any, pictures: Any, layers: tuple[Any, ...]) -> int:
    """How many tokens come before those of the patches: class, distillation and register tokens."""
    rows, columns = grid(model, pictures)
    return int(layers[0].shape[-1]) - rows * columns


def _of_patches(row: NDArray[np.float64], model: Any, pictures: Any) -> NDArray[np.float64]:
    """(N, tokens) -> (N, rows, columns): the patches' tokens are the last."""
    rows, columns = grid(model, pictures)
    return row[:, -rows * columns :].reshape(-1, rows, columns)


def _logits_of(target: Any, logits: Any) -> Any:
    """(N,): the logit of each picture's target."""
    # A tensor made in inference mode, as that of predicted classes often is, cannot be part of a derivative; its copy can.
    return logits.gather(1, target.clone()[:, None])[:, 0]


def _reads_patches(model: Any) -> bool:
    """Whether the classifier is given the class token and the mean of the patches' tokens side by side."""
    head = getattr(model, "classifier", None)
    return getattr(head, "in_features", 0) == 2 * getattr(model.config, "hidden_size", 0) > 0


@contextmanager
def _without_parameters(model: Any) -> Iterator[None]:
    """Gradients flow through ``model`` but are not kept for its parameters, which saves memory and time."""
    asked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)
