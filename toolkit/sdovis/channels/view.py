"""What a network looks at. Only here are images placed on the Sun, cut and coded: for corpus, predict, page and maps.

A `View` is made from a study, saved with its corpus and its model, and read back wherever an image is shown to the
network, so that the same region of the same image always gives the same codes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdovis import records
from sdovis.channels import usable
from sdovis.channels.channel import Channel, ChannelFacts, channel, composite, matched, together
from sdovis.channels.layers import Cutouts, Layer, coded_each, of_array, of_whole, shown
from sdovis.channels.neighbours import UNMASKED, apart
from sdovis.channels.owners import Divided
from sdovis.channels.place import Position, sun_position
from sdovis.channels.placing import Placement, oriented
from sdovis.channels.surface import Surface, of_cutout
from sdovis.channels.window import Window, nothing_there, on_sun, pixel
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage

if TYPE_CHECKING:
    from sdovis.study import Images

#: Used if the study set no limit: classes are unreliable farther than this from the central meridian (projection).
LIMB_LONGITUDE_DEG = 60.0


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
    neighbours: Literal["keep", "mask"]
    flatten: bool
    orientation: str | None = None
    check_pointing: bool = True
    check_quality: bool = True


@dataclass(frozen=True)
class View:
    """What a network looks at: its channels, and how much of the Sun a picture of side ``size_px`` spans.

    ``center_px`` and ``arcsec_per_px`` place the disc in images without a header whose size is ``native_px`` (width,
    height); if that is None, about twice the centre. ``max_longitude_deg`` is the study's limit on the distance from
    the central meridian, None for no limit. With ``neighbours`` "mask" a cutout shows quiet Sun in place of what belongs
    to other regions; with ``flatten``, browse discs in white light are shown over their limb darkening. ``orientation``
    says which way FITS files without any WCS run, None where such files are refused: "north-up" or "rotated-180", as JSOC
    keeps HMI's full discs. ``check_pointing`` and ``check_quality`` say whether images whose disc is elsewhere, and those
    that their QUALITY warns against, are unusable.
    """

    channels: tuple[Channel, ...]
    size_px: int = 224
    cutout_arcsec: float | None = None
    cutout_deg: float | None = None
    center_px: tuple[float, float] | None = None
    arcsec_per_px: float | None = None
    native_px: tuple[int, int] | None = None
    max_longitude_deg: float | None = None
    neighbours: Literal["keep", "mask"] = "keep"
    flatten: bool = False
    orientation: str | None = None
    check_pointing: bool = True
    check_quality: bool = True

    @classmethod
    def of_study(cls, images: Images) -> View:
        """The view of a study's [images].

        Raises `BadInput` for a channel that is not installed, or that cannot be masked or flattened although the study
        says so.
        """
        own = {each.name: getattr(images, each.name) for each in fields(cls) if each.name != "channels"}
        view = cls(tuple(channel(name) for name in images.channels), **own)
        if view.masks and (unknown := [kind.name for kind in view.channels if kind.contrast is None]):
            what = f"images.neighbours: {', '.join(unknown)} does not say what stands out of the quiet Sun"
            raise BadInput(Problem(what, 'set neighbours = "keep"'))
        if view.flatten and not any(map(_has_limb_darkening, view.channels)):
            what = "images.flatten has no effect: it is for browse pictures of the Sun in white light"
            raise BadInput(Problem(what, "remove flatten"))
        return view

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
            saved.get("neighbours") or "keep",
            bool(saved.get("flatten")),
            saved.get("orientation"),
            saved.get("check_pointing", True),
            saved.get("check_quality", True),
        )

    @property
    def cuts_out(self) -> bool:
        """Whether the network is shown cutouts around positions rather than whole images."""
        return self.cutout_arcsec is not None or self.cutout_deg is not None

    @property
    def masks(self) -> bool:
        """Whether a cutout shows quiet Sun in place of other regions."""
        return self.neighbours == "mask"

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
        image = oriented(image, self.orientation)
        if image.frame is not None:
            return Layer(image, None, image.frame.arcsec_per_px)
        if self.center_px is None or self.arcsec_per_px is None or "CTYPE1" in image.header:
            return Layer(image, None)
        saved = self.size_px if self.cuts_out else None
        return Placement(self.center_px, self.arcsec_per_px, self.native_px, saved).placed(image, of_study=of_study)

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
        `refuse_other_span` do, and warns where a view that masks neighbours cannot, as sdovis has not saved the cutout.
        """
        if number is None:
            found = self._composite(source)
        else:
            kind = self.channels[number] if self.channels else None
            found = [
                of_array(source, kind) if isinstance(source, np.ndarray) else self._layer(self.placed(source), kind)
            ]
            if self.masks and kind is not None and kind.held(source) is None:
                warnings.warn(UNMASKED, stacklevel=2)
        self.refuse_other_span(found[0])
        self.refuse_unusable(found)
        return found

    def _composite(self, source: SolarImage | NDArray[Any]) -> list[Layer]:
        codes = composite(source, self.channels)
        image = SolarImage(codes, "rgb") if isinstance(source, np.ndarray) else self.placed(source).image
        return [Layer(image, kind, None, codes[..., k]) for k, kind in enumerate(self.channels)]

    def study_layer(self, image: SolarImage, number: int) -> Layer:
        """The image that a row names for channel ``number``.

        Raises `BadInput` if it does not belong to that channel, or its size is not the study's.
        """
        return self._layer(self.placed(image, of_study=True), self.channels[number])

    def _layer(self, placed: Layer, kind: Channel | None) -> Layer:
        if kind is None:
            return replace(placed, codes=placed.image.values if placed.image.is_picture else None)
        flat = self.flatten and _has_limb_darkening(kind)
        layer = replace(placed, channel=kind, codes=kind.held(placed.image), flat=flat)
        if layer.codes is None and placed.image.frame is None:
            self._refuse_unflattened(kind, placed.image)
        if layer.codes is None:
            _ = layer.recorded  # raises for an image of another kind now, not when the first cutout is made
        return layer

    def _refuse_unflattened(self, kind: Channel, image: SolarImage) -> None:
        """Raise `BadInput` if an image in channel ``kind``, which does not show the disc, should have been flattened."""
        if self.flatten and _has_limb_darkening(kind):
            what = "the model was trained on discs over their limb darkening, which cannot be measured in this image"
            hint = "give the whole disc with its position, or a cutout saved by sdovis"
            raise BadInput(Problem(what, hint, str(image.path or "")))

    # --- what can be used ---------------------------------------------------------------------------------------------

    def unusable(self, layers: Sequence[Layer]) -> str | None:
        """Why nothing can be made of the images of one frame; None if they are usable.

        The one judgement for corpus, predict, pipeline and page: QUALITY bits, a disc that is not where it should be or
        not in the image at all, one value everywhere. It is of the image as recorded, before anything is masked.
        """
        return next(filter(None, map(self._fault, layers)), None)

    def refuse_unusable(self, layers: Sequence[Layer]) -> None:
        """Raise `BadInput` if `unusable` finds a reason."""
        for layer in layers:
            if reason := self._fault(layer):
                raise BadInput(Problem(reason, "use one that shows the Sun", file=str(layer.image.path or "")))

    def _fault(self, layer: Layer) -> str | None:
        reason = usable.fault(layer.image, layer.recorded, quality=self.check_quality, pointing=self.check_pointing)
        if reason is None and layer.flat:
            try:
                _ = layer.values
            except BadInput as error:
                return error.problems[0].what
        return reason

    # --- how much an image shows --------------------------------------------------------------------------------------

    def is_exceeded_by(self, layer: Layer) -> bool:
        """Whether an image shows more than a cutout, or is not deprojected although the network looks at maps."""
        return self._window.is_exceeded_by(layer)

    def refuse_other_span(self, layer: Layer) -> None:
        """Raise `BadInput` if an image is known to show more or less than a cutout, or a disc instead of a map.

        A whole disc would get probabilities like any picture, but they are meaningless: the network learned cutouts.
        """
        self._window.refuse_other_span(layer)

    def side_px(self, layer: Layer) -> float:
        """The side of a cutout in the image, pixels; on a disc, that at its centre. For whole images, their longer side."""
        return self._window.side_px(layer)

    @property
    def _window(self) -> Window:
        return Window(self.size_px, self.cutout_arcsec, self.cutout_deg)

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

    def cutouts(
        self,
        layers: Sequence[Layer],
        positions: Sequence[Position],
        neighbours: Sequence[Sequence[Position]] | None = None,
    ) -> Cutouts:
        """The cutout of every position in every channel, blank ones included; whole images if the view does not cut.

        A position on the Sun is located in each channel's own image; a bare pixel refers to the first channel's image.
        ``neighbours`` are for each position those of the disc's other numbered regions, which a view that masks shows as
        quiet Sun. Raises `BadInput` if an image lacks what is needed to locate a position.
        """
        if not self.cuts_out:
            held, count = of_whole(layers), len(positions)
            values = tuple(np.repeat(layer.values[None], count, axis=0) for layer in layers)
            return Cutouts(values, np.repeat(held[None], count, axis=0))
        others = neighbours if self.masks and neighbours else [()] * len(positions)
        parts, masked = zip(*(self._cut(layer, layers, positions, others) for layer in layers), strict=True)
        shares = np.mean(masked, axis=0) if self.masks else None
        return Cutouts(parts, coded_each(parts, layers), shares)

    def cutout(self, layers: Sequence[Layer], position: Position, neighbours: Sequence[Position] = ()) -> Cutouts:
        """The cutout around one position, N = 1, masked as by `cutouts`.

        Raises `BadInput` if it is outside the image or the disc, if there is nothing to see, or if an image lacks what
        is needed to locate it.
        """
        x, y = self.pixel(layers, position)
        height, width = layers[0].image.values.shape[:2]
        if not (-0.5 <= x < width and -0.5 <= y < height):
            raise BadInput("that position lies outside the image")
        sun = sun_position(x, y, layers[0].image)
        if sun is not None and not np.isfinite(sun).all():
            raise nothing_there()
        found = self.cutouts(layers, [position], [neighbours])
        if found.blank.any():
            raise nothing_there()
        return found

    def pixel(self, layers: Sequence[Layer], position: Position) -> tuple[float, float]:
        """Pixel x, y of a position in the first channel's image. Raises `BadInput` as `place.pixel_of` does."""
        return pixel(layers[0], layers, position)

    def others(
        self, layers: Sequence[Layer], position: Position, regions: Sequence[Position]
    ) -> tuple[list[Position], list[str]]:
        """Which of the disc's ``regions`` are neighbours of the one at a position, and what a reader must know.

        Raises `BadInput` as `neighbours.apart` does, and if regions are given to a view that keeps neighbours.
        """
        if regions and not self.masks:
            what = "the model was trained on cutouts with their neighbours and takes no other regions"
            raise BadInput(Problem(what, "leave them out"))
        return apart(position, regions, layers[0].image) if regions else ([], [UNMASKED] if self.masks else [])

    def caution(self, layers: Sequence[Layer]) -> list[str]:
        """What a reader must know of whole images: unless sdovis saved them, nobody has masked their neighbours."""
        return [UNMASKED] if self.masks and any(layer.codes is None for layer in layers) else []

    def surface(self, latitude_deg: float, longitude_deg: float, observed: datetime) -> Surface:
        """The Sun under the pixels of the cutout around a position, as seen from the Earth at that time (UTC)."""
        return of_cutout(self.size_px, self.cutout_arcsec, self.cutout_deg, latitude_deg, longitude_deg, observed)

    def _cut(
        self,
        layer: Layer,
        layers: Sequence[Layer],
        positions: Sequence[Position],
        neighbours: Sequence[Sequence[Position]],
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """One channel's cutouts (N, S, S), and the share of each that shows quiet Sun in place of others (N,)."""
        window, divided = self._window, Divided(layer)
        cut, shares = [], np.zeros(len(positions))
        for number, (position, others) in enumerate(zip(positions, neighbours, strict=True)):
            own, *places = (on_sun(each, layers[0].image) for each in (position, *others))
            values, quiet = divided.without(own, places)
            cut.append(window.cut(layer, layers, position, values))
            if quiet is not None:
                # Bicubic interpolation overshoots, and what lies outside the image is not masked.
                shares[number] = np.nan_to_num(window.cut(layer, layers, position, quiet)).clip(0, 1).mean()
        return np.stack(cut), shares


def _has_limb_darkening(kind: Channel) -> bool:
    return kind.spotted and kind.browse


def _as_trained(saved: Mapping[str, Any]) -> Channel:
    """The channel that a model was trained with, by name and version. Raises `BadInput` if another version is installed."""
    found = channel(str(saved["name"]))
    if found.version != saved["version"]:
        what = f"the model uses version {saved['version']} of {found.name}, but version {found.version} is installed"
        raise BadInput(Problem(what, "install the version of sdovis that its card names"))
    return found
