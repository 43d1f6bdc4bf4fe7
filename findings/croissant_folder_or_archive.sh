#!/usr/bin/env bash
# mlcroissant 1.1.1, the same files in a folder and in a zip file
#
# Expected. A FileSet may lie in a folder or, by containedIn, in an archive, and gives the same records
#   (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
# Seen. The two go through different code. Columns of Parquet and CSV files come from a folder, and not from an archive:
#   the files are listed and never opened, and the first record fails because "column ... does not exist", though the
#   description validates. Pictures are right from an archive. From a folder every pixel of a TIFF is multiplied by 255
#   and cut to 8 bits, as if it were a float of 0 to 1: an 8-bit picture becomes its own negative, of 16 bits the lowest
#   eight are kept and negated; and a 16-bit PNG becomes RGB, white from 255 on. No warning.
# For solar data. An archive of record holds a release as one zip file of Parquet tables: its description passes the checks
#   of a catalogue, and nobody can read a row. A continuum image in TIFF gets bright spots, a magnetogram in counts
#   becomes noise, and unpacking the archive changes the pixels.
# Instead. Describe tables beside the archive, to be unpacked first, and pictures as 8-bit PNG or bytes in Parquet.
#
# Output seen:
#   parquet: folder [[11158, 600], [11302, 1300]]; zip file: Column "region" does not exist
#   csv: folder [[11158, 600], [11302, 1300]]; zip file: Column "region" does not exist
#   8-bit TIFF [0, 10, 200, 255]: folder [0, 246, 56, 1]; zip file [0, 10, 200, 255]
#   16-bit TIFF [0, 256, 1000, 60000]: folder [0, 0, 24, 160]; zip file [0, 256, 1000, 60000]
#   8-bit PNG [0, 10, 200, 255]: folder [0, 10, 200, 255]; zip file [0, 10, 200, 255]
#   16-bit PNG [0, 256, 1000, 60000]: folder [0, 255, 255, 255]; zip file [0, 256, 1000, 60000]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1 pillow==12.3.0 tifffile==2026.3.3 mlcroissant==1.1.1
cd "$work"
export CROISSANT_CACHE="$work/cache"
"$work/venv/bin/python" - <<'PYTHON'
import hashlib
import json
import warnings
import zipfile
from importlib.metadata import version
from pathlib import Path

import mlcroissant as mlc
import numpy as np
import pandas as pd
import tifffile
from PIL import Image

warnings.simplefilter("error", UserWarning)
print("mlcroissant", version("mlcroissant"), "Pillow", version("pillow"), "tifffile", version("tifffile"))
MIMES = {"parquet": "application/x-parquet", "csv": "text/csv", "tiff": "image/tiff", "png": "image/png"}


def records(path, fields, *, zipped):
    """What a Croissant description of one file gives, or the reason why it gives nothing."""
    files = mlc.FileSet(id="files", name="files", encoding_formats=[MIMES[path.split(".")[1]]], includes=[path])
    distribution = [files]
    if zipped:
        archive = f"{path}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.write(path)
        files.contained_in = [archive]
        distribution.insert(0, mlc.FileObject(
            id=archive, name=archive, content_url=archive, encoding_formats=["application/zip"],
            sha256=hashlib.sha256(Path(archive).read_bytes()).hexdigest(),
        ))  # fmt: skip
    described = mlc.Metadata(
        name="sun", description="The Sun.", license=["https://creativecommons.org/publicdomain/zero/1.0/"],
        url="https://example.org/sun", version="1.0.0", date_published="2011-02-15", cite_as="Sun",
        distribution=distribution, record_sets=[mlc.RecordSet(id="sun", name="sun", fields=[
            mlc.Field(id=f"sun/{name}", name=name, data_types=kind, source=mlc.Source(file_set="files", extract=extract))
            for name, (kind, extract) in fields.items()
        ])],
    )  # fmt: skip
    Path("croissant.json").write_text(json.dumps(described.to_json(), default=str))
    dataset = mlc.Dataset("croissant.json")
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    try:
        return list(dataset.records("sun"))
    except mlc.GenerationError as error:
        return str(error.__cause__).split(".")[0]


regions = pd.DataFrame({"region": [11158, 11302], "area": [600, 1300]})
regions.to_parquet("regions.parquet")
regions.to_csv("regions.csv", index=False)
columns = {name: (mlc.DataType.INTEGER, mlc.Extract(column=name)) for name in regions}
for suffix in ("parquet", "csv"):
    folder, archive = (records(f"regions.{suffix}", columns, zipped=zipped) for zipped in (False, True))
    print(f"{suffix}: folder {[list(record.values()) for record in folder]}; zip file: {archive}")
    assert [list(record.values()) for record in folder] == regions.to_numpy().tolist()
    assert archive == 'Column "region" does not exist'

CASES = {
    "8-bit TIFF": ("a.tiff", np.uint8, [0, 10, 200, 255], [0, 246, 56, 1]),
    "16-bit TIFF": ("b.tiff", np.uint16, [0, 256, 1000, 60000], [0, 0, 24, 160]),
    "8-bit PNG": ("c.png", np.uint8, [0, 10, 200, 255], [0, 10, 200, 255]),
    "16-bit PNG": ("d.png", np.uint16, [0, 256, 1000, 60000], [0, 255, 255, 255]),
}
content = {"image": (mlc.DataType.IMAGE_OBJECT, mlc.Extract(file_property=mlc.FileProperty.content))}
for name, (path, kind, values, seen) in CASES.items():
    array = np.array(values, kind).reshape(2, 2)
    if path.endswith("tiff"):
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)
    got = []
    for zipped in (False, True):
        [record] = records(path, content, zipped=zipped)
        picture = np.asarray(record["sun/image"])
        got.append((picture[..., 0] if picture.ndim == 3 else picture).ravel().tolist())
    print(f"{name} {values}: folder {got[0]}; zip file {got[1]}")
    assert got == [seen, values]
PYTHON
