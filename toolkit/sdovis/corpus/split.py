"""Division into train, validation and test. No region and no image ever lies in two parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sdovis.errors import BadInput, Problem
from sdovis.study import Split

PARTS = ("train", "validation", "test")
#: Cut times tried on each side: quantiles of the rows in time.
CANDIDATES = 160


@dataclass(frozen=True)
class Assignment:
    """Part of each row ('' where it was dropped) and the reason of each drop, in the order of the rows given."""

    part: np.ndarray
    dropped: np.ndarray


def assign(rows: pd.DataFrame, split: Split, *, seed: int) -> Assignment:
    """Divide ``rows`` (columns group, frame, observed, label) into the three parts.

    Temporal: two cut times, chosen so that the shares come nearest to those asked for and every class is in every
    part; ``gap_days`` between parts is dropped. Grouped: regions at random, stratified by class. Either way a region
    or image that would still lie in two parts stays where most of its rows are, and its other rows are dropped.

    Raises `BadInput` where no division leaves every class in every part.
    """
    part = _temporal(rows, split) if split.method == "temporal" else _grouped(rows, split, seed)
    dropped = np.where(part == "", f"within the gap of {split.gap_days:g} days between parts", "").astype(object)
    for key, what in (("group", "region"), ("frame", "image")):
        stray = _strays(rows[key].to_numpy(), part)
        dropped[stray] = f"its {what} lies mostly in another part"
        part = np.where(stray, "", part)
    _refuse_empty(rows["label"].to_numpy(), part, split)
    return Assignment(part, dropped)


def _temporal(rows: pd.DataFrame, split: Split) -> np.ndarray:
    days = ((rows["observed"] - rows["observed"].min()) / pd.Timedelta(days=1)).to_numpy()
    first, second = best_cuts(days, rows["label"].to_numpy(), split)
    half = split.gap_days / 2
    part = np.full(len(days), "", dtype=object)
    part[days <= first - half] = "train"
    part[(days > first + half) & (days <= second - half)] = "validation"
    part[days > second + half] = "test"
    return part


def best_cuts(days: np.ndarray, labels: np.ndarray, split: Split) -> tuple[float, float]:
    """The two cut times (in the unit of ``days``) that come nearest to the shares asked for.

    A pair that leaves a class out of a part is taken only when every pair does.
    """
    half = split.gap_days / 2
    cuts = np.unique(np.quantile(days, np.linspace(0.02, 0.98, CANDIDATES)))
    # counts[k, i]: rows of class k up to a time; sums over parts are differences of these.
    classes = np.unique(labels)
    ordered = [np.sort(days[labels == k]) for k in classes]
    before = np.array([np.searchsorted(d, cuts - half, side="right") for d in ordered])
    after = np.array([np.searchsorted(d, cuts + half, side="right") for d in ordered])
    total = np.array([len(d) for d in ordered])
    i, j = np.triu_indices(len(cuts))
    train, test = before[:, i], total[:, None] - after[:, j]
    validation = np.maximum(before[:, j] - after[:, i], 0)
    parts = np.stack([train, validation, test])
    kept = np.maximum(parts.sum(axis=(0, 1)), 1)
    wanted = np.array([1 - split.validation - split.test, split.validation, split.test])
    distance = np.abs(parts.sum(axis=1) / kept - wanted[:, None]).sum(axis=0)
    lost = 1 - kept / len(days)
    missing = (parts == 0).any(axis=1).sum(axis=0)
    best = int(np.argmin(distance + lost + 10.0 * missing))
    return float(cuts[i[best]]), float(cuts[j[best]])


def _grouped(rows: pd.DataFrame, split: Split, seed: int) -> np.ndarray:
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = rows["label"].to_numpy(), rows["group"].to_numpy()
    # scikit-learn wants no more folds than the commonest class has rows.
    folds = min(20, len(np.unique(groups)), int(pd.Series(labels).value_counts().max()))
    part = np.full(len(rows), "train", dtype=object)
    if folds < 3:
        return part
    n_test = max(1, round(split.test * folds))
    n_validation = max(1, round(split.validation * folds))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with few regions: checked by us afterwards
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups)
        for number, (_, members) in enumerate(parts):
            if number < n_test + n_validation:
                part[members] = "test" if number < n_test else "validation"
    return part


def _strays(keys: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Rows whose key has more rows in another part. Ties go to the part named first in the order of `PARTS`."""
    kept = pd.DataFrame({"key": keys, "part": part})[part != ""]
    counts = pd.crosstab(kept["key"], kept["part"]).reindex(columns=list(PARTS), fill_value=0)
    home = pd.Series(keys).map(counts.idxmax(axis=1)).to_numpy()
    return np.asarray((part != "") & (part != home))


def _refuse_empty(labels: np.ndarray, part: np.ndarray, split: Split) -> None:
    problems = []
    for name in PARTS:
        if not (part == name).any():
            hint = "use more rows, a smaller split.gap_days, or split.method = 'grouped'"
            problems.append(
                Problem(f"split: the {name} part is empty ({split.method}, gap {split.gap_days:g} days)", hint)
            )
            continue
        for label in sorted(set(labels) - set(labels[part == name])):
            what = f"split: no row of class {label!r} is left in the {name} part"
            problems.append(Problem(what, "merge classes (labels.scheme), or change split.method or its shares"))
    if problems:
        raise BadInput(problems)
