"""benchmarks/inflation.py on a small study."""

import json
import runpy

import numpy as np
import pytest
from sdovis import stages
from sdovis import study as studies
from sdovis.corpus.audit import leaks
from sdovis.corpus.build import Corpus
from studies import ROOT

inflation = runpy.run_path(str(ROOT / "benchmarks" / "inflation.py"))
BUDGET = "training.max_steps=3"


@pytest.fixture
def run(small_study):
    study = studies.load(small_study, [BUDGET])
    with stages.opened(study) as folders:
        stages.prepare(study, folders, lambda _: None)
        stages.train(study, folders, lambda _: None)
        stages.evaluate(study, folders, lambda _: None)
    return folders.run


def test_the_same_rows_are_dealt_at_random_trained_and_scored(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    inflation["main"]([str(run), "--seed", "5"])
    honest, leaky = Corpus.load(run / "corpus"), Corpus.load(run.with_name("small-at-random") / "corpus")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert sorted(leaky.rows["id"]) == sorted(honest.rows["id"])
    assert leaky.rows["split"].value_counts().to_dict() == honest.rows["split"].value_counts().to_dict()
    by_id = [dict(zip(corpus.rows["id"], list(corpus.pictures), strict=True)) for corpus in (honest, leaky)]
    assert by_id[0] == by_id[1]
    assert leaks(leaky.rows, {"group": "region"})
    printed = capsys.readouterr().out
    found = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    saved = json.loads((run / "scores" / "scores.json").read_text())
    assert found["balanced_accuracy"]["honest"]["this model"] == saved["model"]["balanced-accuracy"]
    at_random = json.loads((run.with_name("small-at-random") / "scores" / "scores.json").read_text())
    assert (
        found["balanced_accuracy"]["at_random"]["raw-pixels"]
        == at_random["baselines"]["raw-pixels"]["balanced-accuracy"]
    )
    test, train = leaky.part("test"), leaky.part("train")
    share = np.mean([group in set(train["group"]) for group in test["group"]])
    assert found["test_images_of_regions_that_were_trained_on"] == pytest.approx(share)
    assert share > 0.5
    assert printed.rstrip().splitlines()[-1].startswith("| small | ")


def test_the_row_shows_both_scores_and_their_difference():
    score = {"estimate": 0.5, "low": 0.4, "high": 0.6}
    found = {
        "study": "s",
        "split": "temporal",
        "balanced_accuracy": {
            "honest": {"this model": score},
            "at_random": {"this model": {**score, "estimate": 0.71}},
        },
    }
    assert inflation["markdown"](found) == "| s | 0.50 [0.40, 0.60] (temporal) | 0.71 [0.40, 0.60] | +0.21 |"
