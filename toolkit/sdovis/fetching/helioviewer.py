"""Helioviewer's JPEG 2000, by its plain API: the nearest image is asked for, then loaded by its number.

``getClosestImage`` answers with the image's ``id`` and ``date``, ``getJP2Image`` sends the file of an ``id`` with its name and
length (Helioviewer-Project/api 7ee7d251: src/Module/WebClient.php, JHelioviewer.php). hvpy 1.1, whose numbers of sources and
address these are (hvpy/datasource.py, config.py), asks without a time-out and holds a whole file in memory.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sdovis.errors import BadInput, Problem, nearest
from sdovis.fetching.archives import Addresses
from sdovis.fetching.faults import Failed
from sdovis.fetching.wanted import Absent, Order, Period, WantedFile, within

if TYPE_CHECKING:
    from sdovis.fetching.courier import Courier

#: Channel -> (number of the source, the words of its names). hvpy.DataSource: AIA_94 = 8 ... HMI_INT = 18, HMI_MAG = 19.
SOURCES = {
    "hmi-continuum-browse": (18, "HMI", "continuum"),
    "hmi-magnetogram-browse": (19, "HMI", "magnetogram"),
}
_WAVES = (94, 131, 171, 193, 211, 304, 335, 1600, 1700)
SOURCES |= {f"aia-{wave}-browse": (8 + at, "AIA", str(wave)) for at, wave in enumerate(_WAVES)}


def source_of(channel: str) -> tuple[int, str, str]:
    """Raises `BadInput` for a channel that Helioviewer has no pictures for."""
    if channel not in SOURCES:
        raise BadInput(Problem(f"Helioviewer has no images for the channel {channel!r}", nearest(channel, [*SOURCES])))
    return SOURCES[channel]


def closest_url(base: str, source: int, moment: datetime) -> str:
    return f"{base}getClosestImage/?{urlencode({'date': f'{moment:%Y-%m-%dT%H:%M:%S}Z', 'sourceId': source})}"


def image_url(base: str, number: int) -> str:
    return f"{base}getJP2Image/?{urlencode({'id': number})}"


def name(time: datetime, instrument: str, measurement: str) -> str:
    """A file's name, as ``2013_06_24__17_31_30_84__SDO_AIA_AIA_193.jp2``, but the API's dates have no fraction."""
    return f"{time:%Y_%m_%d__%H_%M_%S}__SDO_{instrument}_{instrument}_{measurement}.jp2"


def images(
    courier: Courier, addresses: Addresses, period: Period, channel: str, folder: str, *, cadence_hours: float,
    max_gap_minutes: float,
) -> Order:  # fmt: skip
    """The images nearest to each moment of the cadence."""
    source, instrument, measurement = source_of(channel)
    base = addresses.of("helioviewer")
    files, absent = {}, []
    for moment in period.moments(cadence_hours):
        number, taken = _closest(courier, closest_url(base, source, moment))
        if abs(taken - moment) > timedelta(minutes=max_gap_minutes):
            what = f"{instrument} {measurement} within {max_gap_minutes:g} min of {moment:%Y-%m-%d %H:%M}"
            absent.append(Absent("helioviewer", what))
        else:
            path = within(folder, name(taken, instrument, measurement))
            files[path] = WantedFile("helioviewer", image_url(base, number), path, "image")
    return Order(tuple(files.values()), tuple(absent))


def _closest(courier: Courier, url: str) -> tuple[int, datetime]:
    answer = courier.json(url)
    try:
        return int(answer["id"]), datetime.fromisoformat(answer["date"]).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        said = answer.get("error") or answer.get("message") if isinstance(answer, dict) else None
        raise Failed(f"Helioviewer's answer names no image{f': {said}' if isinstance(said, str) else ''}") from None
