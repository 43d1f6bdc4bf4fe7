#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93 (and mahotas 1.4.19) with arrays from astropy 8.0.2
#
# Expected. FITS stores numbers big-endian (FITS standard 4.0, section 5, https://fits.gsfc.nasa.gov/fits_standard.html),
#   and astropy hands an uncompressed, unscaled image on as it lies in the file, with dtype '>f4'. A library that cannot
#   read such an array refuses it, as scikit-image's warp and SimpleITK do.
# Seen. OpenCV's Python functions look at the kind of number and not at its byte order. Each one tried takes the bytes
#   the wrong way round and gives an answer without error or warning: a magnetogram of +-1000 G gets a mean of another
#   size, or NaN. mahotas.mean_filter does the same. The same image from a RICE-compressed HDU is right, because
#   astropy decompresses into the machine's own order: code that was tested on compressed files from JSOC fails on the
#   uncompressed copy.
# For solar data. Any cutout, rotation or blur made by OpenCV, or by a package on top of it, on an HMI or AIA array
#   straight out of fits.open is noise.
# Instead. data.astype(data.dtype.newbyteorder("="), copy=False) once, where the file is read.
#
# Output seen (little-endian machine):
#   plain FITS: dtype >f4, resize same as the values: False, mean same: False
#   mahotas.mean_filter same: False
#   RICE FITS: dtype float32, resize same as the values: True
#   after newbyteorder: resize same as the values: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 opencv-python-headless==5.0.0.93 mahotas==1.4.19
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import astropy
import cv2
import mahotas
import numpy as np
from astropy.io import fits

warnings.simplefilter("error")  # a warning would be an answer too
print("astropy", astropy.__version__, "opencv", cv2.__version__, "mahotas", mahotas.__version__)
assert sys.byteorder == "little", "the finding is about little-endian machines"

y, x = np.mgrid[:32, :32]
field = (1000 * np.sin(x / 5) * np.cos(y / 7)).astype("f4")  # G
fits.writeto("plain.fits", field)
fits.HDUList(
    [fits.PrimaryHDU(), fits.CompImageHDU(np.rint(field).astype("i2"), compression_type="RICE_1")]
).writeto("rice.fits")


def same(array, truth):
    """Whether OpenCV's resize to the same size gives the values back."""
    return bool(np.array_equal(cv2.resize(array, (32, 32), interpolation=cv2.INTER_NEAREST), truth))


plain = fits.getdata("plain.fits")
assert np.array_equal(plain, field)  # numpy itself reads it rightly
mean_is_right = bool(np.isclose(cv2.mean(plain)[0], field.mean(), rtol=1e-3))
print(f"plain FITS: dtype {plain.dtype}, resize same as the values: {same(plain, field)}, mean same: {mean_is_right}")

square = np.ones((3, 3), bool)
filtered, truth = mahotas.mean_filter(plain, square), mahotas.mean_filter(field, square)
mahotas_is_right = bool(np.allclose(filtered, truth, rtol=1e-3))
print("mahotas.mean_filter same:", mahotas_is_right)

rice = fits.getdata("rice.fits").astype("f4", copy=False)
print(f"RICE FITS: dtype {rice.dtype}, resize same as the values: {same(rice, np.rint(field))}")
native = plain.astype(plain.dtype.newbyteorder("="), copy=False)
print("after newbyteorder: resize same as the values:", same(native, field))

assert plain.dtype == np.dtype(">f4")
assert not same(plain, field) and not mean_is_right
assert not mahotas_is_right
assert same(rice, np.rint(field)) and same(native, field)
PYTHON
