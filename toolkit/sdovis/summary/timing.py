"""Timings of runs: latency per image and time per training step, described and compared on the log scale."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import manifests
from sdovis.errors import BadInput, Problem
from sdovis.statistics.describe import describe
from sdovis.summary.compare import Row, adjusted, on_log_scale, rank_sum_row, signed_rank_row

#: Written by training, one line per step: session (a number, new after each interruption), step, seconds.
STEPS = "steps.csv"
DAY_TO_DAY = "the interval covers the images or steps, not how fast the machine was that day"


@dataclass(frozen=True)
class Timings:
    """Durations of one or more runs, in milliseconds.

    ``latency``: run -> milliseconds by image id, in the order of the run; ``steps``: run -> milliseconds of each step.
    ``descriptions`` and ``tests`` are rows as in the tables of a `Summary`.
    """

    latency: Mapping[str, pd.Series]
    steps: Mapping[str, NDArray[np.float64]]
    descriptions: Sequence[Row]
    tests: Sequence[Row]

    @property
    def digest(self) -> str:
        """sha256 over all durations, as part of what a summary was made from."""
        kept = {
            "latency": {run: list(zip(s.index, s.tolist(), strict=True)) for run, s in self.latency.items()},
            "steps": {run: values.tolist() for run, values in self.steps.items()},
        }
        return manifests.sha256_text(json.dumps(kept))


def timings(
    scores_folders: Mapping[str, Path],
    *,
    training_folders: Mapping[str, Path] | None = None,
    confidence: float = 0.95,
) -> Timings:
    """Timings of one or more runs, by name; every two runs are compared, the later minus the earlier.

    Latency is paired by image (images that one of two runs lacks are left out and counted) and tested by Wilcoxon's
    signed-rank test; steps are not paired, and are tested by the rank-sum test; both on logarithms, with Holm's
    adjustment over the pairs of runs. A training folder without ``steps.csv`` has no step times.
    Raises `BadInput` for a folder that is absent or damaged, or durations that are not positive.
    """
    latency = {run: _latency(folder) for run, folder in scores_folders.items()}
    recorded = {run: read_steps(folder / STEPS) for run, folder in (training_folders or {}).items()}
    steps = {run: values for run, values in recorded.items() if len(values)}
    described = [_describe("latency", run, series.to_numpy()) for run, series in latency.items()]
    described += [_describe("step time", run, values) for run, values in steps.items()]
    by_image = [_paired(a, b, latency, confidence) for b, a in itertools.combinations(latency, 2)]
    by_step = [_unpaired(a, b, steps, confidence) for b, a in itertools.combinations(steps, 2)]
    return Timings(latency, steps, described, [*adjusted(by_image), *adjusted(by_step)])


def _latency(folder: Path) -> pd.Series:
    manifests.read(folder, made_by="evaluate")
    path = folder / "latency.parquet"
    try:
        table = pd.read_parquet(path, columns=["id", "seconds"])
    except FileNotFoundError:
        raise BadInput(Problem("there are no timings", "run sdovis evaluate again", str(path))) from None
    except (ValueError, KeyError, OSError) as error:
        raise BadInput(Problem(f"cannot be read: {error}", "run sdovis evaluate again", str(path))) from error
    if table["id"].duplicated().any():
        raise BadInput(
            Problem("an image is timed twice, so it cannot be paired", "run sdovis evaluate again", str(path))
        )
    return pd.Series(_positive(table["seconds"], path) * 1e3, index=table["id"].to_numpy())


def read_steps(path: Path) -> NDArray[np.float64]:
    """Milliseconds of each training step; empty if the file is absent.

    The first step of each session is warm-up and left out; if a step was repeated after an interruption, its last time
    counts; a last line that was cut short by a kill is ignored.
    """
    if not path.is_file():
        return np.empty(0)
    text = path.read_text(encoding="utf-8", errors="replace")
    # Without its line break, a number may have lost digits; a power cut may have left nothing.
    if not (whole := text[: text.rfind("\n") + 1]):
        return np.empty(0)
    try:
        table = pd.read_csv(io.StringIO(whole), dtype=str)[["session", "step", "seconds"]]
    except (ValueError, KeyError) as error:
        raise BadInput(Problem(f"is not a table of steps: {error}", "delete it", str(path))) from error
    table = table.apply(pd.to_numeric, errors="coerce").dropna()
    steady = table[table.groupby("session").cumcount() > 0].drop_duplicates("step", keep="last")
    return _positive(steady["seconds"], path) * 1e3


def _positive(seconds: pd.Series, path: Path) -> NDArray[np.float64]:
    values = seconds.to_numpy(dtype=np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise BadInput(Problem("a duration is not a positive number of seconds", file=str(path)))
    return values


def _describe(quantity: str, run: str, values: NDArray[np.float64]) -> Row:
    mean = float(np.exp(np.log(values).mean())) if len(values) else float("nan")
    return {"quantity": quantity, "unit": "ms", "run": run, "geometric_mean": mean} | asdict(describe(values))


def _paired(a: str, b: str, latency: Mapping[str, pd.Series], confidence: float) -> Row:
    both = latency[b].index.intersection(latency[a].index, sort=False)
    alone = len(latency[a]) + len(latency[b]) - 2 * len(both)
    row = {"family": "latency", "quantity": "latency", "unit": "ms", "a": a, "b": b}
    x, y = (latency[run].loc[both].to_numpy() for run in (a, b))
    row |= on_log_scale(signed_rank_row, x, y, confidence)
    left_out = f"{alone} images timed in one run only are left out; " if alone else ""
    return row | {"note": row.get("note") or f"{left_out}{DAY_TO_DAY}"}


def _unpaired(a: str, b: str, steps: Mapping[str, NDArray[Any]], confidence: float) -> Row:
    row = {"family": "step time", "quantity": "step time", "unit": "ms", "a": a, "b": b}
    row |= on_log_scale(rank_sum_row, steps[a], steps[b], confidence)
    return row | {"note": f"the steps of a run are not independent, so the p-value is too small; {DAY_TO_DAY}"}
