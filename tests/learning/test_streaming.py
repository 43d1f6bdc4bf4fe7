from __future__ import annotations

import pickle
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from sdovis.learning import backbones, loader, streaming
from sdovis.learning.streaming import Decoded, WindowSampler

sizes = st.lists(st.integers(1, 7), min_size=1, max_size=40)


def order(rows: Sequence[int], *, epoch: int = 0, seed: int = 3, batch: int = 4, processes: int = 1) -> list[int]:
    return list(WindowSampler(rows, SimpleNamespace(epoch=epoch), seed=seed, batch=batch, processes=processes))


def group_of(rows: Sequence[int]) -> np.ndarray:
    return np.repeat(np.arange(len(rows)), rows)


@given(sizes, st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_an_epoch_shows_every_picture_once(rows: list[int], batch: int, processes: int, epoch: int) -> None:
    found = order(rows, epoch=epoch, batch=batch, processes=processes)
    assert sorted(found) == list(range(sum(rows)))


def test_seed_and_epoch_and_nothing_else_decide_the_order() -> None:
    rows = [5] * 40
    first = order(rows)
    np.random.seed(1)
    assert first == order(rows)
    assert first != order(rows, epoch=1) and first != order(rows, seed=4) and first != sorted(first)


def test_a_process_is_given_batches_of_row_groups_that_no_other_one_reads() -> None:
    rows, batch, processes = [8] * 64, 4, 2
    found = np.array(order(rows, batch=batch, processes=processes)).reshape(-1, batch)
    groups = group_of(rows)[found]
    first, second = set(groups[0::2].ravel()), set(groups[1::2].ravel())
    assert not first & second and len(first | second) == 64


def test_row_groups_are_shuffled_together_a_window_at_a_time_and_each_is_read_once() -> None:
    rows = [5] * 100
    groups = group_of(rows)[order(rows)]
    open_: list[int] = []
    for start in range(0, len(groups), 5 * streaming.WINDOW):
        window = groups[start : start + 5 * streaming.WINDOW]
        assert len(set(window)) <= streaming.WINDOW and not set(window) & set(open_)
        assert (np.diff(window) != 0).mean() > 0.7, "neighbours come from different row groups"
        open_ += list(window)


@pytest.fixture
def decoded(corpus) -> Decoded:
    return Decoded(corpus, backbones._processor(tiny.SIZE), "train")


def test_what_is_streamed_is_what_the_cache_would_hold(corpus, decoded: Decoded) -> None:
    whole = loader.decode(corpus.pictures_of("train"), decoded.processor)
    assert len(decoded.groups) > 2 and decoded.shape == whole.shape
    assert np.array_equal(decoded[:], whole) and np.array_equal(decoded[10:20], whole[10:20])
    assert np.array_equal(decoded[[29, 0, 17, 0]], whole[[29, 0, 17, 0]])


def test_a_reader_holds_a_window_of_row_groups_and_sends_none_to_a_worker(
    decoded: Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WINDOW", 2)
    decoded[range(30)]
    assert len(decoded._held) == 2
    assert len(pickle.dumps(decoded)) < 10_000
