"""A published release downloaded again, and compared with what was released."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sdovis.errors import Conflict
from sdovis.hub import pins
from sdovis.hub.pins import Files
from sdovis.hub.remote import OF_THE_HUB, Hub
from sdovis.release.assembly import KINDS, Release


def verify_published(
    release_dir: Path, folder: Path | None = None, *, token: str | None = None, endpoint: str | None = None
) -> Release:
    """Download the three repositories at the release's pin and compare every file with ``release.json``.

    The pin is the one that the release has on this Hub. They are kept in ``folder`` if one is given. A README may differ
    in its kept sections, and all of it in what was measured. Raises `Conflict` that names every missing, different or
    unexpected file, and `HubFailure` if a pin does not exist.
    """
    release = Release.load(release_dir)
    hub = Hub(endpoint, token)
    files = {kind: Files.of(release, kind) for kind in KINDS}
    pin = _pin(hub, release, files.values())
    with ExitStack() as stack:
        root = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        wrong = []
        for kind in KINDS:
            there = hub.download(kind, release.repositories[kind].id, pin, root / kind)
            wrong += [f"{kind}/{name}" for name in _wrong(files[kind].under(pin), there)]
    if wrong:
        where = f"what {hub.endpoint} has at {pin}"
        raise Conflict(f"{where} differs from the release: {', '.join(wrong[:10])}{' ...' if len(wrong) > 10 else ''}")
    return replace(release, pin=pin)


def _pin(hub: Hub, release: Release, files: Iterable[Files]) -> str:
    """The pin that the release has on the Hub; if it is not there, the newest that one with the same data has."""
    refs = [(each, hub.refs(each.kind, each.id)) for each in files]
    found = pins.choose(hub, release.pin, refs)
    tags = {tag for _, of in refs for tag in of.tags}
    numbered = [number for tag in tags if (number := pins.number(tag, release.pin))]
    return found if found in tags or not numbered else pins.numbered(release.pin, max(numbered))


def _wrong(wanted: Files, there: Path) -> list[str]:
    names = (path.relative_to(there) for path in there.rglob("*") if path.is_file())
    # The client keeps notes of its own in .cache.
    found = {name.as_posix() for name in names if name.parts[0] != ".cache"} - {OF_THE_HUB}
    both = sorted(found & wanted.wanted.keys())
    return sorted(found ^ wanted.wanted.keys()) + [n for n in both if not wanted.alike(n, (there / n).read_bytes())]
