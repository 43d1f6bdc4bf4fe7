"""The dashboard is trackio's own page, and it shows the curves of the run: in a real Chromium, with the Hub's address
answered from the release's folder.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from runs import Run
from sdovis.cards import card, templates
from sdovis.cards.facts import Offers
from sdovis.errors import BadInput
from sdovis.release import dashboard
from sdovis.release.assembly import DASHBOARD, Release, release

pytest.importorskip("trackio", reason="trackio is not installed")
ON_THE_HUB = "https://huggingface.co/datasets/org/{name}/resolve/main/"


@pytest.fixture(scope="module")
def shown(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The release of a study that asks for a dashboard."""
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(finished_run.folder, folder / "run")
    facts = replace(finished_run.facts, offers=Offers(dashboard=True))
    card.write(facts, folder / "run", templates.load(None))
    return release(facts, folder / "run", templates.load(None))


def test_it_is_off_unless_the_study_asks(finished_run: Run):
    assert finished_run.facts.offers.dashboard is False


def test_the_release_holds_a_fourth_repository_that_names_the_pin(shown: Release, finished_run: Run):
    assert list(shown.repositories) == ["dataset", "model", "space", DASHBOARD]
    assert shown.repositories[DASHBOARD].id == f"{finished_run.facts.repositories.space}-training"
    readme = shown.path(DASHBOARD, "README.md").read_text()
    said = yaml.safe_load(readme.split("---")[1])
    assert (said["sdk"], said["datasets"]) == ("static", [finished_run.facts.repositories.dataset])
    assert shown.pin in readme and "MIT License" in shown.path(DASHBOARD, "LICENSE.txt").read_text()
    assert Release.load(shown.folder).repositories.keys() == shown.repositories.keys()


def test_its_tables_are_those_that_trackio_itself_would_export(
    shown: Release, finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same run logged to trackio's database, and exported by it: the same columns, values and run."""
    from trackio import sqlite_storage, utils

    for module in (sqlite_storage, utils):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    curves = [dict(dashboard._logged(entry)) for entry in finished_run.facts.training.curves]
    steps = [entry.pop("step") for entry in curves]
    storage, name = sqlite_storage.SQLiteStorage, finished_run.facts.name
    storage.bulk_log(name, name, curves, steps=steps)
    storage.export_for_static_space(name, tmp_path / "exported")
    theirs = pd.read_parquet(tmp_path / "exported" / dashboard.METRICS)
    ours = pd.read_parquet(shown.path("dataset", dashboard.METRICS))
    not_kept = {"id", "timestamp", "log_id", "space_id"}
    pd.testing.assert_frame_equal(ours[sorted(ours)], theirs[sorted(theirs.columns.difference(not_kept))])
    (run,) = json.loads((tmp_path / "exported" / dashboard.RUNS).read_text())
    assert json.loads(shown.path("dataset", dashboard.RUNS).read_text()) == [{**run, "created_at": None}]


def test_the_page_draws_the_curves_and_asks_only_the_hub(shown: Release, finished_run: Run, chromium: Any):
    name, asked = finished_run.facts.name, []

    def answer(folder: Path, prefix: str) -> Callable[[Any], None]:
        def give(route: Any) -> None:
            file = folder / (route.request.url.removeprefix(prefix).partition("?")[0] or "index.html")
            route.fulfill(path=file) if file.is_file() else route.fulfill(status=404, body="")

        return give

    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.route("**/*", lambda route: (asked.append(route.request.url), route.abort()))
    hub, space = ON_THE_HUB.format(name=name), "https://org-training.static.hf.space/"
    page.route(f"{hub}**", answer(shown.folder / "dataset", hub))
    page.route(f"{space}**", answer(shown.folder / DASHBOARD, space))
    page.goto(space)
    page.get_by_text("loss", exact=False).first.wait_for(timeout=30_000)
    page.locator("canvas, svg.marks").first.wait_for(timeout=30_000)
    text = page.inner_text("body")
    assert name in text and "loss" in text
    assert asked in ([], [f"https://huggingface.co/api/datasets/org/{name}"])  # whether there are other files to show
    page.close()


def test_without_trackio_it_is_refused_in_words(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    facts = replace(finished_run.facts, offers=Offers(dashboard=True))
    with pytest.raises(
        BadInput, match=r"publish.dashboard needs the package trackio.*pip install 'sdovis\[trackers\]'"
    ):
        dashboard.write(facts, tmp_path)
