from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "learning"))

import tiny
from sdovis import inference
from sdovis.channels.channel import channel, to_picture
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.errors import BadInput, UnreadableImage
from sdovis.learning import backbones

VIEW = View((channel("hmi-magnetogram"),), 32, cutout_arcsec=60.0)
ABOUT = {"format": 2, "view": VIEW.to_json()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with weights far from zero, saved as training saves it."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("inference") / "model"
    network, processor = backbones.build(tiny.study(), tiny.CLASSES, ABOUT)
    with torch.no_grad():
        network.classifier.weight.mul_(30)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    """A bipole of +-1500 G in noise, 60 x 60 px of 1 arcsec, with a missing corner."""
    values = np.random.default_rng(0).normal(0, 20, (60, 60)).astype(np.float32)
    values[10:25, 8:20], values[35:50, 30:50] = 1500, -1500
    values[:4, :4] = np.nan
    return values


def write_fits(path: Path, values: np.ndarray) -> Path:
    from astropy.io import fits

    side = values.shape[0]
    header = fits.Header({
        "BUNIT": "Gauss", "INSTRUME": "HMI_FRONT2", "TELESCOP": "SDO/HMI", "T_OBS": "2014.01.01_00:00:00_TAI",
        "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CDELT1": 1.0, "CDELT2": 1.0,
        "CRPIX1": (side + 1) / 2, "CRPIX2": (side + 1) / 2, "CRVAL1": 100.0, "CRVAL2": -150.0, "CROTA2": 0.0,
        "RSUN_OBS": 975.0, "CRLT_OBS": -3.0,
    })  # fmt: skip
    fits.writeto(path, values[::-1], header)  # FITS stores the south first
    return path


def scores(answers: list[dict[str, Any]]) -> list[float]:
    return [next(a["score"] for a in answers if a["label"] == name) for name in tiny.CLASSES]


def test_array_fits_file_and_saved_picture_get_equal_probabilities(
    model: Path, field: np.ndarray, tmp_path: Path
) -> None:
    to_picture(field, channel("hmi-magnetogram")).save(tmp_path / "region.png")
    fits = write_fits(tmp_path / "region.fits", field)
    write_fits(tmp_path / "region.fits.gz", field)
    disguised = tmp_path / "region.jpg"
    disguised.write_bytes(fits.read_bytes())
    picture = Image.open(tmp_path / "region.png")
    classify = inference.pipeline(model)
    expected = scores(classify(field))
    assert max(expected) - min(expected) > 0.1
    for source in (
        fits,
        str(fits),
        tmp_path / "region.fits.gz",
        disguised,
        tmp_path / "region.png",
        picture,
        np.array(picture),
    ):
        assert scores(classify(source)) == expected, source
    assert [scores(answers) for answers in classify([str(fits), field])] == [expected, expected]
    assert scores(classify(field[::-1].copy())) != expected


def test_a_fits_file_never_reaches_pillow(
    model: Path, field: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = write_fits(tmp_path / "region.fits", field)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("Pillow was asked to open a file")

    classify = inference.pipeline(model)
    monkeypatch.setattr(Image, "open", refuse)
    assert len(classify(fits)) == 3


def test_the_stock_pipeline_gives_the_probabilities_of_the_scoring_path(model: Path, tmp_path: Path) -> None:
    """In a fresh process that does not import sdovis; sizes other than the network's included."""
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in [(32, 32)] * 3 + [(50, 41), (32, 32, 3)]]
    files = [tmp_path / f"{i}.png" for i in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        file.write_bytes(tiny.png(picture))
    program = (
        "import json, sys; from transformers import pipeline; import torch; torch.set_num_threads(1)\n"
        "classify = pipeline('image-classification', model=sys.argv[1]); assert 'sdovis' not in sys.modules\n"
        "json.dump([classify(file) for file in sys.argv[3:]], open(sys.argv[2], 'w'))"
    )
    subprocess.run([sys.executable, "-c", program, model, tmp_path / "answers.json", *files], check=True, timeout=120)
    stock = np.array([scores(answers) for answers in json.loads((tmp_path / "answers.json").read_text())])
    ours = inference.probabilities(model, [f.read_bytes() for f in files], batch_size=2, progress=False)
    assert ours.shape == (5, 3) and ours.dtype == np.float32
    assert np.abs(ours - stock).max() < 1e-6
    assert np.ptp(stock, axis=0).max() > 0.05


def test_probabilities_do_not_depend_on_the_batch_size_and_no_images_give_no_rows(model: Path) -> None:
    rng = np.random.default_rng(2)
    images = [tiny.png(rng.integers(0, 256, (32, 32), dtype=np.uint8)) for _ in range(7)]
    one, all_at_once = (inference.probabilities(model, images, batch_size=n, progress=False) for n in (1, 7))
    assert np.allclose(one, all_at_once, atol=1e-6) and np.allclose(one.sum(axis=1), 1)
    assert inference.probabilities(model, [], progress=False).shape == (0, 3)


def test_latency_is_one_positive_time_for_each_image(model: Path) -> None:
    images = [tiny.png(np.zeros((32, 32), np.uint8))] * 4
    seconds = inference.latency(model, images, warmup=2)
    assert seconds.shape == (4,) and (seconds > 0).all() and (seconds < 5).all()


def test_web_addresses_and_files_that_are_no_images_are_refused(model: Path, tmp_path: Path) -> None:
    classify = inference.pipeline(model)
    (tmp_path / "notes.png").write_text("not an image")
    with pytest.raises(BadInput, match="web addresses are not opened"):
        classify("https://example.org/region.fits")
    with pytest.raises(UnreadableImage, match="not a FITS"):
        classify(str(tmp_path / "notes.png"))
    with pytest.raises(UnreadableImage, match="there is no such image"):
        classify(tmp_path / "absent.fits")
    with pytest.raises(BadInput, match="mode F would be clipped"):
        classify(Image.fromarray(np.zeros((8, 8), np.float32)))


def test_a_whole_disc_is_refused_by_a_model_of_cutouts(model: Path, tmp_path: Path) -> None:
    disc = write_fits(tmp_path / "disc.fits", np.zeros((200, 200), np.float32))
    with pytest.raises(BadInput, match="spans 200 arcsec, but the model was trained on cutouts of 60"):
        inference.pipeline(model)(disc)


def test_a_model_of_another_channel_version_is_refused() -> None:
    with pytest.raises(BadInput, match="uses version 0 of hmi-magnetogram, but version 1 is installed"):
        View.from_json({"channels": [{"name": "hmi-magnetogram", "version": "0"}]})


def test_a_model_that_names_no_channel_takes_pictures_alone(field: np.ndarray) -> None:
    codes = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(inference.codes(codes, View(())), codes)
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "PNG")
    assert np.array_equal(inference.codes(Image.open(file), View(())), codes)
    with pytest.raises(BadInput, match="does not say which channel it sees"):
        inference.codes(field, View(()))


def test_a_blank_image_gets_no_answer(model: Path, tmp_path: Path) -> None:
    classify = inference.pipeline(model)
    for blank in (np.zeros((60, 60), np.float32), np.full((60, 60), np.nan), np.full((32, 32), 9, np.uint8)):
        with pytest.raises(BadInput, match="the image is blank"):
            classify(blank)


def test_importing_inference_does_not_import_torch() -> None:
    program = "import sys, sdovis.inference; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# --- what is no image, and what is one of something else ------------------------------------------------------------------

WHOLE = View((channel("hmi-magnetogram"),), 32)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values + 1j, lambda values: values.astype(object), lambda values: values.astype(str),
        lambda values: values > 0, lambda values: values[:0], lambda values: values[0], lambda values: values[None],
        lambda values: np.zeros((0, 0), np.uint8), lambda values: np.zeros((9, 9, 4), np.uint8),
        lambda values: np.zeros((9, 9), "M8[s]"), lambda values: np.ma.array(np.ones((9, 9), np.uint8), mask=np.eye(9)),
    ],
)  # fmt: skip
def test_an_array_that_is_no_image_of_numbers_is_refused(field: np.ndarray, change: Any) -> None:
    with pytest.raises(BadInput) as caught:
        inference.codes(change(field), WHOLE)
    assert "an array of" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("unit", ["mT", "G", "kG"])
def test_an_array_with_a_unit_is_refused_by_its_unit(field: np.ndarray, unit: str) -> None:
    from astropy import units

    with pytest.raises(BadInput, match=f"an array with the unit '{unit}' is not taken"):
        inference.codes(field * units.Unit(unit), WHOLE)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_a_mask_hides_is_missing(field: np.ndarray, kind: Any) -> None:
    hidden = np.ma.array(field.astype(kind), mask=np.abs(field) > 1000)
    seen = inference.codes(hidden, WHOLE)
    assert np.array_equal(seen, inference.codes(np.where(np.abs(field) > 1000, np.nan, field), WHOLE))
    assert np.array_equal(inference.codes(np.ma.array(field), WHOLE), inference.codes(field, WHOLE))


@pytest.mark.parametrize("mode", ["CMYK", "HSV", "YCbCr", "1"])
def test_a_pil_image_of_another_mode_is_refused_as_its_file_is(mode: str) -> None:
    grey = Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9))
    with pytest.raises(UnreadableImage, match=f"pixels of mode {mode}"):
        inference.codes(grey.convert("RGB").convert(mode), WHOLE)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_transparent_pil_image_is_refused_and_an_opaque_one_is_not(mode: str) -> None:
    grey = Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9)).convert(mode)
    assert np.array_equal(inference.codes(grey, WHOLE), np.arange(81).reshape(9, 9))
    grey.putalpha(Image.fromarray(np.eye(9, dtype=np.uint8) * 255))
    with pytest.raises(UnreadableImage, match="transparent"):
        inference.codes(grey, WHOLE)


def test_a_pil_image_that_was_opened_is_judged_by_its_files_name_and_exif(tmp_path: Path) -> None:
    grey = Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9))
    for name in ("gong_20110215.png", "AIA_193.png", "a.continuum.tif"):
        grey.save(tmp_path / name)
        with pytest.raises(BadInput, match="the file's name says"):
            inference.codes(Image.open(tmp_path / name), WHOLE)
    turned = Image.Exif()
    turned[0x0112] = 3
    grey.save(tmp_path / "a.png", exif=turned)
    with pytest.raises(UnreadableImage, match="rotation"):
        inference.codes(Image.open(tmp_path / "a.png"), WHOLE)


@pytest.mark.parametrize(
    "values", [np.full((9, 9), 300.0), np.eye(9) - 1, np.eye(9) * 5000], ids=["above", "below", "DN"]
)
@pytest.mark.parametrize("name", ["aia-171-browse", "hmi-continuum-browse"])
def test_an_array_of_other_numbers_is_no_browse_picture(name: str, values: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"cannot be of channel|blank"):
        inference.codes(values, View((channel(name),), 32))


# --- whole discs, maps and headers of larger images -----------------------------------------------------------------------


def _disc(side: int = 128, radius: float = 50.0) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    values = np.random.default_rng(0).normal(500, 5, (side, side))
    return np.where(np.hypot(x, y) < radius, values, 0).astype(np.float32)


def _euv(path: Path, values: np.ndarray, **cards: Any) -> Path:
    from astropy.io import fits

    middle = (values.shape[0] + 1) / 2
    header = {
        "BUNIT": "DN/s", "INSTRUME": "AIA_2", "TELESCOP": "SDO/AIA", "WAVELNTH": 193,
        "T_OBS": "2014-01-01T00:00:00Z", "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec",
        "CDELT1": 19.5, "CDELT2": 19.5, "CRPIX1": middle, "CRPIX2": middle, "CROTA2": 0.0,
        "RSUN_OBS": 975.0, "CRLT_OBS": -3.0,
    }  # fmt: skip
    fits.PrimaryHDU(values, fits.Header({k: v for k, v in (header | cards).items() if v is not None})).writeto(path)
    return path


CUTOUTS = View((channel("aia-193"),), 32, cutout_arcsec=300.0)


@pytest.mark.parametrize(
    "cards",
    [{"CTYPE1": "SOLAR-X", "CTYPE2": "SOLAR-Y"}, {"CTYPE1": None, "CTYPE2": None}, {"HGLN_OBS": 40.0}],
    ids=["the system of SolarSoft", "no system", "seen from elsewhere"],
)
def test_a_whole_disc_that_cannot_be_placed_is_no_cutout(tmp_path: Path, cards: dict[str, Any]) -> None:
    file = _euv(tmp_path / "a.fits", _disc(), **cards)
    with pytest.raises(BadInput, match="shows a whole disc, but the model was trained on cutouts of 300 arcsec"):
        inference.codes(file, CUTOUTS)


def test_a_png_of_a_whole_disc_is_no_cutout_and_one_of_a_cutout_is(tmp_path: Path) -> None:
    Image.fromarray((_disc() / 4).astype(np.uint8)).save(tmp_path / "disc.png")
    with pytest.raises(BadInput, match="shows a whole disc"):
        inference.codes(tmp_path / "disc.png", CUTOUTS)
    spots = np.random.default_rng(0).normal(160, 3, (128, 128))
    y, x = np.mgrid[:128, :128]
    spots[np.hypot(x - 60, y - 70) < 12] = 40  # a round spot
    Image.fromarray(spots.astype(np.uint8)).save(tmp_path / "cutout.png")
    assert inference.codes(tmp_path / "cutout.png", CUTOUTS).shape == (128, 128)


@pytest.mark.parametrize(
    "cards",
    [{"CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR"}, {"CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CRLN_OBS": None}],
)
@pytest.mark.parametrize("cut", [{"cutout_deg": 15.0}, {"cutout_arcsec": 300.0}])
def test_a_map_whose_grid_is_not_known_is_no_cutout(
    tmp_path: Path, cards: dict[str, Any], cut: dict[str, float]
) -> None:
    values = np.random.default_rng(0).normal(500, 5, (40, 40)).astype(np.float32)
    file = _euv(tmp_path / "a.fits", values, CUNIT1="deg", CUNIT2="deg", CDELT1=0.1, CDELT2=0.1, **cards)
    with pytest.raises(BadInput, match="a heliographic map whose grid is not known"):
        inference.codes(file, View((channel("aia-193"),), 32, **cut))


@pytest.mark.parametrize(
    "cards",
    [
        {"CDELT1": 19.5 / 4, "CDELT2": 19.5 / 4, "CRPIX1": 256.5, "CRPIX2": 256.5}, {"CDELT1": 19.5 / 2, "CDELT2": 19.5 / 2},
        {"CDELT1": 19.5 / 4, "CDELT2": 19.5 / 4, "CRPIX1": 256.5, "CRPIX2": 256.5, "CROTA2": 180.0},
        {"CDELT1": 19.5 / 2, "CDELT2": 19.5 / 2, "CRPIX1": 128.5, "CRPIX2": 128.5},
    ],
)  # fmt: skip
def test_the_header_of_the_image_before_it_was_shrunk_is_refused(tmp_path: Path, cards: dict[str, Any]) -> None:
    file = _euv(tmp_path / "a.fits", _disc(), **cards)
    with pytest.raises(BadInput, match=r"the disc's radius is 50 px, not \d+ px"):
        inference.gathered([file], CUTOUTS, Position(latitude_deg=5.0, longitude_deg=5.0))
