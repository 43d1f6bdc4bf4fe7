"""What an image says about itself, as rows for a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdovis.channels.place import sun_position
from sdovis.images.images import SolarImage


def facts(image: SolarImage, position: tuple[float, float] | None = None) -> list[tuple[str, str]]:
    """(name, value) pairs of what is known about ``image``, and about ``position`` (x, y in pixels) in it."""
    header = image.header
    height, width = image.values.shape[:2]
    rows = [
        ("Telescope", _text(header, "TELESCOP")),
        ("Instrument", _text(header, "INSTRUME")),
        ("Content", _text(header, "CONTENT")),
        ("Observed (UTC)", _observed(image)),
        ("Wavelength", _wavelength(header)),
        ("NOAA active region", _regions(header)),
        ("HARP", _text(header, "HARPNUM")),
        ("Unit", image.unit if not image.is_picture else f"8-bit {'grey' if image.unit == 'grey' else 'colour'}"),
        ("Exposure", f"{header['EXPTIME']:g} s" if _is_number(header.get("EXPTIME")) else ""),
        ("Size", f"{width} × {height} px"),
        ("Scale", _scale(image)),
        ("Position", _position(image, position)),
        ("File", image.format + (", marked as simulated" if image.simulated else "")),
    ]
    return [(name, value) for name, value in rows if value]


def _text(header: Mapping[str, Any], key: str) -> str:
    return str(header.get(key, "")).strip()


def _observed(image: SolarImage) -> str:
    if image.observed is None:
        return ""
    by_name = " (from the file's name)" if image.format not in ("FITS", "JPEG2000") else ""
    return image.observed.strftime("%Y-%m-%d %H:%M:%S") + by_name


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wavelength(header: Mapping[str, Any]) -> str:
    value = header.get("WAVELNTH")
    return f"{value:g} Å" if _is_number(value) else _text(header, "WAVELNTH")


def _regions(header: Mapping[str, Any]) -> str:
    several = _text(header, "NOAA_ARS")
    one = _text(header, "NOAA_AR")
    found = several or one
    return "" if found in ("0", "MISSING") else found.replace(",", ", ")


def _scale(image: SolarImage) -> str:
    if image.frame is not None:
        return f"{image.frame.arcsec_per_px:.4g}″ per pixel"
    if image.grid is not None:
        return f"{image.grid.deg_per_px:.4g}° per pixel"
    step, unit = image.header.get("CDELT1"), str(image.header.get("CUNIT1", "arcsec"))
    return f"{abs(float(step)):.4g} {unit} per pixel" if isinstance(step, int | float) else ""


def _position(image: SolarImage, position: tuple[float, float] | None) -> str:
    height, width = image.values.shape[:2]
    if position is None and image.frame is not None and 2 * image.frame.radius_px < max(height, width):
        return ""  # the whole disc: its centre says nothing
    x, y = position or ((width - 1) / 2, (height - 1) / 2)
    on_sun = sun_position(x, y, image)
    if on_sun is None:
        return ""
    latitude, longitude = on_sun
    if latitude != latitude:  # nan: off the disc
        return "off the solar disc"
    whose = "cutout's" if position else "image's"
    north, west = "N" if latitude >= 0 else "S", "W" if longitude >= 0 else "E"
    return f"{north}{abs(latitude):.1f} {west}{abs(longitude):.1f} ({whose} centre, Stonyhurst degrees)"
