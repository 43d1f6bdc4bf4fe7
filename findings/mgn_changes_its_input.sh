#!/usr/bin/env bash
# sunkit-image 0.6.1, sunkit_image.enhance.mgn, on the AIA 171 sample that sunpy's own wheel ships
#
# Expected. mgn (multi-scale Gaussian normalisation) takes a map or an array and returns a new one to look at
#   (https://docs.sunpy.org/projects/sunkit-image/en/stable/generated/api/sunkit_image.enhance.mgn.html).
# Seen. With clip=True, the default, it writes into the array that it was given: every pixel that is zero or negative becomes
#   1e-15 in the caller's own map. The result itself is a new map. The same call on a magnetogram
#   wipes out the whole negative polarity. No warning.
# For solar data. Making one figure by mgn changes the data that come after it: negative pixels of AIA level 1 (readout
#   noise round zero) are gone, so the mean of the dark sky is too high, and logarithms of them no longer fail. For a map
#   whose data are a view of another array, the other one is changed as well.
# Instead. Give it a copy: mgn(smap.data.copy()), or clip=False.
#
# Output seen:
#   AIA 171: pixels changed 316 of 16384, negative before 200, after 0
#   magnetogram: negative before 2048, after 0, net field 0.00 G -> 5.00 G
#   with clip=False: pixels changed 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[map]==7.0.5' sunkit-image==0.6.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import sunkit_image
import sunpy.map
from sunkit_image.enhance import mgn
from sunpy.data.test import get_test_filepath

warnings.simplefilter("error")
print("sunkit-image", sunkit_image.__version__)
smap = sunpy.map.Map(get_test_filepath("aia_171_level1.fits"))
before = smap.data.copy()
result = mgn(smap)
changed = int((smap.data != before).sum())
negative = int((before < 0).sum()), int((smap.data < 0).sum())
print(f"AIA 171: pixels changed {changed} of {before.size}, negative before {negative[0]}, after {negative[1]}")
assert result is not smap and changed > negative[0] > 0 == negative[1]

rows = np.arange(64)[:, None]
field = np.where(rows < 32, 10.0, -10.0) * np.ones((64, 64))  # G, in balance
net = field.mean()
count = int((field < 0).sum())
mgn(field)
print(f"magnetogram: negative before {count}, after {int((field < 0).sum())}, net field {net:.2f} G -> {field.mean():.2f} G")
assert count == 2048 and not (field < 0).any() and abs(field.mean() - 5) < 1e-6

smap = sunpy.map.Map(get_test_filepath("aia_171_level1.fits"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of roots of negative numbers
    mgn(smap, clip=False)
print("with clip=False: pixels changed", int((smap.data != before).sum()))
assert np.array_equal(smap.data, before)
PYTHON
