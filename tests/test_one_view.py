"""A cutout of a place is one and the same, whoever asks for it: the corpus, predict, the page."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from sdovis import inference
from sdovis import study as studies
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.corpus import build, examples
from sdovis.corpus.observations import Observation
from sdovis.errors import BadInput
from sdovis.evaluation import elsewhere
from sdovis.images.images import SolarImage, read_image
from sdovis.readers.rows import RawRow
from sdovis.study import Images
from sdovis.sun.archives import read_archive
from sdovis.sun.geometry import DiscFrame, central_meridian, disc_mu, project
from sun.summaries import SUMMARY

WHEN = datetime(2011, 2, 15, 1, 30, tzinfo=UTC)
#: As a study gives them: of browse discs of 512 px.
CENTRE_PX, ARCSEC_PER_PX = (255.5, 255.5), 4.8
PLACE = (-20.0, 30.0)
IMAGES = Images(
    channel="aia-211-browse",
    size_px=40,
    cutout_arcsec=240.0,
    center_px=CENTRE_PX,
    arcsec_per_px=ARCSEC_PER_PX,
    check_pointing=False,
)
VIEW = View.of_study(IMAGES)


def _disc(folder, side):
    """A browse disc of ``side`` px, bright within 60 arcsec of `PLACE` alone, its time in its name."""
    zoom = side / 512
    frame = DiscFrame.at(WHEN, ((255.5 + 0.5) * zoom - 0.5,) * 2, ARCSEC_PER_PX / zoom)
    x, y, _ = project(*PLACE, frame)
    row, column = np.mgrid[:side, :side]
    grey = np.where(np.hypot(column - x, row - y) * frame.arcsec_per_px < 60, 220, 90).astype(np.uint8)
    file = folder / f"20110215_013000_{side}_0211.jpg"
    Image.fromarray(grey).save(file, quality=95)
    return file


def _of_the_corpus(file, images=IMAGES):
    row = Observation(RawRow("book", "s", 2, {}, {}), (file.name,), "a", 11158, WHEN, *PLACE, None, None)
    (kept,) = examples.look(file.parent, images, [row])[1].kept
    return np.asarray(Image.open(io.BytesIO(kept["image"])))


def _bright_at_the_centre_only(codes):
    return codes[20, 20] > 150 and codes[:5].max() < 150 and codes[-5:].max() < 150


@pytest.mark.parametrize("side", [512, 1024, 2048])
def test_a_browse_disc_of_any_published_size_is_cut_at_the_same_place_for_corpus_and_predict(tmp_path, side):
    file = _disc(tmp_path, side)
    corpus, predicted = _of_the_corpus(file), inference.gathered([file], VIEW, Position(*PLACE)).codes
    assert _bright_at_the_centre_only(predicted)
    assert _bright_at_the_centre_only(corpus)
    assert np.array_equal(corpus, predicted)


def test_a_disc_without_a_header_in_fits_is_cut_at_the_same_place_for_corpus_and_predict(tmp_path):
    from astropy.io import fits

    frame = DiscFrame.at(WHEN, CENTRE_PX, ARCSEC_PER_PX)
    x, y, _ = project(*PLACE, frame)
    row, column = np.mgrid[:512, :512]
    field = np.where(np.hypot(column - x, row - y) * ARCSEC_PER_PX < 60, 900.0, -30.0).astype(np.float32)
    file = tmp_path / "20110215_013000_magnetogram.fits"
    fits.writeto(file, field[::-1])  # FITS counts rows from the south
    images = IMAGES.model_copy(update={"channel": "hmi-magnetogram", "orientation": "north-up"})
    corpus = _of_the_corpus(file, images)
    assert _bright_at_the_centre_only(corpus)
    assert np.array_equal(corpus, inference.gathered([file], View.of_study(images), Position(*PLACE)).codes)
    with pytest.raises(BadInput, match="shows more than the model looks at"):
        inference.gathered([file], View.of_study(images))


def test_a_published_disc_smaller_than_the_studys_is_no_cutout(tmp_path):
    larger = IMAGES.model_copy(update={"center_px": (511.5, 511.5), "arcsec_per_px": 2.4})
    view, file = View.of_study(larger), _disc(tmp_path, 512)
    assert _bright_at_the_centre_only(inference.gathered([file], view, Position(*PLACE)).codes)
    assert np.array_equal(_of_the_corpus(file, larger), inference.gathered([file], view, Position(*PLACE)).codes)
    with pytest.raises(BadInput, match="shows more than the model looks at"):
        inference.gathered([file], view)


# --- neighbours -------------------------------------------------------------------------------------------------------

MASKED = IMAGES.model_copy(update={"neighbours": "mask"})
CROWDED = """
format = 2
[study]
name = "crowded"
[source]
root = "."
workbook = "rows.csv"
images = "."
[source.columns]
image = "Image"
observed = "Time"
noaa_ar = "NOAA AR"
label = "Class"
latitude_deg = "Lat"
longitude_deg = "Lon"
[images]
channel = "aia-211-browse"
size_px = 40
cutout_arcsec = 240.0
center_px = [255.5, 255.5]
arcsec_per_px = 4.8
check_pointing = false
[labels]
scheme = "mount-wilson-3"
[split]
[backbone.config]
model_type = "vit"
"""


@pytest.fixture
def listed(tmp_path):
    """A summary of three regions, two of which lie in one cutout."""
    rows = "1158 S20W30   036  0450 Ekc  12   36 Beta-Gamma\n1159 S13W38   036  0450 Ekc  12   36 Beta"
    text = SUMMARY.format(spotted=rows, plage="1160  N20E30   340", returning="None")
    (tmp_path / "20110215SRS.txt").write_text(text)
    return read_archive(tmp_path / "20110215SRS.txt")


def _two_bright_regions(folder, places):
    frame = DiscFrame.at(WHEN, CENTRE_PX, ARCSEC_PER_PX)
    row, column = np.mgrid[:512, :512]
    grey = np.random.default_rng(0).normal(90, 3, (512, 512))
    for place in places:
        x, y, _ = project(*place, frame)
        grey[np.hypot(column - x, row - y) * ARCSEC_PER_PX < 40] = 220
    file = folder / "20110215_013000_512_0211.jpg"
    Image.fromarray(grey.astype(np.uint8)).save(file, quality=95)
    return file


@pytest.mark.parametrize("channel", ["aia-211-browse", "hmi-continuum-browse"])
def test_predict_with_the_days_summary_sees_the_codes_of_the_corpus_byte_for_byte(tmp_path, listed, channel):
    places = listed.at(WHEN)
    file = _two_bright_regions(tmp_path, [places[11158], places[11159]])
    if channel.startswith("hmi"):
        dark = np.asarray(Image.open(file)).astype(int)
        file = tmp_path / "20110215_013000_512_HMII.jpg"
        Image.fromarray((310 - dark).clip(0, 255).astype(np.uint8)).save(file, quality=95)
    images = MASKED.model_copy(update={"channel": channel})
    regions = {number: Position(*place) for number, place in places.items()}
    numbered = [_seen(file, number, *place) for number, place in places.items()]
    rows = [row for row in numbered if row.noaa_ar in (11158, 11159)]
    kept = examples.look(tmp_path, images, rows, numbered=numbered)[1].kept
    alone = [examples.look(tmp_path, images, [row])[1].kept[0] for row in rows]
    for number, example, unmasked in zip((11158, 11159), kept, alone, strict=True):
        found = inference.gathered([file], View.of_study(images), Position(*places[number]), listed)
        assert np.array_equal(found.codes, np.asarray(Image.open(io.BytesIO(example["image"])))) and not found.notes
        assert example["masked_share"] > 0.02 and example["pixels_sha256"] != unmasked["pixels_sha256"]
        assert unmasked["masked_share"] == 0
        page = View.of_study(images).others(_placed(file, images), Position(*places[number]), [*regions.values()])[0]
        assert len(page) == 2 and regions[number] not in page


def _seen(file, number, latitude_deg, longitude_deg):
    raw = RawRow("book", "s", number, {}, {})
    return Observation(raw, (file.name,), "a", number, WHEN, latitude_deg, longitude_deg, None, None)


def _placed(file, images):
    return View.of_study(images).layers([read_image(file)])


def _masked(file, row, *others):
    (example,) = examples.look(file.parent, MASKED, [row], numbered=[row, *others])[1].kept
    return example["pixels_sha256"], example["masked_share"]


def test_a_neighbour_is_where_its_longitude_is_at_the_images_time(tmp_path, listed):
    places = listed.at(WHEN)
    file = _two_bright_regions(tmp_path, [places[11158], places[11159]])
    own, other = (_seen(file, number, *places[number]) for number in (11158, 11159))
    turning = (places[11159][1] + central_meridian(WHEN)) % 360
    carried = replace(other, longitude_deg=None, carrington_deg=turning, observed=None, label="")
    assert _masked(file, own, carried) == _masked(file, own, other)
    assert _masked(file, own, other)[1] > 0.02


def test_a_row_of_several_regions_is_no_neighbour_of_any_of_them(tmp_path, listed):
    places = listed.at(WHEN)
    file = _two_bright_regions(tmp_path, [places[11158], places[11159]])
    own, other = (_seen(file, number, *places[number]) for number in (11158, 11159))
    both, two = (replace(other, noaa_ar=None, several=several) for several in ((11158, 11159), (11159, 11160)))
    assert _masked(file, own, both)[1] == 0
    assert _masked(file, own, two) == _masked(file, own, other)


def test_regions_that_only_the_header_numbers_are_neighbours_too(tmp_path, listed, monkeypatch):
    places = listed.at(WHEN)
    file = _two_bright_regions(tmp_path, [places[11158], places[11159]])
    rows = [_seen(file, number, *places[number]) for number in (11158, 11159)]
    expected = [_masked(file, row, *rows)[0] for row in rows]
    known = iter([11158, 11159])
    monkeypatch.setattr(examples, "_with_region", lambda view, row, layers: replace(row, noaa_ar=next(known)))
    kept = examples.look(tmp_path, MASKED, [replace(row, noaa_ar=None) for row in rows])[1].kept
    assert [example["pixels_sha256"] for example in kept] == expected


def test_another_source_is_masked_as_the_model_was_whatever_its_study_says(tmp_path, listed):
    places = listed.at(WHEN)
    file = _two_bright_regions(tmp_path, [places[11158], places[11159]])
    rows = [f"{file.name},2011-02-15 01:30,{n},beta,{places[n][0]},{places[n][1]}" for n in (11158, 11159)]
    (tmp_path / "rows.csv").write_text("\n".join(["Image,Time,NOAA AR,Class,Lat,Lon", *rows]))
    (tmp_path / "study.toml").write_text(CROWDED)
    study = studies.load(tmp_path / "study.toml")
    masking = study.model_copy(update={"images": MASKED})
    folder, raw = tmp_path / "other", build.read_rows(study)

    def made(other):
        other = elsewhere.seen_as_trained(*other)
        return build.build_undivided(
            other, folder, raw, lambda rows: np.where(rows["noaa_ar"] == 11159, elsewhere.REGION, ""),
            classes=("alpha", "beta", "complex"), origin=build.made_from(other, raw), progress=False,
        )  # fmt: skip

    masked = made((masking, study))
    assert masked.facts.view.neighbours == "mask"
    own, other = (_seen(file, number, *places[number]) for number in (11158, 11159))
    assert (*masked.rows[["pixels_sha256", "masked_share"]].iloc[0],) == _masked(file, own, other)
    assert made((study, masking)).rows["masked_share"].isna().all()


def test_what_is_flattened_or_masked_is_judged_as_it_was_recorded(tmp_path):
    """A disc that lies elsewhere has no limb darkening to divide by where the study looks for it."""
    mu = disc_mu((512, 512), DiscFrame.at(WHEN, CENTRE_PX, ARCSEC_PER_PX))
    grey = np.roll(np.nan_to_num(200 * (0.3 + 0.7 * mu)), 60, axis=1)
    file = tmp_path / "20110215_013000_512_HMIIF.jpg"
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(file, quality=95)
    plain = IMAGES.model_copy(update={"channel": "hmi-continuum-browse", "check_pointing": True})
    row = _seen(file, 11158, *PLACE)
    reasons = []
    for images in (plain, plain.model_copy(update={"flatten": True, "neighbours": "mask"})):
        (reject,) = examples.look(tmp_path, images, [row])[1].rejects
        reasons.append(reject.reason)
        with pytest.raises(BadInput) as refused:
            inference.gathered([file], View.of_study(images), Position(*PLACE))
        assert reject.reason == refused.value.problems[0].what
    assert reasons[0] == reasons[1] and reasons[0].startswith("off-pointed")


def test_a_position_beside_the_disc_is_told_so_also_with_its_regions(tmp_path, listed):
    file = _two_bright_regions(tmp_path, listed.at(WHEN).values())
    for regions in (None, listed):
        with pytest.raises(BadInput, match="nothing to see at that position"):
            inference.gathered([file], View.of_study(MASKED), Position(x_px=3.0, y_px=3.0), regions)


def test_a_study_that_keeps_neighbours_has_no_share_of_them_and_takes_no_regions(tmp_path, listed):
    file = _two_bright_regions(tmp_path, listed.at(WHEN).values())
    row = _seen(file, 11158, *PLACE)
    (example,) = examples.look(tmp_path, IMAGES, [row], numbered=[_seen(file, 11159, -13, 38)])[1].kept
    assert example["masked_share"] is None
    with pytest.raises(BadInput, match="takes no other regions"):
        inference.gathered([file], VIEW, Position(*PLACE), listed)


def test_a_model_that_masks_and_is_told_of_no_region_says_so(tmp_path, listed):
    file, view = _two_bright_regions(tmp_path, listed.at(WHEN).values()), View.of_study(MASKED)
    (note,) = inference.gathered([file], view, Position(*PLACE)).notes
    assert "no others were named" in note
    (said,) = inference.gathered([file], view, Position(PLACE[0] + 1.5, PLACE[1]), listed).notes
    assert said.startswith("The region at latitude -20, longitude 30.8") and said.endswith(
        "is taken for the one asked for."
    )
    assert not inference.gathered([file], view, Position(10, -40), listed).notes, "all three are neighbours"


def test_the_pipeline_warns_of_neighbours_unless_sdovis_saved_the_cutout():
    view = View.of_study(MASKED)
    saved = np.random.default_rng(0).integers(1, 255, (40, 40), np.uint8)
    assert np.array_equal(inference.codes(saved, view), saved)
    with pytest.warns(UserWarning, match="no others were named"):
        inference.codes(SolarImage(saved, "grey", format="JPEG"), view)
    physical = View.of_study(MASKED.model_copy(update={"channel": "hmi-magnetogram"}))
    with pytest.warns(UserWarning, match="no others were named"):
        inference.codes(np.random.default_rng(0).normal(0, 300, (40, 40)).astype(np.float32), physical)
    with pytest.raises(BadInput, match="blank"), pytest.warns(UserWarning):
        inference.codes(np.zeros((40, 40), np.float32), physical)


def test_flat_fields_are_one_for_corpus_and_predict(tmp_path):
    mu = disc_mu((512, 512), DiscFrame.at(WHEN, CENTRE_PX, ARCSEC_PER_PX))
    grey = np.nan_to_num(200 * (0.3 + 0.7 * mu)) + np.random.default_rng(0).normal(0, 2, mu.shape)
    file = tmp_path / "20110215_013000_512_HMIIF.jpg"
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(file, quality=95)
    images = IMAGES.model_copy(update={"channel": "hmi-continuum-browse", "flatten": True})
    flat, predicted = _of_the_corpus(file, images), inference.gathered([file], View.of_study(images), Position(*PLACE))
    assert np.array_equal(flat, predicted.codes)
    tilted = _of_the_corpus(file, images.model_copy(update={"flatten": False}))
    assert np.ptp(tilted.mean(axis=0)[2:-2]) > 10 > 4 > np.ptp(flat.mean(axis=0)[2:-2])
