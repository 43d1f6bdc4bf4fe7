"""Columns of a table that give its label away: a copy, a code or a transform of it, or the label of a row or a day away.

Such a column makes any score worthless if a model is given it, and it is easily overlooked: SuryaBench's flare index has
the greatest GOES class of a window beside the label that was made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int64]

#: Share of the errors of the commonest class that a twin must avoid: Goodman and Kruskal's lambda (1954, J. Am. Stat.
#: Assoc. 49, 732). A few mistyped cells do not hide a copy.
LEAST_LAMBDA = 0.95
#: Fewer independent units than these may agree by chance.
LEAST_UNITS = 20
#: Share of the rows that must have a value.
LEAST_KNOWN = 0.5
#: Columns are compared with the label permuted among units this many times; none may tell as much of it.
PERMUTATIONS = 200
#: A row a day away is the nearest in time, if it is not further than this from 24 hours.
DAY_TOLERANCE = pd.Timedelta(hours=1)
#: What a cell of text may hold; longer ones are prose, or files.
LONGEST_TEXT = 100


@dataclass(frozen=True)
class Twin:
    """``column`` tells the label ``where`` ("" for that of its own row) in a ``share`` of ``rows`` rows."""

    column: str
    where: str
    share: float
    rows: int
    one_to_one: bool

    @property
    def sentence(self) -> str:
        """What the column is, and what to do with it."""
        of = self.where or "of its own row"
        how = "is the label" if self.one_to_one else "gives away the label"
        share = "every row" if self.share == 1 else f"{100 * min(self.share, 0.9999):.2f} % of the rows"
        return f"the column {self.column!r} {how} {of}, in {share} ({self.rows}): keep it from the model"


def twins(rows: pd.DataFrame, others: pd.DataFrame, *, seed: int = 0) -> list[Twin]:
    """The columns of ``others`` that give the label away, in their order.

    ``rows`` has label (text), group, split and, if it is known, observed (UTC), in the order of the table; ``others`` has
    the same rows. What agrees by its number of values alone, such as a row's name, is told apart by permuting the label
    among units: groups, or, where there are fewer than `LEAST_UNITS`, the series as it stands, turned about.
    """
    label = np.asarray(pd.factorize(rows["label"])[0], dtype=np.int64)
    if label.max(initial=-1) < 1:
        return []
    units = _units(rows["group"])
    rng = np.random.default_rng(seed)
    places = list(_places(rows))
    found = []
    for name in others.columns:
        column = _column(others[name])
        if column is None:
            continue
        for where, partner in places:
            known = np.flatnonzero(column.known & (partner >= 0))
            if len(known) < LEAST_KNOWN * len(rows):
                continue
            twin = _twin(column, known, label[partner[known]], units[known], rng)
            if twin is not None:
                found.append(Twin(str(name), where, *twin))
                break
    return found


@dataclass(frozen=True)
class _Column:
    """``codes`` number the distinct values; ``numbers`` are the values themselves, if all of them are numbers."""

    codes: Codes
    numbers: NDArray[np.float64] | None
    known: NDArray[np.bool_]


def _column(values: pd.Series) -> _Column | None:
    """The column's values; None for a constant, and for prose."""
    if values.dtype.kind in "mM":
        values = values.astype("int64").where(values.notna())
    text = values.map(lambda v: "" if v is None or v != v else str(v).strip())
    known = (text != "").to_numpy()
    if text.str.len().max() > LONGEST_TEXT or text[known].nunique() < 2:
        return None
    numbers = pd.to_numeric(text[known].replace({"True": "1", "False": "0"}), errors="coerce")
    if numbers.notna().all():
        wide = np.zeros(len(text))
        wide[known] = numbers.to_numpy(float)
        # The same number may be written in several ways; an infinite one has no place among limits.
        return _Column(pd.factorize(wide)[0].astype(np.int64), np.nan_to_num(wide), known)
    return _Column(pd.factorize(text.str.casefold())[0].astype(np.int64), None, known)


def _units(groups: pd.Series) -> Codes:
    """The unit of each row: its group, or itself where it has none."""
    codes = np.asarray(pd.factorize(groups)[0], dtype=np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes


def _places(rows: pd.DataFrame) -> Iterator[tuple[str, Codes]]:
    """For each row the position of the row whose label a column may hold (-1: there is none), and the place in words."""
    here = np.arange(len(rows))
    yield "", here
    part = rows["split"].to_numpy()
    for step, where in ((-1, "of the row before"), (1, "of the row after")):
        partner = here + step
        inside = (partner >= 0) & (partner < len(rows))
        inside[inside] &= part[here[inside]] == part[partner[inside]]
        yield where, np.where(inside, partner, -1)
    if "observed" not in rows:
        return
    times = pd.DataFrame({"at": rows["observed"], "group": rows["group"].astype(str), "row": here}).dropna(subset="at")
    times = times.sort_values("at", kind="stable")
    for days, where in ((-1, "of the day before"), (1, "of the day after")):
        asked = times.assign(at=times["at"] + pd.Timedelta(days=days))
        met = pd.merge_asof(asked, times, on="at", by="group", direction="nearest", tolerance=DAY_TOLERANCE)
        partner = np.full(len(rows), -1)
        partner[met["row_x"]] = met["row_y"].fillna(-1).astype(int)
        yield where, partner


def _twin(
    column: _Column, known: Codes, label: Codes, units: Codes, rng: np.random.Generator
) -> tuple[float, int, bool] | None:
    """(share of rows told, rows, whether values and classes go one to one), if the column tells the label."""
    if len(np.unique(label)) < 2:
        return None
    codes = column.codes[known]

    def by_value(at: Codes, labels: Codes) -> float:
        return _told_by_value(codes[at], labels)

    def by_limits(at: Codes, labels: Codes) -> float:
        assert column.numbers is not None
        return _told_by_limits(column.numbers[known][at], labels)

    everywhere = np.arange(len(known))
    named = len(np.unique(codes)) > len(known) / 2  # nearly every row has a value of its own
    for tells, apt in ((by_value, not named), (by_limits, column.numbers is not None)):
        if apt and _lambda(told := tells(everywhere, label), label) >= LEAST_LAMBDA:
            if not _beyond_chance(tells, label, units, rng):
                return None
            pairs = len(np.unique(np.column_stack([codes, label]), axis=0))
            return told, len(known), pairs == len(np.unique(codes)) == len(np.unique(label))
    return None


def _beyond_chance(
    tells: Callable[[Codes, Codes], float], label: Codes, units: Codes, rng: np.random.Generator
) -> bool:
    """Whether no permutation of the label among units is told as well."""
    first = np.unique(units, return_index=True)[1]
    if len(first) >= LEAST_UNITS:
        told = tells(first, label[first])
        return all(tells(first, rng.permutation(label[first])) < told for _ in range(PERMUTATIONS))
    if len(label) < LEAST_UNITS:
        return False
    everywhere = np.arange(len(label))
    told = tells(everywhere, label)
    margin = max(1, len(label) // LEAST_UNITS)
    turns = rng.integers(margin, len(label) - margin + 1, PERMUTATIONS)
    return all(tells(everywhere, np.roll(label, turn)) < told for turn in turns)


def _told_by_value(codes: Codes, label: Codes) -> float:
    """Share of the rows that have the commonest label of their value."""
    classes = int(label.max()) + 1
    counts = np.bincount(codes * classes + label, minlength=(int(codes.max()) + 1) * classes).reshape(-1, classes)
    return float(counts.max(axis=1).sum() / len(label))


def _told_by_limits(numbers: NDArray[np.float64], label: Codes) -> float:
    """Share of the rows whose label is told by as many ranges of the number as there are labels."""
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, len(np.unique(label))), random_state=0)
    # Ranks serve as well as the numbers, which may be too large for the tree's single precision.
    ranks = np.unique(numbers, return_inverse=True)[1].reshape(-1, 1)
    return float(tree.fit(ranks, label).score(ranks, label))


def _lambda(told: float, label: Codes) -> float:
    """Goodman and Kruskal's lambda, of a column that tells a share of the labels."""
    commonest = np.bincount(label).max() / len(label)
    return (told - commonest) / (1 - commonest) if commonest < 1 else 0.0
