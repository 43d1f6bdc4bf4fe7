"""Positions on the Sun or in an image."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from sdovis.errors import BadInput
from sdovis.images.images import SolarImage
from sdovis.sun.geometry import project, unproject
from sdovis.sun.notation import location


@dataclass(frozen=True)
class Position:
    """A position on the Sun, a pixel of an image, or both.

    Stonyhurst latitude and longitude in degrees, north and west positive; x counts pixels from the left, y from the top;
    the first pixel is 0.
    """

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    x_px: float | None = None
    y_px: float | None = None

    @property
    def on_sun(self) -> tuple[float, float] | None:
        """Latitude and longitude, degrees; None if either is unknown."""
        if self.latitude_deg is None or self.longitude_deg is None:
            return None
        return self.latitude_deg, self.longitude_deg

    @property
    def in_image(self) -> tuple[float, float] | None:
        """Pixel x, y; None if either is unknown."""
        return None if self.x_px is None or self.y_px is None else (self.x_px, self.y_px)

    @classmethod
    def parse(cls, text: str) -> Position:
        """A position as NOAA writes it (``S21W42``), or as latitude and longitude (``-21.5,42``).

        Raises `BadInput` for any other text.
        """
        return cls(*location(text))

    @classmethod
    def parse_several(cls, text: str) -> list[Position]:
        """Positions as `parse` reads them: ``N12W34, S20E10``, or with semicolons between: ``12,34; -20,-10``."""
        parts = re.split(r"[,\s]+(?=[NSns])", text.strip()) if ";" not in text else text.split(";")
        return [cls.parse(part) for part in parts if part.strip()]


def pixel_of(latitude_deg: float, longitude_deg: float, image: SolarImage) -> tuple[float, float]:
    """Pixel x, y of a position on the Sun in ``image``.

    Raises `BadInput` if it is not on the visible disc or the image has no coordinates.
    """
    if not (abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180):
        raise BadInput("latitude must be from -90 to 90 degrees, longitude from -180 to 180, west positive")
    if image.frame is not None:
        x, y, _ = map(float, project(latitude_deg, longitude_deg, image.frame))
    elif image.grid is not None:
        x, y = map(float, image.grid.pixel(latitude_deg, longitude_deg))
    else:
        raise BadInput(
            "the image has no coordinates, so degrees cannot be located in it; keep its original archive file name, "
            "or point at the region on the page"
        )
    if not np.isfinite(x):
        raise BadInput(f"latitude {latitude_deg:g}, longitude {longitude_deg:g} lies behind the limb")
    return x, y


def sun_position(x: float, y: float, image: SolarImage) -> tuple[float, float] | None:
    """Latitude and longitude (degrees) of a pixel; NaN off the disc, None in an image without coordinates."""
    if image.frame is not None:
        latitude, longitude = map(float, unproject(x, y, image.frame))
    elif image.grid is not None:
        latitude, longitude = map(float, image.grid.place(x, y))
    else:
        return None
    return latitude, longitude
