"""`sdovis predict` of a whole disc: the region that is named is cut out as the page cuts it, and a disc is no cutout."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from saved_models import SIZE, save_model
from sdovis import inference
from sdovis.channels.channel import channel
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.images.images import read_image
from sdovis.sun.archives import read_archive
from sdovis.sun.geometry import unproject
from sdovis.webapp.classifier import Classifier
from sdovis.webapp.listing import Listing
from sun.summaries import ROW, SUMMARY

BROWSE = "20110215_013000_512_0211.jpg"


@pytest.fixture(scope="module")
def browse_model(tmp_path_factory):
    """Sees cutouts of 480 arcsec of browse pictures, 100 of their pixels."""
    facts = {"cutout_arcsec": 480.0, "center_px": [255.5, 255.5], "arcsec_per_px": 4.8}
    return save_model(tmp_path_factory.mktemp("browse") / "model", "aia-211-browse", **facts)


def predicted(capfd, *arguments: object) -> dict[str, float]:
    capfd.readouterr()
    assert run_command(["predict", *map(str, arguments)]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    return {name: float(score) for name, score in (entry.split(" ") for entry in line.split("\t")[1:])}


def refused(capfd, *arguments: object) -> str:
    capfd.readouterr()
    assert run_command(["predict", *map(str, arguments)]) == 2
    said = capfd.readouterr()
    assert not said.out
    return said.err


def test_a_region_of_a_disc_gets_the_pages_probabilities(cutout_model, browse_model, uploads, capfd):
    for model, name, x, y in ((cutout_model, "disc.fits", 160, 100), (browse_model, BROWSE, 330, 200)):
        classifier = Classifier(model)
        image = classifier.view.placed(read_image(uploads / name)).image
        latitude, longitude = map(float, unproject(x, y, image.frame))
        page = classifier.answer(uploads / name, Position(latitude, longitude)).probabilities
        found = predicted(capfd, model, uploads / name, f"--at={latitude!r},{longitude!r}")
        assert found == pytest.approx(page, abs=1e-4)
        elsewhere = predicted(capfd, model, uploads / name, f"--at={latitude + 5!r},{longitude + 5!r}")
        assert found != pytest.approx(elsewhere, abs=1e-3)


def test_a_region_of_three_discs_in_any_order_gets_the_pages_probabilities(map_model, uploads, capfd):
    files = [uploads / f"disc.{name}.fits" for name in ("continuum", "Br", "magnetogram")]
    page = Classifier(map_model).answer(files, Position(9, 18)).probabilities
    assert predicted(capfd, map_model, ",".join(map(str, files)), "--at", "N9W18") == pytest.approx(page, abs=1e-4)


@pytest.mark.parametrize(("written", "numbers"), [("S12W30", "-12,30"), ("n5.5 e7", "+5.5, -7.0"), ("N0E0", "0,0")])
def test_a_place_is_written_as_noaa_does_or_in_numbers(written, numbers, cutout_model, uploads, capfd):
    disc = uploads / "disc.fits"
    assert predicted(capfd, cutout_model, disc, "--at", written) == predicted(
        capfd, cutout_model, disc, f"--at={numbers}"
    )


@pytest.mark.parametrize("text", ["", "here", "S21", "21,42,3", "W42S21", "S21W42 or so"])
def test_what_is_no_place_is_refused(text, cutout_model, uploads, capfd):
    assert f"{text!r} is not a position; write it as S21W42" in refused(
        capfd, cutout_model, uploads / "disc.fits", f"--at={text}"
    )


def test_a_disc_without_a_place_and_a_place_in_a_cutout_are_refused(cutout_model, uploads, tmp_path, capfd):
    disc = uploads / "disc.fits"
    asked = "shows more than the model looks at; say where the region is, as in --at S21W42"
    assert refused(capfd, cutout_model, disc) == f"error: {disc}: {asked}\n"
    assert "behind the limb" in refused(capfd, cutout_model, disc, "--at", "N0W120")
    map_ = next(uploads.glob("hmi.sharp*magnetogram.fits"))
    assert "is a heliographic map, but the model was trained on cutouts" in refused(
        capfd, cutout_model, map_, "--at", "N0E0"
    )
    picture = tmp_path / "region.png"
    Image.fromarray(np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE)).save(picture)
    assert f"error: {picture}: this is taken as a single cutout" in refused(
        capfd, cutout_model, picture, "--at", "N0E0"
    )


def test_a_place_near_the_limb_is_cautioned(cutout_model, uploads, capfd):
    assert run_command(["predict", str(cutout_model), str(uploads / "disc.fits"), "--at", "N10W70"]) == 0
    assert "N10W70 lies more than 60 degrees from the central meridian: foreshortening" in capfd.readouterr().err


def test_a_browse_disc_gets_no_probabilities_as_if_it_were_a_cutout(browse_model, uploads, tmp_path, capfd):
    assert "shows more than the model looks at" in refused(capfd, browse_model, uploads / BROWSE)
    with pytest.raises(BadInput, match=r"spans 2458 arcsec, but the model was trained on cutouts of 480 arcsec"):
        inference.pipeline(browse_model)(str(uploads / BROWSE))
    renamed = tmp_path / "sun.jpg"
    renamed.write_bytes((uploads / BROWSE).read_bytes())
    for source in (str(renamed), Image.open(renamed)):
        with pytest.raises(BadInput, match=r"spans 2458 arcsec"):
            inference.pipeline(browse_model)(source)
    assert "keep the name that the archive gave the file, and say where" in refused(capfd, browse_model, renamed)
    assert "keep its original archive file name" in refused(capfd, browse_model, renamed, "--at", "N10W10")
    region = tmp_path / "20110215_013000_region.jpg"  # cut out by somebody, of no size that the archive has
    Image.open(uploads / BROWSE).crop((280, 150, 380, 250)).save(region)
    assert len(predicted(capfd, browse_model, region)) == 3
    assert len(inference.pipeline(browse_model)(str(region))) == 3


def test_a_saved_cutout_as_large_as_a_browse_disc_is_a_cutout(uploads, tmp_path):
    view = View((channel("aia-211-browse"),), 512, 480.0, None, (255.5, 255.5), 4.8)
    saved = tmp_path / BROWSE.replace("jpg", "png")
    Image.open(uploads / BROWSE).convert("L").save(saved)
    assert not view.is_exceeded_by(view.layers([read_image(saved)])[0])
    assert view.is_exceeded_by(view.layers([read_image(uploads / BROWSE)])[0])


def test_a_model_that_masks_takes_the_days_summary_and_the_page_the_same_regions(tmp_path, uploads, capfd):
    model = save_model(tmp_path / "m", cutout_arcsec=216.0, neighbours="mask")
    image = read_image(uploads / "disc.fits")
    valid = image.observed.replace(hour=0, minute=0, second=0)
    text = SUMMARY.format(spotted=ROW.replace("S21W14", "N09W18"), plage="1159  N03W24   340", returning="None")
    text = text.replace("2011 Feb 15", f"{valid:%Y %b %d}").replace("15 Feb 2011", f"{valid:%d %b %Y}")
    summary = tmp_path / "srs.txt"
    summary.write_text(text.replace("14/2400Z", f"{valid - timedelta(days=1):%d}/2400Z"))
    listed = read_archive(summary).at(image.observed)
    at = f"--at={listed[11158][0]!r},{listed[11158][1]!r}"
    answer = Classifier(model).answer(
        uploads / "disc.fits", Position(*listed[11158]), regions=Listing(files=(summary,))
    )
    assert predicted(capfd, model, uploads / "disc.fits", at, "--regions", summary) == pytest.approx(
        answer.probabilities, abs=1e-4
    )
    assert not answer.notes
    assert run_command(["predict", str(model), str(uploads / "disc.fits"), at]) == 0
    assert "no others were named" in capfd.readouterr().err
    assert any(
        "no others were named" in n for n in Classifier(model).answer(uploads / "disc.fits", Position(9, 18)).notes
    )


def test_a_list_that_is_none_or_that_a_model_cannot_use_is_refused(cutout_model, uploads, tmp_path, capfd):
    summary = tmp_path / "srs.txt"
    text = SUMMARY.format(spotted=ROW, plage="None", returning="None")
    summary.write_text(text.replace("2011", "2013"))  # the disc's day, two years later
    disc = uploads / "disc.fits"
    assert "no region summary lies within 24 hours" in refused(capfd, cutout_model, disc, "--regions", summary)
    assert "takes no other regions; leave out --regions, or leave out --at" in refused(
        capfd, cutout_model, disc, "--at", "N9W18", "--regions", summary
    )
    assert "there is no such file of regions" in refused(
        capfd, cutout_model, disc, "--at", "N9W18", "--regions", tmp_path / "absent.txt"
    )
    (tmp_path / "notes.txt").write_text("remember the milk")
    assert "contains no Solar Region Summary" in refused(
        capfd, cutout_model, disc, "--at", "N9W18", "--regions", tmp_path / "notes.txt"
    )
