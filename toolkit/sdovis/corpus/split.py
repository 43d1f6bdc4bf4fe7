"""Division into train, validation and test. Nothing that shows the same thing ever lies in two parts."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.corpus import returning
from sdovis.corpus.duplicates import Find, near_duplicates, overlaps
from sdovis.corpus.returning import Link
from sdovis.errors import BadInput, Problem
from sdovis.study import Split

PARTS = ("train", "validation", "test")
#: Columns each of whose values lies in one part, and the word for a value.
KEYS = {"group": "region", "frame": "image", "pixels_sha256": "picture"}
#: Kinds of pairs that must lie in one part, and why a row is dropped if a pair would not.
ALIKE = {
    "near_duplicate": "it nearly repeats an image of another part",
    "overlap": "its cutout overlaps one of another part",
}
#: Cut times tried on each side: quantiles of the rows in time.
CANDIDATES = 160


@dataclass(frozen=True)
class Assignment:
    """What became of each row, in the order of the rows given.

    ``part`` is '' if the row was dropped, and ``dropped`` is the reason or ''. ``group`` is the independent unit, in
    which a linked return has the name of its first appearance. ``links`` are the returns, ``links_by_chance`` is how
    many chance alone would give; ``pairs`` counts, for each kind in `ALIKE`, the pairs that would have crossed parts.
    """

    part: NDArray[np.object_]
    dropped: NDArray[np.object_]
    group: NDArray[np.object_]
    links: tuple[Link, ...] = ()
    links_by_chance: float = 0.0
    pairs: Mapping[str, int] = field(default_factory=dict)


def assign(rows: pd.DataFrame, split: Split, *, seed: int, footprint_deg: float | None = None) -> Assignment:
    """Divide ``rows`` into the three parts.

    Columns: group, frame, observed, label and, if they exist, pixels_sha256, perceptual_hash, mean_code, latitude_deg,
    longitude_deg and noaa_ar. ``footprint_deg`` is the side of a cutout on the Sun; without it, overlaps are not looked
    for.

    Temporal: two cut times, chosen so that the shares come nearest to those asked for and every class is in every
    part; rows within ``gap_days`` between parts are dropped. Leave-year-out: one calendar year (UTC) is the test part,
    the latest of the other rows are validation, with the same gap around both. Grouped and kfold: regions at random,
    stratified by class.

    A region, image or picture that would still lie in two parts stays where most of its rows are, and its other rows
    are dropped. Of near-duplicates and overlapping cutouts in two parts, those in the part with fewer of them are
    dropped. Ties go to the part named first in `PARTS`. The order of the rows does not matter.

    Published: the column published_part says it, and no row is dropped, whatever leaks. Where it names no validation part,
    whole groups of the training part become one, at random and stratified by class.

    Raises `BadInput` if the division does not leave every class in every part.
    """
    found = returning.links(rows) if split.link_returning else ()
    chance = returning.by_chance(rows) if split.link_returning else 0.0
    group = returning.linked_groups(rows["group"].tolist(), found)
    rows = rows.reset_index(drop=True).assign(group=group)
    if split.method == "published":
        part = _published(rows, split, seed)
        _refuse_empty(rows["label"].to_numpy(), part, split)
        return Assignment(part, np.full(len(rows), "", dtype=object), group, found, chance)
    part, dropped, pairs = _divided(rows, split, seed, footprint_deg)
    _refuse_empty(rows["label"].to_numpy(), part, split)
    return Assignment(part, dropped, group, found, chance, pairs)


def _divided(
    rows: pd.DataFrame, split: Split, seed: int, footprint_deg: float | None
) -> tuple[NDArray[np.object_], NDArray[np.object_], dict[str, int]]:
    """Parts, reasons for drops and numbers of pairs kept apart; a part may be empty."""
    part = {"temporal": _temporal, "grouped": _grouped, "kfold": _kfold, "leave-year-out": _leave_year_out}[
        split.method
    ](rows, split, seed)
    dropped = np.where(part == "", f"within the gap of {split.gap_days:g} days between parts", "").astype(object)
    for key, what in KEYS.items():
        if key in rows:
            stray = _strays(rows[key], part)
            dropped[stray] = f"its {what} lies mostly in another part"
            part = np.where(stray, "", part)
    pairs = {}
    for kind, find in alike(rows, split.near_duplicate_bits, footprint_deg).items():
        crossing, pairs[kind] = _crossing(part, find)
        dropped[crossing] = ALIKE[kind]
        part = np.where(crossing, "", part)
    return part, dropped, pairs


def alike(rows: pd.DataFrame, bits: int | None, footprint_deg: float | None) -> dict[str, Find]:
    """How to find the pairs of each kind in `ALIKE` among ``rows``; kinds not asked for are left out."""
    found = {}
    if bits is not None:
        found["near_duplicate"] = near_duplicates(rows, bits)
    if footprint_deg is not None:
        found["overlap"] = overlaps(rows, footprint_deg)
    return found


def _temporal(rows: pd.DataFrame, split: Split, seed: int) -> NDArray[np.object_]:
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

    A pair that leaves a class out of a part is used only if every pair does.
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


def _leave_year_out(rows: pd.DataFrame, split: Split, seed: int) -> NDArray[np.object_]:
    # Validation is chosen by time, not by region: regions share images, and as validation is the smaller side of nearly
    # every image, it would lose nearly every row.
    times = rows["observed"].dt.tz_convert("UTC")
    begin, end = (pd.Timestamp(year=int(split.year or 0) + i, month=1, day=1, tz="UTC") for i in (0, 1))
    gap = pd.Timedelta(days=split.gap_days)
    part = np.full(len(rows), "", dtype=object)
    part[times.between(begin, end, inclusive="left").to_numpy()] = "test"
    rest = np.flatnonzero(((times < begin - gap) | (times >= end + gap)).to_numpy())
    if len(rest):
        days = ((times - begin) / pd.Timedelta(days=1)).to_numpy()[rest]
        cut = _best_cut(days, rows["label"].to_numpy()[rest], split)
        part[rest[days <= cut]] = "train"
        part[rest[days > cut + split.gap_days]] = "validation"
    return part


def _best_cut(days: NDArray[np.float64], labels: NDArray[np.object_], split: Split) -> float:
    """The last time of training, such that validation, after the gap, comes nearest to its share.

    A time that leaves a class out of a part is used only if every time does.
    """
    cuts = np.unique(np.quantile(days, np.linspace(0.02, 0.98, CANDIDATES)))
    ordered = [np.sort(days[labels == k]) for k in np.unique(labels)]
    train = np.array([np.searchsorted(d, cuts, side="right") for d in ordered])
    validation = np.array([len(d) - np.searchsorted(d, cuts + split.gap_days, side="right") for d in ordered])
    kept = np.maximum((train + validation).sum(axis=0), 1)
    distance = np.abs(validation.sum(axis=0) / kept - split.validation)
    missing = (train == 0).sum(axis=0) + (validation == 0).sum(axis=0)
    return float(cuts[np.argmin(2 * distance + (1 - kept / len(days)) + 10.0 * missing)])


def _grouped(rows: pd.DataFrame, split: Split, seed: int) -> NDArray[np.object_]:
    labels = rows["label"]
    # scikit-learn allows no more folds than the commonest class has rows.
    folds = min(20, rows["group"].nunique(), int(labels.value_counts().max()))
    if folds < 3:
        return np.full(len(rows), "train", dtype=object)
    number = _folds(rows, folds, seed)
    n_test = max(1, round(split.test * folds))
    n_validation = max(1, round(split.validation * folds))
    other = np.where(number < n_test + n_validation, "validation", "train")
    return np.where(number < n_test, "test", other).astype(object)


def _published(rows: pd.DataFrame, split: Split, seed: int) -> NDArray[np.object_]:
    part = rows["published_part"].to_numpy(dtype=object, copy=True)
    train = np.flatnonzero(part == "train")
    if not (part == "validation").any() and len(train):
        of = rows.iloc[train].reset_index(drop=True)
        folds = min(20, of["group"].nunique(), int(of["label"].value_counts().max()))
        if folds > 1:
            number = _folds(of, folds, seed)
            part[train[number < max(1, round(split.validation * folds))]] = "validation"
    return np.asarray(part)


def _kfold(rows: pd.DataFrame, split: Split, seed: int) -> NDArray[np.object_]:
    fewest = min(rows["group"].nunique(), int(rows["label"].value_counts().max()))
    if fewest < split.folds:
        raise BadInput(
            Problem(f"split.folds = {split.folds}: too few rows for so many folds", f"set it to {fewest} at most")
        )
    number = _folds(rows, split.folds, seed)
    other = np.where(number == (split.fold + 1) % split.folds, "validation", "train")
    return np.where(number == split.fold, "test", other).astype(object)


def _folds(rows: pd.DataFrame, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row: whole regions at random, with similar shares of each class."""
    from sklearn.model_selection import StratifiedGroupKFold

    # Sorted, so that the same rows in another order give the same folds.
    order = rows[["group", "label"]].sort_values(["group", "label"], kind="stable")
    number = np.zeros(len(rows), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with few regions: we check that afterwards
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(
            order, order["label"], order["group"]
        )
        for i, (_, members) in enumerate(parts):
            number[order.index[members]] = i
    return number


def _strays(keys: pd.Series, part: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Rows whose key has more rows in another part. Ties go to the part named first in the order of `PARTS`."""
    code, names = pd.factorize(keys)
    number = np.array([PARTS.index(name) if name else -1 for name in part], dtype=np.intp)
    counted = (code >= 0) & (number >= 0)  # rows without a key belong to nothing
    counts = np.zeros((len(names), len(PARTS)), np.int64)
    np.add.at(counts, (code[counted], number[counted]), 1)
    home = counts.argmax(axis=1) if len(names) else np.zeros(0, np.intp)
    stray = np.zeros(len(part), bool)
    stray[counted] = number[counted] != home[code[counted]]
    return stray


def _crossing(part: NDArray[np.object_], find: Find) -> tuple[NDArray[np.bool_], int]:
    """Rows to drop so that no pair lies in two parts, and the number of pairs that did.

    Of two parts, the one with fewer affected rows loses them: on real data this is within a fifth of the fewest
    possible, and takes no more memory than the rows themselves.
    """
    gone = np.zeros(len(part), bool)
    pairs = 0
    for names in itertools.combinations(PARTS, 2):
        first, second = (np.flatnonzero((part == name) & ~gone) for name in names)
        affected = np.zeros(len(part), bool)
        for i, j in find(first, second):
            affected[i] = affected[j] = True
            pairs += len(i)
        first, second = first[affected[first]], second[affected[second]]
        gone[first if len(first) < len(second) else second] = True
    return gone, pairs


def _refuse_empty(labels: NDArray[np.object_], part: NDArray[np.object_], split: Split) -> None:
    problems = []
    how = f"{split.method}, gap {split.gap_days:g} days" if split.gap is not None else split.method
    for name in PARTS:
        if not (part == name).any():
            hint = "use more rows, a smaller split.gap_days, or split.method = 'grouped'"
            if split.method == "published":
                hint = "the data set does not have it: use split.method = 'grouped' or 'temporal'"
            problems.append(Problem(f"split: the {name} part is empty ({how})", hint))
            continue
        for label in sorted(set(labels) - set(labels[part == name])):
            what = f"split: no row of class {label!r} is left in the {name} part"
            problems.append(Problem(what, "merge classes (labels.scheme), or change split.method or its shares"))
    if problems:
        raise BadInput(problems)
