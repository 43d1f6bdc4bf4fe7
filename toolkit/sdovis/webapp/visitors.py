"""Who asks, and who still listens for an answer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Visitor:
    """One who asks: an ``address``, and within it a ``session``, a browser's tab or a program's client."""

    address: str
    session: str


def address(headers: Mapping[str, str], peer: str) -> str:
    """Where a request comes from: the peer, but in a Space, whose peer is always its proxy, what the proxy saw."""
    forwarded = headers.get("x-forwarded-for", "")
    # The proxy adds its own sight at the end; what is before it, anyone may have written.
    return (forwarded.rpartition(",")[2].strip() if os.environ.get("SPACE_ID") else "") or peer


class Presence:
    """Which sessions have a stream open on which they would hear an answer. To be used in the server's event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.changed: Callable[[], None] = lambda: None

    def __contains__(self, session: str) -> bool:
        return self._open[session] > 0

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """While the stream of ``session`` is open."""
        self._open[session] += 1
        self.changed()
        try:
            yield
        finally:
            self._open[session] -= 1
            self._open += Counter()  # drops those at zero
            self.changed()
