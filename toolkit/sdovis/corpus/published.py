"""What leaks between the parts of a data set as its publisher divided it: counted and said aloud, never repaired."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sdovis.corpus.audit import EXAMPLES, KEYS, PAIRS, crossing_pairs, days, in_two_parts
from sdovis.corpus.duplicates import PASSAGE_DAYS
from sdovis.corpus.split import PARTS, alike
from sdovis.corpus.twins import twins
from sdovis.readers.rows import RawRow


@dataclass(frozen=True)
class PublishedLeaks:
    """``leaks`` and ``crossing_pairs`` count as in `corpus.audit.Audit`; ``sentences`` say what they mean."""

    leaks: Mapping[str, int]
    crossing_pairs: Mapping[str, int]
    sentences: tuple[str, ...]


def published_leaks(rows: pd.DataFrame, near_duplicate_bits: int, footprint_deg: float | None) -> PublishedLeaks:
    """What of ``rows`` (columns as in `corpus.audit.audit`) lies in two parts, and how near they are to each other in time."""
    spread = {name: in_two_parts(rows, column) for column, name in KEYS.items()}
    leaks = {name.replace(" ", "_"): len(found) for name, found in spread.items()}
    sentences = []
    for column, name in KEYS.items():
        if found := spread[name]:
            affected = int(rows[column].isin(list(found)).sum())
            shown = ", ".join(
                f"{value} in {' and '.join(parts)}" for value, parts in itertools.islice(found.items(), EXAMPLES)
            )
            sentences.append(
                f"LEAK in the published split: {len(found)} of {rows[column].nunique()} values of {name} lie in two parts, "
                f"{affected} of {len(rows)} rows: {shown}"
            )
    part, pairs = rows["split"].to_numpy(), {}
    for kind, find in alike(rows, near_duplicate_bits, footprint_deg).items():
        pairs[kind], _ = crossing_pairs(part, find)
        if pairs[kind]:
            sentences.append(f"LEAK in the published split: {pairs[kind]} pairs of {PAIRS[kind]} lie in two parts")
    sentences += _near_in_time(rows)
    if not any(leaks.values()) and not any(pairs.values()):
        what = ", ".join(name.replace("_", " ") for name in (*leaks, *pairs))
        sentences.append(f"of the published split nothing lies in two parts ({what})")
    return PublishedLeaks(leaks, pairs, tuple(sentences))


def _near_in_time(rows: pd.DataFrame) -> Iterator[str]:
    """How near two parts come to each other, where that is less than a passage of the disc."""
    of_part = {name: np.sort(days(part["observed"])) for name, part in rows.groupby("split", sort=False)}
    nameless = rows["group"].str.startswith("frame-")
    for first, second in itertools.combinations([name for name in PARTS if name in of_part], 2):
        a, b = of_part[first], of_part[second]
        after = np.searchsorted(b, a)
        gaps = np.minimum(np.abs(b[np.minimum(after, len(b) - 1)] - a), np.abs(a - b[np.maximum(after - 1, 0)]))
        if gaps.min() >= PASSAGE_DAYS:
            continue
        near = int((gaps < PASSAGE_DAYS).sum())
        what = (
            f"of the published split, {first} and {second} come as near as {gaps.min():.1f} days to each other in time, and "
            f"{near} of {len(a)} rows of {first} lie within a passage of the disc ({PASSAGE_DAYS:g} days) of {second}"
        )
        if nameless.any():
            yield f"LEAK in time: {what}; rows name no region, so both may show the same one"
        else:
            yield f"{what}; their regions differ"


def giving_away(rows: pd.DataFrame, raw: Sequence[RawRow]) -> tuple[str, ...]:
    """Which further columns of the source (`RawRow.extra`) give the label of ``rows`` away, a sentence each."""
    extra = {(each.file, each.sheet, each.row): each.extra for each in raw if each.extra}
    if not extra:
        return ()
    ordered = rows.sort_values(["source_file", "source_sheet", "source_row"], kind="stable", ignore_index=True)
    keys = zip(*(ordered[name] for name in ("source_file", "source_sheet", "source_row")), strict=True)
    beside = pd.DataFrame([extra.get(key, {}) for key in keys])
    return tuple(twin.sentence for twin in twins(ordered, beside))
