"""Pictures that a model of the Sun should not answer: what one may be shown by mistake, made from a seed.

Each case is a kind of mistake: nothing at all, noise, another channel, another instrument's picture, a photograph, or the
model's own pictures in another rendering or out of order. `made` gives some pictures of each; whether the model notices is
for others to say.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from sdovis.channels.channel import Channel, ChannelFacts
from sdovis.simulation.disc import Placed, full_view, observe_disc
from sdovis.simulation.magnetogram import Camera, observe
from sdovis.simulation.region import SPELLINGS, design, field_map, intensity_map
from sdovis.sun.constants import HMI_ASTRONOMICAL_UNIT_M

Pixels = NDArray[np.uint8]
Draw = np.random.Generator

#: Sides of simulated cutouts and discs in pixels, and how many of each kind are simulated, which takes longest.
_CUTOUT_PX, _DISC_PX, _SIMULATED = 200, 256, 6
#: Where a magnetogram's grey saturates, in gauss.
_SATURATED_G = 250.0
#: Of one picture's side, how many patches are shuffled.
_PATCHES = 7


def made(
    channels: Sequence[Channel | ChannelFacts], own: Sequence[Pixels], *, each: int, seed: int
) -> Mapping[str, list[Pixels]]:
    """Case -> ``each`` pictures (H, W) or (H, W, 3), 8 bit, of the size of the model's ``own``, which are spoilt in turn.

    Left out is what a model of these ``channels`` may look at: a simulated magnetogram and opposite polarities if it sees
    magnetic fields, a simulated continuum image if it sees white light. Draws depend on the seed and the case alone.
    """
    signed = any(kind.signed for kind in channels)
    continuum = any("continuum" in kind.name for kind in channels)
    familiar = {"inverted": signed, "simulated magnetogram": signed, "simulated continuum": continuum}
    found = {}
    for number, (name, draw) in enumerate(_CASES.items()):
        if not familiar.get(name, False):
            rng = np.random.default_rng((seed, number))
            of_each = [own[i % len(own)] for i in range(each)]
            found[name] = [sized(draw(picture, rng), picture.shape) for picture in of_each]
    return found


def sized(picture: Pixels, shape: tuple[int, ...]) -> Pixels:
    """A picture in the height and width of ``shape``."""
    if picture.shape[:2] == shape[:2]:
        return picture
    return np.asarray(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _grey(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


# --- nothing, and noise ---------------------------------------------------------------------------------------------


def _blank(level: int) -> Callable[[Pixels, Draw], Pixels]:
    return lambda own, rng: np.full_like(own, level)


def _nearly_blank(own: Pixels, rng: Draw) -> Pixels:
    """A white, grey or black page as a camera or a JPEG has it: one level, with a step here and there."""
    return _grey(rng.choice([2, 127, 253]) + rng.normal(0, 0.5, own.shape[:2]))


def _uniform(own: Pixels, rng: Draw) -> Pixels:
    return rng.integers(0, 256, own.shape, dtype=np.uint8)


def _gaussian(own: Pixels, rng: Draw) -> Pixels:
    """White noise with the mean and spread of the model's own picture, so that only its texture gives it away."""
    return _grey(rng.normal(own.mean(), own.std(), own.shape))


# --- the Sun, otherwise ---------------------------------------------------------------------------------------------


def _simulated(kind: str) -> Callable[[Pixels, Draw], Pixels]:
    """One of a few simulated pictures, turned by a multiple of 90 degrees and mirrored or not."""

    def draw(own: Pixels, rng: Draw) -> Pixels:
        picture = np.rot90(_simulation(kind, int(rng.integers(_SIMULATED))), int(rng.integers(4)))
        return np.ascontiguousarray(picture[:, ::-1] if rng.integers(2) else picture)

    return draw


@lru_cache(maxsize=128)
def _simulation(kind: str, number: int) -> Pixels:
    rng = np.random.default_rng(number)
    if kind.startswith("disc"):
        return _disc(kind, rng)
    region = design(rng, str(rng.choice(SPELLINGS)), float(rng.uniform(8, 25)))
    if kind == "magnetogram":
        camera = Camera(HMI_ASTRONOMICAL_UNIT_M, region.latitude_deg, 0.0, ((_CUTOUT_PX - 1) / 2,) * 2, _CUTOUT_PX)
        return _of_field(observe(region, rng, camera, 0.0))
    if kind == "continuum":
        bright = _square(intensity_map(region))
        return _grey(185 * bright + rng.normal(0, 4, bright.shape))
    # What an extreme ultraviolet telescope might see: haze where the field is strong, on a logarithmic scale.
    field = _square(np.abs(field_map(region, rng)[0]))
    light = np.sum([gaussian_filter(field, sigma) * sigma for sigma in (1, 4, 12)], axis=0)
    return _grey(40 * np.log10(20 + light) + rng.normal(0, 3, light.shape))


def _disc(kind: str, rng: Draw) -> Pixels:
    """Another instrument's picture: the whole disc where the model expects one region."""
    regions = [
        Placed(design(rng, str(rng.choice(SPELLINGS)), float(latitude)), float(rng.uniform(-50, 50)))
        for latitude in (rng.uniform(8, 25), rng.uniform(-25, -8))
    ]
    disc = observe_disc(regions, rng, full_view(HMI_ASTRONOMICAL_UNIT_M, 0.0, 0.0, (0.0, 0.0), _DISC_PX))
    if kind == "disc magnetogram":
        return np.where(np.isnan(disc.line_of_sight_g), np.uint8(0), _of_field(disc.line_of_sight_g))
    return _grey(230 * np.nan_to_num(disc.continuum_dn_s) / np.nanmax(disc.continuum_dn_s))


def _of_field(gauss: NDArray[np.float32]) -> Pixels:
    return _grey(127.5 + 127.5 * np.clip(np.nan_to_num(gauss) / _SATURATED_G, -1, 1))


def _square(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle of a grid that is wider than high."""
    side = grid.shape[0]
    left = (grid.shape[1] - side) // 2
    return grid[:, left : left + side]


# --- what is not the Sun ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _photographs() -> tuple[Pixels, ...]:
    """scikit-learn's two sample photographs (CC BY 2.0, by danielbuechele and vultilion), which come with it."""
    from sklearn.datasets import load_sample_images

    return tuple(np.asarray(each, np.uint8) for each in load_sample_images().images)


def _photograph(own: Pixels, rng: Draw) -> Pixels:
    """A square piece of a photograph, a quarter of its height to all of it."""
    picture = _photographs()[int(rng.integers(2))]
    height, width = picture.shape[:2]
    side = int(rng.uniform(0.25, 1.0) * height)
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def _scene(own: Pixels, rng: Draw) -> Pixels:
    """A scene in colour: a sky over a ground, surfaces with the spectrum of natural images (1/f), and straight edges."""
    side = 160
    rows, columns = np.mgrid[:side, :side] / side
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    waves = np.fft.rfft2(rng.standard_normal((3, side, side))) / frequency
    texture = np.fft.irfft2(waves, (side, side))
    texture /= texture.std(axis=(1, 2), keepdims=True)
    picture = rng.uniform(60, 200, (3, 1, 1)) + 18 * texture + 60 * (0.5 - rows) * rng.uniform(0, 1)
    for _ in range(int(rng.integers(4, 9))):
        slope, place = rng.normal(0, 2), rng.uniform(0.1, 0.9)
        inside = (rows - place > slope * (columns - rng.uniform())) & (rows < rng.uniform(0.5, 1.2))
        picture[:, inside] += rng.uniform(-70, 70, (3, 1))
    return _grey(np.moveaxis(picture, 0, -1))


# --- the model's own pictures, spoilt -----------------------------------------------------------------------------------


def _shuffled(own: Pixels, rng: Draw) -> Pixels:
    flat = own.reshape(-1, *own.shape[2:])
    return flat[rng.permutation(len(flat))].reshape(own.shape)


def _patches(own: Pixels, rng: Draw) -> Pixels:
    high, wide = (side // _PATCHES for side in own.shape[:2])
    shuffled = own.copy()
    boxes = [
        (slice(i * high, (i + 1) * high), slice(j * wide, (j + 1) * wide))
        for i in range(_PATCHES)
        for j in range(_PATCHES)
    ]
    for box, other in zip(boxes, rng.permutation(len(boxes)), strict=True):
        shuffled[box] = own[boxes[other]]
    return shuffled


def _inverted(own: Pixels, rng: Draw) -> Pixels:
    return 255 - own


def _gamma(own: Pixels, rng: Draw) -> Pixels:
    return _grey(255 * (own / 255) ** float(rng.choice([0.4, 2.5])))


def _contrast(own: Pixels, rng: Draw) -> Pixels:
    """As a viewer stretches a picture: a third of the contrast, or three times as much."""
    return _grey(own.mean() + (own - own.mean()) * float(rng.choice([1 / 3, 3.0])))


def _jpeg(own: Pixels, rng: Draw) -> Pixels:
    """Compressed until its blocks show."""
    buffer = io.BytesIO()
    Image.fromarray(own).save(buffer, "JPEG", quality=int(rng.integers(3, 8)))
    return np.asarray(Image.open(buffer))


_CASES: Mapping[str, Callable[[Pixels, Draw], Pixels]] = {
    "black": _blank(0),
    "grey": _blank(127),
    "white": _blank(255),
    "nearly blank": _nearly_blank,
    "uniform noise": _uniform,
    "gaussian noise": _gaussian,
    "simulated magnetogram": _simulated("magnetogram"),
    "simulated continuum": _simulated("continuum"),
    "simulated corona": _simulated("corona"),
    "whole disc, magnetogram": _simulated("disc magnetogram"),
    "whole disc, continuum": _simulated("disc continuum"),
    "photograph": _photograph,
    "scene": _scene,
    "shuffled pixels": _shuffled,
    "shuffled patches": _patches,
    "inverted": _inverted,
    "gamma": _gamma,
    "contrast": _contrast,
    "JPEG": _jpeg,
}
