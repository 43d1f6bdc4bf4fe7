"""The corpus: a folder of Parquet files that `datasets.load_dataset` opens; writing it and reading it back."""

from __future__ import annotations

import bisect
import hashlib
import io
import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sdovis import manifests, plugins
from sdovis.corpus import audit as audits
from sdovis.corpus import beside, units
from sdovis.corpus import rejects as left_out
from sdovis.corpus.audit import Audit
from sdovis.corpus.catalog import REJECT_COLUMNS, Catalog, catalog, image_inventory
from sdovis.corpus.columns import COLUMNS
from sdovis.corpus.duplicates import footprint_deg
from sdovis.corpus.facts import CorpusFacts
from sdovis.corpus.published import giving_away, published_leaks
from sdovis.corpus.shards import Shards, plain
from sdovis.corpus.split import PARTS, assign
from sdovis.errors import BadInput, Problem
from sdovis.fetching import orders
from sdovis.images.keywords import Keywords
from sdovis.manifests import Manifest
from sdovis.readers.rows import RawRow
from sdovis.statistics.tabular import TableColumn
from sdovis.study import Study, reader
from sdovis.version import __version__

#: Rows per file of a part, and rows read or written at once.
FILE_ROWS = 20_000
GROUP_ROWS = 100


class PictureFiles(Sequence[bytes]):
    """The pictures of a corpus, PNG files in its order, read from disk when asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        import pyarrow.parquet as pq

        self._files = [pq.ParquetFile(path, memory_map=True) for path in paths]
        #: For each row group: its first row, its file, and its number in that file.
        self._groups: list[tuple[int, int, int]] = []
        self._length = 0
        for number, file in enumerate(self._files):
            for group in range(file.num_row_groups):
                self._groups.append((self._length, number, group))
                self._length += file.metadata.row_group(group).num_rows
        self._held: tuple[int, list[bytes]] = (-1, [])

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        found = bisect.bisect_right(self._groups, index, key=lambda group: group[0]) - 1
        first, file, group = self._groups[found]
        if self._held[0] != found:
            column = self._files[file].read_row_group(group, columns=["image"])["image"]
            self._held = found, [image["bytes"] for image in column.to_pylist()]
        return self._held[1][index - first]


def codes_of(picture: bytes) -> NDArray[np.uint8]:
    """The 8-bit codes in a picture of a corpus, (H, W) or, of three channels, (H, W, 3)."""
    with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
        return np.asarray(image)


def layers(picture: bytes) -> list[NDArray[np.uint8]]:
    """The 8-bit codes (H, W) of each channel in a picture of a corpus: one or three."""
    codes = codes_of(picture)
    return [codes] if codes.ndim == 2 else [codes[..., colour] for colour in range(3)]


@dataclass(frozen=True)
class Corpus:
    """A finished corpus.

    ``rows`` has one row per picture, in the corpus' order (train, validation, test): id, label (index into ``classes``),
    noaa_ar, observed, group (the independent unit: a region, or a frame of the quiet Sun), source and provenance
    columns, and split. ``pictures`` are the PNG files (8 bits, grey or three colours) in the same order, read when
    asked for. ``facts`` is ``corpus.json``: classes with their meanings, scheme, channels, counts. ``audit`` is
    ``audit.json``, or None if the rows were divided by something else.
    """

    folder: Path
    classes: tuple[str, ...]
    rows: pd.DataFrame
    pictures: Sequence[bytes]
    facts: CorpusFacts
    manifest: Manifest
    audit: Audit | None = None

    def part(self, name: str) -> pd.DataFrame:
        """The rows of one part, indexed from 0."""
        return self.rows[self.rows["split"] == name].reset_index(drop=True)

    def pictures_of(self, name: str) -> list[bytes]:
        """The pictures of one part, in the order of `part`."""
        return [self.pictures[int(i)] for i in np.flatnonzero(self.rows["split"] == name)]

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Open a corpus folder. Raises `BadInput` if it is absent, unfinished or damaged."""
        import pyarrow.parquet as pq

        manifest = manifests.read(folder, made_by="prepare")
        facts = CorpusFacts.load(folder)
        paths = [(part, path) for part in PARTS for path in sorted((folder / "data").glob(f"{part}-*.parquet"))]
        frames = []
        for part, path in paths:
            columns = [name for name in pq.read_schema(path).names if name != "image"]
            frames.append(pq.read_table(path, columns=columns).to_pandas().assign(split=part))
        rows = pd.concat(frames, ignore_index=True)
        checked = Audit.load(folder) if (folder / audits.FILE).is_file() else None
        pictures = PictureFiles([path for _, path in paths])
        return cls(folder, tuple(facts.classes), rows, pictures, facts, manifest, checked)


def read_rows(study: Study) -> list[RawRow]:
    """The rows of the study's source, through its reader.

    Raises `BadInput`, also if the study does not name the column of regions that its workbook has.
    """
    rows = list(reader(study.source.reader).read(study.source, study.source.settings))
    units.refuse_unmapped(study, rows)
    return rows


def made_from(study: Study, rows: Sequence[RawRow]) -> dict[str, str]:
    """What a corpus depends on: the study's sections, the rows, every image, the plug-ins."""
    return {
        "study": study.digest_of("source", "images", "labels", "split"),
        "about": f"{study.name} seed {study.study.seed} simulated {study.study.simulated}",
        "rows": _sha256(rows),
        "images": manifests.sha256_text(image_inventory(study, rows)),
        **({"keywords": Keywords.read(study.keywords).sha256} if study.keywords else {}),
        **({"fetched": manifests.sha256_text(repr(came))} if (came := orders.fetched_for(study)) else {}),
        "reader": plugins.version("sdovis.readers", study.source.reader),
        "scheme": plugins.version("sdovis.labels", study.labels.scheme),
        "channels": " ".join(plugins.version("sdovis.channels", name) for name in study.images.channels),
    }


def _sha256(rows: Iterable[RawRow]) -> str:
    """sha256 over the rows as JSON, one at a time: all at once would be as large as the rows themselves."""
    total = hashlib.sha256()
    for row in rows:
        total.update(json.dumps(plain(row)).encode() + b"\n")
    return total.hexdigest()


def check(study: Study, *, progress: bool = True) -> Catalog:
    """Parse the study's rows, look at its images and divide them, without writing anything. Raises `BadInput`."""
    rows = read_rows(study)
    found = catalog(study, rows, progress=progress)
    _, _, facts, _ = _divided(study, found, rows)
    return replace(found, notices=facts.notices or ())


def build(
    study: Study,
    folder: Path,
    rows: Sequence[RawRow],
    *,
    origin: Mapping[str, str] | None = None,
    progress: bool = True,
    workers: int | None = None,
    scheduler: str = "",
) -> Corpus:
    """Make the corpus of ``study`` in ``folder``, which appears whole or not at all.

    ``origin`` is the result of `made_from`, if the caller already has it. ``workers`` children of this machine open the
    images (None: one per core), or those of a Dask ``scheduler``; the corpus is the same. If interrupted, the same call
    continues from what is finished of the same rows and images. Raises `BadInput` with every problem of rows, images and
    split, and then leaves nothing behind.
    """
    origin = origin or made_from(study, rows)
    shards = _shards(study, folder, origin)
    try:
        found = catalog(study, rows, shards=shards, progress=progress, workers=workers, scheduler=scheduler)
        kept, rejects, facts, checked = _divided(study, found, rows)
    except BadInput:
        shards.remove()
        raise
    _write(folder, shards, kept, rejects, facts, checked, origin)
    del found, kept, rejects  # they are read back below: not twice in memory
    return Corpus.load(folder)


def build_undivided(
    study: Study,
    folder: Path,
    rows: Sequence[RawRow],
    refused: Callable[[pd.DataFrame], NDArray[np.object_]],
    *,
    classes: tuple[str, ...],
    told: tuple[TableColumn, ...] | None = None,
    origin: Mapping[str, str],
    progress: bool = True,
) -> Corpus:
    """Make a corpus whose rows are all in the part test, to score a model that knows ``classes``.

    The model is ``told`` these values beside the image, with what its own training part says of them.

    ``refused`` gives the reason to leave out each row of a catalog, or ''. Otherwise as `build`. Raises `BadInput`
    also for a class that is not among ``classes``, and if no row is left.
    """
    shards = _shards(study, folder, origin)
    try:
        found = catalog(study, rows, shards=shards, progress=progress)
        _refuse_unknown(found, classes, study)
        reasons = refused(found.rows)
        kept = found.rows[reasons == ""].assign(split="test")
        kept = kept.sort_values(["observed", "id"], kind="stable", ignore_index=True)
        if kept.empty:
            counts = ", ".join(f"{n} rows: {reason}" for reason, n in pd.Series(reasons).value_counts().items())
            raise BadInput(Problem(f"no row is left: {counts}", "name a source of other regions", study.name))
        rejects = _rejects(found, reasons != "", reasons[reasons != ""])
        kept = beside.expanded(study, kept)
        beside.refuse_marks(study, kept)
        facts = CorpusFacts.of(study, found.scheme, kept, rejects, found.notices, classes, told)
    except BadInput:
        shards.remove()
        raise
    _write(folder, shards, kept, rejects, facts, None, origin)
    del found, kept, rejects
    return Corpus.load(folder)


def _refuse_unknown(found: Catalog, classes: tuple[str, ...], study: Study) -> None:
    if unknown := sorted(set(found.rows["label"]) - set(classes)):
        what = f"has the classes {', '.join(unknown)}, which the model does not know: it knows {', '.join(classes)}"
        raise BadInput(Problem(what, "use the label scheme that the model was trained with", study.name))


def _shards(study: Study, folder: Path, origin: Mapping[str, str]) -> Shards:
    """Where finished examples are kept until the corpus is whole. They do not depend on how rows are divided."""
    key = {name: value for name, value in origin.items() if name != "study"}
    key["study"] = study.digest_of("source", "images", "labels")
    return Shards.opened(folder.parent / f".shards-of-{folder.name}", json.dumps(key | {"sdovis": __version__}))


def _write(
    folder: Path,
    shards: Shards,
    kept: pd.DataFrame,
    rejects: pd.DataFrame,
    facts: CorpusFacts,
    checked: Audit | None,
    origin: Mapping[str, str],
) -> None:
    """Write the corpus whole, and remove the shards."""
    with manifests.whole(folder, stage="prepare", made_from=origin) as writing:
        _write_parquet(kept, shards, facts, writing / "data")
        facts.save(writing)
        if checked is not None:
            checked.save(writing)
        left_out.write(rejects, writing)
    shards.remove()


def _divided(
    study: Study, found: Catalog, raw: Sequence[RawRow]
) -> tuple[pd.DataFrame, pd.DataFrame, CorpusFacts, Audit]:
    """Rows kept, with their part; rejects; facts; audit. Raises `BadInput` if the split or its audit fails."""
    units.refuse_unknown(study, found.rows, found.scheme)
    footprint = footprint_deg(cutout_arcsec=study.images.cutout_arcsec, cutout_deg=study.images.cutout_deg)
    assignment = assign(found.rows, study.split, seed=study.study.seed, footprint_deg=footprint)
    part, gone = assignment.part, assignment.part == ""
    rejects = _rejects(found, gone, [f"split: {reason}" for reason in assignment.dropped[gone]])
    # Within a part, rows are in order of time, so that the order does not depend on the machine.
    keys = found.rows[["observed", "id"]].assign(part=pd.Categorical(part, PARTS))[~gone]
    order = keys.sort_values(["part", "observed", "id"], kind="stable").index
    kept = found.rows.iloc[order].assign(split=part[order], group=assignment.group[order])
    kept = kept.reset_index(drop=True)
    kept = beside.expanded(study, kept)
    beside.refuse_marks(study, kept)
    told = beside.refuse_given_away(study, kept, study.study.seed)
    facts = CorpusFacts.of(study, found.scheme, kept, rejects, found.notices, beside=beside.fitted(study, kept))
    bits = study.split.near_duplicate_bits
    checked = audits.audit(
        kept,
        tuple(facts.classes),
        gap_days=study.split.gap,
        near_duplicate_bits=bits,
        footprint_deg=footprint,
        assignment=assignment,
        published=published_leaks(kept, bits, footprint) if study.split.method == "published" else None,
        said=giving_away(kept, raw),
        seed=study.study.seed,
    )
    return kept, rejects, replace(facts, notices=(*found.notices, *checked.said, *told) or None), checked


def _rejects(found: Catalog, gone: NDArray[np.bool_], reasons: Sequence[str] | NDArray[np.object_]) -> pd.DataFrame:
    """The rejects of a catalog, and those of its rows that are ``gone`` for ``reasons``."""
    renamed = (
        found.rows[gone]
        .rename(columns={"source_file": "file", "source_sheet": "sheet", "source_row": "row", "label": "class"})
        .rename(columns={"label_text": "label"})
    )
    renamed["image"] = renamed["image_file"]
    left_out = renamed.assign(reason=reasons, published=reasons)[list(REJECT_COLUMNS)]
    return pd.concat([table for table in (found.rejects, left_out) if len(table)] or [found.rejects])


def _write_parquet(rows: pd.DataFrame, shards: Shards, facts: CorpusFacts, folder: Path) -> None:
    """Write the files of the parts, some rows at a time, so that memory does not grow with the corpus."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    classes = tuple(facts.classes)
    schema = _features(facts).arrow_schema
    folder.mkdir()
    for part in PARTS:
        table = rows[rows["split"] == part]
        files = range(0, len(table), FILE_ROWS)
        for number, start in enumerate(files):
            path = folder / f"{part}-{number:05d}-of-{len(files):05d}.parquet"
            chosen = table.iloc[start : start + FILE_ROWS]
            with pq.ParquetWriter(path, schema) as file:
                for i, heavy in enumerate(shards.take(chosen, GROUP_ROWS)):
                    light = chosen.iloc[i * GROUP_ROWS : (i + 1) * GROUP_ROWS]
                    file.write_table(_group(light, heavy, classes, schema, pa))


def _features(facts: CorpusFacts) -> Any:
    import datasets

    kinds = {
        "text": datasets.Value("string"), "integer": datasets.Value("int64"), "number": datasets.Value("float64"),
        "time": datasets.Value("timestamp[ms, tz=UTC]"), "image": datasets.Image(),
        "class": datasets.ClassLabel(names=list(facts.classes)),
    }  # fmt: skip
    return datasets.Features({column.name: kinds[column.kind] for column in (*COLUMNS, *beside.columns(facts.beside))})


def _group(light: pd.DataFrame, heavy: Any, classes: tuple[str, ...], schema: Any, pa: Any) -> Any:
    """Some rows as an Arrow table of ``schema``."""
    columns: dict[str, Any] = {name: light[name] for name in schema.names if name in light}
    # HMI times have at most hundredths of a second; pandas keeps microseconds.
    columns["observed"] = light["observed"].dt.round("ms").dt.as_unit("ms")
    columns["label"] = [classes.index(name) for name in light["label"]]
    columns["header"], columns["extra"] = heavy["header"], heavy["extra"]
    # Bytes with a bare name: with a path, the path would be stored instead of the pixels.
    names = [f"{name}.png" for name in light["id"]]
    pictures = pa.StructArray.from_arrays([heavy["image"].combine_chunks(), pa.array(names)], ["bytes", "path"])
    columns["image"] = pa.chunked_array([pictures])
    arrays = [
        column.combine_chunks().cast(schema.field(name).type)
        if isinstance(column := columns[name], pa.ChunkedArray)
        else pa.array(column, schema.field(name).type, from_pandas=True)
        for name in schema.names
    ]
    return pa.table(arrays, schema=schema)
