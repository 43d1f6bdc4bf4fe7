"""Channels of AIA corrected for the instrument's degradation: aiapy's numbers, or a clear refusal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sdovis.channels import aia
from sdovis.channels.channel import channel
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Each test has the calibration read anew."""
    yield
    aia.sensitivity.cache_clear()
    aia._calibration.cache_clear()


def image(year: int, wave: int = 304) -> SolarImage:
    header = {"INSTRUME": "AIA_4", "WAVELNTH": wave, "EXPTIME": 2.0}
    return SolarImage(np.full((4, 4), 100, np.float32), "DN", None, datetime(year, 6, 1, tzinfo=UTC), header)


@contextmanager
def calibration(tmp_path: Path, version: int) -> Iterator[None]:
    """AIA's table of 2017, version 8, as aiapy ships it, under another version's number and without a network."""
    aiapy_tests = pytest.importorskip("aiapy.tests", reason="aiapy is not installed: pip install 'sdovis[aia]'")
    from aiapy.calibrate import util

    text = (Path(aiapy_tests.__file__).parent / "data" / "aia_V8_20171210_050627_response_table.txt").read_text()
    file = tmp_path / "table.txt"
    file.write_text(text.replace("          8  ", f"{version:11d}  "))
    with util.manager.override_file("correction_table_latest", str(file)):
        yield


def test_without_aiapy_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiapy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiapy", None)
    with pytest.raises(BadInput, match=r"needs aiapy, which is not installed; run pip install 'sdovis\[aia\]'"):
        channel("aia-304-corrected").values(image(2014))


def test_an_image_without_a_time_cannot_be_corrected() -> None:
    timeless = SolarImage(np.ones((4, 4), np.float32), "DN/s")
    with pytest.raises(BadInput, match="the time of observation is unknown"):
        channel("aia-304-corrected").values(timeless)


def test_a_dimming_instrument_is_brought_back_to_launch(tmp_path: Path) -> None:
    with calibration(tmp_path, aia.CALIBRATION):
        early, later = (channel("aia-304-corrected").values(image(year)) for year in (2010, 2014))
        plain = channel("aia-304").values(image(2014))
        assert aia.sensitivity(171, datetime(2014, 6, 1, tzinfo=UTC)) > 0.8, "171 hardly degrades"
    assert np.allclose(plain, 50)
    assert (early > 50).all() and (early < 60).all(), "the first months cost it a tenth"
    assert (later > 3 * plain).all(), "304 had lost more than two thirds of its sensitivity by 2014"


def test_another_version_of_the_calibration_is_refused(tmp_path: Path) -> None:
    with (
        calibration(tmp_path, 8),
        pytest.raises(BadInput, match="version 8 of AIA's calibration, but the channel is defined by version 10"),
    ):
        channel("aia-304-corrected").values(image(2014))


def test_a_table_that_cannot_be_had_is_one_clear_line(tmp_path: Path) -> None:
    with calibration(tmp_path, 10):
        (tmp_path / "table.txt").write_text("gone")
        with pytest.raises(BadInput, match="AIA's calibration table is not available"):
            channel("aia-304-corrected").values(image(2014))
