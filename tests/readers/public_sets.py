"""Public data sets in their true layout, small enough to write and to train on in a test.

Each writer fills a folder and returns the study that reads it, but for what all studies have in common (`study_of`).
Classes are told by a bright or a strong spot, so that a network could learn them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from studies import NETWORK

SIDE, RADIUS_PX = 64, 25.0
#: Arc seconds in a pixel of a disc of `RADIUS_PX`, whose radius SDOML and SuryaBench bring to 976 arc seconds.
FIXED = 976.0
COMMON = f"""
format = 2
[study]
name = "toy"
{NETWORK}[training]
num_train_epochs = 1
per_device_train_batch_size = 16
[evaluation]
bootstrap_samples = 100
baselines = false
"""


def study_of(folder: Path, own: str) -> Path:
    """The study file of a set in ``folder``."""
    path = folder / "study.toml"
    path.write_text(COMMON + own, encoding="utf-8")
    return path


def disc(bright: bool, seed: int) -> NDArray[np.float32]:
    """A corona of some 200 DN/s, with a limb and, in half of the images, a spot much brighter than it; row 0 is south."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(x, y) < RADIUS_PX
    values = np.where(inside, 200.0, 6.0) * rng.uniform(0.95, 1.05, (SIDE, SIDE))
    if bright:
        values[np.hypot(x - rng.integers(-1, 2), y - rng.integers(-1, 2)) < 5] *= 2
    return values.astype(np.float32)


def header(when: datetime, rsun: float, scale: float, **more: Any) -> dict[str, Any]:
    """What a level-1.5 image of AIA 171 says of itself."""
    return {
        "TELESCOP": "SDO/AIA", "INSTRUME": "AIA_3", "WAVELNTH": 171, "EXPTIME": 2.0, "QUALITY": 0, "LVL_NUM": 1.5,
        "T_OBS": f"{when:%Y-%m-%dT%H:%M:%S}.34Z", "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec",
        "CUNIT2": "arcsec", "CRVAL1": 0.0, "CRVAL2": 0.0, "CDELT1": scale, "CDELT2": scale, "CRPIX1": (SIDE + 1) / 2,
        "CRPIX2": (SIDE + 1) / 2, "CROTA2": 0.0, "RSUN_OBS": rsun, "CRLT_OBS": 0.0, "HGLN_OBS": 0.0, **more,
    }  # fmt: skip


def rsun(number: int) -> float:
    """The Sun's radius in arc seconds, which changes over the year."""
    return float(960 + 15 * np.sin(number))


def parquet(folder: Path) -> str:
    """A data set as the Hub keeps it: pictures in Parquet, classes as ClassLabel, three splits, one of them in two files."""
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(), "label": datasets.ClassLabel(names=["quiet", "bright"]),
            "noaa_ar": datasets.Value("int64"), "observed": datasets.Value("string"), "peak": datasets.Value("float64"),
        }
    )  # fmt: skip
    number, begin = 0, datetime(2012, 1, 1)
    (folder / "set" / "data").mkdir(parents=True)
    for name, count in (("train-00000-of-00002", 10), ("train-00001-of-00002", 8), ("validation", 8), ("test", 8)):
        rows: dict[str, list[Any]] = {each: [] for each in features}
        for _ in range(count):
            bright = number % 2
            codes = np.clip(disc(bool(bright), number) / 8, 0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(codes).save(file, "JPEG", quality=95)
            rows["image"].append({"bytes": file.getvalue(), "path": f"sun_{number:03d}.jpg"})
            rows["label"].append(bright)
            rows["noaa_ar"].append(11400 + number)
            rows["observed"].append(f"{begin + timedelta(days=10 * number):%Y-%m-%d %H:%M:%S}")
            rows["peak"].append(5.0 + bright + number / 1000)
            number += 1
        suffix = "" if name.startswith("train") else "-00000-of-00001"
        data = datasets.Dataset.from_dict(rows, features=features)
        data.to_parquet(folder / "set" / "data" / f"{name}{suffix}.parquet", batch_size=4)
    return """
[source]
root = "."
reader = "dataset"
[source.dataset]
path = "set"
[source.columns]
noaa_ar = "noaa_ar"
observed = "observed"
[images]
channel = "aia-171-browse"
size_px = 32
[labels]
scheme = "column"
[split]
method = "published"
"""


def sdoml(folder: Path, *, count: int = 45, side: int = SIDE) -> str:
    """SDOML v2: a store of zarr 2, a group for a year, a list of values for each keyword; labels in a table beside it."""
    import numcodecs
    import zarr

    folder.mkdir(parents=True, exist_ok=True)
    root = zarr.open_group(folder / "sdomlv2.zarr", mode="w", zarr_format=2)
    times = [datetime(2012, 1, 1) + timedelta(days=8 * number, minutes=6 * number) for number in range(count)]
    array = root.create_group("2012").create_array(
        "171A", shape=(count, side, side), chunks=(15, side, side), dtype="f4",
        compressors=numcodecs.Blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE),
    )  # fmt: skip
    array[:] = np.stack([disc(number % 2 == 1, number) for number in range(count)])
    # The disc has one radius in pixels, and CDELT follows the Sun's: see aia_fits_to_zarr.py.
    cards = [header(when, rsun(n), rsun(n) / RADIUS_PX) for n, when in enumerate(times)]
    array.attrs.update({key: [card[key] for card in cards] for key in cards[0]})
    array.attrs.update({"DEG_COR": [0.9] * count, "PIXLUNIT": ["DN/s"] * count})
    classes = np.where(np.arange(count) % 2, "bright", "quiet")
    table = {"Time": [f"{when:%Y-%m-%d %H:%M}" for when in times], "AR": 11400 + np.arange(count), "Class": classes}
    pd.DataFrame(table).to_csv(folder / "labels.csv", index=False)
    return """
[source]
root = "."
reader = "sdoml"
[source.sdoml]
store = "sdomlv2.zarr"
labels = "labels.csv"
[source.columns]
observed = "Time"
noaa_ar = "AR"
label = "Class"
[images]
channel = "aia-171-precorrected"
size_px = 32
[labels]
scheme = "column"
[split]
gap_days = 14.0
validation = 0.2
test = 0.25
"""


def arccnet(folder: Path) -> str:
    """ARCCnet: a catalogue as astropy writes a table of times, quantities and masks, and compressed cutouts beside it."""
    from astropy import units as u
    from astropy.io import fits
    from astropy.table import MaskedColumn, QTable
    from astropy.time import Time

    (folder / "arccnet" / "fits").mkdir(parents=True)
    count, rng = 40, np.random.default_rng(0)
    times = [datetime(2012, 1, 1) + timedelta(days=9 * number) for number in range(count)]
    beta = np.arange(count) % 2 == 1
    for number, when in enumerate(times):
        field = rng.normal(0, 8, (40, 80)).astype(np.float32)
        field[15:25, 20:30] = 900
        if beta[number]:
            field[15:25, 50:60] = -900
        cards = header(when, 960.0, 2.0, TELESCOP="SDO/HMI", INSTRUME="HMI_SIDE1", CONTENT="MAGNETOGRAM", BUNIT="Gauss")
        cards |= {"WAVELNTH": 6173.0, "T_OBS": f"{when:%Y.%m.%d_%H:%M:%S}_TAI", "CRPIX1": 100.0, "CRPIX2": 60.0}
        image = fits.CompImageHDU(field, fits.Header(list(cards.items())))
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(folder / "arccnet" / "fits" / _cutout(when, number))
    mdi = "fits/20120101_000000_I-11399_mag_MDI.fits"
    paths = [f"fits/{_cutout(when, number)}" for number, when in enumerate(times)]
    catalogue = QTable(
        {
            "target_time": Time([*times, times[0], times[0]]),
            "region_type": ["AR"] * (count + 1) + ["FB"],
            "number": MaskedColumn([*range(11400, 11400 + count), 11399, 0], mask=[False] * (count + 1) + [True]),
            "magnetic_class": [*np.where(beta, "Beta", "Alpha"), "Beta", ""],
            "mcintosh_class": [*np.where(beta, "Dao", "Hsx"), "Dao", ""],
            "latitude_hmi": np.zeros(count + 2) * u.deg,
            "longitude_hmi": np.zeros(count + 2) * u.deg,
            "path_image_cutout_hmi": [*paths, "", ""],
            "path_image_cutout_mdi": [*([""] * count), mdi, ""],
            "filtered": [False] * (count + 2),
        }
    )
    catalogue.write(folder / "arccnet" / "cutout-mcintosh-catalog-v20240715.parq", format="parquet")
    return """
[source]
root = "."
reader = "arccnet"
[source.arccnet]
catalogue = "arccnet/cutout-mcintosh-catalog-v20240715.parq"
[images]
channel = "hmi-magnetogram"
size_px = 32
[labels]
scheme = "mount-wilson"
[split]
gap_days = 14.0
validation = 0.2
test = 0.25
"""


def _cutout(when: datetime, number: int) -> str:
    return f"{when:%Y%m%d_%H%M%S}_I-{11400 + number}_mag_HMI.fits"


def sdobenchmark(folder: Path) -> str:
    """SDOBenchmark: four times of two of the ten images in a folder for each sample; fluxes are those of classes over 0.85."""
    rng = np.random.default_rng(0)
    offsets = (0, 420, 630, 710)
    for part, first, count in (("training", 11400, 26), ("test", 11500, 10)):
        lines = []
        for number in range(count):
            region, begin = first + number, datetime(2012, 2, 1, 3, 17, 5) + timedelta(days=7 * number)
            flares = number % 2 == 1
            rest = f"{begin + timedelta(hours=12):%Y_%m_%d_%H_%M_%S}_0"
            peak = (rng.integers(10, 99) * 1e-6 if flares else rng.integers(10, 99) * 1e-7) / 0.85
            lines.append(f"{region}_{rest},{begin},{begin + timedelta(hours=12)},{peak if number else 1e-9}")
            sample = folder / "sdobenchmark" / part / str(region) / rest
            sample.mkdir(parents=True)
            for step, offset in enumerate(offsets):
                when = begin + timedelta(minutes=offset)
                for wave in ("171", "magnetogram"):
                    if (part, number, step, wave) == ("training", 2, 3, "171"):
                        continue  # images are missing in many samples
                    grey = rng.normal(100, 3, (SIDE, SIDE)) + (number + region) % 7
                    grey[20:30, 20:30] += 100 * flares
                    _jpeg(
                        sample / f"{when:%Y-%m-%dT%H%M%S}__{wave}.jpg", grey, (part, number, step) == ("training", 4, 3)
                    )
        meta = folder / "sdobenchmark" / part / "meta_data.csv"
        meta.write_text("id,start,end,peak_flux\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return """
[source]
root = "."
reader = "sdobenchmark"
[source.sdobenchmark]
path = "sdobenchmark"
[images]
channel = "sdobenchmark-171"
size_px = 32
[labels]
scheme = "flare"
[split]
method = "published"
validation = 0.25
"""


def _jpeg(path: Path, grey: NDArray[Any], flagged: bool) -> None:
    image, exif = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)), Image.Exif()
    if flagged:
        exif[270] = "flagged"  # ImageDescription, as piexif writes it
    image.save(path, "JPEG", quality=90, exif=exif)


def suryabench(folder: Path) -> str:
    """SuryaBench: a NetCDF file for each time, an index of the files, and the flare index, a file for each part."""
    import h5netcdf

    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "validation": (datetime(2012, 1, 16), 8),
        "train": (datetime(2012, 2, 15), 20),
        "test": (datetime(2020, 3, 1), 8),
    }
    index, number = [], 0
    for part, (begin, count) in parts.items():
        labels = []
        for _ in range(count):
            when, flares = begin + timedelta(days=2 * number if part != "validation" else number), number % 2
            path = Path(f"{when:%Y}/{when:%m}/{when:%Y%m%d_%H%M}.nc")
            (folder / "nc" / path).parent.mkdir(parents=True, exist_ok=True)
            with h5netcdf.File(folder / "nc" / path, "w") as file:
                file.dimensions = {"y": SIDE, "x": SIDE}
                _variable(file, "aia171", disc(bool(flares), number), header(when, rsun(number), FIXED / RADIUS_PX))
            index.append({"path": f"/lustre/scratch/data/{path}", "timestep": str(when), "present": 1})
            goes = f"{'CM'[flares]}{1 + number % 3}.5"
            labels.append([f"{when:%Y-%m-%d %H:%M:%S}", goes, 10.0 * flares + 1.5, flares, flares])
            number += 1
        columns = ["timestep", "max_goes_class", "cumulative_index", "label_max", "label_cum"]
        pd.DataFrame(labels, columns=columns).to_csv(folder / f"{part}.csv", index=False)
    index.append(
        {"path": "/lustre/scratch/data/2012/01/20120101_0000.nc", "timestep": "2012-01-01 00:00:00", "present": 0}
    )
    pd.DataFrame(index).to_csv(folder / "index.csv", index=False)
    (folder / "leaky_validation.csv").write_text("timestep,max_goes_class,cumulative_index,label_max,label_cum\n")
    return """
[source]
root = "."
images = "nc"
reader = "suryabench"
[source.suryabench]
index = "index.csv"
[images]
channel = "aia-171-precorrected"
size_px = 32
[labels]
scheme = "flare"
[split]
method = "published"
"""


def _variable(file: Any, name: str, values: NDArray[np.float32], said: Mapping[str, Any]) -> None:
    """A variable with the attributes that core_sdo_mlready_processing_multi.py gives it."""
    array = file.create_variable(
        name, ("y", "x"), "f4", data=values, chunks=values.shape, compression="gzip", fillvalue=0.0
    )
    level_1 = {key.lower(): value for key, value in said.items()} | {"cdelt1": 0.6, "crota2": 0.02, "lvl_num": 1.0}
    level_15 = {key.lower(): value for key, value in said.items()} | {"rsun_fix": FIXED}
    array.attrs["unit"], array.attrs["t_obs"], array.attrs["qflag"] = "DN/s", said["T_OBS"], 0
    array.attrs["meta_0"], array.attrs["meta_1"] = json.dumps(level_1), json.dumps(level_15)


WRITERS: Mapping[str, Callable[[Path], str]] = {
    "dataset": parquet, "sdoml": sdoml, "arccnet": arccnet, "sdobenchmark": sdobenchmark, "suryabench": suryabench,
}  # fmt: skip
