"""The class of the day before as a forecast of the class of today: the reference of every forecaster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sdovis.evaluation.facts import Persistence
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, by_cluster, cluster_bootstrap, paired_difference

#: A day before an image, within half a day.
DAY = pd.Timedelta(days=1)
WITHIN = pd.Timedelta(hours=12)


def before(rows: pd.DataFrame) -> NDArray[np.float64]:
    """(N,): the label of the same region's row nearest to a day before each row; NaN if none is within half a day of that.

    ``rows`` has the columns noaa_ar, observed and label. Rows without a region have none before them.
    """
    found = pd.Series(np.nan, rows.index)
    for _, of in rows.dropna(subset=["noaa_ar"]).groupby("noaa_ar"):
        ordered = of.sort_values("observed", kind="stable")
        times = pd.DatetimeIndex(ordered["observed"])
        # The first of equal times stands for them: an index must be unique to be searched.
        once = ~times.duplicated()
        nearest = times[once].get_indexer(times - DAY, method="nearest", tolerance=WITHIN)
        labels = ordered["label"].to_numpy(dtype=float)[once]
        found[ordered.index] = np.where(nearest >= 0, labels[nearest], np.nan)
    return np.asarray(found, dtype=np.float64)


def persistence(rows: pd.DataFrame, predicted: ArrayLike, n_classes: int, **draws: Any) -> Persistence | None:
    """How well the class of the day before tells that of today, beside the model's predictions for the same ``rows``.

    ``rows`` has the column group, too; ``draws`` as in `bootstrap.cluster_bootstrap`. None if no row has one before it. All
    rows of a region are in one part of the corpus, so no other part is looked into.
    """
    told = before(rows)
    known = ~np.isnan(told)
    if not known.any():
        return None
    truth, groups = rows["label"].to_numpy()[known], rows["group"].to_numpy()[known]
    past, model = (
        by_cluster(truth, answers[known].astype(np.int64), groups, n_classes)
        for answers in (told, np.asarray(predicted))
    )
    own, its = (Estimate.of(cluster_bootstrap(each, skill.balanced_accuracy, **draws)) for each in (past, model))
    difference = Estimate.of(paired_difference(model, past, skill.balanced_accuracy, **draws))
    return Persistence(int(known.sum()), len(set(groups.tolist())), own, its, difference)
