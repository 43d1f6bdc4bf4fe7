"""Which figures a summary has, and what each shows. The drawing itself is in `sdovis.figures`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import figures
from sdovis.corpus.audit import drawn
from sdovis.corpus.build import Corpus, codes_of
from sdovis.corpus.split import PARTS
from sdovis.summary.compare import Row
from sdovis.summary.quantities import Measured, Quantity
from sdovis.summary.timing import Timings

#: Sample cutouts of each class: one row of the figure.
SAMPLES = 6

Captions = list[dict[str, str]]


def draw(corpus: Corpus, measured: Measured, counts: Sequence[Row], timings: Timings | None, folder: Path) -> Captions:
    """Write the figures as PNG into ``folder``, a new folder; return the name and caption of each, in order."""
    folder.mkdir()
    captions: Captions = []

    def keep(name: str, figure: Any, caption: str) -> None:
        figures.save(figure, folder / f"{name}.png")
        captions.append({"file": f"figures/{name}.png", "caption": caption})

    table = pd.DataFrame(counts).set_index(["part", "class"])
    images, regions = (
        table[key].unstack().loc[list(PARTS), list(corpus.classes)].to_numpy() for key in ("images", "regions")
    )
    keep("class_balance", figures.class_balance(images, regions, PARTS, corpus.classes), "Classes in each part.")
    keep("cutouts", _cutouts(corpus), "Images of each class as the network sees them, spread over the years.")
    _draw_positions(keep, measured, corpus.classes)
    for quantity in measured.quantities:
        table, unit = (measured.regions, "region") if quantity.per_region else (measured.images, "image")
        samples, log = by_class(table, quantity.name, corpus.classes), spans(table[quantity.name])
        name, axis = slug(quantity.name, measured.quantities), figures.plain(quantity.axis)
        caption = f"{_sentence(quantity)} of each class, one value per {unit}."
        keep(f"histogram_{name}", figures.histograms(samples, axis, f"{unit}s", log=log), caption)
        keep(f"box_{name}", figures.boxes(samples, axis, log=log), caption)
    for name, figure, caption in drawn(corpus.audit) if corpus.audit else ():
        keep(name, figure, caption)
    if timings is not None:
        _draw_timings(keep, timings)
    return captions


def _sentence(quantity: Quantity) -> str:
    return quantity.axis[:1].upper() + quantity.axis[1:]


def spans(values: pd.Series) -> bool:
    """Whether the values are positive and span two decades or more: a linear axis would crowd most into a corner."""
    return bool(values.min() > 0 and values.max() >= 100 * values.min())


def by_class(table: pd.DataFrame, quantity: str, classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Class -> values of ``quantity``, in the order of ``classes``."""
    return {name: table.loc[table["class"] == name, quantity].to_numpy(dtype=np.float64) for name in classes}


def slug(name: str, quantities: Sequence[Quantity]) -> str:
    """A file name for a quantity, whose name may be a workbook heading; no two quantities share one."""
    plain = [re.sub(r"\W+", "_", quantity.name.casefold(), flags=re.ASCII).strip("_") for quantity in quantities]
    index = [quantity.name for quantity in quantities].index(name)
    return plain[index] if plain[index] and plain.count(plain[index]) == 1 else f"{plain[index]}_{index}".strip("_")


def _cutouts(corpus: Corpus) -> Any:
    import sunpy.visualization.colormaps  # noqa: F401  # registers the colour tables of SDO with matplotlib

    images: list[NDArray[Any]] = []
    titles: list[str] = []
    for index, name in enumerate(corpus.classes):
        own = corpus.rows[corpus.rows["label"] == index].sort_values(["observed", "id"])
        # Each region once, if there are enough regions.
        once = own.drop_duplicates("group")
        own = once if len(once) >= SAMPLES else own
        chosen = own.iloc[np.unique(np.linspace(0, len(own) - 1, SAMPLES).round().astype(int))] if len(own) else own
        for at, number, time in zip(chosen.index, chosen["noaa_ar"], chosen["observed"], strict=True):
            images.append(codes_of(corpus.pictures[at]))
            region = "" if pd.isna(number) else f"AR {int(number)}, "
            titles.append(f"{figures.plain(name)}\n{region}{time:%Y-%m-%d}")
        left = SAMPLES - len(chosen)  # a class with few images leaves its row unfinished: nan is drawn as nothing
        images += [np.full((1, 1), np.nan)] * left
        titles += [""] * left
    return figures.cutouts(images, titles, corpus.facts.view.channels[0].colormap, columns=SAMPLES)


def _draw_positions(keep: Any, measured: Measured, classes: Sequence[str]) -> None:
    names = {quantity.name: quantity for quantity in measured.quantities}
    images = measured.images
    if "latitude_deg" in names:
        naive = images.assign(observed=images["observed"].dt.tz_localize(None))
        points = _points(naive, "observed", "latitude_deg", classes)
        caption = "Butterfly diagram: latitude against time, one point per image."
        x, y = "time of observation (UTC)", "Stonyhurst latitude (°, north positive)"
        keep("butterfly", figures.scatter(points, x, y), caption)
        if images["longitude_deg"].notna().any():
            points = _points(images, "longitude_deg", "latitude_deg", classes)
            x = "Stonyhurst longitude (°, west positive)"
            figure = figures.scatter(points, x, y, degrees=True)
            keep("positions", figure, "Where on the disc the images lie, one point per image.")
    for quantity in measured.quantities:
        if not quantity.place and quantity.name != "missing_share" and "meridian_distance_deg" in names:
            points = _points(images, "meridian_distance_deg", quantity.name, classes)
            caption = f"{_sentence(quantity)} against the distance from the central meridian, one point per image."
            x, y, log = names["meridian_distance_deg"].axis, figures.plain(quantity.axis), spans(images[quantity.name])
            figure = figures.scatter(points, x, y, log=log)
            keep(f"{slug(quantity.name, measured.quantities)}_by_longitude", figure, caption)


def _points(table: pd.DataFrame, x: str, y: str, classes: Sequence[str]) -> Mapping[str, tuple[Any, Any]]:
    known = table[table[x].notna() & table[y].notna()]
    parts = ((name, known[known["class"] == name]) for name in classes)
    return {name: (part[x].to_numpy(), part[y].to_numpy()) for name, part in parts}


def _draw_timings(keep: Any, timings: Timings) -> None:
    latency = {run: series.to_numpy() for run, series in timings.latency.items()}
    if any(len(values) for values in latency.values()):
        keep(
            "latency",
            figures.boxes(latency, "latency (ms per image)", log=True),
            "Latency of each image, one box per run.",
        )
    for b, a in itertools.combinations(timings.latency, 2):
        both = timings.latency[b].index.intersection(timings.latency[a].index, sort=False)
        if len(both):
            x, y = (timings.latency[run].loc[both].to_numpy() for run in (b, a))
            label_x, label_y = (f"latency of {figures.plain(run)} (ms)" for run in (b, a))
            order = list(timings.latency)
            name = f"latency_{order.index(b) + 1}_{order.index(a) + 1}"
            keep(name, figures.paired(x, y, label_x, label_y), f"Latency of {a} against {b}, one point per image.")
    if timings.steps:
        keep(
            "step_time",
            figures.boxes(timings.steps, "time of a training step (ms)", log=True),
            "Time of each training step, one box per run.",
        )
