"""Today's Sun: the newest image of the model's channel and SWPC's regions, from addresses of the owner's choice.

WebFile for at most once in some minutes, whoever presses the button, and read like an upload. Where the page may not reach
the network, or no address is known for the channel, the page says which of the two it is.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from sdovis.channels.view import View
from sdovis.images.timestamps import SUFFIXES, taken_at, time_in_name
from sdovis.study import Space
from sdovis.webapp import reach
from sdovis.webapp.reach import Got, Unreachable, WebFile

#: NASA's browse pictures of a day, in folders that list them; the name gives the time.
BROWSE = "https://sdo.gsfc.nasa.gov/assets/img/browse/%Y/%m/%d/*_{size}_{code}.jpg"
#: Channel -> what NASA calls it in the names of its browse pictures.
CODES = {f"aia-{wave}-browse": f"{wave:04d}" for wave in (94, 131, 171, 193, 211, 304, 335, 1600, 1700)}
CODES |= {"hmi-magnetogram-browse": "HMIB", "hmi-continuum-browse": "HMIIC"}
SIZES = (512, 1024, 2048, 4096)
REGIONS = "https://services.swpc.noaa.gov/json/solar_regions.json"

MAX_IMAGE_BYTES, MAX_REGIONS_BYTES, MAX_INDEX_BYTES = 40 * 2**20, 4 * 2**20, 8 * 2**20
IMAGE_TYPES = ("image/*", "application/fits", "application/x-fits", "application/octet-stream")
REGION_TYPES = ("application/json", "text/*")
SECONDS = 30.0
#: What was found is shown to everybody for so long, and so is that nothing was.
FRESH_S, FAILED_S = 600.0, 60.0
#: An image older than this is said to be old.
OLD = timedelta(hours=24)


@dataclass(frozen=True)
class LiveAddresses:
    """Where today's Sun is to be had, or in ``why_not`` why it is not. ``private`` addresses may be asked if it says so."""

    image: str = ""
    regions: str = ""
    private: bool = False
    why_not: str = ""


@dataclass(frozen=True)
class Today:
    """The newest image and the regions of its day as files; ``notes`` are what a reader must know of them."""

    image: Path
    regions: Path | None
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.image,) if self.regions is None else (self.image, self.regions)


def addresses(view: View, chosen: Space, environment: Mapping[str, str] = os.environ) -> LiveAddresses:
    """What the environment says, else what the study has ``chosen``, else what is known of the channel."""
    said = environment.get("SDOVIS_LIVE", "").strip().lower()
    allowed = said in ("1", "true", "yes", "on") if said else chosen.live
    if not allowed:
        return LiveAddresses(
            why_not="The owner of this page has not allowed it to fetch today's Sun from the network (SDOVIS_LIVE=1)."
        )
    image = environment.get("SDOVIS_LIVE_IMAGE") or chosen.live_image or _known(view)
    if len(view.channels) != 1:
        return LiveAddresses(why_not="Today's Sun is not to be had for a model of several channels.")
    if not image:
        title = view.channels[0].title
        return LiveAddresses(
            why_not=f"No address is known that has today's image of {title}; the owner of this page may name one "
            "(SDOVIS_LIVE_IMAGE)."
        )
    regions = environment.get("SDOVIS_LIVE_REGIONS") or chosen.live_regions or REGIONS
    return LiveAddresses(image, regions, environment.get("SDOVIS_LIVE_PRIVATE", "") == "1")


def _known(view: View) -> str:
    """NASA's address for a channel that reads its browse pictures; "" for others."""
    code = CODES.get(view.channels[0].name) if len(view.channels) == 1 else None
    native = view.native_px[0] if view.native_px else 2 * view.center_px[0] + 1 if view.center_px else 1024
    return BROWSE.format(size=min(SIZES, key=lambda size: abs(size - native)), code=code) if code else ""


class Live:
    """Fetches `Today` into ``folder``, and remembers it for all visitors. To be used in one event loop."""

    def __init__(self, where: LiveAddresses, folder: Path) -> None:
        self.where, self.folder = where, folder
        self._fetching: asyncio.Task[Today] | None = None
        self._since = 0.0

    async def today(self) -> Today:
        """The newest image and regions. Raises `Unreachable`, also for a failure of a moment ago."""
        if self._fetching is None or self._is_stale(self._fetching):
            self._since = time.monotonic()
            self._fetching = asyncio.create_task(asyncio.to_thread(self._fetch))
        # Shielded: whoever asked first may go, and the others still wait.
        return await asyncio.shield(self._fetching)

    def _is_stale(self, fetching: asyncio.Task[Today]) -> bool:
        age = time.monotonic() - self._since
        if not fetching.done():
            return False
        if fetching.cancelled() or fetching.exception() is not None:
            return age > FAILED_S
        return age > FRESH_S or not all(file.is_file() for file in fetching.result().files)

    def _fetch(self) -> Today:
        if self.where.why_not:
            raise Unreachable(self.where.why_not)
        image, notes = self._image()
        try:
            asked = WebFile(self.where.regions, REGION_TYPES, MAX_REGIONS_BYTES, SECONDS, self.where.private)
            regions = reach.get(asked).content
        except Unreachable as error:
            notes.append(f"The numbered regions of today could not be had: {error}. Choose a region in the picture.")
            return Today(image, None, tuple(notes))
        suffix = ".json" if regions.lstrip()[:1] in (b"[", b"{") else ".txt"
        return Today(image, self._kept(f"regions{suffix}", regions), tuple(notes))

    def _image(self) -> tuple[Path, list[str]]:
        got = self._newest(datetime.now(UTC))
        name = re.sub(r"[^\w.-]", "_", unquote(urlsplit(got.url).path).rpartition("/")[2])[-80:] or "sun"
        image = self._kept(name, got.content)
        notes, taken = [], taken_at(image, re.compile("(?!)"))
        if taken is None:
            if got.written is None:
                raise Unreachable(f"{reach.host(got.url)} does not say when its image was taken")
            taken = got.written
            image = image.rename(image.with_name(f"{taken:%Y%m%d_%H%M%S}_{name}"))
            notes.append(
                f"When the image was taken is not known: its server wrote it at {taken:%Y-%m-%d %H:%M} UTC, which is "
                "taken for its time."
            )
        if datetime.now(UTC) - taken > OLD:
            notes.append(f"The newest image to be had is of {taken:%Y-%m-%d %H:%M} UTC.")
        return image, notes

    def _newest(self, now: datetime) -> Got:
        """The image itself, or the newest of those that a folder lists: today's, or early in the day yesterday's."""
        where = self.where.image
        asked = WebFile("", IMAGE_TYPES, MAX_IMAGE_BYTES, SECONDS, self.where.private)
        if "*" not in where.rpartition("/")[2]:
            return reach.get(replace(asked, url=now.strftime(where) if "%Y" in where else where))
        failed = Unreachable("no image of today is listed")
        for day in (now, now - timedelta(days=1)):
            folder, _, pattern = day.strftime(where).rpartition("/")
            try:
                index = WebFile(f"{folder}/", ("text/html",), MAX_INDEX_BYTES, SECONDS, self.where.private)
                listed = reach.get(index)
            except Unreachable as error:
                failed = error
                continue
            if newest := _newest_of(listed, pattern):
                return reach.get(replace(asked, url=newest))
        raise failed

    def _kept(self, name: str, content: bytes) -> Path:
        """A file in a folder of its own, as an upload has one."""
        folder = self.folder / f"live-{time.time_ns()}"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)
        return folder / name


class _Links(HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _newest_of(index: Got, pattern: str) -> str:
    """The address of the newest image in a folder's index whose name fits; "" if there is none."""
    links = _Links()
    links.feed(index.content.decode("utf-8", "replace"))
    times = {}
    for link in links.found:
        address = urljoin(index.url, link)
        name = unquote(urlsplit(address).path).rpartition("/")[2]
        taken = time_in_name(name)
        # What a folder lists lies in it: a link may lead nowhere else.
        inside = address.rpartition("/")[0] == index.url.rpartition("/")[0]
        if taken and inside and fnmatch.fnmatchcase(name, pattern) and name.lower().endswith(SUFFIXES):
            times[address] = taken
    return max(times, key=lambda address: times[address], default="")
