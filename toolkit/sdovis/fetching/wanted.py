"""What is asked of archives: files, where each is and where it goes, and what was found about them beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path, PurePosixPath

from sdovis.errors import BadInput, Problem


@dataclass(frozen=True)
class WantedFile:
    """A file of an archive.

    ``path`` is where it goes, relative to the folder that is filled, with slashes. ``kind`` says what opens it (see
    `opening`). ``size`` is in bytes, None if the archive has not told. A file that JSOC must first export has no ``url``
    yet, but the ``record`` and the ``export`` (a record set) that it will come from.
    """

    archive: str
    url: str
    path: str
    kind: str
    size: int | None = None
    record: str = ""
    export: str = ""


@dataclass(frozen=True)
class Table:
    """A table that is made of loaded files: ``make(files, place)`` writes it and says what it could not read."""

    path: str
    sources: tuple[str, ...]
    make: Callable[[Sequence[Path], Path], Sequence[str]]


@dataclass(frozen=True)
class Absent:
    """What an archive was asked for and does not have."""

    archive: str
    what: str


@dataclass(frozen=True)
class Order:
    """The files to ask for, what is known to be absent, the tables to be made of the files, and why others are not known."""

    files: tuple[WantedFile, ...] = ()
    absent: tuple[Absent, ...] = ()
    tables: tuple[Table, ...] = ()
    failed: tuple[str, ...] = ()

    def __add__(self, other: Order) -> Order:
        return Order(
            self.files + other.files,
            self.absent + other.absent,
            self.tables + other.tables,
            self.failed + other.failed,
        )

    def __post_init__(self) -> None:
        if twice := [path for path, count in Counter(file.path for file in self.files).items() if count > 1]:
            raise BadInput(Problem("two files of the archive would have this name", "ask for fewer", twice[0]))


@dataclass(frozen=True)
class FetchPlan:
    """What loading means, before anything is loaded: the files that are not there yet, with their sizes.

    ``asked`` names the archives. ``there`` counts the files that were fetched before, ``kept`` names those that are there and
    were not fetched: they are left as they are. ``failed`` says which archives could not be asked, and why; ``untold`` of
    which files the size could not be asked: loading tries them all the same.
    """

    asked: tuple[str, ...]
    files: tuple[WantedFile, ...]
    there: int
    kept: tuple[str, ...]
    absent: tuple[Absent, ...]
    tables: tuple[Table, ...]
    failed: tuple[str, ...]
    untold: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """The sum of the sizes that are known."""
        return sum(file.size or 0 for file in self.files)

    @property
    def unknown(self) -> int:
        """The number of files whose size the archive does not tell before it sends them."""
        return sum(file.size is None for file in self.files)


def within(folder: str, name: str) -> str:
    """A path for `WantedFile`: a file in a folder, which may be ``.``."""
    return PurePosixPath(folder, name).as_posix()


@dataclass(frozen=True)
class Period:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise BadInput(Problem(f"--to {self.last} lies before --from {self.first}", "exchange them"))

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=n) for n in range(self.length))

    @property
    def length(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def years(self) -> range:
        return range(self.first.year, self.last.year + 1)

    @property
    def months(self) -> Iterator[tuple[date, date]]:
        """The first day of each month, and that of the next."""
        first = self.first.replace(day=1)
        while first <= self.last:
            following = (first + timedelta(days=31)).replace(day=1)
            yield first, following
            first = following

    def longer(self, days: int) -> Period:
        return Period(self.first, self.last + timedelta(days=days))

    def moments(self, cadence_hours: float) -> tuple[datetime, ...]:
        """The times in UTC from 00:00 of the first day on, ``cadence_hours`` apart, to the end of the last day."""
        start = datetime.combine(self.first, time(), UTC)
        step = timedelta(hours=cadence_hours)
        count = -(-timedelta(days=self.length) // step)
        return tuple(start + n * step for n in range(count))
