"""Chains of trainings, each killed and started again by `sessions` in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SESSIONS = Path(__file__).parent / "sessions.py"


def run(root: Path, chains: Sequence[dict[str, Any]], *, timeout: int) -> tuple[dict[str, list[int]], str]:
    """Of each chain, by its name, the exit statuses of its starts; and what all of them wrote to stderr."""
    (root / "chains.json").write_text(json.dumps(chains))
    with (root / "errors").open("w") as errors:
        subprocess.run(
            [sys.executable, SESSIONS, root / "chains.json"], stderr=errors, timeout=timeout, check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    statuses = {chain["name"]: json.loads((Path(chain["folder"]) / "statuses.json").read_text()) for chain in chains}
    return statuses, (root / "errors").read_text()
