"""A Hub that is slow, busy or silent is waited for, but not for ever, and what became of it is one line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from loopback import Fault, LoopbackHub
from sdovis.cli import run_command
from sdovis.errors import HubFailure
from sdovis.hub import patience
from sdovis.hub.publish import publish

Crafted = Callable[..., Path]
KINDS = ("dataset", "model", "space")
ID = "org/sun"


@pytest.fixture
def waited(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses in seconds, none of which is made."""
    found: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", found.append)
    return found


@pytest.fixture
def impatient(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILENCE", "COMMITTING"):
        monkeypatch.setattr(patience, name, 1.0)
    monkeypatch.setattr(patience, "PATIENCE", 2.0)


@pytest.mark.parametrize(
    "where",
    [
        "GET /api/whoami-v2",
        "GET .*/tree/",
        "POST .*/create",
        "PUT /lfs/",
        "POST .*/commit/sdovis-next",
        "POST .*/tag/",
        "POST .*/models/.*/commit/main",
        "DELETE .*/branch/",
    ],
)
def test_a_hub_that_accepts_and_says_nothing_ends_in_time_with_exit_code_3_and_one_line(
    hub: LoopbackHub, crafted: Crafted, impatient: None, where: str, capsys: pytest.CaptureFixture[str]
):
    hub.faults.append(Fault(where, silent=True, times=999))
    run, began = crafted().parent, time.monotonic()
    assert run_command(["publish", str(run), "--to", f"hub:{hub.endpoint}"]) == 3
    assert time.monotonic() - began < 40
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.match(r"error: .*(timed out|no good answer for \d+ seconds)", last), last
    hub.faults.clear()
    publish(run / "release")
    assert all(len(hub.repository(kind, ID).commits) == 2 for kind in KINDS)


def test_every_request_has_a_time_out(hub: LoopbackHub, crafted: Crafted, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def watch(request: object) -> None:
        patience.Waiting.asking(patience.PATIENT, request)
        seen.append(request.extensions["timeout"])  # type: ignore[attr-defined]

    patience.install.cache_clear()
    monkeypatch.setattr(patience.PATIENT, "asking", watch)
    publish(crafted())
    patience.install.cache_clear()
    assert len(seen) > 30
    assert all(limit and limit <= 120 for each in seen for limit in each.values())


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("where", ["GET /api/whoami-v2", "POST .*/tag/", "PUT /lfs/", "POST .*/commit/main"])
def test_a_passing_failure_with_retry_after_is_waited_for_as_long_as_it_asks(
    hub: LoopbackHub, crafted: Crafted, waited: list[float], status: int, where: str
):
    hub.faults.append(Fault(where, status=status, retry_after="23"))
    publish(crafted())
    assert [seconds for seconds in waited if seconds >= 23] != []
    assert all(len(hub.repository(kind, ID).commits) == 2 for kind in KINDS)


def test_without_retry_after_pauses_grow_and_end(hub: LoopbackHub, crafted: Crafted, waited: list[float]):
    hub.faults.append(Fault("GET /api/whoami-v2", status=503, times=999))
    with pytest.raises(HubFailure, match=r"looking up your account: .* answered 503"):
        publish(crafted())
    assert waited == list(patience.PAUSES)


@pytest.mark.parametrize("where", ["GET /api/whoami-v2", "GET .*/tree/", "PUT /lfs/"])
@pytest.mark.parametrize("asked", ["86400", "date"])
def test_a_hub_that_asks_for_a_day_is_not_waited_for(
    hub: LoopbackHub, crafted: Crafted, waited: list[float], where: str, asked: str
):
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    hub.faults.append(Fault(where, status=429, retry_after=tomorrow if asked == "date" else asked, times=999))
    with pytest.raises(HubFailure, match=r"answered 429 and asks for a pause of \d+ seconds; try again after that"):
        publish(crafted())
    assert sum(waited) < patience.LONGEST_PAUSE


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 501])
def test_what_will_not_pass_is_not_tried_again(hub: LoopbackHub, crafted: Crafted, waited: list[float], status: int):
    hub.faults.append(Fault("POST .*/spaces/.*/commit/", status=status, times=999))
    with pytest.raises(HubFailure, match=f"answered {status}"):
        publish(crafted())
    assert waited == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55', "Retry-After": "7"}, 7),
    ],
)
def test_a_pause_is_asked_for_in_these_ways(headers: dict[str, str], seconds: float | None):
    assert patience.asked_for(headers) == seconds
