"""Helioviewer's JPEG2000: header, orientation proved by the limb, boxes that lie."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jpeg2000_files import HEADER, jp2
from PIL import Image
from sdovis.images.images import pointing_problem, read_image
from sdovis.images.pointing import _limb
from solar_files import dipole, refused, write

AIA, HMI = "2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2", "2023_01_31__03_39_23_200__SDO_HMI_HMI_continuum.jp2"


@pytest.mark.parametrize(("name", "radius"), [(AIA, 157.5), (HMI, 202.9)])
def test_the_limb_of_the_real_files_is_where_their_header_puts_it(shared_data: Path, name: str, radius: float) -> None:
    image = read_image(shared_data / "fits_samples" / name)
    assert image.frame is not None and image.frame.radius_px == pytest.approx(radius, abs=0.2)
    values = image.values.astype(np.float32)
    assert pointing_problem(values, image.frame) is None
    x, y, sigmas = _limb(values, values != 0, -1.0, image.frame.radius_px, 256)
    assert sigmas > 10 and np.hypot(x - image.frame.center_px[0], y - image.frame.center_px[1]) < 2
    # Neither a smaller nor a larger circle fits as well: the scale is right too.
    for share in (0.94, 1.06):
        assert _limb(values, values != 0, -1.0, share * image.frame.radius_px, 256)[2] < sigmas


def test_values_are_those_of_pillow_and_the_header_is_kept(shared_data: Path) -> None:
    path = shared_data / "fits_samples" / "2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2"
    image = read_image(path)
    assert image.is_picture and np.array_equal(image.values, np.asarray(Image.open(path)))
    assert image.header["WAVELNTH"] == 193 and image.header["QUALITY"] == 2**30 and image.header["LVL_NUM"] == 1.5


def test_row_zero_is_north_and_a_turned_picture_is_turned_back(tmp_path: Path) -> None:
    level = dipole((190, 201), (130, 75), (80, 120)) / 10 + 120
    upright = level[::-1].astype(np.uint8)  # the header's rows count from the south
    plain = _read(tmp_path, jp2(upright))
    assert np.array_equal(plain.values, upright)
    assert plain.frame is not None and plain.frame.center_px == (100.0, 94.0)
    turned = _read(tmp_path, jp2(upright[::-1, ::-1], CROTA2=180.0, CRPIX2=95.0))
    assert np.array_equal(turned.values, upright) and turned.frame == plain.frame


@pytest.mark.parametrize("angle", [90.0, 37.0])
def test_a_picture_is_turned_as_the_fits_file_of_the_same_header_is(tmp_path: Path, angle: float) -> None:
    level = np.rint(dipole((190, 201), (130, 75), (80, 120)) / 10 + 120).astype(np.float32)
    image = _read(tmp_path, jp2(level[::-1].astype(np.uint8), CROTA2=angle))
    cards = {key: value for key, value in HEADER.items() if not key.startswith("NAXIS")}
    same = read_image(write(tmp_path / "a.fits", level, **(cards | {"CROTA2": angle, "DSUN_OBS": None})))
    assert image.frame == same.frame and image.values.dtype == np.uint8
    assert np.abs(image.values - np.nan_to_num(same.values)).max() <= 0.5


def _read(folder: Path, data: bytes) -> Any:
    (folder / "c.jp2").write_bytes(data)
    return read_image(folder / "c.jp2")


def test_a_file_made_smaller_than_its_header_is_scaled(tmp_path: Path) -> None:
    small = np.zeros((95, 100), np.uint8)
    (tmp_path / "a.jp2").write_bytes(jp2(small, NAXIS1=200, CRPIX1=100.5, CRPIX2=95.5))
    frame = read_image(tmp_path / "a.jp2").frame
    assert frame is not None and frame.arcsec_per_px == pytest.approx(24) and frame.center_px == (49.5, 47.0)
    assert "but the header is for 400 x 190" in refused(tmp_path / "a.jp2", jp2(small, NAXIS1=400))


def test_tai_and_utc_are_told_apart(tmp_path: Path) -> None:
    array = np.zeros((190, 201), np.uint8)
    when = _read(tmp_path, jp2(array)).observed
    assert when == datetime(2014, 3, 1, 0, 0, 50, tzinfo=UTC)
    when = _read(tmp_path, jp2(array, INSTRUME="AIA_3", T_OBS="2014-03-01T00:01:25.50Z")).observed
    assert when == datetime(2014, 3, 1, 0, 1, 25, 500000, tzinfo=UTC)


def test_a_jpeg2000_without_header_is_a_plain_picture(tmp_path: Path) -> None:
    plain = io.BytesIO()
    colour = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    Image.fromarray(colour).save(plain, "JPEG2000", irreversible=False)
    image = _read(tmp_path, plain.getvalue())
    assert image.unit == "rgb" and image.frame is None and not image.header and np.array_equal(image.values, colour)
    deep = io.BytesIO()
    counts = np.arange(320, dtype=np.uint16).reshape(16, 20) * 200
    Image.fromarray(counts).save(deep, "JPEG2000", irreversible=False)
    image = _read(tmp_path, deep.getvalue())
    assert image.unit == "count" and np.array_equal(image.values, counts.astype(np.float32))


def test_boxes_that_lie_are_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    path, data = tmp_path / "a.jp2", jp2(np.zeros((190, 201), np.uint8))
    head, code = data.index(b"ihdr") + 4, data.index(b"jp2c")
    huge = bytearray(data)
    huge[head : head + 8] = struct.pack(">II", 60000, 60000)
    assert "60000 x 60000 pixels" in refused(path, bytes(huge))
    other = bytearray(data)
    other[head : head + 8] = struct.pack(">II", 190, 200)
    assert "200 x 190 pixels declared, 201 x 190 coded" in refused(path, bytes(other))
    siz = bytearray(data)
    at = data.index(b"\xff\x4f\xff\x51") + 8
    siz[at : at + 8] = struct.pack(">II", 2**31, 2**31)
    assert "pixels; each side must be 1 to 8192" in refused(path, bytes(siz))
    tiles = bytearray(data)
    tiles[at + 16 : at + 24] = struct.pack(">II", 0, 0)
    assert "tiles of 0 x 0" in refused(path, bytes(tiles))
    longer = bytearray(data)
    longer[code - 4 : code] = struct.pack(">I", 2**31)
    assert "truncated JPEG2000" in refused(path, bytes(longer))
    stuck = bytearray(data)
    stuck[code - 4 : code] = struct.pack(">I", 3)
    assert "a box of 3 bytes" in refused(path, bytes(stuck))
    assert "more than 256 boxes" in refused(path, data[:12] + struct.pack(">I4s", 8, b"free") * 300)
    assert "declares no size" in refused(path, data[:12])
    assert "truncated" in refused(path, data[: len(data) // 2])
    code_only = data[code + 4 :]
    assert "bare JPEG2000 codestream" in refused(path, code_only)


def test_xml_that_is_no_plain_header_is_refused(tmp_path: Path) -> None:
    path, array = tmp_path / "a.jp2", np.zeros((190, 201), np.uint8)
    bomb = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><meta>&c;</meta>'
    assert "XML header cannot be read: DTDForbidden" in refused(path, jp2(array, bomb))
    assert "XML header cannot be read: ParseError" in refused(path, jp2(array, "<meta><a></meta>"))
    assert "larger than 1 MiB" in refused(path, jp2(array, f"<meta>{' ' * 2**20}</meta>"))
    assert "coordinate system is broken" in refused(path, jp2(array, CDELT1="wide"))
