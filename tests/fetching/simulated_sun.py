"""A simulated Sun as the archives would have it: JSOC's magnetograms and NOAA's region summaries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from fetching.archive import LoopbackArchive
from studies import NETWORK

FIRST, DISCS = date(2012, 3, 1), 16
LAST = FIRST + timedelta(days=2 * DISCS - 2)
_SUMMARY = """:Product: {day:%m%d}SRS.txt
:Issued: {day:%Y} {day:%b} {day:%d} 0030 UTC
# Prepared jointly by the U.S. Dept. of Commerce, NOAA,
# Space Weather Prediction Center and the U.S. Air Force.
#
Joint USAF/NOAA Solar Region Summary
SRS Number 46 Issued at 0030Z on {day:%d} {day:%b} {day:%Y}
Report compiled from data received at SWO on {before:%d} {before:%b}
I.  Regions with Sunspots.  Locations Valid at {before:%d}/2400Z
Nmbr Location  Lo  Area  Z   LL   NN Mag Type
{spotted}
IA. H-alpha Plages without Spots.  Locations Valid at {before:%d}/2400Z {before:%b}
Nmbr  Location  Lo
None
II. Regions Due to Return {day:%d} {day:%b} to {after:%d} {after:%b}
Nmbr Lat    Lo
None
"""


def summary(day: date, regions: pd.DataFrame) -> bytes:
    """SWPC's text that is issued on ``day``, of the workbook's rows near 00:00 of that day."""
    rows = [
        f"{row['NOAA AR'] - 10000:04d} {_place(row['Latitude (deg)'], 'NS')}{_place(row['Longitude (deg)'], 'WE')}   036  "
        f"{row['Area (MSH)']:04.0f} Ekc  12   36 {row['Mount Wilson']}"
        for _, row in regions.iterrows()
    ]
    before, after = day - timedelta(days=1), day + timedelta(days=2)
    return _SUMMARY.format(day=day, before=before, after=after, spotted="\n".join(rows) or "None").encode()


def _place(degrees: float, letters: str) -> str:
    return f"{letters[degrees < 0]}{abs(round(degrees)):02d}"


def put_summaries(archive: LoopbackArchive, discs: Path) -> None:
    """The summaries from the first day to the day after the last, as NCEI keeps them."""
    table = pd.read_excel(discs / "SDO_Simulated_Full_Discs.xlsx")
    days = (table["Observed (UTC)"] + pd.Timedelta(hours=6)).dt.date
    for number in range((LAST - FIRST).days + 2):
        day = FIRST + timedelta(days=number)
        archive.files[f"/srs/{day:%Y/%m/%Y%m%d}SRS.txt"] = summary(day, table[days == day])


def magnetograms(discs: Path) -> dict[str, dict[str, bytes]]:
    """The line-of-sight magnetograms under the names of JSOC's records."""
    found = {}
    for path in sorted((discs / "images").glob("*magnetogram.fits")):
        time = re.search(r"(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)_TAI", path.name)
        assert time
        when = f"{'.'.join(time.groups()[:3])}_{':'.join(time.groups()[3:])}_TAI"
        found[f"hmi.M_720s[{when}]"] = {"magnetogram": path.read_bytes()}
    return found


def keywords(records: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """What JSOC says of records without opening them."""
    return {name: {"T_REC": name.partition("[")[2].rstrip("]"), "QUALITY": "0x00000000"} for name in records}


STUDY = f"""
format = 2
[study]
name = "fetched"
simulated = true
[source]
reader = "srs"
root = "data"
images = "images"
[source.srs]
summaries = "srs"
[source.fetch]
from = {FIRST}
to = {LAST}
cadence_hours = 48
channel = "hmi-magnetogram"
requests_per_second = 1000
[source.fetch.addresses]
srs = "ADDRESSsrs/"
jsoc = "ADDRESSjsoc/"
[images]
channel = "hmi-magnetogram"
size_px = 48
cutout_deg = 16.0
max_longitude_deg = 60.0
[labels]
scheme = "mount-wilson-3"
[split]
gap_days = 2.0
validation = 0.2
test = 0.25
{NETWORK}[training]
num_train_epochs = 1
"""
