"""Whose turn it is: the page's few places go first to those who have used the least.

A fair queue over visitors: first the address, then the session that has lately used the least time; ties in order of
arrival. What a visitor has used fades with a half-life of a minute. Work that nobody listens for any more is dropped;
where too many wait, those of the visitor with the most waiting are turned away, not the newcomer.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sdovis.errors import SdovisError
from sdovis.webapp.visitors import Visitor

HALF_LIFE_S = 60.0
#: A request waits so long until its visitor opens the stream for the answer: one of /call does it only afterwards.
GRACE_S = 10.0
TICK_S = 0.25
MAX_KNOWN = 10_000


class TurnedAway(SdovisError):
    """A request that is not answered: the page is too busy, or its visitor has gone."""


class Usage:
    """Seconds that somebody has used, fading."""

    def __init__(self) -> None:
        self._seconds: dict[str, tuple[float, float]] = {}

    def of(self, name: str) -> float:
        seconds, since = self._seconds.get(name, (0.0, 0.0))
        return float(seconds * 0.5 ** ((time.monotonic() - since) / HALF_LIFE_S))

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self.of(name) + seconds, time.monotonic()
        if len(self._seconds) > MAX_KNOWN:
            self._seconds = {each: v for each, v in self._seconds.items() if self.of(each) > HALF_LIFE_S / 1000}


@dataclass(eq=False)
class _Waiting:
    visitor: Visitor
    wanted: Callable[[], bool]
    turn: asyncio.Future[None]
    since: float = field(default_factory=time.monotonic)
    seen: bool = False

    @property
    def gone(self) -> bool:
        """Whether nobody listens any more, or has not begun to in time."""
        return not self.wanted() and (self.seen or time.monotonic() - self.since > GRACE_S)


class Turns:
    """``places`` for work at a time; beyond ``long_s`` seconds up to ``long_places`` works more no longer count.

    At most ``waiting`` requests wait, ``per_visitor`` of one visitor, none longer than ``patience_s``. To be used in one
    event loop.
    """

    def __init__(
        self,
        places: int,
        *,
        long_s: float = 2.0,
        long_places: int = 2,
        waiting: int = 300,
        per_visitor: int = 4,
        patience_s: float = 120.0,
    ) -> None:
        self.places, self.long_s, self.long_places = places, long_s, long_places
        self.limit, self.per_visitor, self.patience_s = waiting, per_visitor, patience_s
        self._waiting: list[_Waiting] = []
        self._running: dict[_Waiting, float] = {}
        self._addresses, self._sessions = Usage(), Usage()
        self._clock: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, visitor: Visitor, wanted: Callable[[], bool]) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises `TurnedAway`; ``wanted`` says whether somebody listens for the answer."""
        mine = _Waiting(visitor, wanted, asyncio.get_running_loop().create_future())
        if sum(each.visitor == visitor for each in self._waiting) >= self.per_visitor:
            raise TurnedAway(f"{self.per_visitor} requests of yours are waiting already; wait for their answers")
        self._waiting.append(mine)
        if len(self._waiting) > self.limit:
            self._turn_away_the_greediest()
        try:
            self.dispatch()
            if self._clock is None or self._clock.done():
                self._clock = asyncio.create_task(self._tick())
            async with asyncio.timeout(self.patience_s):
                await mine.turn
            yield
        except TimeoutError:
            if mine in self._running:
                raise
            raise TurnedAway(f"the page is busy: no place in {self.patience_s:g} s; try again in a minute") from None
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
            if (began := self._running.pop(mine, None)) is not None:
                took = time.monotonic() - began
                self._addresses.add(visitor.address, took)
                self._sessions.add(visitor.session, took)
            self.dispatch()

    def dispatch(self) -> None:
        """Give free places to those whose turn it is."""
        self._drop_the_gone()
        now = time.monotonic()
        long = sum(now - began > self.long_s for began in self._running.values())
        free = self.places - len(self._running) + min(long, self.long_places)
        while free > 0:
            ready = [each for each in self._waiting if each.wanted() and not each.turn.done()]
            if not ready:
                return
            chosen = min(ready, key=self._order)
            self._waiting.remove(chosen)
            self._running[chosen] = now
            chosen.turn.set_result(None)
            free -= 1

    def _order(self, each: _Waiting) -> tuple[int, float, float, float]:
        """Who has a place already comes after all others, whatever others have used."""
        holds = sum(running.visitor.session == each.visitor.session for running in self._running)
        # Rounded: a tenth of a second more or less is no reason to overtake.
        used = round(self._addresses.of(each.visitor.address), 1), round(self._sessions.of(each.visitor.session), 1)
        return holds, *used, each.since

    def _drop_the_gone(self) -> None:
        for each in list(self._waiting):
            each.seen = each.seen or each.wanted()
            if each.gone:
                self._refuse(each, "nobody listens for the answer any more")

    def _turn_away_the_greediest(self) -> None:
        addresses = Counter(each.visitor.address for each in self._waiting)
        sessions = Counter(each.visitor for each in self._waiting)
        # The newest of whoever has the most: first by address, then by session.
        most = max(self._waiting, key=lambda e: (addresses[e.visitor.address], sessions[e.visitor], e.since))
        self._refuse(most, "the page is busy: too many requests wait; try again in a minute")

    def _refuse(self, each: _Waiting, why: str) -> None:
        self._waiting.remove(each)
        if not each.turn.done():
            each.turn.set_exception(TurnedAway(why))

    async def _tick(self) -> None:
        while self._waiting or self._running:
            await asyncio.sleep(TICK_S)
            self.dispatch()
