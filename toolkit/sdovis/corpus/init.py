"""A first study file for a workbook: guesses are filled in, and comments explain the rest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sdovis import formats
from sdovis.errors import BadInput, Conflict, Problem, UnreadableImage
from sdovis.images.images import SolarImage, read_image
from sdovis.labels import schemes as label_schemes
from sdovis.readers.spreadsheet import Sheet, headings_of, read_sheets
from sdovis.study import Columns
from sdovis.sun.constants import AIA_PIXEL_ARCSEC, CAMERA_PX

IMAGE_NAME = re.compile(r".+\.(fits|fits\.gz|fts|jpe?g|png)$", re.IGNORECASE)
#: What people call the columns, most telling first.
HEADINGS: Mapping[str, Sequence[str]] = {
    "label": (r"mount\s*wilson", r"\bhale\b", r"mcintosh|zpc", r"^kind$", r"label", r"class", r"type"),
    "noaa_ar": (r"noaa", r"^ar\b", r"active region"),
    "observed": (r"observ", r"t_rec|t_obs|date.obs", r"\bdate\b|\btime\b|\but\b"),
    "latitude_deg": (r"^lat",),
    "longitude_deg": (r"^lon", r"^cmd\b"),
    "x_px": (r"^x\b",),
    "y_px": (r"^y\b",),
}
#: Tried in this order: the first that knows every filled cell is taken.
SCHEMES = ("mount-wilson-3", "activity", "mcintosh-z", "flare", "sdo-vt1")
FULL_FRAME_ARCSEC = AIA_PIXEL_ARCSEC * CAMERA_PX  #: of AIA level 1.5 and what is made from it


@dataclass(frozen=True)
class _Found:
    columns: dict[str, str]
    sheets: list[str]
    values: list[str]
    images: list[str]


def init(workbook: Path, output: Path) -> None:
    """Write a commented study file for ``workbook`` to ``output``.

    Raises `BadInput` as `draft` does, and `Conflict` if ``output`` exists.
    """
    text = draft(workbook, output.parent)
    if output.exists():
        raise Conflict(f"{output}: already exists and was not overwritten; choose another --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")


def draft(workbook: Path, folder: Path) -> str:
    """A commented study file for ``workbook``, to be saved in ``folder``.

    Raises `BadInput` if the workbook cannot be read or no column contains image names.
    """
    names = [name for name in headings_of(workbook) if name]
    sheets = [sheet for sheet in read_sheets(workbook, names or None) if _image_column(sheet)]
    if not sheets:
        raise BadInput(
            Problem(
                "no column contains image file names (.fits, .jpg, .png)",
                "add a column that names the image of each row",
                workbook.name,
            )
        )
    found = _guess(sheets)
    images = _image_folder(workbook.parent, found.images)
    first = _open(workbook.parent / images / found.images[0])
    return _write(workbook, folder, found, images, first)


def _image_column(sheet: Sheet) -> str:
    for index, heading in enumerate(sheet.headings):
        cells = [cells[index] for _, cells in sheet.rows[:50] if index < len(cells) and cells[index]]
        if cells and all(IMAGE_NAME.match(cell) for cell in cells):
            return heading
    return ""


def _guess(sheets: Sequence[Sheet]) -> _Found:
    main = sheets[0]
    columns = {"image": _image_column(main)}
    for field, patterns in HEADINGS.items():
        free = [heading for heading in main.headings if heading and heading not in columns.values()]
        match = next((h for p in patterns for h in free if re.search(p, h, re.IGNORECASE)), "")
        if match:
            columns[field] = match
    used = [s for s in sheets if columns["image"] in s.headings and columns.get("label", "") in s.headings] or [main]
    values = [_cell(cells, main.headings, columns.get("label", "")) for _, cells in main.rows]
    images = [_cell(cells, main.headings, columns["image"]) for _, cells in main.rows]
    return _Found(columns, [s.name for s in used if s.name], [v for v in values if v], [i for i in images if i])


def _cell(cells: Sequence[str], headings: Sequence[str], heading: str) -> str:
    index = headings.index(heading) if heading in headings else len(cells)
    return cells[index] if index < len(cells) else ""


def _image_folder(root: Path, names: Sequence[str]) -> str:
    """The folder below ``root`` that contains the first image; '.' if it is not found."""
    for folder in (root, *sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))):
        if names and (folder / names[0]).is_file():
            return os.path.relpath(folder, root)
    return "."


def _open(path: Path) -> SolarImage | None:
    try:
        return read_image(path)
    except (UnreadableImage, OSError):
        return None


def _scheme(values: Sequence[str]) -> str:
    for name in SCHEMES:
        scheme = label_schemes.scheme(name)
        try:
            if values and all(scheme.label(value) is not None for value in set(values)):
                return name
        except label_schemes.UnknownLabel:
            continue
    return "column"


def _channel(name: str, image: SolarImage | None) -> str:
    """The likeliest channel, from the header of a FITS file or from the name of another image."""
    if image is not None and image.header:
        content, instrument = str(image.header.get("CONTENT", "")), str(image.header.get("INSTRUME", ""))
        if instrument.startswith("AIA"):
            return f"aia-{image.header.get('WAVELNTH')}"
        return "hmi-continuum" if "CONTINUUM" in content.upper() else "hmi-magnetogram"
    if wave := re.search(r"(?<!\d)0?(94|131|171|193|211|304|335)(?!\d)", name):
        return f"aia-{wave.group(1)}-browse"
    return "hmi-continuum-browse" if re.search(r"Ic|continuum|intensity", name) else "hmi-magnetogram-browse"


def _write(workbook: Path, folder: Path, found: _Found, images: str, first: SolarImage | None) -> str:
    quote = partial(json.dumps, ensure_ascii=False)
    limit = "" if {"longitude_deg", "x_px"} & found.columns.keys() else "# "
    columns = "\n".join(f"{name} = {quote(heading)}" for name, heading in found.columns.items())
    unknown = [name for name in Columns.model_fields if name not in found.columns]
    if unknown:
        columns += f"\n# not found; add them if the workbook has them: {', '.join(unknown)}"
    # Several rows per image are positions in it. One row per image: the image already shows one region.
    shared = len(set(found.images)) < len(found.images)
    positioned = shared and (
        {"x_px", "y_px"} <= found.columns.keys() or {"latitude_deg", "longitude_deg"} <= found.columns.keys()
    )
    cutout = (
        "cutout_arcsec = 480.0        # side of the square cut out around each position"
        if positioned
        else "# cutout_arcsec = 480.0      # only if each row has a position: side of the square cut out around it"
    )
    scale = "# center_px and arcsec_per_px are read from the FITS header"
    if first is not None and first.frame is None and positioned:
        height, width = first.values.shape[:2]
        scale = (
            f"center_px = [{(width - 1) / 2}, {(height - 1) / 2}]   # CHECK: x, y of the disc centre; the first pixel is 0\n"
            f"arcsec_per_px = {FULL_FRAME_ARCSEC / width:g}          # CHECK: 0.6 arcsec x 4096 / {width} pixels"
        )
    sheets = f"sheets = {quote(found.sheets)}" if found.sheets else "# sheets = [] # default: the first sheet"
    slug = re.sub(r"[^a-z0-9]+", "-", workbook.stem.lower()).strip("-")[:60] or "study"
    scheme, choices = _scheme(found.values), ", ".join((*SCHEMES[:1], "mount-wilson", *SCHEMES[1:], "column"))
    return f"""\
# A study: from this file sdovis makes the dataset, the model, the scores and the release.
# Written by `sdovis init` from {workbook.name}. Everything here was guessed: please review it.
#   sdovis check study.toml      finds every mistake, without writing anything
#   sdovis run study.toml        runs every stage

{formats.KEY} = {formats.newest(formats.STUDY)}

[study]
name = {quote(slug)}     # results go to runs/NAME; lower case
title = {quote(workbook.stem.replace("_", " "))}
seed = 0                     # the same seed gives the same split and training

[source]
root = {quote(os.path.relpath(workbook.parent, folder))}            # folder of the workbook, relative to this file
workbook = {quote(workbook.name)}
images = {quote(images)}     # folder of the images, relative to root
{sheets}
# on_problem = "reject"    # faulty rows go to rejects.csv with the reason instead of stopping the study

[source.columns]           # headings, exactly as in the workbook
{columns}

[images]
channel = {quote(_channel(found.images[0], first))}     # `sdovis plugins` lists all channels
size_px = 224                # side of the images given to the network
{cutout}
{limit}max_longitude_deg = 60.0     # farther from the central meridian, projection makes classes unreliable
{scale}

[labels]
scheme = {quote(scheme)}     # one of {choices}

[split]
method = "temporal"          # train on the past, test on the future; "grouped" splits regions at random
gap_days = 27.0              # days left out between parts: one solar rotation

[backbone]
id = "facebook/dinov2-small" # Hub id or local folder
# or, instead of id, a small network trained from scratch:
# config = {{ model_type = "vit", hidden_size = 128, num_hidden_layers = 4, num_attention_heads = 4, patch_size = 8 }}

[method]
trainable = "all"            # "head" trains only the classifier, which is much faster

[training]                   # any of transformers' TrainingArguments, under its own name
num_train_epochs = 10
per_device_train_batch_size = 32
learning_rate = 5e-5
warmup_steps = 0.1
lr_scheduler_type = "cosine"
# bf16 = true                # mixed precision
# report_to = "wandb"        # or "tensorboard", "trackio"

[publish]
# licence = "cc-by-4.0"
# authors = ["..."]
"""
