"""NOAA's region summaries: a text for each day, an archive for each year, and SWPC's list of the last weeks.

Names and folders are those that sunpy's SRSClient asks for (7.0.5, net/dataretriever/sources/noaa.py) and that parfive's
tests load (tests/test_downloader.py): ``2011/02/20110215SRS.txt`` and ``2011/2011_SRS.tar.gz``.
"""

from __future__ import annotations

from datetime import date

from sdovis.fetching.archives import Addresses
from sdovis.fetching.wanted import Order, Period, WantedFile


def summary_url(base: str, day: date) -> str:
    """The text that was issued on ``day``, which describes the day before."""
    return f"{base}{day:%Y/%m}/{summary_name(day)}"


def summary_name(day: date) -> str:
    return f"{day:%Y%m%d}SRS.txt"


def year_url(base: str, year: int) -> str:
    """The archive of a year's texts."""
    return f"{base}{year}/{year_name(year)}"


def year_name(year: int) -> str:
    return f"{year}_SRS.tar.gz"


def summaries(addresses: Addresses, period: Period, folder: str, *, by: str = "days") -> Order:
    """The summaries for images of ``period``: an image is described by the text that is issued the day after it."""
    needed = period.longer(1)
    if by == "years":
        base = addresses.of("srs-years")
        names = {year_name(year): year_url(base, year) for year in needed.years}
        return Order(
            tuple(WantedFile("srs-years", url, f"{folder}/{name}", "summaries") for name, url in names.items())
        )
    base = addresses.of("srs")
    names = {summary_name(day): summary_url(base, day) for day in needed.days}
    return Order(tuple(WantedFile("srs", url, f"{folder}/{name}", "summary") for name, url in names.items()))


def regions(addresses: Addresses) -> Order:
    """SWPC's ``json/solar_regions.json``: the regions of the last weeks, as SWPC has them today."""
    url = f"{addresses.of('swpc')}json/solar_regions.json"
    return Order((WantedFile("swpc", url, "solar_regions.json", "regions"),))
