"""Helioviewer's JPEG2000 files, made for tests."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

HEADER = {
    "NAXIS1": 201, "NAXIS2": 190, "TELESCOP": "SDO", "INSTRUME": "HMI_FRONT2", "T_OBS": "2014.03.01_00:01:25_TAI",
    "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CDELT1": 12.0, "CDELT2": 12.0,
    "CRPIX1": 101.0, "CRPIX2": 96.0, "CRVAL1": 0.0, "CRVAL2": 0.0, "CROTA2": 0.0, "RSUN_OBS": 968.66,
    "CRLT_OBS": -7.2, "HGLN_OBS": 0, "QUALITY": 1024,
}  # fmt: skip


def jp2(array: np.ndarray, xml: str | None = None, **cards: Any) -> bytes:
    """A lossless JPEG2000 of row 0 = top, with Helioviewer's XML (or this one) before its codestream."""
    plain = io.BytesIO()
    Image.fromarray(array).save(plain, "JPEG2000", irreversible=False)
    if xml is None:
        fields = "".join(f"<{key.lower()}>{value}</{key.lower()}>" for key, value in (HEADER | cards).items())
        xml = f"<meta><fits>{fields}<history>made for a test</history></fits><helioviewer>1</helioviewer></meta>"
    data, text = plain.getvalue(), xml.encode()
    at = data.index(b"jp2c") - 4
    return data[:at] + struct.pack(">I", len(text) + 8) + b"xml " + text + data[at:]
