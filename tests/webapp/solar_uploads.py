"""Solar images to upload: a bipole as FITS and as the PNG of its codes, and a full-disc magnetogram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sdovis.sun.channels import channel, to_picture
from sdovis.sun.images import read_image

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
