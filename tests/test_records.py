"""Records are written as JSON and read back whole: what is missing or of another type is named with its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from sdovis import records
from sdovis.errors import BadInput


@dataclass(frozen=True)
class Spot:
    area_msh: float
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    observer: str
    seeing: int | None
    remark: str | None = None
    spots: Mapping[str, Spot]


DRAWING = Drawing(observer="Käthe", seeing=None, spots={"a": Spot(120.0, ("beta", "delta"))})


def test_a_record_is_the_same_when_read_back(tmp_path):
    for record in (DRAWING, Drawing(observer="x", seeing=2, remark="clouds", spots={})):
        records.write(record, tmp_path / "drawing.json")
        assert records.read(Drawing, tmp_path / "drawing.json", made_by="draw") == record


def test_the_file_has_the_fields_in_their_order_and_leaves_out_those_that_are_absent_by_default(tmp_path):
    records.write(DRAWING, tmp_path / "drawing.json")
    text = (tmp_path / "drawing.json").read_text(encoding="utf-8")
    assert "Käthe" in text
    assert list(json.loads(text)) == ["format", "observer", "seeing", "spots"]


def _measured_in_msh(said):
    return {**said, "spots": {name: {**spot, "area_msh": spot["area"]} for name, spot in said["spots"].items()}}


def test_a_file_of_an_older_format_is_brought_up_and_left_as_it_was(tmp_path):
    file = tmp_path / "drawing.json"
    written = '{"observer": "Käthe", "seeing": null, "spots": {"a": {"area": 120.0, "classes": ["beta", "delta"]}}}'
    file.write_text(written, encoding="utf-8")
    assert records.read(Drawing, file, made_by="draw", steps=(_measured_in_msh,)) == DRAWING
    assert file.read_text(encoding="utf-8") == written
    records.write(DRAWING, file, steps=(_measured_in_msh,))
    assert next(iter(json.loads(file.read_text(encoding="utf-8")).items())) == ("format", 2)
    assert records.read(Drawing, file, made_by="draw", steps=(_measured_in_msh,)) == DRAWING


def test_a_file_of_a_newer_format_is_one_line_and_a_file_that_is_not_ours_has_none(tmp_path):
    file = tmp_path / "drawing.json"
    file.write_text(json.dumps(records.plain(DRAWING) | {"format": 2}), encoding="utf-8")
    with pytest.raises(
        BadInput, match=r"drawing\.json: is in format 2, but sdovis .* knows formats only up to 1"
    ) as error:
        records.read(Drawing, file, made_by="draw")
    assert len(error.value.problems) == 1
    assert records.read(Drawing, file, made_by="draw", steps=None) == DRAWING


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"observer": 7},
            "drawing.json: observer: Input should be a valid string; remove the folder and run sdovis draw",
        ),
        ({"spots": {"a": {"classes": []}}}, "drawing.json: spots.a.area_msh is missing"),
        (
            {"spots": {"a": {"area_msh": "120", "classes": []}}},
            "drawing.json: spots.a.area_msh: Input should be a valid",
        ),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(tmp_path, changes, told):
    file = tmp_path / "drawing.json"
    file.write_text(json.dumps(records.plain(DRAWING) | changes), encoding="utf-8")
    with pytest.raises(BadInput) as error:
        records.read(Drawing, file, made_by="draw")
    assert told in str(error.value)


def test_a_file_that_is_absent_or_damaged_is_named_with_the_command_that_writes_it(tmp_path):
    file = tmp_path / "drawing.json"
    with pytest.raises(BadInput, match=r"drawing\.json: is missing; run sdovis draw"):
        records.read(Drawing, file, made_by="draw")
    file.write_text('{"observer": ', encoding="utf-8")
    with pytest.raises(BadInput, match=r"drawing\.json: Invalid JSON.*run sdovis draw"):
        records.read(Drawing, file, made_by="draw")
