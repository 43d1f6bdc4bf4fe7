"""Where a release may go: plug-ins in the entry-point group ``sdovis.targets``; a folder is built in here, a Hub in `hub`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from sdovis import exchange, manifests, plugins
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.release.assembly import Release
from sdovis.release.request import Request, Target

GROUP = "sdovis.targets"


def target(name: str) -> Target:
    """The target registered as ``name``; `BadInput` with the nearest name if there is none."""
    found: Target = plugins.load(GROUP, name, Callable)
    return found


def folder(asked: Request) -> list[str]:
    """To PLACE/STUDY/PIN, for example on an institute's shared disk: all three repositories appear at once.

    An undamaged earlier release there is exchanged for this one: the pin identifies corpus, model and scores, so only
    words, the page and what was measured can differ. Where the system cannot exchange folders in one step, that is said.
    Raises `BadInput` without a place and for what only a Hub can do, `Conflict` if something else is there or nothing can
    be written.
    """
    if problems := list(_not_for_a_folder(asked)):
        raise BadInput(problems)
    release = Release.load(asked.release)
    there = _place(asked, release)
    held, wanted = _held(there), _sums(release)
    changed = sorted(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
    if not changed:
        return [f"{there}: nothing changes"]
    size = in_words(sum(path.stat().st_size for path in release.folder.rglob("*") if path.is_file()))
    said = f"{there}: {len(changed)} of {len(wanted)} files {'changed' if held else 'added'}, {size}"
    if not asked.dry_run:
        asked.say(f"writing {there}")
        try:
            at_once = not held or exchange.possible(there.parent)
            with manifests.whole(there, stage="release", made_from={"pin": release.pin}) as beside:
                shutil.copytree(release.folder, beside, dirs_exist_ok=True)
        except OSError as error:
            raise Conflict(f"{there} cannot be written: {_reason(error)}; nothing was changed") from error
        if not at_once:
            said += "; its file system cannot exchange folders in one step, so for a moment there was no release there"
    return [said]


def _not_for_a_folder(asked: Request) -> Iterable[Problem]:
    if not asked.place:
        yield Problem("publish: the target folder needs a path", "write it as --to folder:PATH")
    if asked.public:
        yield Problem("publish: who can read a folder depends on its permissions", "omit --public")
    if asked.accept:
        yield Problem("publish: a folder has no commits", "omit --accept")


def _place(asked: Request, release: Release) -> Path:
    """Where the release goes. Raises `BadInput` if that is not a path, `Conflict` if nothing can be written."""
    try:
        there = Path(asked.place).expanduser() / release.study / release.pin
        if there.resolve().is_relative_to(release.folder.resolve()):
            raise BadInput(Problem(f"publish: {asked.place} is inside the release itself", "name another folder"))
        parent = next(each for each in there.absolute().parents if os.path.lexists(each))
    except (RuntimeError, OSError) as error:  # no such user, or an impossible path
        raise BadInput(Problem(f"publish: {asked.place!r} is not a path: {error}", "name a folder")) from error
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise Conflict(f"{there} cannot be written: {parent} is not a folder, or you may not write to it")
    return there


def _reason(error: OSError) -> str:
    """The first reason: copying a folder collects one per file, as (from, to, reason)."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    return str(error)


def _held(there: Path) -> dict[str, str]:
    """The sums of an earlier release there, {} if none. Raises `Conflict` if something else is there, or it was changed."""
    if not os.path.lexists(there):
        return {}
    try:
        return _sums(Release.load(there))
    except OSError as error:
        raise Conflict(f"{there} cannot be read: {error}; nothing was written") from error
    except BadInput as error:
        what = error.problems[0].what
        raise Conflict(f"{there}: not as sdovis left it ({what}); nothing was written; move it elsewhere") from error


def _sums(release: Release) -> dict[str, str]:
    return {f"{kind}/{name}": of for kind, it in release.repositories.items() for name, of in it.files.items()}


def in_words(size: float) -> str:
    """Bytes in units of 1000: ``86.7 MB``."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
