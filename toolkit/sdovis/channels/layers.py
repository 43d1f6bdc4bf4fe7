"""What passes through a view: the layers of an image going in, the cutouts and codes coming out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.channels import usable
from sdovis.channels.channel import Channel, Codes, Floats, stacked
from sdovis.channels.quiet_sun import flattened
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import DiscFrame, MapGrid


@dataclass(frozen=True, eq=False)
class Layer:
    """One channel of an image: the file it came from, and arcsec per pixel if known.

    ``codes`` are those that the file already holds, None for physical values. A model that names no channel has layers
    without one, whose codes are the picture itself. The values of a ``flat`` layer are over the disc's limb darkening.
    """

    image: SolarImage
    channel: Channel | None
    scale: float | None = None
    codes: Codes | None = None
    flat: bool = False

    @cached_property
    def recorded(self) -> NDArray[Any]:
        """(H, W) float32 in the channel's unit as the file has them, NaN if missing; without a channel, the picture."""
        if self.channel is None:
            return self.image.values
        return self.channel.values(self.image) if self.codes is None else self.channel.decode(self.codes)

    @cached_property
    def values(self) -> NDArray[Any]:
        """`recorded`, in a flat layer over the limb darkening."""
        if not self.flat or self.codes is not None or self.image.frame is None:
            return self.recorded
        return flattened(self.recorded, self.image.frame)

    @property
    def side(self) -> int:
        """The longer side of the image, pixels."""
        return int(max(self.image.values.shape[:2]))

    @property
    def geometry(self) -> DiscFrame | MapGrid | None:
        """How the Sun lies in the image, None if unknown."""
        return self.image.frame or self.image.grid


@dataclass(frozen=True, eq=False)
class Coded:
    """What the network is shown: codes (H, W), or (H, W, 3) for three channels. They are never coded again.

    ``notes`` are sentences that a reader of the network's answer must know.
    """

    codes: Codes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Cutouts:
    """What the network is shown of N positions: ``values``, one array (N, H, W) per channel, and their ``codes``.

    ``codes`` are (N, H, W), or (N, H, W, 3) for three channels. ``masked_share`` (N,) is the share of a cutout that shows
    quiet Sun in place of other regions, over all channels; None if neighbours are kept.
    """

    values: tuple[NDArray[Any], ...]
    codes: Codes
    masked_share: NDArray[np.float64] | None = None

    @property
    def layers(self) -> Codes:
        """The codes with a last axis for the channels, (N, H, W, C)."""
        return self.codes if self.codes.ndim == 4 else self.codes[..., None]

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N, H, W, C): whether there is a value."""
        return np.stack([np.isfinite(part) for part in self.values], axis=-1)

    @property
    def blank(self) -> NDArray[np.bool_]:
        """(N,): whether any channel holds a single code besides what is missing: the network would see nothing."""
        codes, known = self.layers, self.known
        least = codes.min(axis=(1, 2), where=known, initial=255)
        return np.asarray((codes.max(axis=(1, 2), where=known, initial=0) <= least).any(axis=-1))


def shown(codes: Codes) -> Coded:
    """``codes`` for the network. Raises `BadInput` if one of their channels is blank."""
    if _one_code((codes if codes.ndim == 3 else codes[..., None])[None]).any():
        raise BadInput(Problem(usable.BLANK, "use one that shows the Sun"))
    return Coded(codes)


def _one_code(layers: Codes) -> NDArray[np.bool_]:
    """(N,): which of (N, H, W, C) hold a single code in any channel."""
    return np.asarray((layers == layers[:, :1, :1]).all(axis=(1, 2)).any(axis=-1))


def of_array(values: NDArray[Any], kind: Channel | None) -> Layer:
    """The layer of an array of codes (uint8), or of values in the channel's unit. Raises `BadInput` as `encoded` does."""
    if kind is not None and (codes := kind.held(values)) is None:
        values = codes = kind.encode(kind.values(values))
    else:
        codes = values if values.dtype == np.uint8 else encoded(values, kind)
    return Layer(SolarImage(values, "grey" if values.ndim == 2 else "rgb"), kind, None, codes)


def of_whole(layers: Sequence[Layer]) -> Codes:
    """The codes of whole images. Raises `BadInput` if they differ in size or show different parts of the Sun."""
    codes = stacked([coded(layer) for layer in layers])
    usable.refuse_apart([layer.image for layer in layers])
    return codes


def coded(layer: Layer) -> Codes:
    """The codes of a whole image. Raises `BadInput` as `encoded` does."""
    return layer.codes if layer.codes is not None else encoded(layer.values, layer.channel)


def encoded(values: Floats, kind: Channel | None) -> Codes:
    """``values`` in codes. Raises `BadInput` if no channel says how."""
    if kind is None:
        raise BadInput(Problem("this model does not say which channel it sees", "give it 8-bit pictures"))
    return kind.encode(values)


def coded_each(parts: Sequence[NDArray[Any]], layers: Sequence[Layer]) -> Codes:
    """The codes (N, H, W), or (N, H, W, 3), of (N, H, W) values in each layer's channel."""
    codes = [encoded(part, layer.channel) for layer, part in zip(layers, parts, strict=True)]
    return codes[0] if len(codes) == 1 else np.stack(codes, axis=-1)
