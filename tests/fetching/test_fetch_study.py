"""`sdovis fetch STUDY.toml`: a study from nothing, over bad lines, killed and gone on with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fetching import simulated_sun as sun
from fetching.archive import Exports, LoopbackArchive
from sdovis import manifests
from sdovis.cli import run_command
from sdovis.corpus.facts import CorpusFacts
from sdovis.fetching import jsoc

EMAIL = "ada@example.org"
#: `sdovis` with short pauses, for a process of its own.
IMPATIENT = (
    "import sys; from sdovis import patience; patience.PAUSES = (.01,) * 4; patience.SILENCE = 20.; "
    "from sdovis.fetching import courier; courier.Courier.rest = lambda self, seconds: None; "
    "from sdovis.cli import run_command; sys.exit(run_command(sys.argv[1:]))"
)


@pytest.fixture
def archive(discs: Path) -> Iterator[LoopbackArchive]:
    with LoopbackArchive() as made:
        sun.put_summaries(made, discs)
        yield made


@pytest.fixture
def exports(archive: LoopbackArchive, discs: Path) -> Exports:
    records = sun.magnetograms(discs)
    return archive.jsoc(records, sun.keywords(records))


@pytest.fixture
def study(
    archive: LoopbackArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> Callable[..., Path]:
    """Writes the study, with replacements, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSOC_EMAIL", EMAIL)
    monkeypatch.setattr("sdovis.fetching.courier.Courier.rest", lambda self, seconds: None)

    def write(**changes: str) -> Path:
        text = sun.STUDY.replace("ADDRESS", archive.address)
        for old, new in changes.items():
            text = text.replace(old, new)
        (tmp_path / "study.toml").write_text(text)
        return tmp_path / "study.toml"

    return write


def planned(text: str) -> tuple[int, str]:
    """Number of files and size of the plan's last line."""
    found = re.search(r"to load: (\d+) files, ([\d.]+ \w+)", text)
    assert found, text
    return int(found[1]), found[2]


def fetched(folder: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((folder / "fetched.json").read_text())["files"]
    return found


def are_right(archive: LoopbackArchive, folder: Path) -> None:
    """Every file that is recorded is what the archive has, and nothing else lies there but records and tables."""
    record = fetched(folder)
    for path, entry in record.items():
        data = (folder / path).read_bytes()
        assert entry["sha256"] == manifests.sha256_file(folder / path), path
        if entry["url"]:
            assert archive.files["/" + str(entry["url"]).removeprefix(archive.address)] == data, path
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - {"fetched.json", ".fetching.lock"} == set(record)


def test_a_study_is_built_from_nothing_over_bad_lines_and_prepared(archive, exports, study, capsys, discs):
    archive.share, archive.seed = 0.15, 4
    file = study()
    assert run_command(["check", str(file)]) == 2
    assert "to be fetched: 32 region summaries (the first of 2012-03-01)" in capsys.readouterr().err
    assert run_command(["fetch", str(file), "--dry-run"]) == 0
    plan = capsys.readouterr().out
    files, _ = planned(plan)
    assert files == 32 + sun.DISCS
    texts = sum(len(data) for path, data in archive.files.items() if path.startswith("/srs/"))
    assert f"32 files, {texts / 1000:.1f} kB\n" in plan, "the plan is true, whatever went wrong when it was made"
    assert not (file.parent / "data").exists(), "a plan loads nothing"
    assert not exports.requests, "and asks JSOC for no export"
    assert run_command(["fetch", str(file)]) == 0
    said = capsys.readouterr()
    assert f"{files} files loaded" in said.out
    assert any(each.fault for each in archive.seen), "some lines were bad"
    folder = file.parent / "data"
    are_right(archive, folder)
    assert len(fetched(folder)) == files
    assert len(exports.requests) == 1
    counts = archive.whole()
    assert {path: n for path, n in counts.items() if n > 1 and path in archive.files} == {}, "nothing was loaded twice"
    asked = len(archive.seen)
    assert run_command(["fetch", str(file)]) == 0
    assert "0 files loaded" in capsys.readouterr().out
    assert not [each for each in archive.seen[asked:] if each.method == "GET" and each.path in archive.files]

    assert run_command(["check", str(file)]) == 0
    assert "to be fetched" not in capsys.readouterr().err
    assert run_command(["prepare", str(file)]) == 0
    corpus = CorpusFacts.load(file.parent / "runs" / "fetched" / "corpus")
    assert corpus.rows > 20
    assert [(each.title, each.files, each.changed, each.own_address) for each in corpus.fetched or ()] == [
        ("JSOC, Stanford", sun.DISCS, 0, False),
        ("NOAA/NCEI, daily Solar Region Summaries of SWPC", 32, 0, False),
    ]
    told = [path.read_bytes() for path in file.parent.rglob("*") if path.is_file()]
    assert not any(EMAIL.encode() in text for text in told), "the e-mail is written nowhere"
    agents = {each.agent for each in archive.seen}
    assert all(agent.startswith("sdovis/") for agent in agents)


@pytest.mark.parametrize("kill_at", ["a summary", "a magnetogram"])
def test_a_killed_run_goes_on_where_it_stopped(archive, exports, study, tmp_path, kill_at):
    file, folder = study(), tmp_path / "data"
    number = 9
    if kill_at == "a summary":
        held = f"/srs/2012/03/{(sun.FIRST):%Y%m}{number:02d}SRS.txt"
    else:
        names = [re.sub(r"[][:.]+", "_", record.lower()) for record in exports.records]
        held = f"/jsoc/SUM1/D0/S00000/{names[number]}.magnetogram.fits"
    archive.hold = held
    running = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "fetch", str(file)], cwd=tmp_path, stderr=subprocess.PIPE
    )
    assert archive.held.wait(120)
    part = folder / "srs" / f".{held.rpartition('/')[2]}.part"
    if kill_at == "a magnetogram":
        part = folder / "images" / f".{jsoc.name_of([*exports.records][number], 'magnetogram')}.part"
    while not (part.is_file() and part.stat().st_size):
        assert running.poll() is None
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    archive.go_on.set()
    named = {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file()}
    assert named and not (folder / "fetched.json").exists()
    before = len(archive.seen)
    assert run_command(["fetch", str(file)]) == 0
    are_right(archive, folder)
    after = [each for each in archive.seen[before:] if each.method == "GET"]
    known = fetched(folder)
    again = {"/" + str(known[path]["url"]).removeprefix(archive.address) for path in named}
    assert not [each.path for each in after if each.path in again], "what had its name is not loaded again"
    first, rest = sorted(each.asked_range for each in archive.loads(held))
    assert first == "" and re.fullmatch(r"bytes=[1-9]\d*-", rest), "the part goes on"
    assert len(exports.requests) == 1, "the export goes on too"
    assert not [*folder.rglob("*.part*")]


def test_all_failures_are_said_at_the_end_what_came_is_kept_and_the_next_run_goes_on(archive, exports, study, capsys):
    file = study()
    good = dict(archive.files)
    broken = ["/srs/2012/03/20120305SRS.txt", "/srs/2012/03/20120307SRS.txt"]
    assert run_command(["fetch", str(file), "--dry-run"]) == 0
    for path in broken:
        archive.files[path] = b"<html>not today</html>".ljust(len(good[path]))
    assert run_command(["fetch", str(file)]) == 3
    said = capsys.readouterr().err
    assert "srs/20120305SRS.txt: cannot be read" in said and "srs/20120307SRS.txt: cannot be read" in said
    assert "2 things could not be fetched; run the same command again" in said
    folder = file.parent / "data"
    assert len(fetched(folder)) == 30 + sun.DISCS
    archive.files |= good
    before = len(archive.seen)
    assert run_command(["fetch", str(file)]) == 0
    assert "2 files loaded" in capsys.readouterr().out
    assert {each.path for each in archive.seen[before:] if each.method == "GET" and each.path in good} == set(broken)


def test_an_archive_that_cannot_be_asked_does_not_keep_the_others_from_being_loaded(archive, exports, study, capsys):
    file, answer = study(), archive.answers.pop("/jsoc/cgi-bin/ajax/jsoc_info")
    archive.answers["/jsoc/cgi-bin/ajax/jsoc_info"] = lambda query: {"status": 1, "error": "no such series"}
    assert run_command(["fetch", str(file), "--dry-run"]) == 3
    assert run_command(["fetch", str(file)]) == 3
    assert "images of hmi-magnetogram: JSOC does not answer for hmi.M_720s[" in capsys.readouterr().err
    assert len(fetched(file.parent / "data")) == 32
    archive.answers["/jsoc/cgi-bin/ajax/jsoc_info"] = answer
    assert run_command(["fetch", str(file)]) == 0
    assert f"{sun.DISCS} files loaded" in capsys.readouterr().out


def test_what_the_archive_does_not_have_is_said_and_is_no_failure(archive, exports, study, capsys):
    file = study()
    del archive.files["/srs/2012/03/20120306SRS.txt"]
    assert run_command(["fetch", str(file)]) == 0
    assert "Solar Region Summaries of SWPC does not have 20120306SRS.txt" in capsys.readouterr().err
    assert run_command(["check", str(file)]) == 0
    assert "to be fetched" not in capsys.readouterr().err


def test_as_is_files_come_with_a_table_of_keywords_and_need_no_e_mail(archive, exports, study, capsys, monkeypatch):
    monkeypatch.delenv("JSOC_EMAIL")
    file = study(
        **{
            "cadence_hours = 48": 'cadence_hours = 48\nprotocol = "as-is"',
            'root = "data"': 'root = "data"\nkeywords = "keywords.csv"',
        }
    )
    assert run_command(["fetch", str(file), "--dry-run"]) == 0
    files, size = planned(capsys.readouterr().out)
    assert run_command(["fetch", str(file)]) == 0
    folder = file.parent / "data"
    table = (folder / "keywords.csv").read_text().splitlines()
    assert table[0] == ",T_REC,QUALITY" and table[1].startswith("hmi.M_720s[2012.03.01_00:00:00_TAI],2012.03.01")
    record = fetched(folder)
    assert len(record) == files + 1 and record["keywords.csv"]["made_from"] == ["keywords.json"]
    loaded = sum(int(str(entry["bytes"])) for path, entry in record.items() if not path.startswith("keywords"))
    assert size == f"{loaded / 1e6:.1f} MB", "the plan's size is that of the files"
    assert not exports.requests
    assert run_command(["prepare", str(file)]) == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {'reader = "srs"': 'workbook = "a.csv"', '[source.srs]\nsummaries = "srs"\n': ""},
            "fills the folders of the reader 'srs'",
        ),
        ({'channel = "hmi-magnetogram"\nrequests': 'channel = "hmi-continuum"\nrequests'}, "is not images.channel"),
        ({'summaries = "srs"': 'summaries = "2012_SRS.tar.gz"'}, "looks like a file, and fetch fills a folder"),
        ({'summaries = "srs"': 'summaries = "../srs"'}, "lies outside source.root"),
        (
            {'summaries = "srs"': 'summaries = "srs"\nfiles = "aia*.fits"'},
            "does not take hmi.M_720s.20120301_000000_TAI",
        ),
        ({'summaries = "srs"': 'summaries = "srs"\nfiles = ["a*", "b*", "c*"]'}, "has 3 pattern(s) for 1 channel(s)"),
        ({"cadence_hours = 48": 'protocol = "as-is"'}, "the study names no .csv table"),
        ({"cadence_hours = 48": 'archive = "browse"'}, "NASA has no browse images for the channel 'hmi-magnetogram'"),
    ],
)
def test_a_study_that_could_not_use_the_files_is_refused_before_loading(archive, exports, study, capsys, change, why):
    assert run_command(["fetch", str(study(**change))]) == 2
    assert why in capsys.readouterr().err
    assert not [each for each in archive.seen if each.method == "GET" and each.path in archive.files]


def test_without_an_e_mail_jsoc_is_not_asked_for_an_export(archive, exports, study, capsys, monkeypatch):
    monkeypatch.setenv("JSOC_EMAIL", "not one")
    assert run_command(["fetch", str(study())]) == 2
    said = capsys.readouterr().err
    assert "JSOC_EMAIL names no e-mail" in said and "not one" not in said
    assert not exports.requests


def test_a_plan_that_the_disk_has_no_room_for_is_refused_before_loading(archive, exports, study, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    assert run_command(["fetch", str(study())]) == 4
    assert "the plan needs" in capsys.readouterr().err
    assert not [each for each in archive.seen if each.method == "GET" and each.path.startswith("/srs/")]
