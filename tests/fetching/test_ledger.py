"""`fetched.json`: what is known after a run that was killed anywhere, and what the cards may say of it."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from fetching.archive import LoopbackArchive
from sdovis import disk
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.fetching import ledger
from sdovis.fetching.ledger import Fetched, Ledger

HARPS = "all_harps_with_noaa_ars.txt"


@pytest.fixture
def harps(monkeypatch, tmp_path, impatient):
    """The table of HARPs at a loopback JSOC; fetched into ``out``."""
    monkeypatch.chdir(tmp_path)
    with LoopbackArchive() as archive:
        archive.files[f"/doc/data/hmi/harpnum_to_noaa/{HARPS}"] = b"HARPNUM NOAA_ARS\n377 11158\n"
        monkeypatch.setenv("SDOVIS_FETCH_JSOC", archive.address)
        yield archive


def fetch() -> int:
    return run_command(["fetch", "harps", "-o", "out"])


def loads(archive: LoopbackArchive) -> int:
    return sum(each.method == "GET" for each in archive.seen)


@pytest.mark.parametrize("at", ["before its name", "after its name"])
def test_killed_around_the_moment_when_a_file_gets_its_name_it_is_not_loaded_again(harps, monkeypatch, at):
    move = disk.move

    def killed(beside: Path, place: Path) -> None:
        if place.name == HARPS:
            if at == "after its name":
                move(beside, place)
            raise KeyboardInterrupt
        move(beside, place)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "move", killed)
        patch.setattr(Ledger, "close", lambda *_: None)  # a killed process tidies nothing up
        assert fetch() == 130
    assert Path("out", HARPS).exists() == (at == "after its name")
    assert fetch() == 0
    assert loads(harps) == 1
    assert [*Fetched.load(Path("out")).files] == [HARPS]
    assert {path.name for path in Path("out").iterdir()} <= {HARPS, "fetched.json", ".fetching.lock"}


def test_a_full_disk_ends_the_run_and_leaves_nothing_half_written(harps, monkeypatch, capsys):
    def full(beside: Path, place: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(place))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", lambda path: full(path, path))
        assert fetch() == 4
    assert "the disk is full; nothing half-written counts" in capsys.readouterr().err
    assert not Path("out", HARPS).exists()
    assert fetch() == 0
    assert Path("out", HARPS).exists()


def test_two_processes_do_not_fill_one_folder(harps, capsys):
    from filelock import FileLock
    from sdovis.fetching.session import LOCK

    Path("out").mkdir()
    with FileLock(Path("out", LOCK)):
        assert fetch() == 4
    assert "another sdovis fetch is filling it" in capsys.readouterr().err
    assert loads(harps) == 0


def test_facts_are_of_the_files_that_are_used_and_say_what_has_changed(harps):
    assert fetch() == 0
    folder = Path("out")
    shutil.copytree(folder, "other")
    for names in ([HARPS], ["."], [f"./{HARPS}", ""]):
        (facts,) = ledger.facts(folder, ledger.used(folder, names))
        assert (facts.files, facts.bytes, facts.changed, facts.own_address) == (1, 27, 0, False)
    assert ledger.facts(folder, ledger.used(folder, ["images"])) == ()
    (folder / HARPS).write_text("HARPNUM NOAA_ARS\n377 11159\n")
    (facts,) = ledger.facts(folder, ledger.used(folder, [HARPS]))
    assert facts.changed == 1


def test_a_damaged_record_is_said(harps):
    assert fetch() == 0
    record = Path("out", "fetched.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "files": 3}))
    with pytest.raises(BadInput, match=r"fetched\.json"):
        Fetched.load(Path("out"))
    assert fetch() == 2
