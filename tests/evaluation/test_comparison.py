"""Runs compared on the same images: who is better, by how much, and whether chance would do it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sdovis import manifests
from sdovis.cli import run_command
from sdovis.errors import BadInput, Conflict
from sdovis.evaluation.comparison import Comparison, Pair, compare
from sdovis.evaluation.facts import Latency, Resampling, ScoreFacts, ValidationScore
from sdovis.statistics.bootstrap import Estimate
from sklearn.metrics import balanced_accuracy_score

CLASSES = ("alpha", "beta", "complex")


def rows(regions: int = 40, images: int = 3) -> pd.DataFrame:
    """Test images of regions, with their true class."""
    rng = np.random.default_rng(0)
    label = np.repeat(rng.integers(0, 3, regions), images)
    group = np.repeat([f"ar{11000 + i}" for i in range(regions)], images)
    return pd.DataFrame({"id": [f"i{n:03d}" for n in range(len(label))], "group": group, "label": label})


def run(
    folder: Path,
    name: str,
    table: pd.DataFrame,
    right: float,
    *,
    seed: int = 1,
    place: str = "scores",
    classes=CLASSES,
    shuffled=False,
) -> Path:
    """A run folder whose model is right for a share ``right`` of the regions."""
    rng = np.random.default_rng(seed)
    known = {group: rng.random() < right for group in table["group"].unique()}
    answer = np.where(table["group"].map(known), table["label"], (table["label"] + 1) % 3)
    saved = table.assign(split="test")
    for index, each in enumerate(classes):
        saved[f"prob_{each}"] = np.where(answer == index, 0.8, 0.1)
    saved = saved.sample(frac=1, random_state=3) if shuffled else saved
    extra = saved.head(2).assign(id=["t0", "t1"], split="train")  # not looked at
    facts = ScoreFacts(
        "test", tuple(classes), len(table), table["group"].nunique(), {}, Resampling("region", 400, 0.9, 0), (), {}, {},
        {}, (), ValidationScore(0.5, 10), 0.0, Latency(1.0, 2.0),
    )  # fmt: skip
    with manifests.whole(folder / name / place, stage="evaluate", made_from={}) as beside:
        pd.concat([extra, saved]).to_parquet(beside / "predictions.parquet")
        facts.save(beside)
    return folder / name


def test_the_better_run_is_named_with_a_paired_interval_and_a_small_p(tmp_path):
    table = rows()
    good, poor = run(tmp_path, "good", table, 0.9), run(tmp_path, "poor", table, 0.4, seed=2)
    found = compare([good, poor])
    (pair,) = found.pairs
    saved = pd.read_parquet(good / "scores" / "predictions.parquet").query("split == 'test'")
    expected = balanced_accuracy_score(saved["label"], saved.filter(like="prob_").to_numpy().argmax(axis=1))
    assert found.scores["good"].estimate == pytest.approx(expected)
    apart = found.scores["good"].estimate - found.scores["poor"].estimate
    assert pair.difference.estimate == pytest.approx(apart)
    assert pair.difference.low > 0
    assert pair.p_value == pair.p_holm < 0.001
    assert (found.rows, found.regions, found.bootstrap.confidence) == (120, 40, 0.9)
    (sentence,) = found.sentences
    assert sentence.startswith("On the test images (n = 120, 40 regions), good has a balanced accuracy of 0.")
    assert "90% intervals: paired bootstrap by region; permutation test by region, p = 0.0001)" in sentence
    assert sentence.endswith(": good is better.")


def test_the_order_of_rows_does_not_matter_and_equal_runs_are_not_told_apart(tmp_path):
    one, other = run(tmp_path, "one", rows(), 0.6), run(tmp_path, "other", rows(), 0.6, shuffled=True)
    found = compare([one, other])
    assert found.pairs[0].difference == Estimate(0.0, 0.0, 0.0)
    assert found.pairs[0].p_value == 1
    assert found.sentences[0].endswith("neither is shown to be better.")


@pytest.mark.parametrize(
    ("p", "told"),
    [
        (0.04, ": a is better."),
        (0.11, ": neither is shown to be better (a is by the interval, but not by the test)."),
        (None, ": neither is shown to be better (a is by the interval, but not by the test)."),
    ],
)
def test_who_is_better_is_said_only_if_interval_and_test_agree(p, told):
    score = Estimate(0.7, 0.6, 0.8)
    pair = Pair("a", "b", Estimate(0.17, 0.01, 0.33), p, p)
    drawn = Resampling("region", 2000, 0.95, 0)
    scores = {"a": score, "b": score}
    found = Comparison("balanced-accuracy", "", 161, 27, ("x", "y"), {}, drawn, 10_000, scores, (pair,))
    assert found.sentences[0].endswith(told)


def test_three_runs_make_three_pairs_that_holm_adjusts_together(tmp_path):
    table = rows()
    runs = [
        run(tmp_path, name, table, right, seed=i)
        for i, (name, right) in enumerate([("a", 0.9), ("b", 0.6), ("c", 0.5)])
    ]
    found = compare(runs)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    smallest = min(found.pairs, key=lambda pair: pair.p_value)
    assert smallest.p_holm == pytest.approx(3 * smallest.p_value)
    assert all(pair.p_holm >= pair.p_value for pair in found.pairs)
    assert all("Holm-adjusted over 3 pairs" in sentence for sentence in found.sentences)


def test_runs_with_other_images_are_compared_only_on_those_they_share_and_only_if_asked(tmp_path):
    table = rows()
    one, fewer = run(tmp_path, "one", table, 0.8), run(tmp_path, "fewer", table.iloc[30:], 0.5)
    with pytest.raises(BadInput, match="share 90 test images: one has 30 that not all have; add --shared"):
        compare([one, fewer])
    found = compare([one, fewer], shared=True)
    assert (found.rows, found.left_out) == (90, {"one": 30, "fewer": 0})
    none = run(tmp_path, "none", table.assign(id=[f"x{n}" for n in range(len(table))]), 0.5)
    with pytest.raises(BadInput, match="share 0 test images"):
        compare([one, none], shared=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": lambda t: (t["label"] + 1) % 3}, "120 images have another label than in one, the first is i000"),
        ({"group": lambda t: t["group"].replace("ar11000", "ar9")}, "3 images have another group than in one"),
    ],
)
def test_runs_that_know_the_same_image_differently_are_refused(tmp_path, change, told):
    table = rows()
    one, other = run(tmp_path, "one", table, 0.8), run(tmp_path, "other", table.assign(**change), 0.8)
    with pytest.raises(BadInput, match=told):
        compare([one, other])


def test_runs_with_other_classes_one_run_and_scores_of_single_classes_are_refused(tmp_path):
    table = rows()
    one, other = (
        run(tmp_path, "one", table, 0.8),
        run(tmp_path, "other", table, 0.8, classes=("alpha", "beta", "delta")),
    )
    with pytest.raises(BadInput, match="its classes are alpha, beta, delta, those of one alpha, beta, complex"):
        compare([one, other])
    with pytest.raises(BadInput, match="1 different runs are named"):
        compare([one, one])
    with pytest.raises(BadInput, match="recall has one value per class"):
        compare([one, other], metric="recall")


def test_the_command_prints_the_sentence_and_writes_figure_and_json(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    table = rows()
    run(tmp_path, "good", table, 0.9, place="on/later")
    run(tmp_path, "poor", table, 0.3, seed=2, place="on/later")
    assert run_command(["compare", "good", "poor", "--on", "later", "--metric", "macro-f1", "-o", "compared"]) == 0
    assert "On the images of later (n = 120, 40 regions), good has a macro f1 of" in capfd.readouterr().out
    assert sorted(p.name for p in (tmp_path / "compared").iterdir()) == [
        "comparison.json", "comparison.png", "comparison.txt", "manifest.json",
    ]  # fmt: skip
    found = Comparison.load(tmp_path / "compared")
    assert (found.on, found.metric) == ("later", "macro-f1")
    assert run_command(["compare", "good", "poor", "--on", "later", "-o", "compared"]) == 0, "a comparison is replaced"


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    table = rows()
    found = compare([run(tmp_path, "one", table, 0.8), run(tmp_path, "two", table, 0.5)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("do not touch")
    with pytest.raises(Conflict, match="holds no comparison"):
        found.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "do not touch"
