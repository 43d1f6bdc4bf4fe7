"""Whether an image shows anything that a network could learn or be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage
from sdovis.images.pointing import limb, pointing_problem
from sdovis.images.quality import quality_problem
from sdovis.sun.geometry import DiscFrame

BLANK = "the image is blank: one value everywhere"
#: The radius of the limb may differ by this share from that which the study says.
RADIUS_TOLERANCE = 0.05
#: Nobody publishes smaller pictures of the whole Sun; in a small cutout a few spots may lie on a circle.
SMALLEST_DISC_PX = 128
#: How near the disc's middle has to be to a whole number of half sides: pointing drifts by less.
STEP_TOLERANCE = 0.01
#: By which share of the side images may be shifted that are laid over each other, and by which their scales may differ.
APART = 0.02


def fault(image: SolarImage, values: NDArray[Any], *, quality: bool, pointing: bool) -> str | None:
    """Why nothing can be made of ``image``; None if it is usable. ``values`` are its channel's, NaN if missing.

    ``quality`` says whether QUALITY bits count, ``pointing`` whether a disc counts that is not where it should be.
    """
    if quality and (reason := quality_problem(image)):
        return reason
    if image.misses_disc:
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
    # Without a header only the study says that the disc is larger; a header may be that of the image before it was shrunk.
    shown = limb(values) if "CTYPE1" not in image.header or _in_step(values.shape, frame) else None
    if shown is None or abs(shown.radius_px / frame.radius_px - 1) < RADIUS_TOLERANCE:
        return None
    return f"off-pointed: the disc's radius is {shown.radius_px:.0f} px, not {frame.radius_px:.0f} px"


def _in_step(shape: tuple[int, ...], frame: DiscFrame) -> bool:
    """Whether the disc's middle lies a whole number of half sides beside the image's, as if an image had been shrunk."""
    beside = [abs((2 * c + 1) / side - 1) for c, side in zip(frame.center_px, shape[::-1], strict=True)]
    steps = {round(each) for each in beside}
    return len(steps) == 1 and all(abs(each - round(each)) < STEP_TOLERANCE for each in beside)


def unplaced(image: SolarImage, values: NDArray[Any]) -> str:
    """What an image that has no coordinates shows other than a cutout: a whole disc or a map; "" if nothing says so."""
    if image.frame is not None or image.grid is not None or values.ndim > 2:
        return ""
    if str(image.header.get("CTYPE1", ""))[:4] in ("CRLN", "HGLN"):
        return "is a heliographic map whose grid is not known"
    disc = limb(values) if min(values.shape) >= SMALLEST_DISC_PX else None
    return "shows a whole disc" if disc else ""


def refuse_apart(images: Sequence[SolarImage]) -> None:
    """Raise `BadInput` if images that are laid over each other are known to show different parts of the Sun."""
    placed = [image for image in images if image.frame is not None or image.grid is not None]
    for image in placed[1:]:
        if not _alike(placed[0], image):
            names = " and ".join(each.path.name if each.path else "another" for each in (placed[0], image))
            what = f"the channels' images show different parts of the Sun: {names}"
            raise BadInput(Problem(what, "cut the same region out of each, at one scale"))


def _alike(one: SolarImage, two: SolarImage) -> bool:
    """Whether the same pixel of two images shows the same place on the Sun, to `APART` of their side."""
    if one.grid is not None and two.grid is not None:
        scales = one.grid.deg_per_px, two.grid.deg_per_px
        turned = (one.grid.longitude_deg - two.grid.longitude_deg + 180) % 360 - 180
        raised = one.grid.latitude_deg - two.grid.latitude_deg
        across = turned / scales[0] - one.grid.center_px[0] + two.grid.center_px[0]
        down = raised / scales[0] + one.grid.center_px[1] - two.grid.center_px[1]
    elif one.frame is not None and two.frame is not None:
        scales = one.frame.arcsec_per_px, two.frame.arcsec_per_px
        across, down = (a - b for a, b in zip(one.frame.center_px, two.frame.center_px, strict=True))
    else:
        return False
    return abs(scales[0] / scales[1] - 1) < APART and max(abs(across), abs(down)) < max(
        2, APART * max(one.values.shape)
    )
