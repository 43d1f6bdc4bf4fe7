#!/usr/bin/env bash
# sunpy 7.0.5 with glymur 0.14.8, on JPEG2000 files of Helioviewer that sunpy's own wheel ships
#
# Expected. GenericMap.unit is the unit of GenericMap.data
#   (https://docs.sunpy.org/en/stable/generated/api/sunpy.map.GenericMap.html).
# Seen. Helioviewer clips and stretches an image to 8 bits and puts the FITS header of the original beside it, unchanged.
#   sunpy takes BUNIT and EXPTIME from that header, so codes of 0 to 255 are said to be "DN" or "DN / s", and
#   DATAMAX says 57755 where no pixel exceeds 242. Map.quantity, and dividing by the exposure time, go on from there
#   without a warning.
# For solar data. A light curve, a threshold in DN/s or a contrast made from a Helioviewer JP2 has a unit and no meaning:
#   the stretch is not linear for most channels and is not in the file. Only positions and shapes can be used.
# Instead. Treat every .jp2 map as a picture; take FITS where values count. A cheap guard: data.dtype is uint8 and
#   DATAMAX is above 255.
#
# Output seen:
#   HMIMap uint8 0..242 unit DN, header DATAMAX 57755.008
#   EUIMap uint8 0..182 unit DN / s, header DATAMAX 3104.25146484375
#   EUI divided by its exposure time: unit DN / s2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[map]==7.0.5' glymur==0.14.8 lxml==6.1.3
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import glymur
import numpy as np
import sunpy
import sunpy.map
from sunpy.data.test import get_test_filepath

print("sunpy", sunpy.__version__, "glymur", glymur.__version__)
files = {
    "HMIMap": "2023_01_31__03_39_23_200__SDO_HMI_HMI_continuum.jp2",
    "EUIMap": "2022_04_01__00_00_45__SOLO-EUI-FSI_EUI_FSI_174.jp2",
}
maps = {}
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for kind, name in files.items():
        smap = maps[kind] = sunpy.map.Map(get_test_filepath(name))
        print(
            type(smap).__name__, smap.data.dtype, f"{smap.data.min()}..{smap.data.max()}",
            "unit", smap.unit, end=", header DATAMAX ",
        )
        print(smap.meta["datamax"])
        assert type(smap).__name__ == kind
        assert smap.data.dtype == np.uint8
        assert smap.meta["datamax"] > 255 > smap.data.max()
assert maps["HMIMap"].unit.to_string() == "DN"
assert maps["EUIMap"].unit.to_string() == "DN / s"
rate = maps["EUIMap"] / maps["EUIMap"].exposure_time
print("EUI divided by its exposure time: unit", rate.unit)
assert rate.unit.to_string() == "DN / s2"
assert not [w for w in seen if "unit" in str(w.message).lower() or "uint8" in str(w.message).lower()]
PYTHON
