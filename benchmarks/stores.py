"""Cases of prepare.py: stores of SDOML's and SuryaBench's layout, read by sdovis and by the libraries alone.

The floor decodes the same arrays, a chunk of a zarr store or a variable of a NetCDF file a task, in as many warm
processes, and does nothing else: no address, no header, no disc, no sum, no process that may be killed. On a machine that
others use too, the seconds of the processors count, summed over all processes; those of the clock are given beside them.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np

ZARR_SIDE, ZARR_IMAGES, CHUNK = 512, 240, 15
NETCDF_SIDE, NETCDF_FILES = 4096, 4
STUDY = """
format = 2
[study]
name = "stores"
simulated = true
[source]
root = "."
reader = "sdoml"
[source.sdoml]
store = "sdoml.zarr"
labels = "labels.csv"
[source.columns]
observed = "Time"
label = "Class"
noaa_ar = "AR"
[images]
channel = "aia-171-precorrected"
size_px = 64
[labels]
scheme = "column"
[split]
method = "grouped"
validation = 0.3
test = 0.3
[backbone]
config = { model_type = "vit" }
"""


def sun(side: int, seed: int) -> np.ndarray:
    """A disc with noise: what a codec meets in a real image."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(x, y) < 0.4 * side
    return (np.random.default_rng(seed).gamma(9, np.where(inside, 22, 0.7))).round(1).astype(np.float32)


def header(side: int, when: datetime, rsun: float) -> dict[str, object]:
    return {
        "TELESCOP": "SDO/AIA", "INSTRUME": "AIA_3", "WAVELNTH": 171, "EXPTIME": 2.0, "QUALITY": 0,
        "T_OBS": f"{when:%Y-%m-%dT%H:%M:%S}Z", "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec",
        "CUNIT2": "arcsec", "CRVAL1": 0.0, "CRVAL2": 0.0, "CDELT1": rsun / (0.4 * side), "CDELT2": rsun / (0.4 * side),
        "CRPIX1": (side + 1) / 2, "CRPIX2": (side + 1) / 2, "CROTA2": 0.0, "RSUN_OBS": rsun, "CRLT_OBS": 0.0,
    }  # fmt: skip


def make_zarr(folder: Path, images: int = ZARR_IMAGES) -> None:
    """A year of SDOML v2, and its labels, where they are not there yet."""
    import numcodecs
    import zarr

    if (folder / "study.toml").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    times = [datetime(2012, 1, 1) + timedelta(hours=6 * number) for number in range(images)]
    array = zarr.open_group(folder / "sdoml.zarr", mode="w", zarr_format=2).create_group("2012").create_array(
        "171A", shape=(images, ZARR_SIDE, ZARR_SIDE), chunks=(CHUNK, ZARR_SIDE, ZARR_SIDE), dtype="f4",
        compressors=numcodecs.Blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE),
    )  # fmt: skip
    for start in range(0, images, CHUNK):
        stop = min(start + CHUNK, images)
        array[start:stop] = np.stack([sun(ZARR_SIDE, number) for number in range(start, stop)])
    cards = [header(ZARR_SIDE, when, 960.0) for when in times]
    lists = {key: [card[key] for card in cards] for key in cards[0]}
    array.attrs.update(lists | {"DEG_COR": [0.9] * images, "PIXLUNIT": ["DN/s"] * images})
    lines = [f"{when:%Y-%m-%d %H:%M},{11400 + number},{'ab'[number % 2]}" for number, when in enumerate(times)]
    (folder / "labels.csv").write_text("Time,AR,Class\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")


def make_netcdf(folder: Path) -> None:
    """Files of SuryaBench's core set with one of their thirteen variables, packed by zlib as its code does."""
    import h5netcdf

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(NETCDF_FILES):
        path = folder / f"20120101_{number:02d}00.nc"
        if path.exists():
            continue
        said = header(NETCDF_SIDE, datetime(2012, 1, 1, number), 976.0)
        beside = path.with_suffix(".part")
        with h5netcdf.File(beside, "w") as file:
            file.dimensions = {"y": NETCDF_SIDE, "x": NETCDF_SIDE}
            array = file.create_variable(
                "aia171", ("y", "x"), "f4", data=sun(NETCDF_SIDE, number), chunks=(NETCDF_SIDE, NETCDF_SIDE),
                compression="gzip", compression_opts=5,
            )  # fmt: skip
            array.attrs["unit"], array.attrs["t_obs"] = "DN/s", said["T_OBS"]
            array.attrs["meta_0"] = array.attrs["meta_1"] = json.dumps({k.lower(): v for k, v in said.items()})
        beside.rename(path)


def decoded_zarr(task: tuple[str, int]) -> float:
    """The floor: seconds of the processor for one chunk."""
    import zarr

    begun = time.process_time()
    store, start = task
    zarr.open_array(store, path="2012/171A", mode="r")[start : start + CHUNK]
    return time.process_time() - begun


def decoded_netcdf(path: str) -> float:
    """The floor: seconds of the processor for one variable."""
    import h5py

    begun = time.process_time()
    with h5py.File(path, "r") as file:
        file["aia171"][...]
    return time.process_time() - begun


def read_piece(addresses: Sequence[str]) -> float:
    """Seconds of the processor for the images of one piece of a store, each with its header, disc and sum."""
    from sdovis.images.address import Address
    from sdovis.images.images import read_image

    begun = time.process_time()
    for each in addresses:
        read_image(Address.of(each))
    return time.process_time() - begun


def compare(case: str, data: Path, rounds: int, workers: int) -> dict[str, object]:
    """Images per second of reading, the floor and sdovis in turn; medians of paired rounds."""
    import stores  # the children import it by this name
    from sdovis.images import isolation
    from sdovis.images.address import Address
    from sdovis.images.containers import members

    if case == "zarr":
        make_zarr(data)
        store = str(data / "sdoml.zarr")
        addresses = [str(Address.entry(store, "2012/171A", number)) for number in range(ZARR_IMAGES)]
        floor: Callable[..., float] = stores.decoded_zarr
        tasks: Sequence[object] = [(store, start) for start in range(0, ZARR_IMAGES, CHUNK)]
    else:
        make_netcdf(data)
        files = sorted(map(str, data.glob("*.nc")))
        addresses = [str(Address.entry(file, "aia171")) for file in files]
        floor, tasks = stores.decoded_netcdf, files
    opener = members.opener("zarr" if case == "zarr" else "NetCDF")
    pieces = [list(of) for _, of in groupby(addresses, lambda each: opener.together(Address.of(each)))]
    cpu: dict[str, list[float]] = {"floor": [], "sdovis": []}
    clock: dict[str, list[float]] = {"floor": [], "sdovis": []}
    with ProcessPoolExecutor(workers) as pool:
        for number in range(rounds + 1):
            ours = isolation.imap(
                stores.read_piece, pieces, workers=workers, seconds=120, memory_bytes=2 * 2**30,
                imports=[*isolation.READING_IMPORTS, *opener.IMPORTS],
            )  # fmt: skip
            for name, results in (("floor", pool.map(floor, tasks)), ("sdovis", ours)):
                begun = time.perf_counter()
                spent = sum(map(float, results))
                if number:  # the first round warms disk and processes
                    cpu[name].append(spent)
                    clock[name].append(time.perf_counter() - begun)
            print(number, {name: round(of[-1], 2) for name, of in cpu.items() if of}, flush=True)
    return {
        "case": case,
        "images": len(addresses),
        "workers": workers,
        "images_per_cpu_second": {name: round(len(addresses) / statistics.median(of), 1) for name, of in cpu.items()},
        "of_the_floor": _ratio(cpu),
        "of_the_floor_by_the_clock": _ratio(clock),
    }


def _ratio(seconds: dict[str, list[float]]) -> float:
    return round(statistics.median(a / b for a, b in zip(seconds["floor"], seconds["sdovis"], strict=True)), 2)


def memory(data: Path, peak: Callable[[Sequence[str], Path], int]) -> dict[str, object]:
    """Peak memory of `sdovis prepare` of a zarr store and of one ten times as long."""
    import sys

    found = {}
    for times in (1, 10):
        folder = data / f"{times}x"
        make_zarr(folder, ZARR_IMAGES * times)
        found[times] = peak([sys.executable, "-m", "sdovis", "prepare", "study.toml"], folder)
        print(f"{times}x the images: {found[times] / 2**20:.0f} MiB", flush=True)
    return {"peak_mib": {n: round(b / 2**20) for n, b in found.items()}, "ratio": round(found[10] / found[1], 3)}
