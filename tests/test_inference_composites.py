"""Models of three channels: every way to give the three images gets the same probabilities."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "learning"))

import tiny
from sdovis import inference
from sdovis.channels.channel import channels
from sdovis.channels.view import View
from sdovis.errors import BadInput
from sdovis.images.images import SolarImage, read_image
from sdovis.learning import backbones
from sdovis.sun.geometry import DiscFrame, MapGrid

NAMES = ("hmi-br", "hmi-magnetogram", "hmi-continuum")
SEGMENTS = ("Br", "magnetogram", "continuum")
KINDS = channels(NAMES)
VIEW = View(KINDS, 32, cutout_deg=1.8)
ABOUT = {"format": 2, "view": VIEW.to_json()}
SIDE = 60  # 1.8 degrees at SHARP's 0.03 a pixel


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with weights far from zero, saved as training saves it."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("composites") / "model"
    network, processor = backbones.build(tiny.study(), tiny.CLASSES, ABOUT)
    with torch.no_grad():
        network.classifier.weight.mul_(30)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def region() -> np.ndarray:
    """(60, 60, 3): a bipole in Br, its line-of-sight field, its spots; a corner is missing in Br alone."""
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(0, s, (SIDE, SIDE)) for s in (60, 10, 0.01)], axis=-1).astype(np.float32)
    values[10:25, 8:20, :2], values[35:50, 30:50, :2] = (2000, 1500), (-2000, -1500)
    values[..., 2] += 1
    values[10:25, 8:20, 2] = values[35:50, 30:50, 2] = 0.4
    values[:4, :4, 0] = np.nan
    values[..., 2] /= np.median(values[..., 2])
    return values


def write_map(path: Path, values: np.ndarray, unit: str, **cards: Any) -> Path:
    """A map as SHARP's CEA segments are, at the disc's centre."""
    from astropy.io import fits

    header = fits.Header({
        "BUNIT": unit, "INSTRUME": "HMI_SIDE1", "TELESCOP": "SDO/HMI", "CONTENT": "HMI observable",
        "T_REC": "2011.02.15_02:00:00_TAI", "CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "degree",
        "CUNIT2": "degree", "CDELT1": 0.03, "CDELT2": 0.03, "CRPIX1": (values.shape[1] + 1) / 2,
        "CRPIX2": (values.shape[0] + 1) / 2, "CRVAL1": 30.0, "CRVAL2": -20.0, "CRLN_OBS": 22.0, "CRLT_OBS": -6.8,
    } | cards)  # fmt: skip
    fits.writeto(path, values[::-1], header)  # FITS stores the south first
    return path


@pytest.fixture(scope="module")
def files(region: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("maps")
    units, scales = ("Mx/cm^2", "Gauss", "DN/s"), (1, 1, 2**15)
    return [
        write_map(
            folder / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits", region[..., i] * scales[i], units[i]
        )
        for i, name in enumerate(SEGMENTS)
    ]


def scores(answers: list[dict[str, Any]]) -> list[float]:
    return [next(a["score"] for a in answers if a["label"] == name) for name in tiny.CLASSES]


def test_array_files_mapping_and_saved_picture_get_equal_probabilities(
    model: Path, region: np.ndarray, files: list[Path], tmp_path: Path
) -> None:
    Image.fromarray(inference.codes(region, VIEW)).save(tmp_path / "saved.png")
    picture = Image.open(tmp_path / "saved.png")
    assert picture.mode == "RGB"
    classify = inference.pipeline(model)
    expected = scores(classify(region))
    assert max(expected) - min(expected) > 0.05
    for source in (
        tuple(files),
        tuple(map(str, files)),
        tuple(region[..., colour] for colour in range(3)),
        dict(zip(NAMES[::-1], files[::-1], strict=True)),
        tuple(read_image(file) for file in files),
        inference.gathered(files[::-1], VIEW),
        (files[0], region[..., 1], kind_picture(region, 2)),
        str(tmp_path / "saved.png"),
        inference.gathered([tmp_path / "saved.png"], VIEW),
        picture,
        np.array(picture),
    ):
        assert scores(classify(source)) == expected, source
    assert [scores(answers) for answers in classify([tuple(files), region])] == [expected, expected]
    for colour in range(3):  # each channel counts
        other = region.copy()
        other[..., colour] = other[::-1, :, colour]
        assert scores(classify(other)) != expected


def kind_picture(region: np.ndarray, colour: int) -> Image.Image:
    return Image.fromarray(KINDS[colour].encode(region[..., colour]))


def test_the_scoring_path_sees_the_saved_picture_as_the_pipeline_does(model: Path, region: np.ndarray) -> None:
    small = region[:32, :32]
    ours = inference.probabilities(model, [tiny.png(inference.codes(small, VIEW))], progress=False)[0]
    assert ours == pytest.approx(scores(inference.pipeline(model)(small)), abs=1e-6)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ([0], "one image, but the model takes hmi-br, hmi-magnetogram, hmi-continuum; give one image for each"),
        ([0, 1], "2 sources are given, but the model sees"),
        ([1, 0, 2], "not an image for channel hmi-br: the file's name says 'magnetogram'"),
    ],
)
def test_files_that_are_not_one_for_each_channel_in_order_are_refused(
    files: list[Path], chosen: list[int], said: str
) -> None:
    given = tuple(files[i] for i in chosen)
    with pytest.raises(BadInput, match=said):
        inference.codes(given[0] if len(given) == 1 else given, VIEW)


def test_a_mapping_must_name_the_channels(files: list[Path]) -> None:
    with pytest.raises(
        BadInput, match="sources are given for hmi-br, hmi-bt, hmi-continuum, but the model sees hmi-br, hmi-mag"
    ):
        inference.codes(dict(zip(("hmi-br", "hmi-bt", "hmi-continuum"), files, strict=True)), VIEW)


def test_a_jpeg_in_colour_is_no_composite(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.jpg")
    with pytest.raises(BadInput, match=r"a\.jpg: only one image, but the model takes"):
        inference.codes(tmp_path / "a.jpg", VIEW)
    Image.fromarray(codes[..., 0]).save(tmp_path / "grey.png")
    with pytest.raises(BadInput, match=r"grey\.png: only one image, but the model takes"):
        inference.codes(tmp_path / "grey.png", VIEW)


def test_images_of_other_sizes_or_times_are_refused(files: list[Path], region: np.ndarray) -> None:
    with pytest.raises(BadInput, match="differ in size"):
        inference.codes((region[..., 0], region[..., 1], region[:50, :50, 2]), VIEW)
    images = [read_image(file) for file in files]
    assert images[0].observed == datetime(2011, 2, 15, 1, 59, 26, tzinfo=UTC)
    later = replace(images[2], observed=images[2].observed + timedelta(hours=1))
    with pytest.raises(BadInput, match="were taken at 2011-02-15 01:59:26 and 2011-02-15 02:59:26 UTC"):
        inference.codes((images[0], images[1], later), VIEW)


def flat(frame: DiscFrame | None = None, grid: MapGrid | None = None) -> SolarImage:
    values = np.linspace(-900, 900, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    return SolarImage(values, "G", frame, grid=grid, path=Path("a.fits"))


def test_what_spans_something_else_than_the_cutouts_is_refused() -> None:
    one = View(KINDS[:1])
    disc, near = DiscFrame((30, 30), 30.0, 960, 0), DiscFrame((30, 30), 1.0, 960, 0)
    fits, wide = MapGrid((30, 30), 10, 20, 0.03), MapGrid((30, 30), 10, 20, 0.3)
    for span, image, said in (
        (
            {"cutout_deg": 1.8},
            flat(disc),
            "an image of the disc, not deprojected, but .* heliographic maps of 1.8 degrees",
        ),
        ({"cutout_deg": 1.8}, flat(near), "not deprojected, .* 1.8 degrees"),
        ({"cutout_deg": 1.8}, flat(grid=wide), "spans 18.0 degrees, but the model was trained on .* 1.8 degrees"),
        (
            {"cutout_arcsec": 60.0},
            flat(grid=fits),
            "a heliographic map, but the model was trained on cutouts of 60 arcsec",
        ),
        ({"cutout_arcsec": 60.0}, flat(disc), "spans 1800 arcsec, .* 60 arcsec"),
    ):
        with pytest.raises(BadInput, match=f"a.fits: .*{said}; cut the region out first"):
            inference.codes(image, replace(one, **span))
    assert inference.codes(flat(grid=fits), replace(one, cutout_deg=1.8)).shape == (SIDE, SIDE)
    assert inference.codes(flat(near), replace(one, cutout_arcsec=60.0)).shape == (SIDE, SIDE)
