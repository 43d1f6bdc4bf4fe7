"""Test scores of several seeds and their spread are written, and read back as they were."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from sdovis.evaluation.facts import SeedScores
from sdovis.statistics.bootstrap import Estimate


def _scored(**estimates):
    return SimpleNamespace(overall={name: Estimate(value, None, None) for name, value in estimates.items()})


def test_the_spread_is_over_the_scores_that_all_seeds_have(tmp_path):
    found = SeedScores.of({3: _scored(accuracy=0.5, f1=0.4, tss=None), 4: _scored(accuracy=0.7, f1=None, tss=None)})
    assert found.test == {"3": {"accuracy": 0.5, "f1": 0.4}, "4": {"accuracy": 0.7}}
    assert list(found.over_seeds) == ["accuracy"]
    over = {"mean": 0.6, "sd": 0.02**0.5, "low": 0.5, "high": 0.7}
    assert found.over_seeds["accuracy"] == pytest.approx(over)
    found.save(tmp_path)
    assert SeedScores.load(tmp_path) == found
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_seeds_that_were_scored_before_the_file_had_a_format_are_read(tmp_path):
    over = {"accuracy": {"mean": 0.6, "sd": 0.1, "low": 0.5, "high": 0.7}}
    written = {"test": {"0": {"accuracy": 0.5}, "1": {"accuracy": 0.7}}, "over_seeds": over}
    (tmp_path / "scores.json").write_text(json.dumps(written))
    assert SeedScores.load(tmp_path) == SeedScores(**written)
