"""Pictures for training: decoded and resized once, kept as bytes, normalised a whole batch at a time.

What reaches the network is, number for number, what the saved processor makes of the same picture: the processor
itself does the resizing, and as all it does afterwards is pointwise, a table of its answers to the 256 codes does the
rest.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.errors import BadInput, Problem
from sdovis.learning.augment import Pixels, augmented

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]


def decode(images: Sequence[bytes], processor: Any) -> Pixels:
    """PNG or JPEG files as codes, resized by ``processor``: (N, S, S) if all are grey, else (N, S, S, 3).

    Raises `BadInput` for a picture with more than 8 bits a channel: it would be cut off at 255.
    """
    size: tuple[int, int] = (processor.size["width"], processor.size["height"])
    pictures = [Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) for data in images]
    deep = [
        Problem(f"image {i} has mode {p.mode}", "8 bits a channel are needed")
        for i, p in enumerate(pictures)
        if p.mode[:1] in "IF"
    ]
    if deep:
        raise BadInput(deep)
    grey = all(picture.mode == "L" for picture in pictures)
    codes = np.empty((len(pictures), size[1], size[0], *(() if grey else (3,))), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        if picture.size == size:
            codes[i] = np.asarray(picture if grey else picture.convert("RGB"))
            continue
        resized = processor(images=[picture.convert("RGB")], do_rescale=False, do_normalize=False, return_tensors="np")
        channels = resized["pixel_values"][0]
        codes[i] = channels[0] if grey else np.moveaxis(channels, 0, -1)
    return codes


def table(processor: Any) -> Floats:
    """What ``processor`` makes of each code in each colour, (3, 256)."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    answers = processor(images=[ramp], do_resize=False, input_data_format="channels_last", return_tensors="np")
    return np.ascontiguousarray(answers["pixel_values"][0].reshape(3, 256), dtype=np.float32)


def normalised(codes: Pixels, answers: Floats) -> Floats:
    """Codes (N, S, S) or (N, S, S, 3) as the network's input (N, 3, S, S); grey goes to all three colours."""
    batch = np.empty((len(codes), 3, *codes.shape[1:3]), dtype=np.float32)
    for colour in range(3):
        batch[:, colour] = answers[colour][codes if codes.ndim == 3 else codes[..., colour]]
    return batch


class Pictures:
    """A torch dataset of (codes, label), augmented by (seed, epoch, index); ``signed`` colours hold a polarity."""

    def __init__(
        self,
        codes: Pixels,
        labels: Iterable[int],
        names: tuple[str, ...] = (),
        seed: int = 0,
        signed: Sequence[bool] = (True,),
    ) -> None:
        import torch

        self.codes = codes
        self.labels = [int(label) for label in labels]
        self.names = names
        self.seed = seed
        self.signed = tuple(signed)
        # Shared memory: persistent workers hold a copy of this object and must see the epoch change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on. To be called before the epoch's first batch is asked for."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> tuple[Pixels, int]:
        picture = self.codes[index]
        if self.names:
            draw = {"seed": self.seed, "epoch": self.epoch, "index": int(index)}
            picture = augmented(picture, self.names, **draw, signed=self.signed)
        return picture, self.labels[index]


@dataclass(frozen=True)
class Collator:
    """Makes a batch of `Pictures` into the network's ``pixel_values`` and ``labels``."""

    answers: Floats

    def __call__(self, samples: Sequence[tuple[Pixels, int]]) -> dict[str, torch.Tensor]:
        import torch

        batch = normalised(np.stack([codes for codes, _ in samples]), self.answers)
        labels = torch.tensor([label for _, label in samples], dtype=torch.int64)
        return {"pixel_values": torch.from_numpy(batch), "labels": labels}
