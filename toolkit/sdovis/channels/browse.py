"""The channels of published pictures: 8 bits on their publisher's scale, NASA's JPEGs and Helioviewer's JPEG 2000."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import scipy  # its parts are loaded when they are used
from PIL import Image

from sdovis.channels import aia, hmi
from sdovis.channels.channel import Channel, Codes, Contrast, Floats, Limits
from sdovis.images.images import SolarImage

NOT_SCIENCE = "8-bit browse pictures, not calibrated and not intended for science analysis"
#: NASA's browse pictures and Helioviewer's files are scaled differently, and both have changed over the years.
SCALE = "what a grey level means is its publisher's choice, so that NASA's JPEGs and Helioviewer's JPEG 2000 do not mix"
GREY_LEVELS = np.arange(256, dtype=np.float32)
#: No picture of 8 bits has others.
LIMITS = {"grey level": Limits(0, 255)}
#: ITU-R BT.601, the Y of a JPEG, as Pillow rounds it.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _luma(image: SolarImage) -> Codes:
    codes: Codes = image.values
    return codes if codes.ndim == 2 else np.asarray(Image.fromarray(codes).convert("L"))


def _grey(image: SolarImage) -> Floats:
    return _luma(image).astype(np.float32)


@lru_cache(maxsize=16)
def _index_of_luma(wave: int) -> Floats:
    """For each luma from 0 to 255, the index into AIA's colour table; fractional between two entries.

    The luma of the tables never decreases. A JPEG keeps it as whole numbers, and better than the hue.
    """
    from sunpy.visualization.colormaps import cmlist

    entries = cmlist[f"sdoaia{wave}"](np.arange(256), bytes=True)[:, :3].astype(np.float32) @ LUMA
    return np.interp(GREY_LEVELS, entries, GREY_LEVELS).astype(np.float32)


def _table_index(image: SolarImage, wave: int) -> Floats:
    if image.values.ndim == 2:
        return image.values.astype(np.float32)
    return _index_of_luma(wave).take(_luma(image), mode="clip")


def _aia_browse(wave: int) -> Channel:
    return Channel(
        name=f"aia-{wave}-browse",
        version="2",  # 1 took the luma in fractions, ten times more slowly
        title=f"AIA {wave} Å browse picture",
        unit="grey level",
        browse=True,
        source=f"index 0 to 255 into the colour table of AIA {wave} (sunpy's sdoaia{wave}), found by luma, or the byte of "
        f"a grey picture; {NOT_SCIENCE}; {SCALE}",
        colormap=f"sdoaia{wave}",
        levels=GREY_LEVELS,
        limits=LIMITS,
        physical=partial(_table_index, wave=wave),
        contrast=Contrast(
            kind="bright",
            weak=0.3,
            strong=0.6,
            halo_mm=5.0,
            smallest_msh=100.0,
            feather_mm=40.0,
            source="grey levels over those of the quiet corona at the same mu, as they lie in NASA's pictures",
        ),
        contradictions=partial(aia.contradictions, wave=wave, units=("grey", "rgb")),
        imports=("sunpy.visualization.colormaps",),
    )


AIA_94_BROWSE, AIA_131_BROWSE, AIA_171_BROWSE = _aia_browse(94), _aia_browse(131), _aia_browse(171)
AIA_193_BROWSE, AIA_211_BROWSE, AIA_304_BROWSE = _aia_browse(193), _aia_browse(211), _aia_browse(304)
AIA_335_BROWSE, AIA_1600_BROWSE, AIA_1700_BROWSE = _aia_browse(335), _aia_browse(1600), _aia_browse(1700)


HMI_CONTINUUM_BROWSE = Channel(
    name="hmi-continuum-browse",
    version="2",  # 1 took the luma in fractions
    title="HMI continuum browse picture",
    unit="grey level",
    browse=True,
    spotted=True,
    contrast=hmi.SPOTS,
    source=f"luma (ITU-R BT.601) 0 to 255; {NOT_SCIENCE}; {SCALE}",
    colormap="gray",
    levels=GREY_LEVELS,
    limits=LIMITS,
    physical=_grey,
    contradictions=partial(hmi.contradictions, wanted="continuum", units=("grey", "rgb")),
)


def _grey_from_zero(image: SolarImage) -> Floats:
    values = np.clip(_grey(image) - 127, -127, 127)
    if image.frame is not None:
        # The sky is black, as is a strong negative field, but the sky reaches the image's edge.
        dark, _ = scipy.ndimage.label(values < -111)
        edge = np.unique(np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]]))
        values[np.isin(dark, edge[edge > 0])] = np.nan
    return values.astype(np.float32)


HMI_MAGNETOGRAM_BROWSE = Channel(
    name="hmi-magnetogram-browse",
    version="2",  # 1 took the luma in fractions
    title="HMI line-of-sight magnetogram browse picture",
    unit="grey level",
    browse=True,
    source=f"grey of the picture less 127 (0 G), white positive; the sky is missing; {NOT_SCIENCE}; {SCALE}",
    colormap="gray",
    levels=hmi.symmetric(np.arange(1.0, 128.0)),
    physical=_grey_from_zero,
    contradictions=partial(hmi.contradictions, wanted="magnetogram", units=("grey", "rgb")),
    signed=True,
    contrast=Contrast(
        kind="field",
        weak=20.0,
        strong=80.0,
        halo_mm=5.0,
        smallest_msh=20.0,
        source="20 grey levels are five times the scatter of the quiet Sun in NASA's JPEGs of 2013-14",
    ),
)
