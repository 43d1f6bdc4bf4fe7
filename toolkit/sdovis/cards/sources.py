"""What a card says about a run's files: how the corpus is stored, which network was trained, an example of each class."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdovis.corpus import beside
from sdovis.corpus.split import PARTS
from sdovis.learning.model_files import ConfigFile, ProcessorFile
from sdovis.learning.record import TrainingRecord
from sdovis.statistics.tabular import TableColumn

#: Names of files may have 255 bytes; a class has a number besides.
LONGEST_SLUG = 60
#: PIL's filters by the number that processors keep.
RESAMPLING = {0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming"}


@dataclass(frozen=True)
class Storage:
    """The Parquet files: the Hub's description of their columns, and part -> (examples, bytes in memory)."""

    features: Sequence[Mapping[str, Any]]
    splits: Mapping[str, tuple[int, int]]
    download_bytes: int
    dataset_bytes: int


@dataclass(frozen=True)
class Network:
    """The network. ``hub_id`` is empty for local weights and networks from scratch, ``backbone`` for the latter only."""

    backbone: str
    hub_id: str
    revision: str
    folder_sha256: str
    architecture: str
    model_type: str
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resampling: str


@dataclass(frozen=True)
class Example:
    """A test image published with the model: the first of its class, not chosen by its outcome."""

    id: str
    label: str
    file: str
    png: bytes = field(repr=False)
    probabilities: Mapping[str, float]


def storage(folder: Path) -> Storage:
    """The Parquet files of a corpus folder."""
    import datasets
    import pyarrow.parquet as pq

    splits, download = {}, 0
    features: list[Mapping[str, Any]] = []
    for part in PARTS:
        rows = size = 0
        for path in sorted((folder / "data").glob(f"{part}-*.parquet")):
            file = pq.ParquetFile(path)
            features = datasets.Features.from_arrow_schema(file.schema_arrow)._to_yaml_list()
            rows += file.metadata.num_rows
            size += sum(file.read_row_group(i).nbytes for i in range(file.num_row_groups))
            download += path.stat().st_size
        splits[part] = (rows, size)
    return Storage(features, splits, download, sum(size for _, size in splits.values()))


def strange(folder: Path, given: Sequence[TableColumn]) -> dict[str, int]:
    """Of values beside the images: name -> rows of validation and test whose value is unlike those of the training part."""
    import pyarrow.dataset as ds

    if not given:
        return {}
    files = [path for part in PARTS[1:] for path in sorted((folder / "data").glob(f"{part}-*.parquet"))]
    columns = [beside.PREFIX + each.name for each in given]
    return beside.strange(given, ds.dataset(files, format="parquet").to_table(columns=columns).to_pandas())


def network(given_id: str | None, training: TrainingRecord, config: ConfigFile, processor: ProcessorFile) -> Network:
    """The network that was trained; ``given_id`` is the study's ``backbone.id``."""
    # What training recorded counts: a folder is identified by its contents, anything else by the study's own words.
    recorded = training.made_from["backbone"]
    local = re.fullmatch("[0-9a-f]{64}", recorded) is not None
    given = {} if local else json.loads(recorded)
    hub_id = given.get("id") or ""
    return Network(
        backbone=Path(given_id or "").resolve().name if local else hub_id,
        hub_id=hub_id,
        revision=given.get("revision") or "",
        folder_sha256=recorded if local else "",
        architecture=config.architectures[0],
        model_type=config.model_type,
        size_px=processor.size["height"],
        mean=processor.image_mean,
        std=processor.image_std,
        resampling=RESAMPLING[processor.resample],
    )


def examples(run_dir: Path, classes: Sequence[str]) -> tuple[Example, ...]:
    """The first test image of each class, in the order of the classes."""
    import pandas as pd
    import pyarrow.dataset as ds

    files = sorted((run_dir / "corpus" / "data").glob("test-*.parquet"))
    data = ds.dataset(files, format="parquet")
    labels = data.to_table(columns=["label"]).column("label").to_pylist()
    first = [labels.index(index) for index in range(len(classes)) if index in labels]
    predictions = pd.read_parquet(run_dir / "scores" / "predictions.parquet").set_index("id")
    found = []
    for row in data.take(first, columns=["id", "label", "image"]).to_pylist():
        name = classes[row["label"]]
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:LONGEST_SLUG].strip("-") or "class"
        shares = {c: float(predictions.loc[row["id"], f"prob_{c}"]) for c in classes}
        ranked = dict(sorted(shares.items(), key=lambda item: -item[1]))
        found.append(Example(row["id"], name, f"examples/{row['label']}-{slug}.png", row["image"]["bytes"], ranked))
    return tuple(found)
