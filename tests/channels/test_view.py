"""What a network looks at: placing, cutting, coding, and whose pixels they are, in one place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.channels.channel import channel
from sdovis.channels.layers import Coded, Layer, shown
from sdovis.channels.place import Position, pixel_of
from sdovis.channels.view import View
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage
from sdovis.study import Images
from sdovis.sun.geometry import DiscFrame

WHEN = datetime(2011, 2, 15, 1, 30, tzinfo=UTC)
FIELD, BROWSE = channel("hmi-magnetogram"), channel("aia-211-browse")


def _picture(width: int, height: int, observed: datetime | None = WHEN, name: str = "disc.jpg") -> SolarImage:
    grey = np.random.default_rng(0).integers(1, 256, (height, width), np.uint8)
    return SolarImage(grey, "grey", observed=observed, path=Path(name), format="JPEG")


def _disc(values: np.ndarray, arcsec: float = 9.0) -> SolarImage:
    height, width = values.shape
    frame = DiscFrame.at(WHEN, ((width - 1) / 2, (height - 1) / 2), arcsec)
    return SolarImage(values.astype(np.float32), "G", frame, WHEN, {"INSTRUME": "HMI_FRONT2"}, format="FITS")


def _layers(view: View, values: np.ndarray) -> list[Layer]:
    return replace(view, check_pointing=False).layers([_disc(values)])


# --- placing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "zoom"), [(512, 1), (1024, 2), (1536, 3), (2048, 4), (4096, 8)])
@pytest.mark.parametrize("of_study", [True, False])
def test_the_discs_centre_and_scale_follow_the_size_of_the_picture(side: int, zoom: int, of_study: bool) -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(255.5, 255.5), arcsec_per_px=4.8)
    layer = view.placed(_picture(side, side), of_study=of_study)
    assert layer.image.frame is not None
    assert layer.image.frame.center_px == ((side - 1) / 2, (side - 1) / 2)
    assert layer.scale == layer.image.frame.arcsec_per_px == 4.8 / zoom


def test_a_disc_a_little_off_the_middle_is_found_at_every_size_too() -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(511.97, 511.02), arcsec_per_px=2.127)
    assert view.placed(_picture(1024, 1024)).image.frame.center_px == (511.97, 511.02)
    assert view.placed(_picture(2048, 2048)).image.frame.center_px == pytest.approx((1024.44, 1022.54))


@pytest.mark.parametrize("size", [(256, 256), (700, 700), (512, 400), (1024, 512)])
def test_a_picture_of_another_size_is_refused_where_a_row_names_it_and_left_alone_elsewhere(size) -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(255.5, 255.5), arcsec_per_px=4.8)
    said = rf"{size[0]} x {size[1]} px, but images.center_px refers to images of 512 x 512 px; set images.native_px"
    with pytest.raises(BadInput, match=said):
        view.placed(_picture(*size), of_study=True)
    layer = view.placed(_picture(*size))
    assert layer.image.frame is None and layer.scale is None


def test_a_smaller_picture_is_a_disc_only_if_its_name_says_its_published_size() -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(511.5, 511.5), arcsec_per_px=2.4)
    named = view.placed(_picture(512, 512, None, "20110215_013000_512_0211.jpg"))
    assert named.image.frame.center_px == (255.5, 255.5) and named.scale == 4.8
    assert view.placed(_picture(512, 512, None, "20110215_013000_1024_0211.jpg")).scale is None
    assert view.placed(_picture(512, 512, None, "region.jpg")).scale is None


@pytest.mark.parametrize("offset", [-20, -9, 9, 20])
def test_the_centre_may_lie_two_percent_off_the_middle(offset: int) -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(511.5 + offset, 511.5), arcsec_per_px=2.4)
    assert view.placed(_picture(1024, 1024), of_study=True).image.frame.center_px == (511.5 + offset, 511.5)


def test_native_px_says_which_size_the_centre_is_given_for() -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(100.0, 300.0), arcsec_per_px=4.8, native_px=(700, 400))
    assert view.placed(_picture(700, 400), of_study=True).image.frame.center_px == (100.0, 300.0)
    assert view.placed(_picture(1400, 800), of_study=True).image.frame.center_px == (200.5, 600.5)


def test_a_name_may_tell_the_time_of_a_picture_that_no_row_names() -> None:
    view = View((BROWSE,), 112, 480.0, center_px=(255.5, 255.5), arcsec_per_px=4.8)
    named = _picture(512, 512, None, "20110215_013000_512_0211.jpg")
    assert view.placed(named).image.observed == WHEN
    nameless = view.placed(_picture(512, 512, None))
    assert nameless.image.frame is None and nameless.scale == 4.8


def test_a_header_outranks_what_the_study_says_of_images_without_one() -> None:
    view = View((FIELD,), 32, 216.0, center_px=(10.0, 10.0), arcsec_per_px=1.0)
    image = _disc(np.ones((64, 64)))
    assert view.placed(image, of_study=True).image.frame == image.frame


# --- cutting and coding -----------------------------------------------------------------------------------------------


def _bipole() -> np.ndarray:
    values = np.random.default_rng(1).normal(0, 20, (256, 256))
    values[90:110, 140:160], values[90:110, 165:185] = 1500, -1500
    return values


@settings(deadline=None, max_examples=40)
@given(st.floats(-40, 40), st.floats(-50, 50), st.sampled_from([{"cutout_arcsec": 216.0}, {"cutout_deg": 14.0}]))
def test_degrees_and_the_pixel_they_fall_on_cut_out_the_same(latitude: float, longitude: float, span) -> None:
    view = View((FIELD,), 24, **span)
    layers = _layers(view, _bipole())
    typed = Position(latitude, longitude)
    x, y = view.pixel(layers, typed)
    one, other = view.cutout(layers, typed), view.cutout(layers, Position(x_px=x, y_px=y))
    assert np.abs(one.codes.astype(int) - other.codes.astype(int)).max() <= 1


def test_many_positions_are_cut_as_each_alone() -> None:
    view = View((FIELD,), 24, cutout_arcsec=216.0)
    layers = _layers(view, _bipole())
    positions = [Position(0, 0), Position(10, 20), Position(x_px=150.0, y_px=100.0)]
    together = view.cutouts(layers, positions)
    for n, position in enumerate(positions):
        assert np.array_equal(together.codes[n], view.cutouts(layers, [position]).codes[0])
        assert np.array_equal(together.values[0][n], view.cutouts(layers, [position]).values[0][0], equal_nan=True)


def test_a_field_beyond_the_top_code_is_blank_whoever_asks() -> None:
    view = View((FIELD,), 16, cutout_arcsec=144.0)
    values = np.random.default_rng(0).uniform(4000, 5000, (256, 256))
    values[0, 0] = -10  # beside the cutout: a field has both signs
    layers = _layers(view, values)
    assert view.cutouts(layers, [Position(0, 0)]).blank.all()
    with pytest.raises(BadInput, match="nothing to see at that position"):
        view.cutout(layers, Position(0, 0))
    with pytest.raises(BadInput, match="the image is blank"):
        View((FIELD,), 16).whole(_layers(view, values[64:79, 64:79]))


def test_codes_that_a_file_holds_are_handed_on_and_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    saved = SolarImage(codes, "grey", format="PNG")
    view = View((FIELD,), 32, cutout_arcsec=60.0)
    layers = view.layers([saved])
    assert layers[0].codes is codes
    monkeypatch.setattr(type(FIELD), "encode", lambda *_: pytest.fail("coded again"))
    assert view.whole(layers).codes[0] is not None
    assert np.array_equal(view.whole(layers).codes[0], codes)


def test_a_blank_channel_makes_a_composite_blank() -> None:
    codes = np.random.default_rng(0).integers(1, 256, (8, 8, 3), np.uint8)
    assert isinstance(shown(codes), Coded)
    codes[..., 1] = 7
    with pytest.raises(BadInput, match="blank"):
        shown(codes)


def test_a_view_is_read_back_as_it_was_saved() -> None:
    images = Images(
        channel=["hmi-br", "hmi-magnetogram", "hmi-continuum"],
        size_px=96,
        cutout_deg=16.0,
        max_longitude_deg=55.0,
        center_px=(511.5, 511.5),
        arcsec_per_px=2.0,
        native_px=(1024, 1024),
        neighbours="mask",
    )
    view = View.of_study(images)
    assert View.from_json(view.to_json()) == view
    with pytest.raises(BadInput, match="uses version 0 of hmi-br"):
        View.from_json(view.to_json() | {"channels": [{"name": "hmi-br", "version": "0"}]})


def test_the_caution_at_the_limb_is_at_the_studys_own_limit() -> None:
    assert View((FIELD,)).near_limb(-61).startswith("more than 60 degrees")
    assert not View((FIELD,)).near_limb(59)
    strict = View((FIELD,), max_longitude_deg=45.0)
    assert strict.near_limb(46) == "more than 45 degrees from the central meridian: the study left such regions out"
    assert not View((FIELD,), max_longitude_deg=70.0).near_limb(65)


# --- positions --------------------------------------------------------------------------------------------------------


@given(st.floats(-90, 90).map(lambda v: round(v, 2)), st.floats(-180, 180).map(lambda v: round(v, 2)))
def test_a_position_is_read_as_it_was_written(latitude: float, longitude: float) -> None:
    noaa = f"{'S' if latitude < 0 else 'N'}{abs(latitude)}{'E' if longitude < 0 else 'W'}{abs(longitude)}"
    for text in (noaa, noaa.lower(), f"{latitude},{longitude}", f" {latitude} , {longitude} "):
        assert Position.parse(text).on_sun == (latitude, longitude)


def test_a_position_behind_the_limb_or_in_an_image_without_coordinates_is_refused() -> None:
    with pytest.raises(BadInput, match="lies behind the limb"):
        pixel_of(0, 130, _disc(_bipole()))
    with pytest.raises(BadInput, match="no coordinates"):
        pixel_of(0, 0, SolarImage(np.ones((4, 4), np.float32), "G"))


@pytest.mark.parametrize(
    "text", ["N12W34, S20E10", "N12W34 S20E10", "n12w34,s20e10", "12,34; -20,-10", "N12W34;-20,-10;"]
)
def test_several_positions_are_read_however_they_are_divided(text: str) -> None:
    assert [each.on_sun for each in Position.parse_several(text)] == [(12, 34), (-20, -10)]


@pytest.mark.parametrize("text", ["N12W34 and S20E10", "12,34,-20,-10", "N12"])
def test_positions_that_cannot_be_told_apart_are_refused(text: str) -> None:
    assert Position.parse_several("") == []
    with pytest.raises(BadInput, match="is not a position"):
        Position.parse_several(text)
