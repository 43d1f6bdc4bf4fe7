"""A dataset made elsewhere, opened: the rows of its parts, and the pixels of its images as 8-bit codes."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import BadInput, HubFailure, Problem, UnreadableImage
from sdovis.images.isolation import read_isolated

#: Formats that Pillow may open, and the most pixels of an image: larger ones are not decoded.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")
MAX_PIXELS = 8192 * 8192
#: How the files begin that our own reader opens: FITS, gzip, JPEG2000.
SOLAR = (b"SIMPLE  =", b"\x1f\x8b", b"\x00\x00\x00\x0cjP  ")
#: Formats of tables whose single file may be named.
TABLES = {
    ".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".tsv": "csv", ".jsonl": "json",
}  # fmt: skip


def parts_of(where: str) -> dict[str, Any]:
    """Part -> its rows, read one after another; nothing is copied to a cache. The columns of CSV files are text.

    Raises `BadInput` if it is not a dataset, `HubFailure` if the Hub cannot be reached.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    path = Path(where)
    try:
        if path.is_file():
            kind = next((kind for suffix, kind in TABLES.items() if path.name.lower().endswith(suffix)), "")
            if not kind:
                hint = f"name a folder, a file that ends with {', '.join(TABLES)}, or a Hub id"
                raise BadInput(Problem("is neither a Parquet, a CSV nor a JSON-lines file", hint, where))
            return _read_as(kind, data_files=str(path))
        if (path / "dataset_dict.json").is_file():
            return dict(datasets.load_from_disk(str(path)))
        return _read_as(where)
    except ConnectionError as error:
        raise HubFailure(f"{where}: not a local folder, and the Hub cannot be reached: {in_words(error)}") from error
    except (DatasetsError, OSError, ValueError) as error:
        hint = "name a folder, a .parquet or .csv file, or a Hub id that datasets.load_dataset opens"
        raise BadInput(Problem(f"cannot be opened as a dataset: {in_words(error)}", hint, where)) from error


def _read_as(kind: str, **files: str) -> dict[str, Any]:
    import datasets

    parts: dict[str, Any] = dict(datasets.load_dataset(kind, streaming=True, **files))
    if any(data.column_names for data in parts.values()):
        return parts
    # A CSV file does not say its columns, and types guessed from it would turn 012192 into a number.
    names = _first_names(parts)
    headings = [name for name in names if not name.startswith("__index_level_")]  # decimal commas also divide rows
    if len(headings) == 1 and (found := re.search(r"[;\t|]", headings[0])):
        names = _first_names(datasets.load_dataset(kind, streaming=True, sep=found[0], **files))
        files["sep"] = found[0]
    if list(names) == ["text"]:
        raise BadInput(Problem("holds plain text, not a table", "save it as CSV", files.get("data_files", kind)))
    if any(name.startswith("__index_level_") for name in names):  # pandas takes the first cells for the rows' names
        raise BadInput(
            Problem(
                "has rows of more cells than headings", "save the table again as CSV", files.get("data_files", kind)
            )
        )
    text = datasets.Features({name: datasets.Value("string") for name in names})
    return dict(datasets.load_dataset(kind, streaming=True, features=text, keep_default_na=False, **files))


def _first_names(parts: Mapping[str, Any]) -> dict[str, None]:
    """The columns of the parts' first rows."""
    return dict.fromkeys(name for data in parts.values() for row in data.take(1) for name in row)


def unopened(where: str) -> list[str]:
    """The files of a folder that hold images of the Sun and that `datasets` passes over, as it does not know their names."""
    return sorted(
        path.name for path in Path(where).rglob("*") if path.name.lower().endswith((".fts", ".fts.gz", ".fz"))
    )


def rows_of(data: Any, where: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a part. Raises `BadInput` where they cannot be read on."""
    from datasets.exceptions import DatasetsError

    rows = iter(data)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (DatasetsError, KeyError, OSError, ValueError) as error:
            raise BadInput(Problem(f"a row cannot be read: {in_words(error)}", "save it again", where)) from error
        yield row


def in_words(error: Exception) -> str:
    """The first line of an error, without the addresses of objects."""
    if isinstance(error, KeyError) and " " not in str(error.args[0]):
        return f"it has no {error.args[0]!r}"
    said = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    return re.sub(r"\s*<[^<>]* at 0x[0-9a-fA-F]+>", "", said.partition("\n")[0])


def undecoded(data: Any, image: str) -> Any:
    """``data`` with the image column as stored: pixels are decoded here, within limits."""
    import datasets

    feature = (data.features or {}).get(image)
    return data.cast_column(image, datasets.Image(decode=False)) if isinstance(feature, datasets.Image) else data


def codes_of(stored: Any, where: str, row: int) -> NDArray[np.uint8]:
    """The pixels of a stored image as 8 bits, (H, W) or (H, W, 3). Raises `BadInput` if it is not an image."""
    try:
        found = stored_bytes(stored, where)
        values = _solar(found) if found.startswith(SOLAR) else _picture(found)
    except UnreadableImage as error:
        raise BadInput(Problem(f"an image cannot be read: {error.why}", "", where, row=row)) from error
    except (OSError, TypeError, ValueError) as error:
        raise BadInput(Problem(f"an image cannot be read: {in_words(error)}", "", where, row=row)) from error
    if values.dtype == np.uint8:
        return values
    # 16 bits, floats or single bits: spread over 8 bits, as the hash needs them.
    wide = np.nan_to_num(values.astype(np.float64))
    spread = (wide - wide.min()) * (255 / max(np.ptp(wide), 1e-12))
    return np.asarray(spread.round(), dtype=np.uint8)


def stored_bytes(stored: Any, where: str) -> bytes:
    """The file of a stored image, which holds it or names it. Raises ValueError or OSError if it is not in the dataset."""
    data = stored.get("bytes") or stored.get("path") if isinstance(stored, dict) else stored
    return _file(data, where) if isinstance(data, str) else bytes(data or b"")


def _picture(data: bytes) -> NDArray[Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} px are too many")
            return np.asarray(image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr", "RGBA", "LA") else image)
    except UnidentifiedImageError:
        raise ValueError(f"it is not FITS, JPEG2000, {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error


def _solar(data: bytes) -> NDArray[Any]:
    """The pixels of a FITS or JPEG2000 file, read in a process of its own."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return read_isolated(file.name).values


def _file(path: str, where: str) -> bytes:
    """The bytes of a file in the dataset itself: a table may name any other file, which is not opened."""
    import fsspec  # type: ignore[import-untyped]

    if path.startswith(f"hf://datasets/{where}@"):
        with fsspec.open(path, "rb") as file:
            return bytes(file.read())
    folder = Path(where).resolve()
    folder = folder.parent if folder.is_file() else folder
    local = (folder / path).resolve()
    if not folder.is_dir() or not local.is_relative_to(folder):
        raise ValueError(f"{path} lies outside the dataset")
    return local.read_bytes()
