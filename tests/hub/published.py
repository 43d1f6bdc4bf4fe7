"""A small, real release on a loopback Hub, and an environment for processes that talk to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from loopback import LoopbackHub
from runs import Run
from sdovis.cards import templates
from sdovis.release.assembly import Release, release

CANARY = "canary-token-of-nobody"

PUBLISH = """
import sys
from pathlib import Path
from sdovis.hub.publish import publish
done = publish(Path(sys.argv[1]))
print(",".join(done.sent))
"""


@dataclass(frozen=True)
class Published:
    """The Hub, the released run's folder, and an environment for processes that talk to it."""

    hub: LoopbackHub
    release: Release
    environment: dict[str, str]

    def run(self, code: str, *arguments: str) -> str:
        command = [sys.executable, "-W", "error::UserWarning:sdovis", "-c", code, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()


@pytest.fixture(scope="session")
def published(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("round-trip")
    shutil.copytree(finished_run.folder, folder / "run")
    with pytest.MonkeyPatch.context() as patch, LoopbackHub(token=CANARY) as hub:
        patch.setenv("HF_TOKEN", CANARY)
        made = release(finished_run.facts, folder / "run", templates.load(None))
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        own = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": CANARY, "HF_HUB_DISABLE_XET": "1"}
        own |= {"HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "2"}
        there = Published(hub, made, outside | own)
        assert there.run(PUBLISH, str(made.folder)) == "dataset,model,space"
        yield there
