"""Saving only the tensors that a method changes, when the rest of the network stays as it was built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdovis.errors import SdovisError

FILE = "trained.safetensors"


def is_partial(network: Any) -> bool:
    """Whether ``network`` is not a model of transformers, or some of its parameters are not trained."""
    return not hasattr(network, "save_pretrained") or not all(p.requires_grad for p in network.parameters())


def moved(network: Any) -> dict[str, Any]:
    """Every tensor that training can change: trained parameters and buffers."""
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    return {name: tensor for name, tensor in network.state_dict().items() if name not in frozen}


def save(network: Any, folder: Path) -> None:
    """Write what training changed to ``folder``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in moved(network).items()}
    save_file(tensors, folder / FILE, metadata={"format": "pt"})


def restore(network: Any, folder: Path) -> None:
    """Put it back. Raises `SdovisError` if a tensor is missing, left over or of the wrong shape."""
    import torch
    from safetensors.torch import load_file

    found, here = load_file(folder / FILE), moved(network)
    shapes = {name: tensor.shape for name, tensor in here.items()}
    if wrong := sorted(k for k in found.keys() | shapes if k not in found or found[k].shape != shapes.get(k)):
        raise SdovisError(f"{folder}: not restored: {', '.join(wrong[:3])}")
    with torch.no_grad():
        for name, tensor in here.items():
            tensor.copy_(found[name])
