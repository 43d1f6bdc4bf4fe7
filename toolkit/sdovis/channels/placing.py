"""Where the disc lies in images without a header, and which way is north in them, as a study says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from sdovis.channels.channel import PUBLISHED
from sdovis.channels.layers import Layer
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage
from sdovis.images.timestamps import time_in_name
from sdovis.sun.geometry import DiscFrame

#: The disc's centre may lie this share of the image's side from its middle and still imply the size it refers to.
OFF_CENTRE = 0.02
#: Widths in which archives publish browse pictures, given in their names: 20110215_013000_512_0211.jpg.
_PUBLISHED_WIDTH = re.compile(r"_(256|512|1024|2048|3072|4096)_(?:\d{4}|HMI\w*)\.\w+$")


@dataclass(frozen=True)
class Placement:
    """The disc's centre (x, y) and scale in images of ``native_px`` (width, height), by default about twice the centre.

    ``saved_px`` is the side of the cutouts that sdovis saves, None if it saves none.
    """

    center_px: tuple[float, float]
    arcsec_per_px: float
    native_px: tuple[int, int] | None
    saved_px: int | None

    def placed(self, image: SolarImage, *, of_study: bool) -> Layer:
        """See `View.placed`."""
        zoom = self._zoom(image)
        if of_study and zoom is None:
            raise self._other_size(image)
        # The cutouts that sdovis saves have that size and are not JPEGs.
        saved = self.saved_px and image.format not in PUBLISHED and image.values.shape[:2] == (self.saved_px,) * 2
        if zoom is None or (saved and not of_study):
            return Layer(image, None)
        scale = self.arcsec_per_px / zoom
        when = image.observed or (None if of_study else time_in_name(image.path.name if image.path else ""))
        if when is None:
            return Layer(image, None, scale)
        x, y = ((c + 0.5) * zoom - 0.5 for c in self.center_px)
        return Layer(replace(image, observed=when, frame=DiscFrame.at(when, (x, y), scale)), None, scale)

    @property
    def _native(self) -> tuple[float, float]:
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


def oriented(image: SolarImage, orientation: str | None) -> SolarImage:
    """The image north up, where its header says nothing: as the study says. See `View.placed`."""
    if image.oriented:
        return image
    if orientation is None:
        what = "has no WCS, so nothing says which way is north: JSOC's as-is files of HMI's discs are turned by 180 degrees"
        hint = (
            "export it with protocol='fits', name drms' table of keywords in source.keywords, or set images.orientation"
        )
        raise BadInput(Problem(what, hint, file=str(image.path or "")))
    values = image.values if orientation == "north-up" else np.ascontiguousarray(image.values[::-1, ::-1])
    return replace(image, values=values, oriented=True)
