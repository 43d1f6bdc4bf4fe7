#!/usr/bin/env bash
# sunpy 7.0.5 with reproject 0.21.0, GenericMap.reproject_to between observers on opposite sides of the Sun
#
# Expected. The half of the Sun that the first observer cannot see is NaN in the second observer's view: reproject_to
#   keeps a pixel only if its coordinates survive the way there and back, to within a pixel (roundtrip_coords,
#   https://reproject.readthedocs.io/en/stable/api/reproject.reproject_interp.html).
# Seen. With the observers opposite each other a point of the far side and the point of the near side behind it lie on
#   almost the same line of sight, so the way back ends in the pixel where it began. The check passes, and the near side is
#   given, mirrored left to right, as the view of the far side. How much of the disc is filled depends on the pixel's
#   size: all of it at 25 arcsec, over half at 6 arcsec, 2 per cent at 1.6 arcsec. Not one pixel should be. No warning.
# For solar data. STEREO A and B were like this for days around 6 February 2011 (exactly opposite in the ecliptic, so in
#   B0 as well), and Solar Orbiter and Earth are near each superior conjunction. People resample before they reproject, to
#   save time: the worst case. A region then sits at a longitude where it never was.
# Instead. Transform the target's pixels (with make_3d()) to the source's Helioprojective frame and drop those for which
#   is_visible() is False there.
#
# Output seen (B0 and distances near those of STEREO A and B on that day):
#   25.40 arcsec a pixel: 1.00 of the disc filled, visible in truth 0.00
#    6.35 arcsec a pixel: 0.56 of the disc filled, visible in truth 0.00
#    1.59 arcsec a pixel: 0.02 of the disc filled, visible in truth 0.00
#   a spot at 30 deg west of the source's centre appears 30 deg east of the target's: True
#   60 degrees apart at 25.40 arcsec: filled 0.76, visible in truth 0.75
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[map]==7.0.5' reproject==0.21.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import astropy.units as u
import numpy as np
import reproject
import sunpy
import sunpy.map
from astropy.coordinates import SkyCoord
from astropy.utils import iers

iers.conf.auto_download = False
warnings.simplefilter("error")
print("sunpy", sunpy.__version__, "reproject", reproject.__version__)
RSUN, AU = 6.957e8, 1.495978707e11
AHEAD, BEHIND = (86.5, -3.9, 0.96), (-93.5, 3.9, 1.08)  # longitude and B0 in degrees, distance in au


def view(observer, size, values=None):
    """A map of size * size pixels that holds the disc, from an observer."""
    longitude, b0, distance = observer
    scale = 3251.2 / size
    header = {
        "ctype1": "HPLN-TAN", "ctype2": "HPLT-TAN", "cunit1": "arcsec", "cunit2": "arcsec",
        "cdelt1": scale, "cdelt2": scale, "crpix1": (size + 1) / 2, "crpix2": (size + 1) / 2,
        "crval1": 0.0, "crval2": 0.0, "date-obs": "2011-02-06T00:00:00",
        "hgln_obs": longitude, "hglt_obs": b0, "dsun_obs": distance * AU, "rsun_ref": RSUN,
    }  # fmt: skip
    return sunpy.map.Map(np.ones((size, size)) if values is None else values, header)


def shares(source, target, size):
    """How much of the target's disc is filled, and how much the source sees, 1 degree of the limb left out."""
    result = view(source, size).reproject_to(view(target, size).wcs)
    points = sunpy.map.all_coordinates_from_map(view(target, size)).heliographic_stonyhurst
    disc = np.isfinite(points.lon)
    delta = points.lon - source[0] * u.deg
    b0 = source[1] * u.deg
    mu = np.sin(points.lat) * np.sin(b0) + np.cos(points.lat) * np.cos(b0) * np.cos(delta)
    filled = np.isfinite(result.data) & disc
    # a point is seen where its angle from the sub-observer point is below 90 degrees less the Sun's angular radius
    seen = disc & (mu > RSUN / (source[2] * AU))
    return filled.sum() / disc.sum(), seen.sum() / disc.sum()


for size, least in ((128, 0.95), (512, 0.5), (2048, 0.01)):
    filled, seen = shares(AHEAD, BEHIND, size)
    print(f"{3251.2 / size:5.2f} arcsec a pixel: {filled:.2f} of the disc filled, visible in truth {seen:.2f}")
    assert seen == 0.0 and filled > least

source = view(AHEAD, 128)
spot = SkyCoord((AHEAD[0] + 30) * u.deg, 0 * u.deg, frame="heliographic_stonyhurst", obstime=source.date)
x, y = source.world_to_pixel(spot)
values = np.ones((128, 128))
values[int(np.rint(y.value)), int(np.rint(x.value))] = 1000.0
mirrored = view(AHEAD, 128, values).reproject_to(view(BEHIND, 128).wcs)
row, column = np.unravel_index(np.nanargmax(mirrored.data), mirrored.data.shape)
found = mirrored.pixel_to_world(column * u.pix, row * u.pix).heliographic_stonyhurst
east = (BEHIND[0] - found.lon.to_value(u.deg) + 180) % 360 - 180
is_mirrored = abs(east - 30) < 3
print("a spot at 30 deg west of the source's centre appears 30 deg east of the target's:", bool(is_mirrored))
assert is_mirrored

filled, seen = shares((0.0, 0.0, 1.0), (60.0, 0.0, 1.0), 128)
print(f"60 degrees apart at 25.40 arcsec: filled {filled:.2f}, visible in truth {seen:.2f}")
assert abs(filled - seen) < 0.02
PYTHON
