"""The audit of a split: what leaks fails, what may mislead is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sdovis.errors import BadInput, Problem


def leaks(rows: pd.DataFrame, keys: Mapping[str, str]) -> list[Problem]:
    """One problem for each value of a key column that occurs in two parts.

    ``rows`` has a column split; ``keys`` maps a column to what it is called ('group' -> 'region').
    """
    problems = []
    for column, what in keys.items():
        known = rows[rows[column].notna()]
        spread = known.groupby(column)["split"].agg(lambda parts: sorted(set(parts)))
        for value, parts in spread[spread.map(len) > 1].items():
            problems.append(Problem(f"leak: {what} {value} lies in {' and '.join(parts)}", "make the split again"))
    return problems


def audit(rows: pd.DataFrame, classes: Sequence[str], *, gap_days: float | None) -> dict[str, Any]:
    """Facts of a split, as saved in ``audit.json``.

    ``rows`` needs columns split, group, frame, pixels_sha256, observed, label (a class name).
    Raises `BadInput` when a region, an image or identical pixels lie in two parts, or a temporal gap is too short.
    """
    problems = leaks(rows, {"group": "region", "frame": "image", "pixels_sha256": "an identical cutout"})
    times = {str(name): part["observed"] for name, part in rows.groupby("split", sort=False)}
    first = {name: pd.Timestamp(part.min()) for name, part in times.items()}
    last = {name: pd.Timestamp(part.max()) for name, part in times.items()}
    if gap_days is not None:
        for earlier, later in (("train", "validation"), ("validation", "test")):
            gap = (first[later] - last[earlier]) / pd.Timedelta(days=1)
            if gap < gap_days:
                problems.append(Problem(f"leak: {gap:.1f} days between {earlier} and {later}, {gap_days:g} asked for"))
    if problems:
        raise BadInput(problems)
    return {
        "leaks": {"region": 0, "image": 0, "identical_cutout": 0},
        "gap_days": gap_days,
        "parts": {
            str(name): _part(part, classes) | {"first": str(first[str(name)]), "last": str(last[str(name)])}
            for name, part in rows.groupby("split", sort=False)
        },
    }


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
    }
