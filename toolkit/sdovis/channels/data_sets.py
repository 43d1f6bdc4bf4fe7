"""The channels of public data sets whose values are not those of the instruments' own files.

SDOML v2 (SDOML/SDOMLv2 at a84b67f, ``aia_fits_to_zarr.py``, ``hmi_fits_to_zarr.py``) and SuryaBench's core set
(NASA-IMPACT/SuryaBench at 1226236, ``core_sdo/helio.py``) divide AIA's values by exposure time and degradation before they
store them, and have HMI's vector field in components. SDOBenchmark (i4Ds/SDOBenchmark at 01d8f1f, ``dataset/data/load.py``,
``IMAGE_PARAMS`` and ``_FITS_to_image``) has JPEGs whose grey levels are a fixed function of the values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sdovis.channels import aia, hmi, origin
from sdovis.channels.browse import GREY_LEVELS
from sdovis.channels.channel import Channel, Floats
from sdovis.images.images import SolarImage


def _precorrected(of: Channel, wave: int) -> Channel:
    low, high = aia.RANGES[wave]
    return replace(
        of,
        name=f"aia-{wave}-precorrected",
        title=f"AIA {wave} Å, corrected for degradation by the data set",
        source=f"log10 of DN/s from {low:g} to {high:g}: the ranges of sdo-cli; exposure time and the instrument's degradation "
        "were divided out by the makers of the data set, who also scaled every disc to one radius",
        contradictions=partial(aia.contradictions, wave=wave, units=("DN/s",), corrected=True),
    )


AIA_94, AIA_131, AIA_171 = (
    _precorrected(aia.AIA_94, 94),
    _precorrected(aia.AIA_131, 131),
    _precorrected(aia.AIA_171, 171),
)
AIA_193, AIA_211, AIA_304 = (
    _precorrected(aia.AIA_193, 193),
    _precorrected(aia.AIA_211, 211),
    _precorrected(aia.AIA_304, 304),
)
AIA_335, AIA_1600 = _precorrected(aia.AIA_335, 335), _precorrected(aia.AIA_1600, 1600)
AIA_1700 = _precorrected(aia.AIA_1700, 1700)


def _not_bz(image: SolarImage) -> Sequence[str]:
    found = [*origin.foreign(image, "HMI")]
    if not re.search(r"(?:^|::hmi_)bz(?:\[\d+\])?$", image.path.name if image.path else "", re.IGNORECASE):
        found.append("nothing says that it is the component Bz")
    if image.unit != "G":
        found.append(f"the unit is {image.unit!r}")
    return found


HMI_BZ = replace(
    hmi.HMI_MAGNETOGRAM,
    name="hmi-bz",
    title="HMI vector field, component along the line of sight",
    source="B cos(inclination) of HMI's inverted vector field (Galvez et al. 2019, ApJS 242, 7), out of the image; linear to "
    "200 G in steps of 5.71 G, then logarithmic in steps of 2.99 % to 3000 G; symmetric about 0 G. The components Bx and By "
    "are no channels: mirroring a picture would have to turn their signs",
    contradictions=_not_bz,
)

#: Grey levels in SDOBenchmark: 0 to 255 between these gauss, the same range as `aia.RANGES` for AIA in log10 of DN/s.
BENCHMARK_GAUSS = 250.0


def _of_name(image: SolarImage, wanted: str) -> Sequence[str]:
    name = image.path.name if image.path else ""
    found = [] if name.endswith(f"__{wanted}.jpg") else [f"the file's name does not end with __{wanted}.jpg"]
    return found if image.unit == "grey" else [*found, f"the unit is {image.unit!r}, not grey levels"]


def _intensity(image: SolarImage, wave: int) -> Floats:
    low, high = aia.RANGES[wave]
    return np.asarray(low * (high / low) ** (image.values / np.float32(255)), np.float32)


def _gauss(image: SolarImage) -> Floats:
    return np.asarray(image.values * np.float32(2 * BENCHMARK_GAUSS / 255) - np.float32(BENCHMARK_GAUSS), np.float32)


def _grey(image: SolarImage) -> Floats:
    return np.asarray(image.values, np.float32)


_JPEG = "8-bit JPEGs of SDOBenchmark"


def _benchmark(of: Channel, wave: int) -> Channel:
    low, high = aia.RANGES[wave]
    return replace(
        of,
        name=f"sdobenchmark-{wave}",
        title=f"AIA {wave} Å of SDOBenchmark",
        browse=True,
        source=f"{_JPEG}: log10 of DN/s from {low:g} to {high:g} over 256 grey levels, not corrected for degradation",
        physical=partial(_intensity, wave=wave),
        contradictions=partial(_of_name, wanted=str(wave)),
        limits={},
    )


BENCHMARK_94, BENCHMARK_131, BENCHMARK_171 = (
    _benchmark(aia.AIA_94, 94), _benchmark(aia.AIA_131, 131), _benchmark(aia.AIA_171, 171)
)  # fmt: skip
BENCHMARK_193, BENCHMARK_211, BENCHMARK_304 = (
    _benchmark(aia.AIA_193, 193), _benchmark(aia.AIA_211, 211), _benchmark(aia.AIA_304, 304)
)  # fmt: skip
BENCHMARK_335, BENCHMARK_1700 = _benchmark(aia.AIA_335, 335), _benchmark(aia.AIA_1700, 1700)

BENCHMARK_MAGNETOGRAM = replace(
    hmi.HMI_MAGNETOGRAM,
    name="sdobenchmark-magnetogram",
    title="HMI line-of-sight magnetogram of SDOBenchmark",
    browse=True,
    source=f"{_JPEG}: -{BENCHMARK_GAUSS:g} to {BENCHMARK_GAUSS:g} G over 256 grey levels, so that umbrae are saturated",
    levels=hmi.symmetric(np.arange(1, 128) * BENCHMARK_GAUSS / 127),
    physical=_gauss,
    contradictions=partial(_of_name, wanted="magnetogram"),
    limits={},
)

BENCHMARK_CONTINUUM = replace(
    hmi.HMI_CONTINUUM,
    name="sdobenchmark-continuum",
    title="HMI continuum of SDOBenchmark",
    unit="grey level",
    browse=True,
    source=f"{_JPEG}: 0 to 65535 of HMI's own scale over 256 grey levels; not flattened",
    levels=GREY_LEVELS,
    physical=_grey,
    contradictions=partial(_of_name, wanted="continuum"),
    limits={},
)
