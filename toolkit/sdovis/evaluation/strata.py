"""Where a model is weakest: its score in strata of the test part, each with an interval by region."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sdovis.evaluation.facts import Stratum
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, by_cluster, cluster_bootstrap
from sdovis.sun.geometry import directions

#: Edges of the bins of distance from the central meridian, degrees: near the limb classes are unreliable.
LONGITUDE_EDGES = (0.0, 20.0, 40.0, 60.0, 90.0)
#: The property that is cut at these edges.
DISTANCE = "distance from the central meridian"
#: With fewer regions, an interval says nothing.
FEWEST_REGIONS = 5
#: The farthest pixel of a square cutout from its centre, as a share of its side.
CORNER = 2**-0.5


def strata(
    rows: pd.DataFrame, predicted: ArrayLike, n_classes: int, footprint_deg: float | None, **draws: Any
) -> tuple[Stratum, ...]:
    """Balanced accuracy of ``rows`` in strata of the properties that the corpus knows of them.

    ``footprint_deg`` is the side of a cutout on the Sun; None for whole images. Strata in which a class does not occur,
    or with fewer than `FEWEST_REGIONS` regions, are left out: their means over classes could not be compared. So is a
    property with a single stratum. ``draws`` as in `bootstrap.cluster_bootstrap`.
    """
    answers = np.asarray(predicted)
    found = []
    for what, of in _properties(rows, footprint_deg):
        places = pd.Series(np.arange(len(rows))).groupby(of.to_numpy(), observed=True)
        usable = (_stratum(what, str(name), rows.iloc[at], answers[at], n_classes, draws) for name, at in places)
        kept = [each for each in usable if each is not None]
        found += kept if len(kept) > 1 else []
    return tuple(found)


def _stratum(
    what: str, name: str, rows: pd.DataFrame, predicted: NDArray[Any], k: int, draws: Mapping[str, Any]
) -> Stratum | None:
    regions = rows["group"].nunique()
    if regions < FEWEST_REGIONS or rows["label"].nunique() < k:
        return None
    matrices = by_cluster(rows["label"].to_numpy(), predicted, rows["group"], k)
    # Of few regions percentiles are far too narrow (benchmarks/intervals.py).
    score = Estimate.of(cluster_bootstrap(matrices, skill.balanced_accuracy, scale="logit", **draws))
    return Stratum(what, name, len(rows), regions, score)


def _properties(rows: pd.DataFrame, footprint_deg: float | None) -> Iterator[tuple[str, pd.Series]]:
    """Each property's name, and the stratum of every row."""
    distance = rows["longitude_deg"].abs().astype(float)
    names = [f"{low:.0f} to {high:.0f} degrees" for low, high in itertools.pairwise(LONGITUDE_EDGES)]
    yield DISTANCE, pd.cut(distance, list(LONGITUDE_EDGES), right=False, labels=names)
    yield "year", rows["observed"].dt.year
    if footprint_deg is not None:
        shown = np.where(
            _has_neighbour(rows, footprint_deg), "with another region in the cutout", "alone in its cutout"
        )
        yield "neighbours", pd.Series(shown, rows.index)
    yield "instrument", rows["header"].map(_instrument)
    yield "original pixels a side", rows["native_side_px"].round().astype("Int64")


def _has_neighbour(rows: pd.DataFrame, footprint_deg: float) -> NDArray[np.bool_]:
    """Whether the centre of another region of the corpus may lie in the row's cutout."""
    found = pd.Series(False, rows.index)
    for _, of in rows.groupby("frame"):
        placed = of.dropna(subset=["latitude_deg", "longitude_deg"])
        points = directions(placed["latitude_deg"], placed["longitude_deg"])
        near = points @ points.T > np.cos(np.radians(CORNER * footprint_deg))
        other = placed["group"].to_numpy()[:, None] != placed["group"].to_numpy()
        found[placed.index] = (near & other).any(axis=1)
    return found.to_numpy()


def _instrument(header: str) -> str | None:
    told = json.loads(header or "{}")
    return str(told.get("INSTRUME") or "") or None


def effective_regions(groups: pd.Series) -> float:
    """Kish's effective number: (sum n)^2 / sum n^2 of the images n of each region, at most the number of regions.

    Kish (1965), Survey Sampling, section 8.2. So many regions with equally many images each weigh as much.
    """
    counts = groups.value_counts().to_numpy(dtype=float)
    return float(counts.sum() ** 2 / (counts**2).sum())
