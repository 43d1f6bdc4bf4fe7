"""Three channels as the colours of one picture: coded, decoded, and their files told apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from sdovis.channels.channel import channels, decode, encode, matched, together
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage

NAMES = ("hmi-br", "hmi-magnetogram", "hmi-continuum")
HMI = channels(NAMES)


def sharp(segment: str, name: str = "") -> SolarImage:
    header = {"INSTRUME": "HMI_SIDE1", "CONTENT": "HMI observable"}
    unit = "DN/s" if segment == "continuum" else "G"
    return SolarImage(np.ones((4, 4), np.float32), unit, header=header, path=Path(name or f"a.{segment}.fits"))


def test_one_or_three_channels_are_looked_up_and_every_unknown_name_is_told() -> None:
    assert [c.name for c in HMI] == list(NAMES)
    assert len(channels(["aia-171"])) == 1
    with pytest.raises(BadInput) as caught:
        channels(["hmi-bt", "aia-171", "aia-172"])
    assert [str(p).partition(" is unknown")[0] for p in caught.value.problems] == [
        "channels: 'hmi-bt'", "channels: 'aia-172'",
    ]  # fmt: skip
    with pytest.raises(BadInput, match="2 channels are named; name one, or three"):
        channels(["aia-171", "aia-193"])


def test_each_channel_is_a_colour_and_comes_back_from_it() -> None:
    rng = np.random.default_rng(0)
    values = [rng.uniform(-500, 500, (5, 7)), rng.uniform(-500, 500, (5, 7)), rng.uniform(0, 1.2, (5, 7))]
    values = [part.astype(np.float32) for part in values]
    values[0][0, 0] = np.nan
    codes = encode(values, HMI)
    assert codes.shape == (5, 7, 3) and codes.dtype == np.uint8
    for colour, kind in enumerate(HMI):
        assert np.array_equal(codes[..., colour], kind.encode(values[colour]))
    assert codes[0, 0, 0] == 0 and np.isnan(decode(codes, HMI)[0][0, 0])
    assert np.array_equal(encode(decode(codes, HMI), HMI), codes)
    assert encode(values[:1], HMI[:1]).shape == (5, 7)


def test_images_of_different_sizes_make_no_composite() -> None:
    sizes = [(4, 4), (4, 4), (5, 6)]
    with pytest.raises(BadInput, match="differ in size: 4 x 4 and 6 x 5 px"):
        encode([np.zeros(size, np.float32) for size in sizes], HMI)


@pytest.mark.parametrize("order", permutations(("Br", "magnetogram", "continuum")))
def test_files_in_any_order_are_put_in_that_of_the_channels(order: tuple[str, ...]) -> None:
    found = matched([sharp(segment) for segment in order], HMI)
    assert [str(image.path) for image in found] == ["a.Br.fits", "a.magnetogram.fits", "a.continuum.fits"]


def test_one_silent_name_is_found_by_exclusion_and_two_are_not() -> None:
    images = [sharp("continuum", "c.fits"), sharp("m", "m.fits"), sharp("Br")]
    assert [str(image.path) for image in matched(images, HMI)] == ["a.Br.fits", "m.fits", "c.fits"]
    with pytest.raises(BadInput, match="do not show which file is which of hmi-br, hmi-magnetogram, hmi-continuum"):
        matched([sharp("continuum"), sharp("m", "m.fits"), sharp("Br", "b.fits")], HMI)


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        (("Br", "magnetogram"), r"2 file\(s\), but the model takes 3 channels; give one file for each of hmi-br"),
        (("Br", "magnetogram", "bitmap"), "a.bitmap.fits: belongs to none of the channels"),
        (("Br", "Br", "magnetogram"), "no file belongs to channel hmi-continuum; the file's name says 'Br'"),
        (("Br", "continuum", "continuum"), "no file belongs to channel hmi-magnetogram"),
    ],
)
def test_files_that_are_not_the_channels_are_refused_with_the_reason(segments: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        matched([sharp(segment) for segment in segments], HMI)


def test_files_of_aia_are_told_apart_by_their_wavelength() -> None:
    kinds = channels(["aia-171", "aia-193", "aia-211"])
    images = [
        SolarImage(np.ones((2, 2), np.float32), "DN/s", header={"INSTRUME": "AIA_2", "WAVELNTH": wave})
        for wave in (211, 171, 193)
    ]
    assert [image.header["WAVELNTH"] for image in matched(images, kinds)] == [171, 193, 211]
    silent = SolarImage(np.ones((2, 2), np.float32), "DN/s")
    with pytest.raises(BadInput, match="two of the files belong to the same channel"):
        matched([images[1], images[1], silent], kinds)


def test_images_of_different_times_make_no_composite() -> None:
    first = replace(sharp("Br"), observed=datetime(2011, 2, 15, 1, 58, tzinfo=UTC))
    near = replace(first, observed=first.observed + timedelta(minutes=12))
    together([first, near, sharp("continuum")])
    with pytest.raises(BadInput, match=r"were taken at 2011-02-15 01:58:00 and 2011-02-15 02:10:01 UTC"):
        together([replace(near, observed=near.observed + timedelta(seconds=1)), first])


def test_images_of_different_harps_make_no_composite() -> None:
    first = replace(sharp("Br"), header={**sharp("Br").header, "HARPNUM": 377})
    together([first, sharp("continuum"), replace(first, path=None)])
    with pytest.raises(BadInput, match="are of HARPs 377 and 378; give images of one region"):
        together([first, replace(first, header={**first.header, "HARPNUM": 378})])
