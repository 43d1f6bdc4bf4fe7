"""The files of the Space: pins that agree with what is tested, and an app that leaves the rest to the package."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPACE = ROOT / "space"


def pins(path):
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {
        re.sub(r"\[.*\]|_", lambda m: "-" if m[0] == "_" else "", n).lower(): v
        for n, v in (x.split("==") for x in lines)
    }


def test_every_requirement_is_pinned_to_the_version_that_the_tests_ran_with():
    required, tested = pins(SPACE / "requirements.txt"), pins(ROOT / "constraints.txt")
    assert required == {name: tested[name] for name in required}
    assert {"torch", "transformers", "gradio", "sunpy"} <= required.keys()
    assert not {"torchvision", "sdovis"} & required.keys()


def test_the_app_is_three_lines_and_leaves_the_rest_to_the_package():
    lines = (SPACE / "app.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line] == ["import sdovis.webapp", "sdovis.webapp.launch(space=__file__)"]
    assert len(lines) == 3
