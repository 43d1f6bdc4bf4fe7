#!/usr/bin/env bash
# datasets 5.2.0 (Hugging Face) with Pillow 12.3.0, the Image feature
#
# Expected. An Image column takes a numpy array and gives the same values back
#   (https://huggingface.co/docs/datasets/image_dataset). It does for one channel: uint16, int16 and float32 arrays of
#   (height, width) are stored as TIFF and come back exactly.
# Seen. With a third axis, values of uint16, int16 and int32 are cut down to their lowest eight bits and stored as PNG: 300
#   becomes 44, -1 becomes 255. There is a warning that speaks of "downcasting", none that says that values were lost, and a
#   loop over files shows it once. float32 with three channels is a TypeError, so the two cases do not warn of each other.
# For solar data. Composites of three quantities (radial field, line-of-sight field, continuum; AIA 171, 193, 211) are the
#   usual input of a vision network. Fields become noise at every 256 G, and nothing in the data set tells.
# Instead. Scale to uint8 by fixed limits first, or keep three one-channel columns, or an Array3D.
#
# Output seen:
#   uint16 (2, 2): TIFF [0, 300, 1000, 60000] exact: True
#   int16 (2, 2): TIFF [0, -1, 300, -1500] exact: True
#   uint16 (2, 2, 3): PNG [0, 44, 232, 96] exact: False
#   int16 (2, 2, 3): PNG [0, 255, 44, 36] exact: False
#   float32 (2, 2, 3): TypeError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 datasets==5.2.0 pillow==12.3.0 pyarrow==26.0.1
cd "$work"
export HF_HOME="$work/hf" HF_HUB_OFFLINE=1
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import datasets
import numpy as np
import PIL

print("datasets", datasets.__version__, "Pillow", PIL.__version__)
features = datasets.Features({"image": datasets.Image()})


def stored(array):
    """What comes back of an array: the file format and the values of the first channel."""
    picture = datasets.Dataset.from_dict({"image": [array]}, features=features)[0]["image"]
    back = np.asarray(picture).reshape(array.shape).astype(int)
    plane = back if back.ndim == 2 else back[..., 0]
    exact = bool(np.array_equal(back, array))
    print(f"{array.dtype} {array.shape}: {picture.format} {plane.ravel().tolist()} exact: {exact}")
    return picture.format, plane.ravel().tolist(), exact


def composite(array):
    return np.stack([array] * 3, axis=-1)


unsigned = np.array([[0, 300], [1000, 60000]], "u2")
signed = np.array([[0, -1], [300, -1500]], "i2")
for array in (unsigned, signed):
    assert stored(array) == ("TIFF", array.ravel().tolist(), True)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    assert stored(composite(unsigned)) == ("PNG", [0, 44, 232, 96], False)
    assert stored(composite(signed)) == ("PNG", [0, 255, 44, 36], False)
assert seen and all(str(w.message).startswith("Downcasting array dtype") for w in seen if w.category is UserWarning)
try:
    stored(composite(signed.astype("f4")))
except TypeError as error:
    print("float32 (2, 2, 3):", type(error).__name__)
else:
    raise AssertionError("a float composite is no longer refused")
PYTHON
