"""What the Hub would refuse is found before anything is created, and what was created in vain is removed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import Fault, LoopbackHub
from sdovis.errors import BadInput, HubFailure
from sdovis.hub.publish import publish

Crafted = Callable[..., Path]


def card(*lines: str) -> bytes:
    return "\n".join(["---", *lines, "---", "Release `r-000000000000`.", ""]).encode()


@pytest.mark.parametrize(
    ("kind", "lines", "told"),
    [
        ("dataset", ["license: mti"], r"dataset/README\.md: the Hub knows no licence 'mti'; set publish\.licence"),
        ("model", ["license: [mit, Apache]"], r"model/README\.md: the Hub knows no licence 'Apache'"),
        ("space", ["license: public-domain"], "the Hub knows no licence 'public-domain'"),
        ("dataset", ["license: other"], "'other' without its name; set publish.licence_name and publish.licence_link"),
        ("model", ["license: other", "license_name: ours"], "'other' without a link to its text"),
        ("model", ["license: other", "license_link: https://e.org/l"], "'other' without its name"),
        ("model", ["license: [mit, other]"], "'other' without its name"),
        ("model", ["license: other", "license_name: o", "license_link: LICENSE"], "nor a file of the repository"),
        ("dataset", ["license: mit", "language: english"], "language 'english' is no code of ISO 639; write it as en"),
        ("model", ["license: mit", "language: [en, EN-us]"], "language 'EN-us' is no code"),
        ("model", ["license: mit", "language: [no]"], "language False is no code"),
        ("space", ["license: mit", "tags: [sun, 193]"], "the tag 193 is not a text; put it in quotes"),
        ("model", ["license: mit", "tags: ['']"], "the tag '' is not a text"),
        ("dataset", ["a: ["], "its metadata cannot be read"),
    ],
)
def test_a_card_that_the_hub_would_refuse_is_told_and_nothing_is_created(
    hub: LoopbackHub, crafted: Crafted, kind: str, lines: list[str], told: str
):
    folder = crafted(extra={f"{kind}/README.md": card(*lines)})
    with pytest.raises(BadInput, match=told) as caught:
        publish(folder, dry_run=kind == "space")
    assert caught.value.exit_code == 2
    assert hub.repositories == {} and hub.requests == []


def test_everything_that_is_wrong_is_told_at_once(hub: LoopbackHub, crafted: Crafted):
    wrong = {"dataset/README.md": card("license: mti"), "model/README.md": card("license: other", "tags: [1]")}
    with pytest.raises(BadInput) as caught:
        publish(crafted(extra=wrong))
    assert [problem.file for problem in caught.value.problems] == ["dataset/README.md", *["model/README.md"] * 2]


def test_other_is_a_licence_with_a_name_and_a_link(hub: LoopbackHub, crafted: Crafted):
    named = card("license: other", "license_name: sdo-data-use", "license_link: https://example.org/rules")
    publish(crafted(extra={"model/README.md": named}))
    own = card("license: other", "license_name: ours", "license_link: LICENSE.md")
    publish(crafted(seed=1, extra={"model/README.md": own, "model/LICENSE.md": b"Ask us.\n"}))


def test_what_only_the_hub_finds_wrong_is_told_before_anything_is_created(hub: LoopbackHub, crafted: Crafted):
    # The Hub's list may be shorter than ours one day.
    with pytest.raises(BadInput, match=r'model/README.md: the Hub refuses this card: "license" must be one of'):
        publish(crafted(extra={"model/README.md": card("license: gemma")}))
    assert hub.repositories == {} and hub.writes() == []


@pytest.mark.parametrize(
    ("set_up", "told"),
    [
        ({"namespaces": ("ada", "elsewhere")}, "account 'ada' does not belong to 'org'.*publish.namespace"),
        ({"token_role": "read"}, "your token may only read 'org'"),
        ({"org_role": "read"}, "your account 'ada' may only read 'org'"),
    ],
)
def test_an_account_without_rights_is_told_before_anything_is_created(
    hub: LoopbackHub, crafted: Crafted, set_up: dict[str, object], told: str
):
    for name, value in set_up.items():
        setattr(hub, name, value)
    with pytest.raises(HubFailure, match=told) as caught:
        publish(crafted())
    assert caught.value.exit_code == 3
    assert hub.repositories == {} and hub.writes() == []


@pytest.mark.parametrize("kind", ["dataset", "model", "space"])
@pytest.mark.parametrize("answer", [(403, "no Spaces with this token"), (402, "pay first"), (400, "a reserved name")])
def test_a_hub_that_creates_some_and_refuses_others_is_left_without_empty_ones(
    hub: LoopbackHub, crafted: Crafted, kind: str, answer: tuple[int, str]
):
    hub.not_created = {kind: answer}
    with pytest.raises(HubFailure, match=f"creating the {kind} org/sun.*answered {answer[0]}: {answer[1]}"):
        publish(crafted())
    assert hub.repositories == {}
    hub.not_created = {}
    publish(crafted())
    assert [kind for kind, _ in hub.repositories] == ["dataset", "model", "space"]


def test_what_was_there_before_or_holds_others_work_is_never_removed(hub: LoopbackHub, crafted: Crafted):
    hub.create("dataset", "org/sun", private=True)
    hub.not_created = {"space": (403, "no")}
    created = 0

    def somebody(request: str) -> None:
        nonlocal created
        created += request == "POST /api/repos/create"
        if created == 2 and ("model", "org/sun") in hub.repositories:
            hub.after = lambda request: None
            hub.commit_as("eve", "model", "org/sun", {"a.txt": b"1"}, "quick")

    hub.after = somebody
    with pytest.raises(HubFailure):
        publish(crafted())
    assert ("dataset", "org/sun") in hub.repositories, "it was there before"
    assert hub.files("model", "org/sun")["a.txt"] == b"1"


def test_a_failure_that_may_pass_removes_nothing(hub: LoopbackHub, crafted: Crafted):
    hub.faults.append(Fault("POST /api/repos/create", status=503, skip=1, times=99))
    with pytest.raises(HubFailure):
        publish(crafted())
    assert [kind for kind, _ in hub.repositories] == ["dataset"]
    hub.faults.clear()
    assert publish(crafted()).sent == ("dataset", "model", "space")
