"""The study of full discs in three channels, and a real SHARP among them: examples/full_disc.toml, examples/with_sharp.py."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.cli import run_command
from sdovis.errors import BadInput, Conflict
from sdovis.images.images import read_image
from sdovis.simulation.days import WORKBOOK, simulate_discs
from studies import ROOT

STUDY = ROOT / "examples" / "full_disc.toml"
SHARP = "hmi.sharp_cea_720s.377.20110215_020000_TAI"
SHARP_2025 = "hmi.sharp_cea_720s.13561.20250727_150000_TAI"
SEGMENTS = {"Br image": "Br", "Magnetogram": "magnetogram", "Continuum": "continuum"}


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sun") / "discs"
    return simulate_discs(folder, discs=24, size_px=256, workers=1, progress=False).parent


@pytest.fixture(scope="module")
def with_sharp() -> ModuleType:
    spec = importlib.util.spec_from_file_location("with_sharp", ROOT / "examples" / "with_sharp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mixed(discs: Path, with_sharp: ModuleType, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with simulated discs and the SHARP sample of 2011-02-15, NOAA 11158."""
    srs = shared_data / "noaa_srs" / "2011_SRS.tar.gz"
    out = tmp_path_factory.mktemp("mixed") / "all"
    return Path(with_sharp.main(discs, shared_data / "fits_samples", srs, out).parent)


@pytest.fixture(scope="module")
def corpus(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The rows that prepare makes of both, with their pictures as arrays."""
    import datasets

    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command(["prepare", str(STUDY), "--set", f"source.root={mixed}", "--set", "split.gap_days=3"]) == 0
    parts: Any = datasets.load_dataset(str(folder / "runs" / "full-disc" / "corpus"))
    rows = [row | {"codes": np.asarray(row["image"])} for part in parts.values() for row in part]
    return pd.DataFrame(rows)


def test_the_example_reads_the_workbook_that_the_verb_writes(discs: Path) -> None:
    study = studies.load(STUDY, [f"source.root={discs}"])
    assert study.source.workbook == WORKBOOK
    assert study.study.simulated
    assert study.images.channels == ("hmi-br", "hmi-magnetogram", "hmi-continuum")
    table = pd.read_excel(discs / WORKBOOK)
    assert set(study.source.columns.mapped().values()) <= set(table.columns)


def test_the_sharps_row_is_that_of_the_summary_nearest_in_time(mixed: Path) -> None:
    table = pd.read_excel(mixed / WORKBOOK)
    row = table.iloc[0]
    assert (row["NOAA AR"], row["Mount Wilson"]) == (11158, "Beta-Gamma"), "the summary of 2011-02-15 00:00"
    assert row["Observed (UTC)"] == pd.Timestamp("2011-02-15 01:59:20"), "T_OBS, 34 s less than TAI"
    image = read_image(mixed / "images" / row["Br image"])
    assert image.grid is not None
    middle = image.grid.place((image.values.shape[1] - 1) / 2, (image.values.shape[0] - 1) / 2)
    # S21W14 two hours earlier: within 2.5 degrees of the middle of the map.
    assert (row["Latitude (deg)"], row["Longitude (deg)"]) == pytest.approx(tuple(map(float, middle)), abs=2.5)
    assert row["Longitude (deg)"] == pytest.approx(15.1, abs=0.2)
    assert 11158 not in table["NOAA AR"].to_numpy()[1:], "no simulated region takes its number"


def test_both_kinds_become_colour_pictures_of_one_scale(corpus: pd.DataFrame) -> None:
    assert len(corpus) > 60
    assert {codes.shape for codes in corpus["codes"]} == {(96, 96, 3)}
    real = corpus[corpus["noaa_ar"] == 11158]
    assert len(real) == 1
    assert real["native_side_px"].item() == pytest.approx(16 / 0.03, rel=1e-3)
    simulated = corpus[corpus["noaa_ar"] != 11158]
    assert simulated["missing_share"].max() == 0
    assert real["missing_share"].item() == pytest.approx(1 - 377 * 0.03 / 16, abs=0.03), "the map is 11.3 degrees high"
    middle = simulated[(simulated["longitude_deg"].abs() < 25) & (simulated["latitude_deg"].abs() < 20)]
    arcsec_per_degree = 16.6  # 960 arcsec of solar radius, at the middle of the disc
    assert middle["native_side_px"].median() == pytest.approx(16 * arcsec_per_degree / (4096 * 0.504311 / 256), rel=0.1)


@pytest.mark.parametrize("real", [True, False])
def test_the_three_colours_show_the_same_spots_at_the_same_places(corpus: pd.DataFrame, real: bool) -> None:
    rows = corpus[(corpus["noaa_ar"] == 11158) == real]
    rows = rows[(rows["longitude_deg"].abs() < 40)]
    pixels = np.concatenate([codes.reshape(-1, 3) for codes in rows["codes"]]).astype(int)
    pixels = pixels[(pixels > 0).all(axis=1)]
    radial, sight, intensity = pixels[:, 0] - 128, pixels[:, 1] - 128, (pixels[:, 2] - 1) * 0.005
    strong = np.abs(radial) > 100  # beyond 1.4 kG
    assert strong.sum() > 20
    assert np.mean(np.sign(radial[strong]) == np.sign(sight[strong])) > 0.97
    assert np.median(intensity[strong]) < 0.85
    assert np.median(intensity[np.abs(radial) < 20]) == pytest.approx(1, abs=0.02)


def test_the_real_class_is_complex_and_nothing_is_dropped_for_being_real(corpus: pd.DataFrame) -> None:
    assert corpus.loc[corpus["noaa_ar"] == 11158, "label"].item() == 2
    assert corpus.loc[corpus["noaa_ar"] == 11158, "label_text"].item() == "Beta-Gamma"


def test_what_cannot_be_joined_is_said(discs: Path, with_sharp: ModuleType, shared_data: Path, tmp_path: Path) -> None:
    srs = shared_data / "noaa_srs" / "2011_SRS.tar.gz"
    with pytest.raises(Conflict, match="new folder"):
        with_sharp.main(discs, shared_data / "fits_samples", srs, tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match="SHARP segments"):
        with_sharp.main(discs, tmp_path / "none", srs, tmp_path / "out")
    with pytest.raises(BadInput, match="11158 has no class"):
        with_sharp.main(
            discs, shared_data / "fits_samples", shared_data / "noaa_srs" / "2014_SRS.tar.gz", tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_sharps_of_both_exports_make_one_study_of_three_channels_to_its_release(
    mixed: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SHARP of 2025 has its units in _BUNIT; two regions alone cannot be split, so simulated discs are among them."""
    import datasets

    shutil.copytree(mixed, tmp_path / "all", copy_function=os.link)
    for path in (shared_data / "sharp_2025").glob("*.fits"):
        shutil.copyfile(path, tmp_path / "all" / "images" / path.name)
    names = {column: f"{SHARP_2025}.{segment}.fits" for column, segment in SEGMENTS.items()}
    row = names | {
        "NOAA AR": 14159,
        "Mount Wilson": "Beta",
    }  # NOAA's summary of 2025-07-27; position and time are the map's
    table = pd.concat([pd.read_excel(mixed / WORKBOOK), pd.DataFrame([row])], ignore_index=True)
    (tmp_path / "all" / WORKBOOK).unlink()  # a link to that of the other tests
    table.to_excel(tmp_path / "all" / WORKBOOK, sheet_name="Active regions", index=False)
    tiny = 'config = { model_type = "vit", hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 2, '
    tiny += "intermediate_size = 32, patch_size = 16 }"
    text = re.sub(r"(?m)^config = .*$", tiny, STUDY.read_text(encoding="utf-8"))
    (tmp_path / "study.toml").write_text(
        text.replace("num_train_epochs = 40", "num_train_epochs = 1"), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    sets = ["source.root=all", "split.gap_days=3", "evaluation.bootstrap_samples=100"]
    assert run_command(["run", "study.toml", *(part for each in sets for part in ("--set", each))]) == 0
    parts: Any = datasets.load_dataset(str(tmp_path / "runs" / "full-disc" / "corpus"))
    rows = {row["noaa_ar"]: row for part in parts.values() for row in part if row["noaa_ar"] in (11158, 14159)}
    assert {number: row["image"].size for number, row in rows.items()} == {11158: (96, 96), 14159: (96, 96)}
    assert rows[14159]["latitude_deg"] == pytest.approx(-7.2, abs=0.1)
    said = json.loads(rows[14159]["header"])
    assert [said[name]["DRMS_ID"].rpartition(":")[2] for name in said] == ["Br", "continuum", "magnetogram"]
    assert [said[name]["BUNIT"] for name in said] == ["Mx/cm^2", "DN/s", "Mx/cm^2"]


def test_of_a_sharp_of_2025_each_segment_goes_to_its_channel_only(shared_data: Path) -> None:
    from sdovis.channels.channel import channel

    kinds = {"Br": "hmi-br", "magnetogram": "hmi-magnetogram", "continuum": "hmi-continuum"}
    for segment, own in kinds.items():
        image = read_image(shared_data / "sharp_2025" / f"{SHARP_2025}.{segment}.fits")
        for name in kinds.values():
            if name == own:
                assert channel(name).values(image).shape == (172, 289)
            else:
                with pytest.raises(BadInput, match=f"DRMS_ID is 'hmi.sharp_cea_720s:9893803:{segment}'"):
                    channel(name).values(image)
