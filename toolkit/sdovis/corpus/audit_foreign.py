"""The audit of a split made elsewhere, of any dataset that `datasets.load_dataset` opens, in a folder or on the Hub."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import records
from sdovis.corpus.audit import crossing_pairs, in_two_parts
from sdovis.corpus.duplicates import (
    THUMBNAIL,
    Find,
    Pairs,
    Positions,
    near_duplicates,
    perceptual_hash,
    thumbnails,
)
from sdovis.corpus.foreign import codes_of, parts_of, rows_of, undecoded, unopened
from sdovis.corpus.shortcuts import shortcuts
from sdovis.corpus.twins import twins
from sdovis.corpus.units import named_units, strange_regions
from sdovis.errors import BadInput, Problem, nearest, once
from sdovis.readers.rows import cell_text
from sdovis.sun.notation import is_nothing
from sdovis.sun.times import HINT, scale_of, time

#: The most bits by which the hashes of near-duplicates differ, and the least correlation of their thumbnails. Round
#: spots of the HMI continuum that have similar hashes mostly stay below it; nine in ten recompressed images lie above.
NEAR_DUPLICATE_BITS, CORRELATION = 4, 0.95
#: The most values or pairs of one kind of leak that a message names.
EXAMPLES = 3
#: Before the names of the dataset's other columns, in the table that is read.
OTHER = "other "


@dataclass(frozen=True)
class DatasetColumns:
    """The dataset's own names for its columns; '' for a column it does not have."""

    group: str
    label: str = ""
    time: str = ""
    image: str = ""


@dataclass(frozen=True)
class ForeignAudit:
    """The findings: ``facts`` for people and files, ``leaks`` with one problem per kind, ``notes`` worth knowing."""

    facts: Mapping[str, Any]
    leaks: tuple[Problem, ...]
    notes: tuple[str, ...]

    def save(self, file: Path) -> None:
        """Write ``facts`` as JSON."""
        file.write_text(json.dumps(self.facts, indent=1, default=str) + "\n", encoding="utf-8")


def audit_foreign(where: str, columns: DatasetColumns, *, progress: bool = True) -> ForeignAudit:
    """Audit the split of the dataset ``where``: a folder, a Parquet file, or a Hub id. Nothing is written.

    Raises `BadInput` if it is not a dataset, has only one part, or lacks a column; `HubFailure` if the Hub cannot be
    reached.
    """
    rows, columns = read(where, columns, progress=progress)
    found = [*_groups(rows), *(_pictures(rows) if "perceptual_hash" in rows else ())]
    facts: dict[str, Any] = {"dataset": where, "columns": vars(columns), "parts": _parts(rows, columns)}
    facts["leaks"] = {kind: count for kind, count, _ in found}
    notes = list(_notes(rows, columns))
    if others := unopened(where):
        notes.append(
            f"{len(others)} files were not opened, as datasets does not know them: {', '.join(others[:EXAMPLES])}"
        )
    if columns.label:
        classes = sorted(rows["label"].unique())
        facts["classes"] = classes
        known = rows[rows["group"].notna()]
        alone = shortcuts(known, classes) if len(classes) > 1 else {}
        facts["shortcuts"] = records.plain(alone)
        notes += [each.sentence for each in alone.values()]
        beside = rows.loc[:, rows.columns.str.startswith(OTHER)].rename(columns=lambda name: name[len(OTHER) :])
        giving = twins(rows, beside)
        facts["label_twins"] = [vars(twin) for twin in giving]
        notes += [twin.sentence for twin in giving]
    facts["notes"] = notes
    leaks = tuple(problem for _, count, problem in found if count)
    facts["clean"] = not leaks
    return ForeignAudit(facts, leaks, tuple(notes))


def read(where: str, columns: DatasetColumns, *, progress: bool = True) -> tuple[pd.DataFrame, DatasetColumns]:
    """One row per example: split, group and, if their columns are there, label (text), observed and image traits.

    With a label, the dataset's other plain columns follow, their names after `OTHER`.

    The image column is guessed if it is not named. Raises what `audit_foreign` raises.
    """
    from tqdm import tqdm

    parts = parts_of(where)
    names = next(iter(parts.values())).column_names or []
    columns = _checked(where, columns, parts, names)
    inside = "split" if len(parts) == 1 and "split" in names else ""
    if len(parts) == 1 and not inside:
        hint = "name a folder with files for train, test ..., or add a column named split"
        raise BadInput(Problem(f"has only one part ({next(iter(parts))}), so nothing can leak", hint, where))
    records: list[dict[str, Any]] = []
    wanted = [name for name in (*vars(columns).values(), inside) if name]
    for part, data in parts.items():
        text = _class_names(data, columns.label)
        others = [name for name in _plain(data) if name not in wanted] if columns.label else []
        stored = undecoded(data, columns.image).select_columns(list(dict.fromkeys([*wanted, *others])))
        for row in tqdm(rows_of(stored, where), part, disable=not progress, leave=False):
            record = {"split": cell_text(row[inside]) if inside else part, "group": row[columns.group]}
            record |= {OTHER + name: row.get(name) for name in others}
            if columns.label:
                record["label"] = text(row[columns.label])
            if columns.time:
                record["observed"] = row[columns.time]
            if columns.image:
                record |= _traits(codes_of(row[columns.image], where, len(records)))
            records.append(record)
    rows = pd.DataFrame(records)
    if not len(rows):
        raise BadInput(Problem("has no rows", file=where))
    if blank := int((rows["split"] == "").sum()):
        raise BadInput(Problem(f"{blank} rows name no part", "fill in the column split", where, column=inside))
    if rows["split"].nunique() < 2:
        raise BadInput(Problem(f"has rows in only one part ({rows['split'].iloc[0]})", file=where))
    if blank := int((rows["split"] == "").sum()):
        raise BadInput(Problem(f"{blank} rows name no part", "fill in the column split", where, column=inside))
    spelled = {name.lower(): name for name in rows["split"].unique()}
    if two := [(name, spelled[name.lower()]) for name in rows["split"].unique() if spelled[name.lower()] != name]:
        what = f"the column split writes one part in two ways, {two[0][0]!r} and {two[0][1]!r}"
        raise BadInput(Problem(what, "write each part in one way", where, column=inside))
    rows["written"] = rows["group"].map(cell_text)
    rows["units"] = named_units(rows["written"], columns.group)
    rows["group"] = [" and ".join(units) or None for units in rows["units"]]
    if not rows["group"].notna().any():
        what = f"no row has a group, so whether any of the {len(rows)} leaks is unknown"
        raise BadInput(Problem(what, "name another column with --group", where, column=columns.group))
    if columns.time:
        rows["observed"] = _times(rows["observed"], where, columns.time)
    return rows, columns


def _checked(where: str, columns: DatasetColumns, parts: Mapping[str, Any], names: list[str]) -> DatasetColumns:
    """The columns, checked to exist, with the image column guessed."""
    problems = [
        Problem(f"--{option} {name!r}: there is no such column", nearest(name, names), where)
        for option, name in vars(columns).items()
        if name and name not in names
    ]
    problems += [  # pandas' and pyarrow's way to tell two columns of one heading apart
        Problem(f"the heading {name!r} occurs twice", "rename one of them", where)
        for name in dict.fromkeys(filter(None, vars(columns).values()))
        if f"{name}.1" in names
    ]
    if problems:
        raise BadInput(problems)
    if columns.image:
        return columns
    features = next(iter(parts.values())).features or {}
    images = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    return DatasetColumns(columns.group, columns.label, columns.time, images[0] if images else "")


def _plain(data: Any) -> list[str]:
    """The columns of numbers, texts and times."""
    import datasets

    return [
        name
        for name, feature in (data.features or {}).items()
        if isinstance(feature, datasets.ClassLabel)
        or (isinstance(feature, datasets.Value) and feature.dtype != "binary")
    ]


def _class_names(data: Any, label: str) -> Any:
    """Turns a value of the label column into text: class numbers become names."""
    return getattr((data.features or {}).get(label), "int2str", str)


def _traits(codes: NDArray[np.uint8]) -> dict[str, Any]:
    return {
        "pixels_sha256": hashlib.sha256(codes.tobytes() + repr(codes.shape).encode()).hexdigest(),
        "perceptual_hash": perceptual_hash(codes),
        "mean_code": float(codes.mean()),
        "native_side_px": float(max(codes.shape[:2])),
        "thumbnail": thumbnails(codes[None])[0].round().astype(np.uint8),
    }


def _times(values: pd.Series, where: str, column: str) -> pd.Series:
    """The column as times in UTC. Raises `BadInput` with every text that is not a time."""
    if values.dtype.kind == "M":
        return pd.to_datetime(values, utc=True)
    read: dict[Any, Any] = {}
    problems = []
    for value in dict.fromkeys(values):
        try:
            text = "" if value is None else str(value)
            read[value] = None if is_nothing(text) else time(text, scale=scale_of(column))
        except BadInput as error:
            (problem,) = error.problems
            problems.append(Problem(problem.what, HINT, where, column=column, kind=problem.kind or "time"))
    if problems:
        raise BadInput(once(problems))
    return pd.to_datetime(values.map(read), utc=True)


Kind = tuple[str, int, Problem]


def _groups(rows: pd.DataFrame) -> Iterator[Kind]:
    # A row of several regions shows each of them.
    each = rows[["split", "units", "written"]].explode("units")
    spread = in_two_parts(each, "units")
    shown = ", ".join(
        f"{value} in {' and '.join(parts)}{_spellings(each, value)}"
        for value, parts in itertools.islice(spread.items(), EXAMPLES)
    )
    affected = each.index[each["units"].isin(list(spread))].nunique()
    what = f"leak: {len(spread)} of {rows['group'].nunique()} groups lie in two parts, {affected} rows: {shown}"
    yield "groups", len(spread), Problem(what, "split by group")


def _spellings(each: pd.DataFrame, unit: str) -> str:
    """How the cells write a unit, if they do so in more than one way."""
    found = sorted(each.loc[each["units"] == unit, "written"].unique())
    return f" (written {', '.join(map(repr, found[:EXAMPLES]))})" if len(found) > 1 else ""


def _pictures(rows: pd.DataFrame) -> Iterator[Kind]:
    spread = in_two_parts(rows, "pixels_sha256")
    first = rows.drop_duplicates(["pixels_sha256", "split"]).groupby("pixels_sha256").head(2)
    shown = "; ".join(
        " and ".join(f"{row.split} row {row.row}" for row in _numbered(rows).loc[of.index].itertuples())
        for _, of in itertools.islice(first[first["pixels_sha256"].isin(spread)].groupby("pixels_sha256"), EXAMPLES)
    )
    yield (
        "identical_images",
        len(spread),
        Problem(f"leak: {len(spread)} identical images lie in two parts: {shown}", "keep one of each"),
    )
    # Identical images are already counted.
    different = rows[~rows["pixels_sha256"].isin(list(spread))].reset_index()
    count, pairs = crossing_pairs(different["split"].to_numpy(), _resembling(different))
    numbered = _numbered(rows).loc[different["index"]]
    names = [f"{row.split} row {row.row}" for row in numbered.itertuples()]
    shown = "; ".join(f"{names[i]} and {names[j]}" for i, j in pairs)
    what = f"leak: {count} pairs of near-duplicate images lie in two parts: {shown}"
    yield "near_duplicates", count, Problem(what, "inspect them and keep one of each pair")


def _resembling(rows: pd.DataFrame) -> Find:
    """Finds pairs of near-duplicates by their hashes, confirmed by their thumbnails."""
    # Without the fall-off to the limb, which all images of one position on the disc share.
    y, x = np.mgrid[-1 : 1 : THUMBNAIL * 1j, -1 : 1 : THUMBNAIL * 1j]
    surface = np.stack([x**0, x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    inverse = np.linalg.pinv(surface)
    by_hash = near_duplicates(rows, NEAR_DUPLICATE_BITS)

    def structure(positions: Positions) -> NDArray[np.float64]:
        small = np.stack(rows["thumbnail"].iloc[positions].tolist())
        flat = small.reshape(len(positions), -1).astype(np.float64)
        flat = flat - flat @ inverse.T @ surface.T
        return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))

    def find(first: Positions, second: Positions) -> Pairs:
        for i, j in by_hash(first, second):
            for start in range(0, len(i), 1000):
                some, others = i[start : start + 1000], j[start : start + 1000]
                same = (structure(some) * structure(others)).sum(axis=1) > CORRELATION
                yield some[same], others[same]

    return find


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """Each row's part and its number within the part, from 0."""
    return rows[["split"]].assign(row=rows.groupby("split").cumcount())


def _parts(rows: pd.DataFrame, columns: DatasetColumns) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, part in rows.groupby("split", sort=False):
        sizes = part["group"].value_counts()
        found[str(name)] = {
            "rows": len(part),
            "groups": len(sizes),
            "largest_group": str(sizes.index[0]) if len(sizes) else None,
            "largest_group_share": float(sizes.iloc[0] / len(part)) if len(sizes) else None,
        }
        if columns.time:
            found[str(name)] |= {"first": str(part["observed"].min()), "last": str(part["observed"].max())}
        if columns.label:
            found[str(name)]["rows_by_class"] = {str(k): int(n) for k, n in part["label"].value_counts().items()}
    return found


def _notes(rows: pd.DataFrame, columns: DatasetColumns) -> Iterator[str]:
    if strange := strange_regions(rows["written"], columns.group):
        yield f"{len(strange)} spellings of {columns.group} are no region numbers: {', '.join(map(repr, strange[:EXAMPLES]))}"
    if unknown := int(rows["group"].isna().sum()):
        yield f"{unknown} rows have no group, so whether they leak is unknown"
    if not columns.image:
        yield "there is no image column, so identical and near-duplicate images were not looked for"
    if not columns.time:
        return
    shared = in_two_parts(rows, "observed")
    if shared:
        yield f"{len(shared)} times of observation occur in more than one part: images of one moment show the same Sun"
    spans = rows.groupby("split", sort=False)["observed"].agg(["min", "max"])
    for first, second in itertools.combinations(spans.index, 2):
        a, b = spans.loc[first], spans.loc[second]
        if a["min"] <= b["max"] and b["min"] <= a["max"]:
            yield f"{first} and {second} overlap in time, so skill at a later time is not tested"
        else:
            gap = max(a["min"] - b["max"], b["min"] - a["max"]) / pd.Timedelta(days=1)
            earlier, later = (first, second) if a["max"] < b["min"] else (second, first)
            yield f"{later} begins {gap:.1f} days after {earlier} ends"
