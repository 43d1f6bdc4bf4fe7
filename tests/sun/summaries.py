"""A Solar Region Summary as SWPC issues it, to be filled in."""

SUMMARY = """:Product: 0215SRS.txt
:Issued: 2011 Feb 15 0030 UTC
# Prepared jointly by the U.S. Dept. of Commerce, NOAA,
# Space Weather Prediction Center and the U.S. Air Force.
#
Joint USAF/NOAA Solar Region Summary
SRS Number 46 Issued at 0030Z on 15 Feb 2011
Report compiled from data received at SWO on 14 Feb
I.  Regions with Sunspots.  Locations Valid at 14/2400Z
Nmbr Location  Lo  Area  Z   LL   NN Mag Type
{spotted}
IA. H-alpha Plages without Spots.  Locations Valid at 14/2400Z Feb
Nmbr  Location  Lo
{plage}
II. Regions Due to Return 15 Feb to 17 Feb
Nmbr Lat    Lo
{returning}
"""
ROW = "1158 S21W14   036  0450 Ekc  12   36 Beta-Gamma"
