"""Several answers at once: in a table that no spreadsheet program runs, and on a picture where every box is named."""

from __future__ import annotations

import base64
import csv
import io
import re
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from regions_of import SRS
from saved_models import MEANINGS, save_model
from sdovis.channels.place import Position
from sdovis.errors import BadInput
from sdovis.inference import placards
from sdovis.webapp import results
from sdovis.webapp.classifier import NO_SPOTS, Classifier
from sdovis.webapp.listing import Listing, Noaa
from sdovis.webapp.results import Result

CLASSES = tuple(MEANINGS)
SURE = {"beta": 0.7, "alpha": 0.2, "complex": 0.1}
EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def cutouts(cutout_model):
    return Classifier(cutout_model)


def rows(*found, classes=CLASSES):
    return list(csv.DictReader(io.StringIO(results.csv(found, classes, "sun/m@r-1"))))


# --- a disc -----------------------------------------------------------------------------------------------------------


def test_all_the_regions_of_a_disc_are_what_each_of_them_is_alone(cutouts, uploads):
    disc = cutouts.disc(uploads / "disc.fits", Listing(SRS))
    assert [each.name for each in disc.results] == ["AR 11153", "AR 11158", "AR 11160"]
    for each in disc.results:
        alone = cutouts.answer(uploads / "disc.fits", each.position, pictures=False)
        assert each.probabilities == alone.probabilities
        assert each.observed == "2011-02-15 00:00:03" and each.file == "disc.fits"
    assert "more than 60 degrees from the central meridian" in disc.results[0].notes[0]
    assert disc.results[0].notes[-1] == NO_SPOTS and not disc.results[1].notes


def test_the_boxes_lie_where_the_cutouts_are(cutouts, uploads):
    disc = cutouts.disc(uploads / "disc.fits", Listing("N08W20"))
    x, y, side = disc.results[0].box
    zoom = disc.picture.width / 256
    assert side == pytest.approx(24 * zoom)
    assert (x / zoom - 0.5, y / zoom - 0.5) == pytest.approx((164.2, 100.6), abs=0.6)
    plain = np.asarray(cutouts.answer(uploads / "disc.fits").picture).astype(int)
    drawn = np.abs(np.asarray(disc.picture).astype(int) - plain).sum(axis=2) > 0
    assert (
        drawn[round(y - side / 2), round(x)] and drawn[round(y), round(x + side / 2)] and not drawn[round(y), round(x)]
    )


def test_a_region_that_cannot_be_seen_costs_only_its_own_answer(cutouts, uploads):
    found = cutouts.disc(uploads / "disc.fits", Listing("N08W20; 10,170")).results
    behind = next(each for each in found if not each.probabilities)
    assert "behind the limb" in behind.why and behind.box is None
    assert sum(each.best is not None for each in found) == 1


def test_a_disc_whose_neighbours_are_masked_names_them_to_each_other(tmp_path, uploads):
    masked = Classifier(save_model(tmp_path / "m", cutout_arcsec=216.0, neighbours="mask"))
    disc = masked.disc(uploads / "disc.fits", Listing(SRS))
    near = next(each for each in disc.results if each.name == "AR 11158")
    assert near.probabilities == masked.answer(uploads / "disc.fits", near.position, regions=Listing(SRS)).probabilities
    assert not near.notes


def test_a_cutout_has_no_list_of_regions(cutouts, magnetogram_model, uploads):
    with pytest.raises(BadInput, match="is no whole disc"):
        Classifier(magnetogram_model).disc(uploads / "region.fits", Listing("N08W20"))
    with pytest.raises(BadInput, match=r"no whole disc"):
        cutouts.disc(uploads / "region.png", Listing("N08W20"))


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_has_every_probability_the_place_and_the_model():
    where, noaa = Position(8.25, -20.5), Noaa("spotted", "Beta", "Dai")
    (row,) = rows(Result("AR 11158", SURE, "disc.fits", "2011-02-15", where, noaa, ("near the limb",)))
    assert (row["name"], row["label"], row["probability"], row["prob_complex"]) == ("AR 11158", "beta", "0.7", "0.1")
    assert (row["latitude_deg"], row["longitude_deg"], row["model"]) == ("8.25", "-20.5", "sun/m@r-1")
    assert (row["noaa_kind"], row["noaa_mount_wilson"], row["noaa_mcintosh"]) == ("spotted", "Beta", "Dai")
    assert row["cautions"] == "near the limb"


@pytest.mark.parametrize(
    "name", ["=1+1.fits", "+x.fits", "-2.fits", "@sum.fits", "\uff1dcmd.fits", "a\t=1.fits", "'=1.fits"]
)
def test_a_name_that_is_a_formula_is_text_in_the_table(name):
    (row,) = rows(Result(name, SURE, name, why=name))
    for cell in (row["name"], row["file"], row["no_answer_because"]):
        assert not re.search(r"(^|[;|\t])[=+\-@\uff1d]", cell)
        assert "'" in cell


def test_an_answer_that_must_not_be_used_is_in_no_table_and_not_shown():
    refused = Result("x.png", SURE, refused="This image is unlike anything")
    (row,) = rows(refused)
    assert row["label"] == row["probability"] == row["prob_beta"] == ""
    assert row["cautions"] == "This image is unlike anything"
    text = results.shown([refused], "Your files", "csv", "a.csv")
    assert "No answer" in text and "This image is unlike anything" in text and "70" not in text
    assert "0 of 1 classified" in text


def test_what_files_and_headers_say_is_escaped():
    text = results.shown([Result(EVIL, {EVIL: 1.0}, notes=(EVIL,), hint=EVIL)], EVIL, EVIL, EVIL, [EVIL])
    text += results.legend([Result("x", {EVIL: 1.0})], [EVIL])
    assert "<img" not in text and "&lt;img" in text


def test_the_link_holds_the_table():
    text = results.shown([Result("a", SURE)], "Your files", "name\na\u2033\n", "sun-2011-02-15.csv")
    assert 'download="sun-2011-02-15.csv"' in text
    assert base64.b64decode(re.search(r"base64,([^\"]+)", text)[1]).decode() == "name\na\u2033\n"


def test_labels_of_crowded_regions_cover_each_other_as_little_as_can_be():
    found = [Result(f"AR 1115{i}", SURE, box=(300 + 30 * i, 300 + 25 * i, 90)) for i in range(4)]
    assert results.boxed(Image.new("RGB", (600, 600)), found, CLASSES).size == (600, 600)
    taken = placards.beside([each.box for each in found], [(90, 30)] * 4, (0, 0, 600, 600), 4)
    assert not any(placards._overlap(one, other, 0) for one, other in combinations(taken, 2))
    for left, top, right, bottom in taken:
        assert left >= 0 and top >= 0 and right <= 600 and bottom <= 600
