"""The archives: where they are, what they ask to be credited with, and how their addresses are changed.

Every address can be another: ``SDOVIS_FETCH_NAME`` in the environment (``SDOVIS_FETCH_SRS_YEARS`` for ``srs-years``), or
``[source.fetch.addresses]`` in a study, which comes first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sdovis.errors import BadInput, Problem

_NOAA = "US Government work, public domain"
_SDO_CREDIT = "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams"


@dataclass(frozen=True)
class SourceArchive:
    """An archive. ``home`` is its page for people, ``licence`` and ``credit`` are its own words for who uses its data."""

    name: str
    title: str
    address: str
    home: str
    licence: str
    credit: str

    @property
    def variable(self) -> str:
        """The environment variable that changes its address."""
        return f"SDOVIS_FETCH_{self.name.upper().replace('-', '_')}"


ARCHIVES: Mapping[str, SourceArchive] = {
    archive.name: archive
    for archive in (
        # sunpy 7.0.5, net/dataretriever/sources/noaa.py (SRSClient), loads the texts from here.
        SourceArchive(
            "srs",
            "NOAA/NCEI, daily Solar Region Summaries of SWPC",
            "https://www.ngdc.noaa.gov/stp/space-weather/swpc-products/daily_reports/solar_region_summaries/",
            "https://www.ngdc.noaa.gov/stp/space-weather/swpc-products/",
            _NOAA,
            "NOAA/SWPC and the U.S. Air Force",
        ),
        # Cadair/parfive, tests/test_downloader.py, and sunpy before 1.1: ftp://ftp.swpc.noaa.gov/pub/warehouse/2011/...
        SourceArchive(
            "srs-years",
            "NOAA/SWPC warehouse, yearly archives of Solar Region Summaries",
            "ftp://ftp.swpc.noaa.gov/pub/warehouse/",
            "https://www.swpc.noaa.gov/products/solar-region-summary",
            _NOAA,
            "NOAA/SWPC and the U.S. Air Force",
        ),
        SourceArchive(
            "swpc",
            "NOAA/SWPC data services",
            "https://services.swpc.noaa.gov/",
            "https://www.swpc.noaa.gov/content/data-access",
            _NOAA,
            "NOAA/SWPC",
        ),
        # sunpy 7.0.5, net/tests/test_scraper.py, names the files of this folder.
        SourceArchive(
            "goes",
            "NOAA/NCEI, GOES X-ray flare reports",
            "https://www.ngdc.noaa.gov/stp/space-weather/solar-data/solar-features/solar-flares/x-rays/goes/xrs/",
            "https://www.ngdc.noaa.gov/stp/solar/solarflares.html",
            _NOAA,
            "NOAA/NCEI and SWPC",
        ),
        # sunpy 7.0.5, net/hek/hek.py (DEFAULT_URL).
        SourceArchive(
            "hek",
            "Heliophysics Events Knowledgebase (LMSAL), flares of SWPC's list",
            "https://www.lmsal.com/hek/her",
            "https://www.lmsal.com/hek/",
            "free for research; cite Hurlburt et al. 2012, Solar Physics 275, 67",
            "HEK (Hurlburt et al. 2012), NOAA/SWPC",
        ),
        # hvpy 1.1 (Helioviewer-Project/python-api, hvpy/config.py).
        SourceArchive(
            "helioviewer",
            "Helioviewer Project, JPEG 2000",
            "https://api.helioviewer.org/v2/",
            "https://helioviewer.org/",
            "NASA/SDO data, public domain",
            f"{_SDO_CREDIT}, via the Helioviewer Project",
        ),
        SourceArchive(
            "browse",
            "NASA/GSFC, SDO browse images",
            "https://sdo.gsfc.nasa.gov/assets/img/browse/",
            "https://sdo.gsfc.nasa.gov/data/aiahmi/",
            "NASA/SDO data, public domain; not intended for science analysis",
            _SDO_CREDIT,
        ),
        # drms 0.9.0, drms/config.py.
        SourceArchive(
            "jsoc",
            "JSOC, Stanford",
            "http://jsoc.stanford.edu/",
            "http://jsoc.stanford.edu/",
            "CC0-1.0",
            _SDO_CREDIT,
        ),
    )
}


@dataclass(frozen=True)
class Addresses:
    """Where the archives are asked; ``given`` are those of the study. Raises `BadInput` for one that cannot be used."""

    given: Mapping[str, str]

    def of(self, name: str) -> str:
        """The base address of an archive, with a slash at its end unless it is a script's."""
        archive = ARCHIVES[name]
        found = self.given.get(name) or os.environ.get(archive.variable) or archive.address
        if not found.startswith(("http://", "https://", "ftp://")) or "@" in urlsplit(found).netloc:
            hint = "write http, https or ftp, and no password"
            raise BadInput(Problem(f"{archive.variable} is not a web address", hint))
        return found if name == "hek" else found.rstrip("/") + "/"

    def is_own(self, name: str) -> bool:
        """Whether the archive is asked where it is, and not through another address."""
        return self.of(name).rstrip("/") == ARCHIVES[name].address.rstrip("/")
