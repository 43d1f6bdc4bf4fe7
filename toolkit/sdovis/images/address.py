"""Where an image is: a file, or a member of a store that holds many, so that another person finds the same one again.

images/aia_171.fits                    a file
sdomlv2.zarr::2012/171A[345]           entry 345 of the array 2012/171A of a zarr store
2011/01/20110115_0000.nc::aia171       the variable aia171 of a NetCDF file
data/train-00000.parquet::image[17]    row 17 of the column image of a Parquet file
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SEPARATOR = "::"
#: How a store's name ends, in lower case, and what it is.
STORES = {".zarr": "zarr", ".nc": "NetCDF", ".nc4": "NetCDF", ".parquet": "Parquet", ".parq": "Parquet"}
_MEMBER = re.compile(r"(?P<name>.*?)(?:\[(?P<index>\d{1,15})\])?", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """A file, or the ``member`` of a store; ``path`` is the file or the store. `str` writes it as `of` reads it."""

    path: Path
    member: str = ""

    @classmethod
    def of(cls, text: str) -> Address:
        """What a row's cell names. Only the name of a store may be followed by ``::``: other files may have it in theirs."""
        store, separator, member = text.partition(SEPARATOR)
        if separator and Path(store).suffix.lower() in STORES:
            return cls(Path(store), member)
        return cls(Path(text))

    @classmethod
    def entry(cls, path: Path | str, name: str, index: int | None = None) -> Address:
        """The address of an array, variable or column, or of one of its entries."""
        return cls(Path(path), name if index is None else f"{name}[{index}]")

    def __str__(self) -> str:
        return f"{self.path}{SEPARATOR}{self.member}" if self.member else str(self.path)

    @property
    def kind(self) -> str:
        """What the store is; '' for a file."""
        return STORES.get(self.path.suffix.lower(), "") if self.member else ""

    @property
    def name(self) -> str:
        """The array, variable or column."""
        found = _MEMBER.fullmatch(self.member)
        return found["name"] if found else self.member

    @property
    def index(self) -> int | None:
        """Which of its entries; None if the member is not one of several."""
        found = _MEMBER.fullmatch(self.member)
        return int(found["index"]) if found and found["index"] else None

    @property
    def stem(self) -> str:
        """The address without the file's suffix, fit for an id: folders are included, so that names stay distinct."""
        parts = [str(self.path.with_suffix("")), *([self.member.rstrip("]")] if self.member else [])]
        return "-".join(re.sub(r"[^\w.-]+", "_", part) for part in parts)
