"""A study whose disc is said to be elsewhere is told where the limb of its images is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sdovis import study as studies
from sdovis.corpus import build
from sdovis.corpus.catalog import catalog
from sdovis.errors import BadInput
from studies import STUDY

#: Where the discs are, pixels, and the scale of the images.
CENTRE, SCALE = (124.0, 131.5), 9.6


def _study(folder: Path, **said: object) -> studies.Study:
    (folder / "data" / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["Image,Observed (UTC),NOAA AR,Mount Wilson,Latitude (deg),Longitude (deg)"]
    for day in range(1, 7):
        name = f"201102{day:02}_013000_256_HMIIF.jpg"
        y, x = np.mgrid[:256, :256]
        away = np.hypot(x - CENTRE[0], y - CENTRE[1]) * SCALE / 974
        grey = np.where(away < 1, 60 + 160 * np.sqrt(np.clip(1 - away**2, 0, 1)), 0) + rng.normal(0, 3, (256, 256))
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(folder / "data" / "images" / name, quality=95)
        lines.append(f"{name},2011-02-{day:02} 01:30:00,{11140 + day},Beta,10,{day * 5}")
    (folder / "data" / "book.csv").write_text("\n".join(lines))
    (folder / "study.toml").write_text(STUDY.replace("SDO_Simulated_Active_Regions.xlsx", "book.csv"))
    sets = {"images.channel": "hmi-continuum-browse", "images.cutout_arcsec": 400.0, "images.center_px": [127.5, 127.5]}
    sets |= {"images.arcsec_per_px": SCALE, "images.native_px": [256, 256]}
    return studies.load(folder / "study.toml", [f"{key}={value}" for key, value in (sets | said).items()])


@pytest.mark.parametrize(
    "said",
    [
        {"images.center_px": [160.0, 100.0]},
        {"images.center_px": [90.0, 140.0]},
        {"images.arcsec_per_px": 12.0},
        {"images.arcsec_per_px": 4.8},
        {"images.arcsec_per_px": 4.0, "images.cutout_arcsec": 200.0},
    ],
    ids=str,
)
def test_an_off_pointed_study_is_told_where_the_limb_is(tmp_path: Path, said: dict[str, object]) -> None:
    with pytest.raises(BadInput) as caught:
        build.check(_study(tmp_path, **said), progress=False)
    (problem,) = caught.value.problems
    assert "off-pointed" in problem.what
    x, y, scale = (float(n) for n in re.findall(r"\d+\.\d+", problem.hint))
    assert (x, y) == pytest.approx(CENTRE, abs=0.5)
    assert scale == pytest.approx(SCALE, rel=0.01)
    assert "the limb of 6 of them says images.center_px = [" in problem.hint


def test_what_is_proposed_is_what_the_study_then_takes(tmp_path: Path) -> None:
    study = _study(tmp_path, **{"images.center_px": list(CENTRE)})
    found = catalog(study, build.read_rows(study), progress=False)
    assert len(found.rows) == 6 and not len(found.rejects)
