"""Channels: the fixed, versioned transforms from physical values to 8 bits, one for each kind of image.

A channel is a table of 256 levels in its unit: `Channel.encode` gives the nearest level's code, `Channel.decode` looks
it up. A grey image of 8 bits that is no JPEG (a saved PNG, an array of uint8) already holds codes and is taken as such,
so that a FITS file, the array of its values and the PNG saved from it are one and the same to a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sdovis import plugins
from sdovis.errors import BadInput, Problem
from sdovis.sun.geometry import disc_mu
from sdovis.sun.images import SolarImage

Floats: TypeAlias = NDArray[np.float32]
Codes: TypeAlias = NDArray[np.uint8]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the Y of a JPEG


@dataclass(frozen=True, eq=False)
class Channel:
    """A transform to 8 bits.

    ``levels`` holds the value of each code in ``unit``, ascending, nan for a code that means "missing"; ``missing`` is
    the code of nan. ``physical`` turns an image that is not yet coded into (H, W) float32 in ``unit``, or raises
    `BadInput` where the image is of another kind. A ``browse`` channel reads published pictures in 8-bit grey or colour,
    the others physical values. In a ``signed`` channel code 128 is zero and 0 is missing.
    """

    name: str
    version: str
    title: str
    unit: str
    source: str
    colormap: str
    levels: Floats
    physical: Callable[[SolarImage], Floats]
    signed: bool = False
    browse: bool = False
    missing: int = 0

    def values(self, image: SolarImage | NDArray[Any]) -> Floats:
        """(H, W) float32 in ``unit``, nan where missing.

        Grey uint8 is decoded; an array of other numbers is taken to be in ``unit`` already.
        """
        if not isinstance(image, SolarImage):
            if image.dtype != np.uint8 and image.ndim == 2:
                return np.asarray(image, np.float32)
            image = SolarImage(image, "grey" if image.ndim == 2 else "rgb")
        if image.values.ndim not in (2, 3) or (image.values.ndim == 3 and image.values.shape[2] != 3):
            raise _wrong(image, f"an image of shape {image.values.shape}, not (H, W) or (H, W, 3)")
        if image.is_picture and image.values.ndim == 3 and (image.values == image.values[..., :1]).all():
            grey = np.ascontiguousarray(image.values[..., 0])
            image = SolarImage(grey, "grey", image.frame, image.observed, image.header, image.path, format=image.format)
        if image.unit == "grey" and image.format != "JPEG":  # JPEG is how browse pictures are published
            return self.decode(image.values)
        if image.is_picture != self.browse:
            kind = "a picture in colour or JPEG" if image.is_picture else "a file of physical values"
            want = "a browse picture" if self.browse else "FITS, or an 8-bit grey picture saved by sdovis"
            raise _wrong(image, f"{kind}, where channel {self.name} takes {want}")
        return self.physical(image)

    def encode(self, values: Floats) -> Codes:
        """The code of the nearest level; nan becomes ``missing``, what lies beyond the ends is clipped."""
        first = int(np.isnan(self.levels).sum())
        if self.signed:  # by magnitude, so that -B and B lie equally far from zero whatever the rounding
            steps = np.searchsorted(_midpoints(self.levels[128:]), np.abs(values)).astype(np.int16)
            codes = 128 + np.where(values < 0, -steps, steps)
        else:
            codes = first + np.searchsorted(_midpoints(self.levels[first:]), values).astype(np.int16)
        return np.where(np.isnan(values), self.missing, codes).astype(np.uint8)

    def decode(self, codes: Codes) -> Floats:
        """The level of each code: the inverse of `encode` up to half a step."""
        return self.levels[codes]

    def reversed(self, codes: Codes) -> Codes:
        """The codes of the opposite polarity (B -> -B), missing kept; only for signed channels."""
        if not self.signed:
            raise ValueError(f"channel {self.name} has no polarity")
        return np.negative(codes)  # modulo 256: 128 and 0 stay


def _wrong(image: SolarImage, what: str) -> BadInput:
    return BadInput(Problem(what, file=str(image.path or "")))


def _midpoints(levels: Floats) -> Floats:
    return np.asarray((levels[1:] + levels[:-1]) / 2, np.float32)


def channel(name: str) -> Channel:
    """The channel registered as ``name``; `BadInput` with the nearest name where there is none."""
    found = plugins.load("sdovis.channels", name)
    if not isinstance(found, Channel):
        raise BadInput(Problem(f"channels: plug-in {name!r} is a {type(found).__name__}, not a Channel"))
    return found


def to_picture(image: SolarImage | NDArray[Any], channel: Channel) -> Image.Image:
    """The 8-bit grey picture (mode L) of an image in ``channel``."""
    return Image.fromarray(channel.encode(channel.values(image)))


def _demand(image: SolarImage, name: str, instrument: str, units: tuple[str, ...], **facts: Any) -> None:
    """Raise `BadInput` where the header contradicts what channel ``name`` needs; silence is not a contradiction."""
    header = image.header
    wrong = [
        f"{key} is {header[key]!r}"
        for key, want in facts.items()
        if header.get(key) and not (want(header[key]) if callable(want) else header[key] == want)
    ]
    if header.get("INSTRUME") and not str(header["INSTRUME"]).startswith(instrument):
        wrong.insert(0, f"INSTRUME is {header['INSTRUME']!r}")
    if image.unit not in units and (image.unit or header.get("INSTRUME")):
        wrong.append(f"the unit is {image.unit!r}" if image.unit else "BUNIT is absent")
    if wrong:
        raise _wrong(image, f"not an image for channel {name}: {', '.join(wrong)}")


# --- HMI --------------------------------------------------------------------------------------------------------------


def _symmetric(positive: NDArray[Any]) -> Floats:
    """256 levels: nan, 127 negative, zero, 127 positive."""
    return np.concatenate([[np.nan], -positive[::-1], [0.0], positive]).astype(np.float32)


def _gauss(image: SolarImage) -> Floats:
    _demand(image, "hmi-magnetogram", "HMI", ("G",), CONTENT=lambda c: "INTENSITY" not in str(c).upper())
    return image.values


# 5.71 G a step to 200 G, below HMI's noise; then 2.99 % a step to 3000 G.
_LINEAR, _LOGARITHMIC = 200 / 35 * np.arange(1, 36), 200 * 15 ** (np.arange(1, 93) / 92)

HMI_MAGNETOGRAM = Channel(
    name="hmi-magnetogram",
    version="1",
    title="HMI line-of-sight magnetogram",
    unit="G",
    source="linear to 200 G in steps of 5.71 G, below the noise of HMI's 720 s magnetograms (6.3 G; Liu et al. 2012, "
    "Solar Physics 279, 295), then logarithmic in steps of 2.99 % to 3000 G; symmetric about 0 G",
    colormap="hmimag",
    levels=_symmetric(np.concatenate([_LINEAR, _LOGARITHMIC])),
    physical=_gauss,
    signed=True,
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
    _demand(
        image, "hmi-continuum", "HMI", ("DN/s", "DN", "count"), CONTENT=lambda c: "MAGNETOGRAM" not in str(c).upper()
    )
    values: Floats = image.values
    quiet = values
    if image.frame is not None:
        mu = disc_mu((values.shape[0], values.shape[1]), image.frame)
        values = np.asarray(values / limb_darkening(np.nan_to_num(mu)), np.float32)
        quiet = values[mu > 0.3]  # nearer to the limb a pixel of error in its place changes the ratio by percents
    level = float(np.nanmedian(quiet)) if np.isfinite(quiet).any() else 0.0
    if not level > 0:
        raise _wrong(image, "no quiet Sun to normalise the continuum by")
    return np.asarray(values / np.float32(level))


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
)

# --- AIA --------------------------------------------------------------------------------------------------------------

AIA_RANGES = {
    94: (0.1, 800), 131: (0.7, 1900), 171: (5, 3500), 193: (20, 5500), 211: (7, 3500), 304: (0.1, 3500), 335: (0.4, 1000)
}  # fmt: skip


def _dn_per_second(image: SolarImage, wave: int) -> Floats:
    _demand(image, f"aia-{wave}", "AIA", ("", "DN", "DN/s"), WAVELNTH=wave)  # level 1 has no BUNIT
    values: Floats = image.values
    if image.unit == "DN/s":
        return values
    seconds = image.header.get("EXPTIME")
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise _wrong(image, f"EXPTIME is {seconds!r}: no DN/s without it")
    return values / np.float32(seconds)


def _aia(wave: int) -> Channel:
    low, high = AIA_RANGES[wave]
    return Channel(
        name=f"aia-{wave}",
        version="1",
        title=f"AIA {wave} Å",
        unit="DN/s",
        source=f"log10 of DN/s (EXPTIME divided out) from {low:g} to {high:g}: the ranges of sdo-cli; not corrected for "
        "the instrument's degradation",
        colormap=f"sdoaia{wave}",
        levels=np.concatenate([[np.nan], np.geomspace(low, high, 255)]).astype(np.float32),
        physical=partial(_dn_per_second, wave=wave),
    )


AIA_94, AIA_131, AIA_171, AIA_193 = _aia(94), _aia(131), _aia(171), _aia(193)
AIA_211, AIA_304, AIA_335 = _aia(211), _aia(304), _aia(335)

# --- browse pictures --------------------------------------------------------------------------------------------------

NOT_SCIENCE = "8-bit browse pictures, not calibrated and not intended for science analysis"
GREY_LEVELS = np.arange(256, dtype=np.float32)


def _luma(image: SolarImage) -> Floats:
    values = image.values.astype(np.float32)
    return values if values.ndim == 2 else np.asarray(values @ LUMA)


@lru_cache(maxsize=8)
def _table_luma(wave: int) -> Floats:
    """The luma of each entry of AIA's colour table; it rises strictly in all seven."""
    from sunpy.visualization.colormaps import cmlist

    return np.asarray(cmlist[f"sdoaia{wave}"](np.arange(256), bytes=True)[:, :3].astype(np.float32) @ LUMA)


def _table_index(image: SolarImage, wave: int) -> Floats:
    """Where in AIA's colour table the picture's colours lie, by luma: a JPEG keeps it better than the hue."""
    if image.values.ndim == 2:
        return image.values.astype(np.float32)
    return np.interp(_luma(image), _table_luma(wave), GREY_LEVELS).astype(np.float32)


def _aia_browse(wave: int) -> Channel:
    return Channel(
        name=f"aia-{wave}-browse",
        version="1",
        title=f"AIA {wave} Å browse picture",
        unit="grey level",
        browse=True,
        source=f"index 0 to 255 into the colour table of AIA {wave} (sunpy's sdoaia{wave}), found by luma; {NOT_SCIENCE}",
        colormap=f"sdoaia{wave}",
        levels=GREY_LEVELS,
        physical=partial(_table_index, wave=wave),
    )


AIA_94_BROWSE, AIA_131_BROWSE, AIA_171_BROWSE = _aia_browse(94), _aia_browse(131), _aia_browse(171)
AIA_193_BROWSE, AIA_211_BROWSE, AIA_304_BROWSE = _aia_browse(193), _aia_browse(211), _aia_browse(304)
AIA_335_BROWSE = _aia_browse(335)

HMI_CONTINUUM_BROWSE = Channel(
    name="hmi-continuum-browse",
    version="1",
    title="HMI continuum browse picture",
    unit="grey level",
    browse=True,
    source=f"luma (ITU-R BT.601) 0 to 255; {NOT_SCIENCE}",
    colormap="gray",
    levels=GREY_LEVELS,
    physical=_luma,
)


def _grey_from_zero(image: SolarImage) -> Floats:
    values = np.clip(_luma(image) - 127, -127, 127)
    if image.frame is not None:
        # The sky is black as a strong negative field is, but it reaches the frame's edge.
        dark, _ = ndimage.label(values < -111)
        edge = np.unique(np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]]))
        values[np.isin(dark, edge[edge > 0])] = np.nan
    return values.astype(np.float32)


HMI_MAGNETOGRAM_BROWSE = Channel(
    name="hmi-magnetogram-browse",
    version="1",
    title="HMI line-of-sight magnetogram browse picture",
    unit="grey level",
    browse=True,
    source=f"grey of the picture less 127 (0 G), white positive; the sky is missing; {NOT_SCIENCE}",
    colormap="gray",
    levels=_symmetric(np.arange(1.0, 128.0)),
    physical=_grey_from_zero,
    signed=True,
)
