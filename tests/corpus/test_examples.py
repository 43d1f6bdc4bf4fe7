import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sdovis.channels.channel import channel
from sdovis.corpus import examples
from sdovis.corpus.duplicates import perceptual_hash
from sdovis.corpus.observations import Observation
from sdovis.readers.rows import RawRow
from sdovis.study import Images
from sdovis.sun.geometry import cutout

WHEN = datetime(2011, 2, 15, tzinfo=UTC)
CENTRE, SCALE = (159.5, 149.5), 8.0


def _images(**more) -> Images:
    return Images(size_px=40, center_px=CENTRE, arcsec_per_px=SCALE, check_pointing=False, **more)


ONE = _images(channel="hmi-magnetogram", cutout_arcsec=300.0)
THREE = _images(channel=["hmi-magnetogram", "hmi-br", "hmi-continuum"], cutout_arcsec=300.0)
DEPROJECTED = _images(channel="hmi-magnetogram", cutout_deg=20.0)
WHOLE = _images(channel="hmi-magnetogram")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three saved discs: code 0 (missing) off two of them and in a stripe, one value everywhere south-west."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:300, :320]
    off = np.hypot(x - CENTRE[0], y - CENTRE[1]) > 119
    for name in ("a", "b", "c"):
        codes = rng.integers(1, 256, off.shape, np.uint8)
        codes[180:, 180:] = 128
        codes[off | (x == 100)] = 0
        Image.fromarray(codes).save(folder / f"{name}.png")
    return folder


def _rows(places, images: Images) -> list[Observation]:
    names = tuple(f"{name}.png" for name in "abc"[: len(images.channels)])
    return [
        Observation(RawRow("book", "s", 2 + i, {}, {}), names, "alpha", 11158 + i, WHEN, None, None, float(x), float(y))
        for i, (x, y) in enumerate(places)
    ]


def _one_by_one(root, images, rows):
    return [examples.look(root, images, [row])[1] for row in rows]


PLACES = st.tuples(st.floats(80, 240), st.floats(70, 230))


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([ONE, THREE, DEPROJECTED, WHOLE]), st.lists(PLACES, min_size=1, max_size=5), st.integers(1, 2**20)
)
def test_examples_made_together_are_those_made_one_by_one(root, images, places, pixels):
    rows = _rows(places, images)
    alone = _one_by_one(root, images, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "PIXELS", pixels)
        _, found = examples.look(root, images, rows)
    assert found.kept == [example for one in alone for example in one.kept]
    assert found.rejects == [reject for one in alone for reject in one.rejects]
    assert found.problems == [problem for one in alone for problem in one.problems]
    assert len(found.kept) + len(found.rejects) + len(found.problems) == len(rows)


def test_what_is_said_of_an_example_is_true_of_its_picture(root):
    rows = _rows([(100, 110), (110.3, 80.7), (265.2, 140)], ONE)
    kept = examples.look(root, ONE, rows)[1].kept
    values = channel("hmi-magnetogram").decode(np.asarray(Image.open(root / "a.png")))
    for row, example in zip(rows, kept, strict=True):
        cut = cutout(values, row.x_px, row.y_px, 300.0, SCALE, 40)
        codes = np.asarray(Image.open(io.BytesIO(example["image"])))
        assert np.array_equal(codes, channel("hmi-magnetogram").encode(cut))
        known = np.isfinite(cut)
        assert 0 < example["missing_share"] == pytest.approx(1 - known.mean())
        assert example["mean_code"] == pytest.approx(codes[known].mean())
        assert example["pixels_sha256"] == hashlib.sha256(codes.tobytes() + b"(40, 40)").hexdigest()
        assert example["perceptual_hash"] == perceptual_hash(codes)
        assert (example["noaa_ar"], example["x_px"], example["observed"]) == (row.noaa_ar, row.x_px, WHEN)


def test_the_mean_code_leaves_out_what_is_missing_whatever_its_code(root, monkeypatch):
    rows = _rows([(100, 110)], ONE)
    (usual,) = examples.look(root, ONE, rows)[1].kept
    other = replace(channel("hmi-magnetogram"), missing=255)
    monkeypatch.setattr("sdovis.channels.view.channel", lambda name: other)
    (kept,) = examples.look(root, ONE, rows)[1].kept
    assert kept["pixels_sha256"] != usual["pixels_sha256"]
    assert kept["mean_code"] == usual["mean_code"]


def test_of_large_images_few_are_made_at_once(root, monkeypatch):
    made = []
    several = examples._examples
    monkeypatch.setattr(
        examples, "_examples", lambda view, rows, *rest: (made.append(len(rows)), several(view, rows, *rest))[1]
    )
    monkeypatch.setattr(examples, "PIXELS", 2 * 300 * 320)
    for images in (WHOLE, ONE):
        examples.look(root, images, _rows([(140, 80)] * 5, images))
    assert made == [2, 2, 1, 5]


def test_of_several_cutouts_only_the_blank_one_is_rejected(root):
    rows = _rows([(140, 80), (205, 205), (150, 90)], ONE)
    _, found = examples.look(root, ONE, rows)
    assert [(reject.raw.row, reject.reason) for reject in found.rejects] == [(3, "the cutout is blank")]
    assert [example["noaa_ar"] for example in found.kept] == [11158, 11160]


def test_a_composite_is_blank_where_one_of_its_channels_is(root, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes((root / f"{name}.png").read_bytes())
    Image.fromarray(np.full((300, 320), 128, np.uint8)).save(tmp_path / "b.png")
    _, found = examples.look(tmp_path, THREE, _rows([(140, 80)], THREE))
    assert [reject.reason for reject in found.rejects] == ["the image is blank: one value everywhere"]


def test_whole_images_of_a_composite_that_differ_in_size_are_a_problem_of_each_row(root, tmp_path):
    images = Images(channel=["hmi-magnetogram", "hmi-br", "hmi-continuum"], size_px=40)
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes((root / f"{name}.png").read_bytes())
    with Image.open(root / "b.png") as image:
        image.crop((0, 0, 300, 300)).save(tmp_path / "b.png")
    _, found = examples.look(tmp_path, images, _rows([(140, 80), (150, 80)], images))
    assert [problem.what for _, problem in found.problems] == [
        "the channels' images differ in size: 300 x 320 and 300 x 300 and 300 x 320 px"
    ] * 2


def test_a_browse_channel_names_the_heavy_modules_that_it_loads():
    """What the server loads beforehand, its children need not."""
    script = """
import importlib, json, sys
import numpy as np
from sdovis.channels.channel import channel
from sdovis.images.images import SolarImage
kind = channel("aia-211-browse")
for name in kind.imports:
    importlib.import_module(name)
before = set(sys.modules)
kind.values(SolarImage(np.full((4, 4, 3), (10, 20, 30), np.uint8), "rgb", format="JPEG"))
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"sunpy", "matplotlib", "astropy"} & set(json.loads(said.stdout))


# --- what headers and names say -------------------------------------------------------------------------------------


PLAIN = Images(channel="hmi-magnetogram", size_px=40, check_pointing=False, orientation="north-up")
CUT = PLAIN.model_copy(update={"cutout_deg": 12.0})


def _fits(folder, name="ar.fits", **cards):
    values = np.random.default_rng(1).normal(0, 200, (40, 40)).astype(np.float32)
    header = fits.Header([("BUNIT", "Gauss"), ("INSTRUME", "HMI_SIDE1"), ("CONTENT", "MAGNETOGRAM")])
    for key, value in cards.items():
        header[key.replace("_OBS_", "-OBS")] = value
    fits.PrimaryHDU(values, header).writeto(folder / name)
    return name


def _row(name, **changes) -> Observation:
    raw = RawRow("book", "s", 2, {}, {"noaa_ar": "AR", "observed": "Time"})
    return replace(Observation(raw, (name,), "alpha", None, WHEN, None, None, None, None), **changes)


def _looked(folder, images, row):
    return examples.look(folder, images, [row])[1]


@pytest.mark.parametrize(
    ("cards", "region", "unit"),
    [
        ({"NOAA_AR": 11158}, 11158, "ar11158"),
        ({"NOAA_AR": 1158, "HARPNUM": 377}, 11158, "ar11158 harp377"),
        ({"NOAA_ARS": "11158,11162"}, None, "ar11158 ar11162"),
        ({"NOAA_AR": 11158, "NOAA_ARS": "11158,11162"}, None, "ar11158 ar11162"),
        ({"NOAA_AR": 0, "NOAA_ARS": "MISSING", "HARPNUM": 377}, None, "harp377"),
        ({"NOAA_AR": -2147483648}, None, ""),
    ],
)
def test_a_row_without_a_region_has_those_of_the_header(tmp_path, cards, region, unit):
    (kept,) = _looked(tmp_path, PLAIN, _row(_fits(tmp_path, **cards))).kept
    assert (kept["noaa_ar"], kept["unit"]) == (region, unit)


def test_a_row_that_names_a_region_of_its_harp_keeps_it(tmp_path):
    name = _fits(tmp_path, NOAA_AR=11158, NOAA_ARS="11158,11162", HARPNUM=377)
    (kept,) = _looked(tmp_path, PLAIN, _row(name, noaa_ar=11162)).kept
    assert (kept["noaa_ar"], kept["unit"]) == (11162, "ar11162 harp377")
    for row in (_row(name, noaa_ar=11160), _row(name, several=(11158, 11160))):
        ((_, problem),) = _looked(tmp_path, PLAIN, row).problems
        assert "the image's header says 11158 and 11162" in problem.what


def test_a_header_of_several_regions_does_not_say_which_is_cut_out(tmp_path):
    name = _fits(tmp_path, NOAA_ARS="11158,11162")
    ((_, problem),) = _looked(tmp_path, CUT, _row(name)).problems
    assert "header names 2 regions (11158, 11162), and the row none of them" in problem.what


def test_a_header_whose_region_cannot_be_read_is_a_problem(tmp_path):
    ((_, problem),) = _looked(tmp_path, PLAIN, _row(_fits(tmp_path, NOAA_AR="11158a"))).problems
    assert "NOAA_AR: '11158a' is not a NOAA number" in problem.what


@pytest.mark.parametrize(
    ("name", "cards", "what"),
    [
        ("mag_20110813_000000.fits", {}, "the image's name 2011-08-13 00:00:00 UTC: 179 days earlier"),
        ("hmi.M_720s.20110215_040024_TAI.fits", {}, "the image's name 2011-02-15 03:59:50 UTC: 4 hours earlier"),
        ("2011-02-14T23_30_00.fits", {}, "the image's name 2011-02-14 23:30:00 UTC: 30 minutes later"),
        ("20110215_000000.fits", {"T_OBS": "2011.02.14_00:00:34_TAI"}, "header 2011-02-14 00:00:00 UTC: 1 day later"),
        ("a.fits", {"DATE_OBS": "2011-02-16T00:00:00"}, "the image's header 2011-02-16 00:00:00 UTC: 1 day earlier"),
    ],
)
def test_a_row_of_another_time_than_its_image_says_by_how_much_and_where_it_stands(tmp_path, name, cards, what):
    ((_, problem),) = _looked(tmp_path, PLAIN, _row(_fits(tmp_path, name, **cards))).problems
    assert problem.what.startswith("the row says 2011-02-15 00:00:00, ") and what in problem.what
    assert ("images.check_names" in problem.hint) == ("name" in problem.what)


def test_a_name_may_be_of_another_time_if_the_study_or_the_header_says_so(tmp_path):
    name = _fits(tmp_path, "20200101_000000.fits")
    assert _looked(tmp_path, PLAIN.model_copy(update={"check_names": False}), _row(name)).kept
    name = _fits(tmp_path, "20200101_000001.fits", T_OBS="2011.02.15_00:00:34_TAI")
    assert _looked(tmp_path, PLAIN, _row(name)).kept


@pytest.mark.parametrize("when", [WHEN, datetime(2014, 7, 3, 12, tzinfo=UTC), datetime(2022, 12, 31, tzinfo=UTC)])
def test_a_carrington_longitude_is_counted_from_the_central_meridian_of_the_images_time(tmp_path, when):
    from sunpy.coordinates import sun

    meridian = sun.L0(when.replace(tzinfo=None)).to_value("deg")
    row = _row(_fits(tmp_path, DATE_OBS_=f"{when:%Y-%m-%dT%H:%M:%S}"), latitude_deg=12.0, observed=None)
    for west in (-60.0, 0.0, 45.0):
        (kept,) = _looked(tmp_path, PLAIN, replace(row, carrington_deg=(meridian + west) % 360)).kept
        assert kept["longitude_deg"] == pytest.approx(west, abs=0.002)
