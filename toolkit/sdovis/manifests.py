"""Folders that appear whole or not at all and record what they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sdovis import disk, formats
from sdovis.errors import BadInput, Problem
from sdovis.exchange import exchange
from sdovis.version import __version__

NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a folder holds (path -> sha256) and what it was made from (name -> digest or setting)."""

    stage: str
    made_from: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """sha256 over stage, inputs and contents: two folders with the same digest are the same."""
        return sha256_text(json.dumps(asdict(self), sort_keys=True))


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(folder: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Path in ``folder`` -> sha256 of every file, in order of their paths, but for those ``without``."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: sha256_file(path) for name, path in paths.items() if name not in without}


def _own(folder: Path) -> dict[str, str]:
    """`sums` of what a stage wrote: without its manifest, and without the folders inside that are another stage's.

    These have a manifest of their own, or will have: while it is written, a folder's name begins with a dot.
    """
    inner = {path.parent for path in folder.glob(f"*/{NAME}")} | {path for path in folder.glob(".*") if path.is_dir()}
    others = {path.relative_to(folder).as_posix() for each in inner for path in each.rglob("*")}
    return sums(folder, without={NAME, *others})


def read(folder: Path, *, made_by: str) -> Manifest:
    """The manifest of a finished folder, its sums verified.

    Raises `BadInput` if the folder is absent, unfinished, changed since, or written in a format that this sdovis does
    not know; ``made_by`` names the command to run.
    """
    hint = f"run sdovis {made_by}"
    try:
        written = json.loads((folder / NAME).read_text(encoding="utf-8"))
        data = formats.brought_up(written, formats.MANIFEST, file=str(folder / NAME))
        manifest = Manifest(data["stage"], data["made_from"], data["files"])
    except FileNotFoundError:
        raise BadInput(Problem("is not there yet", f"{hint} first", str(folder))) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(Problem(f"the manifest is damaged: {error!r}", hint, str(folder / NAME))) from error
    found = _own(folder)
    if found != manifest.files:
        changed = sorted(k for k in found.keys() | manifest.files.keys() if found.get(k) != manifest.files.get(k))
        raise BadInput(
            Problem(f"{', '.join(changed)} changed since it was made", f"{hint} to make it again", str(folder))
        )
    return manifest


def finished(folder: Path, made_from: Mapping[str, str]) -> bool:
    """Whether ``folder`` holds, undamaged, what this version of sdovis would make from the same inputs."""
    if not (folder / NAME).is_file():
        return False
    try:
        return read(folder, made_by="again").made_from == _stamped(made_from)
    except BadInput:
        return False


def _stamped(made_from: Mapping[str, str]) -> dict[str, str]:
    return {**made_from, "sdovis": __version__}


@contextmanager
def whole(folder: Path, *, stage: str, made_from: Mapping[str, str]) -> Iterator[Path]:
    """A new folder to write into; it takes the place of ``folder`` when the block ends without an error, and is then on
    the disk.

    At once, where the system can `exchange` folders; elsewhere there is none for a moment.
    """
    disk.make(folder.parent)
    for stale in folder.parent.glob(f".{folder.name}-*"):  # of a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield beside
        manifest = Manifest(stage, _stamped(made_from), _own(beside))
        written = {formats.KEY: formats.newest(formats.MANIFEST), **asdict(manifest)}
        (beside / NAME).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        beside.chmod(0o755)
        disk.sync(beside)  # first of all this, which takes time, so that between the renames there is none
        # A link is replaced, and what it leads to stays.
        if folder.is_symlink() or not folder.is_dir() or not exchange(beside, folder):
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            if folder.exists():
                folder.replace(old / folder.name)
            disk.move(beside, folder)
            shutil.rmtree(old)
        else:
            disk.flush(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
