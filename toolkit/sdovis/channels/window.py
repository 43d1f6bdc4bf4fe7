"""The part of an image that a network is shown: a square of arc seconds, or of heliographic degrees, around a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdovis.channels.channel import Floats
from sdovis.channels.layers import Layer
from sdovis.channels.place import Position, pixel_of, sun_position
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import cutout, heliographic_cutout


@dataclass(frozen=True)
class Window:
    """A square of ``cutout_arcsec`` or ``cutout_deg``, whichever is not None, in ``size_px`` pixels a side."""

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
