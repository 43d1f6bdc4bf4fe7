"""A file that is still coming: the part beside its place, and what is needed to go on with it later.

``.NAME.part`` holds the bytes, ``.NAME.part.json`` the address they came from, the size of the whole, the sums that the
archive gave, and the validator (RFC 9110, 8.8) that tells whether the archive still has the same file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sdovis import disk
from sdovis.fetching.faults import Passing

#: Sums that HTTP knows: Repr-Digest (RFC 9530), Digest (RFC 3230), Content-MD5 (RFC 1864).
_SUMS = {"sha-512": "sha512", "sha-256": "sha256", "md5": "md5"}


@dataclass
class _Note:
    url: str
    validator: str = ""
    total: int | None = None
    sums: dict[str, str] = field(default_factory=dict)


class PartialFile:
    """The part of the file that goes to ``place`` and comes from ``url``; one from elsewhere is dropped."""

    def __init__(self, place: Path, url: str) -> None:
        self.file = place.with_name(f".{place.name}.part")
        self._told = place.with_name(f".{place.name}.part.json")
        self._note = _Note(url)
        try:
            read = _Note(**json.loads(self._told.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            read = None
        if read is not None and read.url == url and self.file.is_file():
            self._note = read
        else:
            self.drop()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.file.stat().st_size if self.file.is_file() else 0

    @property
    def complete(self) -> bool:
        """Whether all bytes have come; never if the archive does not say how many there are."""
        return self._note.total is not None and self.file.is_file() and self.size == self._note.total

    def going_on(self) -> Mapping[str, str]:
        """The headers that ask for the rest, if the file is still the same; none if the whole must come anew."""
        have, total = self.size, self._note.total
        if not have or not self._note.validator or (total is not None and have >= total):
            return {}
        return {"Range": f"bytes={have}-", "If-Range": self._note.validator}

    def continues(self, headers: Mapping[str, str]) -> bool:
        """Whether an answer with a range goes on where the part ends, in a file of the same size."""
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if not found or int(found[1]) != self.size:
            return False
        return found[2] == "*" or self._note.total in (None, int(found[2]))

    def begin(self, headers: Mapping[str, str]) -> None:
        """A whole file is coming: forget what was there."""
        length = headers.get("Content-Length", "")
        strong = headers.get("ETag", "") if not headers.get("ETag", "").startswith("W/") else ""
        validator = strong or headers.get("Last-Modified", "")
        if "bytes" not in headers.get("Accept-Ranges", "bytes"):
            validator = ""
        self.note(int(length) if length.isdecimal() else None, validator, _sums(headers))
        self.file.write_bytes(b"")

    def note(self, total: int | None, validator: str, sums: Mapping[str, str] | None = None) -> None:
        self._note = _Note(self._note.url, validator, total, dict(sums or {}))
        disk.write(self._told, json.dumps(asdict(self._note)))

    def ends(self) -> None:
        """All that the archive sent has come. Raises `Passing` if that is not the whole file."""
        if self._note.total is not None and self.size != self._note.total:
            if self.size > self._note.total:
                self.drop()
            raise Passing(f"ended after {self.size} of {self._note.total} bytes")

    def agrees(self) -> None:
        """Compare with the sums that the archive gave, if any. Raises `Passing`."""
        for name, wanted in self._note.sums.items():
            with self.file.open("rb") as file:
                if hashlib.file_digest(file, name).hexdigest() != wanted:
                    raise Passing(f"has another {name} sum than the archive says")

    def verified(self) -> None:
        """The file is what it should be: its size is that of the whole, also if the archive did not tell."""
        if self._note.total is None:
            self.note(self.size, "")

    def drop(self) -> None:
        self.file.unlink(missing_ok=True)
        self._told.unlink(missing_ok=True)
        self._note = _Note(self._note.url)

    def moved(self, place: Path) -> None:
        """Give the whole file its name."""
        disk.move(self.file, place)
        self._told.unlink(missing_ok=True)


def _sums(headers: Mapping[str, str]) -> dict[str, str]:
    given = {"md5": headers.get("Content-MD5", "")}
    for header in ("Digest", "Repr-Digest"):
        for entry in headers.get(header, "").split(","):
            name, _, value = entry.strip().partition("=")
            given[name.lower()] = value.strip(":")
    found = {}
    for name, value in given.items():
        if name in _SUMS and value:
            try:
                found[_SUMS[name]] = base64.b64decode(value, validate=True).hex()
            except ValueError:
                continue  # not a sum at all
    return found
