"""Networks that answer in milliseconds, saved as a study would save them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sdovis.statistics.tabular import TableColumn

MEANINGS = {
    "alpha": "One polarity: a single spot or group.",
    "beta": "Two polarities with a simple division <between> them.",
    "complex": "Polarities so mixed that no single line divides them.",
}
SIZE = 32
THREE = ("hmi-br", "hmi-magnetogram", "hmi-continuum")
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "patch_size": 8},
    "dinov2": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2, "patch_size": 8},
    "dinov2_with_registers": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2, "patch_size": 8,
        "num_register_tokens": 3,
    },
    "swin": {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2, "patch_size": 4},
    "convnext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
}  # fmt: skip


def network(kind: str = "vit", classes: Iterable[str] = MEANINGS) -> Any:
    """An untrained network of ``kind`` whose weights are large enough to tell images apart."""
    import torch
    from transformers import AutoConfig, AutoModelForImageClassification

    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    config = AutoConfig.for_model(kind, image_size=SIZE, **CONFIGS[kind], **labels)
    torch.manual_seed(0)
    model = AutoModelForImageClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def _told(model: Any, width: int) -> Any:
    """``model``, which is told a table that its answers depend on."""
    import torch
    from sdovis.learning import fusion

    fused = fusion.fused(model, width)
    torch.manual_seed(1)
    torch.nn.init.normal_(fused.beside.weight, std=3)
    return fused


#: Entries of a model's view; all others are of the study.
OF_THE_VIEW = (
    "cutout_arcsec", "cutout_deg", "center_px", "arcsec_per_px", "max_longitude_deg", "neighbours", "check_quality"
)  # fmt: skip


def save_model(folder: Path, *channels: str, kind: str = "vit", told: Sequence[TableColumn] = (), **about: Any) -> Path:
    """A model folder with the facts that a study leaves in config.json; it is ``told`` these values beside the image."""
    from sdovis import records
    from sdovis.channels.channel import channel
    from transformers import ViTImageProcessorPil

    model = network(kind, about.get("classes", MEANINGS))
    if told:
        model = _told(model, sum(each.width for each in told))
        about["beside"] = records.plain(list(told))
    view = {
        "channels": records.plain([channel(name).facts() for name in channels or ["hmi-magnetogram"]]),
        "size_px": SIZE,
    }
    view |= {name: about.pop(name) for name in OF_THE_VIEW if name in about}
    scheme = {"name": "mount-wilson-3", "version": "1"}
    facts = {"study": "tiny", "simulated": True, "classes": MEANINGS, "scheme": scheme}
    model.config.sdovis = {"format": 2, **facts, "view": view} | about
    model.save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    ViTImageProcessorPil(do_resize=True, size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(folder)
    return folder
