import hashlib
import os
import signal
import subprocess
import sys
import time

import deadly
import pandas as pd
import pytest
from sdovis import manifests
from sdovis import study as studies
from sdovis.corpus import build, catalog
from sdovis.corpus.observations import Sorted
from sdovis.corpus.shards import SCHEMA, Looked, Shards
from sdovis.errors import BadInput


@pytest.fixture
def study(small_study):
    return studies.load(small_study)


def test_a_killed_preparation_goes_on_without_making_finished_shards_again(study, tmp_path, monkeypatch):
    rows = build.read_rows(study)
    whole = build.build(study, tmp_path / "whole" / "corpus", rows, progress=False)

    stopped = tmp_path / "stopped"
    written = []
    write = Shards.write

    def until_the_second(self, number, looked):
        if number == 2:
            raise KeyboardInterrupt
        write(self, number, looked)

    monkeypatch.setattr(Shards, "write", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        build.build(study, stopped / "corpus", rows, progress=False)
    assert not (stopped / "corpus").exists()

    monkeypatch.setattr(Shards, "write", lambda self, n, looked: (written.append(n), write(self, n, looked))[1])
    build.build(study, stopped / "corpus", rows, progress=False)
    assert written
    assert min(written) == 2
    assert manifests.sums(stopped / "corpus") == manifests.sums(whole.folder)
    assert [path.name for path in stopped.iterdir()] == ["corpus"]


def test_kill_9_in_the_middle_leaves_shards_that_the_same_command_goes_on_with(small_study, tmp_path):
    command = [sys.executable, "-m", "sdovis", "prepare", str(small_study)]
    killed = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL)
    folder = tmp_path / "runs" / studies.load(small_study).name
    finished = folder / ".shards-of-corpus" / "000000.parquet"
    while not finished.exists() and killed.poll() is None:
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    stamp = finished.stat().st_mtime_ns if finished.exists() else None
    assert stamp, "it was too quick to be killed"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        study = studies.load(small_study)
        seen = []
        take = Shards.read
        patch.setattr(Shards, "read", lambda self, n: (seen.append(self._path(n).stat().st_mtime_ns), take(self, n))[1])
        build.build(study, folder / "corpus", build.read_rows(study), progress=False)
    assert seen[0] == stamp


def test_shards_of_other_images_are_thrown_away(study, tmp_path):
    Shards.opened(tmp_path / "shards", "one").write(0, [])
    assert Shards.opened(tmp_path / "shards", "one").finished() == {0}
    assert Shards.opened(tmp_path / "shards", "two").finished() == set()


def test_an_unfinished_shard_is_not_taken_for_a_whole_one(tmp_path):
    Shards.opened(tmp_path, "one")
    (tmp_path / "000000.part").write_bytes(b"PAR1")
    assert Shards.opened(tmp_path, "one").finished() == set()
    assert not (tmp_path / "000000.part").exists()


def test_an_example_that_lacks_a_column_is_not_written_as_if_it_had_no_value(tmp_path):
    shards = Shards.opened(tmp_path / "shards", "one")
    whole = dict.fromkeys(SCHEMA.names)
    shards.write(0, [Looked("", Sorted([whole]))])
    missing = {name: value for name, value in whole.items() if name != "longitude_deg"}
    for example, named in ((missing, "longitude_deg"), ({**missing, "longitude": 1.0}, "longitude, longitude_deg")):
        with pytest.raises(AssertionError, match=rf"columns differ in {named}$"):
            shards.write(1, [Looked("", Sorted([whole, example]))])
    assert shards.finished() == {0}


def test_nothing_is_left_where_the_rows_are_faulty(study, tmp_path):
    rows = build.read_rows(study)
    broken = type(rows[0])(rows[0].file, rows[0].sheet, 99, {**rows[0].cells, "label": "Btea"}, rows[0].headings)
    with pytest.raises(BadInput):
        build.build(study, tmp_path / "made" / "corpus", [*rows, broken], progress=False)
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_bytes_do_not_depend_on_the_number_of_workers(study, tmp_path, workers):
    rows = build.read_rows(study)[:70]
    one = build.build(study, tmp_path / "one", rows, progress=False, workers=2)
    other = build.build(study, tmp_path / "other", rows, progress=False, workers=workers)
    assert manifests.sums(one.folder) == manifests.sums(other.folder)


def test_the_pictures_are_read_in_the_order_of_the_rows(study, tmp_path):
    corpus = build.build(study, tmp_path / "corpus", build.read_rows(study), progress=False)
    sums = [
        hashlib.sha256((codes := build.layers(png)[0]).tobytes() + repr(codes.shape).encode()).hexdigest()
        for png in corpus.pictures
    ]
    assert sums == corpus.rows["pixels_sha256"].tolist()
    assert corpus.pictures[-1] == list(corpus.pictures)[-1]
    assert corpus.pictures[3:5] == [corpus.pictures[3], corpus.pictures[4]]
    assert corpus.pictures_of("test") == corpus.pictures[(corpus.rows["split"] == "test").to_numpy().argmax() :]
    with pytest.raises(IndexError):
        corpus.pictures[len(corpus.pictures)]


def test_an_image_that_takes_its_decoder_down_costs_its_own_rows_only(study, tmp_path, monkeypatch):
    rows = build.read_rows(study)
    victim = rows[5].text("image")
    (study.image_root / "victim.txt").write_text(victim)
    monkeypatch.setattr(catalog, "_looked", deadly.killed_by_the_image_named_in_a_file)
    lenient = study.model_copy(update={"source": study.source.model_copy(update={"on_problem": "reject"})})
    corpus = build.build(lenient, tmp_path / "corpus", rows, progress=False)
    rejects = pd.read_csv(corpus.folder / "rejects.csv")
    assert rejects[rejects["reason"].str.contains("was killed")]["image"].tolist() == [victim]
    assert len(corpus.rows) > 50
