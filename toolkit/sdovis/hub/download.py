"""A published release downloaded again, and compared with what was released."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from sdovis import manifests
from sdovis.errors import Conflict
from sdovis.hub.remote import OF_THE_HUB, Hub
from sdovis.release.assembly import KINDS, README, Release, differ_in_kept_sections_only


def verify_published(
    release_dir: Path, folder: Path | None = None, *, token: str | None = None, endpoint: str | None = None
) -> Release:
    """Download the three repositories at the release's pin and compare every file with ``release.json``.

    They are kept in ``folder`` if one is given. A README may differ in its kept sections. Raises `Conflict` that
    names every missing, different or unexpected file, and `HubFailure` if a pin does not exist.
    """
    release = Release.load(release_dir)
    hub = Hub(endpoint, token)
    with ExitStack() as stack:
        root = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        wrong = []
        for kind in KINDS:
            there = hub.download(kind, release.repositories[kind].id, release.pin, root / kind)
            wrong += [f"{kind}/{name}" for name in _wrong(release, kind, there)]
    if wrong:
        where = f"what {hub.endpoint} has at {release.pin}"
        raise Conflict(f"{where} differs from the release: {', '.join(wrong[:10])}{' ...' if len(wrong) > 10 else ''}")
    return release


def _wrong(release: Release, kind: str, there: Path) -> list[str]:
    wanted = release.repositories[kind].files
    names = (path.relative_to(there) for path in there.rglob("*") if path.is_file())
    # The client keeps notes of its own in .cache.
    found = {name.as_posix() for name in names if name.parts[0] != ".cache"} - {OF_THE_HUB}
    wrong = sorted(found ^ wanted.keys())
    for name in sorted(found & wanted.keys()):
        same = manifests.sha256_file(there / name) == wanted[name]
        if not same and name == README:
            texts = (path.read_text(encoding="utf-8") for path in (release.path(kind, name), there / name))
            same = differ_in_kept_sections_only(*texts)
        wrong += [] if same else [name]
    return wrong
