"""Whole discs: every region that a list names, in whatever form the list is, rotated to the image's time, and drawn."""

from __future__ import annotations

import gzip
import json
import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.images.images import read_image
from sdovis.inference import region_lists, wall
from sdovis.inference.inputs import Asked
from sdovis.inference.looking import DiscShown, Shown, Sought, Spot, look
from sdovis.learning import backbones
from sdovis.learning.description import view_of
from sdovis.sun.archives import read_archive
from sdovis.sun.rotation import rotated

VALID = datetime(2011, 2, 15, tzinfo=UTC)
LATER = VALID + timedelta(hours=6)
WANTED = {11158: (-21.0, 14.0), 11159: (3.0, -24.0)}


def placed(places: dict) -> dict:
    """``places`` at `LATER`."""
    return {
        n: (lat, pytest.approx(float(rotated(lat, lon, VALID, LATER)), abs=0.01)) for n, (lat, lon) in places.items()
    }


def swpc(day="2011-02-14", **more):
    entries = [{"observed_date": day, "region": 1158, "location": "S21W14", "latitude": -21, "longitude": -14},
               {"observed_date": day, "region": 1159, "location": "N03E24", "latitude": 3, "longitude": 24}]  # fmt: skip
    entries[0] |= more
    return json.dumps(entries)


LISTS = {
    "solar_regions.json": swpc(),
    "workbook.csv": "Observed (UTC),NOAA AR,Latitude (deg),Longitude (deg)\n"
    "2011-02-15 00:00,11158,-21,14\n2011-02-15 00:00,11159,3,-24\n2011-02-15 00:00,,3,-50\n2011-01-01 00:00,11111,0,0\n",
    "places.tsv": "date\tregion\tlocation\n2011-02-15T00:00:00Z\tAR 1158\tS21W14\n2011-02-15T00:00:00Z\tNOAA 11159\tN03E24\n",
    "sharp.csv": "T_REC,HARPNUM,NOAA_ARS,LAT_FWT,LON_FWT\n"
    "2011.02.15_00:00:34_TAI,377,11158,-21.0,14.0\n2011.02.15_00:00:34_TAI,380,11159,3.0,-24.0\n"
    "2011.02.15_00:00:34_TAI,381,MISSING,3.0,-44.0\n",
    "daily.csv": "valid,section,noaa_ar,lat,lon\n2011-02-15,I,11158,-21,14\n2011-02-15,IA,11159,3,-24\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_any_kind_gives_the_same_regions_rotated_to_the_images_time(name, tmp_path):
    (tmp_path / name).write_text(LISTS[name])
    assert region_lists.read(tmp_path / name).at(LATER) == placed(WANTED)


def test_a_packed_table_is_read_as_it_is(tmp_path):
    (tmp_path / "daily.csv.gz").write_bytes(gzip.compress(LISTS["daily.csv"].encode()))
    assert region_lists.read(tmp_path / "daily.csv.gz").at(LATER) == placed(WANTED)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("harps.txt", "HARPNUM NOAA_ARS\n377 11158\n", "no column of the time and the position"),
        ("c.csv", "Observed,NOAA AR,Carrington Longitude,Latitude\n2011-02-15,11158,36,-21\n", "no column of the position"),
        ("l.csv", "Observed (JST),NOAA AR,Latitude,Longitude\n2011-02-15,11158,-21,14\n", "which is not UTC"),
        ("e.csv", "Observed,NOAA AR,Latitude,Longitude (east)\n2011-02-15,11158,-21,14\n", "west is positive here"),
        ("two.csv", "Observed,NOAA AR,Latitude,Longitude\n2011-02-15,11158,-21,14\n2011-02-15,11158,-21,24\n",
         "region 11158 is at"),
        ("r.json", swpc(location="S21"), "'S21' is not written like N12W34"),
        ("n.json", '{"regions": []}', "is not a list of regions"),
        ("t.json", "[{", "is not JSON"),
        ("none.csv", "Observed,NOAA AR,Latitude,Longitude\n2011-02-15,,-21,14\n", "lists no region"),
        ("big.json", swpc(day="soon"), "is no day such as"),
    ],
)  # fmt: skip
def test_what_a_list_does_not_say_is_refused_with_its_line(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput) as error:
        region_lists.read(tmp_path / name).at(VALID)
    assert said in str(error.value)


def test_a_list_of_another_day_is_refused(tmp_path):
    (tmp_path / "r.json").write_text(swpc())
    with pytest.raises(BadInput, match=r"no region summary lies within 24 hours of 2011-02-18"):
        region_lists.read(tmp_path / "r.json").at(VALID + timedelta(days=3))


def test_every_region_of_a_disc_has_a_row_with_the_probabilities_of_asking_for_it_alone(
    disc_model, disc, summary, tmp_path, capfd
):
    out = tmp_path / "p.parquet"
    arguments = ["--regions", summary, "--out", out, "--draw", tmp_path / "wall"]
    assert run_command(["predict", str(disc_model), str(disc), *map(str, arguments)]) == 0
    table = pd.read_parquet(out).set_index("region")
    places = read_archive(summary).at(read_image(disc).observed)
    assert set(table.index) == set(places) == {11158, 11159, 11160}
    for region, (latitude, longitude) in places.items():
        capfd.readouterr()
        assert run_command(["predict", str(disc_model), str(disc), f"--at={latitude!r},{longitude!r}"]) == 0
        for entry in capfd.readouterr().out.rstrip("\n").split("\t")[1:]:
            name, score = entry.split(" ")
            assert table.loc[region, f"prob_{name}"] == pytest.approx(float(score), abs=1e-4)
        assert table.loc[region, ["latitude_deg", "longitude_deg"]].tolist() == [latitude, longitude]
    assert [path.name for path in (tmp_path / "wall").iterdir()] == ["disc.fits.png"]
    assert (tmp_path / "wall" / "disc.fits.png").stat().st_size > 20_000


def test_what_a_worker_is_given_and_gives_holds_nothing_of_astropy(disc_model, disc, summary):
    """A Quantity that crosses a Dask worker arrives without its unit."""
    view = view_of(backbones.load_config(disc_model)).to_json()
    sought = Sought(json.dumps(view), (32, 32), 2, listed=region_lists.read(summary), drawn=True)
    asked = Asked("disc", (str(disc),))
    shown = look(sought, asked)
    assert isinstance(shown, Shown) and len(shown.codes) == 3 and shown.disc is not None
    for crossing in (sought, asked, shown):
        assert b"astropy" not in pickle.dumps(crossing)


def test_lines_name_the_region(disc_model, disc, summary, capfd):
    assert run_command(["predict", str(disc_model), str(disc), "--regions", str(summary)]) == 0
    lines = [line.split("\t") for line in capfd.readouterr().out.splitlines()]
    assert [len(line) for line in lines] == [5, 5, 5]
    assert {line[1].split()[1] for line in lines} == {"11158", "11159", "11160"}


def test_a_region_behind_the_limb_has_its_row_and_no_answer(disc_model, disc, tmp_path):
    valid = read_image(disc).observed
    rows = [(11158, 9, 18), (11140, 10, 89.9), (11139, 4, 101)]
    listed = tmp_path / "list.csv"
    lines = [f"{valid - timedelta(hours=12):%Y-%m-%d %H:%M},{number},{lat},{lon}" for number, lat, lon in rows]
    listed.write_text("\n".join(["Observed,NOAA AR,Latitude,Longitude", *lines]))
    out = tmp_path / "p.parquet"
    assert run_command(["predict", str(disc_model), str(disc), "--regions", str(listed), "--out", str(out)]) == 0
    table = pd.read_parquet(out).set_index("region")
    assert table.loc[[11140, 11139], "class"].isna().all()
    assert table.loc[[11140, 11139], "notes"].str.contains("behind the limb").all()
    assert table.loc[11158, "class"]


def test_a_cutout_among_discs_is_bad_and_the_discs_are_finished(disc_model, disc, summary, tmp_path, capfd):
    import shutil

    from PIL import Image

    shutil.copy(disc, tmp_path / "a.fits")
    Image.fromarray(np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)).save(tmp_path / "b.png")
    out = tmp_path / "t" / "p.csv"
    out.parent.mkdir()
    assert run_command(["predict", str(disc_model), str(tmp_path), "--regions", str(summary), "--out", str(out)]) == 2
    assert "leave out --regions" in capfd.readouterr().err
    assert len(pd.read_csv(out)) == 4


def test_labels_lie_over_no_other_label_and_stay_in_the_picture():
    sun = DiscShown(np.zeros((10, 10), np.uint8), "gray", 1.0, (500.0, 500.0), 450.0)
    rng = np.random.default_rng(0)
    spots = [(500 + x, 500 + y, 90.0) for x, y in rng.uniform(-300, 300, (14, 2))]
    labels = wall.placed_labels(spots, sun)
    low, high = 500 - wall.ROOM * 450, 500 + wall.ROOM * 450
    for number, (left, top, right, bottom) in enumerate(labels):
        assert low <= left < right <= high and low <= top < bottom <= high
        assert all(left >= x2 or x1 >= right or top >= y2 or y1 >= bottom for x1, y1, x2, y2 in labels[:number])


@pytest.mark.parametrize(
    ("spot", "said"),
    [(Spot(11158, "", -21.0, 14.0), "AR 11158 S21W14"), (Spot(None, "", 3.2, -24.0), "N03E24"), (Spot(), "no numbered region")],
)  # fmt: skip
def test_a_region_is_named_as_noaa_names_it(spot, said):
    assert wall.named(spot) == said
