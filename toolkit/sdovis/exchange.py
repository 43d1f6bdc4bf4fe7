"""Two folders exchanged in one step, so that whoever looks finds one of them, at every moment.

Linux does it with ``renameat2`` and ``RENAME_EXCHANGE`` (man 2 renameat2), on the file systems that can; Python has no name
for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
#: What a kernel or a file system says that cannot do it.
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders of one file system; False, and nothing done, where the system cannot. Raises `OSError`."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def possible(folder: Path) -> bool:
    """Whether folders in ``folder`` can be exchanged."""
    with tempfile.TemporaryDirectory(prefix=".exchange-", dir=folder) as beside:
        one, other = Path(beside, "one"), Path(beside, "other")
        one.mkdir()
        other.mkdir()
        return exchange(one, other)
