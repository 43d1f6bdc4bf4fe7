"""What a model has to beat: the majority class, and linear models on things that need no network."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.corpus.build import Corpus
from sdovis.statistics import skill
from sdovis.sun.channels import Channel

#: Side of the thumbnails, pixels: small enough that a linear model cannot remember single images.
THUMBNAIL_PX = 14
#: Strengths of the L2 penalty (inverse) tried; the validation part chooses.
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def predictions(corpus: Corpus, channel: Channel) -> pd.DataFrame:
    """A row an image of the corpus, in its order: id, and the predicted class index of each baseline.

    ``majority``: the commonest class of the training part. ``raw-pixels``: a logistic regression on 14 x 14 means of
    the 8-bit codes. ``absolute-field`` (signed channels) or ``brightness``: one on 14 x 14 means of \\|B\\|, or on mean,
    standard deviation and percentiles of the values. Weighted to balanced classes, fitted on the training part, the
    penalty chosen on the validation part.
    """
    labels = corpus.rows["label"].to_numpy()
    parts = {name: (corpus.rows["split"] == name).to_numpy() for name in ("train", "validation")}
    features = _features(corpus.rows["image"], channel)
    found: dict[str, Any] = {"id": corpus.rows["id"]}
    found["majority"] = np.full(len(labels), np.bincount(labels[parts["train"]]).argmax())
    for name, table in features.items():
        found[name] = _linear(table, labels, parts["train"], parts["validation"], len(corpus.classes))
    return pd.DataFrame(found)


def _features(images: pd.Series, channel: Channel) -> Mapping[str, NDArray[np.float64]]:
    codes = [_pixels(png) for png in images]
    pixels = np.stack([_thumbnail(image) for image in codes])
    if channel.signed:
        absolute = np.stack([_thumbnail(np.nan_to_num(np.abs(channel.decode(image)))) for image in codes])
        return {"raw-pixels": pixels, "absolute-field": absolute}
    quantiles = (5, 25, 50, 75, 95, 99)
    brightness = np.stack([[i.mean(), i.std(), *np.percentile(i, quantiles)] for i in codes])
    return {"raw-pixels": pixels, "brightness": brightness}


def _pixels(png: bytes) -> NDArray[Any]:
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("L"))


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
) -> NDArray[np.int64]:
    """Predicted class of every row by the logistic regression that does best on the validation part."""
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
    assert chosen is not None
    return np.asarray(chosen.predict(features), dtype=np.int64)
