"""The regions of a disc as a visitor names them: NOAA's summary, SWPC's ``solar_regions.json``, or bare positions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sdovis.channels.place import Position
from sdovis.errors import BadInput, Problem
from sdovis.sun.archives import Archive
from sdovis.sun.regions import parse
from sdovis.sun.swpc import MAX_JSON_BYTES, parse_json

#: How the names of such files end.
SUFFIXES = (".txt", ".json")
#: More than the Sun has ever shown at once.
MAX_PLACES = 40
HOW = (
    "paste NOAA's region summary (SRS) as it is, send it as a .txt file or solar_regions.json, or write N12W34, S20E10"
)
_SUMMARY = re.compile(r"^\s*(?:II|IA|I)\s*\.|^\s*:product:|solar region summary", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Noaa:
    """What NOAA says of a region: "spotted" or "plage", its Mount Wilson and McIntosh classes; "" for what is not known."""

    kind: str = ""
    mount_wilson: str = ""
    mcintosh: str = ""


NOAA_UNKNOWN = Noaa()


@dataclass(frozen=True)
class NamedRegion:
    """A region of a disc: its name, and where it is at the time of the image (Stonyhurst degrees, north and west positive)."""

    name: str
    position: Position
    noaa: Noaa = NOAA_UNKNOWN


@dataclass(frozen=True)
class Listing:
    """What a visitor gave: a pasted ``text``, or ``files``. Nothing is read before `at`."""

    text: str = ""
    files: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.files)

    def at(self, observed: datetime | None) -> list[NamedRegion]:
        """The regions on the disc at the time of an image (UTC), those of a summary rotated to it.

        Raises `BadInput` for what is no list of regions, for more than one, if no summary is near that time, and if the time
        is not known but needed.
        """
        given = [("the regions", self.text)] if self.text.strip() else []
        given += [(file.name, _text(file)) for file in self.files]
        if len(given) != 1:
            raise BadInput(Problem(f"{len(given)} lists of regions were given", "give one"))
        name, text = given[0]
        text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff").strip()
        found = _positions(text, name) if _is_bare(text) else _summarised(text, name, observed)
        if not found:
            raise BadInput(Problem("lists no region on the disc", HOW, name))
        if len(found) > MAX_PLACES:
            raise BadInput(Problem(f"lists {len(found)} regions; at most {MAX_PLACES} are taken", "", name))
        return found


#: What a visitor gave who gave nothing.
NONE = Listing()


def _text(file: Path) -> str:
    if not file.is_file():
        raise BadInput(Problem("the upload was deleted meanwhile", "send it again", file.name))
    if file.stat().st_size > MAX_JSON_BYTES:
        raise BadInput(Problem(f"is larger than {MAX_JSON_BYTES // 2**20} MB", HOW, file.name))
    return file.read_bytes().decode("latin-1" if file.suffix.lower() == ".txt" else "utf-8", "replace")


def _is_bare(text: str) -> bool:
    return not text.startswith(("[", "{")) and not _SUMMARY.search(text)


def _positions(text: str, name: str) -> list[NamedRegion]:
    named = re.search("[NSns]", text)  # N12W34 is told from the next by its letters, 12,34 by a semicolon or a new line
    try:
        found = Position.parse_several(text if named else text.replace("\n", ";"))
    except BadInput as error:
        raise BadInput(Problem(f"{error.problems[0].what[:80]}", HOW, name)) from None
    return [NamedRegion(written(each), each) for each in found]


def _summarised(text: str, name: str, observed: datetime | None) -> list[NamedRegion]:
    summaries = parse_json(text, name) if text.startswith(("[", "{")) else (parse(text, name),)
    if observed is None:
        what = "the image does not say when it was taken, so the regions of its day cannot be placed on it"
        raise BadInput(Problem(what, "keep the name that the archive gave the file, or give positions: N12W34, S20E10"))
    archive = Archive(summaries, ())
    places = archive.at(observed)
    known = {
        region.noaa_ar: Noaa(region.kind, region.mount_wilson, region.mcintosh)
        for summary in sorted(summaries, key=lambda each: -abs(each.valid - observed))
        for region in summary.regions
    }
    return [NamedRegion(f"AR {number}", Position(*where), known[number]) for number, where in places.items()]


def written(position: Position) -> str:
    """As NOAA writes a position, in whole degrees: N12W34."""
    latitude, longitude = map(round, position.on_sun or (0.0, 0.0))
    return f"{'N' if latitude >= 0 else 'S'}{abs(latitude):02d}{'W' if longitude >= 0 else 'E'}{abs(longitude):02d}"


def parted(files: Sequence[str]) -> tuple[list[str], tuple[Path, ...]]:
    """The images and the lists of regions among ``files``."""
    lists = tuple(Path(file) for file in files if file.lower().endswith(SUFFIXES))
    return [file for file in files if Path(file) not in lists], lists
