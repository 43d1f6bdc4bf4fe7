"""Model folders and images that the tests of this folder share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import images
import models


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """region.fits, region.png (its codes), disc.fits, a browse JPEG, and text.fits, which is none."""
    folder = tmp_path_factory.mktemp("uploads")
    images.picture_of(images.magnetogram(folder))
    images.full_disc(folder)
    images.browse(folder)
    (folder / "text.fits").write_text("SIMPLE is what this text is not\n")
    return folder


@pytest.fixture(scope="session")
def magnetogram_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_model(tmp_path_factory.mktemp("models") / "magnetogram")


@pytest.fixture(scope="session")
def cutout_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads cutouts of 216 arcsec: 24 pixels of the full disc of `images`."""
    return models.save_model(tmp_path_factory.mktemp("models") / "cutout", simulated=False, cutout_arcsec=216.0)
