"""How well the label can be told without looking at the region: from its date, its position, or traits of the cutout.

A network can use any of these that does better than chance; its score is worth only what exceeds that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.statistics.bootstrap import Estimate, by_cluster, cluster_bootstrap
from sdovis.statistics.skill import balanced_accuracy

#: Shortcut -> the columns it needs.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cutout size": ("native_side_px",),
    "padding": ("missing_share",),
    "masked neighbours": ("masked_share",),
    "position": ("latitude_deg", "longitude_deg"),
    "date": ("observed",),
    "mean brightness": ("mean_code",),
}
#: A shortcut is a few limits on one or two numbers. A tree of this depth finds them without scaling or ordering, accepts
#: unknown values, and has several regions in each leaf; a stronger model would only learn regions by heart.
DEPTH, LEAF_SHARE, LEAF_ROWS = 4, 0.02, 10
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Shortcut:
    """How well ``columns`` alone reveal the class in the test part, in numbers and as a ``sentence``.

    ``chance`` is one over the number of classes in the test part.
    """

    columns: tuple[str, ...]
    balanced_accuracy: Estimate
    chance: float
    sentence: str


def shortcuts(rows: pd.DataFrame, classes: Sequence[str], *, samples: int = 1000, seed: int = 0) -> dict[str, Shortcut]:
    """Name -> shortcut, from a small tree fitted to the training part.

    Intervals are bootstrapped by group. ``rows`` needs split (train, test), group, label (a class name) and some of the
    columns in `COLUMNS`; a shortcut whose columns are absent or entirely unknown is left out.
    """
    from sklearn.tree import DecisionTreeClassifier

    train, test = ((rows["split"] == name).to_numpy() for name in ("train", "test"))
    label = pd.Index(classes).get_indexer(pd.Index(rows["label"]))
    if not train.any() or not test.any():
        return {}
    chance = 1 / len(np.unique(label[test]))
    found = {}
    for name, columns in COLUMNS.items():
        if not set(columns) <= set(rows.columns):
            continue
        features = _features(rows, name)
        if not np.isfinite(features[train]).any():
            continue
        leaf = max(LEAF_ROWS, round(LEAF_SHARE * train.sum()))
        tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=leaf, class_weight="balanced", random_state=0)
        predicted = tree.fit(features[train], label[train]).predict(features[test])
        matrices = by_cluster(label[test], predicted, rows["group"].to_numpy()[test], len(classes))
        interval = cluster_bootstrap(matrices, balanced_accuracy, samples=samples, confidence=CONFIDENCE, seed=seed)
        score = Estimate.of(interval)
        found[name] = Shortcut(columns, score, chance, sentence(name, score, chance))
    return found


def sentence(name: str, score: Estimate, chance: float) -> str:
    """``date alone reaches 0.41 [0.35, 0.47], chance 0.33``, and whether that is more."""
    bounds = "" if score.low is None else f" [{score.low:.2f}, {score.high:.2f}]"
    more = score.low is not None and score.low > chance
    said = f"{name} alone reaches {score.estimate:.2f}{bounds}, chance {chance:.2f}"
    return f"{said}: it tells something of the class" if more else said


def _features(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """(N, features) of one shortcut."""
    if name == "position":
        latitude, longitude = (rows[column].to_numpy(float) for column in COLUMNS[name])
        return np.column_stack([latitude, longitude, np.abs(longitude)])
    if name == "date":
        times = rows["observed"]
        return np.column_stack([times.dt.year + times.dt.day_of_year / 366, times.dt.day_of_year]).astype(float)
    return np.column_stack([rows[column].to_numpy(float) for column in COLUMNS[name]])
