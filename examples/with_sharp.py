"""Put a real SHARP among simulated full discs: one folder and one workbook that examples/full_disc.toml reads.

    python examples/with_sharp.py SIMULATED SHARPS SRS OUT

SIMULATED is the output of `sdovis simulate --full-disc`, SHARPS a folder with the FITS segments Br, magnetogram and continuum
of SHARP CEA observations, SRS a NOAA archive (a folder, a text file or a .tar.gz), OUT a new folder. Each SHARP becomes one
row: its class and position are those of its region in the summary nearest in time, rotated to the time of the map.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.images.images import read_image
from sdovis.simulation.days import WORKBOOK
from sdovis.sun.archives import read_archive
from sdovis.sun.regions import RegionSummary
from sdovis.sun.rotation import rotated

SEGMENTS = {"Br image": "Br", "Magnetogram": "magnetogram", "Continuum": "continuum"}


def main(simulated: Path, sharps: Path, srs: Path, out: Path) -> Path:
    """Write OUT and return its workbook."""
    if out.exists():
        raise Conflict(f"{out} already exists; name a new folder")
    summaries = read_archive(srs).summaries
    found = sorted(sharps.glob("*.Br.fits"))
    if not found:
        raise BadInput(Problem("contains no *.Br.fits", "name a folder with SHARP segments", str(sharps)))
    rows = [_row(path, summaries) for path in found]
    (out / "images").mkdir(parents=True)
    for path in (simulated / "images").glob("*.fits"):
        _same_file(path, out / "images" / path.name)
    for row in rows:
        for column in SEGMENTS:
            shutil.copyfile(sharps / row[column], out / "images" / row[column])
    table = pd.concat([pd.DataFrame(rows), pd.read_excel(simulated / WORKBOOK)], ignore_index=True)
    table.to_excel(out / WORKBOOK, sheet_name="Active regions", index=False)
    return out / WORKBOOK


def _row(path: Path, summaries: tuple[RegionSummary, ...]) -> dict[str, Any]:
    """The workbook's row of one SHARP, from its header and the summaries."""
    image = read_image(path)
    number = int(image.header.get("NOAA_AR", 0))
    if image.observed is None or not number:
        raise BadInput(Problem("the header gives no time or no NOAA region", file=str(path)))
    time = image.observed
    nearest = min(summaries, key=lambda summary: abs(summary.valid - time))
    region = next((region for region in nearest.regions if region.noaa_ar == number), None)
    if region is None or region.latitude_deg is None or region.longitude_deg is None or not region.mount_wilson:
        raise BadInput(
            Problem(f"region {number} has no class in the summary of {nearest.valid:%Y-%m-%d}", file=str(path))
        )
    longitude = float(rotated(region.latitude_deg, region.longitude_deg, nearest.valid, time))
    names = {column: path.name.replace(".Br.", f".{segment}.") for column, segment in SEGMENTS.items()}
    return names | {
        "Observed (UTC)": pd.Timestamp(time).tz_localize(None).round("s"),
        "NOAA AR": number,
        "Mount Wilson": region.mount_wilson,
        "Latitude (deg)": region.latitude_deg,
        "Longitude (deg)": round(longitude, 2),
        "Area (MSH)": region.area_msh,
    }


def _same_file(path: Path, target: Path) -> None:
    """A hard link to a file, or a copy if the disk does not allow links."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    print(f"wrote {main(*map(Path, sys.argv[1:]))}")
