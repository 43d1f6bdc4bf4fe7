"""What is read from the files that ``save_pretrained`` writes to a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdovis import records

#: ``model_type`` of a network that is told values beside the image (`sdovis.learning.fusion`). transformers, which does not
#: know it, quotes it where it refuses to open such a model.
KIND = "open-with-sdovis.pipeline"


def is_fused(folder: str | Path) -> bool:
    """Whether the model in a folder is told values beside the image."""
    file = Path(folder) / "config.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("model_type") == KIND


@dataclass(frozen=True)
class ConfigFile:
    """Entries of ``config.json``; ``sdovis`` is what sdovis itself keeps there."""

    architectures: tuple[str, ...]
    model_type: str
    id2label: Mapping[str, str]
    sdovis: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> ConfigFile:
        """Read it from a model folder. Raises `BadInput` for every entry that is missing or of the wrong type."""
        return records.read(cls, folder / "config.json", made_by="train", steps=None)


@dataclass(frozen=True)
class ProcessorFile:
    """Entries of ``preprocessor_config.json``; ``resample`` is PIL's number for a filter."""

    size: Mapping[str, int]
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    resample: int

    @classmethod
    def load(cls, folder: Path) -> ProcessorFile:
        """Read it from a model folder. Raises `BadInput` for every entry that is missing or of the wrong type."""
        return records.read(cls, folder / "preprocessor_config.json", made_by="train", steps=None)
