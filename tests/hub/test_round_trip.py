"""A release goes up from one process; another, that knows only names and pin, gets it back and the same scores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from loopback import LoopbackHub
from runs import Run
from sdovis.cards import templates
from sdovis.release.assembly import KINDS, Release, release

CANARY = "canary-token-of-nobody"

PUBLISH = """
import sys
from pathlib import Path
from sdovis.hub.publish import publish
done = publish(Path(sys.argv[1]))
print(",".join(done.sent))
"""

#: What a reader of the cards does; nothing of sdovis in it.
LOAD = """
import sys
import numpy as np, pandas as pd
from datasets import load_dataset
from huggingface_hub import hf_hub_download
from transformers import pipeline
name, pin = sys.argv[1:]
data = load_dataset(name, revision=pin)
assert list(data) == ["train", "validation", "test"], list(data)
classify = pipeline("image-classification", model=name, revision=pin)
scores = pd.read_parquet(hf_hub_download(name, "predictions.parquet", revision=pin)).set_index("id")
test = data["test"].select(range(8))
for row, answer in zip(test, classify(list(test["image"]), top_k=None), strict=True):
    for entry in answer:
        there = scores.loc[row["id"], f"prob_{entry['label']}"]
        assert abs(there - entry["score"]) < 1e-5, (row["id"], entry, there)
assert scores["split"].value_counts().to_dict() == {part: len(rows) for part, rows in data.items()}
print("the same", len(test))
"""

VERIFY = """
import sys
from pathlib import Path
from sdovis.hub.download import verify_published
print(verify_published(Path(sys.argv[1]), Path(sys.argv[2])).pin)
"""


@dataclass(frozen=True)
class Stage:
    """The Hub, the released run's folder, and an environment for processes that talk to it."""

    hub: LoopbackHub
    release: Release
    environment: dict[str, str]

    def run(self, code: str, *arguments: str) -> str:
        command = [sys.executable, "-W", "error::UserWarning:sdovis", "-c", code, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()


@pytest.fixture(scope="module")
def stage(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("round-trip")
    shutil.copytree(finished_run.folder, folder / "run")
    with pytest.MonkeyPatch.context() as patch, LoopbackHub(token=CANARY) as hub:
        patch.setenv("HF_TOKEN", CANARY)
        made = release(finished_run.facts, folder / "run", templates.load(None))
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        own = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": CANARY, "HF_HUB_DISABLE_XET": "1"}
        own |= {"HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "2"}
        stage = Stage(hub, made, outside | own)
        assert stage.run(PUBLISH, str(made.folder)) == "dataset,model,space"
        yield stage


def test_names_and_pin_alone_give_the_dataset_the_model_and_the_scores(stage: Stage):
    assert stage.run(LOAD, "org/small", stage.release.pin) == "the same 8"


def test_all_three_come_down_as_they_went_up_and_a_second_publish_sends_nothing(stage: Stage, tmp_path: Path):
    assert stage.run(VERIFY, str(stage.release.folder), str(tmp_path)) == stage.release.pin
    assert (tmp_path / "space" / "app.py").is_file()
    stage.hub.requests.clear()
    assert stage.run(PUBLISH, str(stage.release.folder)) == ""
    assert stage.hub.writes() == []


def test_no_token_and_no_home_is_in_anything_that_went_up(stage: Stage):
    private = [CANARY.encode(), str(Path.home()).encode() + b"/", str(stage.release.folder.parent).encode()]
    seen = 0
    for kind in KINDS:
        for name, content in stage.hub.files(kind, "org/small").items():
            seen += 1
            if name.endswith(".parquet"):
                content = repr(pq.read_table(stage.release.path(kind, name)).to_pylist()).encode()
            assert not [needle for needle in private if needle in content], f"{kind}/{name}"
    journal = (stage.release.folder.parent / "release.journal.json").read_text()
    assert seen > 50 and CANARY not in journal
