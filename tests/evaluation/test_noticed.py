"""How well a model notices what is strange to it is measured on the test part and on made pictures, and told honestly."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

sys.path.insert(0, str(Path(__file__).parents[1] / "learning"))

import tiny
from sdovis.corpus.build import Corpus
from sdovis.evaluation import scores, strangers
from sdovis.evaluation.facts import Resampling
from sdovis.evaluation.strangers import FamiliarityFacts
from sdovis.learning.familiarity import Familiarity, Limit
from sklearn.metrics import roc_auc_score

BOOTSTRAP = Resampling("region", 300, 0.95, 0)
KNOWN = Familiarity({}, {"texture": Limit("mahalanobis", 2.0, 30, 1 / 31, {})})


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scores folder of a tiny model, with what is unfamiliar to it."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("strangers")
    corpus = Corpus.load(tiny.write_corpus(folder / "corpus", train=60, validation=30, test=30))
    training = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 3e-3}
    tiny.train(tiny.study("strangers", training=training), corpus, folder)
    (folder / "scores" / "figures").mkdir(parents=True)
    table = scores.predictions(corpus, folder / "model", progress=False)
    table.to_parquet(folder / "scores" / "predictions.parquet", index=False)
    strangers.write(folder / "scores", table, folder / "model", BOOTSTRAP, corpus)
    return folder / "scores"


def test_most_strangers_are_noticed_and_every_blank_is(evaluated: Path) -> None:
    found = FamiliarityFacts.load(evaluated)
    assert found is not None
    assert (found.rows, found.regions, found.rate) == (30, 30, 0.01)
    cases = {case.name: case for case in found.cases}
    for blank in ("black", "grey", "white"):
        assert (cases[blank].refused, cases[blank].auroc) == (cases[blank].pictures, None)
    assert cases["photograph"].noticed == cases["photograph"].pictures
    assert found.noticed > 0.8
    assert (evaluated / "figures" / "strangers.png").is_file()


def test_all_of_it_follows_from_the_rows(evaluated: Path) -> None:
    found = FamiliarityFacts.load(evaluated)
    assert strangers.again(evaluated, evaluated.parent / "model", BOOTSTRAP) == found
    test = pd.read_parquet(evaluated / "predictions.parquet").query("split == 'test'")["unfamiliarity"]
    made = pd.read_parquet(evaluated / strangers.MADE).query("~refused")
    assert found.alarms == (test > 1).sum()
    for case in (each for each in found.cases if each.auroc is not None):
        strange = made[made["case"] == case.name]["unfamiliarity"]
        truth = np.r_[np.zeros(len(test)), np.ones(len(strange))]
        assert case.auroc == pytest.approx(roc_auc_score(truth, np.r_[test, strange]))


def test_a_changed_row_changes_the_facts(evaluated: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(evaluated, tmp_path / "scores")
    table = pd.read_parquet(evaluated / "predictions.parquet")
    table.loc[table["split"] == "test", "unfamiliarity"] = 5.0
    table.to_parquet(tmp_path / "scores" / "predictions.parquet", index=False)
    found = strangers.again(tmp_path / "scores", evaluated.parent / "model", BOOTSTRAP)
    assert found is not None
    assert found.false_alarms.estimate == 1.0


def test_another_source_has_a_share_and_no_strangers(evaluated: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(evaluated / "predictions.parquet").assign(split="test")
    table.to_parquet(tmp_path / "predictions.parquet", index=False)
    strangers.write(tmp_path, table, evaluated.parent / "model", BOOTSTRAP)
    found = FamiliarityFacts.load(tmp_path)
    assert found is not None
    assert (found.rows, found.cases) == (len(table), ())
    assert found.false_alarms.estimate == pytest.approx((table["unfamiliarity"] > 1).mean())


def test_a_model_that_cannot_tell_has_no_facts(evaluated: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(evaluated / "predictions.parquet").drop(columns="unfamiliarity")
    strangers.write(tmp_path, table, evaluated.parent / "model", BOOTSTRAP)
    assert FamiliarityFacts.load(tmp_path) is None
    assert not list(tmp_path.iterdir())


def rows(alarms_by_region: list[list[bool]]) -> pd.DataFrame:
    """Test rows of regions, each with its alarms."""
    listed = [(f"AR {i}", 2.0 if alarm else 0.5) for i, of in enumerate(alarms_by_region) for alarm in of]
    return pd.DataFrame(listed, columns=["group", "unfamiliarity"])


def test_no_alarm_is_not_a_rate_of_zero_for_sure() -> None:
    found = strangers.facts(KNOWN, rows([[False] * 9] * 27), None, BOOTSTRAP).false_alarms
    exact = binomtest(0, 27).proportion_ci(0.95, "exact")
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(exact.high)


def test_alarms_of_one_region_are_not_independent() -> None:
    together = strangers.facts(KNOWN, rows([[True] * 10, *[[False] * 10] * 9]), None, BOOTSTRAP).false_alarms
    spread = strangers.facts(KNOWN, rows([[True, *[False] * 9]] * 10), None, BOOTSTRAP).false_alarms
    assert together.estimate == spread.estimate == 0.1
    assert together.high - together.low > 0.2
    assert (spread.low, spread.high) == (0.1, 0.1)


def test_refused_pictures_are_noticed_and_have_no_curve() -> None:
    made = pd.DataFrame({
        "case": ["white", "white", "scene", "scene"],
        "refused": [True, True, True, False],
        "unfamiliarity": [np.nan, np.nan, np.nan, 0.7],
    })  # fmt: skip
    white, scene = strangers.facts(KNOWN, rows([[False], [True]]), made, BOOTSTRAP).cases
    assert (white.noticed, white.refused, white.auroc) == (2, 2, None)
    assert (scene.noticed, scene.refused, scene.auroc) == (1, 1, 0.5)
