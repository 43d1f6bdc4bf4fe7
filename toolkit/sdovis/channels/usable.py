"""Whether an image shows anything that a network could learn or be asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.images.images import SolarImage
from sdovis.images.pointing import limb, pointing_problem
from sdovis.images.quality import quality_problem
from sdovis.sun.geometry import DiscFrame

BLANK = "the image is blank: one value everywhere"
#: The radius of the limb may differ by this share from that which the study says.
RADIUS_TOLERANCE = 0.05


def fault(image: SolarImage, values: NDArray[Any], *, quality: bool, pointing: bool) -> str | None:
    """Why nothing can be made of ``image``; None if it is usable. ``values`` are its channel's, NaN if missing.

    ``quality`` says whether QUALITY bits count, ``pointing`` whether a disc counts that is not where it should be.
    """
    if quality and (reason := quality_problem(image)):
        return reason
    off_disc = image.off_disc
    if off_disc is not None and off_disc.all():
        return "shows no part of the solar disc"
    if not np.fmin.reduce(values, axis=None) < np.fmax.reduce(values, axis=None):  # NaN if all are missing
        return BLANK
    if not pointing or image.frame is None or values.ndim > 2:
        return None
    return _misplaced(image, values, image.frame)


def _misplaced(image: SolarImage, values: NDArray[Any], frame: DiscFrame) -> str | None:
    """Why a full-disc image is unusable; images that show only some of the disc are not judged."""
    (height, width), (x, y) = values.shape, frame.center_px
    if 0 <= x < width and 0 <= y < height and 2 * frame.radius_px < 1.2 * min(height, width):
        return pointing_problem(values, frame)
    shown = limb(values) if "CTYPE1" not in image.header else None  # then only the study says that the disc is larger
    if shown is None or abs(shown.radius_px / frame.radius_px - 1) < RADIUS_TOLERANCE:
        return None
    return f"off-pointed: the disc's radius is {shown.radius_px:.0f} px, not {frame.radius_px:.0f} px"
