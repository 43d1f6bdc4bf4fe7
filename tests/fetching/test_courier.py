"""One file over a bad line: what gets its name is whole, and nothing is asked for more often than need be."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fetching.archive import FAULTS, LoopbackArchive
from fetching.ftp_archive import FtpArchive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdovis import patience
from sdovis.fetching.archives import Addresses
from sdovis.fetching.courier import Courier
from sdovis.fetching.faults import Failed, Missing, Passing
from sdovis.fetching.parts import PartialFile

DATA = np.random.default_rng(0).bytes(200_000)
PATH = "/a/file.bin"


@pytest.fixture
def archive(impatient: None) -> Iterator[LoopbackArchive]:
    with LoopbackArchive() as made:
        made.files[PATH] = DATA
        yield made


def is_right(part: Path) -> None:
    if hashlib.sha256(part.read_bytes()).digest() != hashlib.sha256(DATA).digest():
        raise Passing("is not the file")


def load(
    archive: LoopbackArchive, place: Path, check: Callable[[Path], None] = is_right, said: list[str] | None = None
) -> bytes:
    lines: list[str] = [] if said is None else said
    with Courier(1000, lines.append) as courier:
        part = courier.load(archive.address.rstrip("/") + PATH, place, 10**6, check)
        part.moved(place)
    return place.read_bytes()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("ranges", [True, False])
def test_after_any_fault_the_file_is_whole(archive, tmp_path, fault, ranges):
    archive.ranges, archive.share, archive.only = ranges, 1.0, (fault,)  # two faults, then the file
    assert load(archive, tmp_path / "file.bin") == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"], "nothing else is left"
    resumed = [each.asked_range for each in archive.loads(PATH) if each.asked_range]
    assert bool(resumed) == (fault in ("truncate", "stall")), "a part goes on, if the archive can"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 199_999), st.booleans())
def test_whatever_part_is_there_the_file_is_whole(archive, tmp_path_factory, seed, have, same):
    """A part of any length, of this file or of one that the archive has replaced since, over lines with faults."""
    archive.share, archive.seed, archive.only = 0.3, seed, ("truncate", "500", "web page", "drop", "redirect")
    place = tmp_path_factory.mktemp("part") / "file.bin"
    part = PartialFile(place, archive.address.rstrip("/") + PATH)
    tag = hashlib.sha256(DATA if same else b"old").hexdigest()[:16]
    part.file.write_bytes(DATA[:have] if same else b"\0" * have)
    part.note(len(DATA), f'"{tag}"')
    wrong: list[Path] = []

    def check(found: Path) -> None:
        if found.read_bytes() != DATA:
            wrong.append(found)
            raise Passing("is not the file")

    assert load(archive, place, check) == DATA
    assert not wrong, "bytes of two files are never joined"


@pytest.mark.parametrize(
    ("header", "name", "form"),
    [("Content-MD5", "md5", "{}"), ("Digest", "sha256", "SHA-256={}"), ("Repr-Digest", "sha512", "sha-512=:{}:")],
)
def test_sums_that_the_archive_gives_are_compared(archive, tmp_path, header, name, form):
    def sums(data: bytes) -> dict[str, str]:
        return {header: form.format(base64.b64encode(hashlib.new(name, data).digest()).decode())}

    archive.headers[PATH] = sums(DATA)
    assert load(archive, tmp_path / "right", check=lambda part: None) == DATA
    archive.headers[PATH] = sums(b"other")
    with pytest.raises(Failed, match=f"has another {name} sum than the archive says"):
        load(archive, tmp_path / "wrong", check=lambda part: None)
    assert [path.name for path in tmp_path.iterdir()] == ["right"]


def test_what_does_not_open_is_asked_for_again_and_then_given_up(archive, tmp_path):
    archive.files[PATH] = b"no solar image"
    said: list[str] = []
    with pytest.raises(Failed, match="is not the file"):
        load(archive, tmp_path / "file.bin", said=said)
    assert len(archive.loads(PATH)) == 1 + len(patience.PAUSES) == 1 + len(said)
    assert [*tmp_path.iterdir()] == []


def test_a_pause_that_the_archive_asks_for_is_kept_and_too_long_a_one_ends_the_run(archive, tmp_path):
    archive.share, archive.only, archive.retry_after = 1.0, ("429",), "1"
    before = time.monotonic()
    assert load(archive, tmp_path / "file.bin") == DATA
    assert time.monotonic() - before >= 2
    archive.retry_after = "4000"
    with Courier(1000, lambda line: None) as courier:
        for _ in range(3):
            with pytest.raises(Failed, match="asks for a pause of 4000 seconds"):
                courier.body(archive.address + "other")
    assert len(archive.loads("/other")) == 1, "nothing more is asked of it"


def test_an_archive_that_is_gone_is_not_asked_for_every_file(tmp_path, impatient, monkeypatch):
    with LoopbackArchive() as archive:
        gone = archive.address
    monkeypatch.setattr(patience, "PATIENCE", 0.05)
    monkeypatch.setattr(patience, "PAUSES", (0.1,) * 4)
    before = time.monotonic()
    with Courier(1000, lambda line: None) as courier:
        for n in range(100):
            with pytest.raises(Failed, match="has given no good answer for"):
                courier.body(f"{gone}{n}")
    assert time.monotonic() - before < 5


def test_requests_to_one_archive_are_so_far_apart(archive):
    rests: list[float] = []
    with Courier(0.01, lambda line: None, rested=rests.append) as courier:
        for _ in range(3):
            courier.body(archive.address.rstrip("/") + PATH)
    assert len(rests) == 2
    assert all(50 < rest <= 100 for rest in rests)


def test_what_is_not_there_is_not_asked_for_twice(archive):
    with Courier(1000, lambda line: None) as courier, pytest.raises(Missing):
        courier.size(archive.address + "nowhere")
    assert len(archive.seen) == 1


def test_no_file_larger_than_such_files_are_is_loaded(archive, tmp_path):
    with Courier(1000, lambda line: None) as courier, pytest.raises(Failed, match="no such file does"):
        courier.load(archive.address.rstrip("/") + PATH, tmp_path / "file.bin", 100_000, is_right)
    assert [*tmp_path.iterdir()] == []


def test_messages_do_not_repeat_what_stands_in_an_address(archive, tmp_path):
    said: list[str] = []
    archive.share, archive.only = 1.0, ("drop", "500", "stall")
    with Courier(1000, said.append) as courier:
        courier.body(f"{archive.address.rstrip('/')}{PATH}?notify=ada@example.org")
    assert said and not any("ada" in line for line in said)


@pytest.mark.parametrize("cut_after", [None, 70_000])
def test_files_come_by_ftp_too_and_go_on(tmp_path, impatient, cut_after):
    with FtpArchive({"/pub/2011/2011_SRS.tar.gz": DATA}, cut_after) as archive:
        url = f"{archive.address}pub/2011/2011_SRS.tar.gz"
        place = tmp_path / "out" / "2011_SRS.tar.gz"
        with Courier(1000, lambda line: None) as courier:
            assert courier.size(url) == len(DATA)
            courier.load(url, place, 10**6, is_right).moved(place)
            assert place.read_bytes() == DATA
            assert archive.rests == ([] if cut_after is None else [70_000]), "the part goes on"
            with pytest.raises(Missing):
                courier.size(url.replace("2011_SRS", "1900_SRS"))


def test_the_loopback_archive_is_no_archives_own_address(archive):
    assert not Addresses({"srs": archive.address}).is_own("srs")
