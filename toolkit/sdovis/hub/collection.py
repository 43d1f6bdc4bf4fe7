"""A collection of an account that groups the repositories of a release: made once, and only added to."""

from __future__ import annotations

from collections.abc import Sequence

from sdovis.hub.remote import Hub, repo_type
from sdovis.release.assembly import Release
from sdovis.release.request import Say

Item = tuple[str, str]


class Collecting:
    """The collection that a release asks for, for its repositories of some ``kinds``, as it is on a Hub."""

    def __init__(self, hub: Hub, release: Release, kinds: Sequence[str], private: bool) -> None:
        self.hub, self.title, self.private = hub, release.collection, private
        self.owner = release.repositories["dataset"].id.split("/")[0]
        self.wanted: Sequence[Item] = [(repo_type(kind), release.repositories[kind].id) for kind in kinds]

    def lines(self) -> list[str]:
        """What it lacks, in words; nothing where none is asked for. Nothing is written."""
        if not self.title:
            return []
        slug, missing = self._lacking()
        new = "" if slug else f" ({'private' if self.private else 'public'}, new)"
        said = ", ".join(f"{kind} {id}" for kind, id in missing)
        return [f"collection {self.title!r} of {self.owner}{new}: {f'add {said}' if missing else 'nothing changes'}"]

    def complete(self, say: Say) -> None:
        """Make it if it is not there, and add what it lacks. What others put into it stays, and so does its visibility."""
        if not self.title:
            return
        slug, missing = self._lacking()
        if missing and not slug:
            say(f"making the collection {self.title!r}")
            slug = self.hub.create_collection(self.owner, self.title, private=self.private)
        for kind, id in missing:
            self.hub.add_to_collection(slug, kind, id)

    def _lacking(self) -> tuple[str, list[Item]]:
        slug = self.hub.collection(self.owner, self.title)
        there = self.hub.collected(slug) if slug else set()
        return slug, [item for item in self.wanted if item not in there]
