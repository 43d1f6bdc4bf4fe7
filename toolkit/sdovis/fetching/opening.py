"""Whether what an archive sent is what was asked for: every file is opened before it gets its name.

A download that ends well proves little: error pages come with status 200, and half a file may have its full length.
Images are opened by the isolated reader, as everywhere; of FITS files the sums in their headers are compared too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sdovis.errors import BadInput, UnreadableImage
from sdovis.fetching import goes, jsoc
from sdovis.fetching.faults import Passing
from sdovis.images.bounds import MAX_BYTES
from sdovis.images.images import SolarImage
from sdovis.images.isolation import READING_BYTES, READING_IMPORTS, READING_SECONDS, Death, isolated, read_isolated
from sdovis.images.timestamps import time_in_name
from sdovis.readers.joins import read_harps
from sdovis.sun.archives import MAX_TEXT_BYTES, MAX_UNPACKED_BYTES, read_archive
from sdovis.sun.regions import parse

#: An image's name has the time of its slot, its header that of the exposures: at most one cadence of HMI apart.
MAX_GAP = timedelta(seconds=720)
MAX_TABLE = 64 * 2**20


@dataclass(frozen=True)
class FileKind:
    """How one kind of file is opened, and how large it may be, in bytes. ``open(part, name)`` raises `Passing`."""

    most: int
    open: Callable[[Path, str], None]


def _summary(part: Path, name: str) -> None:
    _read(lambda: parse(part.read_text(encoding="latin-1"), name))


def _summaries(part: Path, name: str) -> None:
    with _called(part, name) as archive:
        _read(lambda: read_archive(archive, name))


def _report(part: Path, name: str) -> None:
    flares, _ = goes.read_report(part)
    if not flares:
        raise Passing("holds no flare that can be read")


def _events(part: Path, name: str) -> None:
    _read(lambda: goes.read_events(part))


def _regions(part: Path, name: str) -> None:
    """SWPC's ``solar_regions.json``: a list of objects, each with the region's number and the day it was observed."""
    try:
        found = json.loads(part.read_bytes())
    except ValueError:
        raise Passing("is not JSON") from None
    if not isinstance(found, list) or not all(
        isinstance(e, dict) and {"region", "observed_date"} <= e.keys() for e in found
    ):
        raise Passing("is not a list of solar regions")


def _harps(part: Path, name: str) -> None:
    with _called(part, name) as table:
        if not _read(lambda: read_harps(table)):
            raise Passing("holds no HARP")


def _keywords(part: Path, name: str) -> None:
    try:
        jsoc.keywords_table(part.read_bytes())
    except (ValueError, KeyError, TypeError):
        raise Passing("is no answer of JSOC with keywords") from None


@contextmanager
def _called(part: Path, name: str) -> Iterator[Path]:
    """The part under a name that ends as the file's: archives and tables are known by their names."""
    beside = part.with_name(f".opened-{name}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(part.name)
    try:
        yield beside
    finally:
        beside.unlink()


def _image(part: Path, name: str) -> None:
    """An image whose time, by its header, is that of its name."""
    found = read(part)
    named = time_in_name(name)
    if named and found.observed and abs(found.observed - named) > MAX_GAP:
        raise Passing(f"holds an image of {found.observed:%Y-%m-%d %H:%M:%S}, not of {named:%Y-%m-%d %H:%M:%S}")
    if found.format == "FITS":
        wrong = isolated(wrong_sums, part, seconds=READING_SECONDS, memory_bytes=READING_BYTES, imports=READING_IMPORTS)
        if isinstance(wrong, Death) or wrong:
            raise Passing(wrong.why if isinstance(wrong, Death) else wrong)


def read(part: Path) -> SolarImage:
    """The image, through the isolated reader. Raises `Passing` if it cannot be opened."""
    try:
        return read_isolated(part)
    except UnreadableImage as error:
        raise Passing(f"cannot be opened: {error.why}") from None


def wrong_sums(path: Path) -> str:
    """What contradicts the DATASUM of a FITS file (FITS Standard 4.0, 4.4.2.7); '' if nothing does, or it has none."""
    from astropy.io import fits

    with fits.open(path, memmap=False, checksum=False, disable_image_compression=True) as hdus:
        wrong = [n for n, hdu in enumerate(hdus) if "DATASUM" in hdu.header and not hdu.verify_datasum()]
    return f"the DATASUM of its HDU {wrong[0]} is not that of its data" if wrong else ""


def _read(reading: Callable[[], object]) -> object:
    try:
        return reading()
    except BadInput as error:
        raise Passing(f"cannot be read: {error.problems[0].what}") from None


KINDS: Mapping[str, FileKind] = {
    "summary": FileKind(MAX_TEXT_BYTES, _summary),
    "summaries": FileKind(MAX_UNPACKED_BYTES, _summaries),
    "report": FileKind(MAX_TABLE, _report),
    "events": FileKind(MAX_TABLE, _events),
    "regions": FileKind(MAX_TABLE, _regions),
    "harps": FileKind(MAX_TABLE, _harps),
    "keywords": FileKind(MAX_TABLE, _keywords),
    "image": FileKind(MAX_BYTES, _image),
}
