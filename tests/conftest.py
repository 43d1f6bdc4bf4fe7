"""What several tests share: where the real data lies, and an environment that asks nobody outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium  # noqa: F401  fixture
from sdovis import plugins
from studies import ROOT, STUDY

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
# On a busy machine, threads that spin while they wait take the time of those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real data is not here: ../shared/data is absent (it is not part of the repository)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """The folder of pretrained weights; skips where it is absent."""
    if not (SHARED / "weights").is_dir():
        pytest.skip("pretrained weights are not here: ../shared/weights is absent (it is not part of the repository)")
    return SHARED / "weights"


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of simulated observations: 40 regions, their FITS files and their workbook. Do not write into it."""
    from sdovis.simulation.passages import simulate

    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, regions=40, seed=3, progress=False)
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that sees magnetograms, whole."""
    import saved_models

    return saved_models.save_model(tmp_path_factory.mktemp("small") / "model")


@pytest.fixture
def small_study(simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file beside its own copy of the simulated data, in a working directory of its own."""
    shutil.copytree(simulated, tmp_path / "data")
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "study.toml"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI Chromium is there: a browser test that is skipped has not been run, and fails."""
    report = yield
    if report.skipped and item.get_closest_marker("browser") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI wants it run: {report.longrepr}"
    return report


@pytest.fixture
def fresh_plugins() -> Iterator[None]:
    """Plug-ins are looked up anew in a test that changes what is installed, and again after it."""
    for cached in (plugins.load, plugins.names):
        cached.cache_clear()
    yield
    for cached in (plugins.load, plugins.names):
        cached.cache_clear()
