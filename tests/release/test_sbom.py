"""A release's bill of materials: valid CycloneDX, made of the release's own files, and the same on any day."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from runs import Run, remade
from sdovis.cards import templates
from sdovis.learning.record import TrainingRecord
from sdovis.release import sbom
from sdovis.release.assembly import release


@pytest.fixture
def run(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    shutil.copytree(finished_run.folder, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    run = dataclasses.replace(finished_run, folder=tmp_path / "runs" / "small")
    release(run.facts, run.folder, templates.load(None))
    return run


def _file(run: Run) -> Path:
    return run.folder / "release" / "model" / sbom.NAME


def _bill(run: Run) -> dict[str, Any]:
    return json.loads(_file(run).read_text())


def _needs(bill: dict[str, Any], ref: str) -> set[str]:
    (found,) = (each["dependsOn"] for each in bill["dependencies"] if each["ref"] == ref)
    return set(found)


def test_the_bill_is_valid(run: Run) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(_file(run).read_text()) is None


def test_it_lists_what_the_model_was_trained_with(run: Run) -> None:
    record = TrainingRecord.load(run.folder / "training")
    assert {"torch", "numpy", "pyarrow", "safetensors", "sdovis"} < record.packages.keys()
    needs = _needs(_bill(run), "model")
    for name, version in record.packages.items():
        assert f"pkg:pypi/{name}@{version.replace('+', '%2B')}" in needs
    assert f"python {record.versions['python']}" in needs and len(needs) == len(record.packages) + 1


def test_it_lists_what_the_space_installs(run: Run) -> None:
    space, needs = run.folder / "release" / "space", _needs(_bill(run), "space")
    for line in (space / "requirements.txt").read_text().splitlines():
        if not line.startswith("#"):
            wanted = Requirement(line)
            assert f"pkg:pypi/{wanted.name.replace('_', '-')}@{str(wanted.specifier)[2:]}" in needs
    assert len(needs) > 60 and any(each.startswith("pkg:pypi/nvidia-cublas@") for each in needs)
    scope = {each["name"]: each.get("scope") for each in _bill(run)["components"]}
    assert scope["gradio"] is None and scope["nvidia-cublas"] == "optional"


def test_it_has_no_time_and_nothing_drawn_at_random(run: Run) -> None:
    first = _file(run).read_text()
    release(run.facts, run.folder, templates.load(None))
    assert _file(run).read_text() == first
    assert "timestamp" not in _bill(run)["metadata"]


def test_verify_makes_it_again(run: Run) -> None:
    assert sbom.verify(run.folder) == []
    version = TrainingRecord.load(run.folder / "training").packages["numpy"]
    changed = _file(run).read_text().replace(f'"version": "{version}"', '"version": "1.0.0"', 1)
    remade(run.folder / "release", {f"model/{sbom.NAME}": changed.encode()})
    (found,) = sbom.verify(run.folder)
    assert found.file == "release/model/sbom.cdx.json" and "1.0.0" in found.printed and version in found.recomputed
    _file(run).unlink()
    assert sbom.verify(run.folder)


def test_without_a_release_there_is_no_bill_to_verify(run: Run) -> None:
    shutil.rmtree(run.folder / "release")
    assert sbom.verify(run.folder) == []


def test_what_a_plug_in_adds_is_listed_and_a_lock_that_lacks_it_is_left_out(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sdovis.release import vendor

    real = vendor._plug_in

    def plug_in(point: Any, folder: Path) -> None:
        real(point, folder)
        vendor._add(["sunspots>=2"], folder / "requirements.txt")

    monkeypatch.setattr(vendor, "_plug_in", plug_in)
    release(run.facts, run.folder, templates.load(None))
    assert not list((run.folder / "release" / "space").glob("locked*"))
    needs = _needs(_bill(run), "space")
    assert "pkg:pypi/sunspots" in needs and any(each.startswith("pkg:pypi/gradio@") for each in needs)
    assert sbom.verify(run.folder) == []
