"""What an image's header says: when it was taken, where the Sun lies in it, and which cards to keep.

A header maps FITS keywords to numbers and strings, whether it came from a FITS file or a JPEG2000's XML.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdovis.errors import UnreadableImage
from sdovis.sun.constants import ARCSEC, NOMINAL_RADIUS_M
from sdovis.sun.geometry import DiscFrame, MapGrid, unturned
from sdovis.sun.times import utc

Cards: TypeAlias = Mapping[str, Any]

PROVENANCE = (
    "TELESCOP INSTRUME OBSRVTRY DETECTOR ORIGIN CONTENT SEGMENT DRMS_ID BUNIT WAVELNTH WAVEUNIT EXPTIME QUALITY "
    "QUALLEV1 T_REC T_OBS DATE-OBS TIMESYS CADENCE HARPNUM NOAA_AR NOAA_NUM NOAA_ARS CTYPE1 CTYPE2 CUNIT1 CUNIT2 "
    "CRPIX1 CRPIX2 CRVAL1 CRVAL2 CDELT1 CDELT2 CROTA2 PC1_1 PC1_2 PC2_1 PC2_2 CD1_1 CD1_2 CD2_1 CD2_2 RSUN_OBS "
    "RSUN_REF RSUN_FIX DSUN_OBS CRLT_OBS CRLN_OBS HGLN_OBS HGLT_OBS LVL_NUM DEG_COR"
).split()

#: Units of the field and of intensity that values are brought to. Cameras count in DN; FITS calls that "ct".
GAUSS, DN, DN_PER_SECOND = "G", "DN", "DN/s"
#: Spellings that astropy does not know.
_ALIASES = {
    "counts": "ct", "dns": "ct", "adu": "ct", "dn": "ct", "sec": "s", "secs": "s",
    "gauss": "G", "g": "G", "kgauss": "kG", "mgauss": "mG",
    "degrees": "deg", "degs": "deg", "arcsecs": "arcsec", "arcseconds": "arcsec", "arcmins": "arcmin",
    "arcminutes": "arcmin", "radians": "rad",
}  # fmt: skip
#: Of the telescopes whose headers leave out CUNIT none has finer pixels: a smaller step may be one in degrees.
FINEST_ARCSEC = 0.1
#: A FITS card holds no more; astropy's parser takes seconds for thousands of characters.
LONGEST_UNIT = 80
_WORD = re.compile(r"[A-Za-z]+")
MAX_FLOAT = int(sys.float_info.max)
#: The times of one image's header differ by less: HMI's longest observable is of 96 minutes.
LONGEST = timedelta(hours=2)

#: The keywords that say how an image is turned, or that it is not.
PLACING = ("CDELT1", "CDELT2", "CROTA2", *(f"{name}{i}_{j}" for name in ("PC", "CD") for i in "12" for j in "12"))

_TIME = re.compile(r"(\d{4})[-./](\d\d)[-./](\d\d)[T_ ](\d\d):(\d\d)(?::(\d\d(?:\.\d*)?))?_?(TAI|UTC|Z|)")


def provenance(cards: Cards) -> dict[str, Any]:
    """The cards worth keeping with the image: those of `PROVENANCE` that are present and not empty; QUALITY even if empty."""
    return {key: cards[key] for key in PROVENANCE if cards.get(key, "") != "" or (key == "QUALITY" and key in cards)}


def places(cards: Cards) -> bool:
    """Whether a header says which way its image is turned: without a WCS nobody knows."""
    return any(key in cards for key in PLACING)


def restored(cards: Cards) -> dict[str, Any]:
    """``cards`` under FITS' own names.

    Since mid-2025 JSOC's exports write ``_BUNIT``, ``_DATAMIN`` and ``_DATAMAX`` for the keywords that FITS reserves.
    """
    known = dict(cards)
    for key, value in cards.items():
        if key.startswith("_") and known.get(key[1:], "") == "":
            known[key[1:]] = value
    return known


def in_units(values: NDArray[Any], cards: Cards, path: Path) -> tuple[NDArray[Any], str]:
    """``values`` in G, DN/s or DN if BUNIT is a unit of one of these kinds; in any other unit, which is named as written.

    Raises `UnreadableImage` if two cards disagree on the unit.
    """
    text = str(cards.get("BUNIT", "")).strip()
    factor, unit = _brought(text)
    renamed = str(cards.get("_BUNIT", "")).strip()
    if renamed and _brought(renamed) != (factor, unit):
        raise UnreadableImage(path, f"its header contradicts itself: BUNIT is {text!r}, _BUNIT is {renamed!r}")
    return (values if factor == 1 else values * np.float32(factor)), unit


@lru_cache(maxsize=64)
def _brought(text: str) -> tuple[float, str]:
    """By what to multiply values in the unit ``text`` to have them in G, DN/s or DN; 1 and the text for any other unit."""
    found = _parsed(text)
    if found is None:
        return 1.0, text
    from astropy import units

    wanted = {GAUSS: units.G, DN: units.ct, DN_PER_SECOND: units.ct / units.s}
    for name, target in wanted.items():
        if scale := next((each for each in (target, target / units.pix) if found.is_equivalent(each)), None):
            factor = float(found.to(scale))
            return (1.0 if math.isclose(factor, 1, rel_tol=1e-12) else factor), name
    return 1.0, text


def _parsed(text: str) -> Any:
    """The unit that ``text`` names, DN counted as counts; None for what is not a unit."""
    from astropy import units

    if not 0 < len(text) <= LONGEST_UNIT:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", units.UnitsWarning)  # of spellings that the standard discourages
        for words in (_WORD.sub(lambda word: _ALIASES.get(word[0].lower(), word[0]), text), text.lower()):
            try:
                return units.Unit(words)
            except (ValueError, TypeError):
                continue
    return None


def _angles(cards: Cards, path: Path, *, absent: str) -> NDArray[np.float64]:
    """Arc seconds in one CUNIT1 and in one CUNIT2, which may differ; ``absent`` is the unit where a card says nothing.

    Raises `UnreadableImage` for what is not an angle.
    """
    found = []
    for key in ("CUNIT1", "CUNIT2"):
        text = str(cards.get(key, "")).strip() or absent
        size = _arcsec(text)
        if size is None:
            raise UnreadableImage(path, f"{key} is {text!r}, which is not a unit of angle", "write arcsec or deg")
        found.append(size)
    return np.array(found)


@lru_cache(maxsize=64)
def _arcsec(text: str) -> float | None:
    """Arc seconds in the unit ``text``; None for what is not an angle."""
    from astropy import units

    unit = _parsed(text)
    return float(unit.to(units.arcsec)) if unit is not None and unit.is_equivalent(units.arcsec) else None


def within_floats(value: Any) -> Any:
    """``value``, but an integer that no float holds as infinity: damage, which `number` then takes for nothing."""
    if isinstance(value, int) and abs(value) > MAX_FLOAT:
        return math.inf if value > 0 else -math.inf
    return value


def number(cards: Cards, key: str) -> float | None:
    """The finite number under ``key``, or None."""
    value = cards.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def says_simulated(cards: Cards) -> bool:
    """Whether the header says that the image was not observed."""
    words = " ".join(str(cards.get(k, "")) for k in ("ORIGIN", "CONTENT", "OBJECT", "COMMENT", "TELESCOP", "INSTRUME"))
    return bool(cards.get("SIMULATE")) or "simulated" in words.lower()


def observed(cards: Cards) -> datetime | None:
    """The observation's time in UTC. HMI's T_OBS and T_REC are TAI; all of AIA's dates are UTC."""
    return next(iter(_times(cards).values()), None)


def observed_once(cards: Cards, path: Path) -> datetime | None:
    """As `observed`. Raises `UnreadableImage` if times are more than `LONGEST` apart: one of them is another image's."""
    found = _times(cards)
    if found and max(found.values()) - min(found.values()) > LONGEST:
        said = ", ".join(f"{key} is {cards[key]!r}" for key in found)
        raise UnreadableImage(path, f"its header contradicts itself: {said}", "correct the wrong time")
    return next(iter(found.values()), None)


def _times(cards: Cards) -> dict[str, datetime]:
    """The times that the header gives, the most exact first."""
    found = {}
    hmi = str(cards.get("INSTRUME", "")).startswith("HMI")
    for key in ("T_OBS", "T_REC", "DATE-OBS", "DATE_OBS"):
        match = _TIME.fullmatch(str(cards.get(key, "")).strip())
        if not match:
            continue
        year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
        unstated = "TAI" if hmi and key.startswith("T_") else str(cards.get("TIMESYS", "UTC")).strip().upper()
        scale = {"": unstated, "Z": "UTC"}.get(match[7], match[7])
        try:
            found[key] = utc(year, month, day, hour, minute, float(match[6] or 0), scale)
        except ValueError:  # an invalid date, such as month 13: the next keyword may be valid
            continue
    return found


def disc_frame(
    cards: Cards, center: tuple[float, float] | None, scale: float, when: datetime | None, path: Path
) -> DiscFrame | None:
    """The disc in a helioprojective image seen from near the Earth; None if the header does not give it.

    ``center`` and ``scale`` are those of `north_up`. Raises `UnreadableImage` for a Sun seen from elsewhere.
    """
    if center is None or not str(cards.get("CTYPE1", "")).startswith("HPLN"):
        return None
    if abs(number(cards, "HGLN_OBS") or 0.0) > 1:
        return None
    radius, distance = number(cards, "RSUN_OBS"), number(cards, "DSUN_OBS")
    if radius is None and distance and 0 < (number(cards, "RSUN_REF") or NOMINAL_RADIUS_M) < distance:
        radius = math.asin((number(cards, "RSUN_REF") or NOMINAL_RADIUS_M) / distance) / ARCSEC
    b0 = next((b for b in (number(cards, "CRLT_OBS"), number(cards, "HGLT_OBS")) if b is not None), None)
    if when is not None and (radius is None or b0 is None):
        nominal = DiscFrame.at(when, center, scale)
        radius = nominal.radius_arcsec if radius is None else radius
        b0 = nominal.b0_deg if b0 is None else b0
    if radius is None or b0 is None:
        return None
    if not (500 < radius < 2000 and abs(b0) < 10):
        raise UnreadableImage(path, f"the header's Sun is not as seen from the Earth: radius {radius} arcsec, B0 {b0}")
    return DiscFrame(center, scale, radius, b0)


def map_grid(cards: Cards, height: int, path: Path) -> MapGrid | None:
    """The grid of a cylindrical equal-area map of ``height`` rows, north up; None for other maps, or if keywords are missing.

    If CTYPE1 begins with CRLN, CRVAL1 is a Carrington longitude: CRLN_OBS, the central meridian's, is subtracted.
    Raises `UnreadableImage` for coordinates that are not angles.
    """
    if (str(cards.get("CTYPE1", "")).strip(), str(cards.get("CTYPE2", "")).strip()) not in (
        ("CRLN-CEA", "CRLT-CEA"),
        ("HGLN-CEA", "HGLT-CEA"),
    ):
        return None
    across, up = _angles(cards, path, absent="deg") / 3600
    keys = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2")
    x, y, lon, lat, wide, high = (number(cards, key) for key in keys)
    meridian = number(cards, "CRLN_OBS") if str(cards["CTYPE1"]).startswith("CRLN") else 0.0
    if x is None or y is None or lon is None or lat is None or wide is None or high is None or meridian is None:
        return None
    lon, lat, wide, high = lon * across, lat * up, wide * across, high * up
    equal_area = number(cards, "PV2_1") in (None, 1.0) and abs(lat) <= 90
    if not equal_area or not 0 < wide < 10 or abs(high / wide - 1) > 1e-6:
        return None
    return MapGrid((x - 1, height - y), lat, (lon - meridian + 180) % 360 - 180, wide)


def north_up(
    values: NDArray[np.float32], cards: Cards, path: Path
) -> tuple[NDArray[np.float32], tuple[float, float] | None, float]:
    """``values`` with row 0 = north and column 0 = east, the disc's centre (x, y) and arcsec per pixel.

    The linear part of the WCS (PC or CD matrix, or CDELT and CROTA2: Greisen & Calabretta 2002, A&A 395, 1061) is
    undone by `geometry.unturned`. Heliographic maps (CRLN-CEA ...) are only flipped; images without CTYPE are taken
    as helioprojective.
    """
    ctype = str(cards.get("CTYPE1", "")).strip()
    if ctype[:4] in ("CRLN", "HGLN"):
        _refuse_other_maps(cards, values.shape[1], path)
        return np.ascontiguousarray(values[::-1]), None, math.nan
    if ctype and not ctype.startswith(("HPLN", "SOLARX", "SOLAR-X", "SOLAR_X")):
        raise UnreadableImage(path, f"not an image of the Sun: CTYPE1 = {ctype}")
    if ctype.startswith("HPLN") and not str(cards.get("CTYPE2", "HPLT")).strip().startswith("HPLT"):
        raise UnreadableImage(path, f"its header contradicts itself: CTYPE1 = {ctype}, CTYPE2 = {cards['CTYPE2']}")
    if ctype and not ("CDELT1" in cards or "CD1_1" in cards):
        raise UnreadableImage(path, f"CTYPE1 is {ctype}, but no CDELT1 gives the scale")
    try:
        matrix, shift = _pixel_to_arcsec(cards, path)
        scale = math.sqrt(abs(np.linalg.det(matrix)))
        if not (1e-3 < scale < 1e4 and np.linalg.cond(matrix) < 10 and np.isfinite(shift).all()):
            raise ValueError(f"{scale:.3g} arcsec per pixel")
        if "CUNIT1" not in cards and scale < FINEST_ARCSEC:
            raise ValueError(f"CUNIT1 is absent, and CDELT1 = {cards.get('CDELT1')} may be in degrees")
        middle = [(n + 1) / 2 for n in values.shape]
        origin = np.array([cards.get("CRPIX1", middle[1]), cards.get("CRPIX2", middle[0])], float) - 1
        center = origin - np.linalg.solve(matrix, shift)
        if not np.isfinite(center).all():
            raise ValueError(f"CRPIX1 = {cards.get('CRPIX1')}, CRPIX2 = {cards.get('CRPIX2')}")
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:
        raise UnreadableImage(path, f"the header's coordinate system is broken: {error}") from error
    turned, (x, y) = unturned(values, matrix / scale, center)
    # FITS counts rows from the south, images from the north.
    return np.ascontiguousarray(turned[::-1]), (float(x), float(turned.shape[0] - 1 - y)), scale


def _refuse_other_maps(cards: Cards, width: int, path: Path) -> None:
    """Raise `UnreadableImage` for maps that are turned or mirrored, or of the whole Sun, put together in a rotation."""
    ctypes = [str(cards.get(key, "")).strip() for key in ("CTYPE1", "CTYPE2")]
    said = " and ".join(filter(None, ctypes))
    if ctypes[1] and ctypes[1][:4] != ctypes[0][:2] + "LT":
        raise UnreadableImage(path, f"its header contradicts itself: the axes are {said}")
    for key in ("CROTA1", "CROTA2", "PC1_2", "PC2_1", "CD1_2", "CD2_1"):
        if cards.get(key, 0) != 0:
            raise UnreadableImage(path, f"a rotated map: CTYPE1 = {ctypes[0]}, {key} = {cards[key]}")
    for key in ("CDELT1", "CDELT2", "PC1_1", "PC2_2", "CD1_1", "CD2_2"):
        if (number(cards, key) or 0) < 0:
            raise UnreadableImage(path, f"a mirrored map: CTYPE1 = {ctypes[0]}, {key} = {cards[key]}")
    step = number(cards, "CDELT1") or number(cards, "CD1_1") or 0.0
    wide = step * width * float(_angles(cards, path, absent="deg")[0]) / 3600
    if wide > 180:
        what = f"a map of {wide:.0f} degrees of longitude ({said}), which no image shows at one time"
        raise UnreadableImage(path, what, "cut the region out of an image of its day")


def _pixel_to_arcsec(cards: Cards, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    units = _angles(cards, path, absent="arcsec")
    shift = np.array([cards.get("CRVAL1", 0.0), cards.get("CRVAL2", 0.0)], float) * units
    if "CD1_1" in cards:
        return units[:, None] * np.array([[cards.get(f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)], float), shift
    step = np.array([cards.get("CDELT1", 1.0), cards.get("CDELT2", 1.0)], float) * units
    for key in ("CROTA1", "CROTA"):
        if number(cards, key) and not any(name in cards for name in ("CROTA2", "PC1_1")):
            hint = "write the angle in CROTA2"
            raise UnreadableImage(path, f"{key} is {cards[key]}, but CROTA2 says how an image is turned", hint)
    angle = math.radians(cards.get("CROTA2", 0.0))
    rotated = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * step
    if any(f"PC{i}_{j}" in cards for i in (1, 2) for j in (1, 2)):
        turn = np.array([[cards.get(f"PC{i}_{j}", float(i == j)) for j in (1, 2)] for i in (1, 2)], float)
        matrix = step[:, None] * turn
        if angle and not np.allclose(matrix, rotated, rtol=0, atol=0.01 * np.abs(step).max()):
            raise ValueError(f"CROTA2 is {cards['CROTA2']}, but the PC matrix is of another turn")
        return matrix, shift
    return rotated, shift
