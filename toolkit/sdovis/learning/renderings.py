"""What differs between two publishers' pictures of the same Sun: resolution, the scale of grey levels, saturation, JPEG.

A network that is shown browse pictures is tied to the rendering it learned from. This augmentation shows it others. It is
drawn like the rest (see `augment`): what a picture becomes depends on the drawn outcome alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdovis.labels.augmentations import Augmentation

if TYPE_CHECKING:
    import torch

#: An outcome is the seed of a rendering; 0 is none.
OUTCOMES = 1 << 15
#: Standard deviations of the logarithms of contrast and gamma.
CONTRAST, GAMMA = 0.25, 0.2
#: The lowest level at which a strong field saturates, as a share of the scale.
SATURATION = 0.6
#: The coarsest JPEG quality, on the scale of libjpeg.
QUALITY = 40
_BLOCK = 8
#: The luminance table of the JPEG standard (ITU-T T.81, table K.1), at quality 50.
_QUANTA = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    dtype=np.float64,
).reshape(_BLOCK, _BLOCK)  # fmt: skip


def _rendered(pictures: torch.Tensor, outcomes: NDArray[np.int64], signed: Sequence[bool]) -> torch.Tensor:
    """``pictures`` as other publishers would have rendered them; code 0, which is "missing" or black, stays where it is."""
    import torch

    drawn = [np.random.default_rng(int(outcome)) for outcome in outcomes]
    layers = pictures[..., None] if pictures.ndim == 3 else pictures
    flags = [signed[channel % len(signed)] for channel in range(layers.shape[-1])]
    coarse = torch.tensor([rng.uniform(0, 1) * rng.integers(2) for rng in drawn], dtype=torch.float64)
    scales = np.stack([_scale(rng, flags) for rng in drawn])
    qualities = np.array([rng.uniform(QUALITY, 95) for rng in drawn])
    out = torch.empty_like(layers)
    for channel, has_sign in enumerate(flags):
        codes = layers[..., channel]
        missing = codes == 0
        # From 128, so that B and -B are rounded alike.
        values = torch.where(missing, 128 if has_sign else 0, codes).to(torch.float64) - 128
        values = _coarser(values, coarse.to(values.device)[:, None, None])
        levels = torch.from_numpy(scales[:, channel]).to(values.device)
        at = values.round().long().clamp(-128, 127).add(128).flatten(1)
        values = _jpeg(levels.gather(1, at).view_as(values), qualities)
        out[..., channel] = torch.where(missing, 0, values.round().clamp(-127, 127) + 128).to(torch.uint8)
    return out.reshape(pictures.shape)


def _scale(rng: np.random.Generator, signed: Sequence[bool]) -> NDArray[np.float64]:
    """(channels, 256): what each code becomes, less 128, with one contrast and one gamma for all channels."""
    contrast, gamma = np.exp(rng.normal(0, (CONTRAST, GAMMA)))
    ceiling = rng.uniform(SATURATION, 1)
    field = np.arange(-128, 128) / 127
    bright = np.arange(256) / 255
    stretched = np.clip(np.sign(field) * contrast * np.abs(field) ** gamma, -ceiling, ceiling)
    levels = 127 * stretched, 255 * np.clip(contrast**0.5 * bright**gamma, 0, 1) - 128
    return np.stack([levels[0] if has_sign else levels[1] for has_sign in signed])


def _coarser(values: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """(N, S, S), mixed with their means over 3 x 3 pixels, whose ``share`` is (N, 1, 1)."""
    import torch

    edged = torch.nn.functional.pad(values[:, None], (1, 1, 1, 1), mode="replicate")
    return torch.lerp(values, torch.nn.functional.avg_pool2d(edged, 3, 1)[:, 0], share)


def _jpeg(values: torch.Tensor, qualities: NDArray[np.float64]) -> torch.Tensor:
    """(N, S, S), less 128, as a grey JPEG of these qualities (N,) has them: cosines of blocks of 8 x 8 pixels, rounded."""
    import torch

    side = values.shape[-1]
    spare = -side % _BLOCK
    blocks = torch.nn.functional.pad(values[:, None], (0, spare, 0, spare), mode="replicate")[:, 0]
    count = (side + spare) // _BLOCK
    blocks = blocks.reshape(-1, count, _BLOCK, count, _BLOCK).transpose(2, 3)
    n = np.arange(_BLOCK)
    cosines = np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    cosines[0] /= np.sqrt(2)
    # libjpeg's jpeg_quality_scaling.
    factors = np.where(qualities < 50, 50 / qualities, 2 - qualities / 50)
    quanta = np.maximum(np.round(_QUANTA * factors[:, None, None]), 1)[:, None, None]
    turn, steps = (torch.from_numpy(array).to(values.device) for array in (cosines, quanta))
    seen = (turn @ blocks @ turn.T / steps).round() * steps
    blocks = (turn.T @ seen @ turn).transpose(2, 3).reshape(-1, side + spare, side + spare)
    return blocks[:, :side, :side]


#: Named here too, as corpora that were made before it was there do not name it.
_KEEPS = frozenset({"mount-wilson", "mount-wilson-3", "activity", "flare"})
RENDERING = Augmentation("rendering", OUTCOMES, apply=_rendered, keeps=_KEEPS)
