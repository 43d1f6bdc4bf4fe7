"""Pictures for training: codes read from the cache by the batch, and made into input on the network's device.

What reaches the network is, number for number, what the saved processor makes of the same picture: the processor
itself does the resizing, and as everything after that is pointwise, a table of its answers to the 256 codes does the
rest.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.errors import BadInput, Problem
from sdovis.learning import augment

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]
#: The Trainer counts the entries of ``labels`` as images: soft labels travel beside them.
SOFT = "soft"
#: Values beside the images, as numbers: an entry of the batch, and an argument of a network that is told them.
TABLE = "beside"


def decode(images: Sequence[bytes], processor: Any, *, first: int = 0) -> Pixels:
    """PNG or JPEG files as codes, resized by ``processor``: (N, S, S) if all are grey, otherwise (N, S, S, 3).

    Raises `BadInput` for a picture with more than 8 bits per channel, which would be clipped at 255. ``first`` is the
    number of the first one, for the message.
    """
    size: tuple[int, int] = (processor.size["width"], processor.size["height"])
    pictures = [Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) for data in images]
    deep = [
        Problem(f"image {i} has mode {p.mode}", "use 8 bits per channel")
        for i, p in enumerate(pictures, first)
        if p.mode[:1] in "IF"
    ]
    if deep:
        raise BadInput(deep)
    grey = all(picture.mode == "L" for picture in pictures)
    codes = np.empty((len(pictures), size[1], size[0], *(() if grey else (3,))), dtype=np.uint8)

    def fill(i: int) -> None:
        codes[i] = resized(pictures[i] if grey else pictures[i].convert("RGB"), processor)

    if len(pictures) == 1:
        fill(0)
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets other threads run while it decodes or resizes
            list(pool.map(fill, range(len(pictures))))
    return codes


def resized(picture: Image.Image, processor: Any) -> Pixels:
    """The codes of a grey or RGB picture as ``processor`` resizes it, (S, S) or (S, S, 3)."""
    size = processor.size["width"], processor.size["height"]
    if picture.size == size:
        return np.asarray(picture)
    if by_pillow(processor):  # each colour alone, so that a grey picture need not be made three times
        return np.asarray(picture.resize(size, processor.resample))
    answer = processor(images=[picture.convert("RGB")], do_rescale=False, do_normalize=False, return_tensors="np")
    channels: Pixels = answer["pixel_values"][0]
    return channels[0] if picture.mode == "L" else np.moveaxis(channels, 0, -1)


def by_pillow(processor: Any) -> bool:
    """Whether ``processor`` does no more than Pillow's resizing to one size, and then something to each pixel alone."""
    if getattr(processor, "backend", "") != "pil" or not {"width", "height"} <= dict(processor.size).keys():
        return False
    return bool(processor.do_resize and not processor.do_center_crop and not processor.do_pad)


def table(processor: Any) -> torch.Tensor:
    """What ``processor`` makes of each code in each colour, (3, 256), fp32."""
    import torch

    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    answers = processor(images=[ramp], do_resize=False, input_data_format="channels_last", return_tensors="np")
    return torch.from_numpy(np.ascontiguousarray(answers["pixel_values"][0].reshape(3, 256), dtype=np.float32))


def normalised(codes: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Codes (N, S, S) or (N, S, S, 3) as the network's input (N, 3, S, S), fp32; grey goes to all three colours.

    Both are on one device, and so is the result.
    """
    import torch

    batch = torch.empty((len(codes), 3, *codes.shape[1:3]), dtype=torch.float32, device=codes.device)
    # torch cannot index by bytes; 32 bits are the narrowest it accepts.
    grey = codes.int().reshape(-1) if codes.ndim == 3 else None
    for colour in range(3):
        which = grey if grey is not None else codes[..., colour].int().reshape(-1)
        batch[:, colour] = answers[colour].index_select(0, which).view(codes.shape[:3])
    return batch


def normalised_alone(codes: Pixels, answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """`normalised` of one picture, without torch, which would have all its threads meet for it."""
    if codes.ndim == 2:
        return answers[:, codes][None]
    return np.stack([answers[colour][codes[..., colour]] for colour in range(3)])[None]


class Joined:
    """The codes of several parts, one after the other, indexed like an array by slices and lists of indices.

    Each part stays where it is, in memory or memory-mapped; grey pictures beside coloured ones become coloured.
    """

    def __init__(self, *parts: Pixels) -> None:
        self.parts = parts
        self.ndim = max(part.ndim for part in parts)
        self._firsts = np.cumsum([0, *map(len, parts)])

    @property
    def shape(self) -> tuple[int, ...]:
        widest = max(self.parts, key=lambda part: part.ndim)
        return len(self), *widest.shape[1:]

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, which: slice | Sequence[int]) -> Pixels:
        indices = np.arange(len(self))[which]
        found = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for first, part in zip(self._firsts, self.parts, strict=False):
            inside = (indices >= first) & (indices < first + len(part))
            codes = part[indices[inside] - first]
            found[inside] = codes if codes.ndim == self.ndim else codes[..., None]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"parts": tuple(map(_sent, self.parts))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"parts": tuple(map(_received, state["parts"]))}


def _sent(codes: Any) -> Any:
    """What a worker that is not forked is sent: the path of a memory map, not its contents."""
    path = getattr(codes, "filename", None)
    return codes if path is None else Path(path)


def _received(codes: Any) -> Any:
    return np.load(codes, mmap_mode="r") if isinstance(codes, Path) else codes


class Pictures:
    """A torch dataset of codes and labels, read by the batch, with draws from (seed, epoch, index).

    ``codes`` are (N, S, S) or (N, S, S, 3), in memory or memory-mapped; ``names`` are the augmentations to draw;
    ``soft`` are (N, K) shares of the classes, if more is to be learned than each image's label; ``table`` are (N, W) numbers
    beside the images, for a network that is told them.
    """

    def __init__(
        self,
        codes: Pixels,
        labels: Iterable[int],
        names: tuple[str, ...] = (),
        seed: int = 0,
        soft: NDArray[np.float32] | None = None,
        table: NDArray[np.float32] | None = None,
    ) -> None:
        import torch

        self.codes = codes
        self.labels = [int(label) for label in labels]
        self.names = names
        self.seed = seed
        self.soft = soft
        self.table = table
        # In shared memory: persistent workers hold a copy of this object and must see the epoch change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on. Call this before asking for the epoch's first batch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Gathered:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Gathered:
        """What a data loader asks for: a whole batch at once."""
        draws = augment.drawn(self.names, seed=self.seed, epoch=self.epoch, indices=indices)
        labels = np.array([self.labels[i] for i in indices], dtype=np.int64)
        soft, table = (None if of is None else of[list(indices)] for of in (self.soft, self.table))
        return Gathered(self.codes[list(indices)], labels, draws, soft, table)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"codes": _sent(self.codes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"codes": _received(state["codes"])}


@dataclass(frozen=True)
class Gathered:
    """A batch as it is in the cache: codes, labels, the outcome drawn for each augmentation; soft labels and table if any."""

    codes: Pixels
    labels: NDArray[np.int64]
    draws: augment.Draws
    soft: NDArray[np.float32] | None = None
    table: NDArray[np.float32] | None = None


def collated(batch: Gathered) -> dict[str, Any]:
    """A batch as the data loader passes it on. Draws stay on the CPU, so they are not a tensor."""
    import torch

    others = {SOFT: batch.soft, TABLE: batch.table}
    return {
        "codes": torch.from_numpy(batch.codes),
        "labels": torch.from_numpy(batch.labels),
        "draws": batch.draws,
        **{name: torch.from_numpy(of) for name, of in others.items() if of is not None},
    }


def taught(batch: Mapping[str, Any]) -> Any:
    """What is to be learned of a batch: its soft labels (B, K), otherwise its labels (B,)."""
    return batch.get(SOFT, batch["labels"])


def told(batch: Mapping[str, Any]) -> dict[str, Any]:
    """What a network is told beside the pictures of a batch, as its argument; nothing if the batch has no table."""
    return {TABLE: batch[TABLE]} if TABLE in batch else {}


@dataclass(frozen=True)
class Input:
    """Turns a batch into the network's arguments, ``pixel_values`` and ``labels`` first, on the device of its codes.

    ``answers`` is the processor's `table`, ``names`` are the augmentations, ``signed`` says which colours have a
    polarity.
    """

    answers: torch.Tensor
    names: tuple[str, ...] = ()
    signed: tuple[bool, ...] = (True,)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        codes, draws = batch["codes"], batch["draws"]
        if draws.shape[1]:
            codes = augment.augmented(codes, self.names, draws, self.signed)
        pictures = normalised(codes, self.answers.to(codes.device))
        return {"pixel_values": pictures, "labels": taught(batch), **told(batch)}
