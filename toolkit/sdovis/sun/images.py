"""The only place where pixels are opened: FITS, JPEG and PNG become data with a unit, a time and a place on the Sun.

The format is decided by content, never by the name, because Pillow would open a FITS file and get it wrong. All
bounds are checked before anything is decoded.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.errors import UnreadableImage
from sdovis.sun.geometry import ARCSEC, DiscFrame, unturned
from sdovis.sun.pointing import pointing_problem

__all__ = ["SolarImage", "inside", "pointing_problem", "read_image"]

MAX_SIDE = 8192  # SDO's cameras have 4096 pixels a side
MAX_BYTES = 4 * MAX_SIDE**2 + 2**20
MAX_HEADER_BYTES = 2**20
MAX_HDUS = 32

PROVENANCE = (
    "TELESCOP INSTRUME ORIGIN CONTENT BUNIT WAVELNTH EXPTIME QUALITY T_REC T_OBS DATE-OBS HARPNUM NOAA_AR NOAA_ARS "
    "CTYPE1 CTYPE2 CDELT1 CDELT2 CROTA2 RSUN_OBS DSUN_OBS CRLT_OBS CRLN_OBS HGLN_OBS HGLT_OBS LVL_NUM"
).split()

UNITS = {
    "gauss": "G", "g": "G", "mx/cm^2": "G", "mx/cm2": "G", "mx/cm**2": "G",
    "dn/s": "DN/s", "dn s-1": "DN/s", "dn s^-1": "DN/s", "dn": "DN",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SolarImage:
    """An image with what is known of it.

    ``values`` is (H, W) float32 in ``unit`` with nan where data is missing, or, for 8-bit pictures, uint8 (H, W) or
    (H, W, 3) in unit "grey" or "rgb"; a 16-bit grey PNG is float32 in unit "count". ``format`` is the file's: FITS,
    JPEG or PNG. Row 0 is the solar north and column 0 the east.
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

    @property
    def is_picture(self) -> bool:
        """Whether the values are 8-bit grey levels or colours, not physical values."""
        return self.values.dtype == np.uint8


def inside(root: Path, name: Path | str) -> Path:
    """The existing file ``name`` under ``root``, links followed; `UnreadableImage` where it is missing or outside."""
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise UnreadableImage(name, "lies outside the image root", "copy it there, or widen source.root")
        if not path.exists():
            raise UnreadableImage(name, "there is no such image", f"looked in {root}")
        if not path.is_file():
            raise UnreadableImage(name, "is not a file")
    except (OSError, ValueError) as error:
        raise UnreadableImage(name, f"not a usable file name: {error}") from error
    return path


def read_image(
    path: Path | str,
    *,
    root: Path | None = None,
    center_px: tuple[float, float] | None = None,
    arcsec_per_px: float | None = None,
    observed: datetime | None = None,
) -> SolarImage:
    """Read a FITS (also gzipped), JPEG or PNG file, solar north up.

    A FITS header says where and when; for pictures, and where the header is silent, ``center_px``, ``arcsec_per_px``
    and ``observed`` do. Pictures are taken to be north up already. Raises `UnreadableImage` with the reason.
    """
    path = Path(path)
    data = _bytes(path, inside(root, path) if root is not None else path)
    digest = hashlib.sha256(data).hexdigest()
    kind = _kind(data, path)
    if kind == "gzip":
        data = _gunzip(data, path)
        kind = _kind(data, path)
        if kind != "FITS":
            raise UnreadableImage(path, "a gzip file that holds no FITS file")
    cards: Mapping[str, Any] = {}
    frame = None
    if kind == "FITS":
        raw, cards = _fits_pixels(data, path)
        observed = _observed(cards) or observed
        values, center, scale = _north_up(raw, cards, path)
        frame = _frame(cards, center, scale, observed, path)
        unit = str(cards.get("BUNIT", "")).strip()
        unit = UNITS.get(unit.lower().replace(" / ", "/"), unit)
    else:
        values = _picture_pixels(data, kind, path)
        unit = "count" if values.dtype != np.uint8 else "grey" if values.ndim == 2 else "rgb"
    if "CTYPE1" not in cards and center_px is not None and arcsec_per_px is not None and observed is not None:
        frame = DiscFrame.at(observed, center_px, arcsec_per_px)
    header = {key: cards[key] for key in PROVENANCE if cards.get(key, "") != ""}
    return SolarImage(values, unit, frame, observed, header, path, digest, kind, _says_simulated(cards))


def _bytes(path: Path, file: Path) -> bytes:
    try:
        if not file.is_file():
            raise UnreadableImage(path, "is not a file" if file.exists() else "there is no such image")
        if file.stat().st_size > MAX_BYTES:
            raise UnreadableImage(path, f"larger than {MAX_BYTES // 2**20} MiB")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise UnreadableImage(path, f"cannot be read: {error}") from error


def _kind(data: bytes, path: Path) -> str:
    if not data:
        raise UnreadableImage(path, "the file is empty")
    for magic, kind in (
        (b"SIMPLE  =", "FITS"),
        (b"\x1f\x8b", "gzip"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
    ):
        if data.startswith(magic):
            return kind
    known = {b"\x00\x00\x00\x0cjP  ": "JPEG2000", b"II*\x00": "TIFF", b"MM\x00*": "TIFF", b"%!PS": "PostScript"}
    found = next((f": it is {name}" for magic, name in known.items() if data.startswith(magic)), "")
    raise UnreadableImage(path, f"not a FITS, JPEG or PNG file{found}", "convert it to one of them")


def _gunzip(data: bytes, path: Path) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImage(path, f"truncated or damaged gzip: {error}") from error
    if len(plain) > MAX_BYTES:
        raise UnreadableImage(path, f"larger than {MAX_BYTES // 2**20} MiB when decompressed")
    return plain


# --- pictures ---------------------------------------------------------------------------------------------------------


def _picture_pixels(data: bytes, kind: str, path: Path) -> NDArray[Any]:
    """(H, W) or (H, W, 3) uint8; a 16-bit grey PNG as (H, W) float32 counts."""
    if kind == "PNG" and data[24:25] == b"\x10" and data[25:26] != b"\x00":
        raise UnreadableImage(path, "a 16-bit colour PNG, which would lose its lower 8 bits", "save it as 16-bit grey")
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            _check_size(image.width, image.height, path)
            if getattr(image, "n_frames", 1) > 1:
                raise UnreadableImage(path, "an animation, not one image")
            image.load()
            if image.getexif().get(0x0112, 1) != 1:
                raise UnreadableImage(path, "its EXIF data asks for a rotation", "save it turned, with solar north up")
            if image.mode.startswith("I"):
                return np.asarray(image).astype(np.float32)
            if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise UnreadableImage(path, "has transparent pixels", "save it without transparency")
            mode = {"L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "P": "RGB"}.get(image.mode)
            if mode is None:
                raise UnreadableImage(path, f"pixels of mode {image.mode}", "save it as 8-bit grey or RGB")
            return np.asarray(image.convert(mode)).copy()
    except UnreadableImage:
        raise
    # Pillow's plug-ins raise almost anything on damaged input; each means that this file cannot be decoded.
    except Exception as error:
        raise UnreadableImage(path, f"damaged {kind}: {error}") from error


def _check_size(width: int, height: int, path: Path) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UnreadableImage(path, f"{width} x {height} pixels, where 1 to {MAX_SIDE} a side are allowed")


# --- FITS -------------------------------------------------------------------------------------------------------------


def _fits_pixels(data: bytes, path: Path) -> tuple[NDArray[np.float32], Mapping[str, Any]]:
    """The first two-dimensional image, rows as stored (row 0 first), missing = nan, and its header."""
    from astropy.io import fits

    if len(data) < 2880 or data.find(b"END" + b" " * 77, 0, MAX_HEADER_BYTES) < 0:
        raise UnreadableImage(path, "truncated: the FITS header has no end")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns of cosmetic faults in JSOC's own headers
            index = _first_image(fits, data, path)
            with fits.open(io.BytesIO(data), memmap=False) as file:
                header = file[index].header
                if header.get("BSCALE", 1) == 0:
                    raise UnreadableImage(path, "BSCALE is 0: all values are lost")
                values = np.asarray(file[index].data, np.float32)
                cards = _cards(fits, header)
    except UnreadableImage:
        raise
    # Damaged FITS surfaces as any exception of astropy, numpy or a codec; each means that it cannot be decoded.
    except Exception as error:
        raise UnreadableImage(path, f"damaged FITS: {type(error).__name__}: {error}") from error
    values[~np.isfinite(values)] = np.nan
    if np.isnan(values).all():
        raise UnreadableImage(path, "every pixel is missing")
    return values, cards


def _cards(fits: Any, header: Any) -> dict[str, Any]:
    """The header's readable values, comments and history joined under COMMENT."""
    cards: dict[str, Any] = {}
    remarks = []
    for card in header.cards:
        try:
            key, value = card.keyword, card.value
        except fits.VerifyError:  # JSOC writes "R_VALUE = nan", which is no FITS
            continue
        if key in ("COMMENT", "HISTORY"):
            remarks.append(str(value))
        elif isinstance(value, str | int | float):
            cards.setdefault(key, value)
    return cards | {"COMMENT": " ".join(remarks)}


def _first_image(fits: Any, data: bytes, path: Path) -> int:
    """Index of the first HDU with a 2-D image that is whole and within bounds, found without decoding anything."""
    seen = []
    with fits.open(io.BytesIO(data), memmap=False, disable_image_compression=True, lazy_load_hdus=True) as file:
        for index in range(MAX_HDUS):
            try:
                hdu = file[index]
            except IndexError:
                break
            header, at = hdu.header, hdu.fileinfo()["datLoc"]
            z = "Z" if header.get("ZIMAGE") else ""
            sides = [header[f"{z}NAXIS{i}"] for i in range(1, header[f"{z}NAXIS"] + 1)]
            if at + hdu.size > len(data):
                raise UnreadableImage(path, f"truncated: {len(data)} of {at + hdu.size} bytes")
            if len(sides) == 2 and (z or isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU)):
                _check_size(sides[0], sides[1], path)
                if z:  # a tile is unpacked whole, however small the image
                    _check_size(header.get("ZTILE1", sides[0]), header.get("ZTILE2", 1), path)
                return index
            seen += [f"{len(sides)}-D {'image' if z or hdu.is_image else 'table'}"] if sides else []
    only = f", only a {' and a '.join(seen)}" if seen else ""
    cut = "truncated: " if len(data) % 2880 else ""  # FITS is written in blocks of 2880 bytes
    raise UnreadableImage(path, f"{cut}holds no 2-D image{only}")


def _says_simulated(cards: Mapping[str, Any]) -> bool:
    words = " ".join(str(cards.get(k, "")) for k in ("ORIGIN", "CONTENT", "OBJECT", "COMMENT", "TELESCOP", "INSTRUME"))
    return bool(cards.get("SIMULATE")) or "simulated" in words.lower()


def _observed(cards: Mapping[str, Any]) -> datetime | None:
    """The observation's time in UTC. HMI's T_OBS and T_REC are TAI, all of AIA's dates are UTC."""
    from astropy.time import Time

    hmi = str(cards.get("INSTRUME", "")).startswith("HMI")
    for key in ("T_OBS", "T_REC", "DATE-OBS", "DATE_OBS"):
        pattern = r"(\d{4})[-./](\d\d)[-./](\d\d)[T_ ](\d\d:\d\d(?::\d\d(?:\.\d*)?)?)_?(TAI|UTC|Z|)"
        match = re.fullmatch(pattern, str(cards.get(key, "")).strip())
        if not match:
            continue
        *ymd, clock, stated = match.groups()
        unstated = "tai" if hmi and key.startswith("T_") else str(cards.get("TIMESYS", "UTC")).strip().lower()
        scale = {"TAI": "tai", "UTC": "utc", "Z": "utc"}.get(stated, unstated)
        try:
            time = Time(f"{'-'.join(ymd)}T{clock}", scale=scale if scale in ("tai", "tt") else "utc")
            return time.utc.to_datetime(timezone=UTC, leap_second_strict="silent")  # type: ignore[no-any-return]
        except ValueError:  # a date that is none, such as month 13: the next keyword may be whole
            continue
    return None


def _number(cards: Mapping[str, Any], key: str) -> float | None:
    """The finite number under ``key``, or None."""
    value = cards.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _frame(
    cards: Mapping[str, Any], center: tuple[float, float] | None, scale: float, observed: datetime | None, path: Path
) -> DiscFrame | None:
    """The disc in a helioprojective image seen from near the Earth; None where the header does not tell."""
    if center is None or not str(cards.get("CTYPE1", "")).startswith("HPLN"):
        return None
    if abs(_number(cards, "HGLN_OBS") or 0.0) > 1:
        return None
    radius, distance = _number(cards, "RSUN_OBS"), _number(cards, "DSUN_OBS")
    if radius is None and distance:
        radius = math.asin((_number(cards, "RSUN_REF") or 6.957e8) / distance) / ARCSEC
    b0 = next((b for b in (_number(cards, "CRLT_OBS"), _number(cards, "HGLT_OBS")) if b is not None), None)
    if observed is not None and (radius is None or b0 is None):
        nominal = DiscFrame.at(observed, center, scale)
        radius = nominal.radius_arcsec if radius is None else radius
        b0 = nominal.b0_deg if b0 is None else b0
    if radius is None or b0 is None:
        return None
    if not (500 < radius < 2000 and abs(b0) < 10):
        raise UnreadableImage(path, f"the header's Sun cannot be seen from the Earth: radius {radius} arcsec, B0 {b0}")
    return DiscFrame(center, scale, radius, b0)


def _north_up(
    values: NDArray[np.float32], cards: Mapping[str, Any], path: Path
) -> tuple[NDArray[np.float32], tuple[float, float] | None, float]:
    """``values`` with row 0 = north and column 0 = east, the disc's centre (x, y) and arcsec per pixel.

    The linear part of the WCS (PC or CD matrix, or CDELT and CROTA2: Greisen & Calabretta 2002, A&A 395, 1061) is
    undone by `geometry.unturned`. Heliographic maps (CRLN-CEA ...) are only flipped; images without CTYPE are taken
    as helioprojective.
    """
    ctype = str(cards.get("CTYPE1", "")).strip()
    if ctype[:4] in ("CRLN", "HGLN"):
        if cards.get("CROTA2", 0) != 0:
            raise UnreadableImage(path, f"a rotated map: CTYPE1 = {ctype}, CROTA2 = {cards['CROTA2']}")
        return np.ascontiguousarray(values[::-1]), None, math.nan
    if ctype and not ctype.startswith(("HPLN", "SOLARX", "SOLAR-X", "SOLAR_X")):
        raise UnreadableImage(path, f"not an image of the Sun: CTYPE1 = {ctype}")
    try:
        matrix, shift = _pixel_to_arcsec(cards)
        scale = math.sqrt(abs(np.linalg.det(matrix)))
        if not (1e-3 < scale < 1e4 and np.linalg.cond(matrix) < 10 and np.isfinite(shift).all()):
            raise ValueError(f"{scale:.3g} arcsec a pixel")
        middle = [(n + 1) / 2 for n in values.shape]
        origin = np.array([cards.get("CRPIX1", middle[1]), cards.get("CRPIX2", middle[0])], float) - 1
        center = origin - np.linalg.solve(matrix, shift)
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:
        raise UnreadableImage(path, f"the header's coordinate system is broken: {error}") from error
    turned, (x, y) = unturned(values, matrix / scale, center)
    # FITS counts rows from the south, images from the north.
    return np.ascontiguousarray(turned[::-1]), (float(x), float(turned.shape[0] - 1 - y)), scale


def _pixel_to_arcsec(cards: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    unit = 3600.0 if str(cards.get("CUNIT1", "")).strip().lower() in ("deg", "degree", "degrees") else 1.0
    shift = np.array([cards.get("CRVAL1", 0.0), cards.get("CRVAL2", 0.0)], float) * unit
    if "CD1_1" in cards:
        return unit * np.array([[cards.get(f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)], float), shift
    step = np.array([cards.get("CDELT1", 1.0), cards.get("CDELT2", 1.0)], float)
    if any(f"PC{i}_{j}" in cards for i in (1, 2) for j in (1, 2)):
        turn = np.array([[cards.get(f"PC{i}_{j}", float(i == j)) for j in (1, 2)] for i in (1, 2)], float)
        return unit * step[:, None] * turn, shift
    angle = math.radians(cards.get("CROTA2", 0.0))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return unit * turn * step, shift
