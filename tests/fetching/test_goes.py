"""Flare lists: NCEI's columns, HEK's JSON, and the table that the reader takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fetching.archive import LoopbackArchive
from hypothesis import given
from hypothesis import strategies as st
from sdovis.cli import run_command
from sdovis.fetching import goes
from sdovis.readers.joins import read_flares

#: NOAA 12192's X1.1 as NCEI has it: start 04:17, end 05:48, peak 05:03 of 2014-10-19.
REAL = "31777141019  0417 0548 0503 S10E58                        X 11    G15  3.9E-01 12192 141023.5"


def line(
    day: str = "141019", start: str = "0417", end: str = "0548", peak: str = "0503", place: str = "S10E58",
    goes_class: str = "X 11", region: str = "12192",
) -> str:  # fmt: skip
    """A record in NCEI's columns."""
    text = f"31777{day}  {start} {end} {peak} {place:6}".ljust(59) + f"{goes_class:4}".ljust(8)
    return f"{text}G15  3.9E-01 {region:5} 141023.5"


def flares(tmp_path: Path, *lines: str) -> tuple[list[goes.GoesFlare], list[str]]:
    path = tmp_path / "goes-xrs-report_2014.txt"
    path.write_text("\n".join(lines) + "\n")
    return goes.read_report(path)


def test_the_real_record_is_read(tmp_path):
    (flare,), unread = flares(tmp_path, REAL)
    day = datetime(2014, 10, 19, tzinfo=UTC)
    assert flare == goes.GoesFlare(
        day + timedelta(hours=4, minutes=17), day + timedelta(hours=5, minutes=3), day + timedelta(hours=5, minutes=48),
        "X1.1", 12192,
    )  # fmt: skip
    assert not unread
    assert flares(tmp_path, line())[0] == [flare], "the columns of the tests are NCEI's"


@pytest.mark.parametrize(
    ("changes", "goes_class", "region", "peak"),
    [
        ({"goes_class": "X172"}, "X17.2", 12192, "2014-10-19 05:03"),
        ({"goes_class": "C1.2"}, "C1.2", 12192, "2014-10-19 05:03"),
        ({"goes_class": "B 90", "region": ""}, "B9.0", 0, "2014-10-19 05:03"),
        ({"place": "", "region": ""}, "X1.1", 0, "2014-10-19 05:03"),
        ({"start": "2350", "peak": "0004", "end": "0010"}, "X1.1", 12192, "2014-10-20 00:04"),
        ({"start": "2350", "peak": "2400", "end": "0010"}, "X1.1", 12192, "2014-10-20 00:00"),
    ],
)
def test_classes_regions_and_midnight(tmp_path, changes, goes_class, region, peak):
    (flare,), _ = flares(tmp_path, line(**changes))
    assert (flare.goes_class, flare.noaa_ar, f"{flare.peak:%Y-%m-%d %H:%M}") == (goes_class, region, peak)


@pytest.mark.parametrize("changes", [{"peak": "////"}, {"goes_class": ""}, {"day": "141340"}, {"start": "0470"}])
def test_a_record_that_cannot_be_read_is_said_with_its_line(tmp_path, changes):
    found, unread = flares(tmp_path, REAL, line(**changes), "not a record")
    assert len(found) == 1
    assert len(unread) == 1 and unread[0].startswith("line 2 cannot be read: '31777")


@given(
    st.datetimes(datetime(2002, 1, 1), datetime(2016, 12, 31)),
    st.sampled_from("ABCMX"),
    st.integers(10, 99),
    st.sampled_from([0, 11158, 12192]),
)
def test_what_is_written_in_the_columns_is_read_back(tmp_path_factory, start, letter, tenths, region):
    text = line(
        f"{start:%y%m%d}",
        f"{start:%H%M}",
        f"{start:%H%M}",
        f"{start:%H%M}",
        "",
        f"{letter} {tenths}",
        str(region or ""),
    )
    (flare,), _ = flares(tmp_path_factory.mktemp("goes"), text)
    assert (flare.goes_class, flare.noaa_ar) == (f"{letter}{tenths / 10:.1f}", region)
    assert flare.start == start.replace(second=0, microsecond=0, tzinfo=UTC)


EVENTS = {
    "overmax": False,
    "result": [
        {"event_starttime": "2012-03-07T00:02:00", "event_peaktime": "2012-03-07T00:24:00",
         "event_endtime": "2012-03-07T00:40:00", "fl_goescls": "X5.4", "ar_noaanum": 11429},
        {"event_starttime": "2012-03-07T01:05:00", "event_peaktime": "2012-03-07T01:14:00",
         "event_endtime": "2012-03-07T01:23:00", "fl_goescls": "X1.3", "ar_noaanum": None},
        {"event_starttime": "2012-03-08T01:05:00", "event_peaktime": None, "event_endtime": None, "fl_goescls": "",
         "ar_noaanum": 0},
    ],
}  # fmt: skip


@pytest.mark.parametrize("of", ["ncei", "hek"])
def test_the_verb_makes_a_table_that_the_reader_takes(tmp_path, monkeypatch, impatient, capsys, of):
    with LoopbackArchive(share=0.15, seed=2) as archive:
        archive.files["/goes/goes-xrs-report_2014.txt"] = f"{REAL}\n{REAL}\n{line(peak='////')}\n".encode()
        archive.answers["/hek"] = lambda query: EVENTS
        monkeypatch.setenv("SDOVIS_FETCH_GOES", f"{archive.address}goes")
        monkeypatch.setenv("SDOVIS_FETCH_HEK", f"{archive.address}hek")
        span = {"ncei": ["2014-10-01", "2014-10-31"], "hek": ["2012-03-01", "2012-03-31"]}[of]
        command = ["fetch", "flares", "--from", span[0], "--to", span[1], "--of", of, "-o", str(tmp_path / "out")]
        assert run_command(command) == 0
        assert "1 flares are not in the table" in capsys.readouterr().err
        made = read_flares(tmp_path / "out" / "goes_flares.csv")
        assert [*made.noaa_ar] == {"ncei": [12192], "hek": [11429, 0]}[of]
        assert [*made.flux.round(6)] == {"ncei": [1.1e-4], "hek": [5.4e-4, 1.3e-4]}[of]
        record = json.loads((tmp_path / "out" / "fetched.json").read_text())
        raw = {"ncei": "goes_flares/goes-xrs-report_2014.txt", "hek": "goes_flares/hek_fl_swpc_2012_03.json"}[of]
        assert record["files"]["goes_flares.csv"]["made_from"] == [raw]
        asked = len(archive.seen)
        assert run_command(command) == 0
        assert len(archive.seen) == asked, "nothing is asked for again"


def test_years_that_ncei_has_no_complete_report_of_are_refused(tmp_path, capsys):
    command = ["fetch", "flares", "--from", "2017-01-01", "--to", "2018-02-01", "--of", "ncei", "-o", str(tmp_path)]
    assert run_command(command) == 2
    assert "NCEI's flare reports end in June 2017; take them from hek" in capsys.readouterr().err


def test_more_flares_than_the_hek_sends_at_once_is_no_list(tmp_path, impatient, monkeypatch, capsys):
    with LoopbackArchive() as archive:
        archive.answers["/hek"] = lambda query: {**EVENTS, "overmax": True}
        monkeypatch.setenv("SDOVIS_FETCH_HEK", f"{archive.address}hek")
        command = ["fetch", "flares", "--from", "2012-03-01", "--to", "2012-03-31", "--of", "hek", "-o", str(tmp_path)]
        assert run_command(command) == 3
        assert "more than 5000 flares in a month" in capsys.readouterr().err
        assert not (tmp_path / "goes_flares.csv").exists()
