"""A tiny corpus, made once; torch on one thread, as its threads wait for each other on a busy machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_corpus(tmp_path_factory.mktemp("tiny") / "corpus")


@pytest.fixture(scope="session")
def corpus(corpus_folder: Path):
    from sdovis.corpus.build import Corpus

    return Corpus.load(corpus_folder)
