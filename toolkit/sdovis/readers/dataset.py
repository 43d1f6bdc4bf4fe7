"""The reader `dataset`: any image data set of the Hugging Face Hub, or a folder laid out as one, with its own parts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from sdovis import disk
from sdovis.errors import BadInput, HubFailure, Problem, UnreadableImage
from sdovis.images.address import Address
from sdovis.readers.rows import MadeLine, RawRow, cell_text, of_lines
from sdovis.study import Reader, Source, SourceSettings

#: The heading of the part, where the data set has no column of that name.
PART = "split"
TABLES = (".parquet", ".parq")


class DatasetSettings(SourceSettings):
    """An image data set as ``datasets.load_dataset`` opens it: Parquet with the pictures in it, or folders of pictures."""

    path: str = Field(min_length=1, description="Folder of the data set, relative to source.root.")
    hub: str = Field(
        "",
        pattern=r"^([\w.-]+/[\w.-]+)?$",
        description="Data set of the Hub, `owner/name`, which is downloaded into path if that is not there.",
    )
    revision: str = Field(
        "", pattern="^([0-9a-f]{40})?$", description="Commit of the data set on the Hub, all 40 digits; goes with hub."
    )

    @model_validator(mode="after")
    def _names_what_it_downloads(self) -> DatasetSettings:
        if bool(self.hub) != bool(self.revision):
            raise ValueError("hub and revision go together: a data set that changes gives another corpus")
        return self


def read(source: Source, settings: DatasetSettings) -> list[RawRow]:
    """A row for each picture. Columns are the data set's own; a class number is written as its name.

    The part is the data set's split, unless it has the column that ``source.columns.part`` names. Raises `BadInput` for a
    folder that is no image data set, and for columns that are missing; `HubFailure` if the Hub does not give it.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    folder = _folder(source, settings)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        what = "is in the format of Dataset.save_to_disk, whose files hold no pictures that can be named"
        raise BadInput(Problem(what, "save each part with Dataset.to_parquet", settings.path))
    try:
        builder = datasets.load_dataset_builder(str(folder))
        files = {str(part): list(map(str, of)) for part, of in (builder.config.data_files or {}).items()}
    except (DatasetsError, OSError, ValueError) as error:
        what = f"cannot be opened as a data set: {str(error).splitlines()[0]}"
        raise BadInput(Problem(what, "name a folder that datasets.load_dataset opens", settings.path)) from error
    image = source.columns.mapped()["image"]
    if all(name.lower().endswith(TABLES) for of in files.values() for name in of):
        lines = [line for part, of in files.items() for name in of for line in _of_table(folder, name, part, image)]
    else:
        lines = list(_of_folders(datasets, builder, folder, image, settings.path))
    if not lines:
        raise BadInput(Problem("has no rows", file=settings.path))
    return of_lines(lines, source.columns.mapped(), "dataset")


def _folder(source: Source, settings: DatasetSettings) -> Path:
    folder = source.root / settings.path
    if folder.is_dir():
        return folder
    if not settings.hub:
        hint = "set source.root and source.dataset.path, or source.dataset.hub to download it"
        raise BadInput(Problem("there is no such folder", hint, str(folder)))
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    beside = folder.with_name(f".{folder.name}.part")  # what is there already is not downloaded again
    try:
        snapshot_download(settings.hub, repo_type="dataset", revision=settings.revision, local_dir=beside)
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise HubFailure(f"{settings.hub} at {settings.revision[:10]}: {str(error).splitlines()[0]}") from error
    disk.move(beside, folder)
    return folder


def _of_table(folder: Path, name: str, part: str, image: str) -> Iterator[MadeLine]:
    """The rows of a Parquet file, without their pictures."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = os.path.relpath(name, folder)
    try:
        table = pq.ParquetFile(name)
        features = datasets.Features.from_arrow_schema(table.schema_arrow)
        if image not in features or not _holds_pictures(features[image], table.schema_arrow.field(image).type):
            found = [
                each for each, kind in features.items() if _holds_pictures(kind, table.schema_arrow.field(each).type)
            ]
            hint = f"set source.columns.image to {found[0]!r}" if found else "this reader is for data sets of images"
            raise BadInput(Problem(f"column {image!r} holds no pictures", hint, file))
        plain = [each for each, kind in features.items() if isinstance(kind, datasets.Value | datasets.ClassLabel)]
        names = {each: kind.names for each, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
        number = 0
        for batch in table.iter_batches(columns=[each for each in plain if each != image]):
            for cells in batch.to_pylist() if batch.num_columns else [{}] * batch.num_rows:
                texts = {heading: _named(value, names.get(heading)) for heading, value in cells.items()}
                address = str(Address.entry(file, image, number))
                number += 1
                yield (file, "", number), {PART: part, **texts, image: address}
    except (pa.ArrowException, OSError, UnreadableImage) as error:
        raise BadInput(Problem(f"cannot be read: {str(error).splitlines()[0]}", file=file)) from error


def _holds_pictures(feature: Any, stored: Any) -> bool:
    """Whether a column is one of images: declared so, or a struct of bytes and path as `datasets` stores them."""
    import pyarrow as pa

    struct = pa.types.is_struct(stored) and {field.name for field in stored} >= {"bytes", "path"}
    return type(feature).__name__ == "Image" or struct or pa.types.is_binary(stored)


def _named(value: Any, names: Sequence[str] | None) -> str:
    if names is None:
        return cell_text(value)
    # `datasets` writes -1 for a class that is not told.
    return names[value] if value is not None and 0 <= value < len(names) else ""


def _of_folders(datasets: Any, builder: Any, folder: Path, image: str, shown: str) -> Iterator[MadeLine]:
    """The rows of folders of pictures, and of what their metadata.csv or .jsonl says of them."""
    for part, data in builder.as_streaming_dataset().items():
        features = data.features or {}
        if not isinstance(features.get(image), datasets.Image):
            found = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
            hint = (
                f"set source.columns.image to {found[0]!r}" if found else "a table of file names is read by spreadsheet"
            )
            raise BadInput(Problem(f"column {image!r} holds no pictures", hint, shown))
        names = {each: kind.names for each, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
        for number, row in enumerate(data.cast_column(image, datasets.Image(decode=False)), 1):
            path = Path(str(row[image].get("path") or ""))
            if row[image].get("bytes") or not path.is_relative_to(folder.resolve()):
                what = "its pictures lie in archives or elsewhere, and not in folders of their own"
                raise BadInput(Problem(what, "unpack them, or save the data set as Parquet", shown))
            texts = {name: _named(value, names.get(name)) for name, value in row.items() if name != image}
            yield (shown, str(part), number), {PART: str(part), **texts, image: str(path.relative_to(folder.resolve()))}


def _fills_in(study: Mapping[str, Any]) -> dict[str, Any]:
    settings = study.get("source", {}).get("dataset", {})
    path = settings.get("path", "") if isinstance(settings, Mapping) else ""
    columns = {"image": "image", "label": "label", "part": PART}
    return {"columns": columns, **({"images": path} if isinstance(path, str) and path else {})}


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(
    read, settings=DatasetSettings, fills_in=_fills_in, rows_from=lambda source, settings: settings.hub or settings.path
)
