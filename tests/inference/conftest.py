"""Models and images that the tests of prediction at scale share."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import saved_models
from sdovis.images.images import read_image
from sun.summaries import SUMMARY
from webapp import solar_uploads


@pytest.fixture(scope="session")
def disc_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads cutouts of 216 arcsec: 24 pixels of `disc`."""
    return saved_models.save_model(tmp_path_factory.mktemp("discs") / "model", cutout_arcsec=216.0)


@pytest.fixture(scope="session")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full disc."""
    folder = tmp_path_factory.mktemp("disc")
    solar_uploads.full_disc(folder)
    return folder / "disc.fits"


@pytest.fixture(scope="session")
def summary(disc: Path) -> Path:
    """NOAA's summary for the disc's day: two regions on it, and one that the Sun has carried behind the limb since."""
    valid = read_image(disc).observed.replace(hour=0, minute=0, second=0)
    rows = ["1158 N09W18   036  0450 Ekc  12   36 Beta-Gamma", "1160 S11E30   084  0020 Axx  01   01 Alpha"]
    text = SUMMARY.format(spotted="\n".join(rows), plage="1159  N03W24   030", returning="None")
    text = text.replace("2011 Feb 15", f"{valid:%Y %b %d}").replace("15 Feb 2011", f"{valid:%d %b %Y}")
    file = disc.with_name("srs.txt")
    file.write_text(text.replace("14/2400Z", f"{valid - timedelta(days=1):%d}/2400Z"))
    return file
