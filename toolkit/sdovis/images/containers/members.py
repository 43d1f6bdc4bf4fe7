"""A member of a store, opened: what every kind of store gives, and which kinds there are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import UnreadableImage
from sdovis.images.address import Address

#: The extra that brings what a kind of store needs, as ``pip install 'sdovis[data]'``.
EXTRA = "data"


@dataclass(frozen=True, eq=False)
class Member:
    """An image as its store holds it: either ``data``, the bytes of a file, or ``values`` with their header's ``cards``.

    ``values`` are (H, W) float32, rows as in FITS (row 0 first), NaN where missing. ``sha256`` is that of the bytes, or of
    the values as the store's array has them. ``name`` is the file's own, if the store says it.
    """

    sha256: str
    data: bytes = b""
    values: NDArray[np.float32] | None = None
    cards: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


class Opener(Protocol):
    """What the module of a kind of store has.

    ``IMPORTS`` are heavy modules that it loads when first used. ``member`` opens one; ``together`` says which members are
    read in one piece, so that whoever reads them one after the other decodes it once; ``files`` are those that a member's
    bytes lie in. Raise `UnreadableImage`.
    """

    IMPORTS: Sequence[str]
    member: Callable[[Address], Member]
    together: Callable[[Address], Hashable]
    files: Callable[[Address], Sequence[Path]]


_MODULES = {"zarr": "zarr_store", "NetCDF": "netcdf", "Parquet": "parquet"}


def opener(kind: str) -> Any:
    """The `Opener` of a kind of store."""
    return import_module(f"sdovis.images.containers.{_MODULES[kind]}")


def missing_library(address: Address, name: str) -> UnreadableImage:
    """The error for a store whose library is not installed."""
    return UnreadableImage(str(address), f"needs {name}, which is not installed", f"run pip install 'sdovis[{EXTRA}]'")
