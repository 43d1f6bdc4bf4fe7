"""What was published from a run: ``release.journal.json`` beside its release, so that commits by others are noticed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdovis import disk
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.hub.plan import Contents

NAME = "release.journal.json"


@dataclass(frozen=True)
class Entry:
    """One repository's contents as we sent them. ``commit`` is "" while the Hub's answer is awaited."""

    pin: str
    commit: str
    files: Mapping[str, Contents]
    readme: str


class Journal:
    """The newest entries of each repository on each Hub: what was published, and what was being sent."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except ValueError as error:
            what = f"is damaged: {error}"
            raise BadInput(Problem(what, "delete it, and give the newest commits with --accept", str(file))) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else publishes from this run meanwhile. Raises `Conflict` if somebody does."""
        import filelock

        lock = filelock.FileLock(self.file.with_name(f".{self.file.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise Conflict(
                f"{self.file.parent}: another sdovis process is publishing it; wait for it or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def publisher(self) -> str:
        """Who publishes from this run: written into what is prepared on a Hub, to know it again."""
        if "publisher" not in self._data:
            self._data["publisher"] = uuid.uuid4().hex[:12]
            self._write()
        return str(self._data["publisher"])

    def entries(self, endpoint: str, kind: str, name: str) -> list[Entry]:
        """What the repository can contain if nobody else wrote to it: what was last published, then what was being sent."""
        found = self._data.get(endpoint, {}).get(f"{kind} {name}", {})
        return [
            Entry(**{**entry, "files": {path: Contents(**sums) for path, sums in entry["files"].items()}})
            for entry in (found.get("published"), found.get("sending"))
            if entry
        ]

    def sending(self, endpoint: str, kind: str, name: str, entry: Entry) -> None:
        """To be called before a commit is sent, because the answer may be lost."""
        self._put(endpoint, f"{kind} {name}", "sending", entry)

    def published(self, endpoint: str, kind: str, name: str, entry: Entry) -> None:
        """To be called once the repository is known to contain the entry."""
        self._data.get(endpoint, {}).get(f"{kind} {name}", {}).pop("sending", None)
        self._put(endpoint, f"{kind} {name}", "published", entry)

    def _put(self, endpoint: str, key: str, what: str, entry: Entry) -> None:
        self._data.setdefault(endpoint, {}).setdefault(key, {})[what] = asdict(entry)
        self._write()

    def _write(self) -> None:
        disk.write(self.file, json.dumps(self._data, indent=1) + "\n")
