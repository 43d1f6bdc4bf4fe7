#!/usr/bin/env bash
# datasets 5.2.0 (Hugging Face), with_format("numpy") and with_format("torch")
#
# Expected. A column that is declared and stored as float64 comes back as float64 in any format that has such numbers
#   (https://huggingface.co/docs/datasets/use_with_numpy).
# Seen. The numpy format gives a single row's number as float64, but a slice, a batch or the whole column as float32; the
#   torch format gives float32 for both. The features go on to say float64. No warning.
# For solar data. A time does not fit into the 24 bits of a float32. Seconds since 1977.01.01_TAI, as JSOC counts them, are
#   above a billion by now and come in steps of 128 s, ten frames of AIA. A Julian date comes in quarters of a day, and
#   frames twelve minutes apart become one moment. Lags to a flare and the order of frames are lost, while a look at
#   dataset[0] in numpy shows the right value.
# Instead. with_format("numpy", dtype="float64") or with_format("torch", dtype=torch.float64); or keep times as text.
#
# Output seen (four frames, 12 minutes apart, around the flare of 2011-02-15 01:56):
#   Julian date: numpy row float64 exact, numpy column float32 off by up to 144.0 min, torch row and column torch.float32
#   Julian date: distinct times left in the column: 1 of 4
#   seconds of TAI: numpy row float64 exact, numpy column float32 off by up to 1.1 min, torch row and column torch.float32
#   seconds of TAI: distinct times left in the column: 4 of 4
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 datasets==5.2.0 pyarrow==26.0.1 torch==2.13.0
cd "$work"
export HF_HOME="$work/hf" HF_HUB_OFFLINE=1
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import datasets
import numpy as np
import torch

warnings.simplefilter("error")
print("datasets", datasets.__version__, "torch", torch.__version__.split("+")[0])
clock = np.datetime64("2011-02-15T01:48") + np.arange(4) * np.timedelta64(12, "m")
COLUMNS = {  # the values, and how many of them make a minute
    "Julian date": (2440587.5 + (clock - np.datetime64("1970-01-01")) / np.timedelta64(1, "D"), 1 / 1440),
    "seconds of TAI": ((clock - np.datetime64("1977-01-01")) / np.timedelta64(1, "s"), 60.0),
}
stored = datasets.Dataset.from_dict({name: values for name, (values, _) in COLUMNS.items()})
as_numpy, as_torch = stored.with_format("numpy"), stored.with_format("torch")
as_float64 = stored.with_format("numpy", dtype="float64"), stored.with_format("torch", dtype=torch.float64)
LOST = {"Julian date": (144, 1), "seconds of TAI": (1, 4)}
for name, (values, minute) in COLUMNS.items():
    row, column = as_numpy[0][name], as_numpy[:][name]
    worst = np.abs(column.astype("f8") - values).max() / minute
    left = len(np.unique(column))
    kinds = {as_torch[0][name].dtype, as_torch[:][name].dtype}
    exact = "exact" if row == values[0] else "not exact"
    print(
        f"{name}: numpy row {row.dtype} {exact}, numpy column {column.dtype} off by up to {worst:.1f} min,",
        f"torch row and column {', '.join(map(str, kinds))}",
    )
    print(f"{name}: distinct times left in the column: {left} of {len(values)}")

    for told in (stored, as_numpy, as_torch):
        assert told.features[name].dtype == "float64"
    assert stored[:][name] == values.tolist()  # without a format, all is well
    assert row.dtype == np.float64 and row == values[0]
    assert column.dtype == np.float32 and kinds == {torch.float32}
    assert (round(worst), left) == LOST[name]
    assert all(np.array_equal(np.asarray(told[:][name]), values) for told in as_float64)
PYTHON
