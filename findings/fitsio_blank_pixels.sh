#!/usr/bin/env bash
# fitsio 1.4.2 beside astropy 8.0.2
#
# Expected. An integer FITS image marks undefined pixels by the value of BLANK (FITS standard 4.0, section 4.4.2.5,
#   https://fits.gsfc.nasa.gov/fits_standard.html). A reader that returns scaled floats returns them as NaN.
# Seen. JSOC stores HMI magnetograms as int32 with BSCALE 0.1 and BLANK -2147483648; the corners off the disc are BLANK.
#   astropy gives NaN. fitsio applies BSCALE to the mark as well and gives -214748364.8, in plain and in RICE-compressed
#   files, without a warning; its header still shows BLANK.
# For solar data. The mean of such a "magnetogram" is tens of millions of gauss, a sum of unsigned flux says nothing, and
#   a transform that clips at +-1000 G turns all off-disc pixels into the strongest negative polarity there is.
# Instead. Compare with BSCALE * BLANK + BZERO after reading by fitsio, or read by astropy.
#
# Output seen:
#   plain: astropy corner nan, mean 2.0; fitsio corner -214748364.8, mean -107374181.4
#   RICE_1: astropy corner nan, mean 2.0; fitsio corner -214748364.8, mean -107374181.4
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 astropy==8.0.2 fitsio==1.4.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import astropy
import fitsio
import numpy as np
from astropy.io import fits

print("astropy", astropy.__version__, "fitsio", fitsio.__version__)
MARK = -(2**31)
stored = np.full((32, 32), 20, "i4")  # 2.0 G in steps of 0.1 G
stored[:16] = MARK  # half of the picture is off the disc
for kind in ("plain", "RICE_1"):
    hdu = fits.ImageHDU(stored) if kind == "plain" else fits.CompImageHDU(stored, compression_type=kind)
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.1, 0.0, MARK
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(f"{kind}.fits")

    right = fits.getdata(f"{kind}.fits", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # fitsio says nothing
        with fitsio.FITS(f"{kind}.fits") as file:
            other, header = file[1].read(), file[1].read_header()
    print(
        f"{kind}: astropy corner {right[0, 0]}, mean {np.nanmean(right):.1f};",
        f"fitsio corner {other[0, 0]:.1f}, mean {np.nanmean(other):.1f}",
    )
    assert np.isnan(right[:16]).all() and np.allclose(right[16:], 2.0)
    assert np.allclose(other[:16], 0.1 * MARK) and np.allclose(other[16:], 2.0)
    assert header["BLANK"] == MARK
PYTHON
