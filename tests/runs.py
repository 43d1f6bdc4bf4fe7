"""A small, real run, and how to change a finished folder of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import studies
from sdovis import manifests
from sdovis.cards.facts import Facts

STUDY = f"""{studies.STUDY}
[publish]
namespace = "org"
licence = "mit"
authors = ["Ada Lovelace"]
"""


@dataclass(frozen=True)
class Run:
    """A run's folder with everything up to its cards, and the facts of it."""

    folder: Path
    facts: Facts


def make(folder: Path, data: Path) -> Run:
    """Run a small study in ``folder`` on a copy of the simulated ``data``, up to its cards."""
    from sdovis import stages
    from sdovis import study as studies
    from sdovis.cards import card, templates
    from sdovis.cards.facts import gather

    shutil.copytree(data, folder / "data")
    (folder / "study.toml").write_text(STUDY)
    study = studies.load(folder / "study.toml")
    with stages.opened(study) as folders:
        stages.prepare(study, folders, print)
        stages.train(study, folders, print)
        stages.evaluate(study, folders, print)
    facts = gather(study, folders.run)
    card.write(facts, folders.run, templates.load(None))
    return Run(folders.run.resolve(), facts)


def remade(folder: Path, files: Mapping[str, bytes]) -> None:
    """Add ``files`` to a finished folder as if its stage had written them."""
    said = json.loads((folder / manifests.NAME).read_text())
    old = manifests.Manifest(said["stage"], said["made_from"], said["files"])
    with manifests.whole(folder, stage=old.stage, made_from=old.made_from) as beside:
        shutil.copytree(folder, beside, dirs_exist_ok=True, symlinks=True)
        (beside / "manifest.json").unlink()
        for name, content in files.items():
            (beside / name).write_bytes(content)
