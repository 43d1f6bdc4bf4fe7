"""Everything that can go wrong, and the exit code it ends with::

    SdovisError                1  internal: a defect of ours
    |-- BadInput               2  a study, workbook, image or plug-in that must be fixed
    |   `-- UnreadableImage    2  one image that cannot be decoded, with the reason
    |-- HubFailure             3  the network or the Hub did not do what was asked
    |-- Conflict               4  something is in the way and was not overwritten
    `-- DiskFailure            4  the disk is full, over its quota, write-protected or broken

An interruption (Ctrl-C) ends with 130. Success is 0.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_BAD_INPUT = 2
EXIT_HUB = 3
EXIT_CONFLICT = 4
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it is, and how to fix it. ``str()`` gives one line.

    Problems of one ``kind`` in one column are one mistake, made in many rows: they are reported once, with their number.
    """

    what: str
    hint: str = ""
    file: str = ""
    sheet: str = ""
    row: int | None = None
    column: str = ""
    kind: str = ""

    def __str__(self) -> str:
        location = [self.file] if self.file else []
        location += [f"sheet {self.sheet!r}"] if self.sheet else []
        location += [f"row {self.row}"] if self.row is not None else []
        location += [f"column {self.column!r}"] if self.column else []
        text = f"{', '.join(location)}: {self.what}" if location else self.what
        text = f"{text}; {self.hint}" if self.hint else text
        # A cell may hold a line break or a control character; a problem is always one line.
        return "".join(c if c.isprintable() else " " for c in text)


class SdovisError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = EXIT_INTERNAL


class BadInput(SdovisError):
    """Input that must be fixed. Carries every problem found, not only the first."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class UnreadableImage(BadInput):
    """An image that cannot be decoded: ``path`` and ``why``."""

    def __init__(self, path: Path | str, why: str, hint: str = "") -> None:
        self.path, self.why = Path(path), why
        super().__init__(Problem(why, hint=hint, file=str(path)))


class HubFailure(SdovisError):
    """The network or the Hub did not do what was asked."""

    exit_code = EXIT_HUB


class Conflict(SdovisError):
    """Something is in the way; it was left as it is."""

    exit_code = EXIT_CONFLICT


class DiskFailure(SdovisError):
    """The disk did not take what was written, or did not give what was read."""

    exit_code = EXIT_CONFLICT
    _SAID: ClassVar[Mapping[int, str]] = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "a file would be larger than this system allows",
        errno.EROFS: "the disk cannot be written to",
        errno.EACCES: "permission is denied",
        errno.EPERM: "permission is denied",
        errno.EIO: "the disk is broken, or was removed",
    }

    @classmethod
    def of(cls, error: OSError) -> DiskFailure | None:
        """``error`` in a sentence with the way out; None if it is not the disk's."""
        if error.errno is None or error.errno not in cls._SAID:
            return None
        where = f"{error.filename}: " if error.filename is not None else ""
        said = f"{where}{cls._SAID[error.errno]}; nothing half-written counts"
        return cls(f"{said}: mend that, and run the same command again")


def once(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, of each kind in a column only the first, with the number of rows that have it."""
    kinds: dict[tuple[object, ...], list[Problem]] = {}
    for number, problem in enumerate(problems):
        same = (problem.file, problem.sheet, problem.column, problem.kind) if problem.kind else (number,)
        kinds.setdefault(same, []).append(problem)
    return [
        replace(of[0], what=f"{of[0].what} ({len(of)} such rows)") if len(of) > 1 else of[0] for of in kinds.values()
    ]


def nearest(name: str, choices: Sequence[str]) -> str:
    """``did you mean 'x'?`` for the choice most like ``name``; otherwise the list of choices."""
    match = difflib.get_close_matches(name.casefold(), [c.casefold() for c in choices], n=1, cutoff=0.6)
    if match:
        found = next(c for c in choices if c.casefold() == match[0])
        return f"did you mean {found!r}?"
    return f"choose one of {', '.join(choices)}" if choices else "there is nothing to choose from"
