from __future__ import annotations

import io

import numpy as np
import pytest
import tiny
from PIL import Image
from sdovis.errors import BadInput
from sdovis.learning import backbones, loader


@pytest.fixture(scope="module")
def processor():
    return backbones._processor(tiny.SIZE)


@pytest.mark.parametrize("shape", [(32, 32), (50, 41), (20, 33), (32, 32, 3), (45, 45, 3)], ids=str)
@pytest.mark.parametrize("resample", [2, 3])
def test_a_batch_is_bit_for_bit_what_the_processor_makes_of_each_picture(shape: tuple[int, ...], resample: int) -> None:
    processor = backbones._processor(tiny.SIZE)
    processor.resample, processor.image_mean, processor.image_std = (
        resample,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    )
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(4)]
    codes = loader.decode([tiny.png(p) for p in pictures], processor)
    assert codes.dtype == np.uint8 and codes.shape == (4, 32, 32, *shape[2:])
    batch = loader.normalised(codes, loader.table(processor))
    reference = processor(images=[Image.fromarray(p).convert("RGB") for p in pictures], return_tensors="np")
    assert batch.dtype == np.float32
    assert np.array_equal(batch, reference["pixel_values"])


def test_grey_and_colour_together_are_kept_in_colour(processor) -> None:
    rng = np.random.default_rng(3)
    grey, colour = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((32, 32), (32, 32, 3)))
    codes = loader.decode([tiny.png(grey), tiny.png(colour)], processor)
    assert np.array_equal(codes, [np.repeat(grey[..., None], 3, 2), colour])


def test_sixteen_bit_pictures_are_refused_and_counted(processor) -> None:
    deep = io.BytesIO()
    Image.fromarray(np.full((32, 32), 1000, np.uint16)).save(deep, "PNG")
    with pytest.raises(BadInput) as raised:
        loader.decode([tiny.png(np.zeros((32, 32), np.uint8)), deep.getvalue(), deep.getvalue()], processor)
    assert [str(p) for p in raised.value.problems] == [
        f"image {i} has mode I;16; 8 bits a channel are needed" for i in (1, 2)
    ]


def test_another_epoch_shows_other_variants_and_the_same_epoch_the_same() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    pictures = loader.Pictures(codes, [0] * 6, ("flip_ns", "rotate90"), seed=4)
    first = [pictures[i][0].tobytes() for i in range(6)]
    pictures.set_epoch(1)
    second = [pictures[i][0].tobytes() for i in range(6)]
    pictures.set_epoch(0)
    assert first == [pictures[i][0].tobytes() for i in range(6)] != second


def test_without_augmentations_the_pictures_are_as_they_were() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (2, 8, 8), dtype=np.uint8)
    pictures = loader.Pictures(codes, [1, 0])
    assert len(pictures) == 2 and np.array_equal(pictures[1][0], codes[1]) and pictures[0][1] == 1


def test_the_signed_colours_alone_change_their_polarity() -> None:
    codes = np.random.default_rng(0).integers(1, 256, (40, 8, 8, 3), dtype=np.uint8)
    pictures = loader.Pictures(codes, [0] * 40, ("polarity",), signed=(False, True, False))
    shown = np.stack([pictures[i][0] for i in range(40)])
    assert np.array_equal(shown[..., [0, 2]], codes[..., [0, 2]])
    turned = (shown[..., 1] != codes[..., 1]).any(axis=(1, 2))
    assert 8 < turned.sum() < 32
    assert np.array_equal(shown[turned][..., 1], np.negative(codes[turned][..., 1]))
