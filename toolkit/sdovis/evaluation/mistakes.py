"""The most confident mistakes on the test part, and the training images that the network takes to be most like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput

#: Mistakes that are listed, one of each region.
LISTED = 12
#: Training images named beside each, one of each region.
NEAREST = 3
#: Training images among which they are looked for, drawn at random if there are more.
SEARCHED = 2000


@dataclass(frozen=True)
class Neighbour:
    """A training image; ``cosine`` is that of its features and another image's. ``observed`` is its time, ISO 8601."""

    id: str
    noaa_ar: int | None
    observed: str
    label: str
    cosine: float


@dataclass(frozen=True)
class Mistake:
    """A test image of ``label`` for which ``predicted`` had the highest ``probability``."""

    id: str
    noaa_ar: int | None
    observed: str
    label: str
    predicted: str
    probability: float
    nearest: tuple[Neighbour, ...] = ()


def most_confident(corpus: Corpus, predictions: pd.DataFrame) -> tuple[int, tuple[Mistake, ...]]:
    """How many images of the test part are classified wrongly, and the most confident of them, one of each region.

    ``predictions`` are those of `sdovis.evaluation.scores.predictions`.
    """
    columns = [f"prob_{name}" for name in corpus.classes]
    test = corpus.rows[corpus.rows["split"] == "test"]
    shares = predictions.loc[test.index, columns].to_numpy()
    best = shares.argmax(axis=1)
    told = test.assign(predicted=best, probability=shares.max(axis=1))
    wrong = told[told["predicted"] != told["label"]]
    listed = wrong.sort_values(["probability", "id"], ascending=[False, True]).drop_duplicates("group").head(LISTED)
    return len(wrong), tuple(_mistake(corpus, row) for row in listed.itertuples())


def with_nearest(
    corpus: Corpus, mistakes: Sequence[Mistake], model: Any, processor: Any, device: Any, seed: int
) -> tuple[int, tuple[Mistake, ...]]:
    """The number of training images that were searched, and the mistakes with the nearest of these, by cosine of features.

    The features are what the classifier's linear layer is given; a network without one has no nearest images, and 0 are
    searched.
    """
    train = corpus.rows[corpus.rows["split"] == "train"]
    if len(train) > SEARCHED:
        train = train.iloc[np.sort(np.random.default_rng(seed).choice(len(train), SEARCHED, replace=False))]
    places = corpus.rows.reset_index().set_index("id")["index"]
    asked = [int(places[mistake.id]) for mistake in mistakes]
    try:
        seen = _unit(_features(corpus, asked, model, processor, device))
        known = _unit(_features(corpus, train.index.tolist(), model, processor, device))
    except BadInput:  # the classifier is more than one linear layer
        return 0, tuple(mistakes)
    found = []
    for mistake, cosines in zip(mistakes, seen @ known.T, strict=True):
        close = train.assign(cosine=cosines).sort_values(["cosine", "id"], ascending=[False, True])
        rows = close.drop_duplicates("group").head(NEAREST).itertuples()
        found.append(replace(mistake, nearest=tuple(_neighbour(corpus, row) for row in rows)))
    return len(train), tuple(found)


def _mistake(corpus: Corpus, row: Any) -> Mistake:
    return Mistake(*_named(corpus, row), corpus.classes[row.predicted], float(row.probability))


def _neighbour(corpus: Corpus, row: Any) -> Neighbour:
    return Neighbour(*_named(corpus, row), float(row.cosine))


def _named(corpus: Corpus, row: Any) -> tuple[str, int | None, str, str]:
    region = None if pd.isna(row.noaa_ar) else int(row.noaa_ar)
    return row.id, region, row.observed.isoformat(), corpus.classes[row.label]


def _features(corpus: Corpus, places: Sequence[int], model: Any, processor: Any, device: Any) -> NDArray[np.float32]:
    from sdovis.learning import features, loader

    found = []
    for start in range(0, len(places), 256):
        codes = loader.decode([corpus.pictures[at] for at in places[start : start + 256]], processor)
        found.append(features.compute(model, codes, processor, precision="no", batch_size=32, device=device))
    return np.concatenate(found)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
