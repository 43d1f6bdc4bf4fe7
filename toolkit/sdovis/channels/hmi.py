"""The channels of HMI: the line-of-sight and the radial field, and the continuum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.channels import origin
from sdovis.channels.channel import Channel, Contrast, Floats, Limits, wrong
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import disc_mu

#: HMI's spectral line, in angstrom and in nm.
LINE = (6173.3, 617.33)


def contradictions(image: SolarImage, wanted: str, units: tuple[str, ...]) -> Sequence[str]:
    """What in the header or name contradicts the segment ``wanted``; a missing keyword does not count."""
    found = [*origin.foreign(image, "HMI"), *origin.of_another_segment(image, wanted)]
    length = image.header.get("WAVELNTH")
    if isinstance(length, int | float) and length and not any(abs(length - line) < 1 for line in LINE):
        found.append(f"WAVELNTH is {length!r}")
    if image.unit not in units and (image.unit or image.header.get("INSTRUME")):
        found.append(f"the unit is {image.unit!r}" if image.unit else "BUNIT is absent")
    return found


def _as_it_is(image: SolarImage) -> Floats:
    values: Floats = image.values
    return values


#: Gauss. The inversion of the vector field looks for strengths up to 5000 G (VFISV: Borrero et al. 2011, Solar Physics
#: 273, 267; Centeno et al. 2014, Solar Physics 289, 3531), and the line-of-sight algorithm saturates at 4356 G in HMI's
#: own files (Couvidat et al. 2016, Solar Physics 291, 1887, describe it). Noise of both polarities is everywhere.
FIELD_LIMITS = {"G": Limits(-6000, 6000)}
#: A filtergram of HMI's 4096 x 4096 px cameras has at most 14 bits, exposed for 0.1 s and more: 1.6e5 DN/s. The quiet
#: disc's centre has 4e4 to 7e4 DN/s, and the ratio to it stays below 2 even in white-light flares.
#: Beside the disc, scattered light less the dark level may be negative, and single hot pixels are real.
INTENSITY_LIMITS = {
    "DN/s": Limits(-200, 200_000, 1e-3), "DN": Limits(-200, 200_000, 1e-3), "quiet Sun": Limits(-0.05, 3, 1e-3)
}  # fmt: skip
#: The quiet Sun is never as dark as this in DN/s; grey levels of a picture are.
DARKEST_QUIET_SUN = 1000.0


def symmetric(positive: NDArray[Any]) -> Floats:
    """256 levels: NaN, 127 negative, zero, 127 positive."""
    return np.concatenate([[np.nan], -positive[::-1], [0.0], positive]).astype(np.float32)


# 5.71 G per step to 200 G, below HMI's noise; then 2.99 % per step to 3000 G.
_GAUSS = symmetric(np.concatenate([200 / 35 * np.arange(1, 36), 200 * 15 ** (np.arange(1, 93) / 92)]))

#: Plages, and knots of strong field, in gauss: the quiet Sun's network seldom exceeds the first over more than a few
#: pixels, and pores and spots begin near the second.
_FIELD = Contrast(
    kind="field",
    weak=50.0,
    strong=250.0,
    halo_mm=5.0,
    smallest_msh=20.0,
    source="50 G is eight times the noise of HMI's 720 s magnetograms (6.3 G; Liu et al. 2012, Solar Physics 279, 295)",
)

HMI_MAGNETOGRAM = Channel(
    name="hmi-magnetogram",
    version="1",
    title="HMI line-of-sight magnetogram",
    unit="G",
    source="linear to 200 G in steps of 5.71 G, below the noise of HMI's 720 s magnetograms (6.3 G; Liu et al. 2012, "
    "Solar Physics 279, 295), then logarithmic in steps of 2.99 % to 3000 G; symmetric about 0 G",
    colormap="hmimag",
    levels=_GAUSS,
    physical=_as_it_is,
    contradictions=partial(contradictions, wanted="magnetogram", units=("G",)),
    limits=FIELD_LIMITS,
    signed=True,
    contrast=_FIELD,
)

HMI_BR = Channel(
    name="hmi-br",
    version="1",
    title="HMI radial magnetic field",
    unit="G",
    source="the radial component of HMI's vector field, as SHARP's segment Br has it: linear to 200 G in steps of 5.71 G, "
    "then logarithmic in steps of 2.99 % to 3000 G, as the line-of-sight magnetogram; symmetric about 0 G. The steps lie "
    "far below the noise of about 100 G in the inverted field strength (JSOC, MagneticNoiseMask: 300 G is about 3 sigma)",
    colormap="hmimag",
    levels=_GAUSS,
    physical=_as_it_is,
    contradictions=partial(contradictions, wanted="br", units=("G",)),
    limits=FIELD_LIMITS,
    signed=True,
    contrast=replace(
        _FIELD, weak=200.0, strong=500.0, source="200 G is twice the noise of HMI's inverted field strength"
    ),
)


def limb_darkening(mu: NDArray[Any]) -> NDArray[Any]:
    """The quiet Sun's intensity at 617.33 nm over that at the disc's centre: Neckel (2005), Solar Physics 229, 13."""
    wave = 0.61733  # micrometres
    a = (
        0.75267 - 0.265577 / wave,
        0.93874 + 0.265577 / wave - 0.004095 / wave**5,
        -1.89287 + 0.012582 / wave**5,
        2.42234 - 0.017117 / wave**5,
        -1.71150 + 0.011977 / wave**5,
        0.49062 - 0.003347 / wave**5,
    )
    return np.asarray(np.polynomial.polynomial.polyval(mu, a))


def _quiet_sun_ratio(image: SolarImage) -> Floats:
    values: Floats = image.values
    quiet = values
    if image.frame is not None:
        mu = disc_mu((values.shape[0], values.shape[1]), image.frame)
        values = np.asarray(values / limb_darkening(np.nan_to_num(mu)), np.float32)
        quiet = values[mu > 0.3]  # nearer the limb, a position error of one pixel changes the ratio by several per cent
    level = float(np.nanmedian(quiet)) if np.isfinite(quiet).any() else 0.0
    if not level > 0:
        raise wrong(image, "no quiet Sun to normalise the continuum by")
    if level < DARKEST_QUIET_SUN and image.unit in ("DN/s", "DN"):
        raise wrong(
            image, f"the quiet Sun has {level:g} {image.unit}, which HMI cannot have measured: grey levels or ratios"
        )
    return np.asarray(values / np.float32(level))


#: Spots and pores in white light.
SPOTS = Contrast(
    kind="dark",
    weak=0.06,
    strong=0.1,
    halo_mm=4.0,
    smallest_msh=3.0,
    source="between the granules' contrast (a few per cent) and the penumbra's mean of 0.8 (Watson et al. 2009, Solar Phys. "
    "260, 5)",
)

HMI_CONTINUUM = Channel(
    name="hmi-continuum",
    version="1",
    title="HMI continuum intensity",
    unit="quiet Sun",
    source="intensity over that of the quiet Sun at the same limb distance: the limb-darkening law of Neckel (2005), "
    "Solar Physics 229, 13, at 617.33 nm, scaled by the median of the disc (maps and images without a disc: by their "
    "median); linear, 0.005 a step, to 1.27",
    colormap="gray",
    levels=np.concatenate([[np.nan], np.arange(255) * 0.005]).astype(np.float32),
    physical=_quiet_sun_ratio,
    spotted=True,
    contrast=SPOTS,
    contradictions=partial(contradictions, wanted="continuum", units=("DN/s", "DN", "count")),
    limits=INTENSITY_LIMITS,
)
