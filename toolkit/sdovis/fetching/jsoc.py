"""JSOC: full discs and SHARP cutouts through `drms`, with its requests sent by our own courier.

`drms` (0.9.0) knows JSOC's language: record sets, answers, the addresses of exported files. Its transport is urllib's, which
asks once; here it is given another, and another address where there is one. Files come in two ways:

- ``fits``: JSOC writes the keywords into the headers. That is an export, which needs a registered e-mail, takes minutes, and
  tells sizes only when it is done. An account may have one export at a time. The e-mail is read from ``JSOC_EMAIL``, sent to
  JSOC, and written nowhere.
- ``as-is``: the files as JSOC stores them. Their places are part of the answer to a query, as drms' tutorial has it
  (docs.sunpy.org/projects/drms, "Tutorial"); the keywords come as a table beside them.

Record sets: ``hmi.M_720s[2012.01.01_00:00:00_TAI/31d@12h]{magnetogram}`` (the same tutorial). The names of files are those that
drms gives (drms/client.py, `_filename_from_export_record`): ``hmi.M_720s.20120101_000000_TAI.magnetogram.fits``.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin

from sdovis import disk
from sdovis.errors import BadInput, Problem, nearest
from sdovis.fetching.archives import Addresses
from sdovis.fetching.faults import Failed
from sdovis.fetching.wanted import Absent, Order, Period, Table, WantedFile, within
from sdovis.privacy import EMAIL

if TYPE_CHECKING:
    from sdovis.fetching.courier import Courier

EMAIL_VARIABLE = "JSOC_EMAIL"
#: JSOC's table of HARPs; mbobra/SHARPs and many others read it from here.
HARPS = "doc/data/hmi/harpnum_to_noaa/all_harps_with_noaa_ars.txt"
SHARP_SERIES = "hmi.sharp_cea_720s"
SHARP_SEGMENTS = ("magnetogram", "continuum", "Br", "Bp", "Bt", "bitmap")
#: Seconds that an export is waited for before the run goes on without it; the next run asks for the same one.
EXPORT_WAIT = 1800.0
#: Which exports JSOC is making, by record set: a second request for the same would be a second load for JSOC.
PENDING = ".fetching.json"
_OFFLINE = "NoData"
#: The status of a request that JSOC does not know, or no longer: exports are kept for some days.
_UNKNOWN = 6
_HMI = {"hmi-magnetogram": ("hmi.M_720s", "magnetogram"), "hmi-continuum": ("hmi.Ic_720s", "continuum")}
_AIA = re.compile(r"aia-(\d+)(?:-corrected)?")


@dataclass(frozen=True)
class RecordSet:
    """What is asked of a series: its keys, as JSOC writes them, and segments."""

    series: str
    keys: str
    segments: tuple[str, ...]

    @property
    def records(self) -> str:
        return f"{self.series}{self.keys}"

    def __str__(self) -> str:
        return f"{self.records}{{{','.join(self.segments)}}}"


def full_disc(channel: str, period: Period, cadence_hours: float) -> RecordSet:
    """The record set of a physical channel. Raises `BadInput` for a channel that no full-disc series holds."""
    if channel in _HMI:
        series, segment = _HMI[channel]
        return RecordSet(series, f"[{period.first:%Y.%m.%d}_00:00:00_TAI/{_span(period, cadence_hours)}]", (segment,))
    if match := _AIA.fullmatch(channel):
        series = "aia.lev1_uv_24s" if int(match[1]) in (1600, 1700) else "aia.lev1_euv_12s"
        keys = f"[{period.first:%Y-%m-%d}T00:00:00Z/{_span(period, cadence_hours)}][{int(match[1])}]"
        return RecordSet(series, keys, ("image",))
    choices = [*_HMI, *(f"aia-{wave}" for wave in (94, 131, 171, 193, 211, 304, 335, 1600, 1700))]
    raise BadInput(Problem(f"JSOC has no full discs for the channel {channel!r}", nearest(channel, choices)))


def sharp(harp: int, period: Period, cadence_hours: float, segments: Sequence[str]) -> RecordSet:
    """The record set of a HARP's cutouts on a heliographic grid. Raises `BadInput` for segments that SHARPs lack."""
    if unknown := [name for name in segments if name not in SHARP_SEGMENTS]:
        raise BadInput(Problem(f"SHARPs have no segment {unknown[0]!r}", nearest(unknown[0], SHARP_SEGMENTS)))
    keys = f"[{harp}][{period.first:%Y.%m.%d}_00:00:00_TAI/{_span(period, cadence_hours)}]"
    return RecordSet(SHARP_SERIES, keys, tuple(segments))


def _span(period: Period, cadence_hours: float) -> str:
    minutes = round(cadence_hours * 60)
    step = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    return f"{period.length}d@{step}"


def name_of(record: str, segment: str) -> str:
    """The file's name for a segment of a record such as ``hmi.sharp_cea_720s[377][2011.02.15_00:00:00_TAI]``."""
    series, *keys = re.split(r"[\[\]]+", record.partition("{")[0].rstrip("]"))
    return ".".join([series, *(re.sub(r"[.:-]", "", key) for key in keys if key.strip()), f"{segment}.fits"])


def email() -> str:
    """The registered e-mail. Raises `BadInput` if none is set, without repeating what is."""
    found = os.environ.get(EMAIL_VARIABLE, "").strip()
    if not EMAIL.fullmatch(found):
        hint = f"register at http://jsoc.stanford.edu/ajax/register_email.html, then set {EMAIL_VARIABLE}; as-is needs none"
        raise BadInput(Problem(f"{EMAIL_VARIABLE} names no e-mail that JSOC could send word to", hint))
    return found


def client(courier: Courier, base: str) -> Any:
    """A `drms` client that asks at ``base``, through the courier."""
    try:
        import drms
        from drms.config import ServerConfig
        from drms.json import HttpJsonClient
    except ImportError as error:
        raise BadInput(
            Problem("JSOC is asked through drms, which is not installed", "pip install 'sdovis[fetch]'")
        ) from error

    class Couriers(HttpJsonClient):
        def _json_request(self, url: str) -> Any:
            return SimpleNamespace(data=courier.json(url))

    scripts = {"cgi_show_series": "show_series", "cgi_jsoc_info": "jsoc_info", "cgi_jsoc_fetch": "jsoc_fetch"}
    server = ServerConfig(
        name="sdovis", cgi_baseurl=urljoin(base, "cgi-bin/ajax/"), http_download_baseurl=base, **scripts
    )
    made = drms.Client(server)
    made._json = Couriers(server)
    return made


def images(
    courier: Courier, addresses: Addresses, asked: RecordSet, folder: str, *, protocol: str, keywords: str = ""
) -> Order:
    """The files of a record set: a query lists the records. ``as-is`` also needs a table, at ``keywords``."""
    base = addresses.of("jsoc")
    asks = client(courier, base)
    from drms.exceptions import DrmsQueryError

    try:
        times, places = asks.query(
            asked.records, key="T_REC", seg=list(asked.segments), convert_numeric=False, rec_index=True
        )
    except DrmsQueryError as error:
        raise Failed(f"JSOC does not answer for {asked}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # an answer that drms does not understand
        raise Failed(f"JSOC's answer for {asked} cannot be read ({type(error).__name__})") from None
    files, absent = [], []
    for record in map(str, times.index):
        for segment in asked.segments:
            path = within(folder, name_of(record, segment))
            where = str(places.loc[record, segment])
            if protocol == "fits":
                files.append(WantedFile("jsoc", "", path, "image", record=f"{record}{{{segment}}}", export=str(asked)))
            elif _OFFLINE in where:
                absent.append(
                    Absent("jsoc", f"{record}{{{segment}}}, which is not on JSOC's disks; take it with protocol fits")
                )
            else:
                files.append(WantedFile("jsoc", urljoin(base, where.lstrip("/")), path, "image", record=record))
    if not files and not absent:
        absent.append(Absent("jsoc", f"any record of {asked}"))
    order = Order(tuple(files), tuple(absent))
    if protocol == "as-is" and files:
        answer = Path(keywords).with_suffix(".json").as_posix()
        order += Order(
            (WantedFile("jsoc", keywords_url(base, asked), answer, "keywords", record=str(asked)),),
            tables=(Table(keywords, (answer,), _keywords),),
        )
    return order


def keywords_url(base: str, asked: RecordSet) -> str:
    """The query for all keywords, as drms writes it (drms/json.py, `rs_list`)."""
    return (
        f"{base}cgi-bin/ajax/jsoc_info?{urlencode({'op': 'rs_list', 'ds': asked.records, 'key': '**ALL**', 'R': '1'})}"
    )


def harps(addresses: Addresses, path: str) -> Order:
    """JSOC's table of HARPs and the NOAA regions in them."""
    return Order((WantedFile("jsoc", urljoin(addresses.of("jsoc"), HARPS), path, "harps"),))


def exported(courier: Courier, base: str, files: Sequence[WantedFile], folder: Path, say: Any) -> list[WantedFile]:
    """The files of one export, with their addresses once JSOC has made them. Raises `Failed`, and `BadInput` without an e-mail.

    Which request JSOC is working on is kept in the folder, so that a run that was stopped goes on with it.
    """
    asks, pending = client(courier, base), _Pending(folder / PENDING)
    from drms.exceptions import DrmsExportError

    asked = files[0].export
    try:
        known = pending.of(asked)
        request = asks.export_from_id(known) if known else None
        if request is None or request.status == _UNKNOWN or request.has_failed(skip_update=True):
            request = asks.export(asked, method="url", protocol="fits", filenamefmt=False, email=email())
        if request.id:
            pending.put(asked, request.id)
        _wait(courier, request, say)
        urls = request.urls
    except DrmsExportError as error:
        pending.put(asked, "")
        raise Failed(f"JSOC does not export {asked}: {EMAIL.sub('...', str(error))}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Failed(f"JSOC's answer to the export of {asked} cannot be read ({type(error).__name__})") from None
    places = {_key(str(row.record), str(row.filename)): str(row.url) for row in urls.itertuples()}
    found = []
    for file in files:
        url = places.get(_key(file.record, file.path))
        if url is None:
            pending.put(asked, "")
            raise Failed(f"JSOC exported {len(places)} files, but not {file.record}")
        found.append(replace(file, url=url))
    return found


def done(folder: Path) -> None:
    """Forget the exports: all their files are there."""
    (folder / PENDING).unlink(missing_ok=True)


def _key(record: str, filename: str) -> tuple[str, str]:
    """A record without its segments, in the spelling that the server may change, and the segment of the file.

    JSOC's own names have the level of AIA's: ``aia.lev1_euv_12s.2011-02-15T000002Z.171.image_lev1.fits``.
    """
    segment = filename.removesuffix(".fits").rpartition(".")[2].removesuffix("_lev1")
    return re.sub(r"\s", "", record.partition("{")[0]).casefold(), segment.casefold()


def _wait(courier: Courier, request: Any, say: Any) -> None:
    pause, until = 5.0, time.monotonic() + EXPORT_WAIT
    while not request.has_finished():
        if time.monotonic() > until:
            raise Failed(f"JSOC is still making the export {request.id}; run the same command later")
        say(f"JSOC is making the export {request.id}; asking again in {pause:g} s")
        courier.rest(pause)
        pause = min(pause * 1.5, 60.0)


class _Pending:
    """The exports that JSOC is making: record set -> number of the request. No e-mail, and no address with one."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _read(self) -> Mapping[str, str]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    def of(self, asked: str) -> str:
        return str(self._read().get(asked, ""))

    def put(self, asked: str, number: str) -> None:
        kept = {**self._read(), asked: number}
        disk.write(self._file, json.dumps({key: value for key, value in kept.items() if value}))


def keywords_table(answer: bytes) -> str:
    """JSOC's answer to `keywords_url` as the table that ``drms.Client().query(...).to_csv()`` writes.

    Raises ValueError if it is none.
    """
    import pandas as pd

    found = json.loads(answer.decode("latin-1"))
    if not isinstance(found, dict) or found.get("status") != 0 or not found.get("keywords"):
        raise ValueError("is no answer with keywords")
    columns = {entry["name"]: entry["values"] for entry in found["keywords"]}
    table = pd.DataFrame(columns, index=[entry["name"] for entry in found.get("recinfo", [])] or None)
    return str(table.to_csv())


def _keywords(files: Sequence[Path], place: Path) -> list[str]:
    disk.write(place, keywords_table(files[0].read_bytes()))
    return []
