"""Finished examples on disk: small files that appear whole, so that a killed preparation can continue.

Each holds the examples of a fixed number of images in order, including pictures, and what became of the other rows. The
memory needed does not grow with the number of images.
"""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sdovis import disk
from sdovis.corpus.columns import BESIDE_VALUES, COLUMNS, PUBLISHED_PART, SIMULATED, UNIT, Kind
from sdovis.corpus.observations import Reject, Sorted
from sdovis.errors import Problem
from sdovis.readers.rows import RawRow

#: Images per shard: the most that a kill can cost, and what is held in memory at once.
IMAGES = 32
#: Columns that stay on disk until the corpus is written: pictures, and texts as large as pictures.
HEAVY = ("image", "header", "extra")
KEY = "key.json"

#: Labels are class names: how many classes occur is not known yet.
_ARROW: Mapping[Kind, pa.DataType] = {
    "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "time": pa.timestamp("us", tz="UTC"),
    "image": pa.binary(), "class": pa.string(), "flag": pa.bool_(),
}  # fmt: skip
SCHEMA = pa.schema(
    {column.name: _ARROW[column.kind] for column in (*COLUMNS, SIMULATED, UNIT, PUBLISHED_PART, BESIDE_VALUES)}
)


@dataclass(frozen=True)
class Looked:
    """What became of one image: its sha256 ('' if it cannot be used) and its rows."""

    sha256: str
    rows: Sorted


@dataclass(frozen=True)
class Shards:
    """A folder of shards of one preparation, identified by its ``key``."""

    folder: Path

    @classmethod
    def opened(cls, folder: Path, key: str) -> Shards:
        """The folder, emptied if it belongs to another preparation or is damaged."""
        said = folder / KEY
        if not (said.is_file() and said.read_text(encoding="utf-8") == key):
            disk.remove(folder)
            disk.write(said, key)
        for unfinished in folder.glob("*.part"):
            unfinished.unlink()
        return cls(folder)

    def finished(self) -> set[int]:
        """The numbers of the shards that are whole."""
        return {int(path.stem) for path in self.folder.glob("*.parquet")}

    def write(self, number: int, looked: Sequence[Looked]) -> None:
        """Write shard ``number``, which appears whole or not at all."""
        examples = [example for image in looked for example in image.rows.kept]
        # Arrow would take a key that is missing or misspelt for a value that is not there.
        wrong = sorted({name for example in examples for name in example.keys() ^ set(SCHEMA.names)})
        assert not wrong, f"examples and the corpus' columns differ in {', '.join(wrong)}"
        table = pa.Table.from_pylist(examples, schema=SCHEMA)
        rest = [_plain(image) for image in looked]
        table = table.replace_schema_metadata({b"looked": json.dumps(rest).encode()})
        part = self.folder / f"{number:06d}.part"
        pq.write_table(table, part, compression="none")
        disk.move(part, self._path(number))

    def read(self, number: int) -> tuple[list[Looked], pd.DataFrame]:
        """Shard ``number``: one entry per image, with ``None`` for each example, and one table of all examples.

        The table lacks the `HEAVY` columns; its columns shard and place say where to `take` them from.
        """
        file = pq.ParquetFile(self._path(number))
        looked = [_of_plain(entry) for entry in json.loads(file.schema_arrow.metadata[b"looked"])]
        columns = [name for name in file.schema_arrow.names if name not in HEAVY]
        table = file.read(columns).to_pandas()
        return looked, table.assign(shard=number, place=range(len(table)))

    def take(self, rows: pd.DataFrame, size: int) -> Iterator[pa.Table]:
        """The `HEAVY` columns of ``rows`` (columns shard, place) in their order, ``size`` rows at a time."""
        held: OrderedDict[int, pa.Table] = OrderedDict()
        for start in range(0, len(rows), size):
            pieces = []
            for shard, place in zip(*(rows[k].iloc[start : start + size] for k in ("shard", "place")), strict=True):
                if shard not in held:
                    held[shard] = pq.ParquetFile(self._path(shard)).read(list(HEAVY))
                    if len(held) > 8:
                        held.popitem(last=False)
                held.move_to_end(shard)
                pieces.append(held[shard].slice(place, 1))
            yield pa.concat_tables(pieces)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"


def chunks(images: Sequence[Any]) -> list[Sequence[Any]]:
    """``images`` divided as in the shards."""
    return [images[start : start + IMAGES] for start in range(0, len(images), IMAGES)]


def _plain(image: Looked) -> dict[str, Any]:
    rows = image.rows
    return {
        "sha256": image.sha256,
        "kept": len(rows.kept),
        "rejects": [[plain(reject.raw), reject.reason] for reject in rows.rejects],
        "problems": [[plain(raw), vars(problem)] for raw, problem in rows.problems],
    }


def plain(raw: RawRow) -> list[Any]:
    """The row as JSON can hold it: the arguments of `RawRow`, in order."""
    row = [raw.file, raw.sheet, raw.row, dict(raw.cells), dict(raw.headings)]
    return [*row, raw.marks] if raw.marks else row  # rows without marks have the sum that they always had


def _of_plain(entry: dict[str, Any]) -> Looked:
    rejects = [Reject(RawRow(*raw), reason) for raw, reason in entry["rejects"]]
    problems = [(RawRow(*raw), Problem(**problem)) for raw, problem in entry["problems"]]
    return Looked(entry["sha256"], Sorted([None] * entry["kept"], rejects, problems))
