"""Archives of Solar Region Summaries: a folder of texts, year archives (.tar.gz), or both; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, Problem
from sdovis.sun.regions import RegionSummary, latest, parse
from sdovis.sun.rotation import rotated

#: A day's summary has about 1 kB, all of them since 1996 about 20 MB.
MAX_TEXT_BYTES = 64 * 2**10
MAX_UNPACKED_BYTES = 64 * 2**20
MAX_TEXTS = 40_000
#: A summary is used for images up to a day from its time.
MAX_GAP = timedelta(hours=24)
_ARCHIVES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Archive:
    """The summaries of an archive, one per time in order of time, and remarks on irregularities in their files."""

    summaries: tuple[RegionSummary, ...]
    remarks: tuple[Problem, ...]

    def at(self, time: datetime) -> dict[int, tuple[float, float]]:
        """The regions of the summary nearest to ``time`` (UTC), plages included: number -> latitude and longitude then.

        Those due to return are not on the disc. Longitudes are rotated to ``time`` and rounded as the reader `srs` does.
        Raises `BadInput` if no summary is valid within `MAX_GAP`, or lines of it cannot be read: a region would be missing.
        """
        near = min(self.summaries, key=lambda summary: (abs(summary.valid - time), time - summary.valid))
        if abs(near.valid - time) > MAX_GAP:
            hours = MAX_GAP.total_seconds() / 3600
            what = f"no region summary lies within {hours:g} hours of {time:%Y-%m-%d %H:%M}"
            raise BadInput(Problem(what, f"the nearest is valid at {near.valid:%Y-%m-%d %H:%M}", near.file))
        if near.faults:
            raise BadInput(near.faults)
        return {
            region.noaa_ar: (float(latitude), round(float(rotated(latitude, longitude, near.valid, time)), 2))
            for region in near.regions
            if region.section != "II"
            and (latitude := region.latitude_deg) is not None
            and (longitude := region.longitude_deg) is not None
        }


def read_archive(path: Path, name: str = "") -> Archive:
    """Read a folder of ``.txt`` and ``.tar.gz`` files, or one such file; problems call it ``name``.

    A text that is not a summary becomes a remark. Raises `BadInput` if there is no summary at all, an archive is damaged,
    or something is larger than such archives can be.
    """
    name = name or path.name
    summaries: list[RegionSummary] = []
    remarks: list[Problem] = []
    for file, text in _texts(path, name):
        try:
            summaries.append(parse(text, file))
        except BadInput as error:
            remarks += error.problems
    if not summaries:
        hint = "name a folder with NOAA's SRS texts or their year archives (.tar.gz)"
        raise BadInput([Problem("contains no Solar Region Summary", hint, name), *remarks[:3]])
    chosen, repeated = latest(summaries)
    return Archive(tuple(chosen), (*remarks, *repeated))


def _texts(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """(name, text) of every summary file."""
    if path.is_file():
        yield from _opened(path, name)
    elif path.is_dir():
        found = (p for p in sorted(path.rglob("*")) if p.name.lower().endswith((".txt", *_ARCHIVES)))
        for number, file in enumerate(found):
            if number >= MAX_TEXTS:
                raise BadInput(Problem(f"holds more than {MAX_TEXTS} files", "name a folder of summaries only", name))
            if file.is_file():
                yield from _opened(file, f"{name}/{file.relative_to(path).as_posix()}")
    else:
        raise BadInput(Problem("there is no such folder or archive", "set source.root and source.srs.summaries", name))


def _opened(file: Path, name: str) -> Iterator[tuple[str, str]]:
    if file.name.lower().endswith(_ARCHIVES):
        yield from _members(file, name)
    elif file.stat().st_size > MAX_TEXT_BYTES:
        raise BadInput(Problem(f"is larger than {MAX_TEXT_BYTES // 2**10} kB", "it is not a summary; remove it", name))
    else:
        yield name, _decoded(file.read_bytes())


def _members(file: Path, name: str) -> Iterator[tuple[str, str]]:
    """The ``.txt`` members of a year archive, read as a stream; links and folders in it are skipped."""
    try:
        with gzip.open(file) as raw, tarfile.open(fileobj=_Bounded(raw, name), mode="r|") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_TEXTS:
                    raise BadInput(
                        Problem(
                            f"holds more than {MAX_TEXTS} files", "it is not an archive of summaries; remove it", name
                        )
                    )
                if member.isdir():
                    continue
                if member.size > MAX_TEXT_BYTES:
                    hint = f"a summary has about 1 kB; remove {member.name[:80]!r} from it"
                    raise BadInput(Problem(f"holds a file of {member.size / 2**20:.1f} MB", hint, name))
                inner = archive.extractfile(member) if member.isreg() else None
                if inner is not None and member.name.lower().endswith(".txt"):
                    yield f"{name}/{member.name}", _decoded(inner.read())
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise BadInput(Problem(f"is damaged or not a .tar.gz file: {error}", "download it again", name)) from error


class _Bounded(io.RawIOBase):
    """A stream that raises `BadInput` if more is unpacked, at once or in total, than an archive may hold."""

    def __init__(self, raw: Any, name: str) -> None:
        self._raw, self._name, self._left = raw, name, MAX_UNPACKED_BYTES

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._left + 1 if size is None or size < 0 else min(size, self._left + 1)
        data: bytes = self._raw.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            what = f"unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB"
            raise BadInput(Problem(what, "it is not an archive of summaries; remove it", self._name))
        return data


def _decoded(data: bytes) -> str:
    # Latin-1 accepts any byte: a stray one spoils only its own line.
    return data.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\x1a")
