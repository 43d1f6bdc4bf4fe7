"""An image's time comes from its header, else from its name; never from decoding pixels."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sdovis.images.images import read_image
from sdovis.images.timestamps import name_pattern, taken_at

ANY = name_pattern("*")


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20100602_031550_512_0211.jpg", datetime(2010, 6, 2, 3, 15, 50)),
        ("20100901_120000_SDO_HMI_Ic_512.jpg", datetime(2010, 9, 1, 12)),
        ("HMI.m2026.02.01_00.00.00.jpg", datetime(2026, 2, 1)),
        ("2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2", datetime(2013, 6, 24, 17, 31, 30)),
        ("hmi.M_720s.20110215_013000_TAI.1.magnetogram.fits", datetime(2011, 2, 15, 1, 29, 26)),
        ("aia.lev1_euv_12s.2011-02-15T000000Z.171.image_lev1.fits", datetime(2011, 2, 15)),
    ],
)
def test_usual_names_tell_the_time(name, time):
    assert taken_at(Path("nowhere") / name, ANY) == time.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["sun.jpg", "20101399_000000.jpg", "4_0211.jpg", "20110215.jpg", "20110215_1024.jpg", "20110215_2048px.jpg"]
)
def test_a_name_without_a_time_tells_none(name):
    assert taken_at(Path(name), ANY) is None


def test_a_pattern_tells_the_time_of_other_names():
    pattern = name_pattern("sun-%d.%m.%Y-%H%M*.png")
    assert taken_at(Path("sun-15.02.2011-0130z.png"), pattern) == datetime(2011, 2, 15, 1, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="'%q' is not one of"):
        name_pattern("%q.jpg")
    with pytest.raises(ValueError, match="redefinition"):
        name_pattern("%Y%Y.jpg")


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_header_is_believed_before_the_name(tmp_path, gz, compressed):
    from astropy.io import fits

    data = np.arange(64 * 64, dtype=np.int16).reshape(64, 64)
    header = fits.Header([("T_OBS", "2011.02.15_01:30:34_TAI"), ("INSTRUME", "HMI_FRONT2")])
    image = fits.CompImageHDU(data, header) if compressed else fits.PrimaryHDU(data, header)
    hdus = [fits.PrimaryHDU(), image] if compressed else [image]
    path = tmp_path / f"20200101_000000.fits{'.gz' if gz else ''}"
    fits.HDUList(hdus).writeto(path)
    assert taken_at(path, ANY) == datetime(2011, 2, 15, 1, 30, tzinfo=UTC)


def test_times_of_the_real_samples_are_those_of_the_opened_images(shared_data):
    for path in sorted((shared_data / "fits_samples").glob("*.[fj]*")):
        assert taken_at(path, ANY) == read_image(path).observed is not None, path.name


def test_a_damaged_file_falls_back_on_its_name(tmp_path):
    path = tmp_path / "20110215_000000.fits.gz"
    path.write_bytes(b"\x1f\x8bnothing")
    assert taken_at(path, ANY) == datetime(2011, 2, 15, tzinfo=UTC)
