"""What headers say in their many spellings: units, angles, and keywords that an archive renamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from sdovis.errors import UnreadableImage
from sdovis.images import headers
from sdovis.images.images import read_image
from solar_files import write

FIELD = np.array([[-1500.0, 20.0], [3.0, 900.0]], np.float32)


@pytest.mark.parametrize(
    ("written", "unit", "factor"),
    [
        ("Gauss", "G", 1), ("gauss", "G", 1), ("GAUSS", "G", 1), ("G", "G", 1), ("Mx/cm^2", "G", 1), ("Mx / cm2", "G", 1),
        ("Mx cm-2", "G", 1), ("kG", "G", 1000), ("T", "G", 1e4), ("mT", "G", 10), ("uT", "G", 0.01), ("10-4T", "G", 1),
        ("ct", "DN", 1), ("counts", "DN", 1), ("DN", "DN", 1), ("dn", "DN", 1), ("adu", "DN", 1),
        ("ct / s", "DN/s", 1), ("ct/s", "DN/s", 1), ("count / s", "DN/s", 1), ("DN / s", "DN/s", 1), ("DN s-1", "DN/s", 1),
        ("DN s^-1", "DN/s", 1), ("counts/s", "DN/s", 1), ("DN/sec", "DN/s", 1), ("DN / (pix s)", "DN/s", 1),
        ("ct / pix", "DN", 1), ("Tesla", "G", 1e4), ("Mx cm^-2", "G", 1), ("DN/ms", "DN/s", 1000),
        ("m/s", "m/s", 1), ("degree", "degree", 1), ("furlong", "furlong", 1), ("", "", 1), ("photon / s", "photon / s", 1),
    ],
)  # fmt: skip
def test_values_come_in_gauss_and_dn_however_the_unit_is_written(
    tmp_path: Path, written: str, unit: str, factor: float
) -> None:
    image = read_image(write(tmp_path / "a.fits", FIELD / np.float32(factor), BUNIT=written))
    assert image.unit == unit
    assert image.values[::-1] == pytest.approx(FIELD if unit != written or factor == 1 else FIELD / factor, rel=1e-6)


@given(st.sampled_from(["G", "kG", "mT", "T", "Mx / cm2"]), st.sampled_from(["", " "]), st.sampled_from(["", " "]))
def test_spaces_around_a_unit_mean_nothing(unit: str, before: str, after: str) -> None:
    plain = headers.in_units(FIELD, {"BUNIT": unit}, Path())
    spaced = headers.in_units(FIELD, {"BUNIT": f"{before}{unit}{after}"}, Path())
    assert np.array_equal(plain[0], spaced[0]) and plain[1] == spaced[1] == "G"


@pytest.mark.parametrize("compress", [True, False])
def test_the_keywords_that_jsoc_renames_are_read_under_their_own_names(tmp_path: Path, compress: bool) -> None:
    values = np.random.default_rng(0).normal(0, 200, (40, 40)).astype(np.float32)
    cards = {
        "BUNIT": None,
        "_BUNIT": "Mx/cm^2",
        "_DATAMIN": -600.0,
        "DRMS_ID": "hmi.sharp_cea_720s:9893803:magnetogram",
    }
    image = read_image(write(tmp_path / "a.fits", values, compress, **cards))
    assert (image.unit, image.header["BUNIT"]) == ("G", "Mx/cm^2")
    assert image.header["DRMS_ID"] == "hmi.sharp_cea_720s:9893803:magnetogram"
    assert headers.restored({"_BUNIT": "G", "_DATAMIN": -6, "BUNIT": ""}) == {
        "BUNIT": "G", "_BUNIT": "G", "DATAMIN": -6, "_DATAMIN": -6,
    }  # fmt: skip


def test_what_the_first_header_says_of_the_file_holds_for_an_image_in_an_extension(tmp_path: Path) -> None:
    first = fits.PrimaryHDU(
        header=fits.Header({"TELESCOP": "SOHO", "_BUNIT": "Gauss", "CRPIX1": 7.0, "INSTRUME": "MDI"})
    )
    second = fits.ImageHDU(FIELD, header=fits.Header({"INSTRUME": "HMI_SIDE1"}))
    fits.HDUList([first, second]).writeto(tmp_path / "a.fits")
    image = read_image(tmp_path / "a.fits")
    assert (image.unit, image.header["TELESCOP"], image.header["INSTRUME"]) == ("G", "SOHO", "HMI_SIDE1")
    assert not image.oriented, "where pixels are is said by the image's own header"


def test_a_name_that_stands_as_it_is_outranks_a_renamed_one_unless_they_disagree(tmp_path: Path) -> None:
    same = write(tmp_path / "a.fits", FIELD, BUNIT="Gauss", _BUNIT="Mx/cm^2")
    assert read_image(same).unit == "G"
    with pytest.raises(UnreadableImage, match="BUNIT is 'DN/s', _BUNIT is 'Mx/cm"):
        read_image(write(tmp_path / "b.fits", FIELD, BUNIT="DN/s", _BUNIT="Mx/cm^2"))


#: The scale of the test's files, 12 arcsec, in other units.
UNITS = {"arcsec": 12.0, "ARCSEC": 12.0, "arcseconds": 12.0, "deg": 12 / 3600, "degree": 12 / 3600, "degrees": 12 / 3600,
         "arcmin": 0.2, "mas": 12_000.0, "rad": np.radians(12 / 3600), "": 12.0}  # fmt: skip


@pytest.mark.parametrize("across", UNITS)
@pytest.mark.parametrize("up", ["arcsec", "arcmin", "mas"])
def test_angles_are_converted_on_each_axis_by_its_own_unit(tmp_path: Path, across: str, up: str) -> None:
    values = np.random.default_rng(0).normal(0, 200, (192, 201)).astype(np.float32)
    wanted = read_image(write(tmp_path / "a.fits", values, CRVAL1=30.0, CRVAL2=-50.0)).frame
    cards = {"CUNIT1": across or None, "CUNIT2": up, "CDELT1": UNITS[across], "CDELT2": UNITS[up]}
    cards |= {"CRVAL1": 30.0 * UNITS[across] / 12, "CRVAL2": -50.0 * UNITS[up] / 12}
    found = read_image(write(tmp_path / "b.fits", values, **cards)).frame
    assert found is not None and wanted is not None
    assert (*found.center_px, found.arcsec_per_px) == pytest.approx((*wanted.center_px, wanted.arcsec_per_px), abs=1e-3)


@pytest.mark.parametrize("written", ["solRad", "pixel", "furlong", "Sine Latitude", "m"])
def test_what_is_no_angle_is_never_taken_for_arc_seconds(tmp_path: Path, written: str) -> None:
    for axis in ("CUNIT1", "CUNIT2"):
        with pytest.raises(UnreadableImage, match=f"{axis} is '{written}', which is not a unit of angle"):
            read_image(write(tmp_path / "a.fits", FIELD, **{axis: written}))


def test_a_step_that_may_be_in_degrees_needs_its_unit(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=r"CUNIT1 is absent, and CDELT1 = 0\.0033 may be in degrees"):
        read_image(write(tmp_path / "a.fits", FIELD, CUNIT1=None, CUNIT2=None, CDELT1=0.0033, CDELT2=0.0033))
    with pytest.raises(UnreadableImage, match="no CDELT1 gives the scale"):
        read_image(write(tmp_path / "a.fits", FIELD, CDELT1=None, CDELT2=None))


def test_a_map_in_radians_is_a_map_in_degrees(tmp_path: Path) -> None:
    cards = {"CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CDELT1": 0.03, "CDELT2": 0.03, "CRVAL1": 4.0, "CRVAL2": -21.0,
             "CUNIT1": "degree", "CUNIT2": "degree"}  # fmt: skip
    wanted = read_image(write(tmp_path / "a.fits", FIELD, **cards)).grid
    turned = {key: np.radians(value) if isinstance(value, float) else value for key, value in cards.items()}
    found = read_image(write(tmp_path / "b.fits", FIELD, **turned | {"CUNIT1": "rad", "CUNIT2": "rad"})).grid
    assert found is not None and wanted is not None
    assert (found.latitude_deg, found.longitude_deg, found.deg_per_px) == pytest.approx(
        (wanted.latitude_deg, wanted.longitude_deg, wanted.deg_per_px)
    )
