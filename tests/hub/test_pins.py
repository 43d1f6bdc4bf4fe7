"""A pin on a Hub: never moved, numbered where words differ, the same on any day, and no way to nowhere at any moment."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import Fault, LoopbackHub
from sdovis.errors import Conflict, HubFailure
from sdovis.hub.download import verify_published
from sdovis.hub.publish import Published, publish

Crafted = Callable[..., Path]
KINDS = ("dataset", "model", "space")
ID = "org/sun"
PIN = "r-000000000000"
JOURNAL = "release.journal.json"
MEASURED = "<!-- sdovis:measured -->\n{}\n<!-- /sdovis:measured -->\n"


def tags(hub: LoopbackHub) -> list[dict[str, str]]:
    return [dict(hub.repository(kind, ID).tags) for kind in KINDS]


def mains(hub: LoopbackHub) -> set[str]:
    """The pins that main of the three repositories name."""
    found = (hub.files(kind, ID).get("README.md", b"").decode() for kind in KINDS)
    return {text.split("Release `")[1].split("`")[0] for text in found if "Release `" in text}


def on_another_day(crafted: Crafted, **seconds: float) -> Path:
    """The crafted release with what was measured on a day."""
    (day,) = seconds.values()
    card = crafted() / "model" / "README.md"
    extra = {
        "model/README.md": card.read_bytes() + MEASURED.format(f"{day} s").encode(),
        "model/scores.json": json.dumps({"score": 0.5, "latency_ms": {"median": day}}).encode(),
        "model/training.json": json.dumps({"steps": 3, "seconds": day, "hardware": {"threads": day}}).encode(),
        "model/latency.parquet": str(day).encode(),
        "model/on/other/latency.parquet": str(day).encode(),
    }
    return crafted(extra=extra)


def test_other_words_under_the_same_data_make_another_pin_and_no_tag_moves(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    before = tags(hub)
    folder = crafted(words="other words")
    done = publish(folder)
    assert done.pin == f"{PIN}.2"
    assert done.lines()[-2].startswith(f"{PIN} stays what it is on the Hub")
    for earlier, now in zip(before, tags(hub), strict=True):
        assert now == {**earlier, f"{PIN}.2": now[f"{PIN}.2"]}
    assert mains(hub) == {f"{PIN}.2"}
    assert json.loads(hub.files("space", ID)["space.json"])["revision"] == f"{PIN}.2"
    assert b"first words" in hub.files("model", ID, PIN)["README.md"]
    assert verify_published(folder).pin == f"{PIN}.2"


def test_the_same_content_has_the_same_pin_and_nothing_is_to_do_also_after_other_words(
    hub: LoopbackHub, crafted: Crafted
):
    publish(crafted())
    publish(crafted(words="other words"))
    assert publish(crafted(words="third words")).pin == f"{PIN}.3"
    hub.requests.clear()
    assert publish(crafted(words="third words"), dry_run=True).pin == f"{PIN}.3"
    assert publish(crafted(words="third words")).sent == ()
    assert hub.writes() == []
    # The first words again: main goes back to them, under the pin that they have.
    done = publish(crafted())
    assert (done.pin, done.sent, mains(hub)) == (PIN, KINDS, {PIN})
    assert len(tags(hub)[0]) == 3


@pytest.mark.parametrize("changed", ["dataset/README.md", "space/app.py", "space/sdovis/new.py"])
def test_anything_that_differs_in_one_repository_is_another_release(hub: LoopbackHub, crafted: Crafted, changed: str):
    publish(crafted())
    content = (crafted() / "dataset/README.md").read_bytes().replace(b"The end", b"An end")
    folder = crafted(extra={changed: content})
    assert publish(folder).pin == f"{PIN}.2"
    assert verify_published(folder).pin == f"{PIN}.2"
    assert [len(of) for of in tags(hub)] == [2, 2, 2]


def test_who_has_no_journal_finds_the_pin_on_the_hub(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    publish(crafted(words="other words"))
    (crafted().parent / "release.journal.json").unlink()
    done = publish(crafted(words="other words"))
    assert (done.pin, done.sent) == (f"{PIN}.2", ())


def test_what_was_written_by_hand_keeps_the_pins_that_it_names(hub: LoopbackHub, crafted: Crafted):
    publish(crafted())
    card = hub.files("model", ID)["README.md"]
    by_hand = card.replace(b"Nothing yet.", f"Found first in {PIN}.".encode())
    hub.commit_as("ada", "model", ID, {"README.md": by_hand}, "a note")
    publish(crafted(words="other words"))
    text = hub.files("model", ID)["README.md"].decode()
    assert f"Found first in {PIN}." in text and f"Release `{PIN}.2`" in text


def test_the_same_release_of_another_day_is_the_same_release(hub: LoopbackHub, crafted: Crafted):
    publish(on_another_day(crafted, first=1.5))
    before = hub.files("model", ID)
    folder = on_another_day(crafted, second=2.5)
    hub.requests.clear()
    done = publish(folder)
    assert (done.pin, done.sent, hub.writes()) == (PIN, (), [])
    assert hub.files("model", ID) == before
    assert verify_published(folder).pin == PIN


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model/scores.json", b'{"score": 0.6, "latency_ms": {"median": 1.5}}'),
        ("model/training.json", b'{"steps": 4, "seconds": 1.5, "hardware": {}}'),
        ("model/predictions.parquet", b"other"),
    ],
)
def test_another_result_is_not_taken_for_another_day(hub: LoopbackHub, crafted: Crafted, file: str, content: bytes):
    folder = on_another_day(crafted, first=1.5)
    publish(folder)
    extra = {f"model/{p.relative_to(folder / 'model')}": p.read_bytes() for p in (folder / "model").rglob("*.*")}
    assert publish(crafted(extra={**extra, file: content})).pin == f"{PIN}.2"


def test_a_tag_that_somebody_made_meanwhile_is_not_taken_for_ours(hub: LoopbackHub, crafted: Crafted):
    def hasty(request: str) -> None:
        if request.startswith("POST /api/models/org/sun/tag/"):
            repository = hub.repository("model", ID)
            repository.tags.setdefault(PIN, repository.commits[0].id)

    hub.before = hasty
    with pytest.raises(Conflict, match=f"somebody else has just tagged {PIN}"):
        publish(crafted())
    hub.before = lambda request: None
    assert publish(crafted()).pin == f"{PIN}.2"


# --- two at once ----------------------------------------------------------------------------------------------------


@pytest.fixture
def another(tmp_path_factory: pytest.TempPathFactory, crafted: Crafted) -> Callable[..., Path]:
    """A release like `crafted` in another run folder, with a journal of its own."""

    def craft(**how: object) -> Path:
        folder = tmp_path_factory.mktemp("another") / "run"
        shutil.copytree(crafted(**how), folder / "release")
        return folder / "release"

    return craft


@pytest.mark.parametrize("known", [False, True], ids=["a first release", "an upgrade"])
def test_of_two_publishers_one_wins_and_the_other_is_told_whenever_it_comes(
    hub: LoopbackHub, crafted: Crafted, another: Crafted, known: bool
):
    """B publishes whole, at each request of A in turn: one of both is refused, and nothing is mixed."""
    of_b, base = another(words="words of B", seed=2), crafted(seed=3)
    if known:
        publish(base)
        shutil.copyfile(base.parent / JOURNAL, of_b.parent / JOURNAL)
    begun, journals = copy.deepcopy(hub.repositories), {f: _read(f.parent / JOURNAL) for f in (base, of_b)}
    refused = {"A": 0, "B": 0}
    for at in itertools.count(0, 3):
        hub.repositories = copy.deepcopy(begun)
        for folder, content in journals.items():
            _write(folder.parent / JOURNAL, content)
        told, requests = [], itertools.count()

        def meanwhile(request: str, at: int = at, told: list[str] = told, requests: Iterator[int] = requests) -> None:
            if next(requests) == at:
                told.append(_tried(of_b))

        hub.before = meanwhile
        first = _tried(crafted(words="words of A", seed=1))
        hub.before = lambda request: None
        assert hub.dangling() == []
        if not told:
            break
        assert {first, told[0]} == {"refused", "done"}, (at, first, told)
        assert len(mains(hub)) == 1, at
        refused["A" if first == "refused" else "B"] += 1
    assert all(refused.values()), refused


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _write(file: Path, content: str | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
    else:
        # Two people who publish the same study: what was published is known to both, and each is somebody else.
        file.write_text(json.dumps({**json.loads(content), "publisher": file.parent.parent.name}))


def _tried(folder: Path) -> str:
    try:
        publish(folder)
    except Conflict:
        return "refused"
    return "done"


def test_two_processes_do_not_publish_one_run_at_once(hub: LoopbackHub, crafted: Crafted):
    folder, told = crafted(), []

    def meanwhile(request: str) -> None:
        if "/tag/" in request and not told:
            told.append(_tried(folder))

    hub.before = meanwhile
    done: list[Published] = []
    thread = threading.Thread(target=lambda: done.append(publish(folder)))
    thread.start()
    thread.join(60)
    assert told == ["refused"] and done[0].sent == KINDS


def test_what_another_publisher_left_unfinished_is_told_and_can_be_taken_over(
    hub: LoopbackHub, crafted: Crafted, another: Crafted
):
    other = another(seed=2)
    hub.faults.append(Fault("POST .*/models/.*/tag/", status=500, times=99))
    with pytest.raises(HubFailure):
        publish(other)
    hub.faults.clear()
    with pytest.raises(Conflict, match="somebody else is publishing to org/sun, or was interrupted") as caught:
        publish(crafted())
    assert mains(hub) == set()
    publish(crafted(), accept=[str(caught.value).split("--accept ")[1][:12]])
    assert mains(hub) == {PIN}
    assert all(hub.repository(kind, ID).branches == {} for kind in KINDS)
