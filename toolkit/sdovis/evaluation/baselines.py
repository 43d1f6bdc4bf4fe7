"""What a model has to beat: the majority class, and linear models on features that need no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.channels import spots
from sdovis.channels.channel import Channel
from sdovis.corpus.build import Corpus, layers
from sdovis.statistics import skill

#: Side of the thumbnails, pixels: small enough that a linear model cannot remember single images.
THUMBNAIL_PX = 14
#: Inverse strengths of the L2 penalty that are tried; the validation part decides.
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
QUANTILES = (5, 25, 50, 75, 95, 99)


def predictions(corpus: Corpus, channels: Sequence[Channel], on: Corpus | None = None) -> pd.DataFrame:
    """One row per image of ``on`` (by default the corpus itself), in its order: id, and each baseline's class index.

    ``majority``: the commonest class of the training part. ``raw-pixels``: a logistic regression on 14 x 14 means of
    the 8-bit codes of every channel. ``absolute-field`` (signed channels): one on 14 x 14 means of \\|B\\|.
    ``brightness`` (the others): one on mean, standard deviation and percentiles of the codes. ``spot-measures``
    (channels in which sunspots are dark): one on `spots.measures`. Regressions are weighted to balance the classes and
    fitted on the training part, with the penalty chosen on the validation part.
    """
    shown = on or corpus
    labels = corpus.rows["label"].to_numpy()
    parts = {name: (corpus.rows["split"] == name).to_numpy() for name in ("train", "validation")}
    features = _features(corpus.pictures, channels)
    asked = features if on is None else _features(on.pictures, channels)
    found: dict[str, Any] = {"id": shown.rows["id"]}
    found["majority"] = np.full(len(shown.rows), np.bincount(labels[parts["train"]]).argmax())
    for name, table in features.items():
        model = _linear(table, labels, parts["train"], parts["validation"], len(corpus.classes))
        found[name] = np.asarray(model.predict(asked[name]), dtype=np.int64)
    return pd.DataFrame(found)


def _features(pictures: Sequence[bytes], channels: Sequence[Channel]) -> Mapping[str, NDArray[np.float64]]:
    """Baseline -> (N, features), read one picture at a time."""
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for picture in pictures:
        of: dict[str, list[NDArray[np.float64]]] = {}
        for layer, channel in zip(layers(picture), channels, strict=True):
            of.setdefault("raw-pixels", []).append(_thumbnail(layer))
            if channel.signed:
                field = np.nan_to_num(np.abs(channel.decode(layer)))
                of.setdefault("absolute-field", []).append(_thumbnail(field))
            else:
                levels = np.array([layer.mean(), layer.std(), *np.percentile(layer, QUANTILES)])
                of.setdefault("brightness", []).append(levels)
            if channel.spotted:
                of.setdefault("spot-measures", []).append(spots.measures(channel.decode(layer)))
        for name, parts in of.items():
            rows.setdefault(name, []).append(np.concatenate(parts))
    return {name: np.stack(found) for name, found in rows.items()}


def _thumbnail(image: NDArray[Any]) -> NDArray[np.float64]:
    from PIL import Image

    small = Image.fromarray(np.asarray(image, dtype=np.float32)).resize((THUMBNAIL_PX,) * 2, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).ravel()


def _linear(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    train: NDArray[np.bool_],
    validation: NDArray[np.bool_],
    n_classes: int,
) -> Any:
    """The logistic regression, fitted on the training part, that does best on the validation part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best, chosen = -np.inf, None
    for inverse in INVERSE_PENALTIES:
        regression = LogisticRegression(C=inverse, class_weight="balanced", max_iter=300)
        model = make_pipeline(StandardScaler(), regression).fit(features[train], labels[train])
        matrix = skill.confusion(labels[validation], model.predict(features[validation]), n_classes)
        score = float(skill.balanced_accuracy(matrix))
        if score > best:
            best, chosen = score, model
    return chosen
