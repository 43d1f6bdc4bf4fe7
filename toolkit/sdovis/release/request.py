"""What is asked of a publish target, and what a target is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is asked of a target.

    The finished ``release`` folder (dataset/, model/, space/ and release.json, which `Release.load` verifies); the
    ``place``, which is what followed the target's name ("" for nothing); whether everybody may see it; whether only to
    tell what would be done; commits of others that may be built upon. ``say`` takes lines while it goes on.
    """

    release: Path
    place: str = ""
    public: bool = False
    dry_run: bool = False
    accept: tuple[str, ...] = ()
    say: Say = lambda line: None


#: Makes its place hold the release, whole or not at all and nobody's work overwritten, and tells in lines what was done.
#: Raises `BadInput`, `Conflict` or `HubFailure`.
Target = Callable[[Request], Iterable[str]]
