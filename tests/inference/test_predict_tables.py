"""`sdovis predict --out`: one table of everything, whatever the inputs; a bad file costs its own row; a kill costs nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sdovis import inference
from sdovis.cli import run_command
from sdovis.errors import Conflict
from sdovis.inference import answers, asking
from sdovis.inference.prediction import Pace


def predicted(*arguments: object, code: int = 0) -> None:
    assert run_command(["predict", *map(str, arguments)]) == code


@pytest.fixture(scope="module")
def folder(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve good FITS files, one of them deeper, and a text that says it is one."""
    where = tmp_path_factory.mktemp("images")
    (where / "deep" / "er").mkdir(parents=True)
    for number, file in enumerate(sorted((simulated / "images").glob("*.fits"))[:12]):
        shutil.copy(file, where / "deep" / "er" if number == 3 else where)
    (where / "text.fits").write_text("SIMPLE  =                    T, and then nothing\n")
    (where / "notes.md").write_text("no image")
    return where


@pytest.fixture(scope="module")
def table(folder: Path, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("table") / "p.parquet"
    predicted(small_model, folder, "--out", out, code=2)
    return pd.read_parquet(out)


def test_a_folder_becomes_one_table_in_which_each_image_has_the_pipelines_probabilities(table, folder, small_model):
    good = table[~table["unusable"]]
    assert len(good) == 12
    assert good["sha256"].str.len().eq(64).all()
    assert good["observed"].notna().all()
    assert good["model"].str.fullmatch(r"sha256:[0-9a-f]{64}").all()
    classify = inference.pipeline(small_model)
    for row in good.itertuples():
        wanted = {entry["label"]: entry["score"] for entry in classify(row.file)}
        found = {name: getattr(row, f"prob_{name}") for name in wanted}
        assert found == pytest.approx(wanted, abs=1e-4)
        assert good.loc[row.Index, "class"] == max(wanted, key=wanted.get)


def test_a_bad_file_has_its_reason_and_the_others_are_finished(table, folder, small_model, tmp_path, capfd):
    (row,) = table[table["unusable"]].itertuples()
    assert row.file.endswith("text.fits")
    assert "truncated: the FITS header has no END card" in row.notes
    assert np.isnan(row.prob_alpha)
    predicted(small_model, folder, "--out", tmp_path / "t.csv", code=2)
    said = capfd.readouterr().err.splitlines()
    assert any("text.fits: truncated" in line for line in said)
    assert said[-1].endswith("t.csv: 1 of 13 images could not be used, 12 were")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 13


def test_without_a_table_the_lines_of_the_good_ones_are_printed(folder, small_model, capfd):
    predicted(small_model, folder / "text.fits", *sorted(folder.glob("*TAI.fits"))[:2], code=2)
    said = capfd.readouterr()
    assert len(said.out.splitlines()) == 2
    assert said.err.splitlines()[-1] == "1 of 3 images could not be used, 2 were"


@pytest.mark.parametrize("suffix", answers.SUFFIXES)
def test_every_format_holds_the_same(suffix, table, folder, small_model, tmp_path):
    out = tmp_path / f"p{suffix}"
    predicted(small_model, folder, "--out", out, code=2)
    if suffix == ".ecsv":
        from astropy.table import Table

        read = Table.read(out)
        assert str(read["latitude_deg"].unit) == "deg"
        found = read.to_pandas()
    else:
        reader = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".xlsx": pd.read_excel}[suffix]
        found = reader(out)
    assert list(found.columns) == list(table.columns)
    for name in ("prob_alpha", "latitude_deg", "region"):
        assert np.allclose(found[name].astype(float), table[name].astype(float), atol=1e-6, equal_nan=True)
    assert found["file"].tolist() == table["file"].tolist()
    assert pd.to_datetime(found["observed"], utc=True, format="ISO8601").sub(
        table["observed"]
    ).abs().max() < pd.Timedelta("2ms")


def test_a_pattern_and_a_file_that_it_matches_are_asked_once(folder, small_model, tmp_path):
    some = sorted(folder.glob("*TAI.fits"))
    predicted(small_model, some[0], folder / "*TAI.fits", "--out", tmp_path / "p.csv")
    assert len(pd.read_csv(tmp_path / "p.csv")) == len(some)


@pytest.mark.parametrize(
    ("named", "said"),
    [("*.nothing", "no file matches"), ("empty", "holds no image"), ("gone.fits", "there is no such image"),
     ("a.fits,b.fits", "there is no such image")],
)  # fmt: skip
def test_what_names_no_image_is_refused_before_anything_is_made(named, said, small_model, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    predicted(small_model, named, "--out", "p.csv", code=2)
    assert said in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_table_that_is_there_is_not_overwritten_and_an_unknown_suffix_is_refused(
    folder, small_model, tmp_path, capfd
):
    out = tmp_path / "p.csv"
    out.write_text("mine")
    file = next(folder.glob("*TAI.fits"))
    predicted(small_model, file, "--out", out, code=4)
    assert out.read_text() == "mine"
    predicted(small_model, file, "--out", tmp_path / "p.fits", code=2)
    assert "let it end with .parquet, .csv, .ecsv, .xlsx" in capfd.readouterr().err


def test_another_prediction_in_the_place_of_an_unfinished_one_is_a_conflict(folder, small_model, tmp_path):
    out = tmp_path / "p.csv"
    with answers.opened(out, ("a", "b"), {"model": "one", "images": "these"}) as parts:
        parts.write(0, [{"file": "x", "class": "a"}], [])
    said = r"another prediction was begun here .* \(other images\)"
    with pytest.raises(Conflict, match=said), answers.opened(out, ("a", "b"), {"model": "one", "images": "those"}):
        pass
    with answers.opened(out, ("a", "b"), {"model": "one", "images": "these"}) as parts:
        assert parts.finished() == {0}
        parts.join()
    assert out.is_file() and not list(tmp_path.glob(".p.csv*"))


def test_a_kill_between_the_table_and_the_removal_of_its_parts_is_finished_by_the_same_command(tmp_path, monkeypatch):
    out, key = tmp_path / "p.csv", {"model": "one"}
    with answers.opened(out, ("a",), key) as parts:
        parts.write(0, [{"file": "x", "class": "a"}], [])
        with monkeypatch.context() as patch:
            patch.setattr(answers.disk, "remove", lambda path: None)
            parts.join()
    made = out.read_bytes()
    with answers.opened(out, ("a",), key) as parts:
        parts.join()
    assert out.read_bytes() == made and not list(tmp_path.glob(".p.csv*"))


def test_the_number_of_children_and_of_lanes_changes_nothing(table, folder, small_model, tmp_path):
    found = []
    for number, pace in enumerate((Pace(1, batch=4, lanes=1), Pace(2, batch=4, lanes=2))):
        asked = asking.question(str(small_model), [str(folder)], pace=pace)
        asking.tabled(asked, tmp_path / f"{number}.csv", part_images=5)
        found.append((tmp_path / f"{number}.csv").read_bytes())
    assert found[0] == found[1]
    read = pd.read_csv(tmp_path / "0.csv")
    assert np.allclose(read["prob_beta"], table["prob_beta"], atol=1e-5, equal_nan=True)


def test_an_unknown_engine_is_refused_with_the_nearest(folder, small_model, capfd):
    predicted(small_model, next(folder.glob("*TAI.fits")), "--engine", "onx", code=2)
    assert "there is no engine 'onx'; did you mean 'onnx'?" in capfd.readouterr().err


PROGRAM = """
import sys
from pathlib import Path
from sdovis.inference import asking
from sdovis.inference.prediction import Pace
asked = asking.question(sys.argv[1], sys.argv[2:3], pace=Pace(1, batch=2, lanes=1))
print("begun", flush=True)
asking.tabled(asked, Path(sys.argv[3]), part_images=2)
"""
#: Kills of a prediction at random moments; more with SDOVIS_KILLS=20.
KILLS = int(os.environ.get("SDOVIS_KILLS", "2"))


def test_a_prediction_killed_at_random_moments_leaves_the_table_of_one_that_was_not(folder, small_model, tmp_path):
    def begun(out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(small_model), str(folder), str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        return process

    whole = begun(tmp_path / "whole.parquet")
    start = time.monotonic()
    assert whole.wait() == 0
    takes = time.monotonic() - start
    draw = random.Random(3)
    out, kept = tmp_path / "killed.parquet", 0
    for _ in range(KILLS):
        process = begun(out)
        time.sleep(draw.uniform(0, takes / 2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished = len(list((tmp_path / ".killed.parquet.parts").glob("*.parquet")))
        assert finished >= kept or out.exists()  # what was whole stays
        kept = finished
        if out.exists():
            break
    if not out.exists() or (tmp_path / ".killed.parquet.parts").exists():
        assert begun(out).wait() == 0
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not list(tmp_path.glob(".killed*"))
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["killed.parquet", "whole.parquet"]'
