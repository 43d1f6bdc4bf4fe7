"""A stranger's plug-ins, one of each kind, in a distribution of their own and written against `sdovis.plugin` alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
from pydantic import Field
from sdovis.plugin import (
    Augmentation,
    BadInput,
    Channel,
    LabelScheme,
    MetricSpec,
    Problem,
    RawRow,
    Reader,
    Request,
    Source,
    SourceSettings,
    channel,
)


class JsonLines(SourceSettings):
    """The table ``[source.json-lines]``."""

    file: str = Field(min_length=1, description="A JSON object a line, relative to source.root.")
    least_area_msh: float = Field(0.0, ge=0, title="Least area (MSH)", description="Smaller regions are left out.")


HEADINGS = {
    "image": "Image", "label": "Mount Wilson", "noaa_ar": "NOAA AR", "observed": "Observed (UTC)",
    "latitude_deg": "Latitude (deg)", "longitude_deg": "Longitude (deg)",
}  # fmt: skip


def read(source: Source, settings: JsonLines) -> list[RawRow]:
    """A row a line, each cell by its heading."""
    columns, rows, problems = source.columns.mapped(), [], []
    lines = (source.root / settings.file).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
        except ValueError:
            problems.append(Problem("the line is not JSON", "mend it", settings.file, row=number))
            continue
        if told.get("Area (MSH)", 0) >= settings.least_area_msh:
            cells = {field: str(told.get(heading, "")) for field, heading in columns.items()}
            rows.append(RawRow(settings.file, "", number, cells, columns))
    if problems:
        raise BadInput(problems)
    return rows


READER = Reader(
    read,
    settings=JsonLines,
    fills_in=lambda study: {"columns": HEADINGS},
    rows_from=lambda source, settings: settings.file,
)

SCHEME = LabelScheme(
    name="spot-complexity",
    version="1",
    classes=("simple", "complex"),
    meanings={"simple": "One polarity, or two with a single dividing line.", "complex": "Polarities intermixed."},
    ordered=True,
    merged={
        "alpha": "simple", "beta": "simple", "gamma": "complex",
        "beta-gamma": "complex", "beta-delta": "complex", "beta-gamma-delta": "complex",
    },
    augmentations=frozenset({"flip_ns", "flip_ew", "one_step"}),
)  # fmt: skip


def _one_step(pictures, which, signed):
    """Each code one step up, one down, or as it is, from a stream of the picture's own; 0 stays missing."""
    import torch

    out = pictures.clone()
    for picture, seed in zip(out, which, strict=True):
        step = torch.randint(-1, 2, picture.shape, generator=torch.Generator().manual_seed(int(seed)))
        picture[:] = torch.where(picture > 0, (picture + step.to(picture.device)).clamp(1, 255), 0)
    return out


ONE_STEP = Augmentation("one_step", outcomes=1 << 15, apply=_one_step)

FIELD = channel("hmi-magnetogram")
UNSIGNED = Channel(
    name="hmi-unsigned",
    version="1",
    title="HMI unsigned line-of-sight field",
    unit="G",
    source="|B| in equal steps to 1000 G",
    colormap="gray",
    levels=np.concatenate([[np.nan], np.linspace(0, 1000, 255)]).astype(np.float32),
    physical=lambda image: np.abs(FIELD.physical(image)),
    contradictions=FIELD.contradictions,
)

COMPLEX_FOUND = MetricSpec(
    "complex-found",
    "Share of the last class that is found.",
    "This file.",
    lambda matrix: np.asarray(matrix)[..., -1, -1] / np.asarray(matrix)[..., -1, :].sum(axis=-1),
)


def archive(asked: Request) -> list[str]:
    """A release as one file: ``sdovis publish RUN --to zip:PATH``, without the ending."""
    from sdovis.plugin import Release  # not above: a Space, which has the other plug-ins, has no releases

    release = Release.load(asked.release)
    return [f"{asked.place}.zip" if asked.dry_run else shutil.make_archive(asked.place, "zip", release.folder)]
