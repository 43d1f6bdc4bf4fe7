"""Pictures: JPEG, JPEG2000, PNG and TIFF, decoded to their stored numbers without loss."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sdovis.errors import UnreadableImage
from sdovis.images.bounds import MAX_SIDE, check_size

ORIENTATION, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 0x0112, 258, 262, 339  # tags of EXIF and TIFF
UNSIGNED, WHITE_IS_ZERO = 1, 0
DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def picture_pixels(data: bytes, kind: str, path: Path, max_side: int = MAX_SIDE) -> NDArray[Any]:
    """(H, W) or (H, W, 3) uint8, not writable; deeper grey (16 and 32 bits, float) as (H, W) float32.

    ``kind`` is JPEG, JPEG2000, PNG or TIFF. Raises `UnreadableImage` if something would be lost: several pages,
    transparency, 16-bit colour, a rotation requested by EXIF; and if a side is longer than ``max_side`` pixels.
    """
    if kind == "PNG" and data[24:25] == b"\x10" and data[25:26] != b"\x00":
        raise _sixteen_bit_colour(path)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            check_size(image.width, image.height, path, max_side)
            if _has_more(image):
                raise UnreadableImage(
                    path, "several pages or an animation, not one image", "save each page as its own file"
                )
            _check_orientation(image, path)  # before load: loading turns a TIFF and drops the tag
            if kind == "TIFF":
                _check_tiff(image, path)
            image.load()
            if image.mode not in DEEP_GREY:
                return eight_bits(image, path)
            _check_orientation(image, path)  # after load: a PNG may have its EXIF at the end
            return _numbers(image, kind)
    except (UnreadableImage, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(path, f"damaged {kind}, or a variant that Pillow cannot read") from error
    # Pillow's plug-ins raise almost anything on damaged input; each means that this file cannot be decoded.
    except Exception as error:
        raise UnreadableImage(path, f"damaged {kind}: {error}") from error


def eight_bits(image: Image.Image, path: Path | str) -> NDArray[np.uint8]:
    """The grey levels (H, W) or colours (H, W, 3) of an opened picture. Raises `UnreadableImage` as `picture_pixels` does."""
    _check_orientation(image, path)
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise UnreadableImage(path, "has transparent pixels", "save it without transparency")
    mode = {"L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "P": "RGB"}.get(image.mode)
    if mode is None:
        raise UnreadableImage(path, f"pixels of mode {image.mode}", "save it as 8-bit grey or RGB")
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _sixteen_bit_colour(path: Path) -> UnreadableImage:
    return UnreadableImage(path, "16-bit colour, which would lose its lower 8 bits", "save it as 16-bit grey")


def _has_more(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _check_orientation(image: Image.Image, path: Path | str) -> None:
    if image.getexif().get(ORIENTATION, 1) != 1:
        raise UnreadableImage(
            path, "its EXIF data requests a rotation", "apply the rotation and save it with solar north up"
        )


def _check_tiff(image: Any, path: Path) -> None:
    bits = image.tag_v2.get(BITS, (1,))
    if len(bits) > 1 and max(bits) > 8:
        raise _sixteen_bit_colour(path)
    if bits[0] > 8 and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise UnreadableImage(path, "a TIFF in which 0 is white", "save it with 0 as black")


def _numbers(image: Any, kind: str) -> NDArray[np.float32]:
    """Deep grey as float32; non-finite values become NaN."""
    values = np.asarray(image)
    if kind == "TIFF" and image.mode == "I" and image.tag_v2.get(BITS) == (32,):
        unsigned = image.tag_v2.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED
        # Pillow has no unsigned 32-bit mode and would read half of the range as negative.
        values = values.view(np.uint32) if unsigned else values
    numbers = values.astype(np.float32)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers
