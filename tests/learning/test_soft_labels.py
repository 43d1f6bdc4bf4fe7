"""A second opinion on each label: from other regions alone, and learned as well as the label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.learning import loader
from sdovis.learning.losses import Loss
from sdovis.learning.soft_labels import soft_labels


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(tiny.write_corpus(tmp_path_factory.mktemp("tiny") / "corpus"))


def regions(seed: int = 0, count: int = 60) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Two rows a region; one measure that tells the class well, one that tells nothing."""
    rng = np.random.default_rng(seed)
    label = np.repeat(rng.integers(0, 3, count), 2)
    table = np.stack([label + rng.normal(0, 0.4, 2 * count), rng.normal(size=2 * count)], axis=1)
    return pd.DataFrame({"label": label, "group": np.repeat(np.arange(count), 2)}), {"polarity-measures": table}


def test_a_soft_label_is_the_label_in_part_and_in_part_what_the_measures_say() -> None:
    rows, tables = regions()
    found = soft_labels(rows, tables, 3, 0.4)
    assert found.shape == (len(rows), 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    own = found[np.arange(len(rows)), rows["label"]]
    assert (own >= 0.6 - 1e-6).all() and own.mean() > 0.85
    np.testing.assert_array_equal(found, soft_labels(rows, tables, 3, 0.4))


def test_what_is_said_of_a_region_does_not_depend_on_its_own_label() -> None:
    """Every region gets a class that its measures deny: a teacher that saw it would repeat it."""
    rows, tables = regions()
    odd = rows.assign(label=np.where(rows["group"] == 7, (rows["label"] + 1) % 3, rows["label"]))
    of = (rows["group"] == 7).to_numpy()
    second = [(soft_labels(each, tables, 3, 0.5)[of] - 0.5 * np.eye(3)[each["label"][of]]) * 2 for each in (rows, odd)]
    assert (second[0].argmax(axis=1) == rows["label"][of]).all()
    assert (second[1].argmax(axis=1) == rows["label"][of]).all()


def test_measures_that_tell_nothing_give_no_hint_of_the_label() -> None:
    """A teacher fitted on the region that it is asked about would have learned its label by heart."""
    rows, _ = regions(count=60)
    noise = {"polarity-measures": np.random.default_rng(1).normal(size=(len(rows), 20))}
    second = (soft_labels(rows, noise, 3, 0.5) - 0.5 * np.eye(3)[rows["label"]]) * 2
    assert second[np.arange(len(rows)), rows["label"]].mean() < 0.45


@pytest.mark.parametrize(("rows", "tables", "said"), [
    (regions()[0], {"raw-pixels": regions()[1]["polarity-measures"]}, "no channel whose spots or fields are measured"),
    (*regions(count=4), "only 4 regions"),
])  # fmt: skip
def test_where_nobody_can_give_a_second_opinion_the_study_is_refused(rows: Any, tables: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        soft_labels(rows, tables, 3, 0.5)


def test_the_loss_of_certain_soft_labels_is_that_of_the_labels() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 1])
    loss = Loss(torch.tensor([0.5, 1.0, 2.0]), 0.1)
    certain = torch.nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(loss({"logits": logits}, certain), loss({"logits": logits}, labels))


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_a_network_is_taught_soft_labels_and_judged_by_labels(trainable: str, corpus: Corpus, tmp_path: Path) -> None:
    losses, seen = {}, []
    for share in (0.0, 0.5):
        study = tiny.study(method={"trainable": trainable, "soft_labels": share})
        shown = Loss.__call__

        def watched(self: Any, outputs: Any, labels: Any, shown: Any = shown, **others: Any) -> Any:
            seen.append((share, torch.is_grad_enabled(), labels.ndim))  # noqa: B023
            return shown(self, outputs, labels, **others)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loss, "__call__", watched)
            record = tiny.train(study, corpus, tmp_path / str(share))
        losses[share] = record.weights_sha256
    assert losses[0.0] != losses[0.5]
    assert {ndim for share, learning, ndim in seen if share and learning} == {2}
    assert {ndim for share, learning, ndim in seen if not (share and learning)} == {1}


def test_the_trainer_counts_images_and_not_the_entries_of_their_soft_labels(corpus: Corpus) -> None:
    pictures = loader.Pictures(np.zeros((4, 8, 8), np.uint8), [0, 1, 2, 0], soft=np.full((4, 3), 1 / 3, np.float32))
    batch = loader.collated(pictures[1])
    assert batch["labels"].tolist() == [1] and loader.taught(batch).shape == (1, 3)
