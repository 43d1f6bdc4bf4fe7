"""Labels that say how sure one can be: a class, and what the measures of other regions make of the same image.

An observer's class is noisy: a third of all regions have another one the day before. What a model of measured areas and
fluxes predicts for an image, without having seen its region, is a second opinion; mixed with the label it teaches a network
both. It is distillation (Hinton, Vinyals & Dean 2015, arXiv:1503.02531) from a teacher that knows the Sun and not the picture,
cross-fitted by region, so that it never repeats a label that it was shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.corpus.measures import MEASURED
from sdovis.errors import BadInput, Problem
from sdovis.statistics import shallow

#: Each region is predicted by teachers fitted on the regions of the other folds.
FOLDS = 5


def soft_labels(
    rows: pd.DataFrame, tables: Mapping[str, NDArray[np.float64]], n_classes: int, share: float
) -> NDArray[np.float32]:
    """(N, K): each row's class with weight 1 - ``share``, and the mean probabilities of two teachers with ``share``.

    ``rows`` have label and group, ``tables`` their measures (`corpus.measures`). The teachers are a logistic regression and
    gradient-boosted trees, weighted to balance the classes. Raises `BadInput` if nothing was measured, or if there are
    fewer regions than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    measured = [table for name, table in tables.items() if name in MEASURED]
    label, group = rows["label"].to_numpy(), rows["group"].to_numpy()
    if not measured or len(np.unique(group)) < FOLDS:
        lack = f"only {len(np.unique(group))} regions" if measured else "no channel whose spots or fields are measured"
        raise BadInput(Problem(f"method.soft_labels: the study has {lack}", "set method.soft_labels = 0"))
    table = np.concatenate(measured, axis=1)
    second = np.zeros((len(rows), n_classes))
    for fitted, asked in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(table, label, group):
        for teacher in (shallow.logistic(0.1, max_iter=2000), shallow.boosted(4, 100, 0.05)):
            teacher.fit(table[fitted], label[fitted])
            second[np.ix_(asked, teacher.classes_)] += teacher.predict_proba(table[asked])
    second /= second.sum(axis=1, keepdims=True)
    mixed: NDArray[np.float32] = ((1 - share) * np.eye(n_classes)[label] + share * second).astype(np.float32)
    return mixed
