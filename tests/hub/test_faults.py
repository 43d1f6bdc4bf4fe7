"""A publish with something going wrong at every request: no pin leads nowhere at any moment, and a re-run mends it.

CI tries some requests of each kind; ``SDOVIS_FAULTS=1 pytest tests/hub/test_faults.py -s`` tries every one, 2 every second,
and prints a table. A silent Hub takes seconds, and is tried at a third of them.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from loopback import Fault, LoopbackHub, Repository
from sdovis.errors import HubFailure
from sdovis.hub import patience
from sdovis.hub.publish import publish

Crafted = Callable[..., Path]
KINDS = ("dataset", "model", "space")
ID = "org/sun"
#: Of how many requests one is tried.
STEP = int(os.environ.get("SDOVIS_FAULTS", "20"))

#: What passes: the same publish must go through. From request number ``skip`` on.
PASSING = {
    "429 with Retry-After": Fault(".", status=429, retry_after="7"),
    "500": Fault(".", status=500),
    "503 with Retry-After": Fault(".", status=503, retry_after="1"),
    "closed before it was done": Fault(".", early=True),
    "closed after it was done": Fault(".", drop=True),
}
FOR_EVER = 10**9
#: What lasts: that publish ends with a `HubFailure`, and the next one goes on from there.
LASTING = {
    "gone before it was done": [Fault(".", early=True, times=FOR_EVER)],
    "gone after it was done": [Fault(".", drop=True), Fault(".", early=True, skip=1, times=FOR_EVER)],
    "500 from then on": [Fault(".", status=500, times=FOR_EVER)],
    "silent from then on": [Fault(".", silent=True, times=FOR_EVER)],
}
SCENARIOS = ("a first release", "new data", "other words under the same data", "made public, with a dashboard")


Tried = tuple[str, str, int, int, float, int]


@dataclass
class Stage:
    """A Hub with what was published before, and the release that comes now.

    ``wrong`` collects what was wrong after any request: pins that lead nowhere, tags that moved or are gone.
    """

    hub: LoopbackHub
    folder: Path
    private: bool
    before: dict[tuple[str, str], Repository]
    journal: str | None
    grouped: dict[str, dict[str, Any]]
    wrong: list[str] = field(default_factory=list)
    tags: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def watch(self, request: str) -> None:
        self.wrong += [f"{request}: {what}" for what in self.hub.dangling()]
        now = {(*key, tag): at for key, of in self.hub.repositories.items() for tag, at in of.tags.items()}
        self.wrong += [f"{request}: {key} moved" for key, at in self.tags.items() if now.get(key) != at]
        self.tags |= now

    def reset(self) -> None:
        self.tags.clear()
        self.hub.repositories = copy.deepcopy(self.before)
        self.hub.collections = copy.deepcopy(self.grouped)
        self.hub.requests.clear()
        self.hub.faults.clear()
        file = self.folder.parent / "release.journal.json"
        file.unlink(missing_ok=True)
        if self.journal is not None:
            file.write_text(self.journal)

    def publish(self) -> None:
        publish(self.folder, private=self.private)

    def check_finished(self) -> None:
        """One commit more on each main, no branch left, and main is what the pin holds."""
        training = [("space", f"{ID}-training")] if not self.private else []
        for kind, name in [*((kind, ID) for kind in KINDS), *training]:
            now, before = self.hub.repository(kind, name), self.before.get((kind, name))
            assert len(now.commits) == (len(before.commits) if before else 1) + 1
            assert now.branches == {} and now.private == self.private
            assert list(now.tags)[-1] in now.head.title
            assert self.hub.files(kind, name, list(now.tags)[-1]) == self.hub.files(kind, name)
        (collection,) = self.hub.collections.values()
        items = [(item["type"], item["id"]) for item in collection["items"]]
        assert items == [*((kind, ID) for kind in KINDS), *training]


@pytest.fixture(scope="module")
def table() -> Iterator[list[Tried]]:
    """What was tried, printed once all is."""
    rows: list[Tried] = []
    yield rows
    print(
        "\n\n| publish | what goes wrong | requests | faults tried | s | pins that lead nowhere |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        print("| {} | {} | {} | {} | {:.0f} | {} |".format(*row))
    print(
        f"{sum(row[3] for row in rows)} faults; after each main, tags, branches and the collection are as they should be"
    )


@pytest.fixture(params=SCENARIOS)
def stage(request: pytest.FixtureRequest, hub: LoopbackHub, crafted: Crafted) -> Stage:
    if request.param != "a first release":
        publish(crafted(collection="Sun"))
    seed = int(request.param == "new data")
    public = "made public" in request.param
    words = "first words" if seed else "other words"
    folder = crafted(words=words, seed=seed, collection="Sun", dashboard=public)
    file = folder.parent / "release.journal.json"
    journal = file.read_text() if file.exists() else None
    stage = Stage(
        hub,
        folder,
        not public,
        copy.deepcopy(hub.repositories),
        journal,
        copy.deepcopy(hub.collections),
    )
    hub.after = stage.watch
    return stage


@pytest.mark.parametrize("kind", [*PASSING, *LASTING])
def test_no_pin_leads_nowhere_at_any_moment_and_all_is_there_in_the_end(
    stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, table: list[Tried]
):
    stage.reset()
    stage.publish()
    requests = len(stage.hub.requests)
    stage.check_finished()
    if "silent" in kind:
        # Real seconds: not so few that a busy machine is taken for a silent Hub.
        monkeypatch.setattr(patience, "SILENCE", 1.5)
        monkeypatch.setattr(patience, "COMMITTING", 1.5)
        monkeypatch.setattr(patience, "PATIENCE", 2.0)
    faults = LASTING.get(kind) or [PASSING[kind]]
    step = min(STEP * (3 if "silent" in kind else 1), requests)
    tried = range(hash_of(request.node.name) % step, requests, step)
    began = time.monotonic()
    for number in tried:
        stage.reset()
        stage.hub.faults = [replace(fault, skip=fault.skip + number) for fault in faults]
        failed = ""
        try:
            stage.publish()
        except HubFailure as error:
            failed = str(error)
        # Only to look up the Space's secrets, when all is there, is allowed to fail.
        last = stage.hub.requests[-1][1].endswith("/secrets")
        assert bool(failed) == (kind in LASTING and not last), f"request {number}: {failed}"
        assert "\n" not in failed
        if failed:
            stage.hub.faults.clear()
            stage.publish()
        stage.check_finished()
        assert stage.wrong == [], f"request {number}"
    scenario = request.node.callspec.params["stage"]
    table.append((scenario, kind, requests, len(tried), time.monotonic() - began, len(stage.wrong)))


def hash_of(name: str) -> int:
    """Another offset for each test, the same in each run."""
    return sum(name.encode())


def test_the_watch_sees_a_pin_that_leads_nowhere_and_a_tag_that_moves(stage: Stage):
    stage.publish()
    pin, tags = list(stage.hub.repository("model", ID).tags)[-1], stage.hub.repository("model", ID).tags
    tags[pin] = stage.hub.repository("model", ID).commits[0].id
    publish(stage.folder, private=stage.private, dry_run=True)
    assert any("moved" in what for what in stage.wrong)
    del tags[pin]
    publish(stage.folder, private=stage.private, dry_run=True)
    assert any("lacks it" in what for what in stage.wrong)
