"""From a file to an answer: the same scores as the pipeline's, cutouts where they are asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from saved_models import MEANINGS, save_model
from sdovis import inference
from sdovis.channels.channel import channel
from sdovis.channels.place import Position
from sdovis.errors import BadInput
from sdovis.images.images import read_image
from sdovis.sun.geometry import cutout, unproject
from sdovis.webapp.classifier import CUTOUT_SHOWN_PX, Classifier
from solar_uploads import bipole, write_fits


@pytest.fixture(scope="module")
def regions(magnetogram_model):
    return Classifier(magnetogram_model)


@pytest.fixture(scope="module")
def cutouts(cutout_model):
    return Classifier(cutout_model)


def scores(model, source):
    return {entry["label"]: entry["score"] for entry in inference.pipeline(model)(source, top_k=3)}


@pytest.mark.parametrize("name", ["region.fits", "region.png"])
def test_the_answer_is_that_of_the_one_pipeline(name, regions, magnetogram_model, uploads):
    answer = regions.answer(uploads / name)
    assert dict(answer.probabilities) == scores(magnetogram_model, str(uploads / name))
    assert list(answer.probabilities.values()) == sorted(answer.probabilities.values(), reverse=True)
    assert set(answer.probabilities) == set(MEANINGS)
    assert answer.overlay.size == answer.seen.size == answer.picture.size == (7 * 64 + 64, 7 * 64 + 64)


def test_every_class_is_answered_for_even_beyond_the_stock_pipelines_five(tmp_path, uploads):
    many = Classifier(save_model(tmp_path / "m", classes={f"class {i}": "" for i in range(7)}))
    assert set(many.answer(uploads / "region.png").probabilities) == {f"class {i}" for i in range(7)}


def test_a_full_disc_image_asks_for_a_region_and_scores_nothing(cutouts, uploads):
    answer = cutouts.answer(uploads / "disc.fits")
    assert answer.wants_position and answer.has_coordinates
    assert not answer.probabilities and answer.seen is None and answer.overlay is None


def test_a_click_and_a_position_on_the_sun_cut_out_the_same_as_the_corpus_does(cutouts, cutout_model, uploads):
    image = read_image(uploads / "disc.fits")
    latitude, longitude = map(float, unproject(160, 100, image.frame))
    kind = channel("hmi-magnetogram")
    expected = scores(
        cutout_model, Image.fromarray(kind.encode(cutout(image.values, 160, 100, 216.0, 9.0, 32, np.nan)))
    )
    by_position = cutouts.answer(uploads / "disc.fits", Position(latitude, longitude))
    assert by_position.probabilities == pytest.approx(expected, abs=1e-4)
    zoom = by_position.picture.width / 256
    clicked = cutouts.answer(uploads / "disc.fits", shown_px=(160.5 * zoom - 0.5, 100.5 * zoom - 0.5))
    assert clicked.probabilities == pytest.approx(expected, abs=1e-6)
    assert dict(clicked.facts)["Position"] == dict(by_position.facts)["Position"]
    edge = (160.5 - 12) * zoom
    before = [by_position.picture.getpixel((round(edge) - i, round(100.5 * zoom))) for i in range(12)]
    assert (255, 255, 255) in before  # the frame stands around the cutout


def test_a_large_image_is_clicked_in_its_shrunken_picture(cutouts, monkeypatch, uploads):
    monkeypatch.setattr("sdovis.webapp.classifier.SHOWN_PX", 128)
    by_position = cutouts.answer(
        uploads / "disc.fits", Position(*map(float, unproject(160, 100, read_image(uploads / "disc.fits").frame)))
    )
    assert by_position.picture.width == 128
    clicked = cutouts.answer(uploads / "disc.fits", shown_px=(160.5 / 2 - 0.5, 100.5 / 2 - 0.5))
    assert clicked.probabilities == pytest.approx(by_position.probabilities, abs=1e-4)


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ({"position": Position(latitude_deg=95, longitude_deg=0)}, "latitude must be from"),
        ({"position": Position(latitude_deg=0, longitude_deg=130)}, "behind the limb"),
        ({"shown_px": (-50, 10)}, "outside the image"),
        ({"shown_px": (float("nan"), 10)}, "outside the image"),
        ({"position": Position(latitude_deg=float("nan"), longitude_deg=0)}, "latitude must be from"),
        ({"shown_px": (2, 2)}, "nothing to see"),
    ],
)
def test_a_place_that_is_none_is_refused_in_plain_words(where, complaint, cutouts, uploads):
    with pytest.raises(BadInput, match=complaint):
        cutouts.answer(uploads / "disc.fits", **where)


def test_a_region_near_the_limb_is_answered_with_a_caution(cutouts, uploads):
    assert any("60 degrees" in note for note in cutouts.answer(uploads / "disc.fits", Position(10, 70)).notes)
    assert not cutouts.answer(uploads / "disc.fits", Position(10, 30)).notes


def test_a_browse_picture_finds_its_disc_by_the_studys_scale_and_its_time_by_its_name(tmp_path, uploads):
    facts = {"cutout_arcsec": 480.0, "center_px": [255.5, 255.5], "arcsec_per_px": 4.8}
    browse = Classifier(save_model(tmp_path / "m", "aia-211-browse", **facts))
    name = "20110215_013000_512_0211.jpg"
    answer = browse.answer(uploads / name)
    assert answer.wants_position and answer.has_coordinates
    assert dict(answer.facts)["Observed (UTC)"].startswith("2011-02-15 01:30:00")
    anonymous = tmp_path / "sun.jpg"
    anonymous.write_bytes((uploads / name).read_bytes())
    answer = browse.answer(anonymous)
    assert answer.wants_position and not answer.has_coordinates
    clicked = browse.answer(anonymous, shown_px=(2 * 330.5 - 0.5, 2 * 200.5 - 0.5))
    assert clicked.probabilities == browse.answer(uploads / name, shown_px=(660.5, 400.5)).probabilities
    with pytest.raises(BadInput, match="point at the region on the page"):
        browse.answer(anonymous, Position(0, 0))


def test_an_image_that_is_a_cutout_already_is_taken_whole_and_one_that_shows_less_is_refused(
    cutouts, uploads, tmp_path
):
    with pytest.raises(BadInput, match="spans 128 arcsec, but the model was trained on cutouts of 216"):
        cutouts.answer(uploads / "region.fits")
    own = Classifier(save_model(tmp_path / "m", cutout_arcsec=128.0))
    answer = own.answer(uploads / "region.fits")
    assert answer.probabilities and not answer.wants_position
    assert answer.picture.width == round(CUTOUT_SHOWN_PX / 64) * 64


def test_an_image_that_is_not_square_is_answered_with_a_caution(regions, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(1, 255, (20, 60), np.uint8)).save(tmp_path / "wide.png")
    assert "not square (60 × 20 px)" in regions.answer(tmp_path / "wide.png").notes[0]


def test_uploads_are_decoded_in_another_process(regions, uploads, monkeypatch):
    def explode(*args, **kwargs):
        raise AssertionError("a stranger's file was opened in the page's own process")

    for module in ("sdovis.images.images", "sdovis.inference.sources"):
        monkeypatch.setattr(f"{module}.read_image", explode)
    assert regions.answer(uploads / "region.fits").probabilities


def test_an_image_that_its_header_warns_against_is_refused_unless_the_study_took_such_images(regions, tmp_path):
    bad = write_fits(tmp_path / "bad.fits", bipole(), QUALITY=1 << 31)
    with pytest.raises(BadInput, match="QUALITY is 0x80000000"):
        regions.answer(bad)
    lenient = Classifier(save_model(tmp_path / "m", check_quality=False))
    assert "header warns against using it: QUALITY is 0x80000000" in lenient.answer(bad).notes[0]


def test_a_network_without_attention_shows_what_it_was_shown(tmp_path, uploads):
    answer = Classifier(save_model(tmp_path / "m", kind="convnext")).answer(uploads / "region.fits")
    assert answer.overlay is None and answer.seen is not None and answer.probabilities


@pytest.mark.parametrize("name", ["weighted-rollout", "integrated-gradients"])
def test_the_page_shows_the_map_that_was_found_best(name, tmp_path, uploads):
    folder = save_model(tmp_path / "m", kind="dinov2")
    plain = Classifier(folder).answer(uploads / "region.fits")
    (folder / "explanation.json").write_text(json.dumps({"format": 1, "chosen": name}))
    shown = Classifier(folder).answer(uploads / "region.fits")
    assert dict(shown.probabilities) == dict(plain.probabilities)
    assert shown.overlay.size == plain.overlay.size
    assert np.any(np.asarray(shown.overlay) != np.asarray(plain.overlay))


def test_the_page_shows_no_map_if_none_was_found_better_than_chance(tmp_path, uploads):
    folder = save_model(tmp_path / "m")
    (folder / "explanation.json").write_text('{"format": 1, "chosen": ""}')
    answer = Classifier(folder).answer(uploads / "region.fits")
    assert answer.overlay is None and answer.seen is not None and answer.probabilities


def test_a_network_without_attention_can_have_a_map_of_gradients(tmp_path, uploads):
    folder = save_model(tmp_path / "m", kind="convnext")
    (folder / "explanation.json").write_text('{"format": 1, "chosen": "integrated-gradients"}')
    assert Classifier(folder).answer(uploads / "region.fits").overlay is not None


def test_a_folder_without_a_model_is_refused_without_naming_where_it_lies(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(BadInput, match="the model cannot be opened") as caught:
        Classifier(tmp_path)
    assert str(tmp_path) not in str(caught.value)
