"""Solar images to upload: a bipole as FITS and as the PNG of its codes, and a full-disc magnetogram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sdovis.channels.channel import channel, to_picture
from sdovis.images.images import read_image

SIDE = 64
DISC = 256
DISC_SCALE = 9.0


def write_fits(path: Path, values: np.ndarray, **cards: Any) -> Path:
    from astropy.io import fits

    hdu = fits.PrimaryHDU(values.astype(np.float32))
    hdu.header.update(
        {
            "TELESCOP": "SDO/HMI <b>", "INSTRUME": "HMI_SIDE1", "CONTENT": "MAGNETOGRAM", "BUNIT": "Gauss",
            "WAVELNTH": 6173.0, "NOAA_AR": 11158, "T_OBS": "2011.02.15_00:00:37_TAI", "CTYPE1": "HPLN-TAN",
            "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CRPIX1": (values.shape[1] + 1) / 2,
            "CRPIX2": (values.shape[0] + 1) / 2, "CRVAL1": 100.0, "CRVAL2": -220.0, "CDELT1": 2.0, "CDELT2": 2.0,
            "CROTA2": 0.0, "RSUN_OBS": 971.0, "CRLT_OBS": -6.8,
        }
        | cards
    )  # fmt: skip
    hdu.writeto(path)
    return path


def bipole() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    spot = lambda cx: 1800 * np.exp(-((x - cx) ** 2 + (y - 30) ** 2) / 40)  # noqa: E731
    return spot(42) - spot(20) + np.random.default_rng(1).normal(0, 8, (SIDE, SIDE))


def magnetogram(folder: Path) -> Path:
    return write_fits(folder / "region.fits", bipole())


def picture_of(fits: Path) -> Path:
    """The 8-bit grey PNG of a magnetogram, as `sdovis` saves it in a corpus."""
    path = fits.with_suffix(".png")
    to_picture(read_image(fits), channel("hmi-magnetogram")).save(path)
    return path


def full_disc(folder: Path) -> Path:
    """A disc of quiet field with a bipole at pixel (160, 100) of the picture, north up."""
    values = np.random.default_rng(2).normal(0, 8, (DISC, DISC))
    y, x = np.mgrid[:DISC, :DISC]
    values[np.hypot(x - (DISC - 1) / 2, y - (DISC - 1) / 2) > 971 / DISC_SCALE] = np.nan
    row = DISC - 1 - 100  # FITS counts from the south
    values[row - 3 : row + 4, 154:160] = 1500
    values[row - 3 : row + 4, 161:167] = -1500
    return write_fits(
        folder / "disc.fits", values, CDELT1=DISC_SCALE, CDELT2=DISC_SCALE, CRVAL1=0.0, CRVAL2=0.0, NOAA_AR=0
    )


SHARP = ("Br", "magnetogram", "continuum")
SHARP_SCALE = 0.03


def sharp(folder: Path) -> list[Path]:
    """Three segments of one SHARP, 96 x 64 pixels, whose headers are alike: only their names tell them apart."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:64, :96]
    spots = [np.exp(-((x - cx) ** 2 + (y - 30) ** 2) / 40) for cx in (42, 20)]
    field = spots[0] - spots[1]
    segments = {"Br": 2000 * field, "magnetogram": 1500 * field, "continuum": 50_000 * (1 - 0.6 * sum(spots))}
    noise = {"Br": 60, "magnetogram": 8, "continuum": 500}
    cards = {
        "CONTENT": "HMI observable", "CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "degree", "CUNIT2": "degree",
        "CRVAL1": 30.0, "CRVAL2": -20.0, "CRLN_OBS": 22.0, "CDELT1": SHARP_SCALE, "CDELT2": SHARP_SCALE, "HARPNUM": 377,
    }  # fmt: skip
    return [
        write_fits(
            folder / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits",
            values + rng.normal(0, noise[name], values.shape),
            **cards | {"BUNIT": "DN/s" if name == "continuum" else "Mx/cm^2"},
        )
        for name, values in segments.items()
    ]


def discs(folder: Path) -> list[Path]:
    """The radial and the line-of-sight field and the continuum of one disc, each in its own scale and orientation."""
    found = []
    for name, size, turned in (("Br", 256, False), ("magnetogram", 320, True), ("continuum", 200, False)):
        scale = DISC * DISC_SCALE / size
        y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * scale
        place = [np.exp(-((x - cx) ** 2 + (y - 250) ** 2) / 60**2) for cx in (250, 370)]
        rng = np.random.default_rng(4)
        values = {
            "Br": 2000 * (place[0] - place[1]),
            "magnetogram": 1500 * (place[0] - place[1]),
            "continuum": 50_000 * (1 - 0.6 * sum(place)) + 300 * rng.normal(size=x.shape),
        }[name]
        values[np.hypot(x, y) > 971] = np.nan
        cards = {
            "CDELT1": scale,
            "CDELT2": scale,
            "CRVAL1": 0.0,
            "CRVAL2": 0.0,
            "NOAA_AR": 0,
            "CONTENT": "HMI observable",
        }
        cards |= {"BUNIT": "DN/s" if name == "continuum" else "Gauss", "CROTA2": 180.0 if turned else 0.0}
        found.append(write_fits(folder / f"disc.{name}.fits", values[::-1, ::-1] if turned else values, **cards))
    return found


def browse(folder: Path) -> Path:
    """A full-disc AIA 211 browse picture in its colours, named as the archive names them."""
    from sunpy.visualization.colormaps import cmlist

    y, x = np.mgrid[:512, :512]
    level = np.where(np.hypot(x - 255.5, y - 255.5) < 200, 0.3, 0.02) + 0.6 * np.exp(
        -((x - 330) ** 2 + (y - 200) ** 2) / 300
    )
    path = folder / "20110215_013000_512_0211.jpg"
    Image.fromarray(cmlist["sdoaia211"](level, bytes=True)[..., :3].copy()).save(path, quality=95)
    return path
