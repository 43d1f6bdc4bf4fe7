"""The bill of materials of a release, in CycloneDX: what its model was trained with, and what its Space installs.

It is made of the release's own files alone: ``training.json`` lists the packages that were installed beside the training,
``requirements.txt`` and the locks what the Space installs (the hashes of its files are there). It has neither a time
nor a number drawn at random, so that the same release has the same bill.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement

from sdovis.cards.verify import Mismatch, differences
from sdovis.inference.onnx import EXPORTED, FOLDER, Exported
from sdovis.learning.record import TrainingRecord

NAME = "sbom.cdx.json"
MODEL, SPACE, ONNX = "model", "space", "onnx"
#: What a Space on the Hub installs: torch is the index's build.
INSTALLED = ("requirements.txt", "locked.txt", "locked_cuda.txt")


def bill(folder: Path, study: str) -> str:
    """The text of the bill of the release in ``folder``. Raises `BadInput` without a readable training.json."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    record = TrainingRecord.load(folder / MODEL)
    weights = [Property(name="sdovis:weights_sha256", value=record.weights_sha256)]
    model = Component(
        name=f"{study}: model", type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=MODEL, properties=weights
    )
    space = Component(name=f"{study}: Space", type=ComponentType.APPLICATION, bom_ref=SPACE)
    release = Component(name=study, type=ComponentType.APPLICATION, bom_ref="release")
    found: dict[str, Component] = {}

    def package(name: str, version: str, scope: ComponentScope | None = None) -> Component:
        url = PackageURL("pypi", None, name.lower().replace("_", "-"), version or None)
        return found.setdefault(
            str(url), Component(name=name, version=version or None, purl=url, bom_ref=str(url), scope=scope)
        )

    trained_with = [package(name, version) for name, version in record.packages.items()]
    python = record.versions["python"]
    trained_with.append(
        Component(name="python", version=python, type=ComponentType.PLATFORM, bom_ref=f"python {python}")
    )
    installed = [
        package(name, version, None if needed else ComponentScope.OPTIONAL)
        for name, version, needed in _installed(folder / SPACE)
    ]
    exported = {}
    if (folder / MODEL / FOLDER / EXPORTED).is_file():
        said = Exported.load(folder / MODEL / FOLDER)
        sums = [Property(name=f"sdovis:sha256 of {name}", value=value) for name, value in said.files.items()]
        files = Component(
            name=f"{study}: model in ONNX",
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=ONNX,
            properties=sums,
        )
        exported[files] = [model, *(package(name, version) for name, version in said.versions.items())]
    # The release's pin is not in it: a publish may have to choose another.
    serial = uuid5(NAMESPACE_URL, f"{study} {record.weights_sha256} {sorted(found)}")
    bom = Bom(components=[model, space, *exported, trained_with[-1], *found.values()], serial_number=serial)
    bom.metadata.component = release
    bom.metadata.timestamp = None  # type: ignore[assignment]  # it is optional in CycloneDX
    parts = [model, space, *exported]
    for needs, needed in ((release, parts), (model, trained_with), (space, installed), *exported.items()):
        bom.register_dependency(needs, needed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _installed(space: Path) -> Iterator[tuple[str, str, bool]]:
    """Name, version ('' where none is pinned) and whether on any platform, of what a Space installs."""
    for file in INSTALLED:
        if not (space / file).is_file():
            continue
        text = (space / file).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if line and not line.startswith("#"):
                asked = Requirement(re.sub(r"--hash=\S+", "", line).strip())
                pinned = [each.version for each in asked.specifier if each.operator == "=="]
                yield asked.name, pinned[0] if pinned else "", asked.marker is None


def write(folder: Path, study: str) -> None:
    """Write the bill into the model's repository of the release in ``folder``."""
    (folder / MODEL / NAME).write_text(bill(folder, study), encoding="utf-8")


def verify(run_dir: Path) -> list[Mismatch]:
    """Every line of the bill in the run's release that differs when made again; none if there is no release."""
    folder = run_dir / "release"
    if not (folder / "release.json").is_file():
        return []
    said = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    file = folder / MODEL / NAME
    printed = file.read_text(encoding="utf-8") if file.is_file() else ""
    return list(differences(str(file.relative_to(run_dir)), printed, bill(folder, said["study"])))
