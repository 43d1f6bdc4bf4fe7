#!/usr/bin/env bash
# sunpy 7.0.5, TimeSeries of GOES XRS netCDF files, on a sample that sunpy's own wheel ships
#
# Expected. The file counts "seconds since 1970-01-01 00:00:00.0 UTC"; xarray, netCDF4 and pandas read 1435708597.215 as
#   2015-06-30 23:56:37.215, and so one expects it from sunpy's reader
#   (https://docs.sunpy.org/en/stable/generated/api/sunpy.timeseries.sources.XRSTimeSeries.html).
# Seen. sunpy goes through astropy's Time(..., format="unix"), whose seconds are stretched on a day with a leap second: 86400
#   of them cover 86401 SI seconds (https://docs.astropy.org/en/stable/api/astropy.time.TimeUnix.html says so). All times
#   of such a day are late by up to a second, growing from 0 at 00:00 to 1 s at midnight; the day after is right again.
#   Here the first sample is 0.998 s late, and the last one gets moved back by hand because it fell on 23:59:60.
# For solar data. Flare onsets, and lags between GOES and AIA or radio data, are off by up to a second on 2012-06-30,
#   2015-06-30 and 2016-12-31, half of GOES' 2 s cadence, and two samples lie 1.08 s apart where the file has 2.05 s.
# Instead. Read the times by xarray or netCDF4.num2date on these three days.
#
# Output seen:
#   first sample: file 2015-06-30T23:56:37.215, sunpy 2015-06-30T23:56:38.213, late by 0.998 s
#   shortest step: file 2.046 s, sunpy 1.084 s
#   half a day earlier the same way of reading is late by 0.500 s, a day later by 0.000 s
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 'sunpy[timeseries,visualization]==7.0.5' pandas==3.1.1 netCDF4==1.7.5.1.post1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import astropy
import netCDF4
import numpy as np
import pandas as pd
import sunpy
import sunpy.timeseries
from astropy.time import Time
from sunpy.data.test import get_test_filepath

warnings.simplefilter("ignore")
print("sunpy", sunpy.__version__, "astropy", astropy.__version__)
path = get_test_filepath("goes_13_leap_second.nc")
with netCDF4.Dataset(path) as file:
    assert file["time"].units == "seconds since 1970-01-01 00:00:00.0 UTC"
    seconds = np.asarray(file["time"][:])
truth = pd.to_datetime(seconds, unit="s")
read = sunpy.timeseries.TimeSeries(path, source="XRS").to_dataframe().index


def text(time):
    return time.round("ms").isoformat(timespec="milliseconds")


late = (read[0] - truth[0]).total_seconds()
print(f"first sample: file {text(truth[0])}, sunpy {text(read[0])}, late by {late:.3f} s")
shortest = [np.diff(times.to_numpy()).min() / np.timedelta64(1, "s") for times in (truth, read)]
print(f"shortest step: file {shortest[0]:.3f} s, sunpy {shortest[1]:.3f} s")


def lateness(moment):
    """How late astropy's format "unix" takes a moment of UTC, in seconds."""
    moment = pd.Timestamp(moment)
    return (pd.Timestamp(Time(moment.timestamp(), format="unix").isot) - moment).total_seconds()


noon, after = lateness("2015-06-30T12:00:00"), lateness("2015-07-01T12:00:00")
print(f"half a day earlier the same way of reading is late by {noon:.3f} s, a day later by {after:.3f} s")

assert 0.99 < late < 1.0
assert shortest[0] > 2.0 and shortest[1] < 1.2
assert abs(noon - 0.5) < 1e-3 and abs(after) < 1e-3
PYTHON
