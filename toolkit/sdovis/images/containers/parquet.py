"""Parquet: a column of pictures, each the bytes of a file, as the Hugging Face Hub keeps them."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from sdovis.errors import UnreadableImage
from sdovis.images.address import Address
from sdovis.images.bounds import MAX_BYTES
from sdovis.images.containers.members import Member

IMPORTS = ("pyarrow.parquet",)
#: The most that a column of a row group may hold.
MAX_GROUP_BYTES = 2**30


def member(address: Address) -> Member:
    """The bytes of one row's picture, and its name."""
    _, place = _place(address)
    group, row = place
    cell = _column(str(address.path), address.name, group)[row].as_py()
    data, name = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if not isinstance(data, bytes) or not data:
        what = f"holds only the name of a file ({name})" if name else "holds no picture"
        raise UnreadableImage(str(address), what, "save the dataset with its pictures embedded")
    if len(data) > MAX_BYTES:
        raise UnreadableImage(str(address), f"larger than {MAX_BYTES // 2**20} MiB")
    # The name was given by whoever wrote the table: only its last part says what the picture is of.
    return Member(hashlib.sha256(data).hexdigest(), data, name=PurePosixPath(str(name or "")).name)


def together(address: Address) -> tuple[str, str, int]:
    """Pictures of one row group are read together."""
    _, (group, _) = _place(address)
    return str(address.path), address.name, group


def files(address: Address) -> Sequence[Path]:
    return (address.path,)


def _place(address: Address) -> tuple[Any, tuple[int, int]]:
    """The file, and the row group and the row in it of an address."""
    file, starts = _opened(str(address.path))
    if address.index is None:
        raise UnreadableImage(str(address), "names no row", "write the row's number, from 0, as image[17]")
    if not 0 <= address.index < starts[-1]:
        raise UnreadableImage(str(address), f"there is no such row: the file has {starts[-1]}")
    group = bisect.bisect_right(starts, address.index) - 1
    return file, (group, address.index - starts[group])


@lru_cache(maxsize=16)
def _opened(path: str) -> tuple[Any, tuple[int, ...]]:
    """A file, and the first row of each of its groups, with the number of rows at the end."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableImage(path, f"cannot be opened as Parquet: {str(error).splitlines()[0]}") from error
    starts = [0]
    for group in range(file.num_row_groups):
        starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    return file, tuple(starts)


@lru_cache(maxsize=2)
def _column(path: str, column: str, group: int) -> Any:
    """The pictures of a row group."""
    import pyarrow as pa

    file, _ = _opened(path)
    if column not in file.schema_arrow.names:
        raise UnreadableImage(path, f"has no column {column!r}")
    of = file.metadata.row_group(group)
    parts = [of.column(i) for i in range(of.num_columns)]
    size = sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] == column)
    if size > MAX_GROUP_BYTES:
        what = (
            f"row group {group} holds {size // 2**20} MiB of pictures, and at most {MAX_GROUP_BYTES // 2**20} are read"
        )
        raise UnreadableImage(path, what, "save it with smaller row groups")
    try:
        return file.read_row_group(group, columns=[column])[column].combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise UnreadableImage(path, f"damaged Parquet: {str(error).splitlines()[0]}") from error
