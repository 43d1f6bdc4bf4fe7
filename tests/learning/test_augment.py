from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sdovis.errors import BadInput
from sdovis.learning.augment import NAMES, apply, augmented, chosen

squares = st.integers(2, 6).flatmap(lambda side: arrays(np.uint8, (side, side)))
ORDER = {"flip_ns": 2, "flip_ew": 2, "rotate90": 4, "polarity": 2}


@given(squares, st.sampled_from(NAMES))
def test_each_augmentation_undoes_itself_after_its_order_and_not_before(picture: np.ndarray, name: str) -> None:
    again = picture
    for _ in range(ORDER[name]):
        again = apply(again, name, 1)
    assert np.array_equal(again, picture)
    assert np.array_equal(apply(picture, name, ORDER[name]), picture)


@given(squares)
def test_both_flips_make_half_a_turn(picture: np.ndarray) -> None:
    assert np.array_equal(apply(apply(picture, "flip_ns", 1), "flip_ew", 1), apply(picture, "rotate90", 2))


def test_a_flip_ns_swaps_north_and_south_and_a_flip_ew_east_and_west() -> None:
    picture = np.array([[1, 2], [3, 4]], np.uint8)
    assert apply(picture, "flip_ns", 1).tolist() == [[3, 4], [1, 2]]
    assert apply(picture, "flip_ew", 1).tolist() == [[2, 1], [4, 3]]


def test_reversed_polarity_keeps_zero_gauss_and_missing_and_swaps_the_signs() -> None:
    codes = np.array([[0, 128, 127, 129, 1, 255]], np.uint8)
    assert apply(codes, "polarity", 1).tolist() == [[0, 128, 129, 127, 255, 1]]


def test_reversed_polarity_of_the_code_is_the_code_of_the_reversed_field() -> None:
    from sdovis.sun.channels import channel

    magnetogram = channel("hmi-magnetogram")
    field = np.random.default_rng(0).normal(0, 600, (20, 20)).astype(np.float32)
    field[0] = np.nan
    assert np.array_equal(apply(magnetogram.encode(field), "polarity", 1), magnetogram.encode(-field))


def test_a_draw_depends_on_seed_epoch_and_index_alone() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)
    first = augmented(picture, NAMES, seed=1, epoch=2, index=3)
    np.random.default_rng(0).random()
    np.random.seed(9)
    assert np.array_equal(first, augmented(picture, NAMES, seed=1, epoch=2, index=3))
    for other in ({"seed": 2}, {"epoch": 3}, {"index": 4}):
        where = {"seed": 1, "epoch": 2, "index": 3} | other
        assert augmented(picture, NAMES, **where).tobytes() != first.tobytes(), other


def test_over_many_epochs_every_variant_of_a_picture_is_seen() -> None:
    picture = np.random.default_rng(1).integers(1, 128, (4, 4), dtype=np.uint8)
    seen = {augmented(picture, NAMES, seed=0, epoch=epoch, index=0).tobytes() for epoch in range(200)}
    assert len(seen) == 8 * 2  # the symmetries of the square, times two polarities


def test_reversed_polarity_is_left_out_where_the_channel_has_no_sign() -> None:
    assert chosen({"polarity", "flip_ew"}, signed=False) == ("flip_ew",)
    assert chosen({"polarity", "flip_ew"}, signed=True) == ("flip_ew", "polarity")


def test_an_unknown_augmentation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match=r"'flip_nw' is unknown; did you mean 'flip_"):
        chosen({"flip_nw"}, signed=True)
