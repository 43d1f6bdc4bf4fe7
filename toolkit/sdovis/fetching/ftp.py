"""Files by FTP, which SWPC's warehouse still speaks: the size before, and parts that go on (RFC 3659: SIZE, MDTM, REST)."""

from __future__ import annotations

import ftplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from sdovis import patience
from sdovis.fetching.faults import Failed, Missing, Passing
from sdovis.fetching.parts import PartialFile


@contextmanager
def _session(url: str) -> Iterator[tuple[ftplib.FTP, str]]:
    """A session as an anonymous guest, and the file's path there."""
    where = urlsplit(url)
    try:
        with ftplib.FTP(timeout=patience.SILENCE) as session:
            session.connect(where.hostname or "", where.port or ftplib.FTP_PORT)
            session.login()
            session.voidcmd("TYPE I")
            yield session, unquote(where.path)
    except ftplib.error_perm as error:
        if str(error).startswith("550"):
            raise Missing("the archive has no such file") from None
        raise Failed(f"answered {str(error)[:3]}") from None
    except (ftplib.Error, EOFError, ConnectionError, TimeoutError) as error:
        raise Passing(f"the connection failed ({type(error).__name__})") from None
    except OSError as error:
        if error.filename is not None or error.errno in _DISK:
            raise
        raise Passing(f"the connection failed ({type(error).__name__})") from None


#: Errors of this machine's disk, and not of the connection: no space, quota, read-only, broken.
_DISK = frozenset({28, 122, 30, 5})


def size(url: str) -> int | None:
    """The file's size in bytes. Raises `Missing`, `Passing` or `Failed`."""
    with _session(url) as (session, path):
        return session.size(path)


def receive(url: str, part: PartialFile, most: int, coming: Callable[[int], object]) -> None:
    """Load the file into ``part``, from where that ends if the file has not changed since. Raises as `size`."""
    with _session(url) as (session, path):
        total, changed = session.size(path), session.voidcmd(f"MDTM {path}")
        if part.going_on().get("If-Range") != changed:
            part.begin({})
            part.note(total, changed)
        with part.file.open("ab", buffering=0) as file:

            def take(chunk: bytes) -> None:
                file.write(chunk)
                coming(file.tell())
                if file.tell() > most:
                    raise Failed(f"has more than {most / 2**20:.0f} MB, and no such file does")

            session.retrbinary(f"RETR {path}", take, rest=part.size or None)
    part.ends()
