"""The channels of AIA: DN/s on a logarithmic scale, as observed or corrected for the instrument's degradation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import numpy as np

from sdovis.channels import origin
from sdovis.channels.channel import Channel, Contrast, Floats, Limits, wrong
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage

#: Wavelength (angstrom) -> DN/s of the first and of the last code.
RANGES = {
    94: (0.1, 800), 131: (0.7, 1900), 171: (5, 3500), 193: (20, 5500), 211: (7, 3500), 304: (0.1, 3500),
    335: (0.4, 1000), 1600: (10, 800), 1700: (220, 5000),
}  # fmt: skip
#: AIA's cameras count to 14 bits, 16383 DN (Lemen et al. 2012, Solar Physics 275, 17), flat field and registration add
#: some; the shortest exposures, in flares, are of milliseconds. The dark level is subtracted, with a noise of a few DN:
#: less than one value in a thousand, beside saturated pixels, is far below zero.
LIMITS = {"DN": Limits(-50, 33_000, 1e-3), "": Limits(-50, 33_000, 1e-3), "DN/s": Limits(-50, 7e6, 1e-3)}
#: The version of AIA's calibration that the corrected channels are defined by.
CALIBRATION = 10
#: aiapy 0.10 knows the table of `CALIBRATION` by its sum, fetches it once and keeps it.
AIAPY = "aiapy>=0.10"


def contradictions(image: SolarImage, wave: int, units: tuple[str, ...], *, corrected: bool = False) -> Sequence[str]:
    """What in the header contradicts AIA's channel at ``wave`` angstrom; a missing keyword does not count.

    ``corrected`` says whether the values must have been corrected for degradation before they were stored: then a header
    that does not say so contradicts the channel.
    """
    found = [*origin.foreign(image, "AIA"), *origin.of_another_wave(image, wave)]
    if bool(image.header.get("DEG_COR")) != corrected:
        done = "nothing says that its values were" if corrected else "its values were already"
        found.append(f"{done} corrected for degradation")
    if image.unit not in units:
        found.append(f"the unit is {image.unit!r}")
    return found


def _dn_per_second(image: SolarImage) -> Floats:
    values: Floats = image.values
    if image.unit == "DN/s":
        return values
    seconds = image.header.get("EXPTIME")
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise wrong(image, f"EXPTIME is {seconds!r}, so DN/s cannot be computed")
    return values / np.float32(seconds)


def _as_at_launch(image: SolarImage, wave: int) -> Floats:
    if image.observed is None:
        raise wrong(image, "the time of observation is unknown, so degradation cannot be corrected")
    return _dn_per_second(image) / np.float32(sensitivity(wave, image.observed))


@lru_cache(maxsize=8192)
def sensitivity(wave: int, observed: datetime) -> float:
    """AIA's sensitivity at ``wave`` angstrom over that at launch, by `aiapy.calibrate.degradation`.

    Boerner et al. (2014), Solar Physics 289, 2377. Raises `BadInput` if aiapy or its calibration table is not
    available, or the table's version is not `CALIBRATION`.
    """
    from astropy import units
    from astropy.time import Time

    table = _calibration()
    from aiapy.calibrate import degradation

    return float(degradation(wave * units.angstrom, Time(observed), correction_table=table)[0])


@lru_cache(maxsize=1)
def _calibration() -> Any:
    try:
        from aiapy.calibrate.util import get_correction_table
    except ModuleNotFoundError as error:
        what = "the correction for AIA's degradation needs aiapy, which is not installed"
        raise BadInput(Problem(what, "run pip install 'sdovis[aia]', or use the channel without -corrected")) from error
    try:
        table = get_correction_table("SSW")
    # What a failed download raises is not documented; any exception means that there is no table.
    except Exception as error:
        what = f"AIA's calibration table is not available: {str(error).splitlines()[0] if str(error) else error!r}"
        raise BadInput(
            Problem(what, "connect to the internet once, so that aiapy can fetch it from SolarSoft")
        ) from error
    version = int(table["VER_NUM"][0])
    if version != CALIBRATION:
        what = f"aiapy provides version {version} of AIA's calibration, but the channel is defined by version {CALIBRATION}"
        raise BadInput(Problem(what, f"install a version of aiapy that has it ({AIAPY})"))
    return table


def _aia(wave: int, *, corrected: bool = False) -> Channel:
    low, high = RANGES[wave]
    degradation = (
        f"divided by the instrument's sensitivity at that time over that at launch (aiapy, calibration version {CALIBRATION})"
        if corrected
        else "not corrected for the instrument's degradation"
    )
    return Channel(
        name=f"aia-{wave}{'-corrected' if corrected else ''}",
        version="1",
        title=f"AIA {wave} Å{', corrected for degradation' if corrected else ''}",
        unit="DN/s",
        source=f"log10 of DN/s (EXPTIME divided out) from {low:g} to {high:g}: the ranges of sdo-cli; {degradation}",
        colormap=f"sdoaia{wave}",
        levels=np.concatenate([[np.nan], np.geomspace(low, high, 255)]).astype(np.float32),
        physical=partial(_as_at_launch, wave=wave) if corrected else _dn_per_second,
        contrast=Contrast(
            kind="bright",
            weak=1.0,
            strong=3.0,
            halo_mm=5.0,
            smallest_msh=100.0,
            feather_mm=40.0,
            source="twice and four times the quiet corona's level at the same mu",
        ),
        # Level 1 has no BUNIT.
        contradictions=partial(contradictions, wave=wave, units=("", "DN", "DN/s")),
        limits=LIMITS,
        requires=(AIAPY,) if corrected else (),
    )


AIA_94, AIA_131, AIA_171, AIA_193, AIA_211 = _aia(94), _aia(131), _aia(171), _aia(193), _aia(211)
AIA_304, AIA_335, AIA_1600, AIA_1700 = _aia(304), _aia(335), _aia(1600), _aia(1700)

AIA_94_CORRECTED, AIA_131_CORRECTED = _aia(94, corrected=True), _aia(131, corrected=True)
AIA_171_CORRECTED, AIA_193_CORRECTED = _aia(171, corrected=True), _aia(193, corrected=True)
AIA_211_CORRECTED, AIA_304_CORRECTED = _aia(211, corrected=True), _aia(304, corrected=True)
AIA_335_CORRECTED, AIA_1600_CORRECTED = _aia(335, corrected=True), _aia(1600, corrected=True)
AIA_1700_CORRECTED = _aia(1700, corrected=True)
