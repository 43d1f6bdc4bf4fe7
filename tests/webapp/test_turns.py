"""One visitor cannot starve the others: turns go round, the greedy wait, and what nobody listens for is dropped."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sdovis.webapp import turns
from sdovis.webapp.turns import TurnedAway, Turns
from sdovis.webapp.visitors import Presence, Visitor, address


async def asks(line, who, order, takes_s=0.0, wanted=lambda: True):
    async with line.turn(who, wanted):
        order.append(who.session)
        await asyncio.sleep(takes_s)


def visitor(name, session=None):
    return Visitor(name, session or name)


def test_a_newcomer_goes_before_the_rest_of_a_visitors_many_requests():
    async def scene():
        line, order = Turns(1, per_visitor=9), []
        greedy = [asyncio.create_task(asks(line, visitor("greedy"), order, 0.06)) for _ in range(5)]
        await asyncio.sleep(0.01)
        await asks(line, visitor("honest"), order)
        await asyncio.gather(*greedy)
        return order

    assert asyncio.run(scene())[:2] == ["greedy", "honest"]


def test_an_address_gains_nothing_by_many_sessions():
    async def scene():
        line, order = Turns(1), []
        greedy = [asyncio.create_task(asks(line, visitor("greedy", f"s{i}"), order, 0.06)) for i in range(6)]
        await asyncio.sleep(0.01)
        await asks(line, visitor("honest"), order)
        await asyncio.gather(*greedy)
        return order

    assert asyncio.run(scene()).index("honest") == 1


def test_behind_one_address_the_session_that_used_least_goes_first():
    async def scene():
        line, order = Turns(1), []
        await asks(line, visitor("proxy", "greedy"), order, 0.2)
        tasks = [
            asyncio.create_task(asks(line, visitor("proxy", name), order, 0.01))
            for name in ("other", "greedy", "honest")
        ]
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(scene()) == ["greedy", "other", "honest", "greedy"]


def test_long_work_makes_room_for_others_but_not_without_end():
    async def scene():
        line, order = Turns(2, long_s=0.05, long_places=2), []
        tasks = [asyncio.create_task(asks(line, visitor(f"bomb {i}"), order, 1.0)) for i in range(8)]
        await asyncio.sleep(0.7)
        begun = len(order)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return begun

    assert asyncio.run(scene()) == 4


def test_what_nobody_listens_for_is_not_done(monkeypatch):
    monkeypatch.setattr(turns, "GRACE_S", 0.1)
    monkeypatch.setattr(turns, "TICK_S", 0.02)

    async def scene():
        line, order, presence = Turns(1), [], Presence()
        presence.changed = line.dispatch
        with pytest.raises(TurnedAway, match="nobody listens"):
            await asks(line, visitor("silent"), order, wanted=lambda: "silent" in presence)
        blocker = asyncio.create_task(asks(line, visitor("first"), order, 0.2))
        await asyncio.sleep(0)
        with presence.listening("leaves"):
            leaves = asyncio.create_task(asks(line, visitor("leaves"), order, wanted=lambda: "leaves" in presence))
            await asyncio.sleep(0.05)
        with pytest.raises(TurnedAway, match="nobody listens"):
            await leaves
        late = asyncio.create_task(asks(line, visitor("late"), order, wanted=lambda: "late" in presence))
        await asyncio.sleep(0.05)
        with presence.listening("late"):
            await late
        await blocker
        return order

    assert asyncio.run(scene()) == ["first", "late"]


def test_one_visitor_may_not_queue_without_end_and_a_full_line_turns_the_greediest_away():
    async def scene():
        line, order = Turns(1, per_visitor=3, waiting=5), []
        first = asyncio.create_task(asks(line, visitor("first"), order, 0.2))
        await asyncio.sleep(0)
        greedy = [asyncio.create_task(asks(line, visitor("greedy"), order)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TurnedAway, match="3 requests of yours are waiting already"):
            await asks(line, visitor("greedy"), order)
        others = [asyncio.create_task(asks(line, visitor(f"honest {i}"), order)) for i in range(3)]
        return await asyncio.gather(first, *greedy, *others, return_exceptions=True)

    results = asyncio.run(scene())
    away = [number for number, result in enumerate(results) if isinstance(result, TurnedAway)]
    assert away == [3]  # the newest of the greedy one's three
    assert "too many requests wait" in str(results[3])


def test_nobody_waits_without_end():
    async def scene():
        line, order = Turns(1, patience_s=0.1), []
        long = asyncio.create_task(asks(line, visitor("long"), order, 0.5))
        await asyncio.sleep(0)
        with pytest.raises(TurnedAway, match=r"the page is busy: no place in 0\.1 s"):
            await asks(line, visitor("waits"), order)
        await long
        await asks(line, visitor("next"), order)
        return order

    assert asyncio.run(scene()) == ["long", "next"]


def test_one_who_gave_up_a_moment_ago_is_passed_over():
    async def scene():
        line, order = Turns(1), []
        first = asyncio.create_task(asks(line, visitor("first"), order, 0.1))
        await asyncio.sleep(0)
        gave_up, next_one = (asyncio.create_task(asks(line, visitor(name), order)) for name in ("gave up", "next"))
        await asyncio.sleep(0)
        gave_up.cancel()  # cancels what it waits for; its task has not run yet
        line.places = 2
        line.dispatch()
        await asyncio.gather(first, next_one)
        return order

    assert asyncio.run(scene()) == ["first", "next"]


def test_what_was_used_is_forgotten(monkeypatch):
    monkeypatch.setattr(turns, "HALF_LIFE_S", 0.02)
    monkeypatch.setattr(turns, "MAX_KNOWN", 3)

    async def scene():
        usage = turns.Usage()
        for name in "abcde":
            usage.add(name, 1.0)
        await asyncio.sleep(0.5)
        usage.add("f", 1.0)
        return usage.of("a"), usage.of("f"), len(usage._seconds)

    old, new, known = asyncio.run(scene())
    assert old < new <= 1 and known <= 3


def test_in_a_space_the_visitor_is_whom_the_proxy_saw_and_elsewhere_nobody_is_believed(monkeypatch):
    headers = {"x-forwarded-for": "6.6.6.6, 9.9.9.9"}
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert address(headers, "10.0.0.1") == "10.0.0.1"
    monkeypatch.setenv("SPACE_ID", "sun/space")
    assert address(headers, "10.0.0.1") == "9.9.9.9"
    assert address({}, "10.0.0.1") == "10.0.0.1"


def test_a_session_is_there_as_long_as_one_of_its_streams_is_open():
    presence, changes = Presence(), []
    presence.changed = partial(changes.append, 1)
    with presence.listening("a"):
        with presence.listening("a"):
            assert "a" in presence
        assert "a" in presence and "b" not in presence
    assert "a" not in presence and len(changes) == 4 and not presence._open
