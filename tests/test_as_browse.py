"""Simulated magnetograms as browse pictures: examples/as_browse.py, examples/simulated_browse.toml."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.cli import run_command
from sdovis.errors import BadInput, Conflict
from sdovis.images.images import read_image
from sdovis.simulation.passages import WORKBOOK
from studies import ROOT

STUDY = ROOT / "examples" / "simulated_browse.toml"


@pytest.fixture(scope="module")
def as_browse() -> ModuleType:
    spec = importlib.util.spec_from_file_location("as_browse", ROOT / "examples" / "as_browse.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browse(as_browse: ModuleType, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(as_browse.main(simulated, tmp_path_factory.mktemp("browse") / "all").parent)


def test_grey_is_the_field_until_it_saturates(as_browse: ModuleType, simulated: Path, browse: Path) -> None:
    table = pd.read_excel(browse / WORKBOOK)
    fields, greys = [], []
    for name in table["Image"][:20]:
        fields.append(read_image((simulated / "images" / name).with_suffix(".fits")).values)
        greys.append(read_image(browse / "images" / name).values.astype(float))
    field, grey = np.stack(fields), np.stack(greys)
    weak = np.abs(field) < 200
    assert np.abs(grey[weak] - 127 - field[weak] / as_browse.GAUSS_PER_LEVEL).mean() < 4, "but for what JPEG changes"
    assert grey[field > 800].mean() > 240 and grey[field < -800].mean() < 15


def test_every_row_has_its_picture_and_keeps_everything_else(simulated: Path, browse: Path) -> None:
    theirs, ours = (pd.read_excel(folder / WORKBOOK) for folder in (simulated, browse))
    assert len(list((browse / "images").rglob("*.jpg"))) == theirs["Image"].nunique()
    assert ours.drop(columns="Image").equals(theirs.drop(columns="Image"))


def test_the_example_reads_them(browse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["prepare", str(STUDY), "--set", f"source.root={browse}"]) == 0
    study = studies.load(STUDY, [f"source.root={browse}"])
    assert study.study.simulated and study.backbone.config is not None
    flagship = studies.load(ROOT / "examples" / "hmi_magnetogram.toml")
    assert flagship.backbone.id is not None and flagship.backbone.id.endswith(f"{study.run_dir}/model")


def test_what_is_no_simulation_is_refused_and_nothing_is_overwritten(
    as_browse: ModuleType, simulated: Path, browse: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="is not the output of sdovis simulate"):
        as_browse.main(tmp_path, tmp_path / "out")
    with pytest.raises(Conflict, match="exists"):
        as_browse.main(simulated, browse)
