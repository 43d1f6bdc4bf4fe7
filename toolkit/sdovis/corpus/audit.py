"""The audit of a split: what leaks fails, what may mislead is counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.corpus.duplicates import Find
from sdovis.corpus.shortcuts import sentence, shortcuts
from sdovis.corpus.split import Assignment, alike
from sdovis.errors import BadInput, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Width of the bins of longitude, degrees from the central meridian.
LONGITUDE_BIN = 15
#: What the kinds of `sdovis.corpus.split.ALIKE` are called.
PAIRS = {"near_duplicate": "near-duplicate images", "overlap": "overlapping cutouts"}
#: Pairs of one kind that are named.
EXAMPLES = 3


def leaks(rows: pd.DataFrame, keys: Mapping[str, str]) -> list[Problem]:
    """One problem for each value of a key column that occurs in two parts.

    ``rows`` has a column split; ``keys`` maps a column to what it is called ('group' -> 'region').
    """
    problems = []
    for column, what in keys.items():
        for value, parts in in_two_parts(rows, column).items():
            problems.append(Problem(f"leak: {what} {value} lies in {' and '.join(parts)}", "make the split again"))
    return problems


def in_two_parts(rows: pd.DataFrame, column: str) -> dict[Any, tuple[str, ...]]:
    """The values of a column that occur in more than one part (column split), with their parts; both sorted."""
    pairs = rows.loc[rows[column].notna(), [column, "split"]].drop_duplicates().sort_values([column, "split"])
    spread = pairs[pairs[column].duplicated(keep=False)]
    return {value: tuple(parts) for value, parts in spread.groupby(column)["split"]}


def crossing_pairs(part: NDArray[np.object_], find: Find) -> tuple[int, list[tuple[int, int]]]:
    """How many pairs lie in two parts, and the first few of them, as positions in ``part``."""
    count, examples = 0, []
    for first, second in itertools.combinations(dict.fromkeys(part), 2):
        for i, j in find(np.flatnonzero(part == first), np.flatnonzero(part == second)):
            count += len(i)
            examples += sorted(zip(i.tolist(), j.tolist(), strict=True))[:EXAMPLES]
    return count, sorted(examples)[:EXAMPLES]


def audit(
    rows: pd.DataFrame,
    classes: Sequence[str],
    *,
    gap_days: float | None,
    near_duplicate_bits: int | None = None,
    footprint_deg: float | None = None,
    assignment: Assignment | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Facts of a split, as saved in ``audit.json``.

    ``rows`` needs columns split, group, frame, pixels_sha256, observed, label (a class name); what else they have of
    positions, hashes and traits of the cutouts is audited too. ``assignment`` adds what it took to make the split.

    Raises `BadInput` when a region, an image, identical pixels, near-duplicates (``near_duplicate_bits``) or overlapping
    cutouts (``footprint_deg``) lie in two parts, or rows of two parts lie nearer in time than ``gap_days``.
    """
    problems = leaks(rows, {"group": "region", "frame": "image", "pixels_sha256": "an identical cutout"})
    names = rows["id" if "id" in rows else "frame"].to_numpy()
    pairs = alike(rows, near_duplicate_bits, footprint_deg)
    for kind, find in pairs.items():
        count, examples = crossing_pairs(rows["split"].to_numpy(), find)
        if count:
            shown = ", ".join(f"{names[i]} and {names[j]}" for i, j in examples)
            problems.append(
                Problem(f"leak: {count} pairs of {PAIRS[kind]} lie in two parts: {shown}", "make the split again")
            )
    if gap_days is not None:
        problems += _narrow_gaps(rows, gap_days)
    if problems:
        raise BadInput(problems)
    facts: dict[str, Any] = {
        "leaks": {"region": 0, "image": 0, "identical_cutout": 0},
        "crossing_pairs": dict.fromkeys(pairs, 0),
        "gap_days": gap_days,
        "parts": {str(name): _part(part, classes) for name, part in rows.groupby("split", sort=False)},
        "years": _years(rows),
    }
    if "longitude_deg" in rows:
        facts["longitudes"] = _longitudes(rows)
    facts["shortcuts"] = {
        name: {**found, "sentence": sentence(name, found)}
        for name, found in shortcuts(rows, classes, samples=samples, seed=seed).items()
    }
    return facts | (_made(assignment) if assignment is not None else {})


def drawn(facts: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    """Name, figure and caption of what an audit shows: rows over longitude and years, and the shortcuts."""
    from sdovis import figures

    if "longitudes" in facts:
        figure = figures.part_histograms(
            facts["longitudes"]["rows"], facts["longitudes"]["edges_deg"], "degrees from the central meridian"
        )
        yield "audit_longitudes", figure, "Distance from the central meridian in each part."
    years = facts["years"]["years"]
    edges = [year - 0.5 for year in [*years, years[-1] + 1]]
    yield "audit_years", figures.part_histograms(facts["years"]["rows"], edges, "year"), "Years in each part."
    if found := facts["shortcuts"]:
        scores = {name: entry["balanced_accuracy"] for name, entry in found.items()}
        chance = next(iter(found.values()))["chance"]
        figure = figures.intervals(scores, "balanced accuracy", chance=chance)
        yield "audit_shortcuts", figure, "How well each trait alone tells the class of the test part; dashed: chance."


def _narrow_gaps(rows: pd.DataFrame, gap_days: float) -> Iterator[Problem]:
    days = {str(name): np.sort(_days(part["observed"])) for name, part in rows.groupby("split", sort=False)}
    for (first, a), (second, b) in itertools.combinations(days.items(), 2):
        after = np.searchsorted(b, a)
        gap = min(
            np.min(b[after[after < len(b)]] - a[after < len(b)], initial=np.inf),
            np.min(a[after > 0] - b[after[after > 0] - 1], initial=np.inf),
        )
        if gap < gap_days - 1e-6:  # a tenth of a second: what rounding leaves
            yield Problem(f"leak: {gap:.1f} days between {first} and {second}, {gap_days:g} asked for")


def _days(times: pd.Series) -> np.ndarray:
    return np.asarray((times - pd.Timestamp("2010-01-01", tz="UTC")) / pd.Timedelta(days=1), dtype=float)


def _part(part: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    sizes = part["group"].value_counts()
    labels = part["label"].value_counts()
    regions = part.groupby("label")["group"].nunique()
    return {
        "rows": len(part),
        "regions": int(part["group"].nunique()),
        "images": int(part["frame"].nunique()),
        "largest_region": str(sizes.index[0]),
        "largest_region_share": float(np.round(sizes.iloc[0] / len(part), 6)),
        "rows_by_class": {name: int(labels.get(name, 0)) for name in classes},
        "regions_by_class": {name: int(regions.get(name, 0)) for name in classes},
        "first": str(part["observed"].min()),
        "last": str(part["observed"].max()),
    }


def _years(rows: pd.DataFrame) -> dict[str, Any]:
    """Rows of each part in each year."""
    year = rows["observed"].dt.year
    years = list(range(int(year.min()), int(year.max()) + 1))
    counts = pd.crosstab(rows["split"], year).reindex(columns=years, fill_value=0)
    return {"years": years, "rows": {str(part): counts.loc[part].tolist() for part in dict.fromkeys(rows["split"])}}


def _longitudes(rows: pd.DataFrame) -> dict[str, Any]:
    """Rows of each part in bins of longitude; rows without one, or behind the limb, are in none."""
    edges = list(range(-90, 91, LONGITUDE_BIN))
    counts = {
        str(name): np.histogram(part["longitude_deg"].dropna().to_numpy(float), edges)[0].tolist()
        for name, part in rows.groupby("split", sort=False)
    }
    return {"edges_deg": edges, "rows": counts}


def _made(assignment: Assignment) -> dict[str, Any]:
    """What it took to make the split: rows dropped by reason, pairs kept apart, returns linked."""
    reasons = pd.Series(assignment.dropped[assignment.part == ""]).value_counts()
    return {
        "dropped": {str(reason): int(n) for reason, n in reasons.items()},
        "kept_apart": {"pairs": dict(assignment.pairs)},
        "returning": {
            "links": [asdict(link) for link in assignment.links],
            "expected_by_chance": round(assignment.links_by_chance, 1),
        },
    }
