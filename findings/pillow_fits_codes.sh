#!/usr/bin/env bash
# Pillow 13.0.0 and imageio 2.38.1 with FITS files written by astropy 8.0.2
#
# Expected. Pillow lists FITS among the formats it reads
#   (https://pillow.readthedocs.io/en/stable/handbook/image-file-formats.html#fits), and imageio has a FITS plug-in of its own
#   that uses astropy (https://imageio.readthedocs.io/en/stable/_autosummary/imageio.plugins.fits.html).
# Seen. Pillow 13 has the byte order right at last (12.3 did not), but takes the rest of FITS for what it is not, without an
#   error: int16 is read as unsigned, so -500 becomes 65036; BSCALE and BZERO are left out; of a RICE-compressed
#   image it shows the compression table, a picture 8 pixels wide. imageio.v3.imread prefers Pillow to its own FITS
#   plug-in, even where astropy is installed, and gives the same.
# For solar data. JSOC's exports are RICE-compressed unless one asks otherwise, so Image.open on them, and all that opens
#   files through Pillow or imageio (data loaders, skimage.io, image classification pipelines), sees a strip of bytes of the
#   compression table. In an uncompressed int16 magnetogram the negative polarity is the brightest.
# Instead. astropy.io.fits, always; imageio.v3.imread(path, plugin="FITS") also reads them rightly.
#
# Output seen:
#   int16 with BSCALE 0.1: truth -50.0..-43.7, Pillow 65036..65099, imageio 65036..65099
#   RICE-compressed (48, 64): Pillow size (48, 8) mode L, imageio (48, 8)
#   imageio with plugin='FITS': (48, 64), right: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 pillow==13.0.0 imageio==2.38.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import imageio
import imageio.v3
import numpy as np
import PIL
from astropy.io import fits
from PIL import Image

warnings.simplefilter("error")
print("Pillow", PIL.__version__, "imageio", imageio.__version__)
stored = (np.arange(48 * 64).reshape(48, 64) - 500).astype("i2")

plain = fits.PrimaryHDU(stored)
plain.header["BSCALE"] = 0.1
plain.writeto("plain.fits")
fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(stored, compression_type="RICE_1")]).writeto("rice.fits")

truth = fits.getdata("plain.fits")[0]  # the lowest row; Pillow puts it last, as a picture is read from the top
by_pillow, by_imageio = np.asarray(Image.open("plain.fits"))[-1], imageio.v3.imread("plain.fits")[-1]
print(
    f"int16 with BSCALE 0.1: truth {truth[0]:.1f}..{truth[-1]:.1f},",
    f"Pillow {by_pillow[0]}..{by_pillow[-1]}, imageio {by_imageio[0]}..{by_imageio[-1]}",
)
assert np.allclose(truth, stored[0] * 0.1)
assert np.array_equal(by_pillow, stored[0].astype("u2")) and np.array_equal(by_imageio, by_pillow)

picture, by_imageio = Image.open("rice.fits"), imageio.v3.imread("rice.fits")
shape = np.asarray(picture).shape
print(f"RICE-compressed {stored.shape}: Pillow size {shape} mode {picture.mode}, imageio {by_imageio.shape}")
assert shape == by_imageio.shape == (48, 8) and picture.mode == "L"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    named = imageio.v3.imread("rice.fits", plugin="FITS")
print(f"imageio with plugin='FITS': {named.shape}, right: {np.array_equal(named, stored)}")
assert np.array_equal(named, stored)
PYTHON
