"""The table of a model's answers: its columns, the parts that it grows in, and the formats that it is written in.

While a prediction runs, whole parts lie in a folder beside the table, each a Parquet file of the answers for some images. A
part appears whole or not at all, so a kill costs what was not yet in one, and nothing is done twice. At the end the parts
are joined and the folder goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sdovis import disk, manifests
from sdovis.errors import BadInput, Conflict, Problem

SUFFIXES = (".parquet", ".csv", ".ecsv", ".xlsx")
KEY, WHOLE = "key.json", "whole.json"
#: What an Excel sheet holds, its headings included.
MOST_OF_EXCEL = 2**20


def schema(classes: Sequence[str]) -> pa.Schema:
    """The table's columns; one row a region that was asked about, or an image that could not be used.

    ``class`` is the most probable; the four flags of doubt follow, with what else a reader must know in ``notes``. Of an
    ``unusable`` image nothing is answered, and the notes say why. ``unfamiliar`` is missing where a model cannot tell.
    """
    number, text, flag = pa.float64(), pa.string(), pa.bool_()
    return pa.schema(
        [
            ("file", text), ("id", text), ("sha256", text), ("observed", pa.timestamp("ms", tz="UTC")),
            ("region", pa.int64()), ("latitude_deg", number), ("longitude_deg", number), ("x_px", number), ("y_px", number),
            *((f"prob_{name}", pa.float32()) for name in classes),
            ("class", text), ("unfamiliarity", number), ("unusable", flag), ("quality", flag), ("near_limb", flag),
            ("unfamiliar", flag), ("notes", text), ("model", text),
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """The folder of a table's finished parts. See `opened`."""

    target: Path
    folder: Path
    schema: pa.Schema

    def finished(self) -> set[int]:
        """The numbers of the parts that are whole."""
        return {int(path.stem) for path in self.folder.glob("*.parquet")}

    def write(self, number: int, rows: Sequence[Mapping[str, Any]], problems: Iterable[Problem]) -> None:
        """Write part ``number``, with what was wrong with some of its images."""
        wrong = [asdict(problem) for problem in problems]
        said = {b"problems": json.dumps(wrong).encode()}
        table = pa.Table.from_pylist(list(rows), schema=self.schema.with_metadata(said))
        beside = self.folder / f"{number:06d}.part"
        pq.write_table(table, beside)
        disk.move(beside, self._path(number))

    def problems(self) -> list[Problem]:
        """What was wrong with images, in their order."""
        found = (pq.read_schema(self._path(number)).metadata[b"problems"] for number in sorted(self.finished()))
        return [Problem(**each) for of in found for each in json.loads(of)]

    def join(self) -> None:
        """Make the table of the parts, which appears whole, and remove them. Raises `Conflict` if something is in its place."""
        if not self._joined():
            beside = self.folder / "joined"
            _WRITERS[self.target.suffix.lower()](beside, self.schema, self._tables())
            disk.write(self.folder / WHOLE, json.dumps({"sha256": manifests.sha256_file(beside)}))
            if self.target.exists():
                raise _in_the_way(self.target)
            disk.move(beside, self.target)
        disk.remove(self.folder)

    def _joined(self) -> bool:
        """Whether the table was made, and only the parts were not removed yet."""
        said = self.folder / WHOLE
        if not (said.is_file() and self.target.is_file()):
            return False
        return bool(json.loads(said.read_text(encoding="utf-8"))["sha256"] == manifests.sha256_file(self.target))

    def _tables(self) -> Iterator[pa.Table]:
        for number in sorted(self.finished()):
            yield pq.read_table(self._path(number)).replace_schema_metadata(None)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"


@contextmanager
def opened(target: Path, classes: Sequence[str], key: Mapping[str, str]) -> Iterator[Parts]:
    """The parts of ``target``, of this prediction alone; ``key`` says in words what it is made of.

    Raises `BadInput` for an unknown suffix, and `Conflict` if the table is there already, if another prediction was begun in
    its place, or if another process is at work on it.
    """
    import filelock

    refuse_suffix(target)
    folder = target.with_name(f".{target.name}.parts")
    said = folder / KEY
    if target.exists() and not said.is_file():
        raise _in_the_way(target)
    disk.make(folder)
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            if said.is_file() and any(folder.glob("*.parquet")):  # otherwise nothing of another would be lost
                _refuse_other(json.loads(said.read_text(encoding="utf-8")), key, target, folder)
            else:
                disk.write(said, json.dumps(dict(key), indent=1))
            for unfinished in folder.glob("*.part"):
                unfinished.unlink()
            yield Parts(target, folder, schema(classes))
    except filelock.Timeout:
        raise Conflict(f"{target}: another process is writing this table") from None


def refuse_suffix(target: Path) -> None:
    """Raise `BadInput` for a table in a format that is not one of `SUFFIXES`."""
    if target.suffix.lower() not in SUFFIXES:
        raise BadInput(Problem("is not a table's name", f"let it end with {', '.join(SUFFIXES)}", str(target)))


def _refuse_other(said: Mapping[str, str], key: Mapping[str, str], target: Path, folder: Path) -> None:
    differing = [name for name in {**said, **key} if said.get(name) != key.get(name)]
    if differing:
        raise Conflict(
            f"{target}: another prediction was begun here and is not finished (other {', '.join(differing)}); run the same "
            f"command again to go on with it, name another table, or remove {folder}"
        )


def _in_the_way(target: Path) -> Conflict:
    return Conflict(f"{target} already exists and was not overwritten; name another table, or move it away")


# --- formats ----------------------------------------------------------------------------------------------------------


def _parquet(file: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    with pq.ParquetWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table)


def _csv(file: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    schema.empty_table().to_pandas().to_csv(file, index=False)
    for table in tables:
        _frame(table).to_csv(file, mode="a", header=False, index=False)


def _frame(table: pa.Table) -> Any:
    """As pandas has it, times in ISO 8601, whole numbers and flags that may be missing kept as such."""
    import pandas as pd

    kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame = table.to_pandas(types_mapper=kinds.get)
    return frame.assign(observed=frame["observed"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z")


def _ecsv(file: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    """astropy's enhanced CSV, a part at a time: its header once, with units and descriptions, then the rows."""
    header = _as_ecsv(schema.empty_table(), schema)
    with file.open("w", encoding="utf-8") as out:
        out.write(header)
        for table in tables:
            out.write(_as_ecsv(table, schema)[len(header) :])


def _as_ecsv(table: pa.Table, schema: pa.Schema) -> str:
    import io

    import numpy as np
    from astropy.table import MaskedColumn, Table

    kinds = {pa.int64(): "int64", pa.bool_(): "bool", pa.float64(): "float64", pa.float32(): "float32"}
    found, frame = Table(), _frame(table)
    for field in schema:
        values, kind = frame[field.name], kinds.get(field.type, "str")
        missing = values.isna().to_numpy()
        blank: Any = "" if kind == "str" else 0
        filled = [blank if gone else value for gone, value in zip(missing, values, strict=True)]
        unit = "deg" if field.name.endswith("_deg") else "pix" if field.name.endswith("_px") else None
        found[field.name] = MaskedColumn(np.array(filled, dtype=kind), mask=missing, unit=unit)
    text = io.StringIO()
    found.write(text, format="ascii.ecsv", delimiter=",")
    return text.getvalue()


def _xlsx(file: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Predictions")
    sheet.append(schema.names)
    count = 1
    for table in tables:
        count += len(table)
        if count > MOST_OF_EXCEL:
            what = f"has more rows than an Excel sheet can hold, {MOST_OF_EXCEL}"
            raise BadInput(Problem(what, "the parts are kept: name a .parquet or .csv file and begin again", str(file)))
        for row in table.to_pylist():
            # Excel knows no time zones, and single precision would show digits that mean nothing.
            row["observed"] = row["observed"].replace(tzinfo=None) if row["observed"] else None
            sheet.append([round(each, 7) if isinstance(each, float) else each for each in row.values()])
    book.save(file)


_WRITERS = {".parquet": _parquet, ".csv": _csv, ".ecsv": _ecsv, ".xlsx": _xlsx}
