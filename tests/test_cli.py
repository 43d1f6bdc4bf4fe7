"""The command line from end to end on a small simulated study: the whole line, its exit codes, its files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sdovis.cli import run_command


@pytest.fixture(scope="module")
def finished(simulated, tmp_path_factory):
    """A working directory in which the small study was run to its end."""
    from studies import STUDY

    folder = tmp_path_factory.mktemp("line")
    (folder / "study.toml").write_text(STUDY)
    (folder / "data").symlink_to(simulated)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command(["run", "study.toml"]) == 0
        yield folder


def test_a_run_leaves_the_files_that_others_rely_on(finished):
    run = finished / "runs" / "small"
    for name in (
        "study.toml",
        "corpus/data/train-00000-of-00001.parquet",
        "corpus/audit.json",
        "corpus/rejects.csv",
        "training/training.json",
        "model/config.json",
        "model/model.safetensors",
        "scores/predictions.parquet",
        "scores/latency.parquet",
        "scores/scores.json",
        "scores/figures/confusion_matrix.png",
    ):
        assert (run / name).is_file(), name


def test_a_second_run_makes_nothing_again(finished, capfd):
    before = {p: p.stat().st_mtime_ns for p in (finished / "runs").rglob("*") if p.is_file() and p.name != ".lock"}
    assert run_command(["run", "study.toml"]) == 0
    err = capfd.readouterr().err
    assert all(f"{stage}: nothing changed" in err for stage in ("prepare", "train", "evaluate"))
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_predictions_stand_in_the_order_of_the_corpus_and_sum_to_one(finished):
    from sdovis import Corpus

    corpus = Corpus.load(finished / "runs/small/corpus")
    table = pd.read_parquet(finished / "runs/small/scores/predictions.parquet")
    assert table["id"].tolist() == corpus.rows["id"].tolist()
    probabilities = [f"prob_{c}" for c in corpus.classes]
    assert list(table.columns) == ["id", "group", "split", "label", *probabilities, "unfamiliarity"]
    assert np.allclose(table.filter(like="prob_").sum(axis=1), 1, atol=1e-6)


STOCK = """
import sys, json, datasets, pandas as pd
from transformers import pipeline
run = sys.argv[1]
test = datasets.load_dataset(f"{run}/corpus")["test"]
classify = pipeline("image-classification", model=f"{run}/model", top_k=None)
saved = pd.read_parquet(f"{run}/scores/predictions.parquet").set_index("id")
worst = 0.0
for row in test:
    for entry in classify(row["image"]):
        worst = max(worst, abs(entry["score"] - saved.loc[row["id"], f"prob_{entry['label']}"]))
print(json.dumps({"rows": len(test), "worst": float(worst)}))
"""


def test_the_stock_pipeline_in_a_fresh_process_reproduces_the_predictions(finished):
    done = subprocess.run(
        [sys.executable, "-c", STOCK, "runs/small"], cwd=finished, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] > 20
    assert found["worst"] < 1e-4


def test_fits_file_array_and_saved_png_give_equal_probabilities(finished, simulated, tmp_path):
    import sdovis
    from sdovis.channels.channel import channel, to_picture
    from sdovis.images.images import read_image

    classify = sdovis.pipeline(finished / "runs/small/model")
    path = sorted((simulated / "images").glob("*.fits"))[0]
    image = read_image(path)
    to_picture(image, channel("hmi-magnetogram")).save(tmp_path / "saved.png")
    answers = [classify(source) for source in (str(path), image.values, str(tmp_path / "saved.png"))]
    assert answers[0] == answers[1] == answers[2]


def test_predict_prints_a_line_an_image(finished, simulated, capfd):
    paths = [str(p) for p in sorted((simulated / "images").glob("*.fits"))[:2]]
    assert run_command(["predict", "runs/small/model", *paths]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == paths
    assert all(len(line.split("\t")) == 4 for line in lines)


def test_predict_gives_a_corpus_and_its_study_the_probabilities_that_evaluate_gives(finished, tmp_path):
    scores = pd.read_parquet("runs/small/scores/predictions.parquet").set_index("id")
    probabilities = [name for name in scores if name.startswith("prob_")]
    for named in ("runs/small", "study.toml"):
        out = tmp_path / f"{Path(named).stem}.parquet"
        assert run_command(["predict", "runs/small", named, "--out", str(out)]) == 0
        found = pd.read_parquet(out)
        found = found[found["class"].notna()].set_index("id")
        assert set(scores.index) <= set(found.index)
        worst = np.abs(found.loc[scores.index, probabilities].to_numpy() - scores[probabilities].to_numpy()).max()
        assert worst < 1e-4


def test_predict_names_every_missing_image(finished, capfd):
    assert run_command(["predict", "runs/small/model", "a.fits", "b.fits"]) == 2
    assert capfd.readouterr().err.count("there is no such image") == 2


def test_scores_can_be_recomputed_from_the_predictions(finished):
    from sklearn.metrics import balanced_accuracy_score, confusion_matrix

    table = pd.read_parquet(finished / "runs/small/scores/predictions.parquet")
    facts = json.loads((finished / "runs/small/scores/scores.json").read_text())
    test = table[table["split"] == "test"]
    predicted = test.filter(like="prob_").to_numpy().argmax(axis=1)
    labels = range(len(facts["classes"]))
    assert facts["confusion_matrix"] == confusion_matrix(test["label"], predicted, labels=labels).tolist()
    expected = balanced_accuracy_score(test["label"], predicted)
    assert facts["model"]["balanced-accuracy"]["estimate"] == pytest.approx(expected)
    assert facts["regions"] == test["group"].nunique()


def test_init_writes_a_study_that_passes_check(small_study):
    small_study.unlink()
    assert run_command(["init", "data/SDO_Simulated_Active_Regions.xlsx", "-o", "mine.toml"]) == 0
    text = Path("mine.toml").read_text()
    assert 'scheme = "mount-wilson-3"' in text
    assert 'channel = "hmi-magnetogram"' in text
    assert 'images = "images"' in text
    assert run_command(["check", "mine.toml", "--set", "split.gap_days=14"]) == 0


def test_init_never_overwrites(small_study, capfd):
    text = small_study.read_text()
    assert run_command(["init", "data/SDO_Simulated_Active_Regions.xlsx", "-o", "study.toml"]) == 4
    assert small_study.read_text() == text
    assert "already exists and was not overwritten" in capfd.readouterr().err


def test_simulate_never_writes_into_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    assert run_command(["simulate", str(tmp_path)]) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_stages_that_lack_what_they_need_say_which_command_makes_it(small_study, capfd):
    assert run_command(["train", "study.toml"]) == 2
    assert "run sdovis prepare first" in capfd.readouterr().err
    assert run_command(["evaluate", "study.toml"]) == 2
    assert "run sdovis" in capfd.readouterr().err


def test_a_second_process_on_the_same_study_is_a_conflict(small_study, capfd):
    import filelock

    (small_study.parent / "runs/small").mkdir(parents=True)
    with filelock.FileLock(small_study.parent / "runs/small/.lock"):
        assert run_command(["prepare", "study.toml"]) == 4
    assert "another sdovis process is working on this study" in capfd.readouterr().err


def test_a_search_is_refused_in_one_of_several_processes(small_study, monkeypatch, capfd):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run_command(["search", "study.toml"]) == 2
    assert "sdovis search runs in a single process; start it without accelerate launch" in capfd.readouterr().err


def test_an_unknown_verb_or_option_is_bad_input():
    assert run_command(["traain", "study.toml"]) == 2
    assert run_command(["run", "--no-such-option"]) == 2


def test_a_defect_of_ours_ends_with_1_and_asks_for_a_report(small_study, monkeypatch, capfd):
    from sdovis.corpus import build

    def broken(study: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(build, "read_rows", broken)
    assert run_command(["prepare", "study.toml"]) == 1
    assert "internal error; please report" in capfd.readouterr().err


def test_an_interruption_ends_with_130(small_study, monkeypatch):
    from sdovis.corpus import build

    def interrupted(study: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "read_rows", interrupted)
    assert run_command(["prepare", "study.toml"]) == 130


@pytest.mark.parametrize(
    "verb", ["init", "check", "schema", "simulate", "prepare", "train", "evaluate", "run", "predict"]
)
def test_every_verb_explains_itself(verb, capfd):
    assert run_command([verb, "--help"]) == 0
    assert len(capfd.readouterr().out) > 200


def test_schema_is_json(capfd):
    assert run_command(["schema"]) == 0
    assert "learning_rate" in json.loads(capfd.readouterr().out)["properties"]["training"]["properties"]


def test_a_model_that_is_not_there_is_bad_input(finished, simulated, capfd):
    image = next((simulated / "images").glob("*.fits"))
    assert run_command(["predict", "runs/none", str(image)]) == 2
    assert "no model can be opened here" in capfd.readouterr().err


def test_predict_takes_a_run_folder_too(finished, simulated):
    assert run_command(["predict", "runs/small", str(next((simulated / "images").glob("*.fits")))]) == 0


def test_a_refused_study_leaves_the_resolved_one_of_a_finished_run_as_it_was(finished):
    before = (finished / "runs/small/study.toml").read_text()
    assert run_command(["prepare", "study.toml", "--set", "split.gap_days=2000"]) == 2
    assert (finished / "runs/small/study.toml").read_text() == before
