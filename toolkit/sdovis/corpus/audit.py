"""The audit of a split: leaks raise an error, and what may mislead is counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import records
from sdovis.corpus.duplicates import Find
from sdovis.corpus.returning import Link
from sdovis.corpus.shortcuts import Shortcut, shortcuts
from sdovis.corpus.split import Assignment, alike
from sdovis.errors import BadInput, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sdovis.corpus.published import PublishedLeaks

#: Width of the bins of longitude, degrees from the central meridian.
LONGITUDE_BIN = 15
#: Columns each of whose values lies in one part, and the words for a value.
KEYS = {"group": "region", "frame": "image", "pixels_sha256": "identical cutout"}
#: Names of the kinds in `sdovis.corpus.split.ALIKE`, for messages.
PAIRS = {"near_duplicate": "near-duplicate images", "overlap": "overlapping cutouts"}
#: The most pairs of one kind that a message names.
EXAMPLES = 3
FILE = "audit.json"


@dataclass(frozen=True)
class Part:
    """One part of the split; ``first`` and ``last`` are times of observation, UTC."""

    rows: int
    regions: int
    images: int
    largest_region: str
    largest_region_share: float
    rows_by_class: Mapping[str, int]
    regions_by_class: Mapping[str, int]
    first: str
    last: str


@dataclass(frozen=True)
class Years:
    """Rows of each part in each of ``years``."""

    years: tuple[int, ...]
    rows: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Longitudes:
    """Rows of each part in bins of longitude, whose edges are ``edges_deg``."""

    edges_deg: tuple[int, ...]
    rows: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class KeptApart:
    """Pairs of images that show the same and lay in two parts, so that one was dropped; counted by kind."""

    pairs: Mapping[str, int]


@dataclass(frozen=True)
class Returning:
    """Regions identified with earlier ones, and how many such links chance alone would give."""

    links: tuple[Link, ...]
    expected_by_chance: float


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What is known about a split: ``audit.json``.

    ``leaks`` and ``crossing_pairs`` count, by kind, what lies in two parts: always 0, as otherwise there is no audit, unless
    the split is a publisher's. ``said`` are sentences on that, and on columns that give the label away.
    ``longitudes`` is given if the rows have longitudes. ``dropped`` (reason -> rows), ``kept_apart`` and ``returning``
    say what it took to make the split.
    """

    leaks: Mapping[str, int]
    crossing_pairs: Mapping[str, int]
    gap_days: float | None
    parts: Mapping[str, Part]
    years: Years
    longitudes: Longitudes | None = None
    shortcuts: Mapping[str, Shortcut]
    dropped: Mapping[str, int]
    kept_apart: KeptApart
    returning: Returning
    said: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write ``audit.json`` into the corpus folder."""
        records.write(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Audit:
        """Read it from a corpus folder. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="prepare")


def leaks(rows: pd.DataFrame, keys: Mapping[str, str]) -> list[Problem]:
    """One problem for each value of a key column that occurs in two parts.

    ``rows`` has a column split; ``keys`` maps a column to the word for its values ('group' -> 'region').
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
    published: PublishedLeaks | None = None,
    said: Sequence[str] = (),
    samples: int = 1000,
    seed: int = 0,
) -> Audit:
    """Audit a split.

    ``rows`` needs the columns split, group, frame, pixels_sha256, observed and label (a class name); positions, hashes
    and traits of the cutouts are audited too if they are there. ``assignment`` adds what it took to make the split. What
    leaks between parts that a publisher made is ``published``, and there is then no error; ``said`` are further sentences.

    Raises `BadInput` if a region, an image, identical pixels, near-duplicates (``near_duplicate_bits``) or overlapping
    cutouts (``footprint_deg``) lie in two parts, or if rows of two parts are closer in time than ``gap_days``.
    """
    pairs = alike(rows, near_duplicate_bits, footprint_deg)
    if published is None:
        _refuse_leaks(rows, pairs, gap_days)
    return Audit(
        leaks=published.leaks if published else {name.replace(" ", "_"): 0 for name in KEYS.values()},
        crossing_pairs=published.crossing_pairs if published else dict.fromkeys(pairs, 0),
        gap_days=gap_days,
        parts={str(name): _part(part, classes) for name, part in rows.groupby("split", sort=False)},
        years=_years(rows),
        longitudes=_longitudes(rows) if "longitude_deg" in rows else None,
        shortcuts=shortcuts(rows, classes, samples=samples, seed=seed),
        dropped=_dropped(assignment) if assignment else {},
        kept_apart=KeptApart(dict(assignment.pairs) if assignment else {}),
        returning=Returning(assignment.links, round(assignment.links_by_chance, 1)) if assignment else Returning((), 0),
        said=(*(published.sentences if published else ()), *said),
    )


def _refuse_leaks(rows: pd.DataFrame, pairs: Mapping[str, Find], gap_days: float | None) -> None:
    problems = leaks(rows, KEYS | {"pixels_sha256": "an identical cutout"})
    names = rows["id" if "id" in rows else "frame"].to_numpy()
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


def drawn(audited: Audit) -> Iterator[tuple[str, Figure, str]]:
    """Name, figure and caption of each figure of an audit: rows over longitude and years, and the shortcuts."""
    from sdovis import figures

    if audited.longitudes:
        rows, edges = audited.longitudes.rows, audited.longitudes.edges_deg
        figure = figures.part_histograms(rows, edges, "degrees from the central meridian")
        yield "audit_longitudes", figure, "Distance from the central meridian in each part."
    years = audited.years.years
    begins = [year - 0.5 for year in [*years, years[-1] + 1]]
    yield "audit_years", figures.part_histograms(audited.years.rows, begins, "year"), "Years in each part."
    if found := audited.shortcuts:
        scores = {name: shortcut.balanced_accuracy for name, shortcut in found.items()}
        chance = next(iter(found.values())).chance
        figure = figures.intervals(scores, "balanced accuracy", chance=chance)
        yield "audit_shortcuts", figure, "How well each trait alone tells the class of the test part; dashed: chance."


def _narrow_gaps(rows: pd.DataFrame, gap_days: float) -> Iterator[Problem]:
    of_part = {str(name): np.sort(days(part["observed"])) for name, part in rows.groupby("split", sort=False)}
    for (first, a), (second, b) in itertools.combinations(of_part.items(), 2):
        after = np.searchsorted(b, a)
        gap = min(
            np.min(b[after[after < len(b)]] - a[after < len(b)], initial=np.inf),
            np.min(a[after > 0] - b[after[after > 0] - 1], initial=np.inf),
        )
        if gap < gap_days - 1e-6:  # a tenth of a second, for rounding
            yield Problem(f"leak: {gap:.1f} days between {first} and {second}, {gap_days:g} required")


def days(times: pd.Series) -> np.ndarray:
    """Times as days since the beginning of 2010."""
    return np.asarray((times - pd.Timestamp("2010-01-01", tz="UTC")) / pd.Timedelta(days=1), dtype=float)


def _part(part: pd.DataFrame, classes: Sequence[str]) -> Part:
    sizes = part["group"].value_counts()
    labels = part["label"].value_counts()
    regions = part.groupby("label")["group"].nunique()
    return Part(
        rows=len(part),
        regions=int(part["group"].nunique()),
        images=int(part["frame"].nunique()),
        largest_region=str(sizes.index[0]),
        largest_region_share=float(np.round(sizes.iloc[0] / len(part), 6)),
        rows_by_class={name: int(labels.get(name, 0)) for name in classes},
        regions_by_class={name: int(regions.get(name, 0)) for name in classes},
        first=str(part["observed"].min()),
        last=str(part["observed"].max()),
    )


def _years(rows: pd.DataFrame) -> Years:
    year = rows["observed"].dt.year
    years = tuple(range(int(year.min()), int(year.max()) + 1))
    counts = pd.crosstab(rows["split"], year).reindex(columns=years, fill_value=0)
    return Years(years, {str(part): tuple(counts.loc[part].tolist()) for part in dict.fromkeys(rows["split"])})


def _longitudes(rows: pd.DataFrame) -> Longitudes:
    """Rows without a longitude, or behind the limb, are left out."""
    edges = tuple(range(-90, 91, LONGITUDE_BIN))
    counts = {
        str(name): tuple(np.histogram(part["longitude_deg"].dropna().to_numpy(float), edges)[0].tolist())
        for name, part in rows.groupby("split", sort=False)
    }
    return Longitudes(edges, counts)


def _dropped(assignment: Assignment) -> dict[str, int]:
    """Rows that were dropped, by reason."""
    reasons = pd.Series(assignment.dropped[assignment.part == ""]).value_counts()
    return {str(reason): int(n) for reason, n in reasons.items()}
