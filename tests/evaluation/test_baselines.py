"""What needs no network, on pictures of which it is known what tells their classes apart."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crafted_facts import corpus_facts
from PIL import Image
from sdovis.channels.channel import channel
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
    assert [*found] == ["id", "majority", "raw-pixels", "brightness", "spot-measures"]
    test = corpus.rows["split"] == "test"
    right = {name: np.mean(found.loc[test, name] == corpus.rows.loc[test, "label"]) for name in [*found][1:]}
    assert right["spot-measures"] == 1
    assert right["majority"] == 0.5


def test_only_channels_on_which_spots_are_dark_are_measured_for_them(corpus: Corpus) -> None:
    assert "spot-measures" in baselines.predictions(corpus, [channel("hmi-continuum-browse")])
    assert "spot-measures" not in baselines.predictions(corpus, [channel("aia-211-browse")])
    assert [*baselines.predictions(corpus, [channel("hmi-magnetogram")])][2:] == ["raw-pixels", "absolute-field"]
