"""The files of the Space: pins that agree with each other, a front matter that says what is true."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from jinja2 import Environment, StrictUndefined, UndefinedError

ROOT = Path(__file__).resolve().parents[2]
SPACE = ROOT / "space"
TITLE = 'Spots: "alpha" & <b>beta</b>\n- {{ 7 * 7 }} # no comment'


def pins(path):
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {
        re.sub(r"\[.*\]|_", lambda m: "-" if m[0] == "_" else "", n).lower(): v
        for n, v in (x.split("==") for x in lines)
    }


def rendered(**changes):
    facts = {
        "title": TITLE, "simulated": True, "sdovis": "0.1.0", "channels": [SimpleNamespace(name="aia-211", title="AIA 211 Å")],
        "scheme": SimpleNamespace(name="activity"),
        "repositories": SimpleNamespace(model="sun/m", dataset="sun/d", space="sun/s", pin="r-0123456789ab"),
    } | changes  # fmt: skip
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return template.from_string((SPACE / "README.md.j2").read_text(encoding="utf-8")).render(
        facts=SimpleNamespace(**facts)
    )


def front_matter(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_every_requirement_is_pinned_to_the_version_that_the_tests_ran_with():
    required, tested = pins(SPACE / "requirements.txt"), pins(ROOT / "constraints.txt")
    assert required == {name: tested[name] for name in required}
    assert {"torch", "transformers", "gradio", "sunpy"} <= required.keys()
    assert not {"torchvision", "sdovis"} & required.keys()


def test_the_front_matter_agrees_with_the_requirements_and_with_what_the_package_needs():
    said = front_matter(rendered())
    assert said["sdk"] == "gradio" and said["app_file"] == "app.py"
    assert said["sdk_version"] == pins(SPACE / "requirements.txt")["gradio"]
    assert said["python_version"] == "3.11"
    assert said["models"] == ["sun/m"] and said["datasets"] == ["sun/d"]
    assert said["license"] == "mit" and said["pinned"] is False
    assert "simulated" in said["tags"]
    assert "simulated" not in front_matter(rendered(simulated=False))["tags"]


def test_a_title_cannot_break_the_front_matter():
    assert front_matter(rendered())["title"] == TITLE


def test_a_missing_fact_is_an_error_and_not_an_empty_place():
    with pytest.raises(UndefinedError):
        rendered(repositories=SimpleNamespace(model="sun/m", dataset="sun/d", space="sun/s"))


def test_the_app_is_three_lines_and_leaves_the_rest_to_the_package():
    lines = (SPACE / "app.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line] == ["import sdovis.webapp", "sdovis.webapp.launch(space=__file__)"]
    assert len(lines) == 3
