"""How large an image may be, checked before anything is decoded; and whether anything was in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import UnreadableImage

MAX_SIDE = 8192  # SDO's cameras have 4096 pixels per side
MAX_BYTES = 4 * MAX_SIDE**2 + 2**20
MAX_HEADER_BYTES = 2**20
MAX_HDUS = 32


def check_size(width: int, height: int, path: Path, max_side: int = MAX_SIDE) -> None:
    """Raise `UnreadableImage` if a declared side is not within 1 to ``max_side`` pixels."""
    if not (1 <= width <= max_side and 1 <= height <= max_side):
        raise UnreadableImage(path, f"{width} x {height} pixels; each side must be 1 to {max_side} pixels")


def refuse_empty(values: NDArray[Any], path: Path) -> None:
    """Raise `UnreadableImage` if every pixel is missing."""
    if np.isnan(values).all():
        raise UnreadableImage(path, "every pixel is missing")
