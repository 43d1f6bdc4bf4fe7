"""An image that shows nothing is refused by every path: the corpus, predict, the pipeline and the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from saved_models import save_model
from sdovis import inference
from sdovis.channels.view import View
from sdovis.corpus import examples
from sdovis.corpus.observations import Observation
from sdovis.errors import BadInput
from sdovis.images.images import read_image
from sdovis.readers.rows import RawRow
from sdovis.study import Images
from sdovis.webapp.classifier import Classifier
from solar_uploads import DISC, DISC_SCALE, SIDE, bipole, full_disc, sharp, write_fits

WHOLE = Images(channel="hmi-magnetogram", size_px=32)
THREE = Images(channel=("hmi-br", "hmi-magnetogram", "hmi-continuum"), size_px=32)
DISC_CARDS = {"CDELT1": DISC_SCALE, "CDELT2": DISC_SCALE, "CRVAL1": 0.0, "CRVAL2": 0.0, "NOAA_AR": 0}


def _blank(folder: Path) -> list[Path]:
    return [write_fits(folder / "a.fits", np.full((SIDE, SIDE), 12.0))]


def _blank_but_for_what_is_missing(folder: Path) -> list[Path]:
    values = np.zeros((SIDE, SIDE))
    values[:20] = np.nan
    return [write_fits(folder / "a.fits", values)]


def _one_grey(folder: Path) -> list[Path]:
    Image.fromarray(np.full((SIDE, SIDE), 128, np.uint8)).save(folder / "a.png")
    return [folder / "a.png"]


def _eclipse(folder: Path) -> list[Path]:
    return [write_fits(folder / "a.fits", bipole(), QUALITY=1 << 8)]


def _eclipse_of_a_sharp(folder: Path) -> list[Path]:
    return [write_fits(folder / "a.fits", bipole(), QUALITY=1 << 9, HARPNUM=377)]


def _no_observable(folder: Path) -> list[Path]:
    return [write_fits(folder / "a.fits", bipole(), QUALITY=-(2**31))]


def _beside_the_disc(folder: Path) -> list[Path]:
    return [write_fits(folder / "a.fits", bipole(), CRVAL1=1500.0)]


def _beyond_the_pole(folder: Path) -> list[Path]:
    return [write_fits(folder / "a.fits", bipole(), CRVAL1=0.0, CRVAL2=-1100.0)]


def _off_pointed(folder: Path) -> list[Path]:
    full_disc(folder)
    moved = np.roll(read_image(folder / "disc.fits").values, 40, axis=1)
    return [write_fits(folder / "a.fits", moved[::-1], **DISC_CARDS)]


def _black_disc(folder: Path) -> list[Path]:
    noise = np.random.default_rng(0).normal(0, 8, (DISC, DISC))
    return [write_fits(folder / "a.fits", noise, **DISC_CARDS)]


def _one_channel_of_three(folder: Path) -> list[Path]:
    files = sharp(folder)
    blank = read_image(files[0])
    files[0].unlink()
    cards = {key: value for key, value in blank.header.items() if key not in ("NOAA_AR",)}
    write_fits(files[0], np.zeros(blank.values.shape), **cards)
    return files


FAULTS: dict[Callable[[Path], list[Path]], str] = {
    _blank: "blank", _blank_but_for_what_is_missing: "blank", _one_grey: "blank", _one_channel_of_three: "blank",
    _eclipse: "eclipse", _eclipse_of_a_sharp: "eclipse", _no_observable: "no data",
    _beside_the_disc: "no part of the solar disc", _beyond_the_pole: "no part of the solar disc",
    _off_pointed: "off-pointed", _black_disc: "no solar limb found",
}  # fmt: skip


def _prepared(files: list[Path], images: Images, model: Path) -> None:
    names = [file.name for file in files]
    headings = dict(zip(("image", "image_2", "image_3"), names, strict=False))
    raw = RawRow("book.xlsx", "s", 2, headings, headings)
    row = Observation(raw, tuple(names), "beta", None, None, None, None, None, None)
    found = examples.look(files[0].parent, images, [row])[1]
    assert not found.kept
    raise BadInput([problem for _, problem in found.problems] or next(f.reason for f in found.rejects))


def _predicted(files: list[Path], images: Images, model: Path) -> None:
    inference.gathered(files, View.of_study(images))


def _piped(files: list[Path], images: Images, model: Path) -> None:
    inference.codes(tuple(files) if len(files) > 1 else files[0], View.of_study(images))


def _shown(files: list[Path], images: Images, model: Path) -> None:
    Classifier(model).answer(files)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        len(images.channels): save_model(folder / str(i), *images.channels) for i, images in enumerate((WHOLE, THREE))
    }


@pytest.mark.parametrize("path", [_prepared, _predicted, _piped, _shown], ids=lambda f: f.__name__.strip("_"))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__.strip("_"))
def test_what_shows_nothing_is_refused_by_every_path(
    fault: Any, path: Any, models: dict[int, Path], tmp_path: Path
) -> None:
    files = fault(tmp_path)
    with pytest.raises(BadInput, match=FAULTS[fault]):
        path(files, THREE if len(files) == 3 else WHOLE, models[len(files)])


@pytest.mark.parametrize("path", [_predicted, _piped], ids=lambda f: f.__name__.strip("_"))
def test_what_the_study_took_is_taken(path: Any, models: dict[int, Path], tmp_path: Path) -> None:
    lenient = WHOLE.model_copy(update={"check_quality": False, "check_pointing": False})
    path(_eclipse(tmp_path), lenient, models[1])


def test_a_view_carries_what_the_study_took() -> None:
    view = View.of_study(WHOLE.model_copy(update={"check_quality": False, "orientation": "rotated-180"}))
    assert View.from_json(view.to_json()) == view
    older = {
        key: value for key, value in view.to_json().items() if not key.startswith("check") and key != "orientation"
    }
    assert View.from_json(older) == replace(view, check_quality=True, orientation=None)


def test_an_array_with_nothing_in_it_is_refused_like_a_file() -> None:
    view = View.of_study(WHOLE)
    partly = np.zeros((40, 40), np.float32)
    partly[:9] = np.nan
    for empty in (
        np.zeros((40, 40), np.float32),
        np.full((40, 40), np.nan, np.float32),
        partly,
        np.full((40, 40), 7, np.uint8),
    ):
        with pytest.raises(BadInput, match="blank"):
            inference.codes(empty, view)
    with pytest.raises(BadInput, match="blank"):
        inference.codes(np.stack([bipole().astype(np.float32), partly[:64, :64].repeat(2, 0)[:64].repeat(2, 1)[:, :64],
                                  np.ones((64, 64), np.float32)], axis=-1), View.of_study(THREE))  # fmt: skip


def test_segments_of_two_harps_are_no_row_and_no_answer(tmp_path: Path) -> None:
    files = sharp(tmp_path)
    other = read_image(files[0])
    files[0].unlink()
    write_fits(files[0], other.values[::-1], **dict(other.header) | {"HARPNUM": 378})
    for path in (_prepared, _predicted, _piped):
        with pytest.raises(BadInput, match="are of HARPs 377 and 378"):
            path(files, THREE, tmp_path)
