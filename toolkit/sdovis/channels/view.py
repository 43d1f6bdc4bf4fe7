"""What a network looks at. Only here are images placed on the Sun, cut and coded: for corpus, predict, page and maps.

A `View` is made from a study, saved with its corpus and its model, and read back wherever an image is shown to the
network, so that the same region of the same image always gives the same codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdovis import records
from sdovis.channels import usable
from sdovis.channels.channel import (
    PUBLISHED,
    Channel,
    ChannelFacts,
    Codes,
    channel,
    composite,
    matched,
    stacked,
    together,
)
from sdovis.channels.place import Position, pixel_of, sun_position
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage
from sdovis.images.timestamps import time_in_name
from sdovis.sun.geometry import DiscFrame, MapGrid, cutout, directions, heliographic_cutout, project, unproject

if TYPE_CHECKING:
    from sdovis.study import Images

#: An image wider than this many cutouts is not a cutout.
WIDER_THAN_A_CUTOUT = 1.1
#: Used if the study set no limit: classes are unreliable farther than this from the central meridian (projection).
LIMB_LONGITUDE_DEG = 60.0
#: The disc's centre may lie this share of the image's side from its middle and still imply the size it refers to.
OFF_CENTRE = 0.02
#: Widths in which archives publish browse pictures, given in their names: 20110215_013000_512_0211.jpg.
_PUBLISHED_WIDTH = re.compile(r"_(256|512|1024|2048|3072|4096)_(?:\d{4}|HMI\w*)\.\w+$")


@dataclass(frozen=True, eq=False)
class Layer:
    """One channel of an image: the file it came from, and arcsec per pixel if known.

    ``codes`` are those that the file already holds, None for physical values. A model that names no channel has layers
    without one, whose codes are the picture itself.
    """

    image: SolarImage
    channel: Channel | None
    scale: float | None = None
    codes: Codes | None = None

    @cached_property
    def values(self) -> NDArray[Any]:
        """(H, W) float32 in the channel's unit, NaN if missing; without a channel, the picture."""
        if self.channel is None:
            return self.image.values
        return self.channel.values(self.image) if self.codes is None else self.channel.decode(self.codes)

    @property
    def side(self) -> int:
        """The longer side of the image, pixels."""
        return int(max(self.image.values.shape[:2]))


@dataclass(frozen=True, eq=False)
class Coded:
    """What the network is shown: codes (H, W), or (H, W, 3) for three channels. They are never coded again."""

    codes: Codes


@dataclass(frozen=True, eq=False)
class Cutouts:
    """What the network is shown of N positions: ``values``, one array (N, H, W) per channel, and their ``codes``.

    ``codes`` are (N, H, W), or (N, H, W, 3) for three channels.
    """

    values: tuple[NDArray[Any], ...]
    codes: Codes

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


@dataclass(frozen=True)
class ViewFacts:
    """A `View` as it is saved with corpus and model; its fields are the view's."""

    channels: tuple[ChannelFacts, ...]
    size_px: int
    cutout_arcsec: float | None
    cutout_deg: float | None
    center_px: tuple[float, float] | None
    arcsec_per_px: float | None
    native_px: tuple[int, int] | None
    max_longitude_deg: float | None
    orientation: str | None = None
    check_pointing: bool = True
    check_quality: bool = True


def with_a_view(said: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 of a corpus' or a model's description, which had the entries of the view among the others, in format 2.

    What format 1 does not say about the view becomes null.
    """
    if "view" in said:  # from between the two formats
        return dict(said)
    names = [each.name for each in fields(ViewFacts) if each.default is MISSING]
    rest = {key: value for key, value in said.items() if key not in names}
    return {**rest, "view": {name: said.get(name) for name in names}}


@dataclass(frozen=True)
class View:
    """What a network looks at: its channels, and how much of the Sun a picture of side ``size_px`` spans.

    ``center_px`` and ``arcsec_per_px`` place the disc in images without a header whose size is ``native_px`` (width,
    height); if that is None, about twice the centre. ``max_longitude_deg`` is the study's limit on the distance from
    the central meridian, None for no limit. ``orientation`` says which way FITS files without any WCS run, None where
    such files are refused: "north-up" or "rotated-180", as JSOC keeps HMI's full discs. ``check_pointing`` and
    ``check_quality`` say whether images whose disc is elsewhere, and those that their QUALITY warns against, are unusable.
    """

    channels: tuple[Channel, ...]
    size_px: int = 224
    cutout_arcsec: float | None = None
    cutout_deg: float | None = None
    center_px: tuple[float, float] | None = None
    arcsec_per_px: float | None = None
    native_px: tuple[int, int] | None = None
    max_longitude_deg: float | None = None
    orientation: str | None = None
    check_pointing: bool = True
    check_quality: bool = True

    @classmethod
    def of_study(cls, images: Images) -> View:
        """The view of a study's [images]. Raises `BadInput` for a channel that is not installed."""
        own = {each.name: getattr(images, each.name) for each in fields(cls) if each.name != "channels"}
        return cls(tuple(channel(name) for name in images.channels), **own)

    def facts(self) -> ViewFacts:
        """What is saved with corpus and model."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "channels"}
        return ViewFacts(tuple(kind.facts() for kind in self.channels), **own)

    def to_json(self) -> dict[str, Any]:
        """`facts` as a JSON object."""
        return dict(records.plain(self.facts()))

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> View:
        """The view that `to_json` saved; absent entries take their defaults.

        Raises `BadInput` if a channel is not installed, or only in another version.
        """
        center, native = saved.get("center_px"), saved.get("native_px")
        return cls(
            tuple(_as_trained(each) for each in saved.get("channels") or ()),
            int(saved.get("size_px") or 224),
            saved.get("cutout_arcsec"),
            saved.get("cutout_deg"),
            (float(center[0]), float(center[1])) if center else None,
            saved.get("arcsec_per_px"),
            (int(native[0]), int(native[1])) if native else None,
            saved.get("max_longitude_deg"),
            saved.get("orientation"),
            saved.get("check_pointing", True),
            saved.get("check_quality", True),
        )

    @property
    def cuts_out(self) -> bool:
        """Whether the network is shown cutouts around positions rather than whole images."""
        return self.cutout_arcsec is not None or self.cutout_deg is not None

    @property
    def signed(self) -> tuple[bool, ...]:
        """For each channel, whether code 128 is the zero between two polarities."""
        return tuple(kind.signed for kind in self.channels)

    def near_limb(self, longitude_deg: float) -> str:
        """The caution for a region at that longitude; "" if its class is as reliable as elsewhere."""
        limit = self.max_longitude_deg or LIMB_LONGITUDE_DEG
        if abs(longitude_deg) <= limit:
            return ""
        why = "the study left such regions out" if self.max_longitude_deg else "foreshortening makes classes unreliable"
        return f"more than {limit:g} degrees from the central meridian: {why}"

    # --- placing ------------------------------------------------------------------------------------------------------

    def placed(self, image: SolarImage, *, of_study: bool = False) -> Layer:
        """The image, with its disc placed as the study says for images without a header. The layer has no channel yet.

        An image ``of_study``, which a row names with its time, is known to show what the study says: raises `BadInput`
        if its size does not fit. Any other image whose size does not fit is left unchanged, as is one that may be a
        cutout saved by sdovis; its name may give the time. Raises `BadInput` for a file that does not say which way is
        north if the study does not say it either.
        """
        image = self._oriented(image)
        if image.frame is not None:
            return Layer(image, None, image.frame.arcsec_per_px)
        if self.center_px is None or self.arcsec_per_px is None or "CTYPE1" in image.header:
            return Layer(image, None)
        zoom = self._zoom(image)
        if of_study and zoom is None:
            raise self._other_size(image)
        # The cutouts that sdovis saves have that size and are not JPEGs.
        saved = self.cuts_out and image.format not in PUBLISHED and image.values.shape[:2] == (self.size_px,) * 2
        if zoom is None or (saved and not of_study):
            return Layer(image, None)
        scale = self.arcsec_per_px / zoom
        when = image.observed or (None if of_study else time_in_name(image.path.name if image.path else ""))
        if when is None:
            return Layer(image, None, scale)
        x, y = ((c + 0.5) * zoom - 0.5 for c in self.center_px)
        return Layer(replace(image, observed=when, frame=DiscFrame.at(when, (x, y), scale)), None, scale)

    def _oriented(self, image: SolarImage) -> SolarImage:
        """The image north up, where its header says nothing: as the study says."""
        if image.oriented:
            return image
        if self.orientation is None:
            what = "has no WCS, so nothing says which way is north: JSOC's as-is files of HMI's discs are turned by 180 degrees"
            hint = "export it with protocol='fits', name drms' table of keywords in source.keywords, or set images.orientation"
            raise BadInput(Problem(what, hint, file=str(image.path or "")))
        values = image.values if self.orientation == "north-up" else np.ascontiguousarray(image.values[::-1, ::-1])
        return replace(image, values=values, oriented=True)

    @property
    def _native(self) -> tuple[float, float]:
        assert self.center_px is not None
        x, y = self.center_px
        return self.native_px or (2 * x + 1, 2 * y + 1)

    def _zoom(self, image: SolarImage) -> float | None:
        """The image's size as a multiple of the size that the centre refers to; None if it shows something else.

        Browse pictures come in several sizes with the same field of view. A whole multiple is accepted; a smaller picture
        may equally be a part that somebody cut out, and is accepted only if its name gives its published size.
        """
        height, width = image.values.shape[:2]
        ratios = width / self._native[0], height / self._native[1]
        zoom: float = round(ratios[0])
        if not zoom:
            named = _PUBLISHED_WIDTH.search(image.path.name if image.path else "")
            zoom = 1 / round(1 / ratios[0]) if named and int(named[1]) == width else 0
        # An image with centre c is taken to be 2c + 1 wide: an offset counts twice.
        return zoom if zoom and all(abs(ratio - zoom) <= 2 * OFF_CENTRE * ratio for ratio in ratios) else None

    def _other_size(self, image: SolarImage) -> BadInput:
        height, width = image.values.shape[:2]
        wide, high = self._native
        what = (
            f"the image is {width} x {height} px, but images.center_px refers to images of {wide:.0f} x {high:.0f} px"
        )
        return BadInput(Problem(what, "set images.native_px to the width and height that center_px refers to"))

    def layers(self, images: Sequence[SolarImage]) -> list[Layer]:
        """The files of one frame, channel by channel.

        Raises `BadInput` if they are not what the network looks at, and if one is unusable.
        """
        found = self._layers(images)
        self.refuse_unusable(found)
        return found

    def _layers(self, images: Sequence[SolarImage]) -> list[Layer]:
        if len(self.channels) < 2:
            if len(images) != 1:
                raise BadInput(f"{len(images)} files were sent, but the model takes one image")
            return [self._layer(self.placed(images[0]), self.channels[0] if self.channels else None)]
        if len(images) == 1 and images[0].is_picture:
            return self._composite(images[0])
        placed = [self.placed(image) for image in matched(images, self.channels)]
        together([layer.image for layer in placed])
        return [self._layer(each, kind) for each, kind in zip(placed, self.channels, strict=True)]

    def cut_already(self, source: SolarImage | NDArray[Any], number: int | None = 0) -> list[Layer]:
        """The layer of a source that is a cutout of channel ``number``; of all channels, if that is None.

        An array holds codes (uint8) or values in the channel's unit, north up. Raises `BadInput` as `layers` and
        `refuse_other_span` do.
        """
        if number is None:
            found = self._composite(source)
        else:
            kind = self.channels[number] if self.channels else None
            found = [
                self._of_array(source, kind)
                if isinstance(source, np.ndarray)
                else self._layer(self.placed(source), kind)
            ]
        self.refuse_other_span(found[0])
        self.refuse_unusable(found)
        return found

    def _composite(self, source: SolarImage | NDArray[Any]) -> list[Layer]:
        codes = composite(source, self.channels)
        image = SolarImage(codes, "rgb") if isinstance(source, np.ndarray) else self.placed(source).image
        return [Layer(image, kind, None, codes[..., k]) for k, kind in enumerate(self.channels)]

    @staticmethod
    def _of_array(values: NDArray[Any], kind: Channel | None) -> Layer:
        if kind is not None and (codes := kind.held(values)) is None:
            values = codes = kind.encode(kind.values(values))
        else:
            codes = values if values.dtype == np.uint8 else _encoded(values, kind)
        return Layer(SolarImage(values, "grey" if values.ndim == 2 else "rgb"), kind, None, codes)

    def study_layer(self, image: SolarImage, number: int) -> Layer:
        """The image that a row names for channel ``number``.

        Raises `BadInput` if it does not belong to that channel, or its size is not the study's.
        """
        return self._layer(self.placed(image, of_study=True), self.channels[number])

    @staticmethod
    def _layer(placed: Layer, kind: Channel | None) -> Layer:
        if kind is None:
            return replace(placed, codes=placed.image.values if placed.image.is_picture else None)
        layer = replace(placed, channel=kind, codes=kind.held(placed.image))
        if layer.codes is None:
            _ = layer.values  # raises for an image of another kind now, not when the first cutout is made
        return layer

    # --- what can be used ---------------------------------------------------------------------------------------------

    def unusable(self, layers: Sequence[Layer]) -> str | None:
        """Why nothing can be made of the images of one frame; None if they are usable.

        The one judgement for corpus, predict, pipeline and page: QUALITY bits, a disc that is not where it should be or
        not in the image at all, one value everywhere.
        """
        return next(filter(None, map(self._fault, layers)), None)

    def refuse_unusable(self, layers: Sequence[Layer]) -> None:
        """Raise `BadInput` if `unusable` finds a reason."""
        for layer in layers:
            if reason := self._fault(layer):
                raise BadInput(Problem(reason, "use one that shows the Sun", file=str(layer.image.path or "")))

    def _fault(self, layer: Layer) -> str | None:
        return usable.fault(layer.image, layer.values, quality=self.check_quality, pointing=self.check_pointing)

    # --- how much an image shows --------------------------------------------------------------------------------------

    def is_exceeded_by(self, layer: Layer) -> bool:
        """Whether an image shows more than a cutout, or is not deprojected although the network looks at maps."""
        if self.cutout_deg and layer.image.grid is not None:
            return bool(layer.side * layer.image.grid.deg_per_px > WIDER_THAN_A_CUTOUT * self.cutout_deg)
        if self.cutout_deg and layer.image.frame is None and layer.scale:
            hint = "keep the archive's file name, which gives the time"
            raise BadInput(Problem("without its time of observation the disc cannot be mapped", hint))
        if self.cutout_deg:
            return layer.image.frame is not None
        return bool(
            self.cutout_arcsec and layer.scale and layer.side * layer.scale > WIDER_THAN_A_CUTOUT * self.cutout_arcsec
        )

    def refuse_other_span(self, layer: Layer) -> None:
        """Raise `BadInput` if an image is known to show more or less than a cutout, or a disc instead of a map.

        A whole disc would get probabilities like any picture, but they are meaningless: the network learned cutouts.
        """
        grid, what = layer.image.grid, ""
        if self.cutout_arcsec is not None:
            trained = f"the model was trained on cutouts of {self.cutout_arcsec:.0f} arcsec"
            span = layer.side * layer.scale if layer.scale else None
            if grid is not None:
                what = f"is a heliographic map, but {trained}"
            elif span is not None and not 0.9 < span / self.cutout_arcsec < WIDER_THAN_A_CUTOUT:
                what = f"spans {span:.0f} arcsec, but {trained}"
        if self.cutout_deg is not None:
            trained = f"the model was trained on heliographic maps of {self.cutout_deg:g} degrees"
            span = layer.side * grid.deg_per_px if grid else None
            if layer.scale:
                what = f"is an image of the disc, not deprojected, but {trained}"
            elif span is not None and not 0.9 < span / self.cutout_deg < WIDER_THAN_A_CUTOUT:
                what = f"spans {span:.1f} degrees, but {trained}"
        if (
            self.cuts_out
            and not what
            and layer.side != self.size_px
            and (found := usable.unplaced(layer.image, layer.values))
        ):
            what = f"{found}, but {trained}"
        if what:
            raise BadInput(Problem(what, "cut the region out first", file=str(layer.image.path or "")))

    def side_px(self, layer: Layer) -> float:
        """The side of a cutout in the image, pixels; on a disc, that at its centre. For whole images, their longer side."""
        grid, frame = layer.image.grid, layer.image.frame
        if self.cutout_arcsec and layer.scale:
            return self.cutout_arcsec / layer.scale
        if self.cutout_deg and grid is not None:
            return self.cutout_deg / grid.deg_per_px
        if self.cutout_deg and frame is not None:
            return float(np.radians(self.cutout_deg)) * frame.radius_px
        return float(layer.side)

    # --- cutting and coding -------------------------------------------------------------------------------------------

    def whole(self, layers: Sequence[Layer]) -> Cutouts:
        """The whole images, N = 1.

        Raises `BadInput` if they differ in size, if one is blank, or if one is known to span something other than what
        the network was trained on.
        """
        for layer in layers:
            self.refuse_other_span(layer)
        codes = shown(of_whole(layers)).codes
        return Cutouts(tuple(layer.values[None] for layer in layers), codes[None])

    def cutouts(self, layers: Sequence[Layer], positions: Sequence[Position]) -> Cutouts:
        """The cutout of every position in every channel, blank ones included; whole images if the view does not cut.

        A position on the Sun is located in each channel's own image; a bare pixel refers to the first channel's image.
        Raises `BadInput` if an image lacks what is needed to locate a position.
        """
        if not self.cuts_out:
            held, count = of_whole(layers), len(positions)
            values = tuple(np.repeat(layer.values[None], count, axis=0) for layer in layers)
            return Cutouts(values, np.repeat(held[None], count, axis=0))
        parts = tuple(np.stack([self._cut(layer, layers, each) for each in positions]) for layer in layers)
        codes = [_encoded(part, layer.channel) for layer, part in zip(layers, parts, strict=True)]
        return Cutouts(parts, codes[0] if len(codes) == 1 else np.stack(codes, axis=-1))

    def cutout(self, layers: Sequence[Layer], position: Position) -> Cutouts:
        """The cutout around one position, N = 1.

        Raises `BadInput` if it is outside the image or the disc, if there is nothing to see, or if an image lacks what
        is needed to locate it.
        """
        x, y = self.pixel(layers, position)
        height, width = layers[0].image.values.shape[:2]
        if not (-0.5 <= x < width and -0.5 <= y < height):
            raise BadInput("that position lies outside the image")
        sun = sun_position(x, y, layers[0].image)
        if sun is not None and not np.isfinite(sun).all():
            raise _nothing_there()
        found = self.cutouts(layers, [position])
        if found.blank.any():
            raise _nothing_there()
        return found

    def pixel(self, layers: Sequence[Layer], position: Position) -> tuple[float, float]:
        """Pixel x, y of a position in the first channel's image. Raises `BadInput` as `place.pixel_of` does."""
        return self._pixel(layers[0], layers, position)

    def _pixel(self, layer: Layer, layers: Sequence[Layer], position: Position) -> tuple[float, float]:
        first, other = layers[0].image, layer.image
        sun, pixel = position.on_sun, position.in_image
        if pixel is not None and (sun is None or len(layers) == 1):
            if other is first or (other.frame, other.grid, other.values.shape) == (
                first.frame,
                first.grid,
                first.values.shape,
            ):
                return pixel
            sun = sun_position(*pixel, first)
            if sun is None or (other.frame is None and other.grid is None):
                what = (
                    "the channels' images differ and have no coordinates, so the region cannot be found in all of them"
                )
                raise BadInput(what)
            if not np.isfinite(sun[0]):
                raise _nothing_there()
        if sun is None:
            raise BadInput("no position was given")
        return pixel_of(*sun, other)

    def _cut(self, layer: Layer, layers: Sequence[Layer], position: Position) -> NDArray[np.float32]:
        if self.cutout_deg:
            geometry = layer.image.frame or layer.image.grid
            sun = _on_sun(position, layers[0].image)
            if geometry is None or sun is None:
                raise BadInput("an image has no coordinates, so the region cannot be found in it")
            if not np.isfinite(sun).all():
                raise _nothing_there()
            return heliographic_cutout(layer.values, *sun, geometry, self.cutout_deg, self.size_px)
        if layer.scale is None or self.cutout_arcsec is None:
            raise BadInput("an image has no scale, so the region cannot be cut out of it")
        x, y = self._pixel(layer, layers, position)
        return cutout(layer.values, x, y, self.cutout_arcsec, layer.scale, self.size_px, np.nan)

    # --- whose pixels -------------------------------------------------------------------------------------------------

    def owners(
        self, layers: Sequence[Layer], positions: Sequence[Position], neighbours: Sequence[Position] = ()
    ) -> NDArray[np.int16]:
        """(N, S, S): for each pixel of each position's cutout, the number of the region nearest on the Sun.

        Numbered from 0 through ``positions``, then ``neighbours``, the disc's other numbered regions; -1 off the disc.
        A cutout also shows its neighbours; in cutout n, the region's own pixels are those with value n. Raises
        `BadInput` if the first channel's image has no coordinates.
        """
        first = layers[0].image
        regions = [self._region(each, first) for each in (*positions, *neighbours)]
        centres = directions(*np.array(regions, float).T)
        found = np.full((len(positions), self.size_px, self.size_px), -1, np.int16)
        for number, position in enumerate(positions):
            latitude, longitude = self._surface(layers, position, regions[number])
            seen = np.isfinite(latitude)
            found[number][seen] = (directions(latitude[seen], longitude[seen]) @ centres.T).argmax(axis=1)
        return found

    @staticmethod
    def _region(position: Position, first: SolarImage) -> tuple[float, float]:
        sun = _on_sun(position, first)
        if sun is None or not np.isfinite(sun).all():
            raise BadInput("a region has no position on the Sun, so its own pixels cannot be identified")
        return sun

    def _surface(self, layers: Sequence[Layer], position: Position, sun: tuple[float, float]) -> tuple[Any, Any]:
        """Latitude and longitude (S, S) of a cutout's pixels, degrees; NaN off the disc."""
        steps = np.arange(self.size_px)
        if self.cutout_deg:
            middle = (self.size_px - 1) / 2
            positions = MapGrid((middle, middle), *sun, self.cutout_deg / self.size_px).place(
                *np.meshgrid(steps, steps)
            )
            frame = layers[0].image.frame
            hidden = (
                np.isnan(project(*positions, frame)[2]) if frame is not None else np.zeros(positions[0].shape, bool)
            )
            return np.where(hidden, np.nan, positions[0]), positions[1]
        frame = layers[0].image.frame
        if frame is None or not self.cutout_arcsec:
            raise BadInput("the image has no coordinates, so the region's own pixels cannot be identified")
        x, y = self.pixel(layers, position)
        side = self.cutout_arcsec / frame.arcsec_per_px
        across = (steps + 0.5) / self.size_px * side - side / 2
        return unproject(*np.meshgrid(x + across, y + across), frame)


def _as_trained(saved: Mapping[str, Any]) -> Channel:
    """The channel that a model was trained with, by name and version. Raises `BadInput` if another version is installed."""
    found = channel(str(saved["name"]))
    if found.version != saved["version"]:
        what = f"the model uses version {saved['version']} of {found.name}, but version {found.version} is installed"
        raise BadInput(Problem(what, "install the version of sdovis that its card names"))
    return found


def shown(codes: Codes) -> Coded:
    """``codes`` for the network. Raises `BadInput` if one of their channels is blank."""
    if _one_code((codes if codes.ndim == 3 else codes[..., None])[None]).any():
        raise BadInput(Problem(usable.BLANK, "use one that shows the Sun"))
    return Coded(codes)


def _one_code(layers: Codes) -> NDArray[np.bool_]:
    """(N,): which of (N, H, W, C) hold a single code in any channel."""
    return np.asarray((layers == layers[:, :1, :1]).all(axis=(1, 2)).any(axis=-1))


def of_whole(layers: Sequence[Layer]) -> Codes:
    """The codes of whole images. Raises `BadInput` if they differ in size or show different parts of the Sun."""
    codes = stacked([coded(layer) for layer in layers])
    usable.refuse_apart([layer.image for layer in layers])
    return codes


def coded(layer: Layer) -> Codes:
    """The codes of a whole image: those that its file holds, or those of its values."""
    return layer.codes if layer.codes is not None else _encoded(layer.values, layer.channel)


def _encoded(values: NDArray[Any], kind: Channel | None) -> Codes:
    if kind is None:
        raise BadInput(Problem("this model does not say which channel it sees", "give it 8-bit pictures"))
    return kind.encode(values)


def _on_sun(position: Position, first: SolarImage) -> tuple[float, float] | None:
    """Latitude and longitude of a position, a bare pixel being one of the first channel's image; None if unknown."""
    if position.on_sun is None and position.in_image is not None:
        return sun_position(*position.in_image, first)
    return position.on_sun


def _nothing_there() -> BadInput:
    return BadInput("there is nothing to see at that position; choose one on the solar disc")
