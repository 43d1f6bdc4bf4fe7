"""What a model says of itself is read back, whatever version of sdovis wrote it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sdovis import records
from sdovis.channels.channel import channel
from sdovis.channels.view import View
from sdovis.errors import BadInput
from sdovis.learning import description

CHANNEL = records.plain(channel("aia-211-browse").facts())
#: As sdovis wrote it before there was a format number.
FIRST = {
    "study": "sun", "simulated": False, "classes": {"a": "", "b": ""}, "scheme": {"name": "column", "version": "1"},
    "channels": [CHANNEL], "size_px": 112, "cutout_arcsec": 480.0, "cutout_deg": None, "center_px": [255.5, 255.5],
    "arcsec_per_px": 4.8,
}  # fmt: skip


def test_a_model_of_the_first_format_looks_at_what_it_looked_at_then() -> None:
    config = SimpleNamespace(sdovis=FIRST)
    view = description.view_of(config)
    assert view == View((channel("aia-211-browse"),), 112, 480.0, None, (255.5, 255.5), 4.8)
    said = description.of_model(config)
    assert said["format"] == 3 and said["study"] == "sun" and "size_px" not in said
    assert "view" not in FIRST, "what was read is left as it was"


def test_a_model_that_sdovis_did_not_train_says_nothing() -> None:
    assert description.of_model(SimpleNamespace()) == {}
    assert description.view_of(SimpleNamespace()).channels == ()


def test_a_model_of_a_later_format_is_refused() -> None:
    with pytest.raises(BadInput, match=r"config\.json: is in format 9, but sdovis .* knows formats only up to 3"):
        description.of_model(SimpleNamespace(sdovis={"format": 9}))
