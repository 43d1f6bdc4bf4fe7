"""The cards as the Hub and a reader get them."""

from __future__ import annotations

import ast
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sdovis import manifests
from sdovis import study as studies
from sdovis.cards import card as cards
from sdovis.cards import templates
from sdovis.cards.card import merge
from sdovis.cards.facts import ClassFacts, Facts, gather
from sdovis.cards.metadata import dataset_metadata, model_metadata
from sdovis.cards.verify import verify
from sdovis.channels.channel import channel
from sdovis.errors import BadInput
from sdovis.fetching.ledger import ArchiveFacts
from sdovis.release.vendor import write_space

GOLDEN = Path(__file__).parent / "golden"
BUILT_IN = templates.load(None)
dataset_card, model_card, space_card = (
    partial(make, templates=BUILT_IN) for make in (cards.dataset_card, cards.model_card, cards.space_card)
)
write = partial(cards.write, templates=BUILT_IN)
CARDS = {"dataset": dataset_card, "model": model_card}


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def settled(facts: Facts) -> Facts:
    """Facts without what another version of Parquet, PNG or sdovis would change."""
    return replace(
        facts,
        sdovis="1.2.3",
        repositories=replace(facts.repositories, pin="r-0123456789ab"),
        provenance=replace(facts.provenance, reader="sdovis 1.2.3"),
        storage=replace(
            facts.storage,
            splits={part: (rows, 1000 * rows) for part, (rows, _) in facts.storage.splits.items()},
            download_bytes=100_000,
            dataset_bytes=174_000,
        ),
    )


def is_golden(card: str, name: str) -> bool:
    """Whether ``card`` is what a file of the golden folder says; SDOVIS_GOLDEN=write writes that file."""
    file = GOLDEN / f"{name}.md"
    if os.environ.get("SDOVIS_GOLDEN") == "write":
        file.write_text(card, encoding="utf-8")
        pytest.fail(f"wrote {file.name}: look at it, and run again without SDOVIS_GOLDEN")
    return card == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "written"), [*CARDS.items(), ("space", space_card)])
def test_the_readme_is_the_golden_one(facts, kind, written):
    assert is_golden(written(settled(facts)), kind)


SPLITS = {
    "temporal": "gap_days = 27.0",
    "grouped": 'method = "grouped"',
    "kfold": 'method = "kfold"\nfolds = 4\nfold = 3',
    "leave-year-out": 'method = "leave-year-out"\nyear = 2012\ngap_days = 10.0',
}


def section(card: str, heading: str) -> str:
    """A section of a card, without its subsections."""
    return re.search(rf"^{re.escape(heading)}\n.*?(?=^##)", card, re.DOTALL | re.MULTILINE)[0]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("method", SPLITS)
def test_both_cards_tell_how_each_method_split_and_what_became_of_returns(make_run, method, linked):
    split = f"{SPLITS[method]}\nlink_returning = {str(linked).lower()}"
    run = make_run(split=split, first=datetime(2011, 7, 1, tzinfo=UTC))
    facts = settled(gather(run.study, run.folder))
    told = section(dataset_card(facts), "## Split") + section(model_card(facts), "## Data and split")
    assert is_golden(told, f"split-{method}{'-linked' if linked else ''}")


def test_the_model_card_tells_what_the_model_scored_on_other_data_and_where_no_better(facts_elsewhere):
    assert is_golden(section(model_card(settled(facts_elsewhere)), "### On other data"), "elsewhere")


JSOC = ArchiveFacts(
    "JSOC, Stanford", "http://jsoc.stanford.edu/", "CC0-1.0", "NASA/SDO", 460, 1_930_000_000, "2026-11-27", "2026-11-28",
    True, 0,
)  # fmt: skip


def test_the_dataset_card_cites_the_archives_that_files_came_from(facts):
    mirror = replace(JSOC, title="A | mirror", files=3, bytes=3000, first=JSOC.last, own_address=False, changed=1)
    told = dataset_card(settled(replace(facts, fetched=(JSOC, mirror))))
    assert is_golden(section(told, "## Sources"), "fetched")


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (
            {"trainable": "lora", "lora": {"rank": 4}},
            "(LoRA: rank 4, alpha 16) and the classifier; the adapters are merged",
        ),
        ({"trainable": "head"}, "the classifier alone, on features computed once by the frozen backbone |"),
        (
            {"trainable": "head-then-all", "layer_decay": 0.75},
            "then every weight; each layer at 0.75 times the learning rate",
        ),
        (
            {"sampling": "balanced", "patience": 3},
            "every weight; every class shown equally often; stopped after 3 eval",
        ),
        ({"logit_adjustment": 1.0}, "every weight; logits adjusted by 1 times the log"),
    ],
)
def test_the_model_card_tells_the_method(facts, method, told):
    settings = studies.Method.model_validate(method).model_dump(mode="json")
    card = model_card(replace(facts, training=replace(facts.training, method=settings)))
    (row,) = [line for line in card.splitlines() if line.startswith("| method |")]
    assert told in row


def test_the_model_card_tells_of_several_seeds_which_was_chosen_and_how_they_spread(facts):
    seeds = {
        "chosen": 5,
        "chosen_by": "balanced_accuracy",
        "validation": {str(seed): {"balanced_accuracy": score} for seed, score in ((4, 0.5), (5, 0.75))},
        "over_seeds": {"balanced_accuracy": {"mean": 0.625, "sd": 0.177, "low": 0.5, "high": 0.75}},
    }
    card = model_card(replace(facts, training=replace(facts.training, seed=5, seeds=seeds)))
    assert "| seeds | 2 were trained; 5 is this model, best by balanced accuracy on the validation part |" in card
    assert re.search(r"\| validation balanced accuracy over the seeds \| 0\.62\d?, from 0\.50?0? to 0\.75", card)
    assert "trained from 2 seeds, of\n  which the validation part chose 5; the spread" in card


def test_the_model_card_tells_where_a_training_was_continued_on_something_else(facts):
    sessions = ({"after_step": 0, "on": {"threads": "1", "torch": "2.13.0"}},)
    alone = model_card(replace(facts, training=replace(facts.training, sessions=sessions)))
    assert "bit for bit" not in alone
    sessions += ({"after_step": 20, "on": {"threads": "2", "torch": "2.13.0"}},)
    card = model_card(replace(facts, training=replace(facts.training, sessions=sessions)))
    (row,) = [line for line in card.splitlines() if line.startswith("| after step 20 |")]
    assert "threads 2 instead of 1, so the weights are not bit for bit" in row and "torch" not in row


# --- front matter ---------------------------------------------------------------------------------------------------


def test_the_hub_reads_the_dataset_cards_front_matter(facts, tmp_path):
    (tmp_path / "README.md").write_text(dataset_card(facts), encoding="utf-8")
    assert metadata_load(tmp_path / "README.md") == dataset_metadata(facts)
    data = DatasetCard(dataset_card(facts)).data.to_dict()
    assert data["task_categories"] == ["image-classification"]
    assert data["size_categories"] == ["n<1K"]
    assert data["license"] == "cc0-1.0"
    assert [s["num_examples"] for s in data["dataset_info"]["splits"]] == [113, 25, 36]


def test_load_dataset_takes_the_folder_with_its_card(facts, finished, tmp_path):
    import datasets

    shutil.copytree(finished.folder / "corpus" / "data", tmp_path / "repo" / "data")
    (tmp_path / "repo" / "README.md").write_text(dataset_card(facts), encoding="utf-8")
    data = datasets.load_dataset(str(tmp_path / "repo"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in data.items()} == {"train": 113, "validation": 25, "test": 36}
    assert data["test"].features["label"].names == ["alpha", "beta", "complex"]
    assert data["test"][0]["image"].size == (16, 16)


def test_the_hub_reads_the_model_cards_front_matter(facts, tmp_path):
    (tmp_path / "README.md").write_text(model_card(facts), encoding="utf-8")
    data = metadata_load(tmp_path / "README.md")
    assert data == model_metadata(facts)
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "image-classification"
    assert data["datasets"] == [facts.repositories.dataset]
    assert "base_model" not in data  # trained from scratch
    name, results = model_index_to_eval_results(data["model-index"])
    assert name == "crafted"
    found = {result.metric_type: result for result in results}
    entry = facts.scores.overall["balanced-accuracy"]
    for end, value in {"": entry.estimate, "_low": entry.low, "_high": entry.high}.items():
        assert found[f"balanced_accuracy{end}"].metric_value == pytest.approx(value, abs=5e-5)
    assert found["f1_low"].metric_args == {"unit": "region", "regions": 12, "samples": 200, "confidence": 0.95}
    assert {(r.dataset_split, r.dataset_revision) for r in results} == {("test", facts.repositories.pin)}
    # Its own reading back loses nothing: the Hub's client would write the same.
    assert ModelCard(model_card(facts)).data.to_dict()["model-index"] == data["model-index"]


def test_a_backbone_of_the_hub_is_the_base_model_and_a_local_one_is_not(facts):
    hub = replace(facts.network, backbone="facebook/dinov2-small", hub_id="facebook/dinov2-small", revision="abc")
    assert model_metadata(replace(facts, network=hub))["base_model"] == "facebook/dinov2-small"
    assert "](https://huggingface.co/facebook/dinov2-small), revision abc" in model_card(replace(facts, network=hub))
    local = replace(facts.network, backbone="dinov2-small", folder_sha256="ab" * 32)
    assert "base_model" not in model_metadata(replace(facts, network=local))
    assert "`dinov2-small`, from a local folder whose contents have the sha256" in model_card(
        replace(facts, network=local)
    )


def test_the_spaces_front_matter_is_what_the_hub_and_the_requirements_want(facts):
    title = 'Spots: "alpha" & <b>beta</b>\n- {{ 7 * 7 }} # no comment'
    said = yaml.safe_load(space_card(replace(facts, title=title)).split("---\n")[1])
    assert said["title"] == title
    assert (said["sdk"], said["app_file"], said["license"], said["pinned"]) == ("gradio", "app.py", "mit", False)
    requirements = (files("sdovis.space") / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert f"gradio=={said['sdk_version']}" in requirements
    assert (said["models"], said["datasets"]) == ([facts.repositories.model], [facts.repositories.dataset])
    assert "simulated" not in said["tags"]
    assert "simulated" in yaml.safe_load(space_card(replace(facts, simulated=True)).split("---\n")[1])["tags"]


@pytest.mark.parametrize(
    ("images", "annotations", "licence"),
    [
        ("", "", {"license": "unknown"}),
        ("cc0-1.0", "", {"license": "cc0-1.0"}),
        ("CC0-1.0", "cc0-1.0", {"license": "cc0-1.0"}),
        ("cc0-1.0", "mit", {"license": ["cc0-1.0", "mit"]}),
        ("Ask: Jane\n---", "", {"license": "other", "license_name": "ask-jane"}),
    ],
)
def test_licences_are_given_as_the_hub_knows_them(facts, images, annotations, licence):
    given = replace(facts, licence=annotations, provenance=replace(facts.provenance, licence=images))
    found = dataset_metadata(given)
    assert {key: found[key] for key in found if key.startswith("license")} == licence


# --- what the cards say ---------------------------------------------------------------------------------------------


def test_a_simulated_study_says_so_and_takes_no_credit_from_sdo(facts):
    for card in (dataset_card(replace(facts, simulated=True)), model_card(replace(facts, simulated=True))):
        body = card.split("\n---\n", 1)[1]
        assert "**Simulated data.**" in body[:400]
        assert "Courtesy of NASA/SDO" not in card
        assert "simulated" in yaml.safe_load(card.split("---\n")[1])["tags"]
    assert "simulated" not in model_metadata(facts)["tags"]
    assert "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams." in model_card(facts)


def test_browse_pictures_are_called_a_demonstration(facts):
    browse = replace(facts, channels=(replace(facts.channels[0], browse=True),))
    for make in CARDS.values():
        assert "not intended for science analysis or publication" in " ".join(make(browse).replace("> ", "").split())
        assert "not intended for science analysis" not in make(facts)


THREE = ("hmi-br", "hmi-magnetogram", "aia-304-corrected")


def test_each_channel_of_a_composite_is_named_with_its_transform_and_its_colour(make_run):
    run = make_run(channels=THREE)
    facts = gather(run.study, run.folder)
    write(facts, run.folder)
    assert verify(run.folder) == []
    dataset, model, space = (" ".join(make(facts).split()) for make in (dataset_card, model_card, space_card))
    for name, colour, title in zip(THREE, ("red", "green", "blue"), (c.title for c in facts.channels), strict=True):
        kind = channel(name)
        assert kind.title == title
        assert f"| images ({colour}) | {title} |" in dataset
        assert f"| transform to 8 bits ({colour}) | `{name}`, version {kind.version}, from {kind.unit}: " in dataset
        assert f"- {colour}: `{name}`, version {kind.version} ({title}): " in model
        assert f"- {name} " in space and title in space
    for card in (dataset, model):
        assert card.count("linear to 200 G in steps of 5.71 G") == 2 and "DN/s (EXPTIME divided out)" in card
    assert "or of three transforms, a colour each" in dataset
    assert 'classify(("hmi-br.fits", "hmi-magnetogram.fits", "aia-304-corrected.fits"))' in model
    assert 'files = [handle_file("hmi-br.fits"), handle_file("hmi-magnetogram.fits"), ' in space
    assert {"hmi", "aia", *THREE} <= set(model_metadata(facts)["tags"])
    for code in re.findall(r"```python\n(.*?)```", model_card(facts) + space_card(facts), re.DOTALL):
        ast.parse(code)


def test_a_space_installs_what_its_channels_need_beyond_sdovis(facts, tmp_path):
    for name, wanted in (("aia-304-corrected", True), ("aia-304", False)):
        (tmp_path / name).mkdir()
        write_space(replace(facts, channels=(replace(facts.channels[0], name=name),)), tmp_path / name, BUILT_IN)
        lines = (tmp_path / name / "requirements.txt").read_text(encoding="utf-8").splitlines()
        assert any(line.startswith("aiapy") for line in lines) is wanted


def test_heliographic_cutouts_are_said_to_be_maps(facts):
    maps = replace(facts, cutout_deg=12.0)
    for make in CARDS.values():
        assert "is a cylindrical equal-area map of 12 heliographic degrees" in " ".join(make(maps).split())
        assert "equal-area" not in make(facts)


def test_a_model_that_beats_its_baselines_may_say_so(facts):
    assert "**not shown to be better** than that baseline" in model_card(facts)
    weak = {"majority": facts.scores.baselines["majority"]}
    against = {"majority": facts.scores.difference_to["majority"]}
    card = model_card(replace(facts, scores=replace(facts.scores, baselines=weak, difference_to=against)))
    assert "not shown to be better" not in card
    none = replace(facts.scores, baselines={}, difference_to={})
    assert "No baseline was scored for comparison." in model_card(replace(facts, scores=none))


def test_every_column_of_the_data_is_explained(facts):
    card = dataset_card(facts)
    explained = set(re.findall(r"`(\w+)`", card[card.index("## Columns") : card.index("## Limits")]))
    assert {feature["name"] for feature in facts.storage.features} <= explained


@pytest.mark.parametrize("kind", CARDS)
def test_the_snippets_are_python_and_pin_the_release(facts, kind):
    snippets = re.findall(r"```python\n(.*?)```", CARDS[kind](facts), re.DOTALL)
    assert snippets
    for snippet in snippets:
        calls = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Call)]
        opened = [c for c in calls if any(k.arg == "revision" for k in c.keywords)]
        assert opened
        assert all(k.value.value == facts.repositories.pin for c in opened for k in c.keywords if k.arg == "revision")
    names = {n.id for s in snippets for n in ast.walk(ast.parse(s)) if isinstance(n, ast.Name)}
    assert "load_dataset" in names


def test_every_picture_and_example_the_card_shows_is_beside_it(facts, run):
    folder = write(gather(run.study, run.folder), run.folder) / "model"
    card = (folder / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", card) + [
        w["src"] for w in metadata_load(folder / "README.md")["widget"]
    ]
    assert "figures/learning_curve.png" in shown
    assert len(shown) == 7 + 3
    for name in shown:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert manifests.read(folder.parent, made_by="card").stage == "card"


# --- text that means harm -------------------------------------------------------------------------------------------

TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="|`<>{}*_[]()#~!\\&$-+=.%\n\r 1a:'\"", max_size=25),
    st.sampled_from(
        ["{{ 7*7 }}", "{% for %}", "<script>alert(1)</script>", "<!-- sdovis:keep notes -->", "---\nlicense: evil\n---"]
    ),
)


def written(facts: Facts, text: str) -> Facts:
    """Facts whose every text from study and workbook is ``text``."""
    classes = tuple(ClassFacts(each.name, text, {text: 3}, {text: 3, f"{text} x": 2}, 0, 0) for each in facts.classes)
    return replace(
        facts,
        title=text,
        description=text,
        licence=text,
        authors=(text, "B"),
        notes=(text,),
        classes=classes,
        provenance=replace(facts.provenance, rows_from=text, sheets=(text,), licence=text, credit=text),
        rejects=replace(facts.rejects, reasons={text: 4, f"{text} y": 5}),
        scheme=replace(facts.scheme, agreement=text, absent=[text]),
    )


def outline(card: str) -> list[str]:
    """The kinds of all blocks and inline elements, without the front matter and without plain text."""
    tokens = MARKDOWN.parse(card.split("\n---\n", 1)[1])
    inline = (child.type for token in tokens for child in token.children or ())
    return [token.type for token in tokens] + [kind for kind in inline if not kind.startswith(("text", "softbreak"))]


OUTLINES: dict[str, list[str]] = {}


@pytest.mark.parametrize("kind", CARDS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_no_text_of_study_or_workbook_breaks_a_card(facts, kind, text):
    card = CARDS[kind](written(facts, f"a{text}"))
    if kind not in OUTLINES:
        OUTLINES[kind] = outline(CARDS[kind](written(facts, "a")))
    assert outline(card) == OUTLINES[kind]
    metadata = {"dataset": dataset_metadata, "model": model_metadata}[kind](written(facts, f"a{text}"))
    assert yaml.safe_load(card.split("---\n", 2)[1]) == metadata
    assert card == merge(card, card)


def test_a_template_in_the_workbook_is_text(facts):
    assert "&#123;&#123; 7\\*7 &#125;&#125;" in dataset_card(written(facts, "{{ 7*7 }}"))


def test_no_home_folder_and_no_token_comes_into_a_card(make_run, tmp_path, monkeypatch):
    home, token = tmp_path / "home-of-canary", "hf_CanaryCanaryCanaryCanaryCanary"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN", token)
    run = make_run(
        reasons=[f"image '{home}/sun/x.png': is absent", r"image 'C:\Users\canary\y.png': is absent"],
    )
    # With the scheme `column` any text is a class.
    run.edit("corpus/corpus.json", lambda data: data["spellings"].update(alpha={f"{home}/Alpha": 60}))
    run.relink()
    folder = write(gather(run.study, run.folder), run.folder)
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for secret in (str(home), "canary", token, str(Path.cwd()), str(tmp_path)):
            assert secret.encode() not in content, (path.name, secret)
    assert "…/x.png" in (folder / "dataset" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("secret", ["{home}/notes.txt", "hf_CanaryCanaryCanaryCanaryCanary", "my-secret-value"])
def test_a_secret_in_the_studys_own_prose_is_refused(facts, tmp_path, monkeypatch, secret):
    monkeypatch.setenv("HOME", str(tmp_path / "jane_doe"))
    monkeypatch.setenv("HF_TOKEN", "my-secret-value")
    text = "see " + secret.format(home=Path.home())
    with pytest.raises(BadInput, match="a card would contain"):
        model_card(replace(facts, description=text))


# --- what is written by hand ----------------------------------------------------------------------------------------

NEW = "---\na: 1\n---\n\n# New\n\n<!-- sdovis:keep notes -->\n<!-- /sdovis:keep -->\n\nend\n"


def kept(text: str, name: str = "notes") -> str:
    return f"# Old\n\n<!-- sdovis:keep {name} -->\n{text}\n<!-- /sdovis:keep -->\nold end\n"


def test_a_hand_written_section_survives_a_new_card():
    merged = merge(NEW, kept("By hand.\n\n| a |\n|---|"))
    assert merged == NEW.replace("notes -->\n", "notes -->\nBy hand.\n\n| a |\n|---|\n")


def test_a_section_that_the_new_card_lacks_is_put_at_its_end():
    merged = merge(NEW, kept("By hand.", "history"))
    assert merged == NEW + "\n<!-- sdovis:keep history -->\nBy hand.\n<!-- /sdovis:keep -->\n"


def test_a_card_without_sections_or_an_empty_one_changes_nothing():
    assert merge(NEW, "# By a stranger\n") == NEW
    assert merge(NEW, "") == NEW


def test_windows_line_ends_in_the_old_card_are_read():
    assert "\nBy hand.\n" in merge(NEW, kept("By hand.").replace("\n", "\r\n"))


def test_a_mark_in_the_front_matter_is_no_mark():
    old = "---\ntitle: x\n<!-- sdovis:keep notes -->\n---\n"
    assert merge(NEW, old) == NEW


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("<!-- sdovis:keep notes -->\ntext", "does not end"),
        ("text\n<!-- /sdovis:keep -->", "without having begun"),
        ("<!-- sdovis:keep a -->\n<!-- sdovis:keep b -->\n<!-- /sdovis:keep -->", "begins inside another"),
        (kept("a") + kept("b"), "a second time"),
    ],
)
def test_damaged_marks_are_an_error_and_not_a_loss(old, told):
    with pytest.raises(BadInput, match=told):
        merge(NEW, old)


@given(st.text(alphabet="ab #|<>-\n").filter(lambda t: "sdovis" not in t), st.sampled_from(["notes", "history"]))
def test_merging_twice_is_merging_once(text, name):
    once = merge(NEW, kept(text, name))
    assert merge(NEW, once) == once
    assert merge(once, once) == once


def test_writing_the_cards_again_keeps_what_was_written_by_hand(run):
    card = write(gather(run.study, run.folder), run.folder) / "model" / "README.md"
    mark = "<!-- sdovis:keep notes -->\n"
    card.write_text(card.read_text(encoding="utf-8").replace(mark, f"{mark}Ours, by hand.\n"), encoding="utf-8")
    study = studies.load(run.folder / "study.toml", ["study.title=Another title"])
    write(gather(study, run.folder), run.folder)
    text = card.read_text(encoding="utf-8")
    assert "Ours, by hand." in text
    assert "# Another title" in text
