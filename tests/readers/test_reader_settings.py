"""A reader and the table of settings that it brings to a study, without any distribution."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import Field
from sdovis import plugins
from sdovis import study as studies
from sdovis.errors import BadInput
from sdovis.study import Reader, Source, SourceSettings, Study

STUDY = """
format = 2
[study]
name = "small"
[source]
reader = "lines"
[source.lines]
file = "a.txt"
[images]
channel = "hmi-magnetogram"
[backbone]
id = "facebook/dinov2-small"
"""


class Inner(SourceSettings):
    depth: int = 1


class Lines(SourceSettings):
    file: str
    step: int = Field(1, ge=1)
    inner: Inner = Inner()


LINES = Reader(
    lambda source, settings: [],
    settings=Lines,
    requires=("images",),
    fills_in=lambda study: {"images": "pictures", "columns": {"label": "Kind"}, "lines": {"step": 2}},
)


@pytest.fixture
def study(monkeypatch, fresh_plugins, tmp_path) -> Callable[..., Study]:
    """Loads the study above, the reader `lines` beside those that are installed."""
    real = plugins.entry_points

    def entry_points(group: str, **by: str) -> list[EntryPoint]:
        ours = EntryPoint("lines", f"{__name__}:LINES", group)
        odd = [EntryPoint("images", f"{__name__}:LINES", group), EntryPoint("pi", "math:pi", group)]
        return [*real(group=group), *([ours, *odd] if group == "sdovis.readers" else [])]

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    (tmp_path / "study.toml").write_text(STUDY)
    return lambda *sets: studies.load(tmp_path / "study.toml", sets)


def _said(study: Callable[..., Study], *sets: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        study(*sets)
    return [str(problem).partition("study.toml: ")[2] or str(problem) for problem in caught.value.problems]


def test_what_the_reader_fills_in_lies_below_what_the_study_says(study):
    source = study("source.lines.inner.depth=3").source
    assert isinstance(source.settings, Lines)
    assert (source.settings.step, source.settings.inner.depth) == (2, 3)
    assert (source.images, source.columns.label) == ("pictures", "Kind")
    source = study("source.lines.step=5", "source.images=here", "source.columns.label=Type").source
    assert (source.settings.step, source.images, source.columns.label) == (5, "here", "Type")


def test_settings_are_part_of_the_resolved_study_of_its_digest_and_of_what_travels_to_other_processes(study, tmp_path):
    one = study("source.lines.step=3")
    (tmp_path / "study.toml").write_text(one.to_toml(tmp_path))
    assert studies.load(tmp_path / "study.toml").source.settings == one.source.settings
    assert one.digest_of("source") != study("source.lines.step=4").digest_of("source")
    assert pickle.loads(pickle.dumps(one)) == one
    assert one.with_settings({"study.seed": 3}).source == one.source


def test_every_mistake_in_the_settings_is_said_with_all_others_of_the_study(study):
    assert set(_said(study, "source.lines={stepp=2, inner={dept=1}, step=0}", "source.image=x", "split.test=3")) == {
        "source.lines.file is missing; add file = ... under [source.lines]",
        "source.lines.step = 0: input should be greater than or equal to 1",
        "source.lines.stepp is unknown; did you mean 'step'?",
        "source.lines.inner.dept is unknown; did you mean 'depth'?",
        "source.image is unknown; did you mean 'images'?",
        "split.test = 3: input should be less than 0.6",
    }
    assert _said(study, "source.lines=a.txt") == [
        "source.lines = 'a.txt' is not a table; write its entries under [source.lines]"
    ]
    assert _said(study, "source.images=''") == ["source.images is missing; add images = ... under [source]"]
    (line,) = _said(study, "source.srs={summaries='x'}")
    assert line.startswith("[source.srs] is for the reader 'srs', which the study does not use; remove it")


def test_an_unknown_reader_is_said_beside_the_other_mistakes_of_source(study):
    sets = ["source.reader=sprdsheet", "source.workbok=w", "source.columns.lable=x", "source.sprdsheet={of=1}"]
    assert set(_said(study, *sets)) == {
        "source.reader 'sprdsheet' is unknown; did you mean 'spreadsheet'?",
        "source.workbok is unknown; did you mean 'workbook'?",
        "source.columns.lable is unknown; did you mean 'label'?",
        "[source.lines] is for the reader 'lines', which the study does not use; "
        'remove it, or set source.reader = "lines"',
    }


def test_a_reader_that_cannot_be_one_is_said_beside_the_other_mistakes(study):
    said = _said(study, "source.reader=pi", "images.channel=hmi-magnetgram", "source.image=x", "source.pi={a=1}")
    assert "plug-in 'pi' of an unknown distribution is of type float but must be of type Reader" in said[0]
    assert "did you mean 'hmi-magnetogram'?" in said[1]
    assert sorted(said[2:]) == [
        "[source.lines] is for the reader 'lines', which the study does not use; "
        'remove it, or set source.reader = "lines"',
        "source.image is unknown; did you mean 'images'?",
    ]
    line, *_ = _said(study, "source.reader=images")
    assert line.startswith("readers: 'images' cannot have settings: [source] already has an entry of that name")


def test_a_reader_without_settings_of_its_own_is_given_none(study):
    source = Source(workbook="book.xlsx", root=Path("x"))
    assert source.settings is None and source.rows_from == "book.xlsx"
    said = _said(study, "source.reader=spreadsheet", "source.workbook=a", "source.spreadsheet={}")
    assert "[source.spreadsheet] is not used: the reader 'spreadsheet' has no settings; remove it" in said
