from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from sdovis.errors import BadInput
from sdovis.learning import augment, backbones, loader
from torch.utils.data import DataLoader

NAMES = ("flip_ns", "rotate90", "rotate_any", "polarity")


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
    batch = loader.normalised(torch.from_numpy(codes), loader.table(processor))
    reference = processor(images=[Image.fromarray(p).convert("RGB") for p in pictures], return_tensors="np")
    assert batch.dtype == torch.float32 and batch.is_contiguous()
    assert np.array_equal(batch.numpy(), reference["pixel_values"])
    alone = loader.normalised_alone(codes[0], loader.table(processor).numpy())
    assert alone.dtype == np.float32 and np.array_equal(alone, reference["pixel_values"][:1])


@pytest.mark.parametrize("shape", [(50, 41), (45, 45, 3)], ids=str)
def test_pillow_alone_resizes_as_the_processor_that_uses_it(shape: tuple[int, ...], processor, monkeypatch) -> None:
    picture = Image.fromarray(np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8))
    assert loader.by_pillow(processor)
    found = loader.resized(picture, processor)
    monkeypatch.setattr(loader, "by_pillow", lambda _: False)
    assert np.array_equal(found, loader.resized(picture, processor))


@pytest.mark.parametrize(
    "changed", [{"do_center_crop": True}, {"do_pad": True}, {"do_resize": False}, {"size": {"shortest_edge": 32}}]
)
def test_a_processor_that_does_more_than_resize_is_asked_itself(changed) -> None:
    from transformers import ViTImageProcessorPil

    assert not loader.by_pillow(ViTImageProcessorPil(**changed))


def test_grey_and_colour_together_are_kept_in_colour(processor) -> None:
    rng = np.random.default_rng(3)
    grey, colour = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((32, 32), (32, 32, 3)))
    codes = loader.decode([tiny.png(grey), tiny.png(colour)], processor)
    assert np.array_equal(codes, [np.repeat(grey[..., None], 3, 2), colour])


def test_sixteen_bit_pictures_are_refused_and_counted(processor) -> None:
    deep = io.BytesIO()
    Image.fromarray(np.full((32, 32), 1000, np.uint16)).save(deep, "PNG")
    pictures = [tiny.png(np.zeros((32, 32), np.uint8)), deep.getvalue(), deep.getvalue()]
    with pytest.raises(BadInput) as raised:
        loader.decode(pictures, processor, first=100)
    assert [str(p) for p in raised.value.problems] == [
        f"image {i} has mode I;16; use 8 bits per channel" for i in (101, 102)
    ]


def _shown(codes: np.ndarray, *, epoch: int = 1, order: list[int] | None = None, **how) -> dict[int, bytes]:
    """What the network gets of each picture, by way of a real data loader."""
    order = list(range(len(codes))) if order is None else order
    pictures = loader.Pictures(codes, range(len(codes)), NAMES, seed=4)
    pictures.set_epoch(epoch)
    see = loader.Input(torch.arange(768, dtype=torch.float32).view(3, 256), NAMES, (True,))
    found = {}
    for batch in DataLoader(pictures, collate_fn=loader.collated, sampler=order, **how):
        made = see(batch)
        for picture, label in zip(made["pixel_values"], made["labels"], strict=True):
            found[int(label)] = picture.numpy().tobytes()
    return found


def test_a_picture_looks_the_same_in_batches_of_any_size_in_any_order_and_by_any_number_of_workers() -> None:
    codes = np.random.default_rng(0).integers(1, 256, (12, 8, 8), dtype=np.uint8)
    first = _shown(codes, batch_size=12)
    assert len(first) == 12 and len(set(first.values())) == 12
    backwards = list(range(11, -1, -1))
    assert first == _shown(codes, batch_size=1) == _shown(codes, batch_size=5, order=backwards)
    assert first == _shown(codes, batch_size=4, num_workers=2)
    assert first == _shown(codes, batch_size=4, num_workers=1, multiprocessing_context="spawn")
    assert first != _shown(codes, batch_size=4, epoch=2)


def test_without_augmentations_the_pictures_are_as_they_were() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (2, 8, 8), dtype=np.uint8)
    pictures = loader.Pictures(codes, [1, 0])
    batch = loader.Input(torch.arange(256).float().expand(3, 256))(loader.collated(pictures[1]))
    assert len(pictures) == 2
    assert np.array_equal(batch["pixel_values"][0], np.stack([codes[1]] * 3)) and batch["labels"].tolist() == [0]


def test_mapped_pictures_are_sent_to_a_worker_by_the_place_of_their_file(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (200, 32, 32), dtype=np.uint8)
    np.save(tmp_path / "codes.npy", codes)
    pictures = loader.Pictures(np.load(tmp_path / "codes.npy", mmap_mode="r"), [0] * 200)
    sent = pictures.__getstate__() | {"_epoch": torch.zeros(())}
    assert len(pickle.dumps(sent)) < 10_000
    there = loader.Pictures.__new__(loader.Pictures)
    there.__setstate__(sent)
    assert np.array_equal(there[7].codes, codes[[7]])


def test_the_signed_colours_alone_change_their_polarity() -> None:
    codes = np.random.default_rng(0).integers(1, 256, (40, 8, 8, 3), dtype=np.uint8)
    draws = augment.drawn(("polarity",), seed=0, epoch=0, indices=range(40))
    shown = augment.augmented(torch.from_numpy(codes), ("polarity",), draws, (False, True, False)).numpy()
    assert np.array_equal(shown[..., [0, 2]], codes[..., [0, 2]])
    turned = (shown[..., 1] != codes[..., 1]).any(axis=(1, 2))
    assert 8 < turned.sum() < 32
    assert np.array_equal(shown[turned][..., 1], np.negative(codes[turned][..., 1]))
