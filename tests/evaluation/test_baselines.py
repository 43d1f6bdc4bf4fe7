"""What needs no network, on pictures of which it is known what tells their classes apart."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crafted_facts import corpus_facts
from PIL import Image
from sdovis.channels.channel import channel
from sdovis.corpus import measures
from sdovis.corpus.build import Corpus
from sdovis.evaluation import baselines
from sdovis.manifests import Manifest

SIDE, EACH = 48, 60


def _picture(rng: np.random.Generator, spots: int) -> bytes:
    """Quiet Sun of code 200 with round spots, all of one area together, anywhere but on each other."""
    image = np.full((SIDE, SIDE), 200.0)
    y, x = np.indices(image.shape)
    places = rng.permutation([(i, j) for i in (8, 24, 40) for j in (8, 24, 40)])[:spots]
    for cx, cy in places:
        image[(x - cx) ** 2 + (y - cy) ** 2 <= 36 / spots] = 120
    out = io.BytesIO()
    Image.fromarray(np.rint(image + rng.normal(0, 1, image.shape)).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """One spot, or four of the same area together, anywhere."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], EACH)
    rows = pd.DataFrame({"id": [str(i) for i in range(len(labels))], "label": labels})
    rows["split"] = np.repeat(["train", "validation", "test"], len(labels) // 3)
    pictures = [_picture(rng, 4 if label else 1) for label in labels]
    return Corpus(Path(), ("one", "four"), rows, pictures, corpus_facts(), Manifest("prepare", {}, {}))


def test_measures_of_the_spots_tell_one_spot_from_four(corpus: Corpus) -> None:
    found = baselines.predictions(corpus, [channel("hmi-continuum")])
    assert [*found] == [
        "id",
        "majority",
        "raw-pixels",
        "brightness",
        "spot-measures",
        "spot-measures-boosted",
        "union-boosted",
    ]
    test = corpus.rows["split"] == "test"
    right = {name: np.mean(found.loc[test, name] == corpus.rows.loc[test, "label"]) for name in [*found][1:]}
    assert right["spot-measures"] == 1
    assert right["majority"] == 0.5


def test_rows_of_another_corpus_are_predicted_by_models_of_this_one(corpus: Corpus) -> None:
    """Boosted trees and the union too; with its own pictures in another order, each keeps its prediction."""
    order = np.random.default_rng(1).permutation(len(corpus.rows))[:50]
    rows = corpus.rows.iloc[order].reset_index(drop=True).assign(label=0, split="test")
    other = replace(corpus, rows=rows, pictures=[corpus.pictures[i] for i in order])
    kinds = [channel("hmi-continuum")]
    own, found = baselines.predictions(corpus, kinds), baselines.predictions(corpus, kinds, other)
    pd.testing.assert_frame_equal(found, own.iloc[order].reset_index(drop=True))
    assert {"spot-measures-boosted", "union-boosted"} < set(found)


def test_only_channels_on_which_spots_are_dark_are_measured_for_them(corpus: Corpus) -> None:
    assert "spot-measures" in baselines.predictions(corpus, [channel("hmi-continuum-browse")])
    assert "spot-measures" not in baselines.predictions(corpus, [channel("aia-211-browse")])
    assert [*baselines.predictions(corpus, [channel("hmi-magnetogram")])][2:] == [
        "raw-pixels",
        "absolute-field",
        "polarity-measures",
        "polarity-measures-boosted",
        "union-boosted",
    ]


def test_the_validation_part_chooses_and_of_equals_the_first_is_taken() -> None:
    class Fixed:
        def __init__(self, right: float) -> None:
            self.right, self.asked = right, []

        def fit(self, table: np.ndarray, labels: np.ndarray) -> Fixed:
            assert len(labels) == 4, "fitted on the training part alone"
            return self

        def predict(self, table: np.ndarray) -> np.ndarray:
            self.asked.append(len(table))
            return np.where(np.arange(len(table)) < self.right * len(table), table[:, 0], 1 - table[:, 0]).astype(int)

    labels = np.array([0, 1] * 6)
    parts = {"train": np.arange(12) < 4, "validation": (np.arange(12) >= 4) & (np.arange(12) < 8)}
    parts["learned"] = parts["train"]
    worse, good, equal = Fixed(0.5), Fixed(1.0), Fixed(1.0)
    table, asked = labels[:, None].astype(float), np.array([[1.0], [0.0], [0.0]])
    found = baselines._best(iter([worse, good, equal]), table, asked, labels=labels, parts=parts, n_classes=2)
    assert found.tolist() == [1, 0, 0] and good.asked == [4, 3] and equal.asked == [4]


def test_spots_are_measured_on_the_sun_where_a_row_says_its_place(corpus: Corpus) -> None:
    """The same picture at the limb covers more of the Sun than at the centre."""
    facts = corpus_facts()
    view = replace(facts.view, size_px=SIDE, cutout_arcsec=200.0)
    rows = corpus.rows.assign(latitude_deg=0.0, longitude_deg=0.0, observed=pd.Timestamp("2011-02-15", tz="UTC"))
    here = replace(corpus, facts=replace(facts, view=view), rows=rows)
    west = replace(here, rows=rows.assign(longitude_deg=60.0))
    kinds = [channel("hmi-continuum")]
    at_centre, at_limb = (np.expm1(measures.tables(of, kinds)["spot-measures"]) for of in (here, west))
    assert np.median(at_limb[:, 0] / at_centre[:, 0]) == pytest.approx(2, rel=0.15)


def test_what_was_chosen_is_fitted_on_both_parts_if_the_model_learned_from_both(corpus: Corpus) -> None:
    """The first third has one class alone in excess; the commonest of both parts together is the other."""
    rows = corpus.rows.copy()
    train = (rows["split"] == "train").to_numpy()
    rows.loc[train, "label"] = np.where(np.arange(train.sum()) % 5 < 3, 0, 1)
    rows.loc[rows["split"] == "validation", "label"] = 1
    odd, kinds = replace(corpus, rows=rows), [channel("hmi-continuum")]
    alone = baselines.predictions(odd, kinds)
    both = baselines.predictions(odd, kinds, learned_from=("train", "validation"))
    assert set(alone["majority"]) == {0} and set(both["majority"]) == {1}
    assert (alone["raw-pixels"] != both["raw-pixels"]).any()
    pd.testing.assert_frame_equal(alone, baselines.predictions(odd, kinds, learned_from=("train",)))


def test_features_are_computed_once_for_all_sources_and_again_for_another_corpus(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, seen, tables = [channel("hmi-continuum")], [], measures.tables

    def counted(of: Corpus, channels: list) -> dict:
        seen.append(of.manifest.digest)
        return tables(of, channels)

    monkeypatch.setattr(measures, "tables", counted)
    plain = baselines.predictions(corpus, kinds)
    first, again = (baselines.predictions(corpus, kinds, kept=tmp_path / "measures") for _ in range(2))
    assert len(seen) == 2
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(first, plain)
    other = replace(corpus, manifest=Manifest("prepare", {"rows": "others"}, {}))
    baselines.predictions(other, kinds, kept=tmp_path / "measures")
    baselines.predictions(corpus, [channel("hmi-continuum-browse")], kept=tmp_path / "measures")
    assert len(seen) == 4
