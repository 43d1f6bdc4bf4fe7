"""What a file says of itself."""

from __future__ import annotations

from sdovis.images.images import read_image
from sdovis.webapp.header import facts


def test_a_fits_header_gives_telescope_time_in_utc_wavelength_region_unit_and_scale(uploads):
    said = dict(facts(read_image(uploads / "region.fits")))
    assert said["Telescope"] == "SDO/HMI <b>"
    assert said["Observed (UTC)"] == "2011-02-15 00:00:03"  # 34 s before TAI
    assert said["Wavelength"] == "6173 Å"
    assert said["NOAA active region"] == "11158"
    assert said["Unit"] == "G"
    assert said["Scale"] == "2″ per pixel"
    assert said["Position"].startswith("S19.")


def test_a_header_without_a_region_shows_none_and_a_whole_disc_no_position(uploads):
    said = dict(facts(read_image(uploads / "disc.fits")))
    assert not said.keys() & {"NOAA active region", "Position"}


def test_a_place_off_the_disc_is_said_to_be_there(uploads):
    assert dict(facts(read_image(uploads / "disc.fits"), (3.0, 3.0)))["Position"] == "off the solar disc"


def test_a_picture_says_only_its_size_and_format(uploads):
    said = facts(read_image(uploads / "region.png"))
    assert said == [("Unit", "8-bit grey"), ("Size", "64 × 64 px"), ("File", "PNG")]
