"""A study written in an older format still loads, says the same, and is rewritten with its comments when asked."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
from sdovis import formats, manifests
from sdovis import study as studies
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.learning.record import TrainingRecord
from sdovis.study.upgrade import upgrade
from sdovis.version import __version__
from studies import ROOT

OLD = """\
# Flares of real regions.
# Written in 2026.

[study]
name = "old"            # short
seed = 7

# where all comes from
[source]
reader = "srs"
root = "data"
# the archive of SWPC
srs = "noaa_srs"        # yearly .tar.gz files
images = "aia211"
srs_max_gap_hours = 6

# the list that NOAA keeps
# (peak times)
flares = "goes.csv"
flare_class = "C1.0"
flare_hours = 24
files = ["*_0211.jpg",
  "94_*",               # the second channel
  "131_*"]

[source.columns]
noaa_ar = "NOAA AR"

[images]                # three channels
channel = ["aia-211-browse", "aia-94-browse", "aia-131-browse"]
[labels]
scheme = "flare"
[backbone]
id = "facebook/dinov2-small"
"""
NEW = """\
# Flares of real regions.
# Written in 2026.

format = 2

[study]
name = "old"            # short
seed = 7

# where all comes from
[source]
reader = "srs"
root = "data"
images = "aia211"

[source.columns]
noaa_ar = "NOAA AR"

[source.srs]
# the archive of SWPC
summaries = "noaa_srs"        # yearly .tar.gz files
max_gap_hours = 6
# the list that NOAA keeps
# (peak times)
flares = "goes.csv"
flare_class = "C1.0"
flare_hours = 24
files = ["*_0211.jpg",
  "94_*",               # the second channel
  "131_*"]

[images]                # three channels
channel = ["aia-211-browse", "aia-94-browse", "aia-131-browse"]
[labels]
scheme = "flare"
[backbone]
id = "facebook/dinov2-small"
"""
#: What a run of the reader `spreadsheet` kept of its study before format 2: the settings of `srs` spelt out.
RESOLVED = """\
[study]
name = "small"
[source]
reader = "spreadsheet"
workbook = "book.xlsx"
srs = ""
srs_max_gap_hours = 24.0
files = "*"
quiet_per_image = 2
quiet_distance_deg = 25.0
flares = ""
flare_class = ""
sharp = ""
sharp_max_gap_hours = 12.0
harps = ""
[images]
channel = "hmi-magnetogram"
[backbone]
id = "facebook/dinov2-small"
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(OLD)
    return path


def _problems(path: Path, *sets: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        studies.load(path, sets)
    return [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_a_study_of_format_1_is_the_same_study_before_and_after_its_file_is_rewritten(old):
    before = studies.load(old)
    settings = before.source.settings
    assert (settings.summaries, settings.max_gap_hours, settings.flare_hours) == ("noaa_srs", 6.0, 24.0)
    assert settings.files == ("*_0211.jpg", "94_*", "131_*") and settings.quiet_seed == 7
    assert before.source.columns.label == "C flare next 24 h"
    upgrade(old)
    after = studies.load(old)
    assert after == before and after.digest_of("source", "images") == before.digest_of("source", "images")


def test_the_rewritten_file_keeps_comments_order_and_spacing(old):
    changes = upgrade(old)
    assert old.read_text() == NEW
    assert changes[:3] == [
        "format = 2",
        "source.srs is now source.srs.summaries",
        "source.srs_max_gap_hours is now source.srs.max_gap_hours",
    ]
    assert upgrade(old) == [] and old.read_text() == NEW


ABOUT = '# about images\n# (all three)\n[images]\nchannel = "x"\n'


@pytest.mark.parametrize(
    ("above", "wanted"),
    [
        ('srs = "a"\n\n', '\n[source.srs]\nsummaries = "a"\n\n'),
        ('srs = "a"\nroot = "."\n', 'root = "."\n\n[source.srs]\nsummaries = "a"\n\n'),
        (
            'srs = "a"\n[source.columns]\nlabel = "Spots"\n\n',
            '[source.columns]\nlabel = "Spots"\n\n[source.srs]\nsummaries = "a"\n\n',
        ),
        (
            'srs = "a"\nroot = "."\n# of the root\n\n',
            'root = "."\n# of the root\n\n[source.srs]\nsummaries = "a"\n\n',
        ),
        (
            'flares = "a"\n\n# about srs\n[source.srs]\nflare_hours = 3\n\n',
            '\n# about srs\n[source.srs]\nflare_hours = 3\nflares = "a"\n\n',
        ),
    ],
    ids=["after-a-blank-line", "directly-below", "after-a-table-within", "beside-one-of-source", "the-table-is-there"],
)
def test_a_comment_stays_above_the_table_it_stood_over(tmp_path, above, wanted):
    path = tmp_path / "study.toml"
    path.write_text(f'[source]\nreader = "srs"\n{above}{ABOUT}')
    upgrade(path)
    assert path.read_text() == f'format = 2\n\n[source]\nreader = "srs"\n{wanted}{ABOUT}'


def test_an_override_of_an_old_file_may_name_the_key_of_either_format(old):
    assert studies.load(old, ["source.srs_max_gap_hours=12"]).source.settings.max_gap_hours == 12
    assert studies.load(old, ["source.srs.max_gap_hours=12"]).source.settings.max_gap_hours == 12
    assert studies.load(old, ["source.srs=other"]).source.settings.summaries == "other"


def test_the_resolved_study_of_another_reader_loads_and_what_had_no_effect_is_left_out(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(RESOLVED)
    study = studies.load(path)
    assert study.source.settings is None and study.source.rows_from == "book.xlsx"
    assert "source.files was removed: it had no effect" in upgrade(path)
    assert studies.load(path) == study and "srs" not in path.read_text()
    path.write_text(RESOLVED.replace('sharp = ""', 'sharp = "sharp.csv"'))
    assert _problems(path)[0].startswith("[source.srs] is for the reader 'srs', which the study does not use")


def test_in_a_study_of_the_new_format_an_old_key_is_refused_and_says_where_it_went(old):
    old.write_text("format = 2\n" + OLD)
    said = _problems(old)
    assert "source.srs = 'noaa_srs' is not a table; it moved to source.srs.summaries in format 2" in said
    assert "source.srs_max_gap_hours is unknown; it moved to source.srs.max_gap_hours in format 2" in said
    assert "source.files is unknown; it moved to source.srs.files in format 2" in said


def test_a_format_that_this_sdovis_does_not_know_is_one_line_with_the_way_out(old):
    old.write_text("format = 3\n" + OLD)
    known = (
        f"is in format 3, but sdovis {__version__} knows formats only up to 2; run pip install 'sdovis>{__version__}'"
    )
    assert _problems(old) == [known]
    for wrong in ("0", "true", '"two"'):
        old.write_text(f"format = {wrong}\n" + OLD)
        (line,) = _problems(old)
        assert "is not a whole number of at least 1; write 2" in line


@pytest.mark.parametrize(
    "text",
    [
        'source = { reader = "srs", srs = "a", srs_max_gap_hours = 6 }\n[images]\nchannel = "x"\n',
        'source.reader = "srs"\nsource.srs = "a"\n[images]\nchannel = "x"\n',
        '[source]\nreader = "srs"\nsrs = "a"\n[images]\nchannel = "x"\n[source.columns]\nlabel = "Spots"\n',
        '[source]\nreader = "srs"\ncolumns.label = "x"\nsrs = "a"',
        '[source]\r\nreader = "srs"\r\nsrs = "a"  # here\r\n',
        "# nothing yet\n",
    ],
    ids=["inline", "dotted", "out-of-order", "no-last-newline", "crlf", "empty"],
)
def test_however_a_file_is_laid_out_the_rewritten_one_says_the_same(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_bytes(text.encode())
    wanted = formats.brought_up(tomllib.loads(text), formats.STUDY)
    upgrade(path)
    again = path.read_bytes().decode()
    assert tomllib.loads(again) == wanted
    assert again.count("\r\n") == again.count("\n") * ("\r" in text)
    assert again.count("#") == text.count("#")


def test_what_cannot_be_rewritten_stays_and_the_line_says_what_to_change(old, monkeypatch):
    monkeypatch.setattr("sdovis.study.upgrade._rewritten", lambda text, before, after: text)
    with pytest.raises(BadInput, match=r"edit it by hand: source\.srs is now source\.srs\.summaries; .*format = 2"):
        upgrade(old)
    assert old.read_text() == OLD


def test_check_upgrade_rewrites_says_what_it_changed_and_is_content_where_there_is_nothing(old, capsys):
    assert run_command(["check", str(old), "--upgrade"]) == 0
    assert f"{old}: source.srs is now source.srs.summaries" in capsys.readouterr().out
    assert run_command(["check", str(old), "--upgrade"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert run_command(["check", str(old), "--upgrade", "--set", "study.seed=1"]) == 2
    assert "leave out --set" in capsys.readouterr().err


def test_what_sdovis_writes_is_of_the_newest_format(old):
    for path in (ROOT / "examples").rglob("*.toml"):
        assert upgrade(path) == [], path.name
    text = studies.load(old).to_toml(old.parent)
    assert text.startswith("format = 2\n") and tomllib.loads(text)["source"]["srs"]["max_gap_hours"] == 6.0


def test_the_json_schema_has_the_settings_of_each_reader(old):
    schema = json.loads(json.dumps(studies.json_schema(), default=str))
    upgrade(old)
    data = tomllib.loads(old.read_text())
    jsonschema.validate(data, schema)
    for wrong in ({"max_gap_hour": 6}, {"max_gap_hours": "six"}):
        data["source"]["srs"] |= wrong
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data, schema)
        del data["source"]["srs"][next(iter(wrong))]
    data["source"]["srss"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_steps_are_pure_and_lead_from_any_format_to_the_newest():
    steps = (lambda data: {**data, "b": data["a"]}, lambda data: {k: v for k, v in data.items() if k != "a"})
    before = {"a": 1}
    assert formats.brought_up(before, steps) == {"b": 1, "format": 3}
    assert formats.brought_up({"a": 1, "b": 2, "format": 2}, steps) == {"b": 2, "format": 3}
    assert before == {"a": 1}
    study = tomllib.loads(OLD)
    formats.brought_up(study, formats.STUDY)
    assert study == tomllib.loads(OLD)


def test_a_manifest_says_its_format_and_one_from_before_that_has_the_same_digest(tmp_path):
    with manifests.whole(tmp_path / "corpus", stage="prepare", made_from={"a": "b"}) as beside:
        (beside / "x.txt").write_text("x")
    path = tmp_path / "corpus" / manifests.NAME
    written = json.loads(path.read_text())
    digest = manifests.read(tmp_path / "corpus", made_by="prepare").digest
    assert written.pop("format") == 1
    path.write_text(json.dumps(written))
    assert manifests.read(tmp_path / "corpus", made_by="prepare").digest == digest
    # What sdovis 0.1 computed before manifests had a format.
    assert digest == manifests.sha256_text(json.dumps(written, sort_keys=True))
    path.write_text(json.dumps(written | {"format": 2}))
    newer = f"is in format 2, but sdovis {__version__} knows formats only up to 1"
    with pytest.raises(BadInput, match=re.escape(newer)) as caught:
        manifests.read(tmp_path / "corpus", made_by="prepare")
    assert len(caught.value.problems) == 1


def test_a_training_says_its_format_and_one_from_before_that_is_read(tmp_path):
    told = {field.name: {} for field in fields(TrainingRecord)} | {"study": "old"}
    path = tmp_path / "training.json"
    path.write_text(json.dumps(told))
    record = TrainingRecord.load(tmp_path)
    assert record.study == "old" and json.loads(path.read_text()) == told
    record.save(tmp_path)
    assert list(json.loads(path.read_text()).items())[:2] == [("format", 1), ("study", "old")]
    assert TrainingRecord.load(tmp_path) == record
    path.write_text(json.dumps(told | {"format": 2}))
    with pytest.raises(BadInput, match=r"training\.json: is in format 2, but sdovis .* knows formats only up to 1"):
        TrainingRecord.load(tmp_path)
