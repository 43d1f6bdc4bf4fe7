"""What a model looks at: its channels, and how much of the Sun a picture of it spans. Images of any kind become that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.channels.channel import PUBLISHED, Channel, composite, decode, matched, together
from sdovis.channels.place import located, place_at
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import DiscFrame, cutout, heliographic_cutout

#: An image wider than this many cutouts is not a cutout.
WIDER_THAN_A_CUTOUT = 1.1
#: Classes are unreliable farther than this from the central meridian (projection).
LIMB_LONGITUDE_DEG = 60.0


@dataclass(frozen=True, eq=False)
class Layer:
    """One channel of an image: the file it came from, its values, and arcsec a pixel where that is known."""

    image: SolarImage
    values: NDArray[Any]
    scale: float | None


@dataclass(frozen=True)
class View:
    """What a model was trained on. ``center_px`` and ``arcsec_per_px`` tell where the Sun is in pictures of its study."""

    channels: tuple[Channel, ...]
    size_px: int = 224
    cutout_arcsec: float | None = None
    cutout_deg: float | None = None
    center_px: tuple[float, float] | None = None
    arcsec_per_px: float | None = None

    @classmethod
    def of(cls, about: Mapping[str, Any], channels: Sequence[Channel]) -> View:
        """That of ``about``, the ``sdovis`` in a model's configuration."""
        center = about.get("center_px")
        return cls(
            tuple(channels),
            int(about.get("size_px") or 224),
            about.get("cutout_arcsec"),
            about.get("cutout_deg"),
            (float(center[0]), float(center[1])) if center else None,
            about.get("arcsec_per_px"),
        )

    def layers(self, images: Sequence[SolarImage]) -> list[Layer]:
        """The files of one image, channel by channel. Raises `BadInput` where they are not what the model looks at."""
        if len(self.channels) < 2:
            if len(images) != 1:
                raise BadInput(f"{len(images)} files were sent, and the model looks at one image")
            image, scale = self.placed(images[0])
            return [Layer(image, self.channels[0].values(image) if self.channels else image.values, scale)]
        if len(images) == 1 and images[0].is_picture:
            codes = composite(images[0], self.channels)
            return [Layer(images[0], values, None) for values in decode(codes, self.channels)]
        ordered = matched(images, self.channels)
        placed = [self.placed(image) for image in ordered]
        together([image for image, _ in placed])
        return [Layer(i, kind.values(i), scale) for kind, (i, scale) in zip(self.channels, placed, strict=True)]

    def placed(self, image: SolarImage) -> tuple[SolarImage, float | None]:
        """The image and its arcsec per pixel; a full-disc picture of the study's kind gets its disc back."""
        if image.frame is not None:
            return image, image.frame.arcsec_per_px
        height, width = image.values.shape[:2]
        if not image.is_picture or not self.center_px or not self.arcsec_per_px or height != width:
            return image, None
        # What sdovis saves of a cutout is of that size, and no JPEG.
        ours = width == self.size_px and self._cuts_out and image.format not in PUBLISHED
        native = round(2 * self.center_px[0] + 1)
        # Browse pictures come in 512, 1024, 2048 and 4096 px of one and the same field of view.
        if ours or width < native or width % native:
            return image, None
        zoom = width / native
        scale = self.arcsec_per_px / zoom
        observed = _time_in_name(image.path)
        if observed is None:
            return image, scale
        x, y = ((c + 0.5) * zoom - 0.5 for c in self.center_px)
        return replace(image, observed=observed, frame=DiscFrame.at(observed, (x, y), scale)), scale

    @property
    def _cuts_out(self) -> bool:
        return self.cutout_arcsec is not None or self.cutout_deg is not None

    def is_exceeded_by(self, layer: Layer) -> bool:
        """Whether an image shows more than a cutout, or is not deprojected where the model looks at maps."""
        side = max(layer.values.shape[:2])
        if self.cutout_deg and layer.image.grid is not None:
            return bool(side * layer.image.grid.deg_per_px > WIDER_THAN_A_CUTOUT * self.cutout_deg)
        if self.cutout_deg and layer.image.frame is None and layer.scale:
            hint = "keep the name that the archive gave the file"
            raise BadInput(Problem("without its time of observation the disc cannot be mapped", hint))
        if self.cutout_deg:
            return layer.image.frame is not None
        return bool(
            self.cutout_arcsec and layer.scale and side * layer.scale > WIDER_THAN_A_CUTOUT * self.cutout_arcsec
        )

    def refuse_other_span(self, image: SolarImage, scale: float | None) -> None:
        """Raise `BadInput` where an image is known to show more or less than a cutout, or a disc in place of a map.

        A whole disc would get probabilities like any picture, and they mean nothing to a network that learned cutouts.
        ``scale`` is arcsec a pixel, where that is known.
        """
        side, what = max(image.values.shape[:2]), ""
        if self.cutout_arcsec is not None:
            trained = f"the model was trained on cutouts of {self.cutout_arcsec:.0f} arcsec"
            span = side * scale if scale else None
            if image.grid is not None:
                what = f"is a heliographic map, and {trained}"
            elif span is not None and not 0.9 < span / self.cutout_arcsec < WIDER_THAN_A_CUTOUT:
                what = f"spans {span:.0f} arcsec, and {trained}"
        if self.cutout_deg is not None:
            trained = f"the model was trained on heliographic maps of {self.cutout_deg:g} degrees"
            span = side * image.grid.deg_per_px if image.grid else None
            if scale:
                what = f"is an image of the disc, not deprojected, and {trained}"
            elif span is not None and not 0.9 < span / self.cutout_deg < WIDER_THAN_A_CUTOUT:
                what = f"spans {span:.1f} degrees, and {trained}"
        if what:
            raise BadInput(Problem(what, "cut the region out first", file=str(image.path or "")))

    def cut(self, layers: Sequence[Layer], x: float, y: float) -> list[NDArray[Any]]:
        """The cutouts of all channels about the place that pixel (x, y) of the first one's image shows.

        Raises `BadInput` where that is outside the image or the disc, or an image lacks what it takes to find it.
        """
        height, width = layers[0].values.shape[:2]
        if not (-0.5 <= x < width and -0.5 <= y < height):
            raise BadInput("that position lies outside the image")
        parts = [self._cut(layer, layers[0].image, x, y) for layer in layers]
        if not all(map(_shows_something, parts)):
            raise _nothing_there()
        return parts

    def _cut(self, layer: Layer, first: SolarImage, x: float, y: float) -> NDArray[Any]:
        if self.cutout_deg:
            where = layer.image.frame or layer.image.grid
            place = place_at(x, y, first)
            if where is None or place is None:
                raise BadInput("an image has no coordinates, so the region cannot be found in it")
            if not np.isfinite(place).all():
                raise _nothing_there()
            return heliographic_cutout(layer.values, *place, where, self.cutout_deg, self.size_px)
        if layer.scale is None or self.cutout_arcsec is None:
            raise BadInput("an image has no scale, so the region cannot be cut out of it")
        x, y = located(x, y, first, layer.image)
        return cutout(layer.values, x, y, self.cutout_arcsec, layer.scale, self.size_px, np.nan)

    def side_px(self, layer: Layer) -> float:
        """The side of a cutout in the image; on a disc as it would be at its centre."""
        if self.cutout_deg:
            grid, frame = layer.image.grid, layer.image.frame
            if grid is not None:
                return self.cutout_deg / grid.deg_per_px
            assert frame is not None
            return float(np.radians(self.cutout_deg)) * frame.radius_px
        assert layer.scale is not None and self.cutout_arcsec is not None
        return self.cutout_arcsec / layer.scale


def _nothing_there() -> BadInput:
    return BadInput("there is nothing to see at that position; choose one on the solar disc")


def _shows_something(part: NDArray[Any]) -> bool:
    known = part[np.isfinite(part)]
    return bool(known.size) and bool(np.ptp(known) > 0)


def _time_in_name(path: Path | None) -> datetime | None:
    """The time that SDO's browse pictures have in their names: 20110215_013000_512_0211.jpg."""
    found = re.search(r"(?<!\d)(20\d{6})_(\d{6})(?!\d)", path.name if path else "")
    try:
        return datetime.strptime(f"{found[1]}{found[2]}+0000", "%Y%m%d%H%M%S%z") if found else None
    except ValueError:
        return None
