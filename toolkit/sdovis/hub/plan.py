"""What publishing would change: the files of a release compared with those on the Hub. Nothing here uses the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sdovis.hub.remote import Stored
from sdovis.release.targets import in_words


@dataclass(frozen=True)
class Contents:
    """A file's contents: sha256, git blob, size in bytes."""

    sha256: str
    blob: str
    size: int

    def is_stored_as(self, stored: Stored) -> bool:
        """Whether that file on the Hub, in LFS or in git, has the same contents."""
        return stored.sha256 == self.sha256 if stored.sha256 else stored.blob == self.blob

    @classmethod
    def of(cls, source: Path | bytes) -> Contents:
        """Read a file, or bytes, once for both hashes."""
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        sha256, blob = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        if isinstance(source, bytes):
            sha256.update(source)
            blob.update(source)
        else:
            with source.open("rb") as file:
                while chunk := file.read(1 << 20):
                    sha256.update(chunk)
                    blob.update(chunk)
        return cls(sha256.hexdigest(), blob.hexdigest(), size)


@dataclass(frozen=True)
class Plan:
    """The one commit that a repository needs, on top of ``parent`` ("" if it must be created first).

    ``added`` and ``changed`` are path -> bytes; ``made_public`` says that the repository is private now.
    """

    kind: str
    id: str
    parent: str
    private: bool
    made_public: bool
    added: Mapping[str, int]
    changed: Mapping[str, int]
    deleted: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the files on the Hub are already those of the release."""
        return not (self.added or self.changed or self.deleted)

    def lines(self) -> list[str]:
        """The plan in words: a title, and one line per file."""
        seen = "private, public at the end" if self.made_public else "private" if self.private else "public"
        title = f"{self.kind} {self.id} ({seen}{'' if self.parent else ', new'})"
        if self.empty:
            return [f"{title}: nothing changes"]
        size = sum(self.added.values()) + sum(self.changed.values())
        counts = f"{len(self.added)} added, {len(self.changed)} changed, {len(self.deleted)} deleted"
        lines = [f"{title}: {counts}, {in_words(size)}"]
        lines += [f"  + {path}  {in_words(n)}" for path, n in self.added.items()]
        lines += [f"  ~ {path}  {in_words(n)}" for path, n in self.changed.items()]
        return lines + [f"  - {path}" for path in self.deleted]


def differences(wanted: Mapping[str, Contents], stored: Mapping[str, Stored]) -> tuple[list[str], list[str], list[str]]:
    """Paths to add, to change and to delete, so that what is stored becomes what is wanted."""
    added = sorted(wanted.keys() - stored.keys())
    changed = sorted(p for p in wanted.keys() & stored.keys() if not wanted[p].is_stored_as(stored[p]))
    return added, changed, sorted(stored.keys() - wanted.keys())
