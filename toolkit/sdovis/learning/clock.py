"""Where a training spends its time: seconds in each section, none counted twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: The sections, in the order in which they occur.
PARTS = (
    "start",
    "imports",
    "data",
    "model",
    "features",
    "head",
    "first step",
    "steps",
    "evaluation",
    "familiarity",
    "saving",
    "figures",
)


class Clock:
    """Charges the time that passes to the innermost open section."""

    def __init__(self, before: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(before or {})
        self._open: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The block's time, minus that of the sections opened within it, goes to ``name``."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def becomes(self, name: str) -> None:
        """From now on the innermost section is called ``name``."""
        self._charge()
        self._open[-1] = name

    def table(self) -> dict[str, float]:
        """Seconds in each section, in order, and in all together."""
        known = {name: round(self.seconds[name], 3) for name in PARTS if name in self.seconds}
        return known | {"all": round(sum(self.seconds.values()), 3)}

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


def seconds_of_this_process() -> float:
    """Seconds since this process was started, including the start of the interpreter."""
    import psutil  # type: ignore[import-untyped]

    return max(time.time() - float(psutil.Process().create_time()), 0.0)
