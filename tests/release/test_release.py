"""A release of a real, small run: whole, of the allowed files alone, and nothing of this machine in it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from runs import Run, remade
from sdovis import manifests
from sdovis.cards import card, templates
from sdovis.errors import BadInput
from sdovis.release.assembly import NAMING, Release, made_from, release
from sdovis.release.benchmark import RESULTS

KINDS = ("dataset", "model", "space")
BUILT_IN = templates.load(None)


@pytest.fixture
def run(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run to spoil."""
    shutil.copytree(finished_run.folder, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    return dataclasses.replace(finished_run, folder=tmp_path / "runs" / "small")


def test_the_three_repositories_are_there_with_their_sums(run: Run):
    made = release(run.facts, run.folder, BUILT_IN)
    assert Release.load(run.folder / "release") == made
    assert next(iter(json.loads((made.folder / "release.json").read_text()).items())) == ("format", 2)
    assert made.pin == run.facts.repositories.pin
    assert {kind: made.repositories[kind].id for kind in KINDS} == dict.fromkeys(KINDS, "org/small")
    for kind in KINDS:
        files = {
            p.relative_to(made.folder / kind).as_posix(): p for p in (made.folder / kind).rglob("*") if p.is_file()
        }
        assert {name: manifests.sha256_file(path) for name, path in files.items()} == made.repositories[kind].files
    parts = ("train", "validation", "test")
    assert set(made.repositories["dataset"].files) == {
        "README.md", "CITATION.cff", "audit.json", "corpus.json", "rejects.csv",
        *(f"data/{p}-00000-of-00001.parquet" for p in parts),
    }  # fmt: skip
    model = set(made.repositories["model"].files)
    assert {
        "README.md", "config.json", "model.safetensors", "preprocessor_config.json", "scores.json", "training.json",
        "predictions.parquet", "baselines.parquet", "latency.parquet", "figures/confusion_matrix.png",
        "familiarity.safetensors", "familiarity.json", "strangers.parquet", "CITATION.cff",
    } < model  # fmt: skip
    served = {name for name in model if name.startswith("sdovis")} | {"handler.py", "requirements.txt"}
    assert {Path(name).suffix for name in model - served} == {
        ".md",
        ".json",
        ".safetensors",
        ".parquet",
        ".png",
        ".cff",
    }
    beside = {name for name in made.repositories["space"].files if name.startswith("sdovis")}
    assert served == beside | {"handler.py", "requirements.txt"}


def test_the_pin_is_named_where_publishing_expects_it_and_nowhere_else(run: Run):
    made = release(run.facts, run.folder, BUILT_IN)
    files = [(kind, name) for kind in KINDS for name in made.repositories[kind].files]
    naming = {name for kind, name in files if made.pin.encode() in made.path(kind, name).read_bytes()}
    assert naming == set(NAMING) - {RESULTS}, "which a study has to ask for"


def test_every_picture_a_card_shows_is_in_its_repository(run: Run):
    made = release(run.facts, run.folder, BUILT_IN)
    for kind in ("dataset", "model"):
        card = made.path(kind, "README.md").read_text()
        shown = [line.split("](")[1].split(")")[0] for line in card.splitlines() if line.startswith("![")]
        assert set(shown) <= set(made.repositories[kind].files)
    assert shown


def test_what_the_model_does_not_know_is_on_its_card_and_follows_from_the_rows(run: Run):
    from sdovis.cards.verify import verify

    release(run.facts, run.folder, BUILT_IN)
    text = (run.folder / "release" / "model" / "README.md").read_text()
    assert "### Unfamiliar pictures" in text
    assert "| photograph |" in text
    assert verify(run.folder) == []
    card_of = run.folder / "cards" / "model" / "README.md"
    card_of.write_text(text.replace("are called unfamiliar, which", "are never called unfamiliar, which"))
    assert [found.file for found in verify(run.folder)] == ["cards/model/README.md"]


def test_what_a_model_knows_is_no_replacement_for_its_weights(run: Run):
    (run.folder / "model" / "model.safetensors").unlink()
    with pytest.raises(BadInput):
        release(run.facts, run.folder, BUILT_IN)


def test_the_space_names_its_model_and_carries_the_source_that_made_it(run: Run):
    made = release(run.facts, run.folder, BUILT_IN)
    space = set(made.repositories["space"].files)
    assert json.loads(made.path("space", "space.json").read_text()) == {
        "model": "org/small", "dataset": "org/small", "revision": made.pin, "title": "small", "description": "",
    }  # fmt: skip
    assert {"README.md", "app.py", "requirements.txt", "sdovis/__init__.py", "sdovis/webapp/__init__.py"} < space
    assert {name for name in space if name.startswith("examples/")} == {e.file for e in run.facts.examples}
    assert not [name for name in space if "__pycache__" in name or name.endswith((".pyc", ".j2"))]


@pytest.mark.parametrize("title", ["Plain", 'Sun: "quoted" {{ 7 * 7 }} ☀ 🌞 <b>\n- evil', "--- 'x' # y"])
def test_the_spaces_front_matter_says_what_the_facts_say(run: Run, title: str):
    facts = dataclasses.replace(run.facts, title=title)
    card.write(facts, run.folder, BUILT_IN)
    made = release(facts, run.folder, BUILT_IN)
    text = made.path("space", "README.md").read_text(encoding="utf-8")
    about = yaml.safe_load(text.split("\n---\n")[0])
    assert about["title"] == title
    assert (about["models"], about["datasets"], about["sdk"]) == (["org/small"], ["org/small"], "gradio")
    assert f"gradio=={about['sdk_version']}" in made.path("space", "requirements.txt").read_text().splitlines()
    assert "simulated" in about["tags"]
    assert made.pin in text


def test_the_source_in_the_space_runs_alone_and_finds_its_plugins(run: Run):
    made = release(run.facts, run.folder, BUILT_IN)
    code = """
import sdovis, importlib.metadata
from pathlib import Path
from sdovis.channels.channel import channel
here = Path.cwd()
assert Path(sdovis.__file__).is_relative_to(here), sdovis.__file__
assert Path(str(importlib.metadata.distribution("sdovis").locate_file(""))).resolve() == here
print(channel("hmi-magnetogram").name)
"""
    (made.folder / "space" / "check.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-B", "check.py"], cwd=made.folder / "space", capture_output=True, text=True, check=False
    )
    assert done.stdout == "hmi-magnetogram\n", done.stderr


def test_a_strangers_plugin_travels_with_the_space(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    site = tmp_path / "site"
    (site / "stranger").mkdir(parents=True)
    (site / "stranger" / "__init__.py").write_text("CHANNEL = None\n")
    info = site / "stranger_channel-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: stranger-channel\nVersion: 1.2\nRequires-Dist: sdovis\n"
        "Requires-Dist: numpy>=2\nRequires-Dist: Strange-Numbers>=1\nRequires-Dist: sphinx; extra == 'doc'\n"
    )
    (info / "entry_points.txt").write_text("[sdovis.channels]\nstrange = stranger:CHANNEL\n")
    (info / "direct_url.json").write_text(json.dumps({"url": f"file://{site}"}))
    monkeypatch.syspath_prepend(str(site))
    facts = dataclasses.replace(run.facts, channels=(dataclasses.replace(run.facts.channels[0], name="strange"),))
    card.write(facts, run.folder, BUILT_IN)

    made = release(facts, run.folder, BUILT_IN)
    space = made.folder / "space"
    assert (space / "stranger" / "__init__.py").read_text() == "CHANNEL = None\n"
    assert [path.name for path in sorted((space / info.name).iterdir())] == ["METADATA", "entry_points.txt"]
    added = (space / "requirements.txt").read_text().splitlines()
    assert added[-1] == "Strange-Numbers>=1"
    assert not [line for line in added if line.startswith(("sdovis", "sphinx", "numpy>"))]


def test_only_what_is_on_the_list_is_released(run: Run):
    (run.folder / "training" / "training_args.bin").write_bytes(b"pickle")
    (run.folder / "training" / "notes.txt").write_text("mine")
    remade(run.folder / "cards", {"model/optimizer.pt": b"1", "model/figures/a.pkl": b"1", "dataset/.env": b"TOKEN=1"})
    made = release(run.facts, run.folder, BUILT_IN)
    names = {name for kind in KINDS for name in made.repositories[kind].files}
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".env", "notes.txt"))]


def test_a_link_is_not_followed_out_of_the_run(run: Run, tmp_path: Path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run.folder / "cards" / "model" / "figures" / "z.png").symlink_to(tmp_path / "secret.png")
    remade(run.folder / "cards", {})
    with pytest.raises(BadInput, match=r"z\.png: is not an ordinary file"):
        release(run.facts, run.folder, BUILT_IN)


@pytest.mark.parametrize("leak", ["the home", "the run", "a token"])
def test_what_is_private_stops_the_release_and_nothing_is_left(run: Run, leak: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "canary-token-of-nobody")
    words = {"the home": f"{Path.home()}/x", "the run": str(run.folder), "a token": "canary-token-of-nobody"}[leak]
    record = run.folder / "training" / "training.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "study": words}))
    with pytest.raises(BadInput, match=r"model/training\.json: .*it would be published") as caught:
        release(run.facts, run.folder, BUILT_IN)
    assert "canary-token-of-nobody" not in str(caught.value)
    assert sorted(p.name for p in run.folder.iterdir() if "release" in p.name) == []


def test_the_reason_of_a_reject_is_released_and_not_what_its_cells_hold(run: Run):
    rows = pd.read_csv(run.folder / "corpus" / "rejects.csv", dtype=str, keep_default_na=False)
    assert {"label", "reason", "published"} <= set(rows)
    card.write(run.facts, run.folder, BUILT_IN)
    released = pd.read_csv(release(run.facts, run.folder, BUILT_IN).path("dataset", "rejects.csv"), dtype=str)
    assert list(released) == ["file", "sheet", "row", "reason"]
    assert released["reason"].tolist() == rows["published"].tolist()


@pytest.mark.parametrize("where", ["an author", "a kept section", "a result"])
def test_addresses_are_released_where_the_owner_put_them_and_nowhere_else(run: Run, where: str):
    facts = run.facts
    if where == "an author":
        facts = dataclasses.replace(facts, authors=("Ada Lovelace <ada@noaa.gov>",))
    card.write(facts, run.folder, BUILT_IN)
    if where == "a kept section":
        path = run.folder / "cards" / "model" / "README.md"
        mark = "<!-- sdovis:keep notes -->\n"
        path.write_text(path.read_text().replace(mark, f"{mark}Ask ada@noaa.gov\n"))
        card.write(facts, run.folder, BUILT_IN)
    if where == "a result":
        record = run.folder / "training" / "training.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "study": "ada@noaa.gov"}))
        with pytest.raises(BadInput, match=r"model/training\.json: contains an e-mail address \(a\.\.\.@noaa\.gov\)"):
            release(facts, run.folder, BUILT_IN)
    else:
        assert "ada@noaa.gov" in release(facts, run.folder, BUILT_IN).path("model", "README.md").read_text()


def test_an_earlier_release_stays_when_the_new_one_fails(run: Run):
    made = release(run.facts, run.folder, BUILT_IN)
    (run.folder / "training" / "training.json").unlink()
    with pytest.raises(BadInput, match=r"the model has no training\.json"):
        release(run.facts, run.folder, BUILT_IN)
    assert Release.load(run.folder / "release") == made


def test_a_release_is_made_again_when_anything_in_it_would_be_another(run: Run, monkeypatch: pytest.MonkeyPatch):
    before = made_from(run.facts, run.folder, BUILT_IN)
    release(run.facts, run.folder, BUILT_IN)
    assert manifests.finished(run.folder / "release", before)
    assert made_from(run.facts, run.folder, BUILT_IN) == before
    assert made_from(dataclasses.replace(run.facts, description="Another"), run.folder, BUILT_IN) != before
    with monkeypatch.context() as patch:
        patch.setattr("sdovis.release.vendor.SOURCES", (".py",))  # as if a file of the package were gone
        assert made_from(run.facts, run.folder, BUILT_IN) != before
    record = run.folder / "training" / "training.json"
    record.write_text(record.read_text() + "\n")
    assert made_from(run.facts, run.folder, BUILT_IN) != before


def test_cards_of_something_else_are_refused(run: Run):
    facts = dataclasses.replace(run.facts, title="Another title")
    with pytest.raises(BadInput, match=r"cards/dataset/README\.md: is not the card of the current study"):
        release(facts, run.folder, BUILT_IN)


def test_a_section_written_by_hand_into_a_card_is_released(run: Run):
    path = run.folder / "cards" / "model" / "README.md"
    mark = "<!-- sdovis:keep by-hand -->\nBy hand.\n<!-- /sdovis:keep -->\n"
    path.write_text(f"{path.read_text()}\n{mark}")
    card.write(run.facts, run.folder, BUILT_IN)
    assert mark in release(run.facts, run.folder, BUILT_IN).path("model", "README.md").read_text()


def test_facts_of_another_run_are_refused(run: Run):
    remade(run.folder / "scores", {"scores.json": b"{}"})
    with pytest.raises(BadInput, match="the run has changed since its facts were gathered"):
        release(run.facts, run.folder, BUILT_IN)


def test_a_name_that_no_hub_takes_is_told_before_anything_is_written(run: Run):
    where = dataclasses.replace(run.facts.repositories, dataset="org/two--dashes")
    with pytest.raises(BadInput, match=r"two--dashes.*change study\.name"):
        release(dataclasses.replace(run.facts, repositories=where), run.folder, BUILT_IN)
