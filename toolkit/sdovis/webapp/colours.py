"""Solar images for the eye: SDO's colour tables, the attention overlay, the outline of the cutout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sdovis import figures
from sdovis.channels.channel import Channel

#: sunpy shows HMI's magnetograms between these limits (HMIMap's default norm).
MAGNETOGRAM_LIMIT_G = 1500.0
MISSING = (38, 38, 46)
FRAME = (255, 255, 255)
RGB = NDArray[np.uint8]
#: What the three channels of a composite are to the network.
NAMES = ("red", "green", "blue")


def coloured(values: NDArray[Any], channel: Channel | None, *, table: str = "") -> RGB:
    """``values`` (H, W) in the channel's unit as (H, W, 3) in its colour table, or in ``table``; nan is dark grey.

    Fields in gauss are shown linearly to +-1500 G; all else by code, because AIA's tables are made for logarithms.
    Without a channel, ``values`` are already an 8-bit picture.
    """
    if channel is None:
        grey = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
        return np.asarray(grey, np.uint8)
    if channel.signed and channel.unit == "G":
        with np.errstate(invalid="ignore"):
            index = np.clip(np.nan_to_num(values) / (2 * MAGNETOGRAM_LIMIT_G) + 0.5, 0, 1)
    else:
        index = channel.encode(values) / np.float32(255)
    shown: RGB = _colormap(table or channel.colormap)(index, bytes=True)[..., :3].copy()
    shown[np.isnan(values)] = MISSING
    return shown


def scale_words(channel: Channel) -> str:
    """How `coloured` shows the channel, for a caption."""
    if channel.signed and channel.unit == "G":
        return f"colour table {channel.colormap}, ±{MAGNETOGRAM_LIMIT_G:g} G"
    first = channel.levels[np.isfinite(channel.levels)]
    return f"colour table {channel.colormap}, {first[0]:g} to {first[-1]:g} {channel.unit}"


def _colormap(name: str) -> Any:
    import matplotlib
    import sunpy.visualization.colormaps  # noqa: F401  registers SDO's tables with matplotlib

    # A third-party channel may name a table that its own plug-in did not register here.
    return matplotlib.colormaps[name if name in matplotlib.colormaps else "gray"]


def shrunk(values: NDArray[Any], side: int) -> tuple[NDArray[Any], float]:
    """``values`` (H, W) or (H, W, 3), averaged down to at most ``side`` pixels per side, and the factor (<= 1).

    Missing values (nan) add nothing to their neighbours.
    """
    factor = side / max(values.shape[:2])
    if factor >= 1:
        return values, 1.0
    size = (max(1, round(values.shape[1] * factor)), max(1, round(values.shape[0] * factor)))
    if values.dtype == np.uint8:
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX)), factor
    known = np.isfinite(values)
    share = _box(known.astype(np.float32), size)
    total = _box(np.where(known, values, np.float32(0)), size)
    return np.where(share > 0.5, total / np.maximum(share, 0.5), np.float32(np.nan)), factor


def _box(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


def enlarged(picture: RGB, side: int) -> tuple[Image.Image, int]:
    """The picture with each pixel repeated a whole number of times, to about ``side`` pixels wide, and that number."""
    times = max(1, round(side / max(picture.shape[:2])))
    image = Image.fromarray(picture)
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST), times


def framed(image: Image.Image, x: float, y: float, side: float) -> Image.Image:
    """A copy with the square of ``side`` pixels around (x, y) outlined, light between dark so that it shows on anything."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    width = max(2, copy.width // 300)
    for grown, ink, thick in ((3 * width, (0, 0, 0), 3 * width), (2 * width, FRAME, width)):
        half = side / 2 + grown
        draw.rectangle((x - half, y - half, x + half, y + half), outline=ink, width=thick)
    return copy


def overlaid(grey: Image.Image, attention: NDArray[np.float32]) -> Image.Image:
    """``grey`` with ``attention`` (rows, columns; 0 to 1), smoothly enlarged, glowing over it."""
    return Image.fromarray(figures.glowing(np.asarray(grey.convert("L"), np.float32) / 255, attention))
