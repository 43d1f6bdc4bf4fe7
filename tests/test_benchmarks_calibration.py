"""Ways to calibrate are fitted on what folds say, and what a run's own calibration did is undone first."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from scipy.special import softmax
from studies import ROOT


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    name = "benchmark_of_calibration"
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / "calibration.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(bench: ModuleType, seed: int, scale: float = 2.0, shares=(0.2, 0.7, 0.1)):
    """Of a network that was taught equally common classes, and is ``scale`` times too sure."""
    rng = np.random.default_rng(seed)
    truth, places = rng.choice(3, 3000, p=shares), np.array([-1.5, 0.0, 1.5])
    seen = places[truth] + rng.normal(size=3000)
    return bench.Said(scale * (seen[:, None] * places - places**2 / 2), truth, np.arange(3000) // 2)


def test_each_way_mends_what_it_is_made_for(bench) -> None:
    equal = np.full(3, 1 / 3)
    known, asked = said(bench, 0), said(bench, 1)
    ways = bench.ways(equal, said(bench, 2))
    found = {name: bench.told(fit(known)(asked.logits), asked, equal) for name, fit in ways.items()}
    by, taught = "log_loss_by_region", "log_loss_as_taught"
    assert min(found, key=lambda name: found[name][by]) == "temperature+bias"
    assert min(found, key=lambda name: found[name][taught]) == "weighted-temperature"
    stay = {found[name]["balanced_accuracy"] for name in found if name != "temperature+bias"}
    assert len(stay) == 1 and found["temperature+bias"]["balanced_accuracy"] < stay.pop()
    assert found["weighted-temperature"]["ece_as_taught"][1] == 0
    assert found["none"]["ece"][1] > 0.05
    assert set(bench.ways(equal, None)) == set(ways) - {"temperature, validation part"}


def test_a_region_counts_once_and_classes_as_they_were_taught(bench) -> None:
    p = np.array([[0.5, 0.5], [0.5, 0.5], [0.8, 0.2], [0.4, 0.6]])
    of = bench.Said(np.log(p), np.array([0, 0, 0, 1]), np.array(["a", "a", "b", "c"]))
    a, b, c = -np.log([0.5, 0.8, 0.6])
    assert bench.by_region(p, of) == pytest.approx((a + b + c) / 3)
    assert bench.by_region(p, of, np.array([0.5, 0.5])) == pytest.approx((a + b) / 4 + c / 2)


def test_the_calibration_of_a_run_is_undone_before_another_takes_its_place(bench) -> None:
    record = type("Record", (), {"temperature": 1.7, "biases": {"x": 0.3, "y": -0.1, "z": -0.2}})()
    raw = np.random.default_rng(3).normal(size=(5, 3))
    raw -= raw.mean(axis=1, keepdims=True)
    shipped = softmax(raw / 1.7 + list(record.biases.values()), axis=1)
    found = bench.before(shipped, record)
    assert found - found.mean(axis=1, keepdims=True) == pytest.approx(raw)
    assert bench.as_it_is(found, record) == pytest.approx(shipped)
