"""What a corpus says of itself is written in one order and read back as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from crafted_facts import corpus_facts
from sdovis import records
from sdovis.corpus.facts import CorpusFacts
from sdovis.errors import BadInput
from sdovis.readers.joins import FlareFacts

FLARES = FlareFacts("flares.csv", "M1.0", 24.0, "2010-05-01", "2014-12-31", "peaks later", 40, 3)


def test_the_facts_of_a_corpus_are_the_same_when_read_back(tmp_path):
    for facts in (corpus_facts(), corpus_facts(flares=FLARES, cutout_deg=12.0, rejects_by_reason={"blank": 2})):
        facts.save(tmp_path)
        assert CorpusFacts.load(tmp_path) == facts


def test_a_corpus_of_the_first_format_shows_what_it_showed_then(tmp_path):
    facts = corpus_facts(cutout_deg=12.0)
    said = {key: value for key, value in records.plain(facts).items() if key != "view"}
    told_then = ("channels", "size_px", "cutout_arcsec", "cutout_deg")
    written = json.dumps(said | {key: records.plain(facts.view)[key] for key in told_then})
    (tmp_path / "corpus.json").write_text(written)
    unsaid = {"center_px": None, "arcsec_per_px": None, "native_px": None, "max_longitude_deg": None}
    assert CorpusFacts.load(tmp_path) == replace(facts, view=replace(facts.view, **unsaid))
    assert (tmp_path / "corpus.json").read_text() == written


def test_only_a_study_of_flares_speaks_of_flares(tmp_path):
    corpus_facts().save(tmp_path)
    entries = list(json.loads((tmp_path / "corpus.json").read_text()))
    assert entries == ("format study simulated classes scheme spellings view rows rejects rejects_by_reason").split()
    replace(corpus_facts(), flares=FLARES).save(tmp_path)
    assert list(json.loads((tmp_path / "corpus.json").read_text())) == [*entries, "flares"]


def test_what_the_reader_says_of_rows_is_kept_if_it_says_anything(tmp_path):
    replace(corpus_facts(), notices=("2 of 9 rows are hidden",)).save(tmp_path)
    assert CorpusFacts.load(tmp_path).notices == ("2 of 9 rows are hidden",)


def test_a_misspelt_entry_of_a_corpus_is_named_with_its_file(tmp_path):
    corpus_facts().save(tmp_path)
    text = (tmp_path / "corpus.json").read_text()
    (tmp_path / "corpus.json").write_text(text.replace('"colormap"', '"colourmap"'))
    with pytest.raises(BadInput, match=r"corpus\.json: view\.channels\.0\.colormap is missing; .*run sdovis prepare"):
        CorpusFacts.load(tmp_path)
