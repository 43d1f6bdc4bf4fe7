from __future__ import annotations

import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tiny
from sdovis.corpus.build import Corpus
from sdovis.learning import backbones, cache, loader


@pytest.fixture(scope="module")
def processor():
    return backbones._processor(tiny.SIZE)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of `loader.decode` was given."""
    calls: list[int] = []
    real = loader.decode
    monkeypatch.setattr(loader, "decode", lambda images, *a, **k: (calls.append(len(images)), real(images, *a, **k))[1])
    return calls


def codes(folder: Path, corpus: Corpus, part: str, processor) -> np.ndarray:
    return cache.codes(folder, corpus, part, processor, progress=False)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_the_cache_holds_what_decoding_gives_and_is_mapped(corpus, processor, tmp_path: Path, part: str) -> None:
    mapped = codes(tmp_path, corpus, part, processor)
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable
    assert np.array_equal(mapped, loader.decode(corpus.pictures_of(part), processor))


def test_pictures_are_decoded_once_and_never_again(corpus, processor, tmp_path: Path, decoded: list[int]) -> None:
    for _ in range(3):
        codes(tmp_path, corpus, "train", processor)
    assert sum(decoded) == 30


def test_a_moved_cache_and_a_copied_one_are_not_made_again(
    corpus, processor, tmp_path: Path, decoded: list[int]
) -> None:
    codes(tmp_path / "here", corpus, "train", processor)
    (tmp_path / "here").rename(tmp_path / "there")
    codes(tmp_path / "there", corpus, "train", processor)
    shutil.copytree(tmp_path / "there", tmp_path / "copy")
    copied, moved = (codes(tmp_path / name, corpus, "train", processor) for name in ("copy", "there"))
    assert np.array_equal(copied, moved)
    assert sum(decoded) == 30


def test_another_size_and_other_pictures_are_decoded_anew(
    corpus, processor, tmp_path: Path, decoded: list[int]
) -> None:
    codes(tmp_path, corpus, "train", processor)
    assert codes(tmp_path, corpus, "train", backbones._processor(16)).shape == (30, 16, 16)
    other = Corpus.load(tiny.write_corpus(tmp_path / "corpus", train=7))
    assert codes(tmp_path, other, "train", processor).shape == (7, 32, 32)
    resampled = backbones._processor(tiny.SIZE)
    resampled.resample = 3
    codes(tmp_path, other, "train", resampled)
    assert decoded == [30, 30, 7, 7]


@pytest.mark.parametrize("harm", ["changed", "cut", "no codes", "no manifest", "broken manifest"])
def test_a_damaged_cache_is_made_again_with_a_message(
    corpus, processor, tmp_path: Path, decoded: list[int], harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = np.array(codes(tmp_path, corpus, "train", processor))
    file, manifest = tmp_path / "train" / cache.CODES, tmp_path / "train" / "manifest.json"
    if harm == "changed":
        with file.open("r+b") as opened:
            opened.seek(5000)
            opened.write(b"\x07\x08\x09")
    elif harm == "cut":
        os.truncate(file, 5000)
    elif harm == "no codes":
        file.unlink()
    elif harm == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("{")
    with caplog.at_level(logging.WARNING):
        again = codes(tmp_path, corpus, "train", processor)
    assert np.array_equal(again, whole) and decoded == [30, 30]
    assert [m for m in caplog.messages if m.endswith("is damaged: decoding its pictures again")]


def test_a_whole_cache_is_read_through_once_and_not_at_every_start(
    corpus, processor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes(tmp_path, corpus, "train", processor)
    seen: list[str] = []
    real = cache.manifests.sha256_file
    monkeypatch.setattr(cache.manifests, "sha256_file", lambda path: (seen.append(path.name), real(path))[1])
    codes(tmp_path, corpus, "train", processor)
    assert not seen
    os.utime(tmp_path / "train" / cache.CODES)
    codes(tmp_path, corpus, "train", processor)
    codes(tmp_path, corpus, "train", processor)
    assert seen.count(cache.CODES) == 1


@pytest.mark.parametrize("colourful", [0, 29])
def test_one_picture_in_colour_makes_all_of_them_coloured(
    processor, tmp_path: Path, colourful: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "AT_ONCE", 10)
    corpus = Corpus.load(tiny.write_corpus(tmp_path / "corpus"))
    pictures = corpus.pictures_of("train")
    pictures[colourful] = tiny.png(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    mixed = Corpus(corpus.folder, corpus.classes, corpus.rows, pictures, corpus.facts, corpus.manifest)
    assert np.array_equal(codes(tmp_path / "cache", mixed, "train", processor), loader.decode(pictures, processor))


def _in_a_process(folder: Path, corpus_folder: Path, log: Path) -> None:
    processor = backbones._processor(tiny.SIZE)
    real = loader.decode

    def told(images, *rest, **more):
        with log.open("a") as file:
            file.write(f"{len(images)}\n")
        return real(images, *rest, **more)

    loader.decode = told
    mapped = cache.codes(folder, Corpus.load(corpus_folder), "train", processor, progress=False)
    assert mapped.shape == (30, 32, 32)


def test_of_several_processes_one_decodes_and_the_others_wait(corpus_folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    several = multiprocessing.get_context("fork")
    started = [several.Process(target=_in_a_process, args=(tmp_path / "c", corpus_folder, log)) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0] * 4
    assert log.read_text() == "30\n"


def test_memory_does_not_grow_with_the_corpus(processor, tmp_path: Path) -> None:
    peaks = []
    for count in (300, 1200):
        corpus = Corpus.load(tiny.write_corpus(tmp_path / str(count), train=count))
        codes(tmp_path / "warm", corpus, "validation", processor)
        tracemalloc.start()
        pictures = loader.Pictures(codes(tmp_path / f"cache {count}", corpus, "train", processor), [0] * count)
        for start in range(0, count, 10):
            pictures.__getitems__(range(start, start + 10))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 900 more pictures are 920 kB of codes and as many of PNG: of their labels alone a little more is allowed.
    assert peaks[1] < peaks[0] + 200_000, peaks


def test_a_full_disk_is_an_error_that_leaves_nothing_and_the_next_call_makes_the_cache(
    corpus, processor, tmp_path: Path
) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        with pytest.raises(OSError, match="File too large"):
            codes(tmp_path, corpus, "train", processor)

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    process = multiprocessing.get_context("fork").Process(target=full)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert not (tmp_path / "train").exists() and not list(tmp_path.glob(".train-*"))
    assert codes(tmp_path, corpus, "train", processor).shape == (30, 32, 32)


def test_the_cache_says_what_it_was_made_from(corpus, processor, tmp_path: Path) -> None:
    codes(tmp_path, corpus, "train", processor)
    manifest = json.loads((tmp_path / "train" / "manifest.json").read_text())
    assert manifest["stage"] == "cache" and list(manifest["files"]) == [cache.CODES]
    assert {"pictures", "processor", "pillow", "transformers", "sdovis"} == set(manifest["made_from"])
