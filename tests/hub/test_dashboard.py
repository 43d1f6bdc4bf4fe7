"""A dashboard of the training is a fourth repository: a static Space, sent where the release is public, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loopback import LoopbackHub
from sdovis.hub.publish import publish

Crafted = Callable[..., Path]
SPACE = ("space", "org/sun-training")


def test_a_dry_run_says_what_would_be_sent_and_a_private_release_goes_out_without(hub: LoopbackHub, crafted: Crafted):
    folder = crafted(dashboard=True, collection="Sun")
    done = publish(folder)
    assert SPACE not in hub.repositories and done.sent == ("dataset", "model", "space")
    (note,) = (line for line in done.lines() if "org/sun-training" in line)
    assert "is left out" in note and "--public" in note
    shown = publish(folder, private=False, dry_run=True).lines()
    assert any(
        line.startswith("dashboard org/sun-training (private, public at the end, new): 1 added") for line in shown
    )
    assert shown[-1] == "collection 'Sun' of org: add space org/sun-training"
    assert SPACE not in hub.repositories


def test_made_public_it_is_a_static_space_with_the_same_pin_and_in_the_collection(hub: LoopbackHub, crafted: Crafted):
    folder = crafted(dashboard=True, collection="Sun")
    done = publish(folder, private=False)
    assert done.sent == ("dataset", "model", "space", "dashboard")
    space = hub.repository(*SPACE)
    assert (space.sdk, hub.repository("space", "org/sun").sdk) == ("static", "gradio")
    assert not space.private and list(space.tags) == [done.pin] and space.branches == {}
    assert [commit.title for commit in space.commits] == ["initial commit", f"sdovis release {done.pin}"]
    (collection,) = hub.collections.values()
    assert [item["id"] for item in collection["items"]] == ["org/sun"] * 3 + ["org/sun-training"]
    hub.requests.clear()
    assert publish(folder, private=False).sent == () and hub.writes() == []
