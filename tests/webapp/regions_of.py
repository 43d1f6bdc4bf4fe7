"""The regions of the disc of `solar_uploads`, as NOAA's summary and SWPC's solar_regions.json have them."""

from __future__ import annotations

import json

SRS = """:Product: 0215SRS.txt
:Issued: 2011 Feb 15 0030 UTC
I.  Regions with Sunspots.  Locations Valid at 14/2400Z
Nmbr Location  Lo  Area  Z   LL   NN Mag Type
1158 N08W20   035  0500 Ekc  14   28 Beta-Gamma-Delta
1160 S20E10   005  0060 Cao  07   05 Beta
IA. H-alpha Plages without Spots.  Locations Valid at 14/2400Z Feb
Nmbr  Location  Lo
1153  N15W70   085
II. Regions Due to Return 15 Feb to 17 Feb
Nmbr Lat    Lo
1147 N25    306
"""


def _row(
    number: int, location: str, latitude: int, east: int, magnetic: str | None, spots: str | None
) -> dict[str, object]:
    return {
        "observed_date": "2011-02-14", "region": number, "latitude": latitude, "longitude": east, "location": location,
        "mag_class": magnetic, "spot_class": spots,
    }  # fmt: skip


JSON = json.dumps(
    [
        _row(1158, "N08W20", 8, -20, "BGD", "Ekc"),
        _row(1160, "S20E10", -20, 10, "B", "Cao"),
        _row(1153, "N15W70", 15, -70, None, None),
    ]
)
