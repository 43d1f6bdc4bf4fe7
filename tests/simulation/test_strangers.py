"""Strange pictures are made from a seed, of the model's size, and never of what the model may look at."""

from __future__ import annotations

import numpy as np
import pytest
from sdovis.channels.channel import channel
from sdovis.simulation.strangers import made

CONTINUUM, MAGNETOGRAM, CORONA = (
    [channel(name)] for name in ("hmi-continuum-browse", "hmi-magnetogram", "aia-211-browse")
)


@pytest.fixture
def own() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.clip(rng.normal(150, 20, (40, 40)), 0, 255).astype(np.uint8) for _ in range(3)]


def same(one, two) -> bool:
    return one.keys() == two.keys() and all(
        (a == b).all() for name in one for a, b in zip(one[name], two[name], strict=True)
    )


def test_the_same_seed_makes_the_same_pictures(own) -> None:
    first = made(CORONA, own, each=3, seed=4)
    assert same(first, made(CORONA, own, each=3, seed=4))
    other = made(CORONA, own, each=3, seed=5)
    assert not all((a == b).all() for a, b in zip(first["photograph"], other["photograph"], strict=True))


def test_they_have_the_size_of_the_models_own_and_eight_bits(own) -> None:
    for name, pictures in made(CORONA, own, each=4, seed=0).items():
        assert {(each.shape[:2], each.dtype) for each in pictures} == {((40, 40), np.dtype(np.uint8))}, name
        assert len(pictures) == 4


def test_a_model_is_not_asked_to_call_its_own_kind_strange(own) -> None:
    names = {kind[0].name: set(made(kind, own, each=1, seed=0)) for kind in (CONTINUUM, MAGNETOGRAM, CORONA)}
    everything = names["aia-211-browse"]
    assert everything - names["hmi-continuum-browse"] == {"simulated continuum"}
    assert everything - names["hmi-magnetogram"] == {"simulated magnetogram", "inverted"}


def test_spoilt_pictures_keep_their_pixels(own) -> None:
    found = made(CONTINUUM, own, each=3, seed=0)
    for one, other in zip(found["shuffled pixels"], own, strict=True):
        assert (np.sort(one, axis=None) == np.sort(other, axis=None)).all()
    assert (found["inverted"][1] == 255 - own[1]).all()
    assert not (found["shuffled patches"][0] == own[0]).all()


def test_three_channels_are_spoilt_together(own) -> None:
    coloured = [np.stack([each, each // 2, 255 - each], axis=-1) for each in own]
    found = made([*CORONA, channel("aia-171-browse"), channel("aia-304-browse")], coloured, each=2, seed=0)
    pixels = {tuple(pixel) for pixel in coloured[0].reshape(-1, 3).tolist()}
    assert {tuple(pixel) for pixel in found["shuffled pixels"][0].reshape(-1, 3).tolist()} == pixels
