"""Where the Sun's rotation carries a position between two times: the one law of rotation, for real and simulated data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sdovis.sun.constants import DAY_S, J2000

#: Sidereal rate A + B sin²(latitude) + C sin⁴(latitude) of magnetic features: Howard, Harvey & Forgach (1990), Solar
#: Physics 130, 295, in degrees per day; sunpy's model 'howard'. Sunspot groups of the summaries of 2010-2014, which move
#: by 14.43 ± 0.03 degrees per day at the equator, are closer to it than to the rate of Doppler features (14.71;
#: Snodgrass & Ulrich 1990). Over the half day between a summary and an image the two differ by 0.2 degrees.
HOWARD = tuple(float(np.degrees(rate * 1e-6) * DAY_S) for rate in (2.894, -0.428, -0.370))
_EARTH_DEG_PER_DAY = 0.98560912
_ECCENTRICITY = 0.016709


def sidereal_rate(latitude_deg: ArrayLike) -> Any:
    """Sidereal rotation rate, degrees per day: Howard, Harvey & Forgach (1990), see `HOWARD`."""
    sine2 = np.sin(np.radians(np.asarray(latitude_deg, float))) ** 2
    return HOWARD[0] + HOWARD[1] * sine2 + HOWARD[2] * sine2**2


def shear(latitude_deg: ArrayLike) -> Any:
    """Change of `sidereal_rate` with latitude, degrees per day per degree; negative in the north.

    d/db (A + B sin²b + C sin⁴b) = 2 sin b cos b (B + 2 C sin²b), per radian.
    """
    latitude = np.radians(np.asarray(latitude_deg, float))
    sine = np.sin(latitude)
    return 2 * sine * np.cos(latitude) * (HOWARD[1] + 2 * HOWARD[2] * sine**2) * np.pi / 180


def synodic_rate(latitude_deg: ArrayLike, at: datetime) -> Any:
    """Degrees per day by which a position moves west as seen from the Earth, near the time ``at`` (timezone-aware).

    `sidereal_rate` minus the Earth's own motion, for its mean orbit to first order in eccentricity.
    """
    days = (at - J2000).total_seconds() / DAY_S
    anomaly = np.radians(357.5291 + _EARTH_DEG_PER_DAY * days)
    earth = _EARTH_DEG_PER_DAY * (1 + 2 * _ECCENTRICITY * np.cos(anomaly))
    return sidereal_rate(latitude_deg) - earth


def westward_deg(latitude_deg: ArrayLike, start: datetime, end: datetime) -> Any:
    """Degrees of longitude by which positions move west, as seen from the Earth, from ``start`` to ``end``.

    More than 360 after a rotation; negative if ``end`` comes first. Uses the rate at the midpoint in time, which over a
    rotation is off by less than 0.01 degrees.
    """
    days = (end - start).total_seconds() / DAY_S
    return synodic_rate(latitude_deg, start + (end - start) / 2) * days


def rotated(latitude_deg: ArrayLike, longitude_deg: ArrayLike, start: datetime, end: datetime) -> Any:
    """Stonyhurst longitude at ``end`` of positions that were at ``longitude_deg`` at ``start``, in (-180, 180] degrees.

    Within 0.01 degrees per day of sunpy's ``propagate_with_solar_surface``.
    """
    moved = np.asarray(longitude_deg, float) + westward_deg(latitude_deg, start, end)
    return 180 - (180 - moved) % 360
