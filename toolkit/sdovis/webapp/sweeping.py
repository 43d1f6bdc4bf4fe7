"""The disk under the page: what visitors and answers leave there goes away by age, and by size when it is too much.

Gradio deletes what it remembers having written, and only by age: uploads that were cut off, files of an earlier start
and its empty leftovers stay for ever, and nothing bounds their sum.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

MAX_AGE_S = 3600.0
#: An upload that has grown by nothing for so long has been cut off.
UNFINISHED_S = 120.0
MAX_TOTAL_BYTES = 2 * 2**30
#: A file counts as at least so much: very many small ones would fill the disk's tables, and take long to look through.
LEAST_BYTES = 2**16
#: A file is left alone for so long, however full the disk is: its visitor has just sent it.
SAFE_S = 30.0
EVERY_S, FULL_S = 10.0, 1.0
#: Files are deleted for their size until so much of the room is used.
FULL = 0.75


@dataclass(frozen=True)
class _File:
    path: Path
    size: int
    age_s: float

    @property
    def counts(self) -> int:
        """The bytes that it counts as."""
        return max(self.size, LEAST_BYTES)


class Disk:
    """The folder of uploads and of pictures that answers show: `take` before writing, and let `keep_swept` run."""

    def __init__(self, folder: Path, max_bytes: int = MAX_TOTAL_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.full = threading.Event()
        self._total = 0

    def take(self, size: int) -> bool:
        """Whether ``size`` bytes more may be written; they then count, until the next sweep measures what is there.

        Does not wait. If there is no room, a sweep is due.
        """
        if self._total + size > self.max_bytes:
            self.full.set()
            return False
        self._total += size
        return True

    def sweep(self) -> None:
        """Delete what is old, unfinished or too much."""
        files, kept = list(self._files()), []
        self._total = sum(file.counts for file in files)
        for file in files:
            # Gradio writes an upload straight into the folder, and moves it into one of its own when it is whole.
            unfinished = file.path.parent == self.folder
            if file.age_s > (UNFINISHED_S if unfinished else MAX_AGE_S) or (not file.size and file.age_s > SAFE_S):
                self._delete(file)
            elif file.age_s > SAFE_S:
                kept.append(file)
        # Large and old ones first: a flood of large files costs nobody else a small one.
        for file in sorted(kept, key=lambda file: file.counts * file.age_s, reverse=True):
            if self._total <= FULL * self.max_bytes:
                break
            self._delete(file)
        self._remove_empty_folders()

    def _files(self) -> Iterator[_File]:
        now = time.time()
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):  # deleted meanwhile
                status = path.lstat()
                if not path.is_dir():
                    yield _File(path, status.st_size, now - status.st_mtime)

    def _delete(self, file: _File) -> None:
        with contextlib.suppress(OSError):
            file.path.unlink()
            self._total -= file.counts

    def _remove_empty_folders(self) -> None:
        for path in self.folder.glob("*"):
            with contextlib.suppress(OSError):  # not empty, or not a folder
                if path.is_dir() and time.time() - path.stat().st_mtime > SAFE_S:
                    path.rmdir()


def keep_swept(disk: Disk) -> None:
    """Sweep from now on, in a thread that ends with the process: regularly, and soon after the disk is full."""

    def run() -> None:
        while True:
            try:
                disk.sweep()
            except OSError as error:
                log.warning("the uploads were not swept: %s", error)
            disk.full.clear()
            time.sleep(FULL_S)
            disk.full.wait(EVERY_S)

    threading.Thread(target=run, name="sweeping", daemon=True).start()
