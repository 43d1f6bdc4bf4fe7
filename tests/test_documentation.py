"""The pages are true: commands and settings exist, the first study and the snippets run, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from sdovis import study as studies
from sdovis.cli import app

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
FIRST = DOCS / "first-study.md"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
#: `serve` runs until it is stopped, and `tests/webapp` opens its page.
NOT_RUN = ("serve",)


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(rf"^```(?:\{{code-block\}} )?{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\A(?::\w+:.*\n)+\n", "", block) for block in fenced]


def _lines(page: Path) -> list[str]:
    """The commands of sdovis on a page, without comments."""
    blocks = [line for block in _blocks(page, "console") for line in block.splitlines()]
    return [line[2:].partition("  #")[0].strip() for line in blocks if line.startswith("$ sdovis")]


def _told() -> Iterator[tuple[str, str]]:
    """(page, command) wherever a page writes one, in a block or in a sentence."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in [*_lines(page), *re.findall(r"`(sdovis [a-z][^`]*)`", text)]:
            yield page.name, line


@pytest.mark.parametrize(("page", "line"), sorted({*_told()}))
def test_a_command_that_a_page_names_exists_with_its_options(page: str, line: str) -> None:
    verb, *given = shlex.split(line.replace("[OPTIONS]", ""))[1:]
    assert verb in COMMANDS, page
    known = {option for parameter in COMMANDS[verb].params for option in parameter.opts}
    assert [word for word in given if re.match(r"-{1,2}[a-z]", word) and word.partition("=")[0] not in known] == [], (
        page
    )


def _unknown(given: Mapping[str, Any], schema: Mapping[str, Any], defs: Mapping[str, Any], where: str) -> Iterator[str]:
    """The entries of a fragment of a study that no study can have."""
    schema = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for each in schema.get("anyOf", ()):
        if "$ref" in each:
            schema = defs[each["$ref"].rpartition("/")[2]]
    known = schema.get("properties")
    if known is None:
        return
    for name, value in given.items():
        if name not in known:
            yield f"{where}{name}"
        elif isinstance(value, Mapping):
            yield from _unknown(value, known[name], defs, f"{where}{name}.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_settings_that_a_page_shows_exist(page: Path) -> None:
    schema = studies.json_schema()
    schema["properties"].pop("search", None)  # its entries are names of other settings
    for block in _blocks(page, "toml"):
        fragment = {name: table for name, table in tomllib.loads(block).items() if name not in ("search", "project")}
        assert list(_unknown(fragment, schema, schema["$defs"], "")) == [], block


def test_every_setting_says_what_it_is() -> None:
    schema = studies.json_schema()
    tables = {"Study": schema, **schema["$defs"]}
    silent = [
        f"{table}.{name}"
        for table, of in tables.items()
        for name, field in of.get("properties", {}).items()
        if table != "Study" and name != "columns" and not field.get("description") and "$ref" not in str(field)
    ]
    assert [name for name in silent if not name.startswith(("Range", "TrainingArguments"))] == []


def test_links_of_the_readme_and_of_contributing_lead_to_files() -> None:
    for page in PAGES[:2]:
        text = page.read_text(encoding="utf-8")
        links = [*re.findall(r"\]\(([^)#]+)", text), *re.findall(r'src="([^"]+)"', text)]
        assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == [], page.name


@pytest.fixture(scope="module")
def first_study(tmp_path_factory) -> Path:
    """A folder in which every command of the first study was run, as they are written."""
    folder = tmp_path_factory.mktemp("first")
    (study,) = _blocks(FIRST, "toml")
    (folder / "first.toml").write_text(study, encoding="utf-8")
    for line in _lines(FIRST):
        arguments = line.removeprefix("sdovis ")
        if arguments.split()[0] in NOT_RUN:
            continue
        done = subprocess.run(
            f"{shlex.quote(sys.executable)} -m sdovis {arguments}",
            shell=True,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        (folder / f"{arguments.split()[0]}.out").write_text(done.stdout)
    return folder


def test_the_first_study_runs_as_it_is_written(first_study: Path) -> None:
    assert "every number" in (first_study / "verify.out").read_text()
    assert {path.name for path in (first_study / "runs/first").iterdir()} >= {
        "corpus",
        "model",
        "scores",
        "cards",
        "release",
    }
    drafted = tomllib.loads((first_study / "drafted.toml").read_text())
    written = tomllib.loads((first_study / "first.toml").read_text())
    assert drafted["source"]["columns"] == written["source"]["columns"]


def test_the_snippets_of_python_run_after_the_demonstration(first_study: Path) -> None:
    shutil.copytree(first_study / "runs/first", first_study / "runs/simulated", dirs_exist_ok=True)
    shutil.copytree(first_study / "first", first_study / "simulated", dirs_exist_ok=True)
    blocks = [block for page in PAGES for block in _blocks(page, "python") if "runs/simulated" in block]
    snippets = [block for block in blocks if "keras" not in block]  # tests/test_keras_hub.py runs that one
    assert len(snippets) >= 2
    for snippet in snippets:
        done = subprocess.run([sys.executable, "-c", snippet], cwd=first_study, capture_output=True, text=True)
        assert done.returncode == 0, f"{snippet}\n{done.stderr}"
        assert "'label'" in done.stdout, snippet
