"""Two checkouts are told apart by what they made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from studies import ROOT

SCRIPT = ROOT / "benchmarks" / "commits.py"


def _made(checkout: Path, pixels: str = "aa", probability: float = 0.25) -> Path:
    """A checkout with a scored run of two rows."""
    run = checkout / "runs" / "sun"
    (run / "corpus" / "data").mkdir(parents=True)
    (run / "scores").mkdir()
    for part, sha in (("train", "00"), ("test", pixels)):
        file = run / "corpus" / "data" / f"{part}-00000-of-00001.parquet"
        pd.DataFrame({"id": [part], "pixels_sha256": [sha]}).to_parquet(file)
    table = pd.DataFrame({"prob_a": [0.5, probability], "prob_b": [0.5, 1 - probability]}, dtype="float32")
    table.to_parquet(run / "scores" / "predictions.parquet")
    return checkout


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({}, 0, '"pixels equal": true'),
        ({"pixels": "ab"}, 1, '"pixels equal": false'),
        ({"probability": 0.2500001}, 1, '"probabilities byte-equal": false'),
    ],
)
def test_a_change_of_a_pixel_or_of_a_probability_is_told(tmp_path: Path, change, code: int, said: str) -> None:
    old, new = _made(tmp_path / "old"), _made(tmp_path / "new", **change)
    done = subprocess.run([sys.executable, SCRIPT, "same", old, new, "sun"], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert said in done.stdout
