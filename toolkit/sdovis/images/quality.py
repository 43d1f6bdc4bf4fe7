"""What the QUALITY keyword says about an image, and which bits make the image unusable.

The bits of AIA and HMI mean different things:

- AIA level 1 and 1.5: table 2 in section 7.7.6 of the SDO user guide (Nightingale et al.), as in `aiapy`'s
  ``check_quality_flag``; JSOC's quallev1.h.
- HMI's line-of-sight observables (full disc): jsoc.stanford.edu/doc/data/hmi/Quality_Bits/QUALITY.txt, 24 May 2013.
- HMI's vector data, including SHARP: HMI_IQUV_averaging.c of the JSOC software. There eclipse is bit 9, not 8.

Images are rejected if they show no Sun, not the Sun that they claim to show, or a partly dark one: no data, more than
5 % of the pixels missing, eclipse, lunar transit, spacecraft or image-stabilization loop not pointing, dark and
calibration frames. Images are kept if only their processing was less than perfect: quick-look data, a lost cosmic-ray
list, a few missing pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sdovis.images.images import SolarImage

AIA_FATAL = {
    10: "more than 5 % of the pixels are missing",
    11: "more than 25 % of the pixels are missing",
    12: "the spacecraft was not in science pointing mode",
    13: "eclipse",
    14: "the Sun was not in the spacecraft's sight",
    15: "the spacecraft was in safe mode",
    16: "a dark frame",
    17: "the loop that holds the image still was open",
    18: "a calibration frame",
    20: "out of focus",
    31: "the image is not available",
}

_NO_OBSERVABLE = {
    17: "too few filtergrams",
    18: "the interpolation in time failed",
    19: "too few points to interpolate between",
    20: "no keywords of the look-up tables",
    21: "no look-up tables",
    22: "keywords of a filtergram are missing",
    23: "a wrong number of wavelengths",
    24: "keywords of a filtergram are missing",
    25: "too few filtergrams",
    26: "the filtergrams are not of one list",
    27: "a wrong cadence",
    28: "no list of filtergrams",
    29: "keywords could not be interpolated",
    30: "no filtergram near this time",
    31: "no data",
}
HMI_FATAL = _NO_OBSERVABLE | {
    5: "poor quality: eclipse, lunar transit, thermal recovery or an open loop",
    7: "no polynomial coefficients",
    8: "eclipse",
    9: "no keywords of the polynomial coefficients",
}
HMI_VECTOR_FATAL = _NO_OBSERVABLE | {
    5: HMI_FATAL[5],
    9: "eclipse",
    17: "the interpolation in time failed",
    18: "too few points to interpolate between",
    19: "no keywords of the look-up tables",
    20: "no look-up tables",
    21: "a wrong number of wavelengths",
    22: "the filtergrams are not where their list has them",
    23: "the filtergrams are not of one list",
    24: "a wrong kind of polarization",
    25: "a wrong number of polarizations",
    26: "a list of filtergrams of a wrong length",
}


def quality_problem(image: SolarImage) -> str | None:
    """Why the image's QUALITY makes it unusable, naming the bits; None if it does not, or is absent.

    Of AIA and HMI a QUALITY that is empty, or no number of 32 bits, makes it unusable too: nobody can say that it is good.
    """
    said, fatal = image.header.get("QUALITY"), _table(image.header)
    if said is None or not fatal:
        return None
    value = _bits(said)
    if value is None:
        return f"QUALITY is {repr(said) if str(said).strip() else 'empty'}, where a number of 32 bits is expected"
    found = [f"bit {bit}: {meaning}" for bit, meaning in fatal.items() if value >> bit & 1]
    if not found:
        return None
    return f"QUALITY is 0x{value:08X} ({', '.join(sorted(found, key=lambda f: int(f[4 : f.index(':')])))})"


def _table(header: Mapping[str, Any]) -> dict[int, str]:
    said = (str(header.get(key, "")).upper().removeprefix("SDO/") for key in ("INSTRUME", "TELESCOP", "DRMS_ID"))
    instrument = next(filter(None, said), "")
    if instrument.startswith("AIA"):
        return AIA_FATAL
    if instrument.startswith("HMI"):
        return HMI_VECTOR_FATAL if header.get("HARPNUM") or instrument == "HMI_COMBINED" else HMI_FATAL
    return {}


def _bits(quality: object) -> int | None:
    """QUALITY as an unsigned 32-bit number: files have it signed, unsigned or as hexadecimal text. None if it is no such."""
    if isinstance(quality, str):
        try:
            # JSOC's registers have eight hexadecimal digits, with or without 0x before them.
            quality = int(quality, 16 if re.fullmatch(r"\s*[0-9A-Fa-f]{8}\s*", quality) else 0)
        except ValueError:
            return None
    if isinstance(quality, bool) or not isinstance(quality, int | float):
        return None
    whole = -(2**31) <= quality < 2**32 and quality % 1 == 0
    return int(quality) & 0xFFFFFFFF if whole else None
