"""Each public data set in its true layout: what is read of it, what leaks between its parts, and a model trained on it."""

from __future__ import annotations

from pathlib import Path

import public_sets
import pytest
from public_sets import WRITERS
from sdovis import study as studies
from sdovis.cli import app
from sdovis.corpus.build import Corpus
from typer.testing import CliRunner


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_model_is_trained_on_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = public_sets.study_of(tmp_path, WRITERS[name](tmp_path))
    done = CliRunner().invoke(app, ["run", str(path)])
    assert done.exit_code == 0, done.output
    corpus = Corpus.load(Path("runs/toy/corpus"))
    assert set(corpus.rows["split"]) == {"train", "validation", "test"}
    assert corpus.audit is not None
    card = Path("runs/toy/cards/dataset/README.md").read_text()
    if studies.load(path).split.method == "published":
        assert "kept as it was published" in card
    first = corpus.rows.iloc[0]
    assert first["image_sha256"] and (Path("runs/toy/model") / "config.json").is_file()
    address = {"dataset": "parquet::image[", "sdoml": ".zarr::2012/171A[", "suryabench": ".nc::aia171"}.get(name)
    assert address is None or address in first["image_file"]
