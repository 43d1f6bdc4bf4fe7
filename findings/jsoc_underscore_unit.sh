#!/usr/bin/env bash
# sunpy 7.0.5 with astropy 8.0.2, HMIMap of a file whose unit is in _BUNIT
#
# Expected. Exports of JSOC since the middle of 2025 write _BUNIT, _DATAMIN and _DATAMAX where older ones had BUNIT, DATAMIN
#   and DATAMAX (seen in nine of nine SHARPs of May to November 2025). An underscore may begin a FITS keyword (FITS standard
#   4.0, section 4.1.2.1, https://fits.gsfc.nasa.gov/fits_standard.html). A reader that knows HMI either knows the
#   keyword too, or says that the unit is missing.
# Seen. sunpy still makes an HMIMap of it, with unit None and without a warning. Map.quantity is dimensionless, and
#   the colour scale of a magnetogram, made symmetric about 0 G by its unit, is missing. Saved again, the file
#   still has no BUNIT.
# For solar data. Code that asks "is it a field?" by the unit takes old and new files of one series for different things,
#   and a plot of the new ones shows 0 G as any grey, depending on the file.
# Instead. Before making the map: header.setdefault("bunit", header["_bunit"]), where "_bunit" is there.
#
# Output seen:
#   BUNIT: HMIMap, unit G, quantity in G, colours -900 to 900
#   _BUNIT: HMIMap, unit None, quantity in nothing, colours None to None
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[map]==7.0.5'
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import astropy.units as u
import numpy as np
import sunpy
import sunpy.map
from astropy.io import fits

print("sunpy", sunpy.__version__)
CARDS = {
    "TELESCOP": "SDO/HMI", "INSTRUME": "HMI_SIDE1", "CONTENT": "MAGNETOGRAM",
    "DATE-OBS": "2025-05-31T23:59:10", "T_OBS": "2025.05.31_23:59:57_TAI",
    "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec",
    "CDELT1": 40.0, "CDELT2": 40.0, "CRPIX1": 32.5, "CRPIX2": 32.5, "CRVAL1": 0.0, "CRVAL2": 0.0,
    "HGLN_OBS": 0.0, "HGLT_OBS": 0.0, "DSUN_OBS": 1.5e11, "RSUN_REF": 6.96e8,
}  # fmt: skip
field = np.linspace(-300, 900, 64 * 64, dtype="f4").reshape(64, 64)
maps = {}
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for keyword in ("BUNIT", "_BUNIT"):
        hdu = fits.PrimaryHDU(field)
        hdu.header.update(CARDS)
        hdu.header[keyword] = "Gauss"
        hdu.writeto(f"{keyword}.fits")
        smap = maps[keyword] = sunpy.map.Map(f"{keyword}.fits")
        norm = smap.plot_settings["norm"]
        print(
            f"{keyword}: {type(smap).__name__}, unit {smap.unit}, quantity in {smap.quantity.unit.to_string() or 'nothing'},",
            f"colours {norm.vmin} to {norm.vmax}".replace(".0", ""),
        )
        smap.save(f"again{keyword}.fits")
print("warnings:", len(seen))

old, new = maps["BUNIT"], maps["_BUNIT"]
assert type(old).__name__ == type(new).__name__ == "HMIMap"
assert old.unit == u.G and old.plot_settings["norm"].vmin == -900
assert new.unit is None and new.quantity.unit == u.dimensionless_unscaled
assert new.plot_settings["norm"].vmin is None and new.meta["_bunit"] == "Gauss"
assert "BUNIT" not in fits.getheader("again_BUNIT.fits")
assert not seen
PYTHON
