"""Two checkouts of sdovis side by side: whether they make the same, and which is faster.

    python benchmarks/commits.py same OLD NEW RUN...           corpora and probabilities of runs/RUN in both checkouts
    python benchmarks/commits.py time OLD NEW -- prepare ...   an sdovis command in both, in turns; medians and their ratio

OLD and NEW are checkouts with a .venv each. `same` compares, row by row, the sha256 of every picture's pixels, all other
columns, and the bytes of every saved probability, and ends with 1 if the pixels or the probabilities differ. `time` runs
the command in a new folder each time (paths in it must be absolute), counts the whole process, and changes who begins.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

PARTS = ("train", "validation", "test")


def rows(run: Path) -> pd.DataFrame:
    """The corpus' rows in its order, images left out."""
    tables = []
    for part in PARTS:
        for path in sorted((run / "corpus" / "data").glob(f"{part}-*.parquet")):
            columns = [name for name in pq.read_schema(path).names if name != "image"]
            tables.append(pq.read_table(path, columns=columns).to_pandas().assign(part=part))
    return pd.concat(tables, ignore_index=True)


def probabilities(run: Path) -> np.ndarray | None:
    """(N, K) of all parts; None if the run was not scored."""
    file = run / "scores" / "predictions.parquet"
    if not file.is_file():
        return None
    table = pd.read_parquet(file)
    return table[[name for name in table if name.startswith("prob_")]].to_numpy()


def same(old: Path, new: Path, names: list[str]) -> bool:
    """Print, for each run, what is equal; whether pixels and probabilities all are."""
    equal = True
    for name in names:
        before, after = (rows(folder / "runs" / name) for folder in (old, new))
        pixels = before["pixels_sha256"].tolist() == after["pixels_sha256"].tolist()
        shared = [column for column in before if column in after]
        others = [c for c in shared if len(before) != len(after) or not before[c].equals(after[c])]
        found = {"rows": [len(before), len(after)], "pixels equal": pixels, "columns that differ": others}
        scored = [probabilities(folder / "runs" / name) for folder in (old, new)]
        if scored[0] is not None and scored[1] is not None:
            alike = scored[0].shape == scored[1].shape
            found["probabilities byte-equal"] = alike and scored[0].tobytes() == scored[1].tobytes()
            found["largest difference"] = float(np.abs(scored[0] - scored[1]).max()) if alike else None
        equal = equal and pixels and found.get("probabilities byte-equal", True)
        print(json.dumps({name: found}))
    return equal


def timed(old: Path, new: Path, command: list[str], rounds: int) -> None:
    """Print the medians of both checkouts' times, and of the ratio new to old within each round."""
    took: dict[Path, list[float]] = {old: [], new: []}
    for number in range(-1, rounds):  # the first round warms the file cache
        for checkout in (old, new) if number % 2 else (new, old):
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                subprocess.run(
                    [checkout / ".venv/bin/sdovis", *command], cwd=folder, check=True, capture_output=True, text=True
                )
                if number >= 0:
                    took[checkout].append(time.perf_counter() - begun)
    ratios = [after / before for before, after in zip(took[old], took[new], strict=True)]
    found = {"old s": took[old], "new s": took[new], "ratio": statistics.median(ratios)}
    medians = f"median {statistics.median(took[old]):.2f} s -> {statistics.median(took[new]):.2f} s"
    print(json.dumps({key: np.round(value, 3).tolist() for key, value in found.items()}))
    print(f"{' '.join(command[:2])}: {medians}, ratio {found['ratio']:.3f} ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("same", "time"))
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("names", nargs="+", help="runs, or the sdovis command after --")
    given = parser.parse_args()
    old, new = given.old.resolve(), given.new.resolve()
    if given.what == "time":
        timed(old, new, given.names, given.rounds)
    elif not same(old, new, given.names):
        sys.exit(1)


if __name__ == "__main__":
    main()
