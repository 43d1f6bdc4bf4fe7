#!/usr/bin/env bash
# sunpy 7.0.5, sunpy.map.GenericMap with a mask
#
# Expected. A Map is an astropy NDData and carries a mask, "True" where a pixel is invalid
#   (https://docs.astropy.org/en/stable/nddata/nddata.html). submap, superpixel and an .asdf file keep it, so one expects
#   it to survive the other ways to make a map from a map, or to be told that it does not.
# Seen. rotate, resample, reproject_to and save to FITS return a map whose mask is None. The masked pixels come back as
#   valid ones with their old values, and neighbours are interpolated from them. No warning.
# For solar data. Somebody masks off-disc or saturated pixels, or a bad detector column, turns solar north up, as every HMI
#   map needs, and takes a mean: the masked pixels are in it again. Below, 1e6 in one masked corner lifts the mean of a
#   disc of ones.
# Instead. Write NaN into the data (missing=np.nan and order 0 or 1 to keep NaN from spreading), or rotate, resample and
#   reproject the mask as a map of its own.
#
# Output seen:
#   submap keeps the mask: True
#   superpixel keeps the mask: True
#   save to asdf keeps the mask: True
#   rotate keeps the mask: False
#   resample keeps the mask: False
#   reproject_to keeps the mask: False
#   save to fits keeps the mask: False
#   mean of the valid pixels before 1.0, after rotate(180 deg) 3907.2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[asdf,map]==7.0.5' reproject==0.21.0 asdf==6.0.0 asdf-astropy==0.11.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import astropy.units as u
import numpy as np
import sunpy
import sunpy.map

print("sunpy", sunpy.__version__)
n = 64
header = {
    "ctype1": "HPLN-TAN", "ctype2": "HPLT-TAN", "cunit1": "arcsec", "cunit2": "arcsec",
    "cdelt1": 40.0, "cdelt2": 40.0, "crpix1": (n + 1) / 2, "crpix2": (n + 1) / 2, "crval1": 0.0, "crval2": 0.0,
    "date-obs": "2011-02-15T00:00:00", "hgln_obs": 0.0, "hglt_obs": 0.0, "dsun_obs": 1.496e11, "rsun_ref": 6.957e8,
}  # fmt: skip
data = np.ones((n, n))
mask = np.zeros((n, n), bool)
data[:4, :4], mask[:4, :4] = 1e6, True
smap = sunpy.map.Map(data, header, mask=mask)


def saved(suffix):
    smap.save(f"map.{suffix}")
    return sunpy.map.Map(f"map.{suffix}")


with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    results = {
        "submap": smap.submap([0, 0] * u.pix, top_right=[31, 31] * u.pix),
        "superpixel": smap.superpixel([4, 4] * u.pix, func=np.mean),
        "save to asdf": saved("asdf"),
        "rotate": smap.rotate(180 * u.deg, order=0),
        "resample": smap.resample([32, 32] * u.pix),
        "reproject_to": smap.reproject_to(smap.wcs),
        "save to fits": saved("fits"),
    }
kept = {name: result.mask is not None for name, result in results.items()}
for name, answer in kept.items():
    print(f"{name} keeps the mask: {answer}")
before = smap.data[~smap.mask].mean()
after = np.nanmean(results["rotate"].data)
print(f"mean of the valid pixels before {before:.1f}, after rotate(180 deg) {after:.1f}")

assert [name for name, answer in kept.items() if answer] == ["submap", "superpixel", "save to asdf"]
assert before == 1.0 and after > 3900
assert not [w for w in seen if "mask" in str(w.message).lower()]
PYTHON
