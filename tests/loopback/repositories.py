"""Repositories in memory, content addressed: blobs, commits, branches and tags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


def git_oid(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


@dataclass(frozen=True)
class Blob:
    """A file's contents; ``lfs`` is its sha256 where it is stored in LFS."""

    content: bytes
    lfs: str | None = None

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.lfs}\nsize {len(self.content)}\n".encode()

    @property
    def oid(self) -> str:
        return git_oid("blob", self.pointer if self.lfs else self.content)

    def described(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "file", "oid": self.oid, "size": len(self.content), "path": path}
        if self.lfs:
            found["lfs"] = {"oid": self.lfs, "size": len(self.content), "pointerSize": len(self.pointer)}
        return found


@dataclass(frozen=True)
class Commit:
    id: str
    title: str
    message: str
    author: str
    date: str
    tree: Mapping[str, Blob]
    parent: str


@dataclass
class Repository:
    """A repository; ``commits`` are those of main, ``aside`` those of its other branches."""

    kind: str
    id: str
    private: bool
    commits: list[Commit] = field(default_factory=list)
    aside: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    sdk: str = "gradio"  #: of a Space
    variables: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        wanted = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        wanted = {"main": self.head.id, **self.tags, **self.branches}.get(wanted, wanted)
        return next((commit for commit in [*self.commits, *self.aside] if commit.id == wanted), None)

    def until(self, commit: Commit) -> list[Commit]:
        """A commit and those before it, newest first."""
        before = self.at(commit.parent)
        return [commit, *(self.until(before) if before else [])]

    def add(
        self, tree: Mapping[str, Blob], title: str, author: str, message: str = "", *, branch: str = "main"
    ) -> Commit:
        onto = self.at(branch) if self.commits else None
        parent, count = onto.id if onto else "", len(self.commits) + len(self.aside)
        listing = "\n".join(f"{path} {blob.oid}" for path, blob in sorted(tree.items()))
        text = f"{self.kind} {self.id}\n{parent}\n{title}\n{author}\n{count}\n{listing}"
        stamp = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=count)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        made = Commit(git_oid("commit", text.encode()), title, message, author, stamp, dict(tree), parent)
        if branch == "main":
            self.commits.append(made)
        else:
            self.aside.append(made)
            self.branches[branch] = made.id
        return made
