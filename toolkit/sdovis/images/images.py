"""The only code that opens image files: FITS, JPEG2000, JPEG, PNG and TIFF become data with unit, time and coordinates.

The format is determined by content, never by name, because Pillow would open a FITS file and misread it. All bounds
are checked before anything is decoded; `isolation.read_isolated` does the same in a separate process.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import UnreadableImage
from sdovis.images import headers
from sdovis.images.address import Address
from sdovis.images.bounds import MAX_BYTES, MAX_SIDE, refuse_empty
from sdovis.images.containers import members
from sdovis.images.fits import fits_pixels, gunzipped
from sdovis.images.jpeg2000 import checked_header
from sdovis.images.pictures import picture_pixels
from sdovis.images.pointing import pointing_problem
from sdovis.sun.constants import ARCSEC
from sdovis.sun.geometry import DiscFrame, MapGrid

__all__ = ["SolarImage", "inside", "located", "pointing_problem", "read_image"]

MAGIC = {
    b"SIMPLE  =": "FITS",
    b"\x1f\x8b": "gzip",
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG2000",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
#: What has a header and rows as FITS has them.
HEADED = ("FITS", "zarr", "NetCDF")
#: What a damaged file can make of code that takes it at its word: numbers out of range, texts where numbers belong ...
#: An `AttributeError`, `NameError` or `AssertionError` is a defect of ours in any case.
DAMAGE = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
UNFORESEEN = "damaged, in a way that sdovis does not know"
REFUSED = {
    b"%!PS": "PostScript", b"\xc5\xd0\xd3\xc6": "PostScript", b"\xff\x4f\xff\x51": "a bare JPEG2000 codestream",
    b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"II+\x00": "BigTIFF", b"MM\x00+": "BigTIFF", b"<": "a web page or XML",
    b"PK\x03\x04": "a zip archive", b"\x89HDF": "HDF5", b"%PDF": "PDF",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SolarImage:
    """An image with what is known about it.

    ``values`` is (H, W) float32 in ``unit``, or, for 8-bit pictures, uint8 (H, W) or (H, W, 3) in unit "grey" or "rgb",
    not writable; deeper grey of a PNG, TIFF or JPEG2000 is float32 in unit "count". ``format`` is the file's: FITS,
    JPEG2000, JPEG, PNG, TIFF, or, of a store's array, zarr or NetCDF. Row 0 is solar north and column 0 is east.

    Three cases are kept apart. What is missing (FITS: BLANK in integers, NaN, infinity; what a turned image does not
    cover) is NaN. 0 is a value like any other. What lies off the disc keeps its value or its NaN; `off_disc` says
    which pixels those are. In a picture nothing can be missing: what a turned picture does not cover is 0, black.

    ``frame`` is the disc of a helioprojective image, ``grid`` the grid of a map in SHARP's projection; both are None if
    neither is known. ``oriented`` is False for a FITS file without any WCS: which way its rows run is not known, and a
    `channels.view.View` has to say it. ``header`` holds the cards of `headers.PROVENANCE` as in the file, before any turn.
    """

    values: NDArray[Any]
    unit: str
    frame: DiscFrame | None = None
    observed: datetime | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    sha256: str = ""
    format: str = ""
    simulated: bool = False
    grid: MapGrid | None = None
    oriented: bool = True

    @property
    def is_picture(self) -> bool:
        """Whether the values are 8-bit grey levels or colours, not physical values."""
        return self.values.dtype == np.uint8

    @property
    def off_disc(self) -> NDArray[np.bool_] | None:
        """(H, W): which pixels look past the Sun; None if the disc's position is unknown."""
        if self.frame is None:
            return None
        y, x = np.ogrid[: self.values.shape[0], : self.values.shape[1]]
        x0, y0 = self.frame.center_px
        return np.asarray(np.hypot(x - x0, y - y0) > self._limb_px(self.frame))

    @property
    def misses_disc(self) -> bool:
        """Whether every pixel looks past the Sun; False if the disc's position is unknown."""
        if self.frame is None:
            return False
        nearest = (
            min(max(round(c), 0), side - 1) - c
            for c, side in zip(self.frame.center_px, self.values.shape[1::-1], strict=True)
        )
        return math.hypot(*nearest) > self._limb_px(self.frame)

    @staticmethod
    def _limb_px(frame: DiscFrame) -> float:
        return math.tan(frame.radius_arcsec * ARCSEC) / (frame.arcsec_per_px * ARCSEC)


def inside(root: Path, name: Path | str) -> Path:
    """The existing file ``name`` under ``root``, links followed; raises `UnreadableImage` if it is missing or outside."""
    return _existing(root, name, stat.S_ISREG)


def located(root: Path, name: str) -> Address:
    """The image that a row names: an existing file, or a member of an existing store (file or folder), as `inside` has it."""
    address = Address.of(name)
    if not address.member:
        return Address(inside(root, name))
    return Address(_existing(root, address.path, lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode)), address.member)


def _existing(root: Path, name: Path | str, fits: Callable[[int], bool]) -> Path:
    try:
        base, file = os.path.realpath(root), os.path.realpath(root / name)
        if not file.startswith(base.rstrip("/") + "/") and file != base:
            raise UnreadableImage(name, "lies outside the image root", "copy it there, or widen source.root")
        mode = Path(file).stat().st_mode
    except FileNotFoundError as error:
        raise UnreadableImage(name, "there is no such image", f"looked in {root}") from error
    except (OSError, ValueError) as error:
        raise UnreadableImage(name, f"not a usable file name: {error}") from error
    if not fits(mode):
        raise UnreadableImage(name, "is not a file")
    return Path(file)


def read_image(
    path: Path | str | Address,
    *,
    root: Path | None = None,
    observed: datetime | None = None,
    keywords: headers.Cards | None = None,
    max_picture_side: int = MAX_SIDE,
) -> SolarImage:
    """Read a FITS (also gzipped), JPEG2000, JPEG, PNG or TIFF file, solar north up; of an `Address`, also a member of a store.

    The headers of FITS and Helioviewer's JPEG2000 give time and coordinates; for other pictures, and if the header lacks
    them, ``observed`` may give the time and a `channels.view.View` the coordinates. ``keywords`` are the cards of a FITS
    file that was exported without them; a file with a WCS of its own needs none. Pictures without a header are assumed
    to be north up. Sides of all but FITS may be bounded further, by ``max_picture_side``. Raises `UnreadableImage` with the
    reason, also if memory runs out.
    """
    address = path if isinstance(path, Address) else Address(Path(path))
    shown = Path(str(address))
    try:
        if address.member:
            found = members.opener(address.kind).member(address)
            shown, data, digest = shown / found.name, found.data, found.sha256
        else:
            found = None
            data = _bytes(shown, inside(root, shown) if root is not None else shown)
            digest = hashlib.sha256(data).hexdigest()
        if found is not None and found.values is not None:
            values, cards, kind = found.values, found.cards, address.kind
            refuse_empty(values, shown)
        else:
            values, cards, kind = _decoded(data, shown, max_picture_side)
        if keywords and kind == "FITS" and not headers.places(cards):
            cards = {**keywords, **{key: value for key, value in cards.items() if value != ""}}
        return _understood(values, cards, kind, shown, digest, observed)
    except MemoryError as error:
        raise UnreadableImage(shown, "reading it needs more memory than is available") from error
    except DAMAGE as error:  # costs this image, not the run; tests/fuzz counts each such message as a finding
        hint = "if other programs open it, please report it"
        raise UnreadableImage(shown, f"{UNFORESEEN}: {type(error).__name__}: {error}", hint) from error


def _bytes(path: Path, file: Path) -> bytes:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
            raise UnreadableImage(path, "is not a file")
        if status.st_size > MAX_BYTES:
            raise UnreadableImage(path, f"larger than {MAX_BYTES // 2**20} MiB")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableImage(path, "there is no such image") from error
    except (OSError, ValueError) as error:
        raise UnreadableImage(path, f"cannot be read: {error}") from error


def _kind(data: bytes, path: Path) -> str:
    if not data:
        raise UnreadableImage(path, "the file is empty")
    kind = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)
    if kind is not None:
        return kind
    found = next((f": it is {name}" for magic, name in REFUSED.items() if data.startswith(magic)), "")
    raise UnreadableImage(path, f"not a FITS, JPEG2000, JPEG, PNG or TIFF file{found}", "convert it to one of them")


def _decoded(data: bytes, path: Path, max_picture_side: int) -> tuple[NDArray[Any], headers.Cards, str]:
    """Pixels as stored (FITS: row 0 first), the header's cards, and the format."""
    kind = _kind(data, path)
    if kind == "gzip":
        data = gunzipped(data, path)
        kind = _kind(data, path)
        if kind != "FITS":
            raise UnreadableImage(path, "a gzip file that does not contain FITS")
    if kind == "FITS":
        return *fits_pixels(data, path), kind
    cards = checked_header(data, path) if kind == "JPEG2000" else {}
    values = picture_pixels(data, kind, path, max_picture_side)
    if values.dtype != np.uint8:
        refuse_empty(values, path)
    return values, cards if values.ndim == 2 else {}, kind


def _understood(
    values: NDArray[Any],
    cards: headers.Cards,
    kind: str,
    path: Path,
    digest: str,
    observed: datetime | None,
) -> SolarImage:
    """The image north up, with what its header, or otherwise the caller, says about it."""
    frame, grid, oriented = None, None, True
    observed = headers.observed_once(cards, path) or observed
    if kind in HEADED:
        values, center, scale = headers.north_up(values, cards, path)
        frame = headers.disc_frame(cards, center, scale, observed, path)
        grid = headers.map_grid(cards, values.shape[0], path)
        values, unit = headers.in_units(values, cards, path)
        oriented = headers.places(cards)
    else:
        if "CTYPE1" in cards:
            values, center, scale = _picture_north_up(values, cards, path)
            frame = headers.disc_frame(cards, center, scale, observed, path)
        unit = "count" if values.dtype != np.uint8 else "grey" if values.ndim == 2 else "rgb"
    simulated, kept = headers.says_simulated(cards), headers.provenance(cards)
    return SolarImage(values, unit, frame, observed, kept, path, digest, kind, simulated, grid, oriented)


def _picture_north_up(
    values: NDArray[Any], cards: headers.Cards, path: Path
) -> tuple[NDArray[Any], tuple[float, float] | None, float]:
    """`headers.north_up` for a picture, whose row 0 is the header's last row."""
    turned, center, scale = headers.north_up(values[::-1].astype(np.float32), cards, path)
    if values.dtype == np.uint8:
        turned = np.clip(np.rint(np.nan_to_num(turned)), 0, 255).astype(np.uint8)
    return turned, center, scale
