"""Flares, SHARP keywords and HARP numbers joined to a region at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sdovis.errors import BadInput
from sdovis.readers.joins import flare_facts, flux, joins, read_flares, read_harps, read_sharps
from sdovis.readers.srs_settings import SrsSettings
from sdovis.study import Source, reader
from written import workbook

T = datetime(2011, 2, 15, tzinfo=UTC)
HEAD = "start;peak;end;class;noaa_ar\n"
FLARES = [
    "2011-02-14 10:00:00;2011-02-14 10:10:00;2011-02-14 10:20:00;C2.0;11158",
    "2011-02-14 23:50:00;2011-02-15 00:00:00;2011-02-15 00:10:00;X1.0;11158",
    "2011-02-15 11:50:00;2011-02-15 12:00:00;2011-02-15 12:10:00;M1.0;11158",
    "2011-02-15 13:50:00;2011-02-15 14:00:00;2011-02-15 14:10:00;M2.0;0",
    "2011-02-15 15:50:00;2011-02-15 16:00:00;2011-02-15 16:10:00;C1.0;1161",
    "2011-02-15 15:50:00;2011-02-15 16:00:00;2011-02-15 16:10:00;C1.0;0",
    "2011-02-17 00:00:00;2011-02-17 00:01:00;2011-02-17 00:02:00;B1.0;11158",
]


@pytest.fixture
def flares(tmp_path: Path) -> Path:
    path = tmp_path / "goes.csv"
    path.write_text(HEAD + "\n".join(FLARES) + "\n")
    return path


def test_a_class_is_a_flux():
    assert flux("C1.0") == flux("c") == 1e-6
    assert flux("M5.2") == pytest.approx(5.2e-5) and flux("X10") == pytest.approx(1e-3)
    for wrong in ("", "5.2", "D1.0", "M-1"):
        with pytest.raises(ValueError, match="is not a GOES class"):
            flux(wrong)


def test_a_flare_counts_if_it_peaks_after_the_image_and_within_the_hours(flares):
    found = read_flares(flares)
    assert found.following(11158, T, flux("C"), 24) == 1  # the X1.0 peaks at the image's time: not after it
    assert found.following(11158, T, flux("C"), 12) == 1  # at the very end of the window
    assert found.following(11158, T, flux("C"), 11.99) == 0
    assert found.following(11158, T, flux("M1.0"), 24) == 1 and found.following(11158, T, flux("M1.1"), 24) == 0
    assert found.following(11158, T - timedelta(seconds=1), flux("C"), 24) == 2
    assert found.following(11161, T, flux("C"), 24) == 1  # listed as 1161


def test_beyond_the_list_no_flare_is_no_knowledge(flares):
    found = read_flares(flares)
    assert (found.first, found.last) == (datetime(2011, 2, 14, tzinfo=UTC), datetime(2011, 2, 18, tzinfo=UTC))
    assert found.following(11158, datetime(2011, 2, 17, 12, tzinfo=UTC), flux("C"), 24) is None
    assert found.following(11158, datetime(2011, 2, 13, 23, tzinfo=UTC), flux("C"), 2) is None
    assert found.following(11158, datetime(2011, 2, 13, 23, tzinfo=UTC), flux("C"), 24) == 1


def test_events_without_a_region_are_counted_and_those_listed_twice_are_not(flares):
    found = read_flares(flares)
    assert len(found.peak) == 6
    assert found.in_windows([T, T + timedelta(hours=1)], flux("C"), 24) == (3, 1)
    assert found.in_windows([], flux("C"), 24) == (0, 0)
    settings = SrsSettings(summaries="x", flares="goes.csv", flare_class="C1.0", flare_hours=24)
    facts = flare_facts(flares.parent, settings, [T])
    assert facts.threshold == "C1.0" and facts.hours == 24
    assert (facts.events_in_windows, facts.events_without_region) == (3, 1)
    assert (facts.first, facts.last) == ("2011-02-14", "2011-02-18")


def test_a_peak_written_with_the_day_of_its_start_is_after_midnight(flares):
    flares.write_text(HEAD + "2011-02-15 23:50:00;2011-02-15 00:05:00;2011-02-16 00:10:00;C5.0;11158\n")
    assert read_flares(flares).following(11158, T + timedelta(hours=24), flux("C"), 1) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no column 'class'"),
        ("peak,class\n", "there is no column 'noaa_ar'"),
        ("peak,class,noaa_ar\n", "there are no rows"),
        ("peak,class,noaa_ar\n2011-02-15 00:00,Q1,1\nsoon,C1,1\n", "row 2: the flare cannot be read(.|\n)*row 3"),
        ("peak,class,noaa_ar\n2011-02-15 00:00,C1\n", "fewer cells"),
        ("class,noaa_ar\nC1,1\n", "no column 'peak'"),
    ],
)
def test_a_list_that_cannot_be_read_is_said_with_its_rows(flares, text, why):
    flares.write_text(text)
    with pytest.raises(BadInput, match=why):
        read_flares(flares)


def test_the_nearest_sharp_keywords_are_taken_within_a_limit_and_their_time_is_tai(tmp_path):
    path = tmp_path / "sharp.csv"
    path.write_text(
        'T_REC,NOAA_ARS,USFLUX\n2011.02.15_00:00:34_TAI,"11158,11160",1.5e22\n2011-02-15 06:00:34,11158,2e22\n'
    )
    sharps = read_sharps(path)
    assert sharps.keywords == ("USFLUX",)
    gap, keywords = sharps.nearest(11160, T, 1.0) or (0, {})
    assert gap == 0.0 and keywords == {"usflux": "1.5e22"}
    assert sharps.nearest(11158, T + timedelta(hours=4), 12)[0] == pytest.approx(2)  # type: ignore[index]
    assert sharps.nearest(11158, T + timedelta(hours=24), 12) is None and sharps.nearest(11159, T, 12) is None
    path.write_text("T_REC,NOAA_AR\nsoon,11158\n")
    with pytest.raises(BadInput, match="row 2: T_REC 'soon' is not a time"):
        read_sharps(path)


def test_a_harp_may_hold_several_regions_and_a_region_lie_in_several_harps(tmp_path):
    path = tmp_path / "all_harps_with_noaa_ars.txt"
    path.write_text("HARPNUM NOAA_ARS\n377 11158\n393 11160,11166\n401 11166\n\n")
    assert read_harps(path) == {11158: (377,), 11160: (393,), 11166: (393, 401)}
    path.write_text("HARPNUM NOAA_ARS\n377\n")
    with pytest.raises(BadInput, match="row 2: '377' is not a HARP with"):
        read_harps(path)


def test_joined_tables_are_read_from_workbooks_and_in_any_encoding(flares, tmp_path):
    lines = [line.split(";") for line in (HEAD.strip(), *FLARES)]
    as_book = read_flares(workbook(tmp_path / "goes.xlsx", lines, merged=["A8:A8"]))
    flares.write_bytes((HEAD + "\n".join(FLARES)).replace(";", "\t").encode("utf-16"))
    for found in (as_book, read_flares(flares)):
        assert found.following(11158, T, flux("C"), 24) == 1 and len(found.peak) == 6
    sharps = workbook(
        tmp_path / "sharp.xlsx", [["T_REC", "NOAA_ARS", "USFLUX"], ["2011.02.15_00:00:34_TAI", "11158,11160", 1e22]]
    )
    assert set(read_sharps(sharps).times) == {11158, 11160}
    harps = workbook(tmp_path / "harps.xlsx", [["HARPNUM", "NOAA_ARS"], [377, 11158], [393, "11160,11166"]])
    assert read_harps(harps) == {11158: (377,), 11160: (393,), 11166: (393,)}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('2011-02-15 00:00,"C1,1\n2011-02-16 00:00,C1,1', "a quote in line 2 does not end where its cell ends"),
        ("2011-02-15 00:00,C1,1,1", "row 2: the row has more cells than headings"),
        ("2011-02-15 00:00,C1,#N/A", "row 2, column 'noaa_ar': the cell shows the error #N/A"),
    ],
)
def test_rows_of_a_list_are_never_lost_or_shifted(flares, row, why):
    flares.write_text(f"peak,class,noaa_ar\n{row}\n")
    with pytest.raises(BadInput, match=why):
        read_flares(flares)


def test_marked_rows_of_a_joined_workbook_are_counted_and_titles_above_its_headings_skipped(tmp_path):
    lines = [
        ["GOES flares, by hand"],
        ["peak", "Class", "NOAA AR"],
        *([f"2011-02-1{n} 00:00", "C1.0", 11158] for n in range(3)),
    ]
    lines[1][2] = "NOAA_AR"
    path = workbook(tmp_path / "goes.xlsx", lines, hidden=[4], struck=["A5"], merged=["A1:C1"])
    assert len(read_flares(path).peak) == 3
    source = Source.model_validate(
        {
            "reader": "srs",
            "root": tmp_path,
            "srs": {"summaries": "x", "flares": "goes.xlsx", "flare_class": "C1.0", "flare_hours": 24},
        }
    )
    assert reader("srs").notices(source, source.settings, []) == [
        "goes.xlsx: 1 of 5 rows are hidden, and are used (rows 4)",
        "goes.xlsx: 1 of 5 rows are struck through, and are used (rows 5)",
    ]


def test_joined_columns_have_their_headings_and_are_blank_where_nothing_is_known(flares, tmp_path):
    (tmp_path / "sharp.csv").write_text("T_REC,NOAA_AR,USFLUX\n2011.02.15_00:00:34_TAI,11158,1.5e22\n")
    (tmp_path / "harps.txt").write_text("377 11158\n")
    flare = {"flares": "goes.csv", "flare_class": "M1.0", "flare_hours": 24}
    settings = SrsSettings.model_validate({"summaries": "x", "sharp": "sharp.csv", "harps": "harps.txt", **flare})
    cells = {}
    for join in joins(tmp_path, settings):
        cells |= join(11158, T)
    assert cells == {
        "M flare next 24 h": "1", "Flares in that time": "1", "SHARP gap (h)": "0.00", "SHARP USFLUX": "1.5e22",
        "HARP": "377",
    }  # fmt: skip
    cells = {}
    for join in joins(tmp_path, settings):
        cells |= join(11158, T + timedelta(days=30))
    assert cells == {"M flare next 24 h": "", "Flares in that time": "", "HARP": "377"}
    (tmp_path / "sharp.csv").unlink()
    (tmp_path / "harps.txt").write_text("?")
    with pytest.raises(BadInput) as caught:
        joins(tmp_path, settings)
    assert len(caught.value.problems) == 2


def test_flare_columns_agree_with_the_workbook_but_beyond_the_lists_end(shared_data):
    flares = read_flares(shared_data / "goes_flares_2010_2014.csv")
    rows = pd.read_excel(shared_data / "SDO_Solar_Active_Regions.xlsx").dropna(subset="C flare next 24 h")
    unknown = []
    for _, row in rows.iterrows():
        time = row["Observed (UTC)"].to_pydatetime().replace(tzinfo=UTC)
        for letter in "CM":
            count = flares.following(row["NOAA AR"], time, flux(letter), 24)
            if count is None:
                unknown.append(time)
            else:
                assert (count > 0) == bool(row[f"{letter} flare next 24 h"]), (row["Image"], row["NOAA AR"])
    assert len(rows) == 1722 and len(unknown) == 13
    assert set(unknown) == {datetime(2014, 12, 31, 15, 13, 37, tzinfo=UTC)}  # the list ends with that day


def test_keywords_of_the_real_table_join(shared_data):
    sharps = read_sharps(shared_data / "sharp_keywords_2010_2014.csv")
    assert len(sharps.times) == 857 and "USFLUX" in sharps.keywords
    gap, keywords = sharps.nearest(11158, datetime(2011, 2, 15, 14, 0, tzinfo=UTC), 1.0) or (0, {})
    assert gap * 3600 == pytest.approx(12 * 60 - 34)  # T_REC 14:12 TAI
    assert float(keywords["totusjh"]) == pytest.approx(2993.3459999999995)
