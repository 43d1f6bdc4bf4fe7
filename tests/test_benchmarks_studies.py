"""Ways to train are compared on folds by region, and the test part is opened once."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from studies import ROOT


@dataclass(frozen=True)
class Rows:
    """What is dealt of a corpus."""

    rows: pd.DataFrame


@pytest.fixture
def bench(monkeypatch, tmp_path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_ways", ROOT / "benchmarks" / "studies.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FILE", tmp_path / "studies.json")
    monkeypatch.chdir(tmp_path)
    return module


def _opens(bench: ModuleType, monkeypatch, *more: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["studies.py", "open", "hmi-magnetogram", "DATA", "--out", ".", *more])
    bench.main()
    return json.loads(bench.FILE.read_text())


def test_a_test_part_is_opened_once_unless_a_reason_is_given_and_recorded(bench, monkeypatch, capsys) -> None:
    monkeypatch.setattr(bench, "variant", lambda *given: "study")
    monkeypatch.setattr(bench, "trained", lambda study: None)
    monkeypatch.setattr(bench, "opened", lambda name, study: {"rows": 3})
    assert _opens(bench, monkeypatch)["hmi-magnetogram"]["openings"][0]["found"] == {"rows": 3}
    with pytest.raises(SystemExit):
        _opens(bench, monkeypatch)
    assert "--again WHY opens it once more" in capsys.readouterr().err
    openings = _opens(bench, monkeypatch, "--again", "the labels were wrong")["hmi-magnetogram"]["openings"]
    assert [each["why"] for each in openings] == ["the first time", "the labels were wrong"]


def test_an_opening_that_fails_is_an_opening(bench, monkeypatch) -> None:
    def fails(name: str, study: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(bench, "variant", lambda *given: "study")
    monkeypatch.setattr(bench, "trained", lambda study: None)
    monkeypatch.setattr(bench, "opened", fails)
    with pytest.raises(RuntimeError):
        _opens(bench, monkeypatch)
    assert len(json.loads(bench.FILE.read_text())["hmi-magnetogram"]["openings"]) == 1


def test_a_training_that_is_cut_short_has_opened_nothing(bench, monkeypatch) -> None:
    def stops(study: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "variant", lambda *given: "study")
    monkeypatch.setattr(bench, "trained", stops)
    with pytest.raises(KeyboardInterrupt):
        _opens(bench, monkeypatch)
    assert not bench.FILE.exists()


def test_folds_share_no_region_and_leave_the_test_part_alone(bench) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 4)
    rows = pd.DataFrame({"group": group, "label": rng.integers(3, size=60)[group]})
    rows["split"] = np.select([group < 40, group < 48], ["train", "validation"], "test")
    held_once = np.zeros(len(rows), int)
    for held, parts in bench.dealt(Rows(rows)):
        split = parts.rows["split"]
        held_once[held] += 1
        assert (split[rows["split"] == "test"] == "test").all() and set(np.flatnonzero(split == "validation")) == set(
            held
        )
        assert not set(rows["group"][split == "validation"]) & set(rows["group"][split == "train"])
    assert (held_once == (rows["split"] != "test")).all()


def test_a_way_that_has_its_score_is_not_trained_again(bench, monkeypatch) -> None:
    tried: list[str] = []
    found = {"balanced_accuracy": {"estimate": 0.5, "low": 0.4, "high": 0.6}, "log_loss": 1.0, "seconds": 1, "folds": 2}

    def score(study: object, out, folds: int) -> dict:
        tried.append(out.name)
        return found

    study = SimpleNamespace(study=SimpleNamespace(seed=0))
    monkeypatch.setattr(bench, "WAYS", {"hmi-magnetogram": {"one": {}, "other": {"study.seed": 1}}})
    monkeypatch.setattr(bench, "variant", lambda *given: study)
    monkeypatch.setattr(bench, "cross_validated", score)
    monkeypatch.setattr(bench, "prepared", lambda study: None)
    monkeypatch.setattr(bench, "rivals", lambda corpus, study, folds: {})
    results: dict = {}
    for _ in range(2):
        bench.choose("hmi-magnetogram", ["one", "other"], 2, results, None, "")
    assert tried == ["one", "other"]
    assert json.loads(bench.FILE.read_text())["hmi-magnetogram"]["ways"]["other"]["patch"] == {"study.seed": 1}
