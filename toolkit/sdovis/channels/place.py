"""Where on the Sun, and where in each channel's image, somebody points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdovis.errors import BadInput
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import project, unproject


@dataclass(frozen=True)
class Spot:
    """Where to cut out: a heliographic position, or a pixel of the picture that the page shows."""

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    shown_px: tuple[float, float] | None = None

    @property
    def is_given(self) -> bool:
        return self.shown_px is not None or None not in (self.latitude_deg, self.longitude_deg)


def pixel_of(spot: Spot, image: SolarImage, zoom: float) -> tuple[float, float]:
    """Pixel x, y of ``spot`` in ``image``, which is shown ``zoom`` times as large.

    Raises `BadInput` where it is not on the visible disc, or in no image without coordinates.
    """
    if spot.shown_px is not None:
        return (spot.shown_px[0] + 0.5) / zoom - 0.5, (spot.shown_px[1] + 0.5) / zoom - 0.5
    latitude, longitude = spot.latitude_deg, spot.longitude_deg
    assert latitude is not None and longitude is not None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise BadInput("latitude runs from -90 to 90 degrees, longitude from -180 to 180, west positive")
    if image.frame is None and image.grid is None:
        raise BadInput(
            "the image has no coordinates, so degrees mean nothing in it; keep the name that the archive gave it, "
            "or point at the region on the page"
        )
    return _pixel(latitude, longitude, image)


def place_at(x: float, y: float, image: SolarImage) -> tuple[float, float] | None:
    """Latitude and longitude (degrees) of a pixel; nan off the disc, None in an image without coordinates."""
    if image.frame is not None:
        latitude, longitude = map(float, unproject(x, y, image.frame))
    elif image.grid is not None:
        latitude, longitude = map(float, image.grid.place(x, y))
    else:
        return None
    return latitude, longitude


def located(x: float, y: float, first: SolarImage, other: SolarImage) -> tuple[float, float]:
    """Where in ``other`` the place lies that pixel (x, y) of ``first`` shows: each channel has its own frame."""
    if other is first or (other.frame, other.grid, other.values.shape) == (first.frame, first.grid, first.values.shape):
        return x, y
    place = place_at(x, y, first)
    if place is None or (other.frame is None and other.grid is None):
        raise BadInput("the channels' images differ and have no coordinates, so the region is not found in all of them")
    if not np.isfinite(place[0]):
        raise BadInput("there is nothing to see at that position; choose one on the solar disc")
    return _pixel(*place, other)


def _pixel(latitude: float, longitude: float, image: SolarImage) -> tuple[float, float]:
    if image.frame is None:
        assert image.grid is not None
        x, y = map(float, image.grid.pixel(latitude, longitude))
        return x, y
    x, y, _ = map(float, project(latitude, longitude, image.frame))
    if not np.isfinite(x):
        raise BadInput(f"latitude {latitude:g}, longitude {longitude:g} lies behind the limb")
    return x, y
