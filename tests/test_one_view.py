"""A cutout of a place is one and the same, whoever asks for it: the corpus, predict, the page."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from sdovis import inference
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.corpus import examples
from sdovis.corpus.observations import Observation
from sdovis.errors import BadInput
from sdovis.readers.rows import RawRow
from sdovis.study import Images
from sdovis.sun.geometry import DiscFrame, project

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
