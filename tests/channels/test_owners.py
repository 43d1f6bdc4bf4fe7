"""A cutout shows its own region: what is another's gives way to quiet Sun, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from sdovis import plugins
from sdovis.channels.channel import channel
from sdovis.channels.layers import Layer
from sdovis.channels.owners import NOBODY, Owned
from sdovis.channels.place import Position
from sdovis.channels.quiet_sun import flattened, limb_distance, quiet_level
from sdovis.channels.view import View
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage
from sdovis.simulation.disc import NOISE_G, Placed, full_view, observe_disc
from sdovis.simulation.region import design
from sdovis.study import Images
from sdovis.sun.geometry import DiscFrame, MapGrid, disc_mu, project

WHEN = datetime(2011, 2, 15, 1, 30, tzinfo=UTC)
SIDE = 400
FRAME = DiscFrame((199.6, 200.3), 5.0, 960.0, -6.0)
#: Two regions, and the span of a cutout that shows both.
ONE, OTHER = (12.0, -4.0), (14.0, 8.0)
VIEW = {
    name: View((channel(name),), 60, 400.0, neighbours="mask")
    for name in ("hmi-magnetogram", "hmi-magnetogram-browse", "hmi-continuum-browse", "aia-211-browse")
}


def _spot(place: tuple[float, float], radius_px: float) -> NDArray[np.bool_]:
    x, y, _ = project(*place, FRAME)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.hypot(columns - x, rows - y) < radius_px)


def _quiet(name: str, seed: int = 0) -> NDArray[np.float32]:
    """The quiet Sun in a channel's unit, with noise."""
    mu = disc_mu((SIDE, SIDE), FRAME)
    noise = np.random.default_rng(seed).normal(0, 1, mu.shape)
    values = {
        "hmi-magnetogram": 8 * noise,
        "hmi-magnetogram-browse": 3 * noise,
        "hmi-continuum-browse": 220 * (0.3 + 0.9 * mu - 0.2 * mu**2) + 2 * noise,
        "aia-211-browse": 90 + 5 * noise,
    }[name]
    return np.where(np.isfinite(mu), values, np.nan).astype(np.float32)


def _marked(name: str, where: NDArray[np.bool_], sign: int = 1) -> NDArray[np.float32]:
    """What a spot's pixels hold in a channel."""
    level = {"hmi-magnetogram": 900.0, "hmi-magnetogram-browse": 120.0, "aia-211-browse": 220.0}
    values = _quiet(name)
    return np.where(where, values * 0.4 if name == "hmi-continuum-browse" else sign * level[name], values)


def _layer(name: str, values: NDArray[np.float32], frame: DiscFrame | None = FRAME) -> Layer:
    image = SolarImage(values, "G", frame, WHEN, format="FITS")
    layer = Layer(image, channel(name), FRAME.arcsec_per_px)
    layer.__dict__["values"] = values.astype(np.float32)  # as if the channel had read them from a file
    return layer


def _cut(name: str, values: NDArray[np.float32], place, *others):
    return VIEW[name].cutout([_layer(name, values)], Position(*place), [Position(*each) for each in others])


@pytest.mark.parametrize("name", VIEW)
def test_its_own_spot_stays_as_it_is_and_the_neighbours_becomes_quiet_sun(name: str) -> None:
    own, others = _spot(ONE, 5), _spot(OTHER, 7)
    values, alone = _marked(name, own | others), _marked(name, own)
    cut, kept, truth = _cut(name, values, ONE, OTHER), _cut(name, values, ONE), _cut(name, alone, ONE)
    scatter = np.nanstd(_cut(name, _quiet(name, 1), ONE).values[0] - _cut(name, _quiet(name, 2), ONE).values[0])
    gone = np.abs(kept.values[0] - truth.values[0]) > 6 * scatter
    assert gone.any() and np.abs(cut.values[0] - truth.values[0])[gone].max() < 6 * scatter
    assert np.abs((cut.values[0] - truth.values[0])[gone].mean()) < scatter, "the fill has the quiet Sun's level"
    same = cut.codes == kept.codes
    assert same[0, 24:36, 24:36].all(), "the region itself is untouched"
    assert 0.01 < cut.masked_share[0] < 0.2 and kept.masked_share[0] == 0


@pytest.mark.parametrize("name", VIEW)
def test_the_fill_is_as_rough_as_the_quiet_sun(name: str) -> None:
    values = _marked(name, _spot(OTHER, 9))
    inner = _spot(OTHER, 6)
    layer = _layer(name, values)
    owned = Owned(values, layer.channel.contrast, FRAME)
    fill, quiet = (v - quiet_level(v, limb_distance(v.shape, FRAME)) for v in (owned.quiet, _quiet(name, 5)))
    assert np.std(fill[inner]) == pytest.approx(np.std(quiet[inner]), rel=0.35)
    again = Owned(values, layer.channel.contrast, FRAME).quiet
    assert np.array_equal(owned.quiet, again, equal_nan=True), "the same image, the same fill"


@pytest.mark.parametrize("name", VIEW)
@settings(deadline=None, max_examples=12)
@given(st.floats(-40, 40), st.floats(-50, 50))
def test_with_one_region_alone_masked_and_kept_are_the_same_byte_for_byte(name: str, lat: float, lon: float) -> None:
    values = _marked(name, _spot((lat, lon), 6))
    layers = [_layer(name, values)]
    masked = VIEW[name].cutouts(layers, [Position(lat, lon)], [[]])
    kept = replace(VIEW[name], neighbours="keep").cutouts(layers, [Position(lat, lon)])
    assert masked.codes.tobytes() == kept.codes.tobytes() and masked.values[0].tobytes() == kept.values[0].tobytes()
    far = VIEW[name].cutouts(layers, [Position(lat, lon)], [[Position(-lat, 60.0 if lon < 0 else -60.0)]])
    assert far.codes.tobytes() == kept.codes.tobytes(), "a neighbour that owns nothing changes nothing"


@pytest.mark.parametrize("name", ["hmi-magnetogram", "hmi-continuum-browse"])
@pytest.mark.parametrize("nearer", [ONE, OTHER])
def test_a_spot_across_the_boundary_is_whole_and_goes_to_the_nearer_region(name: str, nearer) -> None:
    middle = tuple(np.add(ONE, OTHER) / 2 + 0.1 * np.subtract(nearer, np.add(ONE, OTHER) / 2))
    spot = _spot(middle, 8)
    values = _marked(name, spot)
    owned = Owned(values, channel(name).contrast, FRAME)
    assert set(np.unique(owned.owners(np.array([ONE, OTHER]))[spot])) == {(ONE, OTHER).index(nearer)}
    farther = OTHER if nearer == ONE else ONE
    mine, theirs = _cut(name, values, nearer, farther), _cut(name, values, farther, nearer)
    assert np.array_equal(mine.codes, _cut(name, values, nearer).codes)
    assert theirs.masked_share[0] > 0.02 > mine.masked_share[0] == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**16))
def test_of_any_spots_each_is_whole_and_belongs_to_one_of_the_regions(seed: int) -> None:
    """Ten spots anywhere and three regions: the pixels of a spot are one region's, and no spot is nobody's."""
    rng = np.random.default_rng(seed)
    spots = np.zeros((SIDE, SIDE), bool)
    for _ in range(10):
        spots |= _spot((rng.uniform(-40, 40), rng.uniform(-50, 50)), rng.uniform(2.5, 7))
    places = np.column_stack([rng.uniform(-40, 40, 3), rng.uniform(-50, 50, 3)])
    values = _marked("hmi-magnetogram", spots)
    owned = Owned(values, channel("hmi-magnetogram").contrast, FRAME)
    owners = owned.owners(places)
    labels, count = ndimage.label(spots, np.ones((3, 3)))
    x, y, _ = project(places[:, 0], places[:, 1], FRAME)
    inside = labels[np.rint(y).astype(int), np.rint(x).astype(int)]
    for number in range(1, count + 1):
        of = np.unique(owners[labels == number])
        assert NOBODY not in of and (len(of) == 1 or (inside == number).sum() > 1)
    quiet = np.abs(owned.quiet[spots])
    assert np.percentile(quiet, 99) < 4 * 8 and np.array_equal(
        owned.quiet[owners == NOBODY], values[owners == NOBODY], True
    )
    order = [2, 0, 1]
    again = owned.owners(places[order])
    assert np.array_equal(np.array([*order, NOBODY])[again], owners), "whatever the order of the regions"


@pytest.mark.parametrize("name", plugins.names("sdovis.channels"))
def test_every_built_in_channel_says_what_stands_out_of_the_quiet_sun_and_why(name: str) -> None:
    contrast = channel(name).contrast
    assert contrast is not None and 0 < contrast.weak < contrast.strong and contrast.source
    assert (contrast.kind == "field") == channel(name).signed and (contrast.kind == "dark") == channel(name).spotted


def test_knots_of_opposite_polarity_that_touch_are_two() -> None:
    values = _marked("hmi-magnetogram", _spot(ONE, 6))
    lower = _spot((ONE[0] - 4.0, ONE[1]), 6)
    values[lower] = -900
    owners = Owned(values, channel("hmi-magnetogram").contrast, FRAME).owners(np.array([ONE, (ONE[0] - 6.0, ONE[1])]))
    assert set(np.unique(owners[lower])) == {1} and set(np.unique(owners[_spot(ONE, 6) & ~lower])) == {0}


def test_a_core_that_holds_two_regions_is_divided_between_them() -> None:
    near = (ONE[0], ONE[1] + 3.0)
    values = _marked("hmi-magnetogram", _spot(ONE, 14))
    owners = Owned(values, channel("hmi-magnetogram").contrast, FRAME).owners(np.array([ONE, near]))
    assert set(np.unique(owners)) == {NOBODY, 0, 1}


def test_what_does_not_stand_out_or_is_too_small_belongs_to_nobody() -> None:
    values = _quiet("hmi-magnetogram")
    values[_spot(OTHER, 0.6)] = 400  # the network: a pixel or two
    owned = Owned(values, channel("hmi-magnetogram").contrast, FRAME)
    assert (owned.owners(np.array([ONE, OTHER])) == NOBODY).all() and np.array_equal(
        owned.quiet, values, equal_nan=True
    )


def test_a_simulated_neighbour_is_gone_and_the_region_is_as_without_it() -> None:
    """On simulated discs the truth is known: the same Sun with and without the neighbour."""
    camera = full_view(1.496e11, 3.0, 0.0, (1.5, -2.0), 768)
    first, second = (design(np.random.default_rng(seed), "Beta", 14.0) for seed in (3, 4))
    one, other = Placed(first, -8.0), Placed(second, 6.0)
    sun = {
        name: observe_disc(regions, np.random.default_rng(7), camera).line_of_sight_g[::-1]
        for name, regions in {"both": [one, other], "one": [one], "none": []}.items()
    }
    x, y = camera.centre_px
    frame = DiscFrame((x, camera.size_px - 1 - y), camera.arcsec_per_px, camera.sun_arcsec, 3.0)
    view = View((channel("hmi-magnetogram"),), 100, 500.0, neighbours="mask")
    places = [Position(each.region.latitude_deg, each.longitude_deg) for each in (one, other)]

    def seen(which: str, others: list[Position]) -> NDArray[np.float32]:
        image = SolarImage(sun[which], "G", frame, WHEN, {"INSTRUME": "HMI_FRONT2"}, format="FITS")
        return view.cutouts(view.layers([image]), [places[0]], [others]).values[0][0]

    truth, both, masked = seen("one", []), seen("both", []), seen("both", [places[1]])
    region = ndimage.binary_dilation(np.abs(seen("one", []) - seen("none", [])) > 60, iterations=1)
    neighbour = np.abs(both - truth) > 100
    assert neighbour.sum() > 50 and np.abs(both[neighbour]).mean() > 150
    assert np.abs(masked[neighbour & ~region]).mean() < 3 * NOISE_G
    flux = np.abs(truth[region]).sum()
    assert np.abs(masked[region & ~neighbour]).sum() == pytest.approx(np.abs(truth[region & ~neighbour]).sum(), rel=0.1)
    assert np.abs(masked[region]).sum() == pytest.approx(flux, rel=0.2)


def test_in_a_map_neighbours_are_masked_too() -> None:
    grid = MapGrid((149.5, 149.5), 10.0, 20.0, 0.1)
    values = np.random.default_rng(0).normal(0, 8, (300, 300)).astype(np.float32)
    values[140:160, 140:160], values[150:180, 220:250] = 900, -900
    image = SolarImage(values, "G", None, WHEN, {"INSTRUME": "HMI_FRONT2"}, format="FITS", grid=grid)
    view = View((channel("hmi-magnetogram"),), 80, cutout_deg=24.0, neighbours="mask")
    lat, lon = (float(v) for v in grid.place(235.0, 165.0))
    cut = view.cutout(view.layers([image]), Position(10.0, 20.0), [Position(lat, lon)])
    assert cut.values[0].max() > 800 and cut.values[0].min() > -60 and cut.masked_share[0] > 0.01


def test_neighbours_that_are_not_on_the_sun_or_are_the_region_itself_have_no_pixels() -> None:
    values = _marked("hmi-magnetogram", _spot(ONE, 5) | _spot(OTHER, 5))
    kept = _cut("hmi-magnetogram", values, ONE)
    for nobody in (Position(x_px=1.0, y_px=1.0), Position(), Position(*ONE)):
        cut = VIEW["hmi-magnetogram"].cutout([_layer("hmi-magnetogram", values)], Position(*ONE), [nobody])
        assert np.array_equal(cut.codes, kept.codes)
    layer = [_layer("hmi-magnetogram", values)]
    with pytest.raises(BadInput, match="no position on the Sun"):
        VIEW["hmi-magnetogram"].cutouts(layer, [Position(x_px=1.0, y_px=1.0)], [[Position(*OTHER)]])


def test_without_coordinates_nobody_knows_whose_a_pixel_is() -> None:
    layer = _layer("hmi-magnetogram", _quiet("hmi-magnetogram"), frame=None)
    with pytest.raises(BadInput, match=r"no position on the Sun|no coordinates"):
        VIEW["hmi-magnetogram"].cutouts([layer], [Position(x_px=200.0, y_px=200.0)], [[Position(*OTHER)]])


def test_a_study_that_cannot_be_masked_or_flattened_is_refused() -> None:
    with pytest.raises(ValueError, match="needs cutout_arcsec or cutout_deg"):
        Images(channel="hmi-magnetogram", neighbours="mask")
    with pytest.raises(BadInput, match=r"images\.flatten has no effect"):
        View.of_study(Images(channel="hmi-magnetogram", flatten=True))


# --- flat fields ------------------------------------------------------------------------------------------------------


def test_a_flat_disc_is_level_and_its_spots_keep_their_contrast() -> None:
    spot = _spot((10, 45), 6)
    flat = flattened(_marked("hmi-continuum-browse", spot), FRAME)
    mu = disc_mu(flat.shape, FRAME)
    quiet = [float(np.mean(flat[(mu > low) & (mu < low + 0.1) & ~spot])) for low in np.arange(0.3, 0.9, 0.1)]
    assert np.ptp(quiet) / np.mean(quiet) < 0.005
    assert flat[spot].mean() / np.mean(quiet) == pytest.approx(0.4, abs=0.02)
    assert np.isnan(flat[0, 0])


def test_an_image_whose_limb_darkening_cannot_be_measured_is_refused() -> None:
    view = View((channel("hmi-continuum-browse"),), 32, 100.0, flatten=True)
    jpeg = SolarImage(np.full((32, 32), 90, np.uint8), "grey", format="JPEG")
    with pytest.raises(BadInput, match="cannot be measured in this image"):
        view.layers([jpeg])
    saved = SolarImage(np.arange(1024, dtype=np.uint8).reshape(32, 32), "grey", format="PNG")
    assert view.layers([saved])[0].codes is not None, "what sdovis saved is flat already"
