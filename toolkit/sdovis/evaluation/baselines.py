"""What a model has to beat: the majority class, and linear and boosted models on features that need no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.channels.channel import Channel
from sdovis.corpus import beside, measures
from sdovis.corpus.build import Corpus
from sdovis.statistics import shallow, skill

#: Inverse strengths of the L2 penalty that are tried; the validation part decides.
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
#: Boosted trees that are tried: leaves of a tree, trees, learning rate.
BOOSTED = ((4, 100, 0.05), (4, 200, 0.1), (8, 100, 0.05), (8, 200, 0.1))


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
    ``beside`` and ``beside-boosted``, where the study names values beside the images: the same two on these alone.
    Features of the corpus are ``kept`` in a folder, if there is one, for the next source.
    """
    shown = on or corpus
    tables = measures.tables(corpus, channels) if kept is None else measures.tables_once(corpus, channels, kept)
    asked = tables if on is None else measures.tables(on, channels)
    fit = fitting(corpus, learned_from)
    learned = corpus.rows.loc[corpus.rows["split"].isin(list(learned_from)), "label"]
    found: dict[str, Any] = {"id": shown.rows["id"]}
    found["majority"] = np.full(len(shown.rows), np.bincount(learned).argmax())
    for name, table in tables.items():
        found[name] = fit(linear(), table, asked[name])
        if name in measures.MEASURED:
            found[f"{name}-boosted"] = fit(_boosted(), table, asked[name])
    if any(name in measures.MEASURED for name in tables):
        found["union-boosted"] = fit(_boosted(), _union(tables), _union(asked))
    if told := corpus.facts.beside:
        values, theirs = beside.encoded(told, corpus.rows), beside.encoded(told, shown.rows)
        found["beside"] = fit(linear(), values, theirs)
        found["beside-boosted"] = fit(_boosted(), values, theirs)
    return pd.DataFrame(found)


def fitting(corpus: Corpus, learned_from: Sequence[str]) -> Callable[..., NDArray[np.int64]]:
    """What fits candidates to a table of the corpus' rows, as `_best` does, and predicts the rows of another.

    The best candidate is fitted again if it is to be ``learned_from`` more than the training part.
    """
    parts = {name: (corpus.rows["split"] == name).to_numpy() for name in ("train", "validation")}
    parts["learned"] = corpus.rows["split"].isin(list(learned_from)).to_numpy()
    return partial(_best, labels=corpus.rows["label"].to_numpy(), parts=parts, n_classes=len(corpus.classes))


def _union(tables: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(list(tables.values()), axis=1)


def linear() -> Iterator[Any]:
    """Logistic regressions, from the strongest penalty to the weakest."""
    return (shallow.logistic(inverse, max_iter=300) for inverse in INVERSE_PENALTIES)


def _boosted() -> Iterator[Any]:
    return (shallow.boosted(*settings) for settings in BOOSTED)


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
