"""Tables of descriptions and tests, one row each, for JSON and workbook. The region is the independent unit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sdovis.corpus.build import Corpus
from sdovis.corpus.split import PARTS
from sdovis.statistics import tests as rank_tests
from sdovis.statistics.describe import describe
from sdovis.summary.quantities import Measured, Quantity
from sdovis.sun.constants import DAY_S

Row = dict[str, Any]

#: A family is a set of tests within which Holm's adjustment bounds the chance of any false positive.
FAMILIES = {
    "classes": "Does a quantity differ among the classes? Kruskal-Wallis, one test per quantity; one value per region.",
    "pairs of classes": "Which two classes differ? Rank-sum, one test per quantity and pair; one value per region.",
    "first and last": "Does a quantity change between a region's first and last observation? Signed-rank, one test per "
    "quantity; last minus first for each region seen at two times or more.",
    "latency": "Is one run's model slower than another's? Signed-rank of the logarithms, paired by image.",
    "step time": "Does one run's training step take longer than another's? Rank-sum of the logarithms.",
}
#: Columns of the table of tests, in order.
TEST_COLUMNS = (
    "family", "test", "quantity", "unit", "a", "b", "n_a", "n_b", "zeros", "ties", "statistic", "value", "df",
    "p_value", "p_holm", "effect_size", "effect", "shift", "low", "high", "ratio", "ratio_low", "ratio_high",
    "ratio_of_geometric_means", "confidence", "method", "note",
)  # fmt: skip


def counts(corpus: Corpus) -> list[Row]:
    """Images and regions of each class in each part and in ``all``; shares are shares of the part's images."""
    found = []
    for part in (*PARTS, "all"):
        rows = corpus.rows if part == "all" else corpus.part(part)
        for index, name in enumerate(corpus.classes):
            own = rows[rows["label"] == index]
            entry = {"part": part, "class": name, "images": len(own), "regions": int(own["group"].nunique())}
            found.append(entry | {"share_of_images": len(own) / len(rows) if len(rows) else None})
    return found


def descriptions(measured: Measured, classes: Sequence[str]) -> list[Row]:
    """Every quantity of every class (None: all of them) at the level of regions and of images."""
    found = []
    for level, table in (("region", measured.regions), ("image", measured.images)):
        for quantity in measured.quantities:
            if level == "region" and not quantity.per_region:
                continue
            for name in (*classes, None):
                values = table[quantity.name] if name is None else table.loc[table["class"] == name, quantity.name]
                entry = {"level": level, "quantity": quantity.name, "unit": quantity.unit, "class": name}
                found.append(entry | asdict(describe(values.to_numpy())))
    return found


def between_classes(measured: Measured, classes: Sequence[str], confidence: float) -> list[Row]:
    """Families ``classes`` (three classes or more) and ``pairs of classes``, on one value per region."""
    overall, pairs = [], []
    for quantity in (quantity for quantity in measured.quantities if quantity.per_region):
        samples = {name: _known(measured.regions, name, quantity.name) for name in classes}
        filled = {name: values for name, values in samples.items() if len(values)}
        if len(filled) > 2:
            overall.append(_kruskal(quantity, filled))
        for a, b in itertools.combinations(classes, 2):
            row = {"family": "pairs of classes", "quantity": quantity.name, "unit": quantity.unit, "a": a, "b": b}
            pairs.append(row | rank_sum_row(samples[a], samples[b], confidence))
    return [*adjusted(overall), *adjusted(pairs)]


def first_and_last(measured: Measured, confidence: float) -> list[Row]:
    """Family ``first and last``: the signed-rank test of a region's last value minus its first."""
    found = []
    for quantity in measured.quantities:
        if quantity.place:
            continue
        ends = first_last(measured.images, quantity.name)
        days = (ends["last_seen"] - ends["first_seen"]).dt.total_seconds() / DAY_S
        row = {"family": "first and last", "quantity": quantity.name, "unit": quantity.unit, "a": "last", "b": "first"}
        row |= signed_rank_row(ends["last"].to_numpy(), ends["first"].to_numpy(), confidence)
        found.append(row | ({"note": f"median {days.median():.1f} days apart"} if len(ends) else {}))
    return adjusted(found)


def first_last(images: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """One row per region whose quantity is known at two times or more: first, last, first_seen, last_seen."""
    known = images[images[quantity].notna()]
    moments = known.groupby(["group", "observed"], as_index=False)[quantity].median()
    ends = moments.groupby("group").agg(
        first=(quantity, "first"),
        last=(quantity, "last"),
        first_seen=("observed", "min"),
        last_seen=("observed", "max"),
    )
    return pd.DataFrame(ends[ends["first_seen"] < ends["last_seen"]])


def rank_sum_row(a: ArrayLike, b: ArrayLike, confidence: float) -> Row:
    """The rank-sum test as a row. An empty sample gives a row that says so."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    row: Row = {"test": "Wilcoxon rank-sum", "n_a": len(x), "n_b": len(y), "statistic": "U of a"}
    if not (len(x) and len(y)):
        return row | {"note": "not tested: a sample is empty"}
    found = rank_tests.rank_sum(x, y, confidence=confidence)
    shift = _shift(found, np.concatenate([x, y]))
    effect = {"effect_size": "Cliff's delta", "effect": found.cliffs_delta, "method": found.method}
    return row | {"value": found.statistic, "p_value": found.p_value, "ties": found.ties} | shift | effect


def signed_rank_row(a: ArrayLike, b: ArrayLike, confidence: float) -> Row:
    """The signed-rank test of a - b as a row. If there is no pair, or none that differs, the row says so."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    row: Row = {"test": "Wilcoxon signed-rank", "n_a": len(x), "n_b": len(y), "statistic": "W+"}
    if not len(x):
        return row | {"note": "not tested: there is no pair"}
    found = rank_tests.wilcoxon_signed_rank(x, y, confidence=confidence)
    shift = _shift(found, np.concatenate([x, y]))
    effect = {"effect_size": "rank-biserial", "effect": found.rank_biserial, "method": found.method}
    counted = {"value": found.statistic, "p_value": found.p_value, "zeros": found.zeros, "ties": found.ties}
    return row | counted | shift | effect


def _shift(found: rank_tests.RankSum | rank_tests.SignedRank, values: NDArray[np.float64]) -> Row:
    """Shift and interval to 12 digits of the largest value: anything finer is rounding in the search."""
    largest = float(np.abs(values).max())
    digits = 12 - int(np.ceil(np.log10(largest))) if largest else 0
    bounds = {"shift": found.shift, "low": found.low, "high": found.high}
    return {key: round(value, digits) + 0.0 for key, value in bounds.items()} | {"confidence": found.confidence}


def _kruskal(quantity: Quantity, samples: Mapping[str, NDArray[np.float64]]) -> Row:
    found = rank_tests.kruskal(*samples.values())
    return {
        "family": "classes", "test": "Kruskal-Wallis", "quantity": quantity.name, "unit": quantity.unit,
        "a": ", ".join(f"{name} (n = {len(values)})" for name, values in samples.items()),
        "n_a": sum(found.sizes), "ties": found.ties, "statistic": "H", "value": found.statistic,
        "df": found.degrees_of_freedom, "p_value": found.p_value, "effect_size": "epsilon squared",
        "effect": found.epsilon_squared, "method": found.method,
    }  # fmt: skip


def _known(table: pd.DataFrame, name: str, quantity: str) -> NDArray[np.float64]:
    values = table.loc[table["class"] == name, quantity].to_numpy(dtype=np.float64)
    return np.asarray(values[~np.isnan(values)])


def adjusted(family: Iterable[Row]) -> list[Row]:
    """The rows with Holm's adjusted p-values. All of ``family`` counts, including tests that could not be done."""
    rows = list(family)
    p_values = rank_tests.holm([row.get("p_value", np.nan) for row in rows])
    return [row | {"p_holm": float(p)} for row, p in zip(rows, p_values, strict=True)]


def complete(rows: Iterable[Row], columns: Sequence[str]) -> list[Row]:
    """Every row with every column, in order; entries that do not apply, and nan, become None."""
    return [{name: finite(row.get(name)) for name in columns} for row in rows]


def finite(value: Any) -> Any:
    """``value`` with every nan, infinity and NaT, however deep, as None: JSON cannot express them."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


Maker = Callable[[ArrayLike, ArrayLike, float], Row]


def on_log_scale(make: Maker, a: NDArray[np.float64], b: NDArray[np.float64], confidence: float) -> Row:
    """A test on the logarithms of durations: the shift becomes a ratio a / b, beside the ratio of geometric means."""
    row = make(np.log(a), np.log(b), confidence)
    if "shift" not in row:
        return row
    ratios = {
        f"ratio{tail}": float(np.exp(row.pop(key))) for tail, key in zip(("", "_low", "_high"), SHIFT, strict=True)
    }
    return row | ratios | {"ratio_of_geometric_means": float(np.exp(np.log(a).mean() - np.log(b).mean()))}


SHIFT = ("shift", "low", "high")
