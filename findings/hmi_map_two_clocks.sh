#!/usr/bin/env bash
# sunpy 7.0.5, sunpy.map.sources.HMIMap
#
# Expected. GenericMap.date and GenericMap.reference_date are moments of one observation, and one compares, prints or
#   stores either (https://docs.sunpy.org/en/stable/generated/api/sunpy.map.GenericMap.html).
# Seen. On an HMI file from JSOC, date comes from DATE-OBS and is UTC, while reference_date comes from T_OBS and keeps its
#   scale, TAI. isot, fits, strftime and datetime write the clock's reading without the scale, so the two properties of one map
#   are 34 to 37 s apart beyond what they differ in truth. reproject_to gives a map whose reference_date is UTC, so the
#   text changes though nothing moved. T_REC is not read at all.
# For solar data. A table made from str(smap.reference_date) is ahead by 34 s (2011) to 37 s (since 2017): three frames of
#   AIA, nearly one of HMI. Joined with AIA or GOES by nearest time it silently takes a neighbour.
# Instead. smap.reference_date.utc before anything leaves astropy; compare Time objects, which know their scale.
#
# Output seen:
#   date           2011-02-15T01:59:40.000 utc
#   reference_date 2011-02-15T02:00:26.300 tai
#   their texts differ by 46.3 s, the moments by 12.3 s
#   after reproject_to: reference_date 2011-02-15T01:59:52.300 utc
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[map]==7.0.5' reproject==0.21.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import sunpy
import sunpy.map
from astropy.utils import iers

iers.conf.auto_download = False
warnings.simplefilter("error")
print("sunpy", sunpy.__version__)
n = 32
header = {
    "telescop": "SDO/HMI", "instrume": "HMI_SIDE1", "content": "MAGNETOGRAM", "bunit": "Gauss",
    "date-obs": "2011-02-15T01:59:40.00", "t_obs": "2011.02.15_02:00:26.300_TAI", "t_rec": "2011.02.15_02:00:00_TAI",
    "ctype1": "HPLN-TAN", "ctype2": "HPLT-TAN", "cunit1": "arcsec", "cunit2": "arcsec",
    "cdelt1": 80.0, "cdelt2": 80.0, "crpix1": 16.5, "crpix2": 16.5, "crval1": 0.0, "crval2": 0.0,
    "hgln_obs": 0.0, "hglt_obs": -6.8, "dsun_obs": 1.478e11, "rsun_ref": 6.96e8,
}  # fmt: skip
smap = sunpy.map.Map(np.zeros((n, n)), header)
print(f"date           {smap.date.isot} {smap.date.scale}")
print(f"reference_date {smap.reference_date.isot} {smap.reference_date.scale}")
texts = (smap.reference_date.datetime - smap.date.datetime).total_seconds()
moments = (smap.reference_date - smap.date).to_value("s")
print(f"their texts differ by {texts:.1f} s, the moments by {moments:.1f} s")
moved = smap.reproject_to(smap.wcs)
print(f"after reproject_to: reference_date {moved.reference_date.isot} {moved.reference_date.scale}")

assert type(smap).__name__ == "HMIMap"
assert (smap.date.scale, smap.reference_date.scale, moved.reference_date.scale) == ("utc", "tai", "utc")
assert abs(texts - 46.3) < 1e-6 and abs(moments - 12.3) < 1e-6
assert abs((moved.reference_date - smap.reference_date).to_value("s")) < 1e-3
assert moved.reference_date.isot != smap.reference_date.isot
PYTHON
