"""The transforms to 8 bits: their steps, their inverses, and that the wrong image is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sdovis.channels import aia, browse, hmi
from sdovis.channels.aia import AIA_171, AIA_1600
from sdovis.channels.browse import AIA_211_BROWSE, HMI_CONTINUUM_BROWSE, HMI_MAGNETOGRAM_BROWSE
from sdovis.channels.channel import Channel, channel, to_picture
from sdovis.channels.hmi import HMI_BR, HMI_CONTINUUM, HMI_MAGNETOGRAM, limb_darkening
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage, read_image
from sdovis.sun.geometry import DiscFrame, disc_mu

ALL = sorted({c for m in (aia, browse, hmi) for c in vars(m).values() if isinstance(c, Channel)}, key=lambda c: c.name)
SIGNED = [c for c in ALL if c.signed]
FIELD = hnp.arrays(np.float32, 40, elements=st.floats(-5000, 5000, width=32))


def sample(name: str) -> SolarImage:
    from sunpy.data.test import get_test_filepath

    return read_image(get_test_filepath(name))


def names(found: list[Channel]) -> list[str]:
    return [c.name for c in found]


def test_every_channel_is_registered_under_its_name() -> None:
    assert len(ALL) == 3 + 2 + 3 * 9
    for built_in in ALL:
        assert channel(built_in.name) is built_in


def test_an_unknown_channel_names_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'hmi-magnetogram'"):
        channel("hmi-magnetograms")


@pytest.mark.parametrize("c", ALL, ids=names(ALL))
def test_codes_survive_decoding_and_encoding(c: Channel) -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(c.encode(c.decode(codes)), codes)
    assert c.encode(np.array([np.nan], np.float32))[0] == c.missing
    assert c.levels.shape == (256,) and c.levels.dtype == np.float32
    facts = c.facts()
    assert all((facts.name, facts.version, facts.title, facts.unit, facts.source, facts.colormap))


@pytest.mark.parametrize("c", ALL, ids=names(ALL))
def test_encoding_rises_with_the_value_and_clips(c: Channel) -> None:
    first, last = np.nanmin(c.levels), np.nanmax(c.levels)
    values = np.sort(np.random.default_rng(0).uniform(first, last, 5000)).astype(np.float32)
    codes = c.encode(np.concatenate([[-np.inf], values, [np.inf]]).astype(np.float32)).astype(int)
    assert (np.diff(codes) >= 0).all()
    assert codes[0] == int(np.isnan(c.levels).sum()) and codes[-1] == 255
    step = np.diff(c.levels)[np.clip(codes[1:-1] - 1, 1, 254)]
    following = np.diff(c.levels)[np.clip(codes[1:-1], 1, 254)]
    error = np.abs(c.decode(codes[1:-1].astype(np.uint8)) - values)
    assert (error <= np.maximum(step, following) / 2 * 1.001).all()


@pytest.mark.parametrize("c", [*ALL[:2], *SIGNED], ids=lambda c: c.name)
def test_the_code_is_that_of_the_nearest_level_for_any_number(c: Channel) -> None:
    """Every threshold, its neighbours, both zeros, both infinities: the fast count is exactly the sorted search."""
    levels = c.levels[128:] if c.signed else c.levels[np.isfinite(c.levels)]
    middles = ((levels[1:] + levels[:-1]) / 2).astype(np.float32)
    around = [np.nextafter(middles, np.float32(side)) for side in (-np.inf, np.inf)]
    random = np.random.default_rng(0).uniform(-2, 1.2, 5000).astype(np.float32) * levels[-1]
    values = np.concatenate([middles, *around, levels, random, [0.0, -0.0, np.inf, -np.inf]]).astype(np.float32)
    sorted_search = np.searchsorted(middles, np.abs(values) if c.signed else values)
    first = 128 if c.signed else int(np.isnan(c.levels).sum())
    expected = np.where(c.signed & (values < 0), first - sorted_search, first + sorted_search)
    assert np.array_equal(c.encode(values), expected)


def test_a_table_with_steps_too_fine_for_the_fast_count_is_coded_all_the_same() -> None:
    levels = np.linspace(1000, 1000.5, 256).astype(np.float32)
    fine = replace(AIA_171, levels=levels)
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(fine.encode(levels), codes)


@pytest.mark.parametrize("c", SIGNED, ids=names(SIGNED))
@given(field=FIELD)
def test_magnetograms_are_symmetric_about_zero(c: Channel, field: np.ndarray) -> None:
    assert c.encode(np.zeros(1, np.float32))[0] == 128
    assert np.array_equal(c.encode(-field), c.reversed(c.encode(field)))
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(c.reversed(c.reversed(codes)), codes)
    assert c.reversed(codes)[0] == 0


def test_magnetogram_steps_are_below_the_noise_then_within_three_percent_and_reach_3000_gauss() -> None:
    positive = HMI_MAGNETOGRAM.levels[128:].astype(float)
    step = np.diff(positive)
    assert step[positive[1:] <= 200.001].max() < 6.0
    assert (step / positive[1:])[positive[1:] > 200.001].max() <= 0.03
    assert positive[-1] >= 3000 * (1 - 1e-6)
    assert np.array_equal(HMI_MAGNETOGRAM.levels[1:128], -HMI_MAGNETOGRAM.levels[:128:-1])


@given(field=FIELD)
def test_a_magnetogram_comes_back_within_half_a_step(field: np.ndarray) -> None:
    back = HMI_MAGNETOGRAM.decode(HMI_MAGNETOGRAM.encode(field))
    allowed = np.where(np.abs(field) <= 200, 6.0 / 2, 0.0151 * np.abs(field))
    inside = np.abs(field) <= 3000
    assert (np.abs(back - field) <= allowed + 1e-3)[inside].all()
    assert np.allclose(np.abs(back[~inside]), 3000)


def test_channels_without_polarity_refuse_to_reverse_it() -> None:
    with pytest.raises(ValueError, match="no polarity"):
        AIA_171.reversed(np.zeros(3, np.uint8))


def test_aia_is_taken_per_second_on_a_logarithmic_scale() -> None:
    image = sample("aia_171_level1.fits")
    values = AIA_171.values(image)
    assert np.allclose(values, image.values / 2.000191)
    per_second = replace(image, values=values, unit="DN/s")
    assert np.array_equal(AIA_171.values(per_second), values)
    codes = AIA_171.encode(np.array([-3, 0, 5, 3500, 9999, np.sqrt(5 * 3500), np.nan], np.float32))
    assert codes.tolist() == [1, 1, 1, 255, 255, 128, 0]
    with pytest.raises(BadInput, match="EXPTIME is None"):
        AIA_171.values(replace(image, header={}))


def test_limb_darkening_is_that_of_the_sun_at_617_nm() -> None:
    assert limb_darkening(np.array(1.0)) == pytest.approx(1, abs=1e-4)
    # Pierce & Slaughter (1977) and Neckel & Labs (1994): about 0.72 at mu = 0.5 and 0.47 at mu = 0.1 for red light.
    assert limb_darkening(np.array(0.5)) == pytest.approx(0.73, abs=0.02)
    assert limb_darkening(np.array(0.1)) == pytest.approx(0.46, abs=0.03)


def test_the_quiet_continuum_is_one_from_centre_to_limb_whatever_the_exposure() -> None:
    image = sample("resampled_hmi.fits")
    assert image.frame is not None
    ratio = HMI_CONTINUUM.values(image)
    mu = disc_mu((100, 100), image.frame)
    for low, high in ((0.95, 1.0), (0.75, 0.85), (0.55, 0.65), (0.4, 0.5)):
        assert np.median(ratio[(mu > low) & (mu <= high)]) == pytest.approx(1, abs=0.02), (low, high)
    assert np.allclose(
        HMI_CONTINUUM.values(replace(image, values=image.values * 0.8)), ratio, rtol=1e-5, equal_nan=True
    )
    assert HMI_CONTINUUM.encode(np.array([0.0, 1.0, 1.27, 5.0, np.nan], np.float32)).tolist() == [1, 201, 255, 255, 0]


def test_a_continuum_map_is_taken_over_its_median() -> None:
    patch = np.full((20, 20), 50000, np.float32)
    patch[5:9, 5:9] = 10000
    ratio = HMI_CONTINUUM.values(SolarImage(patch, "DN/s", header={"INSTRUME": "HMI_SIDE1"}))
    assert ratio[0, 0] == 1 and ratio[6, 6] == pytest.approx(0.2)
    with pytest.raises(BadInput, match="no quiet Sun"):
        HMI_CONTINUUM.values(SolarImage(patch * 0, "DN/s"))


HMI = {"INSTRUME": "HMI_SIDE1", "CONTENT": "MAGNETOGRAM", "WAVELNTH": 6173.0}


@pytest.mark.parametrize(
    ("given_to", "unit", "header", "why"),
    [
        (HMI_MAGNETOGRAM, "DN", {"INSTRUME": "AIA_3", "WAVELNTH": 171}, "INSTRUME is 'AIA_3'"),
        (HMI_MAGNETOGRAM, "DN/s", HMI | {"CONTENT": "CONTINUUM INTENSITY"}, "CONTENT is 'CONTINUUM INTENSITY'"),
        (HMI_MAGNETOGRAM, "DN/s", HMI, "the unit is 'DN/s'"),
        (HMI_BR, "G", HMI, "CONTENT is 'MAGNETOGRAM'"),
        (HMI_BR, "G", HMI | {"CONTENT": "HMI observable", "SEGMENT": "Br_err"}, "SEGMENT is 'Br_err'"),
        (AIA_1600, "DN", {"INSTRUME": "AIA_3", "WAVELNTH": 1700, "EXPTIME": 2.9}, "WAVELNTH is 1700"),
        (HMI_MAGNETOGRAM, "", HMI | {"CONTENT": "HMI observable"}, "BUNIT is absent"),
        (HMI_MAGNETOGRAM, "count", {}, "the unit is 'count'"),
        (HMI_CONTINUUM, "G", HMI, "CONTENT is 'MAGNETOGRAM', the unit is 'G'"),
        (AIA_171, "DN", {"INSTRUME": "AIA_2", "WAVELNTH": 193, "EXPTIME": 2.0}, "WAVELNTH is 193"),
        (AIA_171, "G", HMI, "INSTRUME is 'HMI_SIDE1'"),
        (AIA_211_BROWSE, "DN", {"INSTRUME": "AIA_2", "WAVELNTH": 211}, "takes a browse picture"),
    ],
)
def test_an_image_whose_header_contradicts_the_channel_is_refused(
    given_to: Channel, unit: str, header: dict[str, object], why: str
) -> None:
    image = SolarImage(np.ones((4, 4), np.float32), unit, header=header, path=Path("images/a.fits"))
    with pytest.raises(BadInput) as caught:
        given_to.values(image)
    assert why in str(caught.value) and str(caught.value).startswith("images/a.fits: ")


SEGMENTS = {"Br": HMI_BR, "magnetogram": HMI_MAGNETOGRAM, "continuum": HMI_CONTINUUM}


@pytest.mark.parametrize("wanted", SEGMENTS)
def test_the_segments_of_a_sharp_are_told_apart_by_name_alone_and_silence_is_no_contradiction(wanted: str) -> None:
    unit = "DN/s" if wanted == "continuum" else "G"
    header = {"INSTRUME": "HMI_SIDE1", "CONTENT": "HMI observable"}
    field = np.full((4, 4), 50_000 if wanted == "continuum" else 100, np.float32)
    taken = SEGMENTS[wanted].values(SolarImage(field, unit, header=header, path=Path("images/anything.fits")))
    assert taken.shape == (4, 4)
    for name in [*SEGMENTS, "bitmap", "Br_err"]:
        path = Path(f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits.gz")
        image = SolarImage(field, unit, header=header, path=path)
        if name == wanted:
            assert SEGMENTS[wanted].values(image).shape == (4, 4)
        else:
            with pytest.raises(BadInput, match=f"the file's name says '{name}'"):
                SEGMENTS[wanted].values(image)


def test_the_segments_of_a_real_sharp_go_to_their_channels_only(shared_data: Path) -> None:
    for name, own in SEGMENTS.items():
        image = read_image(shared_data / "fits_samples" / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits")
        assert own.values(image).shape == (377, 744)
        for other in set(SEGMENTS.values()) - {own}:
            with pytest.raises(BadInput, match="the file's name says"):
                other.values(image)


def test_a_header_and_a_name_that_contradict_each_other_fit_no_channel() -> None:
    image = SolarImage(np.ones((4, 4), np.float32), "G", header=HMI, path=Path("wrongly_named.Br.fits"))
    with pytest.raises(BadInput, match="the file's name says 'Br'"):
        HMI_MAGNETOGRAM.values(image)
    with pytest.raises(BadInput, match="CONTENT is 'MAGNETOGRAM'"):
        HMI_BR.values(image)


def helioviewer(codes: np.ndarray, **header: object) -> SolarImage:
    return SolarImage(codes, "grey", header=header, path=Path("helioviewer.jp2"), format="JPEG2000")


def test_a_helioviewer_picture_goes_to_the_browse_channel_of_its_wavelength_only() -> None:
    image = helioviewer(np.arange(64, dtype=np.uint8).reshape(8, 8), INSTRUME="AIA_2", WAVELNTH=193)
    browse_193 = channel("aia-193-browse")
    assert np.array_equal(browse_193.encode(browse_193.values(image)), image.values), "its byte is kept"
    with pytest.raises(BadInput, match="not an image for channel aia-211-browse: WAVELNTH is 193"):
        AIA_211_BROWSE.values(image)
    with pytest.raises(BadInput, match="INSTRUME is 'AIA_2'"):
        HMI_CONTINUUM_BROWSE.values(image)
    with pytest.raises(BadInput, match="a colour picture or JPEG, but channel aia-193 takes FITS"):
        channel("aia-193").values(image)


def test_a_helioviewer_magnetogram_has_its_zero_at_grey_127() -> None:
    image = helioviewer(np.array([[127, 128, 0, 254]], np.uint8), INSTRUME="HMI_FRONT2", CONTENT="MAGNETOGRAM")
    assert HMI_MAGNETOGRAM_BROWSE.values(image).tolist() == [[0, 1, -127, 127]]
    with pytest.raises(BadInput, match="CONTENT is 'MAGNETOGRAM'"):
        HMI_CONTINUUM_BROWSE.values(image)


def test_the_real_helioviewer_files_go_to_their_channels_only(shared_data: Path) -> None:
    samples = shared_data / "fits_samples"
    aia_193 = read_image(samples / "2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2")
    continuum = read_image(samples / "2023_01_31__03_39_23_200__SDO_HMI_HMI_continuum.jp2")
    for own, image, other in (
        (channel("aia-193-browse"), aia_193, AIA_211_BROWSE),
        (HMI_CONTINUUM_BROWSE, continuum, HMI_MAGNETOGRAM_BROWSE),
    ):
        assert np.array_equal(own.encode(own.values(image)), image.values)
        with pytest.raises(BadInput, match="not an image for channel"):
            other.values(image)


@pytest.mark.parametrize(
    ("given_to", "name"),
    [
        (AIA_211_BROWSE, "20110215_013000_512_0193.jpg"),
        (AIA_211_BROWSE, "20110215_013000_1024_HMIIC.jpg"),
        (HMI_CONTINUUM_BROWSE, "20110215_013000_512_HMIB.jpg"),
        (HMI_MAGNETOGRAM_BROWSE, "20110215_013000_512_HMIBC.jpg"),  # colours for people: their luma is no field
    ],
)
def test_a_browse_picture_named_for_another_channel_is_refused(given_to: Channel, name: str) -> None:
    image = SolarImage(np.full((8, 8), 9, np.uint8), "grey", path=Path(name), format="JPEG")
    with pytest.raises(BadInput, match="the file's name says"):
        given_to.values(image)
    assert given_to.values(replace(image, path=Path("renamed.jpg"))).shape == (8, 8)


def test_a_colour_or_jpeg_picture_is_not_taken_for_gauss(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(BadInput, match="a colour picture or JPEG"):
        HMI_MAGNETOGRAM.values(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "grey.jpg")
    with pytest.raises(BadInput, match="a colour picture or JPEG"):
        HMI_MAGNETOGRAM.values(read_image(tmp_path / "grey.jpg"))
    with pytest.raises(BadInput, match=r"shape \(8, 8, 4\)"):
        HMI_MAGNETOGRAM.values(np.zeros((8, 8, 4), np.uint8))


@pytest.mark.parametrize("c", ALL, ids=names(ALL))
def test_file_array_and_saved_picture_give_the_same_codes(c: Channel, tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(np.nanmin(c.levels), np.nanmax(c.levels), (9, 12)).astype(np.float32)
    picture = to_picture(values, c)
    assert picture.mode == "L"
    picture.save(tmp_path / "saved.png")
    picture.convert("RGB").save(tmp_path / "as_rgb.png")
    codes = c.encode(values)
    for form in (values, codes, read_image(tmp_path / "saved.png"), read_image(tmp_path / "as_rgb.png")):
        assert np.array_equal(c.encode(c.values(form)), codes)


def test_a_fits_file_and_its_saved_picture_give_the_same_codes(tmp_path: Path) -> None:
    image = sample("aia_171_level1.fits")
    to_picture(image, AIA_171).save(tmp_path / "saved.png")
    saved = read_image(tmp_path / "saved.png")
    assert np.array_equal(AIA_171.encode(AIA_171.values(saved)), AIA_171.encode(AIA_171.values(image)))


def test_browse_colours_are_turned_back_into_the_index_of_the_colour_table(tmp_path: Path) -> None:
    from sunpy.visualization.colormaps import cmlist

    index = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    for wave in aia.RANGES:
        c = channel(f"aia-{wave}-browse")
        colours = cmlist[f"sdoaia{wave}"](index, bytes=True)[..., :3]
        assert np.abs(c.values(colours) - index).max() < 1.7
        assert np.abs(c.values(colours) - index).mean() < 0.4
        Image.fromarray(np.ascontiguousarray(colours)).save(tmp_path / "browse.jpg", quality=85)
        assert np.median(np.abs(c.values(read_image(tmp_path / "browse.jpg")) - index)) < 2.5


def test_a_browse_magnetogram_has_its_zero_at_grey_127_and_no_field_in_the_sky(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :128]
    disc = np.hypot(x - 63.5, y - 63.5) < 50
    grey = np.where(disc, 127, 0).astype(np.uint8)
    grey[50:60, 40:50], grey[50:60, 70:80] = 0, 254
    Image.fromarray(grey).save(tmp_path / "m.jpg", quality=100)
    image = replace(read_image(tmp_path / "m.jpg"), frame=DiscFrame((63.5, 63.5), 19.2, 960, 0))
    values = HMI_MAGNETOGRAM_BROWSE.values(image)
    assert values[64, 64] == pytest.approx(0, abs=1)
    assert values[55, 45] < -120 and values[55, 75] > 120, "the spots' polarities"
    assert np.isnan(values[~disc]).mean() > 0.97, "the sky is missing, not a strong negative field"
    assert HMI_MAGNETOGRAM_BROWSE.encode(values)[64, 64] in (127, 128, 129)
    assert HMI_MAGNETOGRAM_BROWSE.encode(values)[0, 0] == 0


def test_a_continuum_browse_picture_becomes_its_luma() -> None:
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = (255, 165, 0)
    assert HMI_CONTINUUM_BROWSE.values(colours)[0, 0] == round(0.299 * 255 + 0.587 * 165)


def test_the_orientation_of_real_magnetograms_agrees_with_their_workbook(shared_data: Path) -> None:
    """Strong field lies at the regions' positions and not at the mirrored ones."""
    import pandas as pd

    rows = pd.read_excel(shared_data / "HMI_Magnetograms_2026.xlsx", sheet_name=0)
    rows = rows[(rows["Longitude (deg)"].abs() < 50) & (rows["Area (MSH)"] >= 100)]
    here, mirrored = [], []
    for name, group in list(rows.groupby("Image"))[::10]:
        values = HMI_MAGNETOGRAM_BROWSE.values(read_image(shared_data / "hmi_mag" / str(name)))
        for x, y in zip(group["X (px)"], group["Y (px)"], strict=True):
            for found, (a, b) in ((here, (x, y)), (mirrored, (511 - x, 511 - y))):
                i, j = round(b), round(a)
                found.append(float((np.abs(values[i - 8 : i + 9, j - 8 : j + 9]) > 60).mean()))
    assert len(here) >= 20
    assert np.median(here) > 5 * max(np.median(mirrored), 0.01)
