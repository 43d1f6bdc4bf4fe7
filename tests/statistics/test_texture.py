"""What a picture looks like is measured alike whatever its size, and is a number for any picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sdovis.statistics.texture import GREY, measures


@pytest.fixture
def field() -> np.ndarray:
    """Smooth structure and a bright spot, (1, 64, 64)."""
    rows, columns = np.mgrid[:64, :64]
    noise = np.random.default_rng(0).normal(0, 2, (64, 64))
    spot = 90 * np.exp(-((rows - 30) ** 2 + (columns - 40) ** 2) / 40)
    return np.clip(110 + 15 * np.sin(rows / 9) + spot + noise, 0, 255).astype(np.uint8)[None]


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, st.tuples(st.just(2), st.integers(2, 40), st.integers(2, 40))))
def test_every_picture_has_measures(pictures: np.ndarray) -> None:
    found = measures(pictures)
    assert found.shape == (2, GREY)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("level", [0, 100, 255])
def test_a_page_of_one_level_has_measures(level: int) -> None:
    assert np.isfinite(measures(np.full((1, 32, 32), level, np.uint8))).all()


def test_colours_are_measured_apart(field: np.ndarray) -> None:
    coloured = np.stack([field, field // 2, 255 - field], axis=-1)
    expected = np.concatenate([measures(each) for each in (field, field // 2, 255 - field)], axis=1)
    assert (measures(coloured) == expected).all()


def test_pictures_do_not_depend_on_those_beside_them(field: np.ndarray) -> None:
    others = np.random.default_rng(1).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    assert measures(np.concatenate([others, field]))[3] == pytest.approx(measures(field)[0])


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda field: 255 - field,
        lambda field: np.random.default_rng(0).permutation(field.ravel()).reshape(field.shape),
        lambda field: np.roll(field.reshape(1, 8, 8, 8, 8), (3, 5), axis=(1, 3)).reshape(1, 64, 64),
        lambda field: (255 * (field / 255) ** 2.5).astype(np.uint8),
        lambda field: (110 + (field.astype(float) - 110) / 3).astype(np.uint8),
    ],
    ids=["inverted", "shuffled", "in another order", "darker", "flatter"],
)
def test_a_spoilt_picture_measures_differently(field: np.ndarray, spoilt) -> None:
    assert np.abs(measures(spoilt(field)) - measures(field)).max() > 0.3
