"""Where the Sun's rotation carries a place between two times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

DAY_S = 86400.0
#: Sidereal rate A + B sin²(latitude) + C sin⁴(latitude) of magnetic features: Howard, Harvey & Forgach (1990), Solar
#: Physics 130, 295, in degrees a day; sunpy's model 'howard'. Sunspot groups of the summaries of 2010-2014, which move
#: by 14.43 ± 0.03 degrees a day at the equator, are nearer to it than to the rate of Doppler features (14.71; Snodgrass
#: & Ulrich 1990). Over the half day that a summary lies from an image the two differ by 0.2 degrees.
HOWARD = tuple(float(np.degrees(rate * 1e-6) * DAY_S) for rate in (2.894, -0.428, -0.370))
_EARTH_DEG_PER_DAY = 0.98560912
_ECCENTRICITY = 0.016709
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def synodic_rate(latitude_deg: ArrayLike, at: datetime) -> Any:
    """Degrees a day by which a place moves west as the Earth sees it, near the time ``at`` (timezone-aware).

    The Earth's own motion is that of its mean orbit, to the first order of its eccentricity.
    """
    sine2 = np.sin(np.radians(np.asarray(latitude_deg, float))) ** 2
    days = (at - _J2000).total_seconds() / DAY_S
    anomaly = np.radians(357.5291 + _EARTH_DEG_PER_DAY * days)
    earth = _EARTH_DEG_PER_DAY * (1 + 2 * _ECCENTRICITY * np.cos(anomaly))
    return HOWARD[0] + HOWARD[1] * sine2 + HOWARD[2] * sine2**2 - earth


def rotated(latitude_deg: ArrayLike, longitude_deg: ArrayLike, start: datetime, end: datetime) -> Any:
    """Stonyhurst longitude at ``end`` of places that were at ``longitude_deg`` at ``start``, in (-180, 180] degrees.

    Within 0.01 degrees a day of sunpy's ``propagate_with_solar_surface``.
    """
    days = (end - start).total_seconds() / DAY_S
    moved = np.asarray(longitude_deg, float) + synodic_rate(latitude_deg, start + (end - start) / 2) * days
    return 180 - (180 - moved) % 360
