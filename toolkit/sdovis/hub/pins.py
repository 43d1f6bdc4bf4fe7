"""The pin of a release on a Hub: a tag is never moved, so other words under the same corpus, model and scores get another.

The pin of a release in a folder, ``r-HASH``, follows from its contents but for its words, its page and what was `measured`.
On a Hub the first release with that pin has it; one with other words is ``r-HASH.2``, and so on. What the Hub has decides:
a release that is there already, under any of these, is not published again.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdovis.cards import measured
from sdovis.cards.card import merge
from sdovis.hub.plan import Contents, differences
from sdovis.hub.remote import Hub, Refs, Stored
from sdovis.release.assembly import NAMING, README, Release, differ_in_kept_sections_only


@dataclass(frozen=True)
class Files:
    """One repository of a release as it is published under ``pin``: path -> where its contents come from, and their sums."""

    kind: str
    id: str
    pin: str
    sources: Mapping[str, Path | bytes]
    wanted: Mapping[str, Contents]

    @classmethod
    def of(cls, release: Release, kind: str) -> Files:
        """As they are in the release's folder, under its own pin. Every file is read once."""
        sources: dict[str, Path | bytes] = {name: release.path(kind, name) for name in release.repositories[kind].files}
        wanted = {name: Contents.of(source) for name, source in sources.items()}
        return cls(kind, release.repositories[kind].id, release.pin, sources, wanted)

    def under(self, pin: str) -> Files:
        """The same under another pin: files that name it name that one, except in what was written by hand."""
        texts = {name: self.content(name).decode("utf-8") for name in NAMING if name in self.sources}
        named = {name: _renamed(text, self.pin, pin) for name, text in texts.items()}
        if README in named:
            named[README] = merge(named[README], texts[README])
        return self.with_contents({name: text.encode() for name, text in named.items()}, pin)

    def with_contents(self, changed: Mapping[str, bytes], pin: str = "") -> Files:
        """The same with some files' contents replaced."""
        sums = {name: Contents.of(content) for name, content in changed.items()}
        return Files(self.kind, self.id, pin or self.pin, {**self.sources, **changed}, {**self.wanted, **sums})

    def content(self, name: str) -> bytes:
        """The contents of a file."""
        source = self.sources[name]
        return source if isinstance(source, bytes) else source.read_bytes()

    @property
    def card(self) -> str:
        """The text of the README."""
        return self.content(README).decode("utf-8")

    def changes(self, hub: Hub, commit: str, stored: Mapping[str, Stored]) -> tuple[list[str], list[str], list[str]]:
        """Paths to add, to change and to delete so that a commit becomes this release, wherever it is not `alike`."""
        added, changed, deleted = differences(self.wanted, stored)
        return added, [name for name in changed if not self._alike_at(hub, commit, name)], deleted

    def _alike_at(self, hub: Hub, commit: str, name: str) -> bool:
        if measured.partly(name):
            return self.alike(name, hub.content(self.kind, self.id, name, commit))
        return measured.wholly(name)

    def alike(self, name: str, theirs: bytes) -> bool:
        """Whether a file is ours but for what was measured and, in the README, for kept sections."""
        ours = self.content(name)
        if ours == theirs or measured.wholly(name):
            return True
        try:
            lasting = [measured.lasting(name, content) for content in (ours, theirs)]
            return lasting[0] == lasting[1] or (name == README and same_card(*(text.decode() for text in lasting)))
        except ValueError:  # theirs is damaged
            return False


def same_card(ours: str, theirs: str) -> bool:
    """Whether a README is ours except for kept sections and what was measured."""
    return differ_in_kept_sections_only(*(measured.lasting(README, text.encode()).decode() for text in (ours, theirs)))


def choose(hub: Hub, pin: str, repositories: Sequence[tuple[Files, Refs]]) -> str:
    """The pin of a release on a Hub: the first under which it is there, wholly or in part, or nothing is."""
    candidates = (numbered(pin, number) for number in itertools.count(1))
    return next(each for each in candidates if all(_may_be(hub, files, refs, each) for files, refs in repositories))


def numbered(pin: str, number: int) -> str:
    """The pin of the ``number``-th release with the same corpus, model and scores: ``r-HASH``, ``r-HASH.2``, ..."""
    return pin if number == 1 else f"{pin}.{number}"


def number(tag: str, pin: str) -> int:
    """The number in a tag, 0 if it is none of that pin's."""
    found = re.fullmatch(rf"{re.escape(pin)}(?:\.(\d+))?", tag)
    return int(found[1] or 1) if found else 0


def _may_be(hub: Hub, files: Files, refs: Refs, pin: str) -> bool:
    """Whether a repository has the release under that pin, or nothing under it."""
    commit = refs.tags.get(pin)
    if commit is None:
        return True
    return not any(files.under(pin).changes(hub, commit, hub.files(files.kind, files.id, commit)))


def _renamed(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\w-]){re.escape(old)}(?!\w|\.\d)", new, text)
