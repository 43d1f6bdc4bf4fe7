"""Three files in, one answer out: whole maps, deprojected cutouts, and what is said when files do not fit."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from saved_models import THREE, save_model
from sdovis import inference
from sdovis.channels.channel import channels, encode
from sdovis.channels.place import Position
from sdovis.errors import BadInput
from sdovis.images.images import read_image
from sdovis.sun.geometry import heliographic_cutout, project
from sdovis.webapp.classifier import Classifier
from solar_uploads import DISC, SHARP

KINDS = channels(THREE)
PLACE = (9.0, 18.0)


@pytest.fixture(scope="module")
def whole(composite_model):
    return Classifier(composite_model)


@pytest.fixture(scope="module")
def maps(map_model):
    return Classifier(map_model)


@pytest.fixture
def segments(uploads):
    return [uploads / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits" for name in SHARP]


@pytest.fixture
def discs(uploads):
    return [uploads / f"disc.{name}.fits" for name in SHARP]


def scores(model, source):
    return {entry["label"]: entry["score"] for entry in inference.pipeline(model)(source, top_k=3)}


def test_files_in_any_order_and_the_saved_picture_get_the_pipelines_answer(whole, composite_model, segments, tmp_path):
    expected = scores(composite_model, tuple(segments))
    answer = whole.answer(segments[::-1])
    assert dict(answer.probabilities) == expected
    Image.fromarray(inference.codes(tuple(segments), whole.view)).save(tmp_path / "saved.png")
    again = whole.answer(tmp_path / "saved.png")
    assert dict(again.probabilities) == expected
    assert np.array_equal(np.asarray(answer.seen), np.asarray(again.seen)), "the colours the network saw"
    assert answer.seen.mode == "RGB" and np.ptp(np.asarray(answer.seen).astype(int), axis=-1).max() > 50
    assert answer.overlay is not None and answer.overlay.size == answer.seen.size
    said = dict(answer.facts)
    assert "HMI continuum intensity: hmi.sharp_cea_720s" in said["Channels"]
    assert said["HARP"] == "377"
    assert "red HMI radial magnetic field, green HMI line-of-sight" in answer.caption


def test_a_disc_is_deprojected_in_each_channels_own_scale_and_orientation(maps, map_model, discs):
    answer = maps.answer([discs[1], discs[2], discs[0]], Position(*PLACE))
    parts = [
        heliographic_cutout(kind.values(image), *PLACE, image.frame, 9.6, 32)
        for kind, image in zip(KINDS, map(read_image, discs), strict=True)
    ]
    assert dict(answer.probabilities) == scores(map_model, Image.fromarray(encode(parts, KINDS)))
    place = dict(answer.facts)["Position"]
    assert place.startswith("N9.0 W18.0")
    x, y, _ = project(*PLACE, read_image(discs[0]).frame)
    zoom = answer.picture.width / DISC
    clicked = maps.answer(discs, shown_px=((x + 0.5) * zoom - 0.5, (y + 0.5) * zoom - 0.5))
    assert clicked.probabilities == pytest.approx(answer.probabilities, abs=1e-4)
    assert dict(clicked.facts)["Position"] == place


def test_a_disc_and_no_position_asks_for_one_and_a_map_of_the_models_size_does_not(maps, discs, segments, tmp_path):
    answer = maps.answer(discs)
    assert answer.wants_position and answer.has_coordinates and not answer.probabilities
    own = save_model(tmp_path / "m", *THREE, cutout_deg=96 * 0.03)
    assert dict(Classifier(own).answer(segments).probabilities) == scores(
        own, Image.fromarray(encode([k.values(read_image(s)) for k, s in zip(KINDS, segments, strict=True)], KINDS))
    )


def test_a_map_that_shows_less_than_the_model_was_trained_on_gets_no_answer(maps, segments):
    with pytest.raises(BadInput, match=r"spans 2.9 degrees, but the model was trained on heliographic maps of 9.6"):
        maps.answer(segments)


def test_a_map_that_shows_more_is_cut_where_it_is_pointed_at(segments, tmp_path):
    small = Classifier(save_model(tmp_path / "m", *THREE, cutout_deg=0.96))
    assert small.answer(segments).wants_position
    grid = read_image(segments[0]).grid
    latitude, longitude = map(float, grid.place(31.5, 31.5))
    typed = small.answer(segments, Position(latitude, longitude))
    exact = [k.values(read_image(s))[16:48, 16:48] for k, s in zip(KINDS, segments, strict=True)]
    expected = scores(tmp_path / "m", Image.fromarray(encode(exact, KINDS)))
    # Projected about its own centre, which the map is not: the same within a hundredth of a pixel.
    assert typed.probabilities == pytest.approx(expected, abs=0.02)
    zoom = typed.picture.width / 96
    clicked = small.answer(segments, shown_px=(32 * zoom - 0.5, 32 * zoom - 0.5))
    assert clicked.probabilities == pytest.approx(typed.probabilities, abs=1e-6)
    with pytest.raises(BadInput, match="outside the image"):
        small.answer(segments, Position(40, 60))


def test_angular_cutouts_find_the_region_in_each_channels_own_image(discs, tmp_path):
    from sdovis.sun.geometry import cutout

    model = save_model(tmp_path / "m", *THREE, cutout_arcsec=216.0)
    answer = Classifier(model).answer(discs, Position(*PLACE))
    parts = []
    for kind, image in zip(KINDS, map(read_image, discs), strict=True):
        x, y, _ = project(*PLACE, image.frame)
        parts.append(cutout(kind.values(image), x, y, 216.0, image.frame.arcsec_per_px, 32, np.nan))
    expected = scores(model, Image.fromarray(encode(parts, KINDS)))
    assert answer.probabilities == pytest.approx(expected, abs=1e-3)


def test_files_that_do_not_fit_are_refused_in_words(whole, maps, segments, discs, uploads, tmp_path):
    for files, said in (
        (segments[:2], r"2 file\(s\), but the model takes 3 channels; give one file for each of hmi-br"),
        ([segments[0]], r"1 file\(s\), but the model takes 3 channels"),
        ([*segments[:2], segments[0]], "no file belongs to channel hmi-continuum"),
        ([*segments[:2], uploads / "20110215_013000_512_0211.jpg"], "_0211.jpg: belongs to none of the channels"),
        ([uploads / "region.png"], "one image, but the model takes hmi-br, hmi-magnetogram, hmi-continuum"),
        ([segments[0], segments[1], discs[2]], "differ in size"),
    ):
        with pytest.raises(BadInput, match=said):
            whole.answer(files)
    nameless = [shutil.copy(file, tmp_path / f"{i}.fits") for i, file in enumerate(segments)]
    with pytest.raises(BadInput, match="headers and file names do not show which file is which"):
        whole.answer(nameless)
    with pytest.raises(BadInput, match="nothing to see at that position"):
        maps.answer(discs, shown_px=(3, 3))


def test_a_model_of_one_channel_takes_one_file(magnetogram_model, segments):
    with pytest.raises(BadInput, match="3 files were sent, but the model takes one image"):
        Classifier(magnetogram_model).answer(segments)


def test_a_browse_disc_without_a_time_is_not_taken_for_a_map(tmp_path, uploads):
    facts = {"cutout_deg": 9.6, "center_px": [255.5, 255.5], "arcsec_per_px": 4.8}
    model = Classifier(save_model(tmp_path / "m", "aia-211-browse", **facts))
    named = uploads / "20110215_013000_512_0211.jpg"
    assert model.answer(named).wants_position
    assert model.answer(named, Position(*PLACE)).probabilities
    with pytest.raises(BadInput, match="without its time of observation the disc cannot be mapped"):
        model.answer(shutil.copy(named, tmp_path / "sun.jpg"))
