"""Zarr: arrays (N, H, W) of images, a header keyword a list of N entries in the array's attributes, as SDOML v2 has them.

The layout is that of SDOML/SDOMLv2 at a84b67f (2024-06-12), ``aia_fits_to_zarr.py`` and ``hmi_fits_to_zarr.py``: zarr 2,
groups YEAR/171A, chunks of 15 images, rows as in FITS. The attributes of a year hold some ten million entries, so only the
keywords that are used are parsed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import UnreadableImage
from sdovis.images.address import Address
from sdovis.images.bounds import check_size
from sdovis.images.containers.members import Member, missing_library
from sdovis.images.headers import PROVENANCE, observed, restored

IMPORTS = ("zarr",)
#: The most that a piece of an array may hold once it is decoded, and the most that its metadata may.
MAX_CHUNK_BYTES, MAX_METADATA_BYTES = 2**28, 2**30
#: Codecs that only rearrange or shrink numbers. Others run code that the store brings, such as pickles.
CODECS = frozenset(
    "blosc zlib gzip zstd lz4 bz2 lzma shuffle delta fixedscaleoffset quantize bitround packbits astype crc32 crc32c adler32 "
    "fletcher32 zfpy bytes transpose sharding_indexed default".split()
)
#: What SDOML v2 adds to FITS' keywords: the correction for degradation, and the unit of the values.
OWN = ("DEG_COR", "PIXLUNIT")
#: Those that say when an image was taken, and on which clock.
TIMES = ("T_OBS", "T_REC", "DATE-OBS", "DATE_OBS", "TIMESYS", "INSTRUME")
_KEY = re.compile(r'"([A-Z][A-Z0-9_-]*)"\s*:\s*')
KEYWORDS = (*PROVENANCE, "DATE_OBS", *OWN, "R_SUN", "X0_MP", "Y0_MP")


@dataclass(frozen=True)
class Layout:
    """An array's shape and how it is divided: entries ``step`` at a time, and where their pieces lie."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    prefix: str
    separator: str

    def pieces(self, index: int) -> list[str]:
        """The names of the pieces that the image ``index`` lies in, relative to the array."""
        grids = [range(math.ceil(side / chunk)) for side, chunk in zip(self.shape[1:], self.chunks[1:], strict=True)]
        numbers = itertools.product((index // self.chunks[0],), *grids)
        return [self.prefix + self.separator.join(map(str, each)) for each in numbers]


def member(address: Address) -> Member:
    """One entry's values and header."""
    layout, index = _entry(address)
    stored = _chunk(str(address.path), address.name, index // layout.chunks[0])[index % layout.chunks[0]]
    digest = hashlib.sha256(np.ascontiguousarray(stored).data).hexdigest()
    values = stored
    if stored.dtype != np.float32 or not np.isfinite(stored).all():  # a copy takes as long as decoding half an image
        values = stored.astype(np.float32)
        values[~np.isfinite(values)] = np.nan
    cards = {key: entries[index] for key, entries in keywords(address, KEYWORDS).items()}
    unit = cards.pop("PIXLUNIT", "")
    return Member(digest, values=values, cards=restored(cards | ({"BUNIT": unit} if unit else {})))


def together(address: Address) -> tuple[str, str, int]:
    """Entries of one chunk are decoded together."""
    layout, index = _entry(address)
    return str(address.path), address.name, index // layout.chunks[0]


def files(address: Address) -> Sequence[Path]:
    """The pieces that the entry lies in."""
    layout, index = _entry(address)
    return [address.path / address.name / piece for piece in layout.pieces(index)]


def keywords(address: Address, names: Collection[str]) -> Mapping[str, Sequence[Any]]:
    """Those keywords of ``names`` that an array's attributes have, an entry for each image.

    Raises `UnreadableImage` for a keyword whose entries are fewer or more than the images: they cannot be told apart.
    """
    return _keywords(str(address.path), address.name, tuple(names))


def times(address: Address) -> list[datetime | None] | UnreadableImage:
    """When each image of an array was taken, UTC; why that cannot be told."""
    try:
        said = keywords(address, TIMES)
        count = _layout(str(address.path), address.name).shape[0]
    except UnreadableImage as error:
        return error
    return [observed({key: of[index] for key, of in said.items()}) for index in range(count)]


@lru_cache(maxsize=8)
def _keywords(store: str, name: str, names: tuple[str, ...]) -> Mapping[str, Sequence[Any]]:
    count = _layout(store, name).shape[0]
    text = _attributes(Path(store) / name)
    decoder = json.JSONDecoder()
    found: dict[str, Sequence[Any]] = {}
    for match in _KEY.finditer(text):
        key = match[1]
        if key not in names or key in found:
            continue
        try:
            value, _ = decoder.raw_decode(text, match.end())
        except ValueError as error:
            raise UnreadableImage(f"{store}::{name}", f"its attribute {key} is damaged: {error}") from error
        if isinstance(value, list) and len(value) != count:
            what = f"its attribute {key} has {len(value)} entries for {count} images"
            raise UnreadableImage(f"{store}::{name}", what, "they cannot be told apart; take another copy of the store")
        found[key] = value if isinstance(value, list) else [value] * count
    return found


def _attributes(array: Path) -> str:
    for name in (".zattrs", "zarr.json"):
        if (array / name).is_file():
            return _text(array / name)
    return ""


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_METADATA_BYTES:
        raise UnreadableImage(path, f"larger than {MAX_METADATA_BYTES // 2**20} MiB")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableImage(path, f"cannot be read: {error}") from error


def _entry(address: Address) -> tuple[Layout, int]:
    layout = _layout(str(address.path), address.name)
    if address.index is None:
        raise UnreadableImage(str(address), "names no image", "write its number, from 0, as 2012/171A[345]")
    if address.index >= layout.shape[0]:
        raise UnreadableImage(str(address), f"there is no such image: the array has {layout.shape[0]}")
    return layout, address.index


@lru_cache(maxsize=64)
def _layout(store: str, name: str) -> Layout:
    """How an array is laid out, from its metadata, which also says whether it may be decoded at all."""
    array, where = Path(store) / name, f"{store}::{name}"
    if not os.path.realpath(array).startswith(f"{os.path.realpath(store)}/"):
        raise UnreadableImage(where, "lies outside the store")
    try:
        if (array / ".zarray").is_file():
            said = json.loads(_text(array / ".zarray"))
            chunks, kind = said["chunks"], np.dtype(said["dtype"])
            separator, prefix = said.get("dimension_separator") or ".", ""
            used = [said.get("compressor") or {}, *(said.get("filters") or ())]
            names = {str(each["id"]) for each in used if each}
        elif (array / "zarr.json").is_file():
            said = json.loads(_text(array / "zarr.json"))
            chunks, kind = said["chunk_grid"]["configuration"]["chunk_shape"], np.dtype(said["data_type"])
            encoding = said["chunk_key_encoding"]
            v2 = encoding["name"] == "v2"
            separator = encoding.get("configuration", {}).get("separator") or ("." if v2 else "/")
            prefix = "" if v2 else f"c{separator}"
            names = _codecs(said["codecs"])
        else:
            raise UnreadableImage(where, "there is no such array in the store")
        shape, chunks = tuple(map(int, said["shape"])), tuple(map(int, chunks))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnreadableImage(where, f"its metadata are damaged: {type(error).__name__}: {error}") from error
    if len(shape) != 3 or len(chunks) != 3 or kind.kind not in "fiu" or min(chunks) < 1:
        raise UnreadableImage(where, f"holds {kind} of shape {shape}, not (N, H, W) numbers")
    check_size(shape[2], shape[1], Path(where))
    if math.prod(chunks) * kind.itemsize > MAX_CHUNK_BYTES:
        raise UnreadableImage(where, f"its pieces, {chunks}, are larger than {MAX_CHUNK_BYTES // 2**20} MiB")
    if unknown := sorted(names - CODECS):
        raise UnreadableImage(
            where, f"is packed with {', '.join(unknown)}, which is not opened", "save it with blosc or zstd"
        )
    return Layout(shape, chunks, prefix, separator)


def _codecs(said: Any) -> set[str]:
    """The names of codecs, and of those inside them."""
    found = set()
    for each in said:
        found.add(str(each["name"]).removeprefix("numcodecs."))
        inner = each.get("configuration") or {}
        found |= _codecs([*inner.get("codecs", ()), *inner.get("index_codecs", ())])
    return found


@lru_cache(maxsize=4)
def _chunk(store: str, name: str, number: int) -> NDArray[Any]:
    """The images of one chunk, once its files are known to be there and the store's own."""
    layout, root = _layout(store, name), os.path.realpath(store)
    start = number * layout.chunks[0]
    address = Address.entry(store, name, start)
    for piece in files(address):
        if not os.path.realpath(piece).startswith(f"{root}/"):
            raise UnreadableImage(str(address), "its store has links to other folders", "copy the files into the store")
        if not piece.is_file():  # zarr would give an image of nothing but the array's fill value
            what = f"its piece {piece.name} is not in the store: nothing was written there, or it was not copied"
            raise UnreadableImage(str(address), what)
    try:
        return np.asarray(_opened(store, name)[start : start + layout.chunks[0]])
    except MemoryError:
        raise
    # A damaged chunk can raise any exception of zarr, numcodecs or a codec; each means that it cannot be decoded.
    except Exception as error:
        what = f"damaged: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise UnreadableImage(f"{store}::{name}", what) from error


@lru_cache(maxsize=16)
def _opened(store: str, name: str) -> Any:
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise missing_library(Address(Path(store), name), "zarr") from error
    return zarr.open_array(store, path=name, mode="r")
