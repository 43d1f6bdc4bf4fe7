"""Which of a disc's regions are the neighbours of the one that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdovis.channels.place import Position
from sdovis.channels.window import nothing_there, on_sun
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import directions

#: A listed region this near to a position is the one meant: NOAA's places lie within a degree or two of the spots.
SAME_DEG = 3.0
#: NOAA gives whole degrees: within this distance nothing needs to be said.
ROUNDED_DEG = 0.75
#: What is said where a model that masks neighbours is not told of any.
UNMASKED = (
    "The model was trained on cutouts that show quiet Sun in place of other regions, but no others were named: if any lie "
    "in this cutout, the answer may be theirs."
)


def apart(position: Position, regions: Sequence[Position], image: SolarImage) -> tuple[list[Position], list[str]]:
    """The ``regions`` other than the one at a position of an image, and what a reader must know of the choice.

    The region nearest to the position, if within `SAME_DEG`, is the one at it. Raises `BadInput` if a place is not known, or
    the position is off the disc.
    """
    here, places = on_sun(position, image), [on_sun(each, image) for each in regions]
    if here is not None and not np.isfinite(here).all():
        raise nothing_there()
    known = [each for each in (here, *places) if each is not None and np.isfinite(each).all()]
    if len(known) <= len(places):
        raise BadInput("the image has no coordinates, so regions cannot be located in it")
    cosines = directions(*np.array(known[1:]).T) @ directions(*known[0])[0]
    nearest = int(cosines.argmax())
    angle = float(np.degrees(np.arccos(min(cosines[nearest], 1.0))))
    if angle > SAME_DEG:
        return list(regions), []
    latitude, longitude = known[1 + nearest]
    note = f"The region at latitude {latitude:g}, longitude {longitude:g} is taken for the one asked for."
    others = [each for number, each in enumerate(regions) if number != nearest]
    return others, [note] if angle > ROUNDED_DEG else []
