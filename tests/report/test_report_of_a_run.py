"""A small run from its scores to a verified report, by the verbs that a user types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from releases import finished_run  # noqa: F401  fixture
from runs import Run, remade
from sdovis.cli import run_command


@pytest.fixture(scope="module")
def place(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A working directory with a finished run and its study, explained and reported; not to be changed."""
    folder = tmp_path_factory.mktemp("reported")
    shutil.copytree(finished_run.folder, folder / "runs" / "small")
    shutil.copytree(finished_run.folder.parents[1] / "data", folder / "data")
    (folder / "study.toml").write_text((finished_run.folder.parents[1] / "study.toml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for verb in ("explain", "card", "report"):
            assert run_command([verb, "study.toml"]) == 0
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working directory."""
    shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_what_was_explained_is_on_the_card_in_the_release_and_on_the_report_and_is_verified(here, capfd):
    run = here / "runs/small"
    found = json.loads((run / "explanation/explanation.json").read_text())
    card = (run / "cards/model/README.md").read_text(encoding="utf-8")
    assert "### Where it looks" in card and "### Most confident mistakes" in card
    assert f"AR {found['mistakes'][0]['noaa_ar']}" in card
    assert (run / "release/model/explanation.json").is_file() and (run / "release/model/figures/mistakes.png").is_file()
    assert "What the network looks at" in (run / "report/report.html").read_text(encoding="utf-8")
    assert run_command(["verify", "runs/small"]) == 0
    assert run_command(["explain", "study.toml"]) == 0
    assert "explain: nothing changed, keeping the explanation" in capfd.readouterr().err


def test_scores_of_maps_that_say_otherwise_than_the_card_and_the_report_are_found_out(here, capfd):
    file = here / "runs/small/explanation/maps.parquet"
    table = pd.read_parquet(file)
    table["insertion"] = table["insertion"].where(table["map"] == "random", 0.99)
    table.to_parquet(here / "changed.parquet", index=False)
    remade(file.parent, {"maps.parquet": (here / "changed.parquet").read_bytes()})
    assert run_command(["verify", "runs/small"]) == 2
    said = capfd.readouterr().err
    assert "cards/model/README.md" in said and "report/report.html" in said and "0.99" in said
