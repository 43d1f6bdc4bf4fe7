"""The pictures of a corpus as numbers that need no network: thumbnails, and measures of spots and fields on the Sun."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis import manifests, records
from sdovis.channels import polarity, spots
from sdovis.channels.channel import Channel
from sdovis.channels.surface import Surface, unknown
from sdovis.channels.view import View
from sdovis.corpus.build import Corpus, layers

#: Side of the thumbnails, pixels: small enough that a linear model cannot remember single images.
THUMBNAIL_PX = 14
#: Measures of the Sun, not of the picture: these are boosted too, as a threshold in one of them may tell a class.
MEASURED = ("spot-measures", "polarity-measures")
#: Of tables that were kept: their names, in their order.
ORDER = "names.txt"
QUANTILES = (5, 25, 50, 75, 95, 99)


def tables(corpus: Corpus, channels: Sequence[Channel]) -> Mapping[str, NDArray[np.float64]]:
    """Baseline -> (N, features), read one picture at a time."""
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for picture, surface in zip(corpus.pictures, _surfaces(corpus), strict=True):
        of: dict[str, list[NDArray[np.float64]]] = {}
        for layer, channel in zip(layers(picture), channels, strict=True):
            of.setdefault("raw-pixels", []).append(_thumbnail(layer))
            values = channel.decode(layer)
            here = surface if surface is not None and surface.mu.shape == layer.shape else unknown(layer.shape)
            if channel.signed:
                of.setdefault("absolute-field", []).append(_thumbnail(np.nan_to_num(np.abs(values))))
                if channel.contrast is not None:
                    measured = polarity.measures(values, here, channel.contrast)
                    of.setdefault("polarity-measures", []).append(_logarithmic(measured))
            else:
                levels = np.array([layer.mean(), layer.std(), *np.percentile(layer, QUANTILES)])
                of.setdefault("brightness", []).append(levels)
            if channel.spotted:
                of.setdefault("spot-measures", []).append(_logarithmic(spots.measures(values, here)))
        for name, parts in of.items():
            rows.setdefault(name, []).append(np.concatenate(parts))
    return {name: np.stack(found) for name, found in rows.items()}


def tables_once(corpus: Corpus, channels: Sequence[Channel], kept: Path) -> Mapping[str, NDArray[np.float64]]:
    """`tables`, read from the folder ``kept`` if the same code computed them before from the same corpus."""
    code = (inspect.getsource(module) for module in (polarity, spots, Surface, sys.modules[__name__]))
    made_from = {
        "corpus": corpus.manifest.digest,
        "channels": " ".join(f"{each.name} {each.version}" for each in channels),
        "code": manifests.sha256_text("".join(code)),
    }
    if not manifests.finished(kept, made_from):
        with manifests.whole(kept, stage="measures", made_from=made_from) as beside:
            found = tables(corpus, channels)
            for name, table in found.items():
                np.save(beside / f"{name}.npy", table)
            (beside / ORDER).write_text("\n".join(found))
    return {name: np.load(kept / f"{name}.npy") for name in (kept / ORDER).read_text().split("\n")}


def _surfaces(corpus: Corpus) -> Iterator[Surface | None]:
    """The Sun under each picture; None if a row does not say where it is."""
    view = View.from_json(records.plain(corpus.facts.view))
    rows = corpus.rows
    if not view.cuts_out or not {"latitude_deg", "longitude_deg", "observed"} <= set(rows.columns):
        yield from itertools.repeat(None, len(rows))
        return
    for latitude, longitude, observed in zip(
        rows["latitude_deg"], rows["longitude_deg"], rows["observed"], strict=True
    ):
        yield view.surface(float(latitude), float(longitude), observed.to_pydatetime())


def _logarithmic(measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas and fluxes span decades; numbers and shares are changed little."""
    return np.asarray(np.log1p(measured))


def _thumbnail(image: NDArray[Any]) -> NDArray[np.float64]:
    from PIL import Image

    small = Image.fromarray(np.asarray(image, dtype=np.float32)).resize((THUMBNAIL_PX,) * 2, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).ravel()
