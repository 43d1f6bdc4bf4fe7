"""Physical constants, units and the scales of SDO's cameras, defined only here, each with its source."""

from __future__ import annotations

import math
from datetime import UTC, datetime

ARCSEC = math.pi / 180 / 3600  #: in radians
DAY_S = 86400.0
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)  #: epoch of the ephemerides; they count in TT, about a minute from UTC

# In kilometres, because the last bit of a ratio depends on the unit, and pixels of older corpora depend on that bit.
ASTRONOMICAL_UNIT_KM = 149_597_870.7  #: IAU 2012 resolution B2
LIGHT_KM_PER_S = 299_792.458  #: exact
NOMINAL_RADIUS_KM = 695_700.0  #: of the Sun: IAU 2015 resolution B3
ASTRONOMICAL_UNIT_M, NOMINAL_RADIUS_M = 1000 * ASTRONOMICAL_UNIT_KM, 1000 * NOMINAL_RADIUS_KM
#: Apparent radius of the Sun from one astronomical unit (Auwers 1891, Astronomische Nachrichten 128, 361), which
#: almanacs still use; the nominal radius would give 959.23.
MEAN_RADIUS_ARCSEC = 959.63

# The values used in the headers of HMI's images; neither is the IAU's.
HMI_RADIUS_M = 696_000_000.0  #: RSUN_REF
HMI_ASTRONOMICAL_UNIT_M = 149_597_870_691.0  #: DSUN_REF, the unit of the ephemeris DE405

HMI_PIXEL_ARCSEC = 0.504311  #: CDELT1 of one of HMI's images; it varies by about 0.01 %
AIA_PIXEL_ARCSEC = 0.6  #: of level 1.5 (Lemen et al. 2012, Solar Physics 275, 17)
CAMERA_PX = 4096  #: pixels per side of HMI's and AIA's cameras
