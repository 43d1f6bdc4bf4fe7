"""SDO's colours, and where things land in the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sdovis.channels.channel import channel
from sdovis.webapp import colours


def test_a_magnetogram_is_shown_as_sunpy_shows_it():
    import matplotlib
    import sunpy.visualization.colormaps  # noqa: F401

    values = np.array([[-3000.0, -1500.0, 0.0, 300.0, 1500.0]], np.float32)
    table = matplotlib.colormaps["hmimag"]
    expected = table([0.0, 0.0, 0.5, 0.6, 1.0], bytes=True)[:, :3]
    assert colours.coloured(values, channel("hmi-magnetogram"))[0].tolist() == expected.tolist()


def test_an_aia_image_has_the_colours_of_its_table_at_its_codes():
    from sunpy.visualization.colormaps import cmlist

    kind = channel("aia-171")
    values = kind.decode(np.array([[1, 100, 255]], np.uint8))
    shown = colours.coloured(values, kind)
    assert shown[0].tolist() == cmlist["sdoaia171"](np.array([1, 100, 255]) / 255, bytes=True)[:, :3].tolist()


def test_what_is_missing_has_a_colour_of_its_own():
    shown = colours.coloured(np.array([[np.nan, 0.0]], np.float32), channel("hmi-magnetogram"))
    assert tuple(shown[0, 0]) == colours.MISSING
    assert tuple(shown[0, 1]) != colours.MISSING


def test_shrinking_averages_what_is_known_and_keeps_what_is_missing():
    values = np.array([[1.0, 3.0, np.nan, np.nan], [1.0, np.nan, np.nan, 8.0]], np.float32)
    small, factor = colours.shrunk(values, 2)
    assert factor == 0.5
    assert small[0, 0] == pytest.approx(5 / 3)
    assert np.isnan(small[0, 1])


def test_enlarging_repeats_pixels_and_invents_none():
    image, times = colours.enlarged(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 9)
    assert (image.size, times) == ((8, 8), 4)
    assert np.array_equal(np.asarray(image)[::4, ::4], np.arange(12).reshape(2, 2, 3))


def test_the_overlay_glows_where_the_attention_is_and_leaves_the_rest_in_grey():
    grey = Image.new("RGB", (40, 40), (120, 120, 120))
    attention = np.zeros((4, 4), np.float32)
    attention[1, 2] = 1
    shown = np.asarray(colours.overlaid(grey, attention)).astype(int)
    assert np.unravel_index(shown[..., 0].argmax(), (40, 40)) == pytest.approx((15, 25), abs=5)
    assert shown[35, 5].tolist() == [120, 120, 120]


def test_the_frame_encloses_the_cutout_and_leaves_it_as_it_is():
    image = colours.framed(Image.new("RGB", (100, 100), (9, 9, 9)), 60, 40, 20)
    pixels = np.asarray(image)
    assert (pixels[32:48, 53:68] == 9).all()
    assert tuple(pixels[27, 60]) == colours.FRAME
    assert (pixels[:20] == 9).all()
