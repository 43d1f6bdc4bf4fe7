"""NASA's browse images: a folder a day, a file for each time, size and product.

The names are those of the site's own folders, such as
``browse/2022/08/19/20220819_000000_1024_HMIB.jpg`` (ESA-SunSpots/sdo-query's README) and
``browse/2021/07/12/20210712_000000_512_HMIIF.jpg``: UTC, pixels of a side, product.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sdovis.errors import BadInput, Problem, nearest
from sdovis.fetching.archives import Addresses
from sdovis.fetching.faults import Missing
from sdovis.fetching.wanted import Absent, Order, Period, WantedFile, within

if TYPE_CHECKING:
    from sdovis.fetching.courier import Courier

#: Channel -> product. NASA has HMI's continuum as HMII (grey), HMIIC (coloured) and HMIIF (coloured, flattened).
PRODUCTS = {"hmi-magnetogram-browse": "HMIB", "hmi-continuum-browse": "HMIIC"}
PRODUCTS |= {f"aia-{wave}-browse": f"{wave:04d}" for wave in (94, 131, 171, 193, 211, 304, 335, 1600, 1700)}
_NAME = re.compile(r"(?P<time>\d{8}_\d{6})_(?P<side>\d{3,4})_(?P<product>\w+)\.jpg")


def day_url(base: str, day: date) -> str:
    return f"{base}{day:%Y/%m/%d}/"


def name(time: datetime, side: int, product: str) -> str:
    return f"{time:%Y%m%d_%H%M%S}_{side}_{product}.jpg"


def times_listed(page: str, side: int, product: str) -> list[datetime]:
    """The times of the files that a day's folder lists, of one size and product, in order."""
    found = set()
    for match in _NAME.finditer(page):
        if (match["side"], match["product"]) == (str(side), product):
            try:
                found.add(datetime.strptime(match["time"], "%Y%m%d_%H%M%S").replace(tzinfo=UTC))
            except ValueError:
                continue
    return sorted(found)


def product_of(channel: str) -> str:
    """Raises `BadInput` for a channel that is no browse picture."""
    if channel not in PRODUCTS:
        raise BadInput(Problem(f"NASA has no browse images for the channel {channel!r}", nearest(channel, [*PRODUCTS])))
    return PRODUCTS[channel]


def nearest_of(
    moments: Iterable[datetime], listed: Sequence[datetime], gap: timedelta
) -> dict[datetime, datetime | None]:
    """The listed time nearest to each moment, of two equally near the earlier; None beyond ``gap``."""
    found: dict[datetime, datetime | None] = {}
    for moment in moments:
        near = min(listed, key=lambda time: (abs(time - moment), time), default=None)
        found[moment] = near if near is not None and abs(near - moment) <= gap else None
    return found


def images(
    courier: Courier, addresses: Addresses, period: Period, channel: str, folder: str, *, cadence_hours: float,
    max_gap_minutes: float, side: int,
) -> Order:  # fmt: skip
    """The images nearest to each moment of the cadence. The days' folders are asked for their lists."""
    product, base = product_of(channel), addresses.of("browse")
    gap = timedelta(minutes=max_gap_minutes)
    moments = period.moments(cadence_hours)
    days = sorted({(moment + shift).date() for moment in moments for shift in (-gap, timedelta(), gap)})
    listed = [time for day in days for time in _listed(courier, day_url(base, day), side, product)]
    files, absent = {}, []
    for moment, near in nearest_of(moments, listed, gap).items():
        if near is None:
            absent.append(
                Absent("browse", f"{product}, {side} px, within {max_gap_minutes:g} min of {moment:%Y-%m-%d %H:%M}")
            )
        else:
            file = name(near, side, product)
            files[file] = WantedFile("browse", f"{day_url(base, near.date())}{file}", within(folder, file), "image")
    return Order(tuple(files.values()), tuple(absent))


def _listed(courier: Courier, url: str, side: int, product: str) -> list[datetime]:
    try:
        return times_listed(courier.body(url).decode("latin-1"), side, product)
    except Missing:
        return []
