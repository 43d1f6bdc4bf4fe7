"""From the workbook to the card: nothing is learned from shuffled labels, a planted shortcut is found, and what is chosen is
chosen by a network that was not trained on the validation part.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sdovis import inference, manifests
from sdovis.cli import run_command
from sdovis.corpus.audit import Audit
from sdovis.corpus.build import Corpus
from sdovis.evaluation.facts import ScoreFacts
from sdovis.learning.plan import first_folder
from sdovis.learning.record import TrainingRecord
from sdovis.statistics import skill
from studies import STUDY

WORKBOOK = Path("data") / "SDO_Simulated_Active_Regions.xlsx"
HEAD = ["--set", "method.trainable=head", "--set", "training.num_train_epochs=20"]
REFIT = [*HEAD, "--set", "method.refit=train+validation", "--set", "evaluation.abstain.coverage=0.8"]
REFIT += ["--set", "evaluation.prevalence={alpha = 0.2, beta = 0.7}"]


@pytest.fixture(scope="module")
def place(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a finished run that was trained again on the validation part; not to be changed."""
    folder = tmp_path_factory.mktemp("line")
    shutil.copytree(simulated, folder / "data")
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command(["run", "study.toml", *REFIT]) == 0
    return folder


@pytest.fixture
def run(place: Path) -> Path:
    return place / "runs" / "small"


def test_what_the_validation_part_says_is_said_of_the_first_network(run: Path) -> None:
    corpus, facts = Corpus.load(run / "corpus"), ScoreFacts.load(run / "scores")
    rows, pictures = corpus.part("validation"), corpus.pictures_of("validation")
    first, last = (
        inference.probabilities(folder, pictures, progress=False)
        for folder in (first_folder(run / "model"), run / "model")
    )
    kept = pd.read_parquet(run / "scores" / "validation.parquet")
    assert (kept.filter(like="prob_").to_numpy() == first).all() and (first != last).any()
    matrix = skill.confusion(rows["label"], first.argmax(axis=1), 3)
    assert facts.validation.balanced_accuracy == pytest.approx(float(skill.balanced_accuracy(matrix)))
    threshold = facts.selective.abstention.threshold
    assert (first.max(axis=1) >= threshold).mean() == pytest.approx(0.8, abs=1 / len(rows))
    table = pd.read_parquet(run / "scores" / "predictions.parquet")
    own = table[table["split"] == "validation"].filter(like="prob_").to_numpy()
    assert (own == last).all(), "the table of predictions is the model's alone"


def test_no_test_image_was_seen_by_either_training(run: Path) -> None:
    record, corpus = TrainingRecord.load(run / "training"), Corpus.load(run / "corpus")
    counts = corpus.rows["split"].value_counts()
    assert record.refit["images"] == counts["train"] + counts["validation"] == len(corpus.rows) - counts["test"]


def test_the_card_says_all_of_it_and_every_number_is_found_again(place: Path, run: Path, monkeypatch) -> None:
    monkeypatch.chdir(place)
    card = (run / "cards" / "model" / "README.md").read_text()
    for told in (
        "trained again, with the same seed, on the training and validation parts together",
        "fitted on the validation part in the first training and folded into the classifier",
        "fitted on the training part and, once chosen, on the validation part too:",
        "This is the network of the first training",
        "### When it says that it does not know",
        "The study asks for a coverage of 80 %",
        "### Where classes are more or less common",
        "alpha 20 %, beta 70 %, complex 10 %, as the study gives them",
        "figures/risk_coverage.png",
    ):
        assert told in card, told
    assert card.count("20 to 40") <= 1, "skill by longitude is given once"
    assert run_command(["verify", str(run)]) == 0


@pytest.mark.parametrize("field", ["probabilistic", "selective", "shift", "ranking"])
def test_a_number_that_was_changed_is_found_out(place: Path, tmp_path: Path, field: str, monkeypatch) -> None:
    from sdovis import study as studies
    from sdovis.cards.facts import gather
    from sdovis.cards.verify import recomputed

    monkeypatch.chdir(place)
    facts = gather(studies.load("runs/small/study.toml"), Path("runs/small"))
    again = recomputed(facts, Path("runs/small"))
    assert getattr(again.scores, field) == getattr(facts.scores, field)
    shutil.copytree("runs/small", tmp_path / "small")
    table = pd.read_parquet(tmp_path / "small/scores/predictions.parquet")
    columns = [name for name in table if name.startswith("prob_")]
    table[columns] = np.roll(table[columns].to_numpy(), 1, axis=1)
    table.to_parquet(tmp_path / "small/scores/predictions.parquet")
    assert getattr(recomputed(facts, tmp_path / "small").scores, field) != getattr(facts.scores, field)


def test_without_the_first_network_nothing_is_scored(place: Path, tmp_path: Path, monkeypatch, capfd) -> None:
    shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    shutil.rmtree("runs/small/scores")
    shutil.rmtree("runs/small/training/first")
    assert run_command(["evaluate", "study.toml", *REFIT]) == 2
    assert "first: is not there yet" in capfd.readouterr().err
    assert not Path("runs/small/scores").exists()


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ("alpha", "is neither a list of shares"), ("alpha=", "is neither a list of shares"),
        ("alpha=0.1,alpha=0.2,beta=0.3", "names a class twice"), ("alpha=0.5,beta=0.6", "not above 1"),
        ("alpha=10%", "neither"), ("gamma=0.1,beta=0.2", "gamma is no class"), ("alpha=0.5", "beta, complex are not given"),
    ],
)  # fmt: skip
def test_shares_that_are_none_are_refused_before_the_network_runs(
    place: Path, monkeypatch, capfd, shares, told
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(inference, "probabilities", lambda *_, **__: pytest.fail("it ran"))
    before = manifests.read(place / "runs/small/scores", made_by="evaluate")
    assert run_command(["evaluate", "study.toml", *REFIT, "--prevalence", shares]) == 2
    assert told in capfd.readouterr().err
    assert manifests.read(place / "runs/small/scores", made_by="evaluate") == before


def test_from_shuffled_labels_nothing_is_learned(small_study: Path, capfd) -> None:
    """Each region keeps one class, of another region: what is right about the images says nothing of it."""
    book = pd.read_excel(WORKBOOK)
    classes = book.groupby("NOAA AR")["Mount Wilson"].first()
    shuffled = pd.Series(np.random.default_rng(2).permutation(classes.to_numpy()), classes.index)
    book["Mount Wilson"] = book["NOAA AR"].map(shuffled)
    book.to_excel(WORKBOOK, index=False)
    metrics = '["balanced-accuracy", "macro-tss", "tss"]'
    assert run_command(["run", "study.toml", *REFIT, "--set", f"evaluation.metrics={metrics}"]) == 0, (
        capfd.readouterr().err
    )
    facts = ScoreFacts.load(Path("runs/small/scores"))
    tss = facts.overall["macro-tss"]
    assert tss.low <= 0 <= tss.high
    assert facts.probabilistic["auroc"].low <= 0.5 <= facts.probabilistic["auroc"].high
    audit = Audit.load(Path("runs/small/corpus"))
    assert all(each.balanced_accuracy.low <= each.chance for each in audit.shortcuts.values())


def test_a_planted_shortcut_is_found_by_the_audit_and_told_on_the_card(small_study: Path) -> None:
    """Complex regions stand in the north, the others in the south: the position alone tells them apart."""
    book = pd.read_excel(WORKBOOK)
    complex_ = ~book["Mount Wilson"].str.fullmatch("alpha|beta", case=False)
    away = book["Latitude (deg)"].abs().clip(lower=5)
    book["Latitude (deg)"] = np.where(complex_, away, -away)
    book.to_excel(WORKBOOK, index=False)
    assert run_command(["prepare", "study.toml"]) == 0
    found = Audit.load(Path("runs/small/corpus")).shortcuts["position"]
    assert found.balanced_accuracy.low > found.chance
    told = json.loads(Path("runs/small/corpus/audit.json").read_text())["shortcuts"]["position"]["sentence"]
    assert "chance" in told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("evaluation.threshold=tss", "a threshold is for two classes, and there are 3"),
        ("evaluation.threshold=tsss", "evaluation.threshold 'tsss' is unknown"),
        ("evaluation.prevalence={gamma = 0.1}", "gamma is no class"),
    ],
)
def test_what_cannot_be_told_later_is_refused_before_the_training(place: Path, monkeypatch, capfd, asked, told) -> None:
    monkeypatch.chdir(place)
    assert run_command(["train", "study.toml", *HEAD, "--set", "study.seed=9", "--set", asked]) == 2
    assert told in capfd.readouterr().err
