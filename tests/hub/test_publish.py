"""Publishing to a Hub that speaks the real interface, with the client as it is."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from loopback import Fault, LoopbackHub
from sdovis.errors import BadInput, Conflict, HubFailure
from sdovis.hub.download import verify_published
from sdovis.hub.publish import publish

Crafted = Callable[..., Path]
KINDS = ("dataset", "model", "space")
ID = "org/sun"
PIN = "r-000000000000"
ONE_EACH = {kind: ["initial commit", f"sdovis release {PIN}"] for kind in KINDS}


def commits(hub: LoopbackHub) -> dict[str, list[str]]:
    return {kind: [c.title for c in hub.repository(kind, ID).commits] for kind in KINDS}


def test_a_release_goes_up_in_one_commit_each_private_and_tagged(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    done = publish(folder)
    assert commits(hub) == ONE_EACH
    for kind in KINDS:
        repository = hub.repository(kind, ID)
        assert repository.private
        assert repository.head.id == done.commits[kind]
        assert list(repository.tags) == [PIN] and repository.branches == {}
        assert hub.files(kind, ID, PIN) == hub.files(kind, ID)
        released = {p.relative_to(folder / kind).as_posix(): p.read_bytes() for p in (folder / kind).rglob("*.*")}
        assert {n: c for n, c in hub.files(kind, ID).items() if n != ".gitattributes"} == released
    assert done.sent == KINDS
    assert verify_published(folder).pin == PIN


def test_all_three_are_tagged_before_main_of_any_is_switched_and_the_space_comes_last(
    hub: LoopbackHub, crafted: Crafted
):
    publish(crafted())
    writes = (path.split("/") for _, path in hub.writes() if re.search("/commit/|/tag/", path))
    steps = [(kind, what, to) for _, _, kind, _, _, what, to, *_ in writes]
    prepared = [(what, to) for _, what, to in steps[:-3]]
    assert [kind for kind, what, _ in steps if what == "tag"] == ["datasets", "models", "spaces"]
    assert ("commit", "main") not in prepared
    assert steps[-3:] == [(kind, "commit", "main") for kind in ("datasets", "models", "spaces")]


def test_a_second_publish_sends_nothing(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    publish(folder)
    before, hub.requests[:] = commits(hub), []
    done = publish(folder)
    assert hub.writes() == []
    assert commits(hub) == before
    assert done.sent == ()
    assert all(plan.empty for plan in done.plans)


def test_a_dry_run_tells_the_plan_and_writes_nothing(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    plan = publish(folder, dry_run=True)
    assert hub.writes() == []
    assert hub.repositories == {}
    assert not (folder.parent / "release.journal.json").exists()
    text = "\n".join(plan.lines())
    assert "dataset org/sun (private, new): 3 added, 0 changed, 0 deleted" in text
    assert "  + data/train-00000-of-00001.parquet  3.0 kB" in text

    publish(folder)
    newer = crafted(words="other words", without=("model/config.json",), extra={"model/scores.json": b"{}"})
    hub.requests.clear()
    text = "\n".join(publish(newer, dry_run=True).lines())
    assert hub.writes() == []
    assert "model org/sun (private): 1 added, 1 changed, 1 deleted" in text
    assert "  + scores.json" in text and "  ~ README.md" in text and "  - config.json" in text


def test_only_what_changed_is_sent_and_what_is_gone_is_deleted(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    hub.requests.clear()
    done = publish(crafted(seed=1, without=("dataset/corpus.json",)))
    assert done.sent == KINDS, "each card names the new pin"
    assert len([path for method, path in hub.writes() if method == "PUT"]) == 2, "nothing is uploaded twice"
    assert "corpus.json" not in hub.files("dataset", ID)
    assert "corpus.json" in hub.files("dataset", ID, PIN)
    assert set(hub.repository("space", ID).tags) == {PIN, "r-000000000001"}


def test_a_strangers_commit_is_not_overwritten(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    theirs = hub.commit_as("eve", "model", ID, {"config.json": b'{"a": 2}'}, "better")
    hub.requests.clear()
    with pytest.raises(Conflict, match=f"model org/sun.*{theirs[:12]}.*'better' by eve.*config.json") as caught:
        publish(crafted(seed=1))
    assert caught.value.exit_code == 4
    assert hub.writes() == [], "the dataset comes first, and must not go up when the model cannot"

    done = publish(crafted(seed=1), accept=[theirs[:12]])
    assert done.sent == KINDS
    assert hub.files("model", ID)["config.json"] == b'{"a": 1}\n'


def test_a_file_that_a_stranger_added_is_not_deleted(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    publish(folder)
    hub.commit_as("eve", "dataset", ID, {"notes.txt": b"mine"}, "notes")
    with pytest.raises(Conflict, match=r"notes\.txt"):
        publish(folder)


def test_a_repository_that_was_there_before_us_is_not_overwritten(hub: LoopbackHub, crafted: Crafted):
    hub.create("model", ID, private=True)
    hub.commit_as("eve", "model", ID, {"weights.bin": b"1"}, "my weights")
    with pytest.raises(Conflict, match="my weights"):
        publish(crafted())
    assert ("dataset", ID) not in hub.repositories


def test_a_repository_that_was_only_created_is_taken(hub: LoopbackHub, crafted: Crafted):
    for kind in KINDS:
        hub.create(kind, ID, private=True)
    assert publish(crafted()).sent == KINDS


def test_a_section_written_by_hand_on_the_hub_survives(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    card = hub.files("model", ID)["README.md"]
    hub.commit_as("eve", "model", ID, {"README.md": card.replace(b"Nothing yet.", b"By hand.")}, "a note")
    hub.requests.clear()
    assert publish(crafted()).sent == ()
    assert hub.writes() == []

    folder = crafted(words="other words", seed=1)
    publish(folder)
    text = hub.files("model", ID)["README.md"].decode()
    assert "By hand." in text and "Nothing yet." not in text and "other words" in text
    verify_published(folder)
    publish(crafted(words="third words", seed=2))
    assert "By hand." in hub.files("model", ID)["README.md"].decode()


def test_an_edit_outside_the_kept_sections_is_a_strangers(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    card = hub.files("model", ID)["README.md"]
    hub.commit_as("eve", "model", ID, {"README.md": card.replace(b"The end.", b"Not the end.")}, "an edit")
    with pytest.raises(Conflict, match=r"README\.md"):
        publish(crafted(words="other words"))


def test_damaged_marks_on_the_hub_are_told_and_left(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    card = hub.files("model", ID)["README.md"]
    hub.commit_as("eve", "model", ID, {"README.md": card.replace(b"<!-- /sdovis:keep -->", b"")}, "oops")
    with pytest.raises(Conflict, match=r"model org/sun: on the Hub, README\.md: the kept section 'notes' does not end"):
        publish(crafted(words="other words"))


@pytest.mark.parametrize("how", [Fault("POST .*/commit/", drop=True), Fault("POST .*/commit/", status=504)])
def test_a_commit_whose_answer_is_lost_is_not_sent_twice(hub: LoopbackHub, crafted: Crafted, how: Fault):
    hub.faults.append(dataclasses.replace(how))
    folder = crafted()
    publish(folder)
    assert commits(hub) == ONE_EACH
    verify_published(folder)


def test_a_commit_we_never_heard_of_is_ours_also_for_the_next_release(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    # As if killed between the Hub's answer and our note of it: only what was being sent is known.
    journal = crafted().parent / "release.journal.json"
    data = json.loads(journal.read_text())
    entry = data[hub.endpoint]["model org/sun"]
    entry["sending"] = {**entry.pop("published"), "commit": ""}
    journal.write_text(json.dumps(data))
    assert publish(crafted(seed=1)).sent == KINDS


def test_an_interruption_between_two_repositories_is_gone_on_from(hub: LoopbackHub, crafted: Crafted):
    hub.faults.append(Fault("PUT /lfs/", status=403))
    folder = crafted()
    with pytest.raises(HubFailure):
        publish(folder)
    hub.faults += [Fault("POST .*/models/.*/tag/", status=500, times=99)]
    with pytest.raises(HubFailure, match=r"tagging the model org/sun.*answered 500.*main of each is as it was"):
        publish(folder)
    assert commits(hub) == {kind: ["initial commit"] for kind in KINDS}
    hub.faults.clear()
    hub.faults += [Fault("POST .*/models/.*/commit/main", status=500, times=99)]
    told = r"main of dataset is at r-000000000000 already, main of model and space is as it was, .*switch the rest \(model and"
    with pytest.raises(HubFailure, match=told):
        publish(folder)
    hub.faults.clear()
    assert publish(folder).sent == ("model", "space")
    assert commits(hub) == ONE_EACH
    assert all(hub.repository(kind, ID).tags for kind in KINDS)


def test_somebody_faster_is_a_conflict(hub: LoopbackHub, crafted: Crafted, monkeypatch: pytest.MonkeyPatch):
    def hasty(line: str) -> None:
        if line.startswith("model"):
            hub.commit_as("eve", "model", ID, {"a.txt": b"1"}, "meanwhile")

    with pytest.raises(Conflict, match=r"somebody else has committed.*main of dataset is at r-000000000000 already"):
        publish(crafted(), say=hasty)
    assert set(hub.files("model", ID)) == {".gitattributes", "a.txt"}


def test_a_public_repository_is_not_published_to_as_private(hub: LoopbackHub, crafted: Crafted):
    hub.create("space", ID, private=False)
    with pytest.raises(Conflict, match="the space org/sun is public, but private was requested"):
        publish(crafted())
    assert ("dataset", ID) not in hub.repositories


def test_a_hub_that_makes_public_what_was_to_be_private_gets_nothing(hub: LoopbackHub, crafted: Crafted):
    hub.born_public = True
    with pytest.raises(Conflict, match="is public: nothing was sent"):
        publish(crafted())
    assert set(hub.files("dataset", ID)) == {".gitattributes"}


def test_public_is_made_so_at_the_end(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    publish(folder)
    hub.requests.clear()
    done = publish(folder, private=False)
    assert done.notes == ()
    assert [path.rpartition("/")[2] for _, path in hub.writes()] == ["settings"] * 3
    assert not any(hub.repository(kind, ID).private for kind in KINDS)

    publish(crafted(seed=1), private=False)
    with pytest.raises(Conflict):
        publish(crafted(seed=1))


def test_nothing_is_public_before_all_is_there(hub: LoopbackHub, crafted: Crafted):
    hub.faults.append(Fault("POST .*/spaces/.*/commit/", status=500, times=99))
    with pytest.raises(HubFailure):
        publish(crafted(), private=False)
    hub.faults.clear()
    assert all(hub.repository(kind, ID).private for kind in KINDS)
    publish(crafted(), private=False)
    assert not any(hub.repository(kind, ID).private for kind in KINDS)


def test_the_owner_is_told_of_the_secret_that_a_private_space_lacks(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    (note,) = publish(folder).notes
    assert "HF_TOKEN" in note and f"{hub.endpoint}/spaces/org/sun/settings" in note
    assert hub.repository("space", ID).secrets == {}
    HfApi(endpoint=hub.endpoint, token=hub.token).add_space_secret(ID, "HF_TOKEN", "hf_reader")
    assert publish(folder).notes == publish(folder, dry_run=True).notes == ()
    hub.faults.append(Fault("GET .*/secrets", status=403))
    assert publish(folder).notes == (note,)


def test_a_release_of_nobody_and_one_of_somebody_else_are_refused(hub: LoopbackHub, crafted: Crafted):
    with pytest.raises(BadInput, match=r"has no owner yet.*publish\.namespace"):
        publish(crafted(namespace="your-name"))
    with pytest.raises(BadInput, match="was made for 'org', not for 'ada'"):
        publish(crafted(), namespace="ada")
    assert hub.requests == []


def test_a_release_that_was_changed_by_hand_is_refused(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    (folder / "model" / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"model/config\.json changed"):
        publish(folder)
    assert hub.requests == []


def test_a_token_without_rights_is_one_clear_line(hub: LoopbackHub, crafted: Crafted):
    with pytest.raises(HubFailure, match=r"'ada' does not belong to 'eve'.*a token with write access") as caught:
        publish(crafted(namespace="eve"))
    assert "\n" not in str(caught.value)
    with pytest.raises(HubFailure, match="answered 401") as caught:
        publish(crafted(), token="hf_wrong")
    assert "\n" not in str(caught.value) and "hf_wrong" not in str(caught.value)


def test_a_hub_that_is_not_there_is_one_clear_line(hub: LoopbackHub, crafted: Crafted):
    with pytest.raises(HubFailure, match=r"looking up your account: http://127\.0\.0\.1:9") as caught:
        publish(crafted(), endpoint="http://127.0.0.1:9")
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


def test_metadata_that_the_hub_refuses_is_told(hub: LoopbackHub, crafted: Crafted):
    with pytest.raises(BadInput, match=r"dataset/README\.md: its metadata cannot be read"):
        publish(crafted(extra={"dataset/README.md": b"---\na: [\n---\n"}))


def test_what_was_changed_on_the_hub_is_found_by_verifying(hub: LoopbackHub, crafted: Crafted):
    folder = crafted()
    publish(folder)
    theirs = hub.commit_as("eve", "model", ID, {"config.json": b"{}", "new.txt": b"1"}, "moved")
    hub.repository("model", ID).tags[PIN] = theirs
    with pytest.raises(Conflict, match=r"model/new\.txt, model/config\.json"):
        verify_published(folder)
    del hub.repository("model", ID).tags[PIN]
    with pytest.raises(HubFailure, match=f"at {PIN}"):
        verify_published(folder)


def test_a_tree_of_several_pages_is_read_whole(hub: LoopbackHub, crafted: Crafted):
    folder = crafted(extra={f"space/sdovis/m{i}.py": b"%d" % i for i in range(30)})
    publish(folder)
    hub.page_size = 7
    assert publish(folder).sent == ()
