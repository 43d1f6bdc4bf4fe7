"""A study that asks for an augmentation that breaks its labels is refused by every verb that reads the study."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from sdovis import study as studies
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.stages import Folders, augmentations, training_made_from


def _refused(capfd: pytest.CaptureFixture[str], verb: str, study: Path, *sets: str) -> list[str]:
    capfd.readouterr()
    assert run_command([verb, str(study), *(word for s in sets for word in ("--set", s))]) == 2
    return re.findall(r"error: (.*)", capfd.readouterr().err)


@pytest.mark.parametrize("verb", ["check", "prepare"])
def test_a_breaking_augmentation_is_refused_before_an_image_is_opened(small_study, capfd, verb: str) -> None:
    for image in (small_study.parent / "data/images").iterdir():
        image.write_bytes(b"no image")
    lines = _refused(capfd, verb, small_study, 'method.augment=["zoom", "flip_ns", "rotat90"]')
    assert len(lines) == 2
    assert "'zoom' breaks labels of the scheme mount-wilson-3: a delta spot is one" in lines[0]
    assert "choose from flip_ns, flip_ew, rotate90, rotate_any, polarity, rendering" in lines[0]
    assert "'rotat90' is unknown; did you mean 'rotate90'?" in lines[1]
    assert not (small_study.parent / "runs/small/corpus").exists()


def test_a_finished_corpus_does_not_hide_what_is_asked_for_later(small_study, capfd) -> None:
    assert run_command(["prepare", str(small_study)]) == 0
    for verb in ("prepare", "train"):
        (line,) = _refused(capfd, verb, small_study, 'method.augment=["colour_jitter"]')
        assert "a code stands for a physical value" in line
    assert not (small_study.parent / "runs/small/model").exists()


def test_what_training_does_follows_the_study_and_the_corpus(small_study) -> None:
    from sdovis.corpus.build import Corpus

    assert run_command(["prepare", str(small_study)]) == 0
    study = studies.load(small_study)
    corpus = Corpus.load(Folders(study.run_dir).corpus)
    assert augmentations(study, corpus) == ("flip_ns", "flip_ew", "rotate90", "polarity")
    for given, expected in [("false", ()), ('["rotate_any", "flip_ew"]', ("flip_ew", "rotate_any")), ("[]", ())]:
        asked = studies.load(small_study, [f"method.augment={given}"])
        assert augmentations(asked, corpus) == expected
        assert training_made_from(asked, corpus) != training_made_from(study, corpus)
    assert not [name for name in training_made_from(study, corpus) if name.startswith("augmentation")]
    facts = json.loads((corpus.folder / "corpus.json").read_text())
    assert facts["scheme"]["breaks"]["zoom"].startswith("a delta spot is one")
    read_as = facts["scheme"]["read_as"]
    rows = {cell: sum(n.get(cell, 0) for n in facts["spellings"].values()) for cell in read_as}
    assert sum(rows.values()) == facts["rows"]
    assert {"beta", "beta-gamma"} <= {*read_as.values()}


def test_codes_of_physical_values_are_not_rendered_otherwise(small_study, capfd) -> None:
    assert run_command(["prepare", str(small_study)]) == 0
    for verb in ("prepare", "train"):
        (line,) = _refused(capfd, verb, small_study, 'method.augment=["polarity", "rendering"]')
        assert "'rendering' is for browse pictures, but hmi-magnetogram codes physical values; remove it" in line


@pytest.mark.parametrize("given", ['"flip_ns"', "1", '"true"', "[1, 2]", '[["flip_ns"]]'])
def test_what_is_neither_true_false_nor_names_is_one_line(small_study, given: str) -> None:
    with pytest.raises(BadInput) as caught:
        studies.load(small_study, [f"method.augment={given}"])
    (line,) = map(str, caught.value.problems)
    assert "method.augment: " in line and 'neither true, false nor a list of names such as ["flip_ns"' in line


def test_names_survive_in_the_resolved_study(small_study) -> None:
    study = studies.load(small_study, ['method.augment=["flip_ns", "rotate_any"]'])
    assert study.method.augment == ("flip_ns", "rotate_any")
    assert tomllib.loads(study.to_toml(small_study.parent))["method"]["augment"] == ["flip_ns", "rotate_any"]
    kinds = studies.json_schema()["$defs"]["Method"]["properties"]["augment"]["anyOf"]
    assert {kind["type"] for kind in kinds} == {"boolean", "array"}
