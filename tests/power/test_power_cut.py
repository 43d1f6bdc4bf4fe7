"""The power fails while a stage works: what was said to be written is there, what is half-written passes for nothing, and
the stage, begun again, ends as if nothing had been.

The power fails on a disk of our own that keeps only what was synced: see `power.c`. `SDOVIS_POWER_CUTS=30` makes that many
cuts of each stage, which takes half an hour.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import power
import pytest
import tiny
from studies import STUDY

CUTS = Path(__file__).with_name("cuts.py")
TESTS = Path(__file__).parents[1]
MANY = int(os.environ.get("SDOVIS_POWER_CUTS", "0"))
pytestmark = pytest.mark.timeout(3600 if MANY else 600)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The watching library; skips where it cannot be built or used."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the disk that loses what was not synced needs Linux")
    try:
        return power.built(tmp_path_factory.mktemp("power"))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the disk that loses what was not synced cannot be built here: {error}")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_corpus(tmp_path_factory.mktemp("tiny") / "corpus")


@pytest.fixture(scope="module")
def cut(library: Path, corpus: Path, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that lets the power fail in a stage and returns what was found."""
    study = tmp_path_factory.mktemp("study") / "study.toml"
    study.write_text(STUDY.replace('"data"', json.dumps(str(simulated))))

    def make(what: str, cuts: int, **more: Any) -> dict[str, Any]:
        place = tmp_path_factory.mktemp("place")
        job = {"what": what, "cuts": cuts, "seed": 3, "corpus": str(corpus), "study": str(study)} | more
        (place / "job.json").write_text(json.dumps(job | {"place": str(place), "library": str(library)}))
        env = os.environ | {"LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(TESTS / "learning"), str(TESTS), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run([sys.executable, CUTS, place / "job.json"], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        told: dict[str, Any] = json.loads((place / "told.json").read_text())
        print(what, {name: value for name, value in told.items() if not isinstance(value, list)})
        return told

    return make


@pytest.mark.parametrize(("what", "cuts"), [("training", 9), ("prepare", 3), ("run", 3)])
def test_after_a_power_cut_nothing_is_lost_or_taken_for_whole_and_the_end_is_the_same(
    cut: Any, what: str, cuts: int
) -> None:
    told = cut(what, MANY or cuts)
    assert told["cuts"] >= (MANY or cuts)
    assert not told["lost"], "what was said to be written is not there"
    assert not told["false"], "what is not whole passes for whole"
    assert not told["failed"] and not told["other"]


@pytest.mark.parametrize("unsynced", ["all", "folders"])
def test_without_syncing_the_disk_of_this_test_loses_what_was_said_to_be_written(cut: Any, unsynced: str) -> None:
    told = cut("training", 4, unsynced=unsynced)
    assert any("checkpoint-" in lost for lost in told["lost"])


#: What is done below a folder, and what of it is there after the power failed.
KEPT: dict[str, tuple[str, dict[str, str]]] = {
    "nothing is synced": ("(root / 'a').write_text('new')", {"old": "old"}),
    "a file is synced, its name is not": ("sync(write('a', 'new'))", {"old": "old"}),
    "a name is synced, its file is not": ("write('a', 'new'); sync(root)", {"old": "old", "a": ""}),
    "both are": ("sync(write('a', 'new')); sync(root)", {"old": "old", "a": "new"}),
    "what is written later": ("sync(write('a', 'new')); sync(root); write('a', 'newer')", {"old": "old", "a": "new"}),
    "a removal": ("(root / 'old').unlink()", {"old": "old"}),
    "a removal, synced": ("(root / 'old').unlink(); sync(root)", {}),
    "a rename over a file": ("sync(write('a', 'new')); sync(root); (root / 'a').replace(root / 'old')",
                             {"old": "old", "a": "new"}),
    "a rename, synced": ("sync(write('a', 'new')); (root / 'a').replace(root / 'old'); sync(root)", {"old": "new"}),
    "a new folder that the one above does not list": (
        "(root / 'b').mkdir(); sync(write('b/a', 'new')); sync(root / 'b')", {"old": "old"}),
    "a map": (
        "import mmap; sync(write('a', 'new')); sync(root); f = (root / 'a').open('r+b'); m = mmap.mmap(f.fileno(), 3);"
        "m[:] = b'map'; os.fsync(f.fileno()); m[:] = b'bad'", {"old": "old", "a": "map"}),
}  # fmt: skip
DOES = """
import os, sys
from pathlib import Path
root = Path(os.environ["POWER_ROOT"])
def write(name, text):
    (root / name).write_text(text)
    return root / name
def sync(path):
    opened = os.open(path, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
"""


@pytest.mark.parametrize("case", KEPT)
def test_the_disk_keeps_what_was_synced_and_nothing_else(library: Path, tmp_path: Path, case: str) -> None:
    does, kept = KEPT[case]
    disk = power.Disk(tmp_path / "disk", tmp_path / "store", library)
    disk.root.mkdir()
    (disk.root / "old").write_text("old")
    disk.remember()
    watched = {"LD_PRELOAD": str(library), "POWER_ROOT": str(disk.root), "POWER_STORE": str(disk.store)}
    subprocess.run([sys.executable, "-c", DOES + does], env=os.environ | watched, check=True)
    disk.cut(random.Random(0), survives=0.0)
    assert {path.name: path.read_text() for path in disk.root.iterdir()} == kept


def test_half_of_what_was_not_synced_may_survive(library: Path, tmp_path: Path) -> None:
    survived = set()
    for seed in range(40):
        disk = power.Disk(tmp_path / f"disk{seed}", tmp_path / f"store{seed}", library)
        disk.root.mkdir()
        disk.remember()
        (disk.root / "a").write_text("new")
        disk.cut(random.Random(seed), survives=0.5)
        survived |= {path.read_text() for path in disk.root.iterdir()} or {"no name"}
    assert {"no name", "", "new"} < survived
