"""Simulated magnetograms as NASA would publish them for browsing: grey JPEGs that saturate, and their workbook.

    python examples/as_browse.py SIMULATED OUT

SIMULATED is the output of `sdovis simulate`, OUT a new folder, which examples/simulated_browse.toml reads. A network that has
learned the classes there begins the real study, examples/hmi_magnetogram.toml, with an idea of polarities.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.images.images import read_image
from sdovis.simulation.passages import WORKBOOK

#: Gauss in a grey level, a guess: the quiet Sun of the real pictures scatters by four levels, that of the simulated by 10 G.
GAUSS_PER_LEVEL = 2.6
QUALITY = 85


def main(simulated: Path, out: Path) -> Path:
    """Write OUT and return its workbook."""
    if not (simulated / WORKBOOK).is_file():
        raise BadInput(Problem("is not the output of sdovis simulate", f"it has no {WORKBOOK}", str(simulated)))
    if out.exists():
        raise Conflict(f"{out} exists; remove it or name another folder")
    beside = out.with_name(f"{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    images = simulated / "images"
    sheets = pd.read_excel(simulated / WORKBOOK, sheet_name=None)
    for name in sorted({name for sheet in sheets.values() if "Image" in sheet for name in sheet["Image"]}):
        field = read_image(images / name).values
        grey = np.clip(np.rint(127 + np.nan_to_num(field, nan=-np.inf) / GAUSS_PER_LEVEL), 0, 255)
        to = (beside / "images" / name).with_suffix(".jpg")
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey.astype(np.uint8)).save(to, quality=QUALITY)
    with pd.ExcelWriter(beside / WORKBOOK) as book:
        for title, sheet in sheets.items():
            if "Image" in sheet:
                sheet["Image"] = [Path(name).with_suffix(".jpg").as_posix() for name in sheet["Image"]]
            sheet.to_excel(book, sheet_name=title, index=False)
    beside.rename(out)
    return out / WORKBOOK


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(main(Path(sys.argv[1]), Path(sys.argv[2])))
