"""The part of an image that a network is shown: a square of arc seconds, or of heliographic degrees, around a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdovis.channels.channel import Floats
from sdovis.channels.layers import Layer
from sdovis.channels.place import Position, pixel_of, sun_position
from sdovis.channels.usable import unplaced
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import cutout, heliographic_cutout

#: An image wider than this many cutouts is not a cutout.
WIDER_THAN_A_CUTOUT = 1.1


@dataclass(frozen=True)
class Window:
    """A square of ``cutout_arcsec`` or ``cutout_deg``, whichever is not None, in ``size_px`` pixels a side.

    If both are None, whole images.
    """

    size_px: int
    cutout_arcsec: float | None
    cutout_deg: float | None

    def cut(self, layer: Layer, layers: Sequence[Layer], position: Position, values: Floats) -> Floats:
        """(S, S) of ``values``, the layer's own or others in its pixels, around a position.

        A bare pixel refers to the image of ``layers[0]``. Raises `BadInput` if the layer lacks what is needed to locate
        the position.
        """
        if self.cutout_deg:
            sun = on_sun(position, layers[0].image)
            if layer.geometry is None or sun is None:
                raise BadInput("an image has no coordinates, so the region cannot be found in it")
            if not np.isfinite(sun).all():
                raise nothing_there()
            return heliographic_cutout(values, *sun, layer.geometry, self.cutout_deg, self.size_px)
        if layer.scale is None or self.cutout_arcsec is None:
            raise BadInput("an image has no scale, so the region cannot be cut out of it")
        x, y = pixel(layer, layers, position)
        return cutout(values, x, y, self.cutout_arcsec, layer.scale, self.size_px, np.nan)

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
        """See `View.refuse_other_span`."""
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
        whole = self.cutout_arcsec is None and self.cutout_deg is None
        if not (whole or what) and layer.side != self.size_px and (found := unplaced(layer.image, layer.values)):
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


def pixel(layer: Layer, layers: Sequence[Layer], position: Position) -> tuple[float, float]:
    """Pixel x, y of a position in ``layer``. Raises `BadInput` as `place.pixel_of` does."""
    first, other = layers[0].image, layer.image
    sun, bare = position.on_sun, position.in_image
    if bare is not None and (sun is None or len(layers) == 1):
        if other is first or (other.frame, other.grid, other.values.shape) == (
            first.frame,
            first.grid,
            first.values.shape,
        ):
            return bare
        sun = sun_position(*bare, first)
        if sun is None or (other.frame is None and other.grid is None):
            what = "the channels' images differ and have no coordinates, so the region cannot be found in all of them"
            raise BadInput(what)
        if not np.isfinite(sun[0]):
            raise nothing_there()
    if sun is None:
        raise BadInput("no position was given")
    return pixel_of(*sun, other)


def on_sun(position: Position, first: SolarImage) -> tuple[float, float] | None:
    """Latitude and longitude of a position, a bare pixel being one of the first channel's image; None if unknown."""
    if position.on_sun is None and position.in_image is not None:
        return sun_position(*position.in_image, first)
    return position.on_sun


def nothing_there() -> BadInput:
    """The error for a position at which an image shows no Sun."""
    return BadInput("there is nothing to see at that position; choose one on the solar disc")
