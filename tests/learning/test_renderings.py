"""Pictures as other publishers would have rendered them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sdovis.learning import renderings
from sdovis.learning.augment import augmented, drawn
from sdovis.learning.renderings import OUTCOMES, RENDERING

NAMES = ("rendering",)
sides = st.integers(3, 20)
pictures = sides.flatmap(lambda side: arrays(np.uint8, (side, side)))
outcomes = st.integers(1, OUTCOMES - 1)


def rendered(picture: np.ndarray, *which: int, signed: tuple[bool, ...] = (True,)) -> np.ndarray:
    """The picture once for each outcome, in one batch."""
    batch = torch.from_numpy(np.stack([picture] * len(which)))
    return augmented(batch, NAMES, np.array(which)[:, None], signed).numpy()


@given(pictures, outcomes, st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_missing_stays_so_and_nothing_else_becomes_it(picture: np.ndarray, which: int, signed: bool) -> None:
    (seen,) = rendered(picture, which, signed=(signed,))
    assert np.array_equal(seen == 0, picture == 0)


@given(pictures, outcomes, outcomes)
@settings(max_examples=40, deadline=None)
def test_a_picture_depends_on_its_outcome_alone(picture: np.ndarray, one: int, other: int) -> None:
    first, second, plain = rendered(picture, one, other, 0)
    assert np.array_equal(plain, picture)
    assert np.array_equal(rendered(picture, other)[0], second) and np.array_equal(rendered(picture, one)[0], first)


@given(pictures, outcomes)
@settings(max_examples=40, deadline=None)
def test_no_polarity_is_preferred(picture: np.ndarray, which: int) -> None:
    (seen,), (reversed_,) = rendered(picture, which), rendered(np.negative(picture), which)
    assert np.array_equal(np.negative(seen), reversed_)


def test_colours_have_one_scale_and_only_signed_ones_are_scaled_about_zero_gauss() -> None:
    picture = np.random.default_rng(0).integers(1, 256, (16, 16, 3), dtype=np.uint8)
    (seen,) = rendered(picture, 7, signed=(True, False, True))
    for colour, signed in enumerate((True, False, True)):
        assert np.array_equal(seen[..., colour], rendered(picture[..., colour], 7, signed=(signed,))[0])
    flat = np.full((16, 16), 128, np.uint8)
    assert (rendered(flat, *range(1, 20)) == 128).all(), "0 G is 0 G in every rendering"
    assert len({int(each[0, 0]) for each in rendered(flat, *range(1, 20), signed=(False,))}) > 5


def test_strong_fields_saturate_differently_and_order_is_kept() -> None:
    rising = np.repeat(np.arange(1, 256, dtype=np.uint8)[:, None], 255, axis=1)
    tops = []
    for which in range(1, 40):
        scale = renderings._scale(np.random.default_rng(which), [True])[0]
        assert (np.diff(scale) >= 0).all()
        tops.append(int(rendered(rising, which)[0].max()))
    assert min(tops) < 215 < 250 < max(tops)


@pytest.mark.parametrize("quality", [40, 50, 75, 95])
@pytest.mark.parametrize("side", [64, 61])
def test_quality_means_what_it_means_to_a_jpeg_library(quality: int, side: int) -> None:
    picture = np.random.default_rng(quality).normal(128, 25, (side, side)).clip(1, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    theirs = np.asarray(Image.open(file), dtype=np.float64)
    centred = torch.from_numpy(picture).double()[None] - 128
    ours = renderings._jpeg(centred, np.array([quality]))[0].numpy().clip(-128, 127) + 128
    inside = np.s_[: side // 8 * 8, : side // 8 * 8]
    # Their cosines and grey levels are whole numbers, so that some fall on the other side of a step.
    assert np.abs(ours - theirs)[inside].mean() < np.abs(theirs - picture)[inside].mean() / 2


def test_only_who_asks_for_it_is_shown_other_renderings() -> None:
    from sdovis.labels.schemes import MOUNT_WILSON_3

    assert "rendering" not in MOUNT_WILSON_3.policy.chosen(True, signed=True)
    assert MOUNT_WILSON_3.policy.chosen(["rendering", "polarity"], signed=True) == ("polarity", "rendering")
    draws = drawn(NAMES, seed=0, epoch=0, indices=range(50))
    assert len(set(draws[:, 0].tolist())) == 50 and RENDERING.outcomes == OUTCOMES
