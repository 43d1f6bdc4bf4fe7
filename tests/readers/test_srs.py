"""The reader `srs`: rows from region summaries, where and what a workbook made independently of them says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.corpus.observations import understand
from sdovis.errors import BadInput
from sdovis.labels.schemes import ACTIVITY, MOUNT_WILSON_3
from sdovis.readers import srs
from sdovis.readers.quiet import LIMIT_DEG, quiet_positions
from sdovis.readers.rows import RawRow
from sdovis.study import Study
from sdovis.sun.archives import read_archive
from sdovis.sun.geometry import DiscFrame, project
from sdovis.sun.rotation import rotated
from sun.summaries import ROW, SUMMARY

PLAGE = "1156  S21W49   072"
STUDY = """
format = 2
[study]
name = "no-spreadsheet"
seed = 7
[source]
reader = "srs"
images = "images"
[source.srs]
summaries = "srs"
[images]
channel = "aia-211-browse"
cutout_arcsec = 480.0
center_px = [255.5, 255.5]
arcsec_per_px = 4.8
[labels]
scheme = "activity"
[backbone]
id = "facebook/dinov2-small"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study without a workbook: two summaries and two empty images, which are never opened."""
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "images").mkdir()
    (tmp_path / "srs").mkdir()
    for name in ("20110214_230000_512_0211.jpg", "20110215_120000_512_0211.jpg"):
        (tmp_path / "images" / name).touch()
    text = SUMMARY.format(spotted=ROW, plage=f"{PLAGE}\n1160  S16W89   323", returning="1149 N17    301")
    (tmp_path / "srs" / "20110215SRS.txt").write_text(text)
    later = SUMMARY.format(spotted=ROW.replace("W14", "W27").replace("Beta-Gamma", ""), plage="None", returning="None")
    later = later.replace("15 Feb 2011", "16 Feb 2011").replace("14/2400Z", "15/2400Z")
    (tmp_path / "srs" / "20110216SRS.txt").write_text(later)
    return tmp_path


def load(folder: Path, *overrides: str) -> Study:
    return studies.load(folder / "study.toml", overrides)


def rows_of(folder: Path, *overrides: str) -> list[RawRow]:
    return read(load(folder, *overrides))


def read(study: Study) -> list[RawRow]:
    return srs.read(study.source, study.source.settings)


def test_rows_carry_the_region_its_place_at_the_images_time_and_where_they_stand(folder):
    first, plage, _, *quiet = [row for row in rows_of(folder) if row.text("image").startswith("20110214")]
    assert (first.file, first.sheet, first.row) == ("srs/20110215SRS.txt", "I", 11)
    assert first.text("noaa_ar") == "11158" and first.text("label") == "spotted"
    assert first.text("observed") == "2011-02-14 23:00:00"
    moved = rotated(-21, 14, datetime(2011, 2, 15, tzinfo=UTC), datetime(2011, 2, 14, 23, tzinfo=UTC))
    assert 13.3 < moved < 13.6 and first.text("longitude_deg") == f"{moved:.2f}" and first.text("latitude_deg") == "-21"
    assert first.extra == {
        "Mount Wilson": "Beta-Gamma", "McIntosh": "Ekc", "Area (MSH)": "450", "Spots": "36", "Extent (deg)": "12",
        "Carrington longitude (deg)": "36", "Summary valid (UTC)": "2011-02-15 00:00", "Gap (h)": "1.00",
    }  # fmt: skip
    assert plage.text("label") == "plage" and (plage.sheet, plage.row) == ("IA", 14)
    assert [row.text("label") for row in quiet] == ["quiet", "quiet"]
    assert all(row.text("noaa_ar") == "" for row in quiet)


def test_a_region_that_has_not_come_round_the_limb_or_has_gone_is_left_out(folder):
    numbers = [row.text("noaa_ar") for row in rows_of(folder)]
    assert "11149" not in numbers  # due to return
    assert "11160" in numbers  # beyond W88, seen because the south pole is tilted to the Earth
    (folder / "images" / "20110215_110000_512_0211.jpg").touch()
    (folder / "images" / "20110215_120000_512_0211.jpg").unlink()
    later = [row.text("noaa_ar") for row in rows_of(folder) if row.text("image").startswith("20110215_11")]
    assert "11160" not in later and "11156" in later  # W95


def test_of_two_summaries_as_near_the_one_made_on_the_images_day_is_taken(folder):
    row = next(row for row in rows_of(folder) if row.text("image").startswith("20110215"))
    assert row.file == "srs/20110216SRS.txt" and row.extra["Gap (h)"] == "12.00"


@pytest.mark.parametrize(
    ("scheme", "heading"),
    [
        ("mount-wilson-3", "Mount Wilson"),
        ("mount-wilson", "Mount Wilson"),
        ("mcintosh-z", "McIntosh"),
        ("activity", "Kind"),
    ],
)
def test_the_scheme_says_which_column_is_the_label(folder, scheme, heading):
    study = load(folder, f"labels.scheme={scheme}")
    assert study.source.columns.label == heading
    rows = read(study)
    assert rows[0].headings["label"] == heading
    assert any(row.text("label") == "quiet" for row in rows) == (scheme == "activity")
    assert load(folder, f"labels.scheme={scheme}", "source.columns.label=Spots").source.columns.label == "Spots"


def test_a_resolved_study_is_read_again_as_it_was(folder):
    study = load(folder)
    (folder / "resolved.toml").write_text(study.to_toml(folder))
    again = studies.load(folder / "resolved.toml")
    assert again.model_dump(exclude={"source": {"root"}}) == study.model_dump(exclude={"source": {"root"}})
    assert again.source.settings.quiet_seed == 7


def test_an_unknown_column_is_said_with_the_nearest(folder):
    with pytest.raises(BadInput, match=r"no column 'Mount Wilsn'; did you mean 'Mount Wilson'\?"):
        rows_of(folder, "source.columns.label=Mount Wilsn")


def test_what_the_two_readers_need_is_said_clearly(folder):
    def said(*overrides: str) -> list[str]:
        with pytest.raises(BadInput) as caught:
            load(folder, *overrides)
        return [str(problem).partition("study.toml: ")[2] for problem in caught.value.problems]

    assert said("source.srs={}") == ["source.srs.summaries is missing; add summaries = ... under [source.srs]"]
    not_used = (
        "[source.srs] is for the reader 'srs', which the study does not use; remove it, or set source.reader = \"srs\""
    )
    missing = "source.workbook is missing; add workbook = ... under [source]"
    assert sorted(said("source.reader=spreadsheet")) == [not_used, missing]
    assert said("source.reader=spreadsheet", "source.workbook=book.xlsx") == [not_used]
    assert "go together" in said("source.srs.flares=goes.csv")[0]
    assert said("source.srs.max_gap_hour=6", "source.srs.sharp_max_gap_hours=-1") == [
        "source.srs.sharp_max_gap_hours = -1: input should be greater than 0",
        "source.srs.max_gap_hour is unknown; did you mean 'max_gap_hours'?",
    ]
    assert said("source.srs.files=3") == ["source.srs.files is neither a name nor a list of three names"]


def test_images_without_a_time_or_a_summary_stop_the_study_or_become_rejects(folder):
    (folder / "images" / "sun.jpg").touch()
    (folder / "images" / "20120101_000000.jpg").touch()
    with pytest.raises(BadInput) as caught:
        rows_of(folder)
    problems = [str(problem) for problem in caught.value.problems]
    assert any("sun.jpg: neither the header nor the name says" in problem for problem in problems)
    assert any("20120101_000000.jpg: no region summary lies within 24 hours" in problem for problem in problems)
    study = load(folder, "source.on_problem=reject")
    problems = understand(study, read(study), ACTIVITY).problems
    said = {raw.text("image"): problem.what for raw, problem in problems if problem.column == "NOAA AR"}
    assert "neither the header nor the name says" in said.pop("sun.jpg")
    assert "no region summary lies within 24 hours" in said.pop("20120101_000000.jpg")
    assert not said


def test_a_line_that_cannot_be_read_stops_the_study_or_becomes_a_reject_that_shows_it(folder):
    path = folder / "srs" / "20110215SRS.txt"
    path.write_text(path.read_text().replace("S21W49", "S21Q49"))
    with pytest.raises(BadInput, match=r"srs/20110215SRS.txt, sheet 'IA', row 14: .*'1156  S21Q49"):
        rows_of(folder)
    study = load(folder, "source.on_problem=reject")
    wrong, *_ = understand(study, read(study), ACTIVITY).problems
    assert (wrong[0].file, wrong[0].sheet, wrong[0].row) == ("srs/20110215SRS.txt", "IA", 14)
    assert "1156  S21Q49" in wrong[1].what


def test_a_region_without_a_class_has_an_empty_label(folder):
    study = load(folder, "labels.scheme=mount-wilson-3")
    found = understand(study, read(study), MOUNT_WILSON_3)
    assert [r.raw.text("noaa_ar") for r in found.rejects if r.raw.file.endswith("0216SRS.txt")] == ["11158"]
    assert {row.label for row in found.kept} == {"complex"}


def test_three_channels_are_joined_by_time(folder):
    for name in ("94_20110214_230500.png", "94_20110215_130000.png", "131_20110214_225900.png"):
        (folder / "images" / name).touch()
    channels = 'images.channel=["aia-211-browse", "aia-94-browse", "aia-131-browse"]'
    files = 'source.srs.files=["*_0211.jpg", "94_*", "131_%Y%m%d_%H%M%S.png"]'
    images = {row.images for row in rows_of(folder, channels, files)}
    assert images == {
        ("20110214_230000_512_0211.jpg", "94_20110214_230500.png", "131_20110214_225900.png"),
        ("20110215_120000_512_0211.jpg", "", ""),
    }


def test_the_same_seed_draws_the_same_quiet_positions_whatever_other_images_there_are(folder):
    def quiet(*overrides: str) -> list[Any]:
        rows = rows_of(folder, *overrides)
        return [r.cells for r in rows if r.text("label") == "quiet" and r.text("image").startswith("20110214_23")]

    before = quiet()
    (folder / "images" / "20110214_120000.jpg").touch()
    assert quiet() == before
    assert quiet("study.seed=8") != before
    assert quiet("source.srs.quiet_per_image=0") == [] and len(quiet("source.srs.quiet_per_image=4")) == 4


def _degrees(lat: np.ndarray, lon: np.ndarray, other_lat: float, other_lon: float) -> np.ndarray:
    a, b, c, d = (np.radians(x) for x in (lat, lon, other_lat, other_lon))
    return np.degrees(np.arccos(np.clip(np.sin(a) * np.sin(c) + np.cos(a) * np.cos(c) * np.cos(b - d), -1, 1)))


def test_quiet_positions_keep_their_distance_and_run_out_where_there_is_no_room():
    lat, lon = np.array([20.0, -15, 5]), np.array([-30.0, 10, 60])
    settings: dict[str, Any] = {"b0_deg": 7.0, "seed": 1}
    many = quiet_positions("x", lat, lon, count=200, distance_deg=12, **settings)
    assert 20 < len(many) < 80
    for i, (a, b) in enumerate(many):
        others = [place for j, place in enumerate(many) if j != i]
        away_lat = np.concatenate([lat, [p[0] for p in others]])
        away_lon = np.concatenate([lon, [p[1] for p in others]])
        assert _degrees(away_lat, away_lon, a, b).min() > 12 - 1e-6
        assert _degrees(np.array([7.0]), np.array([0.0]), a, b)[0] < LIMIT_DEG + 0.02
    assert quiet_positions("x", [7.0], [0.0], count=2, distance_deg=80, **settings) == []


def test_quiet_positions_are_spread_evenly_over_the_sphere():
    positions = [quiet_positions(f"{i}", [], [], b0_deg=0.0, count=1, distance_deg=20, seed=0)[0] for i in range(2000)]
    away = _degrees(*np.array(positions).T, 0.0, 0.0)
    # Half of the cap's area lies within acos((1 + cos 55°) / 2).
    half = np.degrees(np.arccos((1 + np.cos(np.radians(LIMIT_DEG))) / 2))
    assert abs((away < half).mean() - 0.5) < 0.04


# --- against workbooks that were made independently -------------------------------------------------------------------


def _joined(shared_data: Path, images: str, workbook: str, arcsec_per_px: float, archive: str = "noaa_srs") -> Any:
    """The reader's rows beside the workbook's, with how many pixels apart they are."""
    source: dict[str, Any] = {"reader": "srs", "root": shared_data, "images": images}
    source["srs"] = {"summaries": archive, "quiet_per_image": 0}
    data = {"study": {"name": "x"}, "source": source, "images": {"channel": "aia-211-browse"}}
    data |= {"labels": {"scheme": "activity"}, "backbone": {"id": "x"}}
    rows = read(Study.model_validate(data))
    mine = pd.DataFrame([{r.headings[f]: text for f, text in r.cells.items()} for r in rows])
    numbers = ["NOAA AR", "Area (MSH)", "Spots", "Latitude (deg)", "Longitude (deg)", "Gap (h)"]
    mine[numbers] = mine[numbers].apply(pd.to_numeric)
    theirs = pd.read_excel(shared_data / workbook, sheet_name="Active regions")
    both = mine.merge(theirs, on=["Image", "NOAA AR"], how="outer", suffixes=("", " theirs"), indicator=True)
    for _, rows_of_image in both.groupby("Image"):
        time = rows_of_image["Observed (UTC) theirs"].dropna()
        if len(time):
            frame = DiscFrame.at(time.iloc[0].to_pydatetime().replace(tzinfo=UTC), (255.5, 255.5), arcsec_per_px)
            x, y, _ = project(rows_of_image["Latitude (deg)"], rows_of_image["Longitude (deg)"], frame)
            both.loc[rows_of_image.index, "apart"] = np.hypot(x - rows_of_image["X (px)"], y - rows_of_image["Y (px)"])
    return both


def _differences(both: pd.DataFrame) -> set[tuple[str, int, str]]:
    found = set()
    for name in ("Kind", "Mount Wilson", "McIntosh", "Area (MSH)", "Spots", "Latitude (deg)"):
        a, b = both[name], both[f"{name} theirs"]
        text = name in ("Kind", "Mount Wilson", "McIntosh")
        same = (a.fillna("") == b.fillna("")) if text else (a == b) | (a.isna() & b.isna())
        found |= {(row["Image"], row["NOAA AR"], name) for _, row in both[~same].iterrows()}
    return found


LAST = "20141231_151337_512_0211.jpg"
GAP = "20111231_122950_512_0211.jpg"


def test_positions_and_classes_agree_with_the_workbook_of_aia_images(shared_data):
    both = _joined(shared_data, "aia211", "SDO_Solar_Active_Regions.xlsx", 4.8)
    here = both[both["_merge"] == "both"]
    within = here[here["Longitude (deg) theirs"].abs() <= 60]
    assert len(here) == 2332 and len(within) == 1721
    assert within["apart"].median() < 0.5
    assert within["apart"].quantile(0.99) < 1.0
    # The next summary, of 2015-01-01, is nearer to the last image by 7 hours and not in the archive.
    assert set(within[within["apart"] > 4]["Image"]) == {LAST}
    assert within[within["Image"] != LAST]["apart"].max() < 1.2
    assert {image for image, *_ in _differences(here)} == {LAST}
    # Rows of the workbook alone: regions behind the limb, and one that was numbered in that next summary.
    theirs = both[both["_merge"] == "right_only"]
    hidden = theirs[theirs["Image"] != LAST]
    assert len(hidden) == 61 and hidden["Longitude (deg) theirs"].abs().min() > 86
    assert theirs[theirs["Image"] == LAST]["NOAA AR"].tolist() == [12254]
    # Rows of the reader alone: the summary of 2012-01-01 is missing; ours takes the one 12.5 hours earlier.
    ours = both[both["_merge"] == "left_only"]
    assert set(ours["Image"]) == {GAP} and set(ours["Gap (h)"]) == {-12.5}


def test_with_the_missing_summary_the_last_image_agrees_too(shared_data, tmp_path):
    import sunpy.data.test

    sample = Path(sunpy.data.test.__file__).parent / "SRS" / "20150101SRS.txt"
    (tmp_path / "aia211").mkdir()
    (tmp_path / "aia211" / LAST).symlink_to(shared_data / "aia211" / LAST)
    (tmp_path / "srs").mkdir()
    (tmp_path / "srs" / sample.name).write_bytes(sample.read_bytes())
    (tmp_path / "srs" / "2014.tar.gz").symlink_to(shared_data / "noaa_srs" / "2014_SRS.tar.gz")
    book = "SDO_Solar_Active_Regions.xlsx"
    (tmp_path / book).symlink_to(shared_data / book)
    both = _joined(tmp_path, "aia211", book, 4.8, "srs")
    both = both[both["Image"] == LAST]
    assert len(both) == 8 and (both["_merge"] == "both").all()
    assert both["apart"].max() < 1.0 and not _differences(both)


def test_positions_and_classes_agree_with_the_workbook_of_hmi_images(shared_data):
    both = _joined(shared_data, "hmi_ic", "HMI_Continuum_2010_2011.xlsx", 4.036)
    here = both[both["_merge"] == "both"]
    assert len(here) == 1784 and not _differences(here)
    within = here[here["Longitude (deg) theirs"].abs() <= 60]
    assert within["apart"].median() < 0.5 and within["apart"].max() < 1.2
    alone = both[both["_merge"] != "both"]
    assert len(alone) == 3 and (alone["_merge"] == "right_only").all()
    assert alone["Longitude (deg) theirs"].min() > 88  # behind the limb


def test_quiet_positions_of_real_images_lie_far_from_every_numbered_region(shared_data, tmp_path):
    (tmp_path / "images").symlink_to(shared_data / "aia211")
    (tmp_path / "srs").symlink_to(shared_data / "noaa_srs")
    (tmp_path / "study.toml").write_text(STUDY)
    quiet = [row for row in rows_of(tmp_path) if row.text("label") == "quiet"]
    assert len(quiet) == 2 * 338
    summaries = read_archive(shared_data / "noaa_srs").summaries
    for row in quiet[::13]:
        time = datetime.fromisoformat(row.text("observed")).replace(tzinfo=UTC)
        for summary in summaries:
            if abs((summary.valid - time).total_seconds()) < 2.9 * 86400:
                regions = [r for r in summary.regions if r.section != "II"]
                lat = np.array([r.latitude_deg for r in regions], float)
                lon = rotated(lat, [r.longitude_deg for r in regions], summary.valid, time)
                away = _degrees(lat, lon, float(row.text("latitude_deg")), float(row.text("longitude_deg")))
                assert (away > 24.9).all()
