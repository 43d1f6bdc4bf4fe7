"""What a publish target is, and what it is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What a target is asked to do.

    The finished ``release`` folder (dataset/, model/, space/ and release.json, which `Release.load` verifies); the
    ``place``, which is the text after the target's name ("" if none); whether everybody may see it; whether only to
    say what would be done; commits by others that may be built upon. ``say`` takes progress lines.
    """

    release: Path
    place: str = ""
    public: bool = False
    dry_run: bool = False
    accept: tuple[str, ...] = ()
    say: Say = lambda line: None


def addressed(to: str) -> tuple[str, str]:
    """``TARGET[:PLACE]`` as the target's name and the place, "" where none is named; the place may hold colons."""
    name, _, place = to.partition(":")
    return name, place


#: Puts the release in its place, whole or not at all and without overwriting others' work; returns lines that say what
#: was done. Raises `BadInput`, `Conflict` or `HubFailure`.
Target = Callable[[Request], Iterable[str]]
