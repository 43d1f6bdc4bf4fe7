"""What is left on the disk goes away by age and by size; what a visitor has just sent stays."""

from __future__ import annotations

import os
import time

import pytest
from sdovis.webapp import sweeping
from sdovis.webapp.sweeping import MAX_AGE_S, SAFE_S, UNFINISHED_S, Disk


@pytest.fixture
def put(tmp_path):
    def put(name, size, age_s):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(size))
        then = time.time() - age_s
        os.utime(file, (then, then))
        os.utime(file.parent, (then, then))
        return file

    return put


@pytest.fixture(autouse=True)
def small_files_count_as_what_they_are(monkeypatch):
    monkeypatch.setattr(sweeping, "LEAST_BYTES", 1)


def left(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_half_uploads_empty_leftovers_and_old_files_go_and_new_ones_stay(put, tmp_path):
    put("tmphalf", 1000, UNFINISHED_S + 5)
    put("tmpgrowing", 1000, UNFINISHED_S - 5)
    put("tmpempty", 0, SAFE_S + 5)
    put("tmpjustopened", 0, SAFE_S - 5)
    put("0a/old.fits", 1000, MAX_AGE_S + 5)
    put("0b/of an hour.fits", 1000, MAX_AGE_S - 5)
    put("0c/empty.fits", 0, SAFE_S + 5)
    Disk(tmp_path).sweep()
    assert left(tmp_path) == {"tmpgrowing", "tmpjustopened", "0b/of an hour.fits"}
    assert (tmp_path / "0a").exists()  # somebody may be about to move a file into it
    then = time.time() - SAFE_S - 5
    os.utime(tmp_path / "0a", (then, then))
    Disk(tmp_path).sweep()
    assert not (tmp_path / "0a").exists() and (tmp_path / "0b").exists()


def test_beyond_the_total_size_large_and_old_files_go_first(put, tmp_path):
    put("a/large.fits", 600, 300)
    put("b/small.fits", 100, 500)
    put("c/large and old.fits", 500, 2000)
    put("d/large and new.fits", 600, SAFE_S - 5)
    Disk(tmp_path, 1600).sweep()
    assert left(tmp_path) == {"b/small.fits", "d/large and new.fits"}


def test_what_does_not_fit_is_not_taken_and_a_sweep_makes_room(put, tmp_path):
    put("a/old.fits", 800, 300)
    disk = Disk(tmp_path, 1000)
    disk.sweep()
    assert left(tmp_path) == set()  # beyond three quarters
    assert disk.take(900) and not disk.take(200)
    assert disk.full.is_set()
    put("b/new.fits", 900, 0)
    disk.sweep()
    assert not disk.take(200)
    put("b/new.fits", 900, SAFE_S + 5)
    disk.sweep()
    assert disk.take(200)


def test_very_many_small_files_are_too_much_as_well(put, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeping, "LEAST_BYTES", 1000)
    for number in range(10):
        put(f"{number}/x.fits", 3, 1000 - number)
    Disk(tmp_path, 8000).sweep()
    assert left(tmp_path) == {f"{number}/x.fits" for number in range(4, 10)}  # the six newest: three quarters of eight


def test_a_file_that_goes_meanwhile_and_a_link_are_no_trouble(put, tmp_path):
    put("a/x.fits", 10, MAX_AGE_S + 5).unlink()
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    Disk(tmp_path).sweep()
    Disk(tmp_path / "nothing").sweep()


def test_sweeping_goes_on(put, tmp_path, monkeypatch):
    disk = Disk(tmp_path)
    monkeypatch.setattr(sweeping, "MAX_AGE_S", 0.2)
    monkeypatch.setattr(sweeping, "FULL_S", 0.05)
    file = put("a/x.fits", 10, 0)
    sweeping.keep_swept(disk)
    for _ in range(100):
        time.sleep(0.05)
        disk.full.set()
        if not file.exists():
            return
    raise AssertionError("it is still there")
