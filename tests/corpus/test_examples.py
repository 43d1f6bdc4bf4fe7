import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
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
    assert [reject.reason for reject in found.rejects] == ["the cutout is blank"]


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
