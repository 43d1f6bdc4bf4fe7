"""`[source.fetch]` in a study file: dates as TOML writes them, and every mistake at once."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import pytest
from fetching import simulated_sun as sun
from sdovis import study as studies
from sdovis.errors import BadInput
from sdovis.study import Study


def load(folder: Path, *sets: str) -> Study:
    (folder / "study.toml").write_text(sun.STUDY.replace("ADDRESS", "http://127.0.0.1:1/"))
    return studies.load(folder / "study.toml", sets)


def test_days_may_be_dates_or_texts_and_travel_in_the_resolved_study(tmp_path):
    study = load(tmp_path)
    wish = study.source.fetch
    assert wish is not None and (wish.since, wish.to) == (sun.FIRST, sun.LAST)
    text = load(tmp_path, "source.fetch.from='2012-03-02'").source.fetch
    assert text is not None and text.since == date(2012, 3, 2)
    (tmp_path / "again.toml").write_text(study.to_toml(tmp_path))
    assert studies.load(tmp_path / "again.toml").source == study.source
    assert pickle.loads(pickle.dumps(study)) == study
    assert study.with_settings({"study.seed": 3}).source == study.source


def test_how_files_were_fetched_does_not_change_what_is_made_of_them(tmp_path):
    study, other = load(tmp_path), load(tmp_path, "source.fetch.cadence_hours=24", "source.fetch.to=2012-05-01")
    assert study.digest_of("source") == other.digest_of("source")


@pytest.mark.parametrize(
    ("sets", "why"),
    [
        (["source.fetch.to=2012-02-01"], "to = 2012-02-01 lies before from = 2012-03-01"),
        (["source.fetch.from=2009-01-01"], "from = 2009-01-01 lies before SDO's first images"),
        (["source.fetch.to=soon"], "source.fetch.to = 'soon': input should be a valid date"),
        (["source.fetch.cadence=12"], "source.fetch.cadence is unknown; did you mean 'cadence_hours'?"),
        (["source.fetch.cadence_hours=0"], "source.fetch.cadence_hours = 0: input should be greater than 0"),
        (["source.fetch.archive=vso"], "source.fetch.archive = 'vso': input should be"),
        (["source.fetch.addresses.jsocc='http://a/'"], "'jsocc' is no archive; choose among srs, srs-years"),
        (["source.fetch.addresses.jsoc='http://me:word@a/'"], "is not a web address"),
        (["source.fetch.addresses.jsoc='file:///a'"], "is not a web address"),
        (["source.max_gap_hours=2012-02-01"], "source.max_gap_hours is unknown"),
        (["study.title=2012-02-01"], "study.title"),
    ],
)
def test_mistakes_are_said(tmp_path, sets, why):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, *sets)
    assert why in str(caught.value)
