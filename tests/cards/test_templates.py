"""Card templates of one's own: named by the study, used by card, verify and release, told apart from the built-in ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sdovis import manifests
from sdovis import study as studies
from sdovis.cards import card, templates
from sdovis.cards.facts import gather
from sdovis.cards.verify import verify
from sdovis.cli import run_command
from sdovis.errors import BadInput

MODEL = """# {{ facts.title }}, in our own words

{{ facts.headline.score|named }}: {{ facts.headline.model|interval }}.
{{ sentences.split }}

{{ tables.confusion }}

<!-- sdovis:keep notes -->
<!-- /sdovis:keep -->
"""
NAMES = {"dataset.md.j2", "model.md.j2", "space.md.j2"}


@pytest.fixture
def own(run, monkeypatch) -> Path:
    """The study of a finished run, in the place where the command line looks for it, with a template of its own."""
    place = run.folder.parent
    shutil.copytree(run.folder, place / "runs" / "crafted")
    (place / "templates").mkdir()
    (place / "templates" / "model.md.j2").write_text(MODEL, encoding="utf-8")
    text = (run.folder / "study.toml").read_text(encoding="utf-8")
    file = place / "study.toml"
    file.write_text(text.replace("[publish]\n", '[publish]\ntemplates = "templates"\n'), encoding="utf-8")
    monkeypatch.chdir(place)
    return Path(file.name)


def written(kind: str = "model") -> str:
    return Path("runs", "crafted", "cards", kind, "README.md").read_text(encoding="utf-8")


def test_card_and_verify_use_the_studys_own_template(own, capsys):
    assert run_command(["card", str(own)]) == 0
    assert "# Mount Wilson classes, crafted, in our own words" in written()
    assert "balanced accuracy: 0.75 [0.60, 0.88]." in written()
    assert "The split is temporal" in written() and "| **alpha** | 8 | 4 | 0 |" in written()
    assert written().startswith("---\ndatasets:\n- your-name/crafted\n"), "the front matter is still ours"
    assert "## Sources" in written("dataset"), "what has no template of its own has the built-in one"
    assert Path("runs/crafted/release/model/README.md").read_text(encoding="utf-8") == written()
    assert run_command(["verify", "runs/crafted"]) == 0
    path = Path("runs/crafted/cards/model/README.md")
    path.write_text(written().replace("0.75 [0.60", "0.95 [0.60"), encoding="utf-8")
    assert run_command(["verify", "runs/crafted"]) == 2
    assert "printed 'balanced accuracy: 0.95 [0.60, 0.88].'" in capsys.readouterr().err


def test_another_template_makes_cards_and_release_again_and_keeps_what_was_written_by_hand(own):
    assert run_command(["card", str(own)]) == 0
    release = manifests.read(Path("runs/crafted/release"), made_by="card")
    assert run_command(["card", str(own)]) == 0
    assert manifests.read(Path("runs/crafted/release"), made_by="card") == release
    path = Path("runs/crafted/cards/model/README.md")
    path.write_text(written().replace("keep notes -->\n", "keep notes -->\nBy hand.\n"), encoding="utf-8")
    Path("templates/model.md.j2").write_text(MODEL.replace("our own", "other"), encoding="utf-8")
    assert run_command(["verify", "runs/crafted"]) == 2
    assert run_command(["card", str(own)]) == 0
    assert "in other words" in written() and "By hand." in written()
    assert manifests.read(Path("runs/crafted/release"), made_by="card").digest != release.digest
    assert run_command(["verify", "runs/crafted"]) == 0


def test_the_spaces_readme_has_a_template_of_its_own_too(own):
    Path("templates/space.md.j2").write_text("# Ask {{ facts.repositories.space }}\n", encoding="utf-8")
    assert run_command(["card", str(own)]) == 0
    text = Path("runs/crafted/release/space/README.md").read_text(encoding="utf-8")
    assert text.endswith("---\n\n# Ask your-name/crafted\n") and "sdk: gradio\n" in text


def test_a_template_that_is_only_commented_makes_the_cards_again(run, tmp_path):
    facts = gather(run.study, run.folder)
    used = templates.load(None)
    folder = card.write(facts, run.folder, used)
    shutil.copytree(folder, tmp_path / "before")
    (tmp_path / "own").mkdir()
    text = used.model.text + "{# a remark #}"
    (tmp_path / "own" / "model.md.j2").write_text(text, encoding="utf-8")
    card.write(facts, run.folder, templates.load(tmp_path / "own"))
    before, after = (manifests.read(f, made_by="card").made_from for f in (tmp_path / "before", folder))
    assert {name for name in before if before[name] != after[name]} == {"templates"}


def test_the_built_in_templates_are_written_to_start_from_and_give_the_same_cards(own, capsys):
    assert run_command(["card", str(own), "--write-templates", "start"]) == 0
    assert {path.name for path in Path("start").iterdir()} == NAMES
    assert not Path("runs/crafted/cards").exists(), "nothing else is written"
    assert "wrote start/model.md.j2" in capsys.readouterr().out
    found = templates.load(Path("start"))
    assert found.digest == templates.load(None).digest
    facts = gather(studies.load(own), Path("runs/crafted"))
    assert card.model_card(facts, found) == card.model_card(facts, templates.load(None))


def test_templates_that_are_there_are_not_overwritten(own, capsys):
    Path("start").mkdir()
    Path("start/model.md.j2").write_text("mine", encoding="utf-8")
    assert run_command(["card", str(own), "--write-templates", "start"]) == 4
    assert "start/model.md.j2: already there, and left unchanged; name another folder" in capsys.readouterr().err
    assert [path.name for path in Path("start").iterdir()] == ["model.md.j2"]
    assert Path("start/model.md.j2").read_text(encoding="utf-8") == "mine"


def test_a_mistake_in_a_template_is_one_line_with_file_and_line(own, capsys):
    Path("templates/model.md.j2").write_text("# {{ facts.title }}\n\n{{ facts.scores.rowz }}\n", encoding="utf-8")
    assert run_command(["card", str(own)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "error: templates/model.md.j2, line 3: rowz is undefined; did you mean 'rows'?"
    assert not Path("runs/crafted/cards").exists()


def test_a_mistake_in_a_template_is_found_before_anything_is_prepared_or_trained(own, capsys):
    Path("templates/model.md.j2").write_text("{{ facts.titel }}\n", encoding="utf-8")
    assert run_command(["run", str(own)]) == 2
    assert "templates/model.md.j2, line 1: facts.titel is undefined; did you mean 'title'?" in capsys.readouterr().err


def test_a_kept_section_of_a_template_that_does_not_end_is_named_with_its_file(own, capsys):
    Path("templates/model.md.j2").write_text("<!-- sdovis:keep notes -->\nno end\n", encoding="utf-8")
    assert run_command(["card", str(own)]) == 2
    assert "templates/model.md.j2: the kept section 'notes' does not end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (None, "publish.templates: there is no such folder; sdovis card STUDY.toml --write-templates FOLDER"),
        ({}, "publish.templates: contains none of dataset.md.j2, model.md.j2, space.md.j2"),
        ({"modell.md.j2": b""}, "modell.md.j2: is not the name of a template; did you mean 'model.md.j2'?"),
        ({"model.md.j2": b"\xff\xfe\x00"}, "model.md.j2: cannot be read: 'utf-8' codec"),
    ],
)
def test_a_folder_that_holds_no_templates_is_refused(tmp_path, files, told):
    folder = tmp_path / "own"
    for name, content in (files or {}).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    if files is not None:
        folder.mkdir(exist_ok=True)
    with pytest.raises(BadInput) as error:
        templates.load(folder)
    assert told in str(error.value)


def test_the_folder_is_relative_to_the_study_and_set_from_the_command_line_to_the_working_directory(own, monkeypatch):
    place = Path.cwd()
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    assert studies.load("../study.toml").publish.templates.resolve() == place / "templates"
    assert (
        studies.load("../study.toml", ["publish.templates=x"]).publish.templates.resolve() == place / "elsewhere" / "x"
    )


def test_where_the_templates_lie_comes_into_no_card_and_no_release(own):
    assert run_command(["card", str(own)]) == 0
    held = [path for path in Path("runs/crafted/release").rglob("*") if path.is_file()]
    assert not [path for path in held if str(Path.cwd()).encode() in path.read_bytes()]
    assert not [path for path in held if path.suffix == ".j2"]


def test_a_template_cannot_print_a_secret(own, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_CanaryCanaryCanaryCanaryCanary")
    Path("templates/model.md.j2").write_text("see hf_CanaryCanaryCanaryCanaryCanary\n", encoding="utf-8")
    assert run_command(["card", str(own)]) == 2
    assert "a card would contain hf_Can..., the value of HF_TOKEN" in capsys.readouterr().err


def test_the_resolved_study_finds_the_same_templates(own):
    assert run_command(["card", str(own)]) == 0
    resolved = studies.load("runs/crafted/study.toml")
    assert resolved.publish.templates.resolve() == (Path.cwd() / "templates")
    assert verify(Path("runs/crafted")) == []


def test_check_finds_a_mistake_in_a_template_too(small_study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = small_study.parent / "mine"
    folder.mkdir()
    (folder / "model.md.j2").write_text("{{ nothing_of_that_name }}\n")
    small_study.write_text(small_study.read_text() + '[publish]\ntemplates = "mine"\n')
    assert run_command(["check", "study.toml"]) == 2
    assert "model.md.j2, line 1: nothing_of_that_name is undefined" in capfd.readouterr().err
