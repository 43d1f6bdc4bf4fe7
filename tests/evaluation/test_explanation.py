"""Maps put to the test on a finished run, what is chosen, and the mistakes with what training holds nearest to them."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from releases import finished_run  # noqa: F401  fixture
from runs import Run
from sdovis import manifests
from sdovis import study as studies
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.evaluation import explanation, maps, mistakes
from sdovis.evaluation.explanation import Explanation, chosen, map_tests, random_areas, sampled
from sdovis.evaluation.facts import Resampling
from sdovis.statistics.bootstrap import Estimate

RESAMPLING = Resampling("region", 500, 0.95, 0)


@pytest.fixture(scope="module")
def explained(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A copy of the finished run with its explanation; not to be changed."""
    folder = tmp_path_factory.mktemp("explained") / "small"
    shutil.copytree(finished_run.folder, folder)
    explanation.explain(studies.load(folder / "study.toml"), Corpus.load(folder / "corpus"), folder, progress=False)
    return folder


def test_the_sample_has_each_region_once_and_is_the_same_every_time():
    rows = pd.DataFrame({"split": ["train"] * 40 + ["test"] * 200, "group": [f"ar{i // 4}" for i in range(240)]})
    drawn = sampled(rows, "test", seed=5)
    assert len(drawn) == explanation.SAMPLE
    assert set(rows.loc[drawn, "split"]) == {"test"}
    assert rows.loc[drawn, "group"].is_unique
    assert drawn.tolist() == sampled(rows, "test", seed=5).tolist() != sampled(rows, "test", seed=6).tolist()


def crafted(gains: dict[str, float], spread: float = 0.02, part: str = "validation") -> pd.DataFrame:
    """Rows of ``maps.parquet`` of 20 regions in which each kind of map is better than chance by its gain."""
    rng = np.random.default_rng(1)
    rows = []
    for split in ("validation", "test"):
        for i in range(20):
            told = {"id": f"{split}-{i}", "group": f"ar{i}", "split": split}
            risen = 0.5 + rng.normal(0, spread)
            rows.append({**told, "map": "random", "deletion": 0.5, "insertion": risen, "untrained": np.nan})
            for name, gain in gains.items():
                apart = gain if split == part else 0.0
                rows.append(
                    {
                        **told,
                        "map": name,
                        "deletion": 0.4,
                        "insertion": 0.4 + apart + rng.normal(0, spread),
                        "untrained": 0.1,
                    }
                )
    return pd.DataFrame(rows)


def test_the_kind_of_map_with_the_highest_gain_on_the_validation_part_is_chosen():
    found = map_tests(crafted({"rollout": 0.1, "weighted-rollout": 0.3, "integrated-gradients": 0.2}), RESAMPLING)
    assert chosen(found) == "weighted-rollout"
    assert found["weighted-rollout"].validation.gain.estimate == pytest.approx(0.3, abs=0.03)
    assert found["weighted-rollout"].validation.areas.deletion.estimate == pytest.approx(0.4)
    assert found["rollout"].untrained == Estimate(*[pytest.approx(0.1)] * 3)


@pytest.mark.parametrize("gain", [0.0, -0.3])
def test_no_map_is_chosen_that_is_not_above_chance(gain):
    assert chosen(map_tests(crafted({"rollout": gain}, spread=0.2), RESAMPLING)) == ""


def test_the_test_part_does_not_choose():
    found = map_tests(crafted({"rollout": 0.4}, part="test"), RESAMPLING)
    assert found["rollout"].test.gain.low > 0.3
    assert chosen(found) == ""


def test_a_gain_is_that_over_random_maps_of_the_same_image_and_its_interval_is_by_region():
    table = crafted({"rollout": 0.3}, spread=0.0)
    table.loc[table["id"] == "validation-3", "insertion"] += 0.25
    gain = map_tests(table, RESAMPLING)["rollout"].validation.gain
    assert gain == Estimate(*[pytest.approx(0.3)] * 3)


def test_the_stage_tests_every_map_and_records_what_it_found(explained):
    found = explanation.load(explained / "explanation")
    table = pd.read_parquet(explained / "explanation" / explanation.TABLE)
    assert list(found.maps) == list(maps.METHODS)
    assert found.images == {part: len(set(table.loc[table["split"] == part, "id"])) for part in ("validation", "test")}
    assert (table["map"] == "random").sum() == table["id"].nunique()
    assert table[["deletion", "insertion"]].stack().between(0, 1).all()
    assert found.maps == map_tests(table, found.bootstrap)
    assert found.random == random_areas(table, found.bootstrap)
    assert found.chosen == chosen(found.maps)
    assert found.seconds > 0
    for name in ("mistakes", "nearest", "maps"):
        assert Image.open(explained / "explanation" / "figures" / f"{name}.png").width > 400
    assert json.loads((explained / "explanation" / explanation.FILE).read_text())["format"] == 1


def test_the_same_run_is_explained_the_same_way_twice(explained, tmp_path):
    shutil.copytree(explained, tmp_path / "small")
    study, corpus = studies.load(tmp_path / "small" / "study.toml"), Corpus.load(tmp_path / "small" / "corpus")
    again = explanation.explain(study, corpus, tmp_path / "small", progress=False)
    assert replace(again, seconds=0) == replace(explanation.load(explained / "explanation"), seconds=0)
    first, second = (
        manifests.read(folder / "explanation", made_by="explain") for folder in (explained, tmp_path / "small")
    )
    assert {k: v for k, v in first.files.items() if k != explanation.FILE} == {
        k: v for k, v in second.files.items() if k != explanation.FILE
    }


def test_the_untrained_network_of_the_check_has_other_weights_and_the_same_shape():
    from saved_models import network

    trained = network()
    before = torch.random.get_rng_state()
    anew = explanation._untrained(trained, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = zip(trained.state_dict().values(), anew.state_dict().values(), strict=True)
    moved = [not torch.equal(a, b) for a, b in weights if a.ndim == 2]
    assert all(moved)


@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_the_correlation_of_maps_is_that_of_ranks(scale):
    from scipy.stats import spearmanr

    a, b = np.random.default_rng(0).random((2, 6, 6))
    b = np.round(b, 1) * scale  # with ties
    assert explanation._rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert np.isnan(explanation._rank_correlation(a, np.ones((6, 6))))


def corpus_of(rows: list[tuple[str, str, str, int]], brightness: list[int]) -> Corpus:
    """A corpus of plain pictures: id, region, part and label of each, and its brightness."""
    table = pd.DataFrame(rows, columns=["id", "group", "split", "label"])
    table["noaa_ar"] = [int(group[2:]) if group.startswith("ar") else pd.NA for group in table["group"]]
    table["observed"] = pd.date_range("2013-01-01", periods=len(table), tz="UTC")
    pictures = []
    for value in brightness:
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    empty = manifests.Manifest("prepare", {}, {})
    return Corpus(Path(), ("quiet", "spotted"), table, pictures, SimpleNamespace(), empty)


ROWS = [
    ("t0", "ar11001", "train", 0),
    ("t1", "ar11001", "train", 0),
    ("t2", "ar11002", "train", 1),
    ("v0", "ar11003", "validation", 1),
    ("a", "ar11004", "test", 0),
    ("b", "ar11004", "test", 0),
    ("c", "frame-7", "test", 1),
    ("d", "ar11005", "test", 1),
]


def predictions(spotted: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"prob_quiet": 1 - np.array(spotted), "prob_spotted": spotted})


def test_the_most_confident_mistakes_of_the_test_part_come_first_one_of_each_region():
    corpus = corpus_of(ROWS, [0] * 8)
    wrong, listed = mistakes.most_confident(corpus, predictions([0.9, 0.9, 0.1, 0.1, 0.7, 0.95, 0.02, 0.8]))
    assert wrong == 3
    assert [(m.id, m.noaa_ar, m.label, m.predicted) for m in listed] == [
        ("c", None, "spotted", "quiet"),
        ("b", 11004, "quiet", "spotted"),
    ]
    assert [m.probability for m in listed] == pytest.approx([0.98, 0.95])
    assert listed[0].observed == "2013-01-07T00:00:00+00:00"


def test_a_model_without_mistakes_has_none_listed():
    assert mistakes.most_confident(corpus_of(ROWS, [0] * 8), predictions([0, 0, 1, 1, 0, 0, 1, 1])) == (0, ())


def test_the_nearest_images_are_of_the_training_part_alone_and_one_of_each_region(monkeypatch):
    angles = [10, 12, 80, 21, 20, 0, 0, 0]  # degrees; v0 would be nearest to a, and is not of the training part
    monkeypatch.setattr(
        mistakes, "_features", lambda corpus, places, *_: np.array([
            [np.cos(np.radians(angles[int(i)])), np.sin(np.radians(angles[int(i)]))] for i in places
        ], np.float32) * 7,
    )  # fmt: skip
    corpus = corpus_of(ROWS, [0] * 8)
    _, listed = mistakes.most_confident(corpus, predictions([0, 0, 1, 1, 0.9, 0, 1, 1]))
    searched, found = mistakes.with_nearest(corpus, listed, None, None, None, seed=0)
    assert searched == 3
    assert [n.id for n in found[0].nearest] == ["t1", "t2"]
    assert [n.cosine for n in found[0].nearest] == pytest.approx(
        [np.cos(np.radians(8)), np.cos(np.radians(60))], abs=1e-6
    )


def test_a_network_without_one_linear_classifier_has_no_nearest_images(monkeypatch):
    def refuse(*_):
        raise BadInput("more than a linear layer")

    monkeypatch.setattr(mistakes, "_features", refuse)
    corpus = corpus_of(ROWS, [0] * 8)
    _, listed = mistakes.most_confident(corpus, predictions([0, 0, 1, 1, 0.9, 0, 1, 1]))
    assert mistakes.with_nearest(corpus, listed, None, None, None, seed=0) == (0, listed)


def test_large_training_parts_are_searched_in_a_drawn_sample(monkeypatch):
    monkeypatch.setattr(mistakes, "SEARCHED", 2)
    asked = []

    def features(corpus, places, *_):
        asked.append([int(i) for i in places])
        return np.ones((len(places), 2), np.float32)

    monkeypatch.setattr(mistakes, "_features", features)
    corpus = corpus_of(ROWS, [0] * 8)
    _, listed = mistakes.most_confident(corpus, predictions([0, 0, 1, 1, 0.9, 0, 1, 1]))
    assert mistakes.with_nearest(corpus, listed, None, None, None, seed=0)[0] == 2
    assert set(asked[1]) < {0, 1, 2}


def test_an_explanation_read_back_is_the_same(explained, tmp_path):
    found = Explanation.load(explained / "explanation")
    found.save(tmp_path)
    assert Explanation.load(tmp_path) == found
    assert dataclasses.is_dataclass(found)
