"""A collection groups the three repositories: made once, only added to, shown by a dry run, off unless the study asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import Fault, LoopbackHub
from sdovis.errors import HubFailure
from sdovis.hub.publish import publish

Crafted = Callable[..., Path]
ALL = [("dataset", "org/sun"), ("model", "org/sun"), ("space", "org/sun")]


def items(hub: LoopbackHub) -> list[tuple[str, str]]:
    (collection,) = hub.collections.values()
    return [(item["type"], item["id"]) for item in collection["items"]]


def test_the_three_are_grouped_and_a_second_publish_asks_only(hub: LoopbackHub, crafted: Crafted):
    folder = crafted(collection="The Sun, 2026")
    (line,) = publish(folder, dry_run=True).collection
    assert line == (
        "collection 'The Sun, 2026' of org (private, new): add dataset org/sun, model org/sun, space org/sun"
    )
    assert hub.collections == {}
    publish(folder)
    assert items(hub) == ALL
    (collection,) = hub.collections.values()
    assert collection["private"] and collection["title"] == "The Sun, 2026"
    hub.requests.clear()
    assert publish(folder).collection == ("collection 'The Sun, 2026' of org: nothing changes",)
    assert hub.writes() == []


def test_without_a_title_no_collection_is_asked_for(hub: LoopbackHub, crafted: Crafted):
    assert publish(crafted()).collection == ()
    assert not [path for _, path in hub.requests if "collections" in path]


def test_what_others_put_into_it_stays_and_what_is_missing_is_added(hub: LoopbackHub, crafted: Crafted):
    hub.create("model", "org/other", private=True)
    folder = crafted(collection="Sun")
    publish(folder)
    (collection,) = hub.collections.values()
    del collection["items"][1]
    collection["items"].insert(0, {"_id": "1", "position": 0, "type": "model", "id": "org/other"})
    assert publish(folder, dry_run=True).collection == ("collection 'Sun' of org: add model org/sun",)
    publish(folder)
    assert items(hub) == [("model", "org/other"), ALL[0], ALL[2], ALL[1]]


@pytest.mark.parametrize("lost", ["POST /api/collections$", "POST .*/items"])
def test_an_answer_that_is_lost_makes_neither_a_second_collection_nor_a_second_item(
    hub: LoopbackHub, crafted: Crafted, lost: str
):
    hub.faults.append(Fault(lost, drop=True))
    publish(crafted(collection="Sun"))
    assert items(hub) == ALL


def test_a_collection_that_is_refused_leaves_the_release_published_and_says_so(hub: LoopbackHub, crafted: Crafted):
    hub.faults.append(Fault("POST /api/collections$", status=403))
    with pytest.raises(HubFailure, match="making the collection 'Sun' of org"):
        publish(crafted(collection="Sun"))
    assert [list(hub.repository(kind, "org/sun").tags) for kind, _ in ALL] == [["r-000000000000"]] * 3
    publish(crafted(collection="Sun"))
    assert items(hub) == ALL
