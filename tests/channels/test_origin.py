"""A picture of another instrument or segment fits no channel that it is not of; nor do impossible values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sdovis.channels.channel import channel
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage

RNG = np.random.default_rng(0)
FIELD = RNG.normal(0, 200, (40, 40)).astype(np.float32)
INTENSITY = RNG.normal(50_000, 500, (40, 40)).astype(np.float32)
EUV = RNG.uniform(5, 3000, (40, 40)).astype(np.float32)
CODES = RNG.integers(0, 256, (40, 40), np.uint8)
SDO = {"TELESCOP": "SDO/HMI", "INSTRUME": "HMI_SIDE1", "CONTENT": "HMI observable", "ORIGIN": "SDO/JSOC-SDP"}
#: A good image of each channel: values, unit, header, name.
GOOD = {
    "hmi-magnetogram": (FIELD, "G", SDO, "a.magnetogram.fits"),
    "hmi-br": (FIELD, "G", SDO, "a.Br.fits"),
    "hmi-continuum": (INTENSITY, "DN/s", SDO, "a.continuum.fits"),
    "aia-193": (
        EUV,
        "DN/s",
        {"TELESCOP": "SDO/AIA", "INSTRUME": "AIA_2", "WAVELNTH": 193},
        "aia.lev1_euv_12s.193.fits",
    ),
    "aia-193-browse": (CODES, "grey", {}, "20110215_013000_512_0193.jpg"),
    "hmi-magnetogram-browse": (CODES, "grey", {}, "20110215_013000_512_HMIB.jpg"),
    "hmi-continuum-browse": (CODES, "grey", {}, "20110215_013000_512_HMIIF.jpg"),
}


def _image(name: str, file: str | None = None, **cards: object) -> SolarImage:
    values, unit, header, own = GOOD[name]
    kind = "JPEG" if unit == "grey" else "FITS"
    return SolarImage(values, unit, header={**header, **cards}, path=Path(file or own), format=kind)


def _refusal(name: str, image: SolarImage) -> str:
    with pytest.raises(BadInput) as caught:
        channel(name).values(image)
    return str(caught.value)


@pytest.mark.parametrize("name", GOOD)
def test_an_image_of_the_channel_is_taken(name: str) -> None:
    assert channel(name).values(_image(name)).shape == (40, 40)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("TELESCOP", "SOHO"), ("TELESCOP", "NSO-GONG"), ("TELESCOP", "SOLO/EUI/FSI"), ("TELESCOP", "STEREO"),
        ("TELESCOP", "HINODE"), ("TELESCOP", "AL1"), ("TELESCOP", "PROBA2"), ("TELESCOP", "Kodaikanal"), ("INSTRUME", "EIT"),
        ("INSTRUME", "MDI"), ("INSTRUME", "SUIT"), ("INSTRUME", "XRT"), ("INSTRUME", "SWAP"), ("INSTRUME", "SUVI"),
        ("INSTRUME", "SECCHI"), ("INSTRUME", "PHI"), ("OBSRVTRY", "STEREO_A"), ("OBSRVTRY", "Solar Orbiter"),
        ("OBSRVTRY", "Hinode"), ("DETECTOR", "EUVI"), ("ORIGIN", "NSO/GONG NETWORK"),
        ("DRMS_ID", "mdi.fd_M_96m_lev182:1234:data"),
    ],
)  # fmt: skip
def test_another_instruments_header_is_refused_by_its_card(name: str, card: str, value: str) -> None:
    assert f"{card} is {value!r}" in _refusal(name, _image(name, "a.fits", **{card: value}))


@pytest.mark.parametrize("name", [n for n in GOOD if n != "aia-193"])
@pytest.mark.parametrize(
    ("file", "who"),
    [
        ("2011_02_15__01_30_00_123__SOHO_EIT_EIT_195.jp2", "SOHO/EIT"),
        ("2011_02_15__01_30_00_123__SOHO_MDI_MDI_magnetogram.jp2", "SOHO/MDI"),
        ("2011_02_15__01_30_00_123__STEREO_A_SECCHI_EUVI_195.jp2", "STEREO/EUVI"),
        ("2022_03_01__00_00_00_000__PROBA2_SWAP_SWAP_174.jp2", "PROBA2/SWAP"),
        ("2011_02_15__01_30_00_123__Hinode_XRT_XRT_Al_poly.jp2", "Hinode/XRT"),
        ("solo_L2_eui-fsi174-image_20220317T032000218_V01.fits", "Solar Orbiter"),
        ("solo_L2_phi-hrt-blos_20220317T032000_V01.fits", "Solar Orbiter"),
        ("SUT_T24_0725_000377_Lev1.0_2024-05-15T14.00.00.000_0971NB03.fits", "Aditya-L1/SUIT"),
        ("dr_suvi-l2-ci195_g16_s20240515T140000Z.fits", "GOES/SUVI"), ("efz20110215.013000", "SOHO/EIT"),
        ("20110215_013030_n4euA.fts", "STEREO/EUVI"), ("mrbqs110215t0104c2107_325.fits", "GONG"),
        ("fd_M_96m_01d.6620.0001.fits", "SOHO/MDI"), ("FG20110215_013000.3.fits", "Hinode/SOT"),
        ("XRT20110215_013000.1.fits", "Hinode/XRT"), ("swap_lv1_20110215_013000.fits", "PROBA2/SWAP"),
        ("SUIT_NB03_20240515.png", "Aditya-L1/SUIT"), ("gong_20110215.jpg", "GONG"), ("eit195_20110215.gif", "SOHO/EIT"),
    ],
)  # fmt: skip
def test_another_instruments_name_is_refused_by_name(name: str, file: str, who: str) -> None:
    assert who in _refusal(name, _image(name, file))


@pytest.mark.parametrize("wave", [6768.0, 171, 5250.2])
def test_another_spectral_line_is_not_hmis(wave: float) -> None:
    assert f"WAVELNTH is {wave!r}" in _refusal("hmi-magnetogram", _image("hmi-magnetogram", WAVELNTH=wave))
    assert channel("hmi-magnetogram").values(_image("hmi-magnetogram", WAVELNTH=617.3)).shape == (40, 40)


def test_hmi_and_aia_are_not_taken_for_each_other() -> None:
    assert "TELESCOP is 'SDO/AIA'" in _refusal("hmi-magnetogram", _image("hmi-magnetogram", TELESCOP="SDO/AIA"))
    assert "says SDO/HMI" in _refusal(
        "aia-193-browse", _image("aia-193-browse", "2011_02_15__01_30_00_12__SDO_HMI_HMI_M.jp2")
    )
    assert "says SDO/AIA" in _refusal(
        "hmi-continuum-browse", _image("hmi-continuum-browse", "2011_02_15__01_30_00_12__SDO_AIA_AIA_193.jp2")
    )


@pytest.mark.parametrize(
    ("file", "cards", "own"),
    [
        ("hmi.m_45s.20110215_013000_TAI.2.magnetogram.fits", {}, "hmi-magnetogram"),
        ("hmi.M_720s.20110215_000000_TAI.1.fits", {}, "hmi-magnetogram"),
        ("hmi_m_45s_2011_02_15_01_31_30_tai_magnetogram.fits", {}, "hmi-magnetogram"),
        ("hmi.Ic_720s.20110215_000000_TAI.3.continuum.fits.gz", {}, "hmi-continuum"),
        ("hmi_ic_45s_2011_02_15_01_31_30_tai_continuum.fits", {}, "hmi-continuum"),
        ("hmi.sharp_cea_720s.377.20110215_000000_TAI.Br.fits", {}, "hmi-br"),
        ("anything.fits", {"DRMS_ID": "hmi.sharp_cea_720s:9893803:Br"}, "hmi-br"),
        ("anything.fits", {"DRMS_ID": "hmi.M_720s:203047:magnetogram"}, "hmi-magnetogram"),
        ("anything.fits", {"DRMS_ID": "hmi.Ic_45s:8724062:continuum"}, "hmi-continuum"),
        ("anything.fits", {"CONTENT": "CONTINUUM INTENSITY"}, "hmi-continuum"),
        ("hmi.B_720s.20110215_000000_TAI.field.fits", {}, ""), ("hmi.B_720s.20110215_000000_TAI.inclination.fits", {}, ""),
        ("hmi.b_720s_20110215_000000_TAI_azimuth.fits", {}, ""), ("hmi.B_720s.20110215_000000_TAI.fits", {}, ""),
        ("hmi.B_720s.20110215_000000_TAI.magnetogram.fits", {}, ""), ("hmi.V_45s.20110215_000000_TAI.2.fits", {}, ""),
        ("hmi.sharp_cea_720s.377.20110215_000000_TAI.Bp.fits", {}, ""),
        ("hmi.sharp_cea_720s.377.20110215_000000_TAI.Br_err.fits", {}, ""),
        ("hmi.sharp_720s.377.20110215_000000_TAI.disambig.fits", {}, ""),
        ("hmi.sharp_720s.377.20110215_000000_TAI.conf_disambig.fits.gz", {}, ""),
        ("hmi.Ic_noLimbDark_720s.20110215_000000_TAI.continuum.fits", {}, ""),
        ("anything.fits", {"DRMS_ID": "hmi.Ic_noLimbDark_720s:1:continuum"}, ""),
        ("anything.fits", {"DRMS_ID": "hmi.sharp_cea_720s:9893803:Bt"}, ""),
        ("a.Br.fits", {"DRMS_ID": "hmi.sharp_cea_720s:9893803:magnetogram"}, ""),
        ("a.magnetogram.fits", {"CONTENT": "CONTINUUM INTENSITY"}, ""),
    ],
)  # fmt: skip
def test_one_segment_is_never_taken_for_another(file: str, cards: dict[str, str], own: str) -> None:
    for name in ("hmi-magnetogram", "hmi-br", "hmi-continuum"):
        image = _image(name, file, **cards)
        if name == own:
            assert channel(name).values(image).shape == (40, 40)
        else:
            assert "not an image for channel" in _refusal(name, image)


@pytest.mark.parametrize(
    "file",
    ["2011_02_15__01_30_00_12__SDO_AIA_AIA_171.jp2", "20110215_013000_512_0171.jpg", "20110215_120030_SDO_AIA_171_512.jpg",
     "aia.lev1_euv_12s.2011-02-15T000002Z.171.image_lev1.fits", "aia.lev1_euv_12s.2011-02-15T000002Z.193.spikes.fits",
     "20110215_013000_512_HMIB.jpg"],
)  # fmt: skip
def test_another_wavelength_in_the_name_is_refused(file: str) -> None:
    for name in ("aia-193", "aia-193-browse"):
        assert "not an image for channel" in _refusal(name, _image(name, file))


def test_a_time_in_a_name_is_no_wavelength() -> None:
    assert channel("aia-193").values(_image("aia-193", "aia_20110215_1600.fits")).shape == (40, 40)


@pytest.mark.parametrize(
    "file",
    [
        "20110215_000000_SDO_HMI_Ic_512.jpg",
        "HMI.m2026.02.01_00.00.00.jpg",
        "20110215_013000_M_1k.jpg",
        "2011_02_15__01_30_00_12__SDO_HMI_HMI_magnetogram.jp2",
    ],
)
def test_a_browse_picture_goes_to_the_channel_of_its_name_only(file: str) -> None:
    own = "hmi-continuum-browse" if "_Ic_" in file else "hmi-magnetogram-browse"
    other = ({"hmi-continuum-browse", "hmi-magnetogram-browse"} - {own}).pop()
    assert channel(own).values(_image(own, file)).shape == (40, 40)
    assert "the file's name says" in _refusal(other, _image(other, file))


# --- values that no instrument gives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hmi-magnetogram", "hmi-br"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.where(np.arange(1600).reshape(40, 40) == 7, 17_930, FIELD), "17930 G cannot be"),
        (FIELD * 100, "cannot be"), (np.abs(FIELD), "all of one sign"), (-np.abs(FIELD) - 1, "all of one sign"),
        (CODES.astype(np.float32), "values from 0 to 255 G, all of one sign"), (INTENSITY, "cannot be"),
        (EUV, "all of one sign"),
    ],
)  # fmt: skip
def test_a_field_that_hmi_cannot_give_is_refused_as_file_and_as_array(name: str, values: np.ndarray, said: str) -> None:
    image = SolarImage(values.astype(np.float32), "G", path=Path("a.fits"), format="FITS")
    assert said in _refusal(name, image)
    with pytest.raises(BadInput, match=said):
        channel(name).values(values.astype(np.float32))


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        (FIELD * 5, "DN/s", "cannot be of channel hmi-continuum"), (CODES.astype(np.float32), "DN/s", "grey levels or ratios"),
        (INTENSITY * 10, "DN/s", "cannot be of channel"), (np.ones((40, 40), np.float32), "DN/s", "grey levels or ratios"),
    ],
)  # fmt: skip
def test_an_intensity_that_hmi_cannot_give_is_refused(values: np.ndarray, unit: str, said: str) -> None:
    assert said in _refusal("hmi-continuum", SolarImage(values, unit, path=Path("a.fits"), format="FITS"))


@pytest.mark.parametrize("unit", ["", "DN", "DN/s"])
@pytest.mark.parametrize(
    "values", [FIELD, EUV - 2000, EUV * 1e5], ids=["a field", "far below the dark level", "too bright"]
)
def test_counts_that_aia_cannot_give_are_refused(values: np.ndarray, unit: str) -> None:
    header = {"INSTRUME": "AIA_2", "WAVELNTH": 193, "EXPTIME": 2.0}
    image = SolarImage(values, unit, header=header, path=Path("a.fits"), format="FITS")
    assert "cannot be of channel aia-193" in _refusal("aia-193", image)


def test_single_values_below_the_dark_level_are_real_in_aia() -> None:
    values = RNG.uniform(5, 3000, (200, 200)).astype(np.float32)
    values[:3, 0] = -900  # registration overshoots beside saturated pixels
    assert channel("aia-193").values(SolarImage(values, "DN/s")).shape == (200, 200)


def test_every_limit_of_a_channel_holds_its_own_levels() -> None:
    for name in GOOD:
        kind = channel(name)
        if limits := kind.limits.get(kind.unit):
            levels = kind.levels[np.isfinite(kind.levels)]
            assert limits.least <= levels.min() < levels.max() <= limits.greatest


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("hmi-magnetogram", "svsm_m1100_S2_20110215_1732.fts"), ("hmi-magnetogram", "k4v9x110215t173214.fts"),
        ("hmi-magnetogram", "ASO-S_FMG_20230501_000000.fits"), ("hmi-magnetogram", "smdi_maglc_fd_20110215_013000.fts"),
        ("hmi-continuum", "kanz_bband_fi_20110215_0730.fts"), ("hmi-continuum", "bbso_halph_fl_20110215_173000.fts"),
        ("hmi-continuum", "RSM20211021T063050_0020_HA.fits"), ("hmi-magnetogram-browse", "20110215_0130_mdimag_1024.jpg"),
        ("aia-193-browse", "seit_00195_fd_20110215_013000.jpg"), ("aia-193-browse", "stra_00195_fd_20110215_013000.jpg"),
        ("aia-193-browse", "20110215_0130_c2_512.jpg"), ("aia-193-browse", "hxrt_flter_fd_20110215.jpg"),
    ],
)  # fmt: skip
def test_names_of_other_observatories_are_known(name: str, file: str) -> None:
    assert "the file's name says" in _refusal(name, _image(name, file))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("aia-193-browse", "20110215_013000_512_211193171.jpg"), ("aia-193-browse", "latest_1024_0193pfss.jpg"),
        ("aia-193-browse", "latest_1024_HMI171.jpg"), ("aia-193-browse", "f_211_193_171.jpg"),
        ("aia-193-browse", "f0171.jpg"), ("aia-193-browse", "saia_00171_fd_20110215_013000.png"),
        ("hmi-magnetogram-browse", "20110215_013000_512_HMIBpfss.jpg"),
        ("hmi-magnetogram-browse", "shmi_igram_fd_20110215.jpg"),
        ("hmi-magnetogram-browse", "20110215_0000_hmiigr_1024.jpg"), ("hmi-magnetogram-browse", "hmi_continuum_20110215.jpg"),
        ("hmi-continuum-browse", "20110215_0000_hmimag_1024.jpg"), ("hmi-continuum-browse", "shmi_maglc_fd_20110215.jpg"),
        ("hmi-continuum-browse", "HMI_Mag_20110215.jpg"),
    ],
)  # fmt: skip
def test_pictures_of_several_wavelengths_or_of_another_segment_are_known_by_their_names(name: str, file: str) -> None:
    assert "the file's name says" in _refusal(name, _image(name, file))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("aia-193-browse", "f0193.jpg"), ("aia-193-browse", "saia_00193_fd_20110215_013000.png"),
        ("aia-193-browse", "latest_1024_0193.jpg"), ("hmi-magnetogram-browse", "shmi_maglc_fd_20110215.jpg"),
        ("hmi-magnetogram-browse", "20110215_0000_hmimag_1024.jpg"), ("hmi-continuum-browse", "20110215_0000_hmiigr_1024.jpg"),
        ("hmi-br", "hmi_mag_11158.Br.fits"),
    ],
)  # fmt: skip
def test_other_archives_names_of_the_channels_own_pictures_are_taken(name: str, file: str) -> None:
    assert channel(name).values(_image(name, file)).shape == (40, 40)


@pytest.mark.parametrize("telescope", ["AIA_1", "AIA_3", "AIA_4"])
def test_without_wavelnth_aias_telescope_tells_what_it_does_not_see(telescope: str) -> None:
    image = _image("aia-193", "a.fits", INSTRUME=telescope, WAVELNTH=None)
    assert f"INSTRUME is '{telescope}', which does not see 193" in _refusal("aia-193", image)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("hmi-magnetogram", "gong_20110215.png"), ("hmi-magnetogram", "a.continuum.png"), ("hmi-magnetogram", "AIA_193.png"),
        ("aia-193", "20110215_013000_512_0171.png"), ("aia-193", "EIT_195.tif"), ("hmi-continuum", "a.magnetogram.png"),
        ("aia-193-browse", "20110215_013000_512_0171.png"), ("hmi-magnetogram-browse", "SOHO_MDI.png"),
    ],
)  # fmt: skip
def test_a_grey_png_is_no_exception_by_its_name(name: str, file: str) -> None:
    image = SolarImage(CODES, "grey", path=Path(file), format="PNG")
    assert "the file's name says" in _refusal(name, image)
    with pytest.raises(BadInput):
        channel(name).held(image)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("file", ["ar11158.png", "20110215_013000-ar11158.png", "a.tif"])
def test_a_grey_png_of_no_telling_name_holds_codes(name: str, file: str) -> None:
    assert channel(name).held(SolarImage(CODES, "grey", path=Path(file), format="PNG")) is CODES
