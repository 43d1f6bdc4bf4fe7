"""A first study file for a workbook: guesses are filled in, and comments explain the rest."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from sdovis import formats
from sdovis.corpus import headings
from sdovis.errors import BadInput, Conflict, Problem, UnreadableImage
from sdovis.images.images import SolarImage, read_image
from sdovis.images.pointing import limb
from sdovis.images.timestamps import SUFFIXES, name_pattern, taken_at
from sdovis.labels import schemes as label_schemes
from sdovis.readers import tables
from sdovis.readers.grid import Sheet, matching
from sdovis.study import Columns
from sdovis.sun import notation, times
from sdovis.sun.constants import AIA_PIXEL_ARCSEC, CAMERA_PX, MEAN_RADIUS_ARCSEC
from sdovis.sun.geometry import DiscFrame

#: What people call the columns, most telling first.
HEADINGS: Mapping[str, Sequence[str]] = {
    "label": (
        r"mount\s*wilson",
        r"\bhale\b",
        r"^mag(netic)?\b",
        r"mcintosh|zpc",
        r"^kind$",
        r"label",
        r"class",
        r"type",
    ),
    "noaa_ar": (r"noaa", r"^ar\b", r"active.?region", r"^region"),
    "observed": (r"observ", r"t_rec|t_obs|date.obs", r"\bdate\b|\btime\b|\but\b"),
    "latitude_deg": (r"^lat",),
    "longitude_deg": (r"^lon", r"^cmd\b"),
    "location": (r"^location", r"^position", r"^loc\b"),
    "x_px": (r"^x\b",),
    "y_px": (r"^y\b",),
}
#: Columns that together give a position.
POSITIONS = ({"x_px", "y_px"}, {"latitude_deg", "longitude_deg"}, {"location"})
#: How many filled cells of a column are looked at to tell whether it holds the names of images.
FIRST_CELLS = 200
#: How many images the disc is measured in.
MEASURED = 5
#: Tried in this order: the first that knows every filled cell is taken.
SCHEMES = ("mount-wilson-3", "activity", "mcintosh-z", "flare", "sdo-vt1")
FULL_FRAME_ARCSEC = AIA_PIXEL_ARCSEC * CAMERA_PX  #: of AIA level 1.5 and what is made from it


@dataclass(frozen=True)
class _Found:
    """What was found: field -> heading, sheets, the texts of labels and images, and remarks for whoever reviews it."""

    columns: dict[str, str]
    sheets: list[str]
    values: list[str]
    images: list[str]
    header_row: int | None = None
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Disc:
    """Where the solar disc is, as measured in ``images`` images: pixels, and arc seconds per pixel."""

    center_px: tuple[float, float]
    arcsec_per_px: float
    images: int


#: What reads the cells of each field; the label is read by its scheme, and a time in the scale that its heading names.
_PARSERS: Mapping[str, Callable[[str], object]] = {
    "noaa_ar": notation.regions,
    "latitude_deg": notation.latitude,
    "longitude_deg": notation.longitude,
    "location": notation.location,
    "x_px": notation.pixel,
    "y_px": notation.pixel,
}


def why_unread(name: str, heading: str, text: str) -> str:
    """Why ``text``, below ``heading``, cannot be read as the field ``name``; '' if it can, or only a label scheme reads it."""
    if wrong := headings.fault(name, heading, text):
        return wrong.what
    try:
        if name == "observed":
            times.time(text, scale=times.scale_of(heading))
        elif name in _PARSERS and not notation.is_nothing(text):
            _PARSERS[name](text)
    except BadInput as error:
        return error.problems[0].what
    return ""


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
    tabs = tables.tabs(workbook)
    grids = tables.read(workbook, tabs.shown)
    found = [(grid.likely_heading_row(), grid) for grid in grids]
    sheets = [sheet for row, grid in found if _image_column(sheet := grid.sheet(row))]
    if not sheets:
        raise BadInput(
            Problem(
                f"no column contains image file names ({', '.join(SUFFIXES)})",
                "add a column that names the image of each row",
                workbook.name,
            )
        )
    guessed = _guess(sheets, {grid.name: grid.sheet().heading_row for grid in grids})
    guessed.remarks.extend(f"sheet {name!r} is hidden, so it was not looked at" for name in tabs.hidden)
    folder_of_images = _image_folder(workbook.parent, guessed.images)
    there = [path for name in guessed.images if (path := workbook.parent / folder_of_images / name).is_file()]
    first = _open(there[0]) if there else None
    return _write(workbook, folder, guessed, folder_of_images, first, _disc(there, first))


def _image_column(sheet: Sheet) -> str:
    """The heading of the column that mostly holds names of images; '' if there is none."""
    shares: dict[str, float] = {}
    for index, heading in enumerate(sheet.headings):
        cells = [text for line in sheet.rows if (text := line.text(index))][:FIRST_CELLS]
        if heading and cells:
            shares.setdefault(heading, sum(map(_names_an_image, cells)) / len(cells))
    best = max(shares, key=lambda heading: shares[heading], default="")
    return best if shares.get(best, 0) >= 0.5 else ""


def _names_an_image(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def _guess(sheets: Sequence[Sheet], first_rows: Mapping[str, int]) -> _Found:
    """``first_rows`` says in which row of each sheet headings are looked for unless the study says where they are."""
    main = sheets[0]
    columns = {"image": _image_column(main)}
    remarks = []
    for name, patterns in HEADINGS.items():
        free = [heading for heading in main.headings if heading and heading not in columns.values()]
        for heading in dict.fromkeys(h for p in patterns for h in free if re.search(p, h, re.IGNORECASE)):
            remark, usable = _tried(main, name, heading)
            remarks += [remark] if remark else []
            if usable:
                columns[name] = heading
                break
    row = main.heading_row if main.heading_row != first_rows[main.name] else None
    used = [main]
    for sheet in sheets[1:]:
        alike = all(matching(sheet.headings, columns[f]) for f in ("image", "label") if f in columns)
        if alike and sheet.heading_row == (row or first_rows[sheet.name]):
            used.append(sheet)
        else:
            remarks.append(f"sheet {sheet.name!r} also names images, but its headings are not those of {main.name!r}")
    values = _cells(main, columns.get("label", ""))
    images = [text for text in _cells(main, columns["image"]) if _names_an_image(text)]
    return _Found(columns, [s.name for s in used if s.name], values, images, row, remarks)


def _tried(sheet: Sheet, name: str, heading: str) -> tuple[str, bool]:
    """What is to be said of the column as field ``name``, from reading its cells, and whether most of them can be read."""
    if len(matching(sheet.headings, heading)) > 1:
        return f"the heading {heading!r} occurs more than once, so it was not taken as {name}", False
    texts = Counter(_cells(sheet, heading))
    wrong = {text: why for text in texts if (why := why_unread(name, heading, text))}
    index = sheet.headings.index(heading)
    faults = [line.faults[index].what for line in sheet.rows if index in line.faults]
    unread, cells = sum(texts[text] for text in wrong) + len(faults), texts.total() + len(faults)
    if not cells:
        return f"{heading!r} is blank, so it was not taken as {name}", False
    if not unread:
        return "", True
    usable = 2 * unread <= cells
    taken, why = "taken" if usable else "not taken", [*wrong.values(), *faults][0]
    return f"{heading!r} was {taken} as {name}: {unread} of {cells} cells cannot be read ({why})", usable


def _cells(sheet: Sheet, heading: str) -> list[str]:
    """The filled cells below ``heading`` that have a value; none if there is no such heading."""
    if heading not in sheet.headings:
        return []
    index = sheet.headings.index(heading)
    return [text for line in sheet.rows if (text := line.text(index)) and index not in line.faults]


def _image_folder(root: Path, names: Sequence[str]) -> str:
    """The folder below ``root`` that contains one of the first images; '.' if none is found."""
    for folder in (root, *sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))):
        if any((folder / name).is_file() for name in names[:FIRST_CELLS]):
            return os.path.relpath(folder, root)
    return "."


def _disc(paths: Sequence[Path], first: SolarImage | None) -> _Disc | None:
    """The disc of images that say nothing of it, from the limb; None if it is known, not needed or not seen."""
    if first is None or first.frame is not None or first.grid is not None:
        return None
    found = []
    for path in list(dict.fromkeys(paths))[:: max(1, len(set(paths)) // MEASURED)][:MEASURED]:
        image = _open(path)
        if image is None or image.values.shape[:2] != first.values.shape[:2]:
            continue
        seen = limb(image.values if image.values.ndim == 2 else image.values.mean(axis=2))
        if seen is not None:
            time = image.observed or taken_at(path, name_pattern("*"))
            radius = DiscFrame.at(time, (0.0, 0.0), 1.0).radius_arcsec if time else MEAN_RADIUS_ARCSEC
            found.append((*seen.center_px, radius / seen.radius_px))
    if not found:
        return None
    x, y, scale = (median(values) for values in zip(*found, strict=True))
    return _Disc((x, y), scale, len(found))


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
    """The likeliest channel, from the header of an image or, if it has none, from its name."""
    if image is not None and image.header:
        content, instrument = str(image.header.get("CONTENT", "")), str(image.header.get("INSTRUME", ""))
        browse = "-browse" if image.is_picture else ""  # Helioviewer's JPEG2000 have a header and grey levels
        if instrument.startswith("AIA"):
            return f"aia-{image.header.get('WAVELNTH')}{browse}"
        return f"hmi-{'continuum' if 'CONTINUUM' in content.upper() else 'magnetogram'}{browse}"
    if wave := re.search(r"(?<!\d)0?(94|131|171|193|211|304|335)(?!\d)", name):
        return f"aia-{wave.group(1)}-browse"
    return "hmi-continuum-browse" if re.search(r"Ic|continuum|intensity", name) else "hmi-magnetogram-browse"


def _write(
    workbook: Path, folder: Path, found: _Found, images: str, first: SolarImage | None, disc: _Disc | None
) -> str:
    quote = partial(json.dumps, ensure_ascii=False)
    limit = "" if {"longitude_deg", "location", "x_px"} & found.columns.keys() else "# "
    columns = "\n".join(f"{name} = {quote(heading)}" for name, heading in found.columns.items())
    unknown = [name for name in Columns.model_fields if name not in (*found.columns, "beside")]
    if unknown:
        columns += f"\n# not found; add them if the workbook has them: {', '.join(unknown)}"
    columns += "".join(f"\n# CHECK: {' '.join(remark.split())}" for remark in found.remarks)
    # Several rows per image are positions in it. One row per image: the image already shows one region.
    shared = len(set(found.images)) < len(found.images)
    positioned = shared and any(fields <= found.columns.keys() for fields in POSITIONS)
    cutout = (
        "cutout_arcsec = 480.0        # side of the square cut out around each position"
        if positioned
        else "# cutout_arcsec = 480.0      # only if each row has a position: side of the square cut out around it"
    )
    scale = "# center_px and arcsec_per_px are read from the FITS header"
    if disc is not None:
        x, y = disc.center_px
        scale = (
            f"center_px = [{x:.1f}, {y:.1f}]   # CHECK: x, y of the disc centre, from the limb in {disc.images} images\n"
            f"arcsec_per_px = {disc.arcsec_per_px:.4g}        # CHECK: from the limb; the first pixel is 0"
        )
    elif first is not None and first.frame is None and first.grid is None and positioned:
        height, width = first.values.shape[:2]
        scale = (
            f"center_px = [{(width - 1) / 2}, {(height - 1) / 2}]   # CHECK: x, y of the disc centre; the first pixel is 0\n"
            f"arcsec_per_px = {FULL_FRAME_ARCSEC / width:g}          # CHECK: 0.6 arcsec x 4096 / {width} pixels"
        )
    sheets = f"sheets = {quote(found.sheets)}" if found.sheets else "# sheets = [] # default: the first sheet"
    header_row = (
        f"header_row = {found.header_row}" if found.header_row else "# header_row = 1 # default: the first filled row"
    )
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
{header_row}
# on_problem = "reject"    # faulty rows go to rejects.csv with the reason instead of stopping the study

[source.columns]           # headings, as in the workbook
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
