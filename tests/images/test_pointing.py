"""Is the disc where it should be? Judged on drawn discs everywhere, and on every real frame where the data is."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sdovis.channels.browse import AIA_211_BROWSE, HMI_CONTINUUM_BROWSE, HMI_MAGNETOGRAM_BROWSE
from sdovis.channels.view import View
from sdovis.images.images import SolarImage, pointing_problem, read_image
from sdovis.images.pointing import limb
from sdovis.sun.geometry import DiscFrame

FRAME = DiscFrame((255.5, 255.5), 4.8, 960.0, 0.0)
OFF_POINTED = "20131128_195937_512_0211.jpg"
SETS = {
    "aia211": (AIA_211_BROWSE, 4.8),
    "hmi_ic": (HMI_CONTINUUM_BROWSE, 4.036),
    "hmi_mag": (HMI_MAGNETOGRAM_BROWSE, 4.8),
}


def drawn(kind: str, dx: float = 0, dy: float = 0) -> np.ndarray:
    """A disc of 200 pixels: dark-limbed, with a bright corona, or with field inside and nan or 0 outside."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:512, :512]
    r = np.hypot(x - 255.5 - dx, y - 255.5 - dy) / 200
    if kind == "continuum":
        return np.where(r < 1, 40000 * (0.4 + 0.6 * np.sqrt(np.maximum(1 - r**2, 0))), 100) + rng.normal(
            0, 200, r.shape
        )
    if kind == "corona":
        return np.where(r < 1, 80 + 40 * rng.random(r.shape), 150 * np.exp(-(r - 1) * 6))
    field = np.where(r < 1, rng.normal(0, 10, r.shape), 0 if kind == "zero-filled" else np.nan)
    field[240:250, 200:215] += 800
    return field


@pytest.mark.parametrize("kind", ["continuum", "corona", "magnetogram", "zero-filled"])
def test_a_drawn_disc_passes_in_place_and_fails_when_moved(kind: str) -> None:
    assert pointing_problem(drawn(kind, 1.5, -1), FRAME) is None
    for dx, dy in ((30, 0), (-25, 25), (0, 80), (210, 210)):
        problem = pointing_problem(drawn(kind, dx, dy), FRAME)
        assert problem is not None and problem.startswith("off-pointed")
        found = [float(v) for v in re.findall(r"-?\d+", problem.split("not on")[0])]
        assert np.hypot(found[0] - 255.5 - dx, found[1] - 255.5 - dy) < 5


def test_black_flat_empty_and_noisy_frames_are_refused() -> None:
    rng = np.random.default_rng(0)
    for blank in (np.zeros((512, 512), np.uint8), np.full((512, 512), 77.0), np.full((512, 512), np.nan)):
        assert pointing_problem(blank, FRAME) == "blank: every pixel has the same value"
    for dark in (rng.integers(0, 4, (512, 512), dtype=np.uint8), rng.normal(0, 1, (512, 512))):
        assert pointing_problem(dark, FRAME) == "black or off-pointed: no solar limb found"


def test_a_frame_that_holds_too_little_of_the_limb_cannot_be_judged() -> None:
    inner = drawn("continuum")[150:350, 150:350]
    assert pointing_problem(inner, DiscFrame((105.5, 105.5), 4.8, 960.0, 0.0)) is None


def test_the_real_samples_that_sunpy_ships_point_at_the_sun() -> None:
    from sunpy.data.test import get_test_filepath

    for name in ("aia_171_level1.fits", "resampled_hmi.fits"):
        image = read_image(get_test_filepath(name))
        assert image.frame is not None
        assert pointing_problem(image.values, image.frame) is None
        moved = np.roll(image.values, round(0.3 * image.frame.radius_px), axis=1)
        assert pointing_problem(moved, image.frame) is not None


def frames(folder: Path, step: int = 1) -> list[tuple[SolarImage, np.ndarray]]:
    channel, scale = SETS[folder.name]
    read = []
    for path in sorted(folder.glob("*.jpg"))[::step]:
        digits = re.findall(r"\d+", path.name.replace("HMI.m", ""))
        when = datetime.strptime("".join(digits)[:10], "%Y%m%d%H").replace(tzinfo=UTC)
        view = View((channel,), center_px=(255.5, 255.5), arcsec_per_px=scale)
        image = view.placed(read_image(path, observed=when), of_study=True).image
        read.append((image, channel.values(image)))
    return read


@pytest.mark.parametrize("name", SETS)
def test_of_all_real_frames_only_the_off_pointed_one_is_refused(shared_data: Path, name: str) -> None:
    refused = [
        image.path.name
        for image, values in frames(shared_data / name)
        if image.path and image.frame and pointing_problem(values, image.frame)
    ]
    assert refused == ([OFF_POINTED] if name == "aia211" else [])


@pytest.mark.parametrize("name", SETS)
def test_real_discs_are_refused_when_moved_by_15_percent_and_kept_when_moved_by_a_pixel(
    shared_data: Path, name: str
) -> None:
    rng = np.random.default_rng(0)
    checked = 0
    for image, values in frames(shared_data / name, step=12):
        assert image.frame is not None and image.path is not None
        if image.path.name == OFF_POINTED:
            continue
        sky = np.nan if np.isnan(values).any() else 0
        for share in (0.15, 0.5, 1.2):
            angle = rng.uniform(0, 2 * np.pi)
            dx, dy = np.rint(share * image.frame.radius_px * np.array([np.cos(angle), np.sin(angle)])).astype(int)
            assert pointing_problem(moved(values, dx, dy, sky), image.frame) is not None, (image.path, dx, dy)
        assert pointing_problem(moved(values, 1, -1, sky), image.frame) is None, image.path
        checked += 1
    assert checked >= 13


def moved(values: np.ndarray, dx: int, dy: int, sky: float) -> np.ndarray:
    height, width = values.shape
    out = np.full_like(values, sky)
    out[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = values[
        max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)
    ]
    return out


def test_judging_a_frame_takes_two_milliseconds() -> None:
    values = drawn("corona").astype(np.float32)
    pointing_problem(values, FRAME)
    spent = []
    for _ in range(30):
        start = time.perf_counter()
        pointing_problem(values, FRAME)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.004  # 1.4 ms on a quiet core


@pytest.mark.parametrize("side", [200, 300, 380, 640, 1000])
@pytest.mark.parametrize("kind", ["continuum", "magnetogram"])
def test_images_of_any_size_are_judged_alike(kind: str, side: int) -> None:
    """Whatever they are shrunk by, the disc is found where it is."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:side, :side]
    middle, radius = (side - 1) / 2, 0.39 * side
    frame = DiscFrame((middle, middle), 960.0 / radius, 960.0, 0.0)
    for move in (0.0, 0.02, 0.12):
        r = np.hypot(x - middle - move * radius, y - middle) / radius
        edge = 4000 * (0.4 + 0.6 * np.sqrt(np.maximum(1 - r**2, 0)))
        inside = edge + rng.normal(0, 20, r.shape) if kind == "continuum" else rng.normal(0, 10, r.shape)
        values = np.where(r < 1, inside, 0 if kind == "continuum" else np.nan)
        problem = pointing_problem(values, frame)
        assert (problem is None) == (move < 0.05), (move, problem)
        if problem:
            found = [float(v) for v in re.findall(r"-?\d+", problem.split("not on")[0])]
            assert np.hypot(found[0] - middle - move * radius, found[1] - middle) < 0.02 * side


@pytest.mark.parametrize("kind", ["continuum", "corona", "magnetogram", "zero-filled"])
@pytest.mark.parametrize("move", [(0, 0), (30, 0), (-60.3, 40.7), (0, 80)])
def test_the_limb_of_a_drawn_disc_is_found_wherever_the_disc_is(kind: str, move: tuple[float, float]) -> None:
    found = limb(drawn(kind, *move))
    assert found is not None
    assert found.center_px == pytest.approx((255.5 + move[0], 255.5 + move[1]), abs=0.1)
    assert found.radius_px == pytest.approx(200, abs=0.2)


@pytest.mark.parametrize(("shape", "radius"), [((200, 200), 80.4), ((300, 420), 120.0), ((1000, 1000), 471.3)])
def test_the_limb_is_found_in_images_of_any_size_and_shape(shape: tuple[int, int], radius: float) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    r = np.hypot(x - shape[1] / 2, y - shape[0] / 2) / radius
    values = np.where(r < 1, 4000 * (0.4 + 0.6 * np.sqrt(np.maximum(1 - r**2, 0))), 0)
    found = limb(values + np.random.default_rng(5).normal(0, 20, shape))
    assert found is not None
    assert (*found.center_px, found.radius_px) == pytest.approx((shape[1] / 2, shape[0] / 2, radius), abs=0.3)


@pytest.mark.parametrize("sky", [0.0, np.nan])
def test_a_sky_without_light_does_not_move_the_limb_inwards(sky: float) -> None:
    y, x = np.mgrid[:512, :512]
    r = np.hypot(x - 240, y - 262.5) / 180
    found = limb(np.where(r < 1, np.rint(250 * (0.4 + 0.6 * np.sqrt(np.maximum(1 - r**2, 0)))), sky))
    assert found is not None and found.radius_px == pytest.approx(180, abs=0.2)


def test_where_no_disc_stands_out_there_is_no_limb() -> None:
    rng = np.random.default_rng(0)
    spot = drawn("continuum")[156:356, 156:356]  # all of it on the disc
    noise = [rng.normal(0, 1, shape) for shape in ((512, 512), (64, 64), (3000, 5), (1, 1))]
    for values in (np.zeros((512, 512), np.uint8), np.full((90, 90), np.nan), spot, *noise):
        assert limb(values) is None


@pytest.mark.parametrize(
    ("name", "x", "y", "radius"),
    [("hmi_ic", 255.5, 255.5, 238.3), ("hmi_mag", 255.5, 255.5, 202.0), ("hmi_mag_2013_2014", 511.97, 511.02, 450.23)],
)
def test_the_limb_of_real_discs_is_where_their_archive_says(
    shared_data: Path, name: str, x: float, y: float, radius: float
) -> None:
    for path in sorted((shared_data / name).glob("*.jpg"))[::40]:
        values = read_image(path).values
        found = limb(values if values.ndim == 2 else values.mean(axis=2))
        assert found is not None
        assert found.center_px == pytest.approx((x, y), abs=0.4)
        assert found.radius_px == pytest.approx(radius, rel=0.02)  # the Sun's apparent size changes by 1.7 %
