"""What a model has to beat: the majority class, and linear and boosted models on features that need no network."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import manifests, records
from sdovis.channels import polarity, spots
from sdovis.channels.channel import Channel
from sdovis.channels.surface import Surface, unknown
from sdovis.channels.view import View
from sdovis.corpus.build import Corpus, layers
from sdovis.statistics import skill

#: Side of the thumbnails, pixels: small enough that a linear model cannot remember single images.
THUMBNAIL_PX = 14
#: Inverse strengths of the L2 penalty that are tried; the validation part decides.
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
#: Boosted trees that are tried: leaves of a tree, trees, learning rate.
BOOSTED = ((4, 100, 0.05), (4, 200, 0.1), (8, 100, 0.05), (8, 200, 0.1))
#: Measures of the Sun, not of the picture: these are boosted too, as a threshold in one of them may tell a class.
MEASURED = ("spot-measures", "polarity-measures")
#: Of features that were kept: their names, in their order.
ORDER = "names.txt"
QUANTILES = (5, 25, 50, 75, 95, 99)


def predictions(
    corpus: Corpus,
    channels: Sequence[Channel],
    on: Corpus | None = None,
    *,
    learned_from: Sequence[str] = ("train",),
    kept: Path | None = None,
) -> pd.DataFrame:
    """One row per image of ``on`` (by default the corpus itself), in its order: id, and each baseline's class index.

    ``majority``: the commonest class of the training part. ``raw-pixels``: a logistic regression on 14 x 14 means of
    the 8-bit codes of every channel. ``absolute-field`` (signed channels): one on 14 x 14 means of \\|B\\|.
    ``brightness`` (the others): one on mean, standard deviation and percentiles of the codes. ``spot-measures``
    (channels in which sunspots are dark): one on `spots.measures`. ``polarity-measures`` (signed channels): one on
    `polarity.measures`. Both measures are taken on the Sun where a row says its place, and are on a logarithmic scale.
    ``...-boosted``: gradient-boosted trees on the same. ``union-boosted``: on all of these features together. All are
    weighted to balance the classes and fitted on the training part; the validation part, which shares no region with
    it, chooses penalty or trees. If the model was ``learned_from`` both, what was chosen is then fitted on both, too.
    Features of the corpus are ``kept`` in a folder, if there is one, for the next source.
    """
    shown = on or corpus
    labels = corpus.rows["label"].to_numpy()
    parts = {name: (corpus.rows["split"] == name).to_numpy() for name in ("train", "validation")}
    parts["learned"] = corpus.rows["split"].isin(list(learned_from)).to_numpy()
    tables = features(corpus, channels) if kept is None else features_once(corpus, channels, kept)
    asked = tables if on is None else features(on, channels)
    fit = partial(_best, labels=labels, parts=parts, n_classes=len(corpus.classes))
    found: dict[str, Any] = {"id": shown.rows["id"]}
    found["majority"] = np.full(len(shown.rows), np.bincount(labels[parts["learned"]]).argmax())
    for name, table in tables.items():
        found[name] = fit(_linear(), table, asked[name])
        if name in MEASURED:
            found[f"{name}-boosted"] = fit(_boosted(), table, asked[name])
    if any(name in MEASURED for name in tables):
        found["union-boosted"] = fit(_boosted(), _union(tables), _union(asked))
    return pd.DataFrame(found)


def features_once(corpus: Corpus, channels: Sequence[Channel], kept: Path) -> Mapping[str, NDArray[np.float64]]:
    """`features`, read from the folder ``kept`` if the same code computed them before from the same corpus."""
    code = (inspect.getsource(module) for module in (polarity, spots, Surface, sys.modules[__name__]))
    made_from = {
        "corpus": corpus.manifest.digest,
        "channels": " ".join(f"{each.name} {each.version}" for each in channels),
        "code": manifests.sha256_text("".join(code)),
    }
    if not manifests.finished(kept, made_from):
        with manifests.whole(kept, stage="measures", made_from=made_from) as beside:
            found = features(corpus, channels)
            for name, table in found.items():
                np.save(beside / f"{name}.npy", table)
            (beside / ORDER).write_text("\n".join(found))
    return {name: np.load(kept / f"{name}.npy") for name in (kept / ORDER).read_text().split("\n")}


def features(corpus: Corpus, channels: Sequence[Channel]) -> Mapping[str, NDArray[np.float64]]:
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


def _union(tables: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(list(tables.values()), axis=1)


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


def _linear() -> Iterator[Any]:
    """Logistic regressions, from the strongest penalty to the weakest."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for inverse in INVERSE_PENALTIES:
        yield make_pipeline(StandardScaler(), LogisticRegression(C=inverse, class_weight="balanced", max_iter=300))


def _boosted() -> Iterator[Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    for leaves, trees, rate in BOOSTED:
        yield HistGradientBoostingClassifier(
            max_leaf_nodes=leaves,
            max_iter=trees,
            learning_rate=rate,
            class_weight="balanced",
            early_stopping=False,
            random_state=0,
        )


def _best(
    candidates: Iterable[Any],
    table: NDArray[np.float64],
    asked: NDArray[np.float64],
    *,
    labels: NDArray[np.int64],
    parts: Mapping[str, NDArray[np.bool_]],
    n_classes: int,
) -> NDArray[np.int64]:
    """Class of every row of ``asked``, predicted by the candidate that does best on the validation part; of equals the first.

    Candidates are fitted on the training part of ``table``, whose rows have the ``labels``; the best is fitted again if more
    is to be learned from.
    """
    from sklearn.base import clone

    train, validation, learned = parts["train"], parts["validation"], parts["learned"]

    def score(model: Any) -> float:
        matrix = skill.confusion(labels[validation], model.predict(table[validation]), n_classes)
        return float(skill.balanced_accuracy(matrix))

    fitted = [model.fit(table[train], labels[train]) for model in candidates]
    best = max(fitted, key=score)
    if (learned != train).any():
        best = clone(best).fit(table[learned], labels[learned])
    return np.asarray(best.predict(asked), dtype=np.int64)
