#!/usr/bin/env bash
# sunpy 7.0.5, sunpy.io.special.srs.read_srs
#
# Expected. NOAA's Solar Region Summaries write region numbers with four digits. Region 10000 was numbered in mid-June
#   2002, and read_srs completes the numbers of later summaries to five digits
#   (https://docs.sunpy.org/en/stable/generated/api/sunpy.io.special.srs.read_srs.html).
# Seen. It adds 10000 to every number of every summary issued after 2002-06-15, whatever the number. Regions numbered
#   before the change were still on the disc: NOAA's tables list 9991 and 9992 until 20 and 21 June, beside 10000 to
#   10009. Their rows become regions 19991 and 19992, while "0001" of the same table rightly becomes 10001. So does every
#   row of the table of 15 June, which still had old numbers only. Nothing is said.
# For solar data. In a catalogue made of summaries, each region that crossed mid-June 2002 is two regions, one of them
#   under a number that NOAA has not reached yet. A split by region then may put the two halves of its life in two
#   parts, and a join with a flare list of that week finds nothing.
# Instead. Subtract 10000 again from numbers above 19000; NOAA is near 14500 in 2026.
#
# Output seen:
#   issued 2002-06-14 00:30:00: 9991 9992
#   issued 2002-06-15 00:30:00: 19991 19992
#   issued 2002-06-20 00:30:00: 10001 19991 19992
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 astropy==8.0.2 sunpy==7.0.5
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import sunpy
from sunpy.io.special.srs import read_srs

print("sunpy", sunpy.__version__)
LAYOUT = """\
:Product: {day}SRS.txt
:Issued: 2002 Jun {day} 0030 UTC
# Prepared jointly by the U.S. Dept. of Commerce, NOAA,
# Space Environment Center and the U.S. Air Force.
#
Joint USAF/NOAA Solar Region Summary
SRS Number 1 Issued at 0030Z on {day} Jun 2002
I.  Regions with Sunspots.  Locations Valid at {before}/2400Z
Nmbr Location  Lo  Area  Z   LL   NN Mag Type
{rows}
IA. H-alpha Plages without Spots.  Locations Valid at {before}/2400Z Jun
Nmbr  Location  Lo
None
II. Regions Due to Return {day} Jun to {after} Jun
Nmbr Lat    Lo
None
"""
NEW = "0001 N19E45   020  0120 Dao  06   09 Beta"
OLD = ["9991 S22W{w}   110  0210 Eko  12   22 Beta-Gamma", "9992 S18W{w2}   080  0030 Hsx  02   01 Alpha"]


def numbers(day, rows):
    """The region numbers that read_srs finds in a summary (rows invented, layout NOAA's)."""
    path = Path(f"{day}SRS.txt")
    path.write_text(LAYOUT.format(day=day, before=day - 1, after=day + 2, rows="\n".join(rows)))
    table = read_srs(path)
    found = sorted(int(n) for n in table["Number"])
    print(f"issued {table.meta['issued']}:", *found)
    return found


assert numbers(14, [row.format(w="05", w2="10") for row in OLD]) == [9991, 9992]
assert numbers(15, [row.format(w="18", w2="23") for row in OLD]) == [19991, 19992]
assert numbers(20, [row.format(w="75", w2="80") for row in OLD] + [NEW]) == [10001, 19991, 19992]
PYTHON
