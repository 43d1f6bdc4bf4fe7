"""The real browse magnetograms against their workbook: places, polarity, the Sun's turning, repeated frames.

Everything is counted by active region, the independent unit: a region is seen in up to 53 frames.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sdovis.channels.browse import HMI_MAGNETOGRAM_BROWSE
from sdovis.channels.view import View
from sdovis.corpus import build
from sdovis.corpus.catalog import catalog
from sdovis.images.images import read_image
from sdovis.study import Study
from sdovis.sun.geometry import DiscFrame, cutout, project

CENTER, SCALE = (255.5, 255.5), 4.8
BOX = 8  # half a box around a position, pixels: 82 arcsec across
STRONG = 40  # grey levels from 0 G, well above the network
APART = 25  # pixels: nearer positions share their boxes
MIRRORS = {"east-west": (1, -1), "north-south": (-1, 1), "both": (-1, -1)}


@dataclass(frozen=True)
class Frame:
    """One magnetogram: grey levels from 0 G, nan off the disc, and where the disc is."""

    values: np.ndarray
    disc: DiscFrame

    def box(self, latitude: float, longitude: float) -> np.ndarray:
        """|B| around a heliographic position."""
        x, y, _ = project(latitude, longitude, self.disc)
        i, j = round(float(y)), round(float(x))
        return np.abs(self.values[i - BOX : i + BOX + 1, j - BOX : j + BOX + 1])


def _time(name: str) -> datetime:
    return datetime.strptime(name, "HMI.m%Y.%m.%d_%H.%M.%S.jpg").replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> dict[str, Frame]:
    """Every frame by its name, in the order of time."""
    found = {}
    view = View((HMI_MAGNETOGRAM_BROWSE,), center_px=CENTER, arcsec_per_px=SCALE)
    for path in sorted((shared_data / "hmi_mag").glob("*.jpg")):
        image = view.placed(read_image(path, observed=_time(path.name)), of_study=True).image
        assert image.frame is not None
        found[path.name] = Frame(HMI_MAGNETOGRAM_BROWSE.values(image), image.frame)
    return found


@pytest.fixture(scope="module")
def regions(shared_data: Path) -> pd.DataFrame:
    """The workbook's rows within 60 degrees of the central meridian."""
    rows = pd.read_excel(shared_data / "HMI_Magnetograms_2026.xlsx").rename(
        columns={"NOAA AR": "region", "Mount Wilson": "class", "Latitude (deg)": "lat", "Longitude (deg)": "lon"}
    )
    return rows[rows["lon"].abs() < 60].reset_index(drop=True)


def test_heliographic_positions_fall_on_the_workbooks_pixels(frames, regions) -> None:
    off = [
        np.hypot(*np.subtract(project(row.lat, row.lon, frames[row.Image].disc)[:2], (row[-2], row[-1])))
        for row in regions.itertuples()
    ]
    assert len(off) == 652
    assert np.median(off) < 0.5 and max(off) < 0.6


@pytest.mark.parametrize("mirror", MIRRORS)
def test_strong_field_lies_at_the_regions_and_not_at_the_mirrored_positions(frames, regions, mirror: str) -> None:
    north, west = MIRRORS[mirror]
    compared = []
    for name, rows in regions.groupby("Image"):
        frame = frames[str(name)]
        places = np.array(
            [project(lat, lon, frame.disc)[:2] for lat, lon in zip(rows["lat"], rows["lon"], strict=True)]
        )
        for region, lat, lon in zip(rows["region"], rows["lat"], rows["lon"], strict=True):
            there = project(north * lat, west * lon, frame.disc)[:2]
            if np.hypot(*(places - there).T).min() < APART:
                continue  # the region itself, or another one, happens to lie there
            here, mirrored = frame.box(lat, lon), frame.box(north * lat, west * lon)
            compared.append(
                (region, np.nanmean(here > STRONG), np.nanmean(mirrored > STRONG), here.mean(), np.nanmean(mirrored))
            )
    table = pd.DataFrame(compared, columns=["region", "here", "there", "mean_here", "mean_there"])
    by_region = table.groupby("region").mean()
    assert len(by_region) >= 29 and len(table) > 450
    assert (by_region["here"] > by_region["there"]).all(), "each of the regions, over its frames"
    assert (by_region["mean_here"] > by_region["mean_there"]).all()
    assert (table["mean_here"] > table["mean_there"]).mean() > 0.97, "and nearly each single image of one"
    # Strong pixels: about a fifth of the box at a region, and hardly any where there is none.
    assert by_region["here"].median() > 0.15 and by_region["there"].median() < 0.03


def _dipole_arcsec(frame: Frame, latitude: float, longitude: float) -> float:
    """Mean place of the strong field, each pixel weighted by its sign and strength: arcsec to the west.

    Positive where the positive polarity lies in the west, which is the side that leads.
    """
    side, size = 200.0, 42
    x, y, _ = project(latitude, longitude, frame.disc)
    field = cutout(frame.values, float(x), float(y), side, SCALE, size)
    field = np.where(np.abs(field) > STRONG, field, 0)
    west = (np.arange(size) - (size - 1) / 2) * side / size
    return float((field * west).sum() / np.abs(field).sum())


def test_the_leading_polarity_obeys_hales_law_for_cycle_25(frames, regions) -> None:
    """In cycle 25 the leading polarity is positive in the north and negative in the south.

    Source: SDO's blog of 2 April 2020, "Hale's Polarity Law in Solar Cycle 25": AR 12759 at 28 degrees north, one of
    the first of cycle 25, leads with the outward field, the opposite of the northern regions of April 2011. The
    outward field is positive, and white.
    """
    bipolar = regions[(regions["class"] != "Alpha") & (regions["lon"].abs() < 45)]
    moment = [_dipole_arcsec(frames[row.Image], row.lat, row.lon) for row in bipolar.itertuples()]
    by_region = bipolar.assign(moment=moment).groupby("region")[["moment", "lat"]].mean()
    north, south = (by_region.loc[side, "moment"].to_numpy() for side in (by_region["lat"] > 0, by_region["lat"] < 0))
    assert (len(north), len(south)) == (16, 9)
    rng = np.random.default_rng(0)
    low_north = np.quantile(rng.choice(north, (4000, len(north))).mean(axis=1), 0.025)
    high_south = np.quantile(rng.choice(south, (4000, len(south))).mean(axis=1), 0.975)
    assert north.mean() == pytest.approx(24, abs=3) and low_north > 10
    assert south.mean() == pytest.approx(-20, abs=3) and high_south < -8
    assert (north > 0).mean() > 0.8 and (south < 0).all()


def _drift_px(earlier: np.ndarray, later: np.ndarray) -> int:
    """How far the middle of the disc has moved to the right, pixels, by the best correlation."""
    strip = np.nan_to_num(earlier[200:312, 156:356])
    moved = {s: np.nan_to_num(later[200:312, 156 + s : 356 + s]) for s in range(-25, 26)}
    return max(moved, key=lambda s: float(np.corrcoef(strip.ravel(), moved[s].ravel())[0, 1]))


def test_the_sun_turns_to_the_right_at_its_own_rate_so_that_no_frame_repeats_the_one_before(frames) -> None:
    """North is up and west right: the middle of the disc moves by 13.2 degrees a day (Carrington: 360 in 27.2753 days)."""
    names = list(frames)
    drifts = []
    for earlier, later in pairwise(names):
        if _time(later) - _time(earlier) == timedelta(hours=6):
            drifts.append(_drift_px(frames[earlier].values, frames[later].values))
    expected = np.radians(13.2 / 4) * frames[names[0]].disc.radius_px
    assert len(drifts) == 153
    assert np.median(drifts) == pytest.approx(expected, abs=1)
    assert min(drifts) >= expected - 2.5 and max(drifts) <= expected + 2.5


def test_a_repeated_frame_is_found_by_its_file_and_by_its_pixels(shared_data: Path, tmp_path: Path) -> None:
    """A frame that was archived twice: once byte for byte, once with another comment in the JPEG."""
    book = pd.read_excel(shared_data / "HMI_Magnetograms_2026.xlsx")
    first, second = sorted(book["Image"].unique())[40:42]
    source = shared_data / "hmi_mag"
    for name in (first, second):
        shutil.copyfile(source / name, tmp_path / name)
    same_file, same_pixels = (f"HMI.m2026.02.11_1{n}.00.00.jpg" for n in (3, 9))
    shutil.copyfile(source / second, tmp_path / same_file)
    data = (source / second).read_bytes()
    comment = b"archived twice"
    (tmp_path / same_pixels).write_bytes(
        data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
    )
    rows = book[book["Image"].isin([first, second]) & (book["Longitude (deg)"].abs() < 60)]
    again = [
        rows[rows["Image"] == second].assign(**{"Image": name, "Observed (UTC)": _time(name).replace(tzinfo=None)})
        for name in (same_file, same_pixels)
    ]
    pd.concat([rows, *again]).to_excel(tmp_path / "book.xlsx", index=False)
    columns = {
        "image": "Image", "observed": "Observed (UTC)", "noaa_ar": "NOAA AR", "label": "Mount Wilson",
        "x_px": "X (px)", "y_px": "Y (px)",
    }  # fmt: skip
    study = Study.model_validate(
        {
            "study": {"name": "repeated"},
            "source": {"root": str(tmp_path), "workbook": "book.xlsx", "columns": columns},
            "images": {
                "channel": "hmi-magnetogram-browse", "size_px": 64, "cutout_arcsec": 200.0, "center_px": CENTER,
                "arcsec_per_px": SCALE,
            },
            "labels": {"scheme": "mount-wilson"},
            "backbone": {"id": "any"},
        }
    )  # fmt: skip
    found = catalog(study, build.read_rows(study), progress=False)
    n = len(again[0])
    assert n >= 3
    reasons = found.rejects[found.rejects["image"] == same_file]["reason"]
    assert len(reasons) == n and set(reasons) == {f"the image is the same file as {second}"}
    kept = {name: found.rows[found.rows["image_file"] == name].set_index("noaa_ar") for name in (second, same_pixels)}
    for key in ("pixels_sha256", "perceptual_hash"):
        assert kept[second][key].to_dict() == kept[same_pixels][key].to_dict()
    assert not set(found.rows[found.rows["image_file"] == first]["pixels_sha256"]) & {*kept[second]["pixels_sha256"]}
