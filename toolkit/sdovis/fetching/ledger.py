"""What was fetched: ``fetched.json`` in the folder that was filled, which cards cite.

While files come, each is a line of ``.fetched.jsonl``, written before the file gets its name: killed at any moment, the next
run knows what it has, and asks for nothing twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from sdovis import disk, manifests, records
from sdovis.fetching.archives import ARCHIVES
from sdovis.fetching.parts import PartialFile
from sdovis.fetching.wanted import Absent

FILE = "fetched.json"
_JOURNAL = ".fetched.jsonl"


@dataclass(frozen=True)
class FetchedFile:
    """A file: where it came from, its size and sum, when (UTC), and whether from the archive's own address.

    A table that was made here has no address: ``made_from`` names the files it was made of.
    """

    archive: str
    url: str
    bytes: int
    sha256: str
    fetched: str
    own_address: bool
    record: str = ""
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cited:
    """An archive as its data are to be cited."""

    title: str
    home: str
    licence: str
    credit: str


@dataclass(frozen=True)
class Fetched:
    """``fetched.json``: the archives, the files by their paths, and what the archives were asked for and do not have."""

    archives: Mapping[str, Cited] = field(default_factory=dict)
    files: Mapping[str, FetchedFile] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> Fetched:
        """What is recorded in ``folder``; nothing, if nothing was fetched. Raises `BadInput` for a damaged record."""
        return records.read(cls, folder / FILE, made_by="fetch") if (folder / FILE).is_file() else cls()


@dataclass(frozen=True)
class ArchiveFacts:
    """What a study's corpus was made of that came from one archive; days (UTC) as YYYY-MM-DD.

    ``own_address``: all of it came from the archive's own address. ``changed`` counts the files that are not what was fetched.
    """

    title: str
    home: str
    licence: str
    credit: str
    files: int
    bytes: int
    first: str
    last: str
    own_address: bool
    changed: int


class Ledger:
    """The record of one folder, while it is filled."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._journal = folder, folder / _JOURNAL
        self.found = Fetched.load(folder)
        for path, file in self._left_over():
            self._add(path, file)

    def _left_over(self) -> Iterator[tuple[str, FetchedFile]]:
        """The lines of a run that was killed, of files that have their names; the others are still parts."""
        if not self._journal.is_file():
            return
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                path = str(entry.pop("path"))
                file = FetchedFile(**{**entry, "made_from": tuple(entry["made_from"])})
            except (ValueError, KeyError, TypeError):  # the last line may be cut
                continue
            if holds(self._folder / path, file):
                PartialFile(self._folder / path, file.url).drop()  # what it needed while it came
                yield path, file

    def has(self, path: str) -> bool:
        """Whether that file was fetched and is there, in its full size."""
        file = self.found.files.get(path)
        return file is not None and _is_of_size(self._folder / path, file.bytes)

    def write_down(self, path: str, file: FetchedFile) -> None:
        """Record a file before it gets its name."""
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"path": path, **asdict(file)}) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self._add(path, file)

    def _add(self, path: str, file: FetchedFile) -> None:
        self.found = replace(
            self.found,
            archives={**self.found.archives, file.archive: _cited(file.archive)},
            files={**self.found.files, path: file},
        )

    def close(self, asked: Collection[str], absent: Iterable[Absent]) -> None:
        """Write ``fetched.json``. ``absent`` is what the archives that were ``asked`` in this run do not have now."""
        titles = tuple(f"{ARCHIVES[name].title}: " for name in asked)
        known = {each for each in self.found.absent if not each.startswith(titles)}
        lacking = {f"{ARCHIVES[each.archive].title}: {each.what}" for each in absent}
        self.found = replace(
            self.found, files=dict(sorted(self.found.files.items())), absent=tuple(sorted(known | lacking))
        )
        records.write(self.found, self._folder / FILE)
        disk.remove(self._journal)


def entry(
    path: Path, archive: str, url: str, *, own_address: bool, record: str = "", made_from: Sequence[str] = ()
) -> FetchedFile:
    """The record of a file that is whole."""
    now = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    digest = manifests.sha256_file(path)
    return FetchedFile(archive, url, path.stat().st_size, digest, now, own_address, record, tuple(made_from))


def holds(path: Path, file: FetchedFile) -> bool:
    """Whether a file is what was fetched."""
    return _is_of_size(path, file.bytes) and manifests.sha256_file(path) == file.sha256


def _is_of_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def used(folder: Path, names: Iterable[str]) -> dict[str, FetchedFile]:
    """The fetched files, by their paths, among ``names``: files and folders in ``folder``.

    A table stands for the files that it was made of. Raises `BadInput` for a damaged record.
    """
    files = Fetched.load(folder).files
    inside = [Path(os.path.normpath(name)).as_posix() for name in names if name]
    counted = {path for path in files if any(name in (path, ".") or path.startswith(f"{name}/") for name in inside)}
    counted |= {source for path in counted for source in files[path].made_from}
    return {path: file for path, file in sorted(files.items()) if path in counted and not file.made_from}


def facts(folder: Path, files: Mapping[str, FetchedFile]) -> tuple[ArchiveFacts, ...]:
    """What is to be told of fetched ``files`` in ``folder``, by archive. Every file is compared with its sum."""
    by_archive: dict[str, list[str]] = {}
    for path, file in files.items():
        by_archive.setdefault(file.archive, []).append(path)
    return tuple(
        ArchiveFacts(
            **asdict(_cited(name)),
            files=len(paths),
            bytes=sum(files[path].bytes for path in paths),
            first=min(files[path].fetched for path in paths)[:10],
            last=max(files[path].fetched for path in paths)[:10],
            own_address=all(files[path].own_address for path in paths),
            changed=sum(not holds(folder / path, files[path]) for path in paths),
        )
        for name, paths in sorted(by_archive.items())
    )


def _cited(name: str) -> Cited:
    archive = ARCHIVES[name]
    return Cited(archive.title, archive.home, archive.licence, archive.credit)
