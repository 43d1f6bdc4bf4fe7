"""A release goes where a target puts it: a Hub, a folder, and nowhere else by half."""

from __future__ import annotations

import ctypes
import errno
import json
import shutil
import tempfile
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import LoopbackHub
from runs import remade
from sdovis import exchange
from sdovis.cli import run_command
from sdovis.errors import BadInput, Conflict
from sdovis.release.assembly import KINDS, Release
from sdovis.release.request import Request, addressed
from sdovis.release.targets import folder

PIN = "r-000000000000"
Crafted = Callable[..., Path]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return tmp_path / "share"


def _files(of: Path) -> dict[str, bytes]:
    return {path.relative_to(of).as_posix(): path.read_bytes() for path in of.rglob("*") if path.is_file()}


def _published(release: Path, share: Path, **asked: bool) -> list[str]:
    return list(folder(Request(release, str(share), **asked)))


@pytest.mark.parametrize(
    ("to", "named"),
    [
        ("hub", ("hub", "")),
        ("folder:/share/sun", ("folder", "/share/sun")),
        ("hub:http://localhost:8000", ("hub", "http://localhost:8000")),
    ],
)
def test_a_target_is_named_with_its_place_behind_the_first_colon(to: str, named: tuple[str, str]):
    assert addressed(to) == named


def test_a_folder_gets_the_three_parts_at_once_and_they_are_the_release(crafted: Crafted, share: Path):
    released = crafted()
    (line,) = _published(released, share)
    there = share / "sun" / PIN
    assert line.startswith(f"{there}: 10 of 10 files added, ")
    assert {n: c for n, c in _files(there).items() if n != "manifest.json"} == {
        n: c for n, c in _files(released).items() if n != "manifest.json"
    }
    assert Release.load(there).repositories == Release.load(released).repositories
    assert [path.name for path in there.parent.iterdir()] == [PIN]


def test_a_release_of_a_newer_format_is_one_line(crafted: Crafted):
    released = crafted()
    told = json.loads((released / "release.json").read_text())
    assert "format" not in told, "as releases of format 1 were before they said so"
    remade(released, {"release.json": json.dumps(told | {"format": 3}).encode()})
    with pytest.raises(BadInput, match=r"release\.json: is in format 3, but sdovis .* knows formats only up to 2"):
        Release.load(released)


def test_a_second_time_nothing_is_written(crafted: Crafted, share: Path):
    released = crafted()
    _published(released, share)
    before = {path: path.stat().st_mtime_ns for path in share.rglob("*")}
    assert _published(released, share) == [f"{share / 'sun' / PIN}: nothing changes"]
    assert {path: path.stat().st_mtime_ns for path in share.rglob("*")} == before


def test_other_words_take_the_place_of_an_unharmed_release_and_another_pin_lies_beside_it(
    crafted: Crafted, share: Path
):
    _published(crafted(), share)
    (line,) = _published(crafted(words="other words"), share)
    assert ": 3 of 10 files changed, " in line
    assert b"other words" in (share / "sun" / PIN / "model/README.md").read_bytes()
    _published(crafted(seed=1), share)
    assert sorted(path.name for path in (share / "sun").iterdir()) == [PIN, "r-000000000001"]


def test_a_dry_run_tells_it_and_writes_nothing(crafted: Crafted, share: Path):
    (line,) = _published(crafted(), share, dry_run=True)
    assert "10 of 10 files added" in line and not share.exists()


@pytest.mark.parametrize("harm", ["changed", "added", "another"])
def test_what_somebody_changed_there_is_not_overwritten(crafted: Crafted, share: Path, harm: str):
    released, there = crafted(), share / "sun" / PIN
    _published(released, share)
    if harm == "another":
        shutil.rmtree(there)
        there.mkdir()
    (there / "notes.txt" if harm != "changed" else there / "model/README.md").write_text("mine")
    before = _files(share)
    with pytest.raises(Conflict, match=r"not as sdovis left it .*; nothing was written; move it elsewhere"):
        _published(crafted(words="other words"), share)
    assert _files(share) == before


def test_a_copy_that_fails_leaves_what_was_there(crafted: Crafted, share: Path, monkeypatch: pytest.MonkeyPatch):
    _published(crafted(), share)
    before = _files(share)

    def full(source: str, to: str, **_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sdovis.release.targets.shutil.copytree", full)
    with pytest.raises(Conflict, match=r"cannot be written: .*No space left on device; nothing was changed"):
        _published(crafted(words="other words"), share)
    assert _files(share) == before


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("what", ["a file in the way", "a link to nowhere", "a file for a folder"])
def test_what_is_in_the_way_is_told_by_a_dry_run_too_and_stays(crafted: Crafted, share: Path, what: str, dry_run: bool):
    there = share / "sun" / PIN
    there.parent.mkdir(parents=True)
    if what == "a link to nowhere":
        there.symlink_to(share / "nowhere")
    else:
        (there if what == "a file in the way" else share / "sun.txt").write_text("mine")
    place = share / "sun.txt" if what == "a file for a folder" else share
    before = sorted(share.rglob("*"))
    with pytest.raises(Conflict, match=r"nothing was written|is not a folder, or you may not write to it"):
        _published(crafted(), place, dry_run=dry_run)
    assert sorted(share.rglob("*")) == before


@pytest.mark.parametrize("place", ["~nobody-of-that-name/x", "x" * 300, "{release}", "{release}/model/new"])
def test_what_is_no_place_is_refused(crafted: Crafted, place: str):
    released = crafted()
    before = _files(released)
    with pytest.raises((BadInput, Conflict)) as caught:
        _published(released, Path(place.format(release=released)))
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)
    assert _files(released) == before


def test_of_a_copy_that_fails_for_every_file_the_first_reason_is_told(
    crafted: Crafted, share: Path, monkeypatch: pytest.MonkeyPatch
):
    def failing(source: str, to: str, **_: object) -> None:
        raise shutil.Error([("a", "b", "[Errno 13] Permission denied: 'a'"), ("c", "d", "the same")])

    monkeypatch.setattr("sdovis.release.targets.shutil.copytree", failing)
    with pytest.raises(Conflict, match=r"cannot be written: \[Errno 13\] Permission denied: 'a'; nothing was changed"):
        _published(crafted(), share)


def test_what_only_a_hub_can_do_is_refused_all_at_once(crafted: Crafted):
    with pytest.raises(BadInput) as caught:
        folder(Request(crafted(), public=True, accept=("abc1234",)))
    assert [problem.hint for problem in caught.value.problems] == [
        "write it as --to folder:PATH",
        "omit --public",
        "omit --accept",
    ]


def test_the_hub_is_a_target_and_the_default_and_its_place_is_its_address(
    hub: LoopbackHub, crafted: Crafted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = crafted().parent
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert run_command(["publish", str(run), "--dry-run"]) == 3
    assert run_command(["publish", str(run), "--to", f"hub:{hub.endpoint}"]) == 0
    assert "model org/sun (private" in capsys.readouterr().out
    assert all(hub.repository(kind, "org/sun").tags for kind in KINDS)


def test_the_command_line_sends_to_a_folder_and_says_where_a_target_is_unknown(
    crafted: Crafted, share: Path, capsys: pytest.CaptureFixture[str]
):
    run = crafted().parent
    assert run_command(["publish", str(run), "--to", f"folder:{share}"]) == 0
    assert capsys.readouterr().out.startswith(f"{share}/sun/{PIN}: 10 of 10 files added")
    assert run_command(["publish", str(run), "--to", "folders:x"]) == 2
    assert "targets: 'folders' is unknown; did you mean 'folder'?" in capsys.readouterr().err


@pytest.mark.skipif(not exchange.possible(Path(tempfile.gettempdir())), reason="this system cannot exchange folders")
def test_whoever_reads_a_folder_while_it_is_replaced_finds_a_release_at_every_moment(crafted: Crafted, share: Path):
    _published(crafted(), share)
    card, missing, done = share / "sun" / PIN / "model" / "README.md", [], threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                card.read_bytes()
            except OSError as error:
                missing.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        (line,) = _published(crafted(words=f"words {number}"), share)
    done.set()
    reader.join()
    assert missing == []
    assert "for a moment" not in line
    assert [path.name for path in (share / "sun").iterdir()] == [PIN], "the earlier one is gone"


@pytest.mark.parametrize("why", ["no such call", "not on this file system"])
def test_where_folders_cannot_be_exchanged_it_is_done_in_two_steps_and_said(
    crafted: Crafted, share: Path, why: str, monkeypatch: pytest.MonkeyPatch
):
    def cannot(*_: object) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1

    calls = types.SimpleNamespace() if why == "no such call" else types.SimpleNamespace(renameat2=cannot)
    monkeypatch.setattr("sdovis.exchange.ctypes.CDLL", lambda *_, **__: calls)
    (line,) = _published(crafted(), share)
    assert "for a moment" not in line, "there was none before"
    (line,) = _published(crafted(words="other words"), share)
    assert line.endswith("for a moment there was no release there")
    assert b"other words" in (share / "sun" / PIN / "model/README.md").read_bytes()
    assert [path.name for path in (share / "sun").iterdir()] == [PIN]


def test_an_exchange_that_fails_leaves_both_and_is_told(tmp_path: Path):
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError):
        exchange.exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one").is_dir()
