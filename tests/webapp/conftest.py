"""Model folders and images that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest
import saved_models
import solar_uploads


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """region.fits, region.png (its codes), disc.fits, a browse JPEG, text.fits, which is none, and SHARP's segments."""
    folder = tmp_path_factory.mktemp("uploads")
    solar_uploads.picture_of(solar_uploads.magnetogram(folder))
    solar_uploads.full_disc(folder)
    solar_uploads.browse(folder)
    solar_uploads.sharp(folder)
    solar_uploads.discs(folder)
    (folder / "text.fits").write_text("SIMPLE is what this text is not\n")
    return folder


@pytest.fixture(scope="session")
def magnetogram_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_models.save_model(tmp_path_factory.mktemp("models") / "magnetogram")


@pytest.fixture(scope="session")
def cutout_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads cutouts of 216 arcsec: 24 pixels of the full disc of `solar_uploads`."""
    return saved_models.save_model(tmp_path_factory.mktemp("models") / "cutout", simulated=False, cutout_arcsec=216.0)


@pytest.fixture(scope="session")
def composite_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sees three channels of HMI, whole."""
    return saved_models.save_model(tmp_path_factory.mktemp("models") / "composite", *saved_models.THREE)


@pytest.fixture(scope="session")
def map_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sees three channels of HMI in maps of 9.6 degrees: 320 pixels of SHARP's."""
    return saved_models.save_model(tmp_path_factory.mktemp("models") / "maps", *saved_models.THREE, cutout_deg=9.6)


@pytest.fixture
def visit(chromium):
    """Opens a page and remembers every address it asked and every error it met."""
    pages = []

    def open_page(address, viewport=None, query=""):
        page = chromium.new_page(viewport=viewport or {"width": 1200, "height": 900})
        page.asked, page.errors = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address + query)
        page.wait_for_selector("#sdovis-file input[type=file]", state="attached")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
