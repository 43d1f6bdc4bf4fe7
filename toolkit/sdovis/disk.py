"""What a power cut must not undo: files and folders that appear whole or not at all, and then stay.

To other processes a rename is all or nothing. To a power cut it is not: the disk may have the new name and not yet the
contents, or neither, long after the program went on. So contents are sent to the disk before they get their name, and
the names of a folder after one has changed. Everything that a run leaves is written through this module.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def write(file: Path, text: str, *, newline: str | None = None) -> None:
    """Write a text file that appears whole or not at all, in folders that are made if need be."""
    make(file.parent)
    beside = file.with_name(f".{file.name}.part")
    beside.write_text(text, encoding="utf-8", newline=newline)
    move(beside, file)


def move(beside: Path, place: Path) -> None:
    """Let a file or folder that is fully written take its place. Neither may be a folder that is not empty."""
    sync(beside)
    beside.replace(place)
    # First the name that is new: a name that is on the disk twice does no harm.
    for folder in dict.fromkeys((place.parent, beside.parent)):
        flush(folder)


def make(folder: Path) -> None:
    """Make a folder, with those above it."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there, before anything that is written later gets its name."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        flush(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or all that is in a folder, is on the disk. Raises OSError if it cannot be written there."""
    for folder, _, files in os.walk(path):
        for name in files:
            flush(Path(folder, name))
        flush(Path(folder))
    if not path.is_dir():
        flush(path)


def flush(path: Path) -> None:
    """Send a file's contents, or a folder's list of names, to the disk; not what is in the folder."""
    if path.is_symlink():  # its target is not ours, and itself it is a name of its folder
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        # Some network and FUSE file systems cannot do this with a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(opened)
