"""Channels: the fixed, versioned transforms from physical values to 8 bits, one for each kind of image.

A channel is a table of 256 levels in its unit: `Channel.encode` gives the nearest level's code, `Channel.decode` looks
it up. An 8-bit grey image that is not a JPEG (a saved PNG, an array of uint8) already holds codes and is taken as such,
so that a FITS file, the array of its values and the PNG saved from it are the same to a model. Three channels make a
composite: a colour picture, one colour per channel. The built-in channels are in `hmi`, `aia` and `browse`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis import plugins
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage

Floats: TypeAlias = NDArray[np.float32]
Codes: TypeAlias = NDArray[np.uint8]

#: Formats of published pictures: their bytes are the publisher's, never our codes.
PUBLISHED = ("JPEG", "JPEG2000")
#: The images of a composite may be at most this far apart in time: one cadence of HMI's 720 s data.
MAX_TIME_GAP = timedelta(seconds=720)


def _nothing_wrong(_: SolarImage) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Limits:
    """The least and the greatest value that an instrument can give; a ``share`` of the values may lie beyond."""

    least: float
    greatest: float
    share: float = 0.0


#: An image of a signed channel has both signs everywhere, if only in its noise; fewer values than this prove nothing.
MANY_VALUES = 256


@dataclass(frozen=True)
class ChannelFacts:
    """What corpus and model record of a `Channel`, under the same field names."""

    name: str
    version: str
    title: str
    unit: str
    signed: bool
    browse: bool
    source: str
    colormap: str


@dataclass(frozen=True)
class Contrast:
    """What stands out of the quiet Sun in a channel, and so belongs to a region: see `channels.owners`.

    ``kind`` says how it does: a ``field`` by its distance from the quiet level, in the channel's unit; what is ``dark`` or
    ``bright`` by the share of the level that it lies below or above. Pixels beyond ``weak`` stand out, those beyond
    ``strong`` are cores, which are never divided. Within ``halo_mm`` megametres (0.73 to an arc second) of either is no
    quiet Sun, and clumps of less than ``smallest_msh`` millionths of a solar hemisphere are the quiet Sun's own: its
    network and its noise. Across an edge between two regions an image goes over into quiet Sun within about
    ``feather_mm``: spots and knots of field have edges of their own, the corona has none. ``source`` says where the limits
    come from. Other limits show other pixels to a network that was trained with masks: they need another version of the
    channel.
    """

    kind: Literal["field", "dark", "bright"]
    weak: float
    strong: float
    halo_mm: float
    smallest_msh: float
    source: str
    feather_mm: float = 0.0

    def excess(self, values: Floats, level: Floats) -> Floats:
        """How much each pixel stands out of the quiet Sun's ``level``; 0 where either is missing."""
        if self.kind == "field":
            return np.asarray(np.nan_to_num(np.abs(values - level)), np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(level > 0, values / level - 1, np.float32(0))
        return np.asarray(np.nan_to_num(-share if self.kind == "dark" else share), np.float32)


@dataclass(frozen=True, eq=False)
class Channel:
    """A transform to 8 bits.

    ``levels`` holds the value of each code in ``unit``, ascending, NaN for a code that means "missing"; ``missing`` is
    the code for NaN. ``contradictions`` lists what in an image's header or name shows that it is of another kind, and
    ``physical`` turns an image without any, not yet coded, into (H, W) float32 in ``unit``, or raises `BadInput`. A
    ``browse`` channel reads published pictures in 8-bit grey or colour; the others read physical values. In a ``signed``
    channel code 128 is zero and 0 is missing. In a ``spotted`` channel sunspots are dark: see `channels.spots`.
    ``contrast`` says what stands out of the quiet Sun; without it, neighbours cannot be masked.
    ``limits`` maps a unit to the values that the instrument can give in it: an image with others is of another kind.
    ``requires`` lists packages that ``physical`` needs beyond sdovis's own dependencies, ``imports`` the heavy modules
    that it loads when first called: preparation loads them once for all its processes.
    """

    name: str
    version: str
    title: str
    unit: str
    source: str
    colormap: str
    levels: Floats
    physical: Callable[[SolarImage], Floats]
    contradictions: Callable[[SolarImage], Sequence[str]] = _nothing_wrong
    signed: bool = False
    browse: bool = False
    spotted: bool = False
    contrast: Contrast | None = None
    missing: int = 0
    limits: Mapping[str, Limits] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()

    def facts(self) -> ChannelFacts:
        """What is saved with corpus and model, so that pixels are treated the same way everywhere."""
        return ChannelFacts(**{field.name: getattr(self, field.name) for field in fields(ChannelFacts)})

    def held(self, image: SolarImage | NDArray[Any]) -> Codes | None:
        """The codes (H, W) that an image already holds: unpublished 8-bit grey. None for any other image.

        Raises `BadInput` if the image's name says that it is of another kind.
        """
        if not isinstance(image, SolarImage):
            if image.dtype != np.uint8:
                return None
            image = SolarImage(image, "grey" if image.ndim == 2 else "rgb")
        image = _in_grey(image)
        if not _is_coded(image):
            return None
        if found := self.against(image):
            raise wrong(image, f"not an image for channel {self.name}: {', '.join(found)}")
        return image.values

    def against(self, image: SolarImage) -> Sequence[str]:
        """What in an image's header or name shows that it is of another kind; codes have no unit that could."""
        return self.contradictions(replace(image, unit="") if _is_coded(image) and not self.browse else image)

    def values(self, image: SolarImage | NDArray[Any]) -> Floats:
        """(H, W) float32 in ``unit``, NaN if missing.

        Grey uint8 is decoded; an array of other numbers is assumed to be in ``unit`` already. Raises `BadInput` for an
        image of another kind.
        """
        if not isinstance(image, SolarImage):
            if image.dtype != np.uint8 and image.ndim == 2:
                image = SolarImage(np.asarray(image, np.float32), self.unit)
                self._refuse_impossible(image)
                return np.asarray(image.values)
            image = SolarImage(image, "grey" if image.ndim == 2 else "rgb")
        if image.values.ndim not in (2, 3) or (image.values.ndim == 3 and image.values.shape[2] != 3):
            raise wrong(image, f"an image of shape {image.values.shape}, not (H, W) or (H, W, 3)")
        image = _in_grey(image)
        if (codes := self.held(image)) is not None:
            return self.decode(codes)
        if image.is_picture != self.browse:
            kind = "a colour picture or JPEG" if image.is_picture else "a file of physical values"
            want = "a browse picture" if self.browse else "FITS, or an 8-bit grey picture saved by sdovis"
            raise wrong(image, f"{kind}, but channel {self.name} takes {want}")
        if found := self.against(image):
            raise wrong(image, f"not an image for channel {self.name}: {', '.join(found)}")
        self._refuse_impossible(image)
        values = self.physical(image)
        if self.unit != image.unit:
            self._refuse_impossible(replace(image, values=values, unit=self.unit))
        return values

    def _refuse_impossible(self, image: SolarImage) -> None:
        """Raise `BadInput` for values that the channel's instrument cannot give: they are of another quantity."""
        limits, values = self.limits.get(image.unit), image.values
        if limits is None:
            return
        low, high = float(np.nanmin(values, initial=np.inf)), float(np.nanmax(values, initial=-np.inf))
        name = image.unit or "DN"
        if low < limits.least or high > limits.greatest:
            beyond = np.count_nonzero((values < limits.least) | (values > limits.greatest))
            if beyond > limits.share * np.count_nonzero(np.isfinite(values)):
                what = f"values from {low:g} to {high:g} {name} cannot be of channel {self.name}"
                hint = f"its instrument gives {limits.least:g} to {limits.greatest:g} {name}"
                raise BadInput(Problem(what, hint, file=str(image.path or "")))
        if self.signed and low < high and not low < 0 < high and np.count_nonzero(np.isfinite(values)) >= MANY_VALUES:
            what = f"values from {low:g} to {high:g} {name}, all of one sign, cannot be of channel {self.name}"
            hint = "a field has both polarities, if only in its noise: these may be grey levels or counts"
            raise BadInput(Problem(what, hint, file=str(image.path or "")))

    def encode(self, values: Floats) -> Codes:
        """The code of the nearest level; NaN becomes ``missing``, values beyond the ends are clipped."""
        values = np.ascontiguousarray(values, np.float32)
        if self.signed:  # by magnitude, so that -B and B are equally far from zero however they are rounded
            steps = self._steps.count(np.abs(values))
            codes = np.where(values < 0, 128 - steps, 128 + steps)
        else:
            codes = self._steps.count(values) + self._first
        codes[np.isnan(values)] = self.missing
        return codes

    def decode(self, codes: Codes) -> Floats:
        """The level of each code: the inverse of `encode` up to half a step."""
        return self.levels[codes]

    def reversed(self, codes: Codes) -> Codes:
        """The codes of the opposite polarity (B -> -B), missing kept; only for signed channels."""
        if not self.signed:
            raise ValueError(f"channel {self.name} has no polarity")
        return np.negative(codes)  # modulo 256: 128 and 0 stay

    @cached_property
    def _first(self) -> np.uint8:
        return np.uint8(np.isnan(self.levels).sum())

    @cached_property
    def _steps(self) -> _Thresholds:
        levels = self.levels[128:] if self.signed else self.levels[int(self._first) :]
        return _Thresholds(np.asarray((levels[1:] + levels[:-1]) / 2, np.float32))


class _Thresholds:
    """Counts how many of up to 255 ascending thresholds lie below a number: `numpy.searchsorted`, but ten times faster.

    The upper 19 bits of a float32 name a bucket so narrow that at most one threshold lies in it: the count at the
    bucket's lower end is looked up, and one comparison decides the rest.
    """

    SHIFT = 13

    def __init__(self, thresholds: Floats) -> None:
        self._sorted = thresholds
        self._next = np.full(256, np.inf, np.float32)
        self._next[: len(thresholds)] = thresholds
        first = np.arange(1 << (32 - self.SHIFT), dtype=np.uint32) << self.SHIFT
        ends = np.stack([first, first | ((1 << self.SHIFT) - 1)]).view(np.float32)
        # The buckets of the infinities also hold NaN, which is below nothing.
        ends = np.where(np.isnan(ends), np.copysign(np.float32(np.inf), ends), ends)
        low, high = (np.searchsorted(thresholds, end) for end in (ends.min(axis=0), ends.max(axis=0)))
        self._below = low.astype(np.uint8)
        self._one_in_each = int((high - low).max()) <= 1

    def count(self, values: Floats) -> Codes:
        """The count for each of ``values``; arbitrary for NaN."""
        if not self._one_in_each:
            return np.searchsorted(self._sorted, values).astype(np.uint8)
        # No index is ever out of range; clipping is just faster than checking.
        counts: Codes = self._below.take(values.view(np.uint32) >> self.SHIFT, mode="clip")
        counts += values > self._next.take(counts, mode="clip")
        return counts


def wrong(image: SolarImage, what: str) -> BadInput:
    """The error for an image that a channel cannot take."""
    return BadInput(Problem(what, file=str(image.path or "")))


def _is_coded(image: SolarImage) -> bool:
    return image.unit == "grey" and image.format not in PUBLISHED


def _in_grey(image: SolarImage) -> SolarImage:
    """A colour picture with three equal components as a grey one; any other image unchanged."""
    if not (image.is_picture and image.values.ndim == 3 and _is_grey(image.values)):
        return image
    grey = np.ascontiguousarray(image.values[..., 0])
    return SolarImage(grey, "grey", image.frame, image.observed, image.header, image.path, format=image.format)


def _is_grey(colours: Codes) -> bool:
    # A few rows first: most colour pictures differ there, and checking every pixel takes a millisecond.
    return all((part == part[..., :1]).all() for part in (colours[::32], colours))


def channel(name: str) -> Channel:
    """The channel registered as ``name``; raises `BadInput` with the nearest name if there is none."""
    found: Channel = plugins.load("sdovis.channels", name, Channel)
    return found


def channels(names: Iterable[str]) -> tuple[Channel, ...]:
    """The channels of a study, one or three, in their order. Raises `BadInput` with every unknown name."""
    found: list[Channel] = []
    problems: list[Problem] = []
    for name in names:
        try:
            found.append(channel(name))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    if len(found) not in (1, 3):
        raise BadInput(Problem(f"{len(found)} channels are named", "name one, or three for a three-colour picture"))
    return tuple(found)


def to_picture(image: SolarImage | NDArray[Any], channel: Channel) -> Image.Image:
    """The 8-bit grey picture (mode L) of an image in ``channel``."""
    return Image.fromarray(channel.encode(channel.values(image)))


def encode(values: Sequence[Floats], channels: Sequence[Channel]) -> Codes:
    """The codes of an image in each of ``channels``: (H, W) for one, (H, W, 3) for three, one colour per channel.

    Raises `BadInput` if the images differ in shape.
    """
    return stacked([each.encode(part) for each, part in zip(channels, values, strict=True)])


def stacked(layers: Sequence[Codes]) -> Codes:
    """The codes of one image in each channel as one array, one colour per channel. Raises `BadInput` as `encode` does."""
    shapes = sorted({part.shape for part in layers})
    if len(shapes) > 1:
        sizes = " and ".join(f"{shape[1]} x {shape[0]}" for shape in shapes)
        hint = "send images of one size, or cut the same region out of each"
        raise BadInput(Problem(f"the channels' images differ in size: {sizes} px", hint))
    return layers[0] if len(layers) == 1 else np.stack(layers, axis=-1)


def decode(codes: Codes, channels: Sequence[Channel]) -> tuple[Floats, ...]:
    """The levels of codes (H, W) or (H, W, 3) in each of ``channels``: the inverse of `encode` up to half a step."""
    layers = [codes] if len(channels) == 1 else [codes[..., colour] for colour in range(len(channels))]
    return tuple(each.decode(layer) for each, layer in zip(channels, layers, strict=True))


def composite(source: SolarImage | NDArray[Any], kinds: Sequence[Channel]) -> Codes:
    """The codes (H, W, 3) of one source that holds all three channels. Raises `BadInput` if it does not."""
    values = source.values if isinstance(source, SolarImage) else source
    published = isinstance(source, SolarImage) and source.format in PUBLISHED
    if values.ndim != 3 or values.shape[2] != len(kinds) or published:
        what = f"only one image, but the model takes {', '.join(kind.name for kind in kinds)}"
        file = str(source.path or "") if isinstance(source, SolarImage) else ""
        raise BadInput(Problem(what, "give one image for each, or the colour picture that sdovis saved", file=file))
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    return encode([kind.values(values[..., colour]) for colour, kind in enumerate(kinds)], kinds)


def matched(images: Sequence[SolarImage], channels: Sequence[Channel]) -> tuple[SolarImage, ...]:
    """``images`` in the order of ``channels``, identified by their headers and names.

    Raises `BadInput` if there is no such order, or more than one.
    """
    wanted = ", ".join(each.name for each in channels)
    if len(images) != len(channels):
        what = f"{len(images)} file(s), but the model takes {len(channels)} channels"
        raise BadInput(Problem(what, f"give one file for each of {wanted}"))
    fits = [[not _refusal(image, each) for each in channels] for image in images]
    orders = [
        order for order in itertools.permutations(range(len(images))) if all(fits[i][k] for k, i in enumerate(order))
    ]
    if len(orders) == 1:
        return tuple(images[i] for i in orders[0])
    if orders:
        what = f"headers and file names do not show which file is which of {wanted}"
        hint = "keep JSOC's file names for its segments, such as .Br.fits and .magnetogram.fits"
        raise BadInput(Problem(what, hint))
    problems = [
        Problem(f"belongs to none of the channels {wanted}", file=str(image.path or ""))
        for image, row in zip(images, fits, strict=True)
        if not any(row)
    ]
    problems += [
        Problem(f"no file belongs to channel {each.name}", "; ".join(_refusal(image, each) for image in images))
        for k, each in enumerate(channels)
        if not problems and not any(row[k] for row in fits)
    ]
    raise BadInput(
        problems or [Problem(f"two of the files belong to the same channel, but each of {wanted} needs its own")]
    )


def together(images: Sequence[SolarImage]) -> None:
    """Raise `BadInput` if the images of a composite are more than `MAX_TIME_GAP` apart, or of different regions."""
    times = sorted(image.observed for image in images if image.observed is not None)
    if times and times[-1] - times[0] > MAX_TIME_GAP:
        what = f"the channels' images were taken at {times[0]:%Y-%m-%d %H:%M:%S} and {times[-1]:%Y-%m-%d %H:%M:%S} UTC"
        raise BadInput(Problem(what, "give images taken at the same time"))
    of_one_harp(images)


def of_one_harp(images: Sequence[SolarImage]) -> None:
    """Raise `BadInput` if the headers of a composite's images name different HARPs."""
    said = (str(image.header.get("HARPNUM", "")).strip().removesuffix(".0") for image in images)
    harps = sorted({int(number) for number in said if number.isdecimal() and int(number)})
    if len(harps) > 1:
        what = f"the channels' images are of HARPs {' and '.join(map(str, harps))}"
        raise BadInput(Problem(what, "give images of one region"))


def _refusal(image: SolarImage, channel: Channel) -> str:
    """Why ``channel`` cannot take ``image``, judging by its header and name; "" if nothing contradicts it."""
    if not _is_coded(image) and image.is_picture != channel.browse:
        return "a picture" if image.is_picture else "a file of physical values"
    return ", ".join(channel.against(image))
