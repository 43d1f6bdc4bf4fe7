"""What the page's own process gets of an upload is small, whatever the upload holds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from jpeg2000_files import jp2
from PIL import Image
from saved_models import save_model
from sdovis import inference
from sdovis.channels.view import View
from sdovis.errors import BadInput
from sdovis.images.images import read_image
from sdovis.webapp import sight
from sdovis.webapp.classifier import Classifier
from sdovis.webapp.sight import Wish, seen
from solar_uploads import write_fits

STATUS = Path("/proc/self/status")


def peak_mib(what="VmHWM"):
    return int(re.search(rf"{what}:\s+(\d+)", STATUS.read_text())[1]) / 1024


@pytest.fixture(scope="module")
def model(magnetogram_model):
    return Classifier(magnetogram_model)


def picture(path, side, mode="L"):
    """A large picture of little: a gradient."""
    ramp = np.broadcast_to(np.linspace(0, 255, side).astype(np.uint8), (side, side))
    Image.fromarray(np.ascontiguousarray(ramp)).convert(mode).save(path)
    return path


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of the memory is read from /proc")
@pytest.mark.parametrize("kind", ["picture", "fits"])
def test_a_large_image_costs_the_pages_own_process_little(kind, model, tmp_path):
    if kind == "picture":
        file = picture(tmp_path / "large.png", 4096)
    else:
        file = write_fits(
            tmp_path / "large.fits", np.random.default_rng(0).normal(0, 50, (4096, 4096)), CDELT1=0.15, CDELT2=0.15
        )
    model.answer(picture(tmp_path / "small.png", 64))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak_mib("VmRSS")
    answer = model.answer(file)
    assert answer.probabilities and answer.picture.size == (1024, 1024)
    assert (
        peak_mib() - before < 130
    )  # nearly all of it for the overlay; the values alone have 64 MB, and pass through several arrays


@pytest.mark.parametrize(("height", "width"), [(500, 500), (300, 700), (33, 31)])
def test_scaling_down_in_the_child_changes_no_probability(height, width, model, magnetogram_model, tmp_path):
    codes = np.random.default_rng(3).integers(1, 256, (height, width), np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.png")
    expected = inference.pipeline(magnetogram_model)(str(tmp_path / "a.png"), top_k=3)
    assert dict(model.answer(tmp_path / "a.png").probabilities) == {e["label"]: e["score"] for e in expected}


@pytest.mark.parametrize(
    ("side", "mode", "suffix"), [(8192, "RGB", "png"), (8192, "L", "png"), (4097, "L", "jpg"), (4100, "L", "tif")]
)
def test_a_picture_larger_than_any_of_the_archives_is_refused_before_it_is_decoded(side, mode, suffix, model, tmp_path):
    file = tmp_path / f"bomb.{suffix}"
    Image.new(mode, (side, side)).save(file)
    with pytest.raises(BadInput, match=f"bomb.{suffix}: {side} x {side} pixels; each side must be 1 to 4096 pixels"):
        model.answer(file)


def test_pictures_are_bounded_further_than_fits(tmp_path):
    values = np.random.default_rng(0).integers(1, 256, (190, 201), np.uint8)  # the size that Helioviewer's header says
    write_fits(tmp_path / "a.fits", values)
    (tmp_path / "a.jp2").write_bytes(jp2(values))
    assert read_image(tmp_path / "a.fits", max_picture_side=32).values.shape == (190, 201)
    with pytest.raises(BadInput, match="201 x 190 pixels; each side must be 1 to 32 pixels"):
        read_image(tmp_path / "a.jp2", max_picture_side=32)


def test_for_a_program_no_pictures_are_made(model, uploads):
    answer = model.answer(uploads / "region.fits", pictures=False)
    shown = model.answer(uploads / "region.fits")
    assert answer.picture is None and answer.seen is None and answer.overlay is None
    assert (answer.probabilities, answer.facts, answer.notes) == (shown.probabilities, shown.facts, shown.notes)


def test_reading_ends_when_nobody_waits_or_it_takes_too_long(model, tmp_path, monkeypatch):
    file = picture(tmp_path / "large.png", 4096, "RGB")
    with pytest.raises(BadInput, match=r"large.png: nobody waits for it any more"):
        model.answer(file, wanted=lambda: False)
    monkeypatch.setattr(sight, "SECONDS", 0.01)
    with pytest.raises(BadInput, match=r"large.png: took longer than 0.01 s"):
        seen(View(()), Wish((file,)))


def test_a_networks_input_of_any_shape_is_made(tmp_path):
    from transformers import ViTImageProcessorPil

    model = save_model(tmp_path / "m")
    size = {"height": 32, "width": 32}
    ViTImageProcessorPil(do_resize=True, size=size, resample=Image.Resampling.BICUBIC).save_pretrained(model)
    codes = np.random.default_rng(5).integers(1, 256, (90, 90), np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.png")
    expected = inference.pipeline(model)(str(tmp_path / "a.png"), top_k=3)
    assert dict(Classifier(model).answer(tmp_path / "a.png").probabilities) == {
        e["label"]: e["score"] for e in expected
    }
