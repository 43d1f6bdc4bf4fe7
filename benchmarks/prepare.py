"""Preparation against its floor, decoding alone, and against a straightforward script; paired rounds, medians.

    python benchmarks/prepare.py aia DATA          338 full-disc JPEGs to 2,400 cutouts (DATA: see examples/aia211.toml)
    python benchmarks/prepare.py fits DATA         full discs of 4096 x 4096 px in RICE-compressed FITS, made in DATA
    python benchmarks/prepare.py memory DATA       peak memory of the whole process tree for 1x and 10x the work
    python benchmarks/prepare.py workers DATA      the same bytes whatever the number of workers
    python benchmarks/prepare.py zarr DATA         reading a store of SDOML's layout, made in DATA, against zarr alone
    python benchmarks/prepare.py netcdf DATA       reading files of SuryaBench's layout, made in DATA, against h5py alone
    python benchmarks/prepare.py stores DATA       peak memory for a zarr store and for one ten times as long

Every round runs the floor, sdovis and the script in turn, with the same number of worker processes, and counts from
warm processes: what starting Python and importing libraries costs is left out. `aia` also tells how near to the floor
one could come that made the cutouts and wrote none.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import stores

if TYPE_CHECKING:
    from PIL import Image

ROOT = Path(__file__).parents[1]
WORKERS = 2
DISCS = 16  # of 4096 x 4096 px
STUDY = """
[study]
name = "discs"
simulated = true
[source]
root = "."
workbook = "SDO_Simulated_Full_Discs.xlsx"
images = "images"
[source.columns]
image = "Magnetogram"
observed = "Observed (UTC)"
noaa_ar = "NOAA AR"
label = "Hemisphere"
latitude_deg = "Latitude (deg)"
longitude_deg = "Longitude (deg)"
[images]
channel = "hmi-magnetogram"
size_px = 112
cutout_arcsec = 300.0
max_longitude_deg = 60.0
[labels]
scheme = "column"
[split]
method = "grouped"
validation = 0.3
test = 0.3
[backbone]
config = { model_type = "vit" }
"""


def decoded_jpeg(path: Path) -> int:
    """The floor: the pixels of a JPEG."""
    from PIL import Image

    with Image.open(path) as image:
        return int(np.asarray(image)[0, 0, 0])


def decoded_fits(path: Path) -> float:
    """The floor: the pixels of a compressed FITS file."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as file:
        return float(file[1].data[0, 0])


def scripted_jpeg(task: tuple[Path, list[tuple[float, float]], Path]) -> int:
    """What one would write in an afternoon: crop around each position, resize, save."""
    path, places, folder = task
    for number, cut in enumerate(cut_jpeg((path, places))):
        cut.save(folder / f"{path.stem}-{number}.png")
    return len(places)


def cut_jpeg(task: tuple[Path, list[tuple[float, float]]]) -> list[Image.Image]:
    """Cutouts around each position, resized and grey: what no preparation can leave out, were it to write nothing."""
    from PIL import Image

    path, places = task
    with Image.open(path) as image:
        boxes = [tuple(round(side) for side in (x - 50, y - 50, x + 50, y + 50)) for x, y in places]
        return [image.crop(box).resize((112, 112), Image.Resampling.BICUBIC).convert("L") for box in boxes]


def only_cut_jpeg(task: tuple[Path, list[tuple[float, float]]]) -> int:
    """`cut_jpeg`, without the cost of handing the cutouts over."""
    return len(cut_jpeg(task))


def scripted_fits(task: tuple[Path, list[tuple[float, float]], Path]) -> int:
    """The same with sunpy: a map, turned north up, a submap around each position, scaled to 8 bits."""
    import astropy.units as u
    import sunpy.map
    from astropy.coordinates import SkyCoord
    from PIL import Image
    from sunpy.coordinates import frames

    path, places, folder = task
    turned = sunpy.map.Map(path).rotate(order=3)
    for number, (latitude, longitude) in enumerate(places):
        at = SkyCoord(longitude * u.deg, latitude * u.deg, frame=frames.HeliographicStonyhurst(obstime=turned.date))
        middle = at.transform_to(turned.coordinate_frame)
        corner = SkyCoord(middle.Tx - 150 * u.arcsec, middle.Ty - 150 * u.arcsec, frame=turned.coordinate_frame)
        cut = turned.submap(corner, width=300 * u.arcsec, height=300 * u.arcsec).data[::-1]
        codes = (np.clip(np.nan_to_num(cut) / 1500, -1, 1) * 127 + 128).astype(np.uint8)
        Image.fromarray(codes).resize((112, 112), Image.Resampling.BICUBIC).save(folder / f"{path.stem}-{number}.png")
    return len(places)


def in_pool(pool: ProcessPoolExecutor, work: Callable[..., object], tasks: Sequence[object]) -> float:
    """Seconds to run ``work`` over ``tasks`` in a warm pool."""
    begun = time.perf_counter()
    for _ in pool.map(work, tasks, chunksize=4):
        pass
    return time.perf_counter() - begun


def study_of(case: str, data: Path) -> list[str]:
    """The arguments of `sdovis.study.load`."""
    if case == "fits":
        return [str(data / "study.toml")]
    return [str(ROOT / "examples/aia211.toml"), f"source.root={data.resolve()}"]


def prepared(study_arguments: Sequence[str], folder: Path, workers: int) -> float:
    """Seconds of `sdovis prepare` from the rows to the finished corpus, children started anew."""
    from sdovis import study as studies
    from sdovis.corpus import build

    study = studies.load(study_arguments[0], study_arguments[1:])
    rows = build.read_rows(study)
    begun = time.perf_counter()
    build.build(study, folder, rows, progress=False, workers=workers)
    return time.perf_counter() - begun


def compare(case: str, data: Path, rounds: int) -> dict[str, object]:
    """Floor, sdovis and script side by side."""
    from sdovis import study as studies
    from sdovis.corpus import build

    if case == "fits":
        make_discs(data)
    arguments = study_of(case, data)
    study = studies.load(arguments[0], arguments[1:])
    corpus_rows = build.check(study, progress=False).rows
    places = ("x_px", "y_px") if case == "aia" else ("latitude_deg", "longitude_deg")
    tasks = [
        (study.image_root / name, list(zip(*(of[k] for k in places), strict=True)), Path())
        for name, of in corpus_rows.groupby("image_file")
    ]
    floor, script = (decoded_jpeg, scripted_jpeg) if case == "aia" else (decoded_fits, scripted_fits)
    found: dict[str, list[float]] = {}
    with ProcessPoolExecutor(WORKERS) as pool, tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds + 1):
            folder = Path(scratch) / str(number)
            (folder / "script").mkdir(parents=True)
            scripted = [(path, of, folder / "script") for path, of, _ in tasks]
            seconds = {
                "floor": in_pool(pool, floor, [path for path, _, _ in tasks]),
                "sdovis": prepared(arguments, folder / "corpus", WORKERS),
                "script": in_pool(pool, script, scripted),
            }
            if case == "aia":
                seconds["cut"] = in_pool(pool, only_cut_jpeg, [(path, of) for path, of, _ in tasks])
            if number:  # the first round warms the disk and the processes
                for name, value in seconds.items():
                    found.setdefault(name, []).append(value)
            print(number, {name: round(value, 2) for name, value in seconds.items()}, flush=True)

    def ratio(of: str, to: str) -> float:
        return round(statistics.median(a / b for a, b in zip(found[of], found[to], strict=True)), 2)

    return {
        "case": case,
        "images": len(tasks),
        "cutouts": len(corpus_rows),
        "workers": WORKERS,
        "seconds": {name: round(statistics.median(values), 2) for name, values in found.items()},
        "of_the_floor": ratio("floor", "sdovis"),
        "times_the_script": ratio("script", "sdovis"),
    } | ({"of_the_floor_were_nothing_written": ratio("floor", "cut")} if case == "aia" else {})


def make_discs(folder: Path) -> None:
    """Simulated full discs of 4096 x 4096 px, RICE-compressed as JSOC's, and their study, where they are not there yet."""
    import pandas as pd

    if not (folder / "study.toml").exists():
        command = ["simulate", str(folder), "--full-disc", "--size", "4096", "--discs", str(DISCS)]
        subprocess.run([sys.executable, "-m", "sdovis", *command], check=True)
        workbook = folder / "SDO_Simulated_Full_Discs.xlsx"
        table = pd.read_excel(workbook)
        # So few discs hold too few complex regions for three parts.
        table.assign(Hemisphere=np.where(table["Latitude (deg)"] > 0, "north", "south")).to_excel(workbook, index=False)
        (folder / "study.toml").write_text(STUDY, encoding="utf-8")


def multiplied(data: Path, times: int, folder: Path) -> list[str]:
    """The AIA study with every disc and row ``times`` over, as other files of other names; its study's arguments."""
    import pandas as pd

    (folder / "aia211").mkdir(parents=True)
    sheets = pd.read_excel(data / "SDO_Solar_Active_Regions.xlsx", sheet_name=None, dtype=object)
    for image in (data / "aia211").iterdir():
        for copy in range(times):
            # What follows the end of a JPEG is not decoded: another file, the same picture.
            (folder / "aia211" / f"c{copy}_{image.name}").write_bytes(image.read_bytes() + bytes([copy]))
    with pd.ExcelWriter(folder / "SDO_Solar_Active_Regions.xlsx") as workbook:
        for name, sheet in sheets.items():
            copies = [sheet.assign(Image=f"c{copy}_" + sheet["Image"]) for copy in range(times)]
            pd.concat(copies).to_excel(workbook, sheet_name=name, index=False)
    return [str(ROOT / "examples/aia211.toml"), f"source.root={folder}"]


def memory(data: Path) -> dict[str, object]:
    """Peak memory of `sdovis prepare` for the AIA study and for ten times as much."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, 10):
            folder = Path(scratch) / str(times)
            study, override = multiplied(data, times, folder)
            command = [sys.executable, "-m", "sdovis", "prepare", study, "--set", override]
            found[times] = peak_memory(command, folder)
            print(f"{times}x the work: {found[times] / 2**20:.0f} MiB", flush=True)
    return {"peak_mib": {n: round(b / 2**20) for n, b in found.items()}, "ratio": round(found[10] / found[1], 3)}


def same_bytes(data: Path) -> dict[str, object]:
    """Whether 1, 2 and 4 workers write the same bytes."""
    from sdovis import manifests

    sums = {}
    with tempfile.TemporaryDirectory() as scratch:
        for workers in (1, 2, 4):
            folder = Path(scratch) / str(workers)
            prepared(study_of("aia", data), folder, workers)
            sums[workers] = manifests.read(folder, made_by="prepare").files
    return {"workers": list(sums), "files": len(sums[1]), "same": len({json.dumps(s) for s in sums.values()}) == 1}


def peak_memory(command: Sequence[str], folder: Path) -> int:
    """Largest sum of the proportional set sizes of a process and all it starts, bytes."""
    import psutil

    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            total = 0
            for of in (process, *process.children(recursive=True)):
                try:
                    total += of.memory_full_info().pss
                except psutil.Error:  # it ended between the two calls
                    continue
            peak = max(peak, total)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command} failed")
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=("aia", "fits", "memory", "workers", "zarr", "netcdf", "stores"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    measure = {"memory": memory, "workers": same_bytes, "stores": lambda data: stores.memory(data, peak_memory)}
    if given.case in ("zarr", "netcdf"):
        found = stores.compare(given.case, given.data, given.rounds, WORKERS)
    elif given.case in measure:
        found = measure[given.case](given.data)
    else:
        found = compare(given.case, given.data, given.rounds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
