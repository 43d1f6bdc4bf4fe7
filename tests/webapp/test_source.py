"""Which model a page shows, and what it says when that model cannot be had."""

from __future__ import annotations

import json

import pytest
from sdovis import manifests
from sdovis.errors import BadInput, HubFailure
from sdovis.webapp.source import EXPLANATION, MODEL_FILES, ModelSource, address, fetch, locate, map_to_show

PIN = "r-0123456789ab"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("SDOVIS_MODEL", "SDOVIS_MODEL_REVISION", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def write_space(folder, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.json").write_text(json.dumps({"model": "sun/m", "dataset": "sun/d", "revision": PIN} | facts))


def test_a_space_shows_the_model_that_its_release_wrote_down(tmp_path):
    write_space(tmp_path, title="Spots")
    (tmp_path / "examples").mkdir()
    found = locate(None, tmp_path)
    assert found == ModelSource("sun/m", "sun/d", PIN, examples=tmp_path / "examples", title="Spots")
    assert address(found, "model") == f"https://huggingface.co/sun/m/tree/{PIN}"
    assert address(found, "dataset") == f"https://huggingface.co/datasets/sun/d/tree/{PIN}"


def test_the_environment_goes_before_what_the_release_wrote(tmp_path, monkeypatch):
    write_space(tmp_path)
    monkeypatch.setenv("SDOVIS_MODEL", "other/m")
    monkeypatch.setenv("SDOVIS_MODEL_REVISION", "main")
    assert locate(None, tmp_path) == ModelSource("other/m", revision="main")


def test_a_model_by_name_may_say_its_revision(tmp_path):
    assert locate(f"sun/m@{PIN}", tmp_path) == ModelSource("sun/m", revision=PIN)


def test_a_run_a_release_and_a_model_folder_are_all_understood(tmp_path):
    run = tmp_path / "run"
    for folder in (run / "model", run / "release" / "model"):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    (run / "study.toml").write_text('[study]\nname = "s"\ntitle = "Spots"\n')
    write_space(run / "release" / "space")
    assert locate(run, tmp_path) == ModelSource(folder=run / "model", title="Spots")
    assert locate(run / "model", tmp_path) == ModelSource(folder=run / "model", title="Spots")
    assert locate(run / "release", tmp_path) == ModelSource("sun/m", "sun/d", PIN, folder=run / "release" / "model")


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "../../etc", "https://example.org/m"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_refused(name, tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    here = tmp_path / "somewhere" / "else"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)  # what is above the working directory is not the test's to know
    with pytest.raises(BadInput, match="neither a folder that holds a model nor a Hub id"):
        locate(name, tmp_path)


def test_a_path_that_leads_nowhere_beside_a_folder_that_exists_is_no_hub_id(tmp_path):
    with pytest.raises(BadInput, match="there is no such folder"):
        locate(tmp_path / "nowhere", tmp_path)


def test_without_any_word_about_the_model_the_page_says_what_to_set(tmp_path):
    with pytest.raises(BadInput, match="set SDOVIS_MODEL"):
        locate(None, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "no hub id"}'])
def test_a_damaged_space_json_is_told_apart_from_a_missing_one(text, tmp_path):
    (tmp_path / "space.json").write_text(text)
    with pytest.raises(BadInput, match=r"space\.json"):
        locate(None, tmp_path)


def test_a_release_without_an_owner_links_nowhere():
    assert address(ModelSource("your-name/m", "your-name/d"), "model") == ""


def _refusal(monkeypatch, kind):
    import httpx
    import huggingface_hub

    def refuse(*args, **kwargs):
        reply = httpx.Response(404, request=httpx.Request("GET", "https://hub.invalid"))
        raise kind("no", response=reply) if kind is not ConnectionError else kind("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


def test_a_private_model_without_a_token_asks_for_the_secret(monkeypatch):
    from huggingface_hub.errors import RepositoryNotFoundError

    _refusal(monkeypatch, RepositoryNotFoundError)
    with pytest.raises(BadInput, match="private, or not on the Hub, and there is no HF_TOKEN secret"):
        fetch(ModelSource("sun/m"))
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    with pytest.raises(BadInput, match="the HF_TOKEN secret has no read access to it"):
        fetch(ModelSource("sun/m"))


def test_a_gate_a_missing_revision_and_a_dead_network_are_told_apart(monkeypatch):
    from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError

    _refusal(monkeypatch, GatedRepoError)
    with pytest.raises(BadInput, match="is gated"):
        fetch(ModelSource("sun/m"))
    _refusal(monkeypatch, RevisionNotFoundError)
    with pytest.raises(BadInput, match=f"at revision {PIN} does not exist"):
        fetch(ModelSource("sun/m", revision=PIN))
    _refusal(monkeypatch, ConnectionError)
    with pytest.raises(HubFailure, match="cannot be reached"):
        fetch(ModelSource("sun/m"))


def test_only_weights_and_settings_are_downloaded(monkeypatch, tmp_path):
    import huggingface_hub

    asked = {}
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: asked.update(options) or str(tmp_path)
    )
    assert fetch(ModelSource("sun/m", revision=PIN)) == tmp_path
    assert asked["revision"] == PIN
    assert not any("bin" in pattern or "pkl" in pattern or pattern == "*" for pattern in asked["allow_patterns"])


# --- which map of where the network looked --------------------------------------------------------------------------


def explained_run(folder, chosen, **of):
    """A run with a model and an explanation that chose a map; returns the model's folder."""
    with manifests.whole(folder / "model", stage="train", made_from={}) as beside:
        (beside / "config.json").write_text("{}")
    made_from = {"model": manifests.read(folder / "model", made_by="train").digest} | of
    with manifests.whole(folder / "explanation", stage="explain", made_from=made_from) as beside:
        (beside / EXPLANATION).write_text(json.dumps({"format": 1, "chosen": chosen, "seconds": 3.2}))
    return folder / "model"


@pytest.mark.parametrize("chosen", ["integrated-gradients", "rollout", ""])
def test_a_run_s_explanation_says_which_map_to_show_or_that_none_is_worth_it(chosen, tmp_path):
    assert map_to_show(explained_run(tmp_path, chosen)) == chosen


def test_an_explanation_of_another_model_says_nothing(tmp_path):
    assert map_to_show(explained_run(tmp_path, "rollout", model="0" * 64)) is None


def test_a_model_that_was_not_explained_has_no_tested_map(tmp_path):
    assert map_to_show(tmp_path) is None


def test_in_a_release_the_explanation_lies_beside_the_model_and_is_downloaded_with_it(tmp_path):
    (tmp_path / EXPLANATION).write_text('{"format": 1, "chosen": "weighted-rollout"}')
    assert map_to_show(tmp_path) == "weighted-rollout"
    assert EXPLANATION in MODEL_FILES


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"format": 1, "chosen": "roll-out"}', "did you mean 'rollout'"),
        ('{"format": 99, "chosen": "rollout"}', "format 99"),
        ('{"format": 1, "chosen": null}', "chosen"),
        ('{"format": 1}', "chosen is missing"),
        ("[]", "explanation"),
        ("{", "Invalid JSON"),
    ],
)
def test_an_explanation_that_cannot_be_understood_is_an_error_and_not_a_guess(text, why, tmp_path):
    (tmp_path / EXPLANATION).write_text(text)
    with pytest.raises(BadInput, match=why):
        map_to_show(tmp_path)
