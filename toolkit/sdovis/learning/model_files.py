"""What is read of the files that ``save_pretrained`` leaves in a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdovis import records


@dataclass(frozen=True)
class ConfigFile:
    """Of ``config.json``; ``sdovis`` is what sdovis itself keeps there."""

    architectures: tuple[str, ...]
    model_type: str
    id2label: Mapping[str, str]
    sdovis: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> ConfigFile:
        """Of a model folder. Raises `BadInput` for every entry that is missing or of another type."""
        return records.read(cls, folder / "config.json", made_by="train")


@dataclass(frozen=True)
class ProcessorFile:
    """Of ``preprocessor_config.json``; ``resample`` is PIL's number of a filter."""

    size: Mapping[str, int]
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    resample: int

    @classmethod
    def load(cls, folder: Path) -> ProcessorFile:
        """Of a model folder. Raises `BadInput` for every entry that is missing or of another type."""
        return records.read(cls, folder / "preprocessor_config.json", made_by="train")
