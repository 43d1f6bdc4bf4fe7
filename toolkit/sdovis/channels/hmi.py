"""The channels of HMI: the line-of-sight and the radial field, and the continuum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.channels.channel import Channel, Contrast, Floats, wrong
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import disc_mu

#: HMI's segments at JSOC, in lower case: those of the SHARPs and of the full-disc series.
SEGMENTS = frozenset(
    "magnetogram continuum br bp bt br_err bp_err bt_err dopplergram bitmap disambig conf_disambig field inclination "
    "azimuth vlos_mag dop_width eta_0 damping src_continuum src_grad alpha_mag chisq conv_flag info_map linedepth "
    "linewidth".split()
)


def segment(image: SolarImage) -> tuple[str, str]:
    """Which of HMI's segments an image is, in lower case, and the evidence for it; two empty strings if there is none.

    The header's SEGMENT or CONTENT decides, otherwise the file's name: the headers of SHARP's segments are alike, and
    their CONTENT is "HMI observable".
    """
    for key in ("SEGMENT", "CONTENT"):
        text = str(image.header.get(key, "")).strip().lower()
        known = "continuum" if "intensity" in text else next((word for word in text.split() if word in SEGMENTS), "")
        if known:
            return known, f"{key} is {image.header[key]!r}"
    name = image.path.name if image.path else ""
    found = re.search(r"\.(\w+)\.fi?ts(?:\.gz)?$", name, re.IGNORECASE)
    if found and found[1].lower() in SEGMENTS:
        return found[1].lower(), f"the file's name says {found[1]!r}"
    return "", ""


def contradictions(image: SolarImage, wanted: str, units: tuple[str, ...]) -> Sequence[str]:
    """What in the header or name contradicts the segment ``wanted``; a missing keyword does not count."""
    instrument = str(image.header.get("INSTRUME", ""))
    found = [] if not instrument or instrument.startswith("HMI") else [f"INSTRUME is {instrument!r}"]
    said, where = segment(image)
    if said not in ("", wanted):
        found.append(where)
    if image.unit not in units and (image.unit or instrument):
        found.append(f"the unit is {image.unit!r}" if image.unit else "BUNIT is absent")
    return found


def _as_it_is(image: SolarImage) -> Floats:
    values: Floats = image.values
    return values


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
)
