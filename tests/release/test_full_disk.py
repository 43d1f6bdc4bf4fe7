"""A disk that is full when a release is put together."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from runs import Run
from sdovis import errors, manifests
from sdovis.cli import run_command


def test_a_full_disk_leaves_no_half_release(finished_run: Run, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(finished_run.folder.parent.parent, tmp_path, dirs_exist_ok=True)
    run = tmp_path / "runs/small"
    shutil.rmtree(run / "release", ignore_errors=True)
    cards = manifests.sums(run / "cards")
    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    command, env = [sys.executable, "-m", "sdovis", "card", "study.toml"], os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=tmp_path, preexec_fn=full, capture_output=True, text=True, env=env)
    assert ended.returncode == errors.EXIT_CONFLICT and "Traceback" not in ended.stderr, ended.stderr
    assert len(re.findall("error: ", ended.stderr)) == 1
    assert not list(run.glob("*release*")) and not list(run.glob(".release*"))
    assert manifests.sums(run / "cards") == cards
    monkeypatch.chdir(tmp_path)
    assert run_command(["card", "study.toml"]) == 0 and (run / "release/release.json").is_file()
