"""Magnetograms of simulated active regions as FITS files, and the kind of workbook that a colleague would keep of them."""

from __future__ import annotations

import io
import multiprocessing
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sdovis import manifests
from sdovis.errors import BadInput, Conflict
from sdovis.simulation.magnetogram import NOISE_G, PIXEL_ARCSEC, Camera, observe, sun_centre_px, to_fits
from sdovis.simulation.region import SPELLINGS, Array, design, evolve
from sdovis.sun.rotation import westward_deg
from sdovis.version import __version__

WORKBOOK = "SDO_Simulated_Active_Regions.xlsx"
SHEET = "Active regions"
MAX_ANGLE_DEG = 60.0  #: from the centre of the disc

PRIOR = {"Alpha": 0.3, "Beta": 0.4, "Beta-Gamma": 0.15, "Beta-Gamma-Delta": 0.1, "Beta-Delta": 0.05}
#: What a folder was made with, besides the arguments: version 1 used another law of rotation.
PHYSICS = {"physics": "2"}
_YEARS = ("2011-01-01", "2014-12-31")
_DAYS = (3, 6)
_POSITION_SD_DEG = 0.7  # of positions measured by eye, per axis


@dataclass(frozen=True)
class _Passage:
    """One region's days on the disc: what a worker needs to make its files."""

    seed: tuple[int, int]
    mount_wilson: str
    noaa_ar: int
    harp: int
    latitude_deg: float
    longitude_deg: Array  #: of the region's centre, one value per observation
    offset_deg: Array  #: cutout centre minus region centre: longitude and latitude, shape (n, 2)
    distance_m: Array
    b0_deg: Array
    l0_deg: Array
    tai: tuple[str, ...]  #: T_OBS
    slot: tuple[str, ...]  #: T_REC
    utc: tuple[str, ...]  #: ISO, to the second
    size_px: int

    def image(self, k: int) -> str:
        stamp = re.sub(r"\D", "", self.slot[k])
        return f"images/hmi_m_{self.noaa_ar}_{stamp}_TAI.fits"


@dataclass(frozen=True)
class Earth:
    """Where the Earth is at the times of observation, and those times; one value each."""

    distance_m: Array
    b0_deg: Array
    l0_deg: Array
    tai: Array  #: T_OBS
    slot: Array  #: T_REC
    utc: Array  #: ISO, to the millisecond


def earth(start: str, slot_s: Array, late_s: Array) -> Earth:
    """The Earth at slots ``slot_s`` seconds (TAI) after ``start``, observed ``late_s`` seconds off the slot."""
    from astropy.time import Time, TimeDelta
    from astropy.utils import iers
    from sunpy.coordinates import sun

    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # IERS tables may be old: that moves the Sun by less than a milliarcsecond
        slots = Time(f"{start}T00:00:00", scale="tai") + TimeDelta(slot_s, format="sec")
        times = slots + TimeDelta(late_s, format="sec")
        distance = np.asarray(sun.earth_distance(times).to_value("m"))
        b0 = np.asarray(sun.B0(times).to_value("deg"))
        l0 = np.asarray(sun.L0(times).to_value("deg"))
        return Earth(distance, b0, l0, times.tai.isot, slots.tai.isot, times.utc.isot)


def _passages(regions: int, seed: int, days: tuple[int, int], size_px: int) -> list[_Passage]:
    """Which regions there are, when and where each is seen; ordered by date of the first observation."""
    rng = np.random.default_rng((seed, 1))
    start, end = (np.datetime64(day) for day in _YEARS)
    first = np.sort(rng.uniform(0, (end - start).astype(int) - days[1], regions))
    counts = rng.integers(days[0], days[1] + 1, regions)
    ages = [np.arange(n) + rng.normal(0, 0.02, n) * (np.arange(n) > 0) for n in counts]
    elapsed = np.concatenate([day + age for day, age in zip(first, ages, strict=True)])
    # T_REC is a slot of 45 s; T_OBS, the middle of the exposures, differs from it by a few seconds.
    sky = earth(_YEARS[0], np.rint(elapsed * 1920) * 45, np.round(rng.uniform(-3, 3, len(elapsed)), 2))
    noaa = 11140 + np.sort(rng.choice(max(1100, 2 * regions), regions, replace=False))
    harp = 330 + np.sort(rng.choice(max(4500, 3 * regions), regions, replace=False))
    kinds = rng.choice(list(PRIOR), regions, p=list(PRIOR.values()))
    passages = []
    ends = np.cumsum(counts)
    for i, (n, kind) in enumerate(zip(counts, kinds, strict=True)):
        rows = slice(int(ends[i] - n), int(ends[i]))
        # The butterfly: the belts of spots drift from 20 to 13 degrees in these years.
        belt = 20.0 - 7.0 * first[i] / first[-1]
        latitude = float(rng.choice([-1.0, 1.0]) * np.clip(rng.normal(belt, 5.5), 3.0, 34.0))
        within = np.degrees(np.arccos(np.cos(np.radians(MAX_ANGLE_DEG)) / np.cos(np.radians(abs(latitude) + 7.3))))
        within -= 3 * _POSITION_SD_DEG
        times = [datetime.fromisoformat(utc).replace(tzinfo=UTC) for utc in sky.utc[rows]]
        path = np.array([westward_deg(latitude, times[0], time) for time in times])
        longitude = rng.uniform(-within, within - path[-1]) + path
        offset = np.clip(rng.normal(0, _POSITION_SD_DEG, (len(path), 2)), -2, 2)
        offset[:, 0] /= np.cos(np.radians(latitude))
        names = int(noaa[i]), int(harp[i])
        seen = sky.distance_m[rows], sky.b0_deg[rows], sky.l0_deg[rows]
        times_of = tuple(sky.tai[rows]), tuple(sky.slot[rows]), tuple(sky.utc[rows])
        passages.append(_Passage((seed, i), str(kind), *names, latitude, longitude, offset, *seen, *times_of, size_px))
    return passages


def jsoc_time(isot: str) -> str:
    """'2012-03-01T00:00:00.000' -> '2012.03.01_00:00:00_TAI'; hundredths are kept if not zero."""
    day, clock = isot.split("T")
    whole, _, fraction = clock.partition(".")
    hundredths = "" if not fraction or int(fraction) == 0 else f".{fraction[:2]}"
    return f"{day.replace('-', '.')}_{whole}{hundredths}_TAI"


def _keywords(p: _Passage, k: int) -> list[tuple[str, Any, str]]:
    """The header cards, as HMI's, for the image's time and content, and that it is simulated."""
    return [
        ("SIMULATE", True, "SIMULATED: not an observation of the Sun"),
        ("ORIGIN", f"sdovis {__version__}", "simulated magnetogram"),
        ("DATE-OBS", p.utc[k], "[UTC]"),
        ("T_OBS", jsoc_time(p.tai[k]), "[TAI]"),
        ("T_REC", jsoc_time(p.slot[k]), "[TAI]"),
        ("CADENCE", 45.0, "[s]"),
        ("QUALITY", 0, ""),
        ("CRLN_OBS", float(p.l0_deg[k]), "[deg]"),
        ("HARPNUM", p.harp, "simulated"),
        ("NOAA_AR", p.noaa_ar, "simulated"),
        ("HISTORY", "SIMULATED by sdovis simulate; see the workbook's sheet README", ""),
    ]


def _write_region(p: _Passage, folder: Path) -> list[dict[str, Any]]:
    """Write the images of one region; returns its rows for the workbook, with true labels."""
    rng = np.random.default_rng((*p.seed, 2))
    rows = []
    for k, region in enumerate(evolve(design(rng, p.mount_wilson, p.latitude_deg), rng, len(p.tai))):
        # The cutout is centred on the position as the observer notes it, to 0.01 degrees.
        longitude = round(float(p.longitude_deg[k] + p.offset_deg[k, 0]), 2)
        latitude = round(float(p.latitude_deg + p.offset_deg[k, 1]), 2)
        roll = 180.0 + float(np.clip(rng.normal(0, 0.05), -0.1, 0.1))
        distance, b0 = float(p.distance_m[k]), float(p.b0_deg[k])
        centre = sun_centre_px(latitude, longitude, distance, b0, roll, p.size_px)
        camera = Camera(distance, b0, roll, centre, p.size_px)
        data = observe(region, rng, camera, float(p.longitude_deg[k]))
        (folder / p.image(k)).write_bytes(to_fits(data, camera, _keywords(p, k)))
        rows.append(
            {
                "Image": Path(p.image(k)).name,
                "Observed (UTC)": pd.Timestamp(p.utc[k]).round("s"),
                "NOAA AR": p.noaa_ar,
                "HARP": p.harp,
                "Mount Wilson": p.mount_wilson,
                "Latitude (deg)": latitude,
                "Longitude (deg)": longitude,
                "Area (MSH)": max(10, 10 * round(region.area_msh * rng.lognormal(0, 0.1) / 10)),
            }
        )
    return rows


def _three(mount_wilson: str) -> str:
    return mount_wilson if mount_wilson in ("Alpha", "Beta") else "complex"


def _mislabel(table: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give ``share`` of the rows a class of another kind (of alpha, beta, complex); also returns the truth about them."""
    rng = np.random.default_rng((seed, 3))
    rows = np.sort(rng.choice(len(table), round(share * len(table)), replace=False))
    true = table.iloc[rows]
    written = [
        str(rng.choice([s for s in SPELLINGS if _three(s) != _three(str(kind))])) for kind in true["Mount Wilson"]
    ]
    truth = pd.DataFrame(
        {
            "Image": true["Image"],
            "NOAA AR": true["NOAA AR"],
            "Mount Wilson (written)": written,
            "Mount Wilson (true)": true["Mount Wilson"],
        }
    )
    wrong = table.copy()
    wrong.loc[wrong.index[rows], "Mount Wilson"] = written
    return wrong, truth


def _readme(table: pd.DataFrame, truth: pd.DataFrame, seed: int, size_px: int) -> pd.DataFrame:
    prior = ", ".join(f"{name} {share:g}" for name, share in PRIOR.items())
    first, last = (table["Observed (UTC)"].agg(how).date() for how in ("min", "max"))
    about = {
        "SIMULATED": "Every image and every row here is simulated by sdovis. Nothing here was observed; NOAA and HARP "
        "numbers, dates and positions are invented and must not be looked up.",
        "Made with": f"sdovis {__version__}, seed {seed}",
        "Holds": f"{len(table)} observations of {table['NOAA AR'].nunique()} regions, {first} to {last}",
        "Images": f"images/: line-of-sight magnetograms in gauss, {size_px} x {size_px} pixels of {PIXEL_ARCSEC:.3f} arcsec, "
        "centred on the row's position, stored rotated by about 180 degrees as HMI does (CROTA2)",
        "Observed (UTC)": "T_OBS of the image, from TAI to UTC, rounded to a second",
        "Latitude, longitude": "Stonyhurst, degrees; north and west positive; measured by eye, scatter "
        f"{_POSITION_SD_DEG:g} degrees about the region's centre of flux",
        "Area (MSH)": "spots, in millionths of the visible hemisphere, corrected for foreshortening, to 10, error 10 %",
        "Mount Wilson": f"drawn with probability {prior} (more complex groups than the Sun has), one class for a "
        "region's whole passage",
        "Mislabelled": f"{len(truth)} rows carry a wrong class on purpose; the sheet Truth lists them, which no real "
        "workbook could",
        "Physics": "Hale's law for cycle 24 (4 % of regions break it), Joy's tilt 0.5 x latitude with 18 degrees of "
        "scatter, log-normal areas, equal flux of both polarities in every class, supergranular network, flat penumbral "
        f"fields, projection on the line of sight, {NOISE_G:g} G of noise, within {MAX_ANGLE_DEG:g} degrees of disc "
        "centre, 3 to 6 successive days with evolution and differential rotation",
        "Not in it": "emergence and decay across classes, instrument artefacts, saturation, stray light, neighbouring "
        "regions, several regions in one HARP",
    }
    return pd.DataFrame({"About": list(about), "Text": list(about.values())})


def write_workbook(sheets: dict[str, pd.DataFrame], path: Path) -> None:
    """Write an xlsx whose bytes depend only on its cells: the timestamps inside are set to a constant."""
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="openpyxl", datetime_format="yyyy-mm-dd hh:mm:ss") as writer:
        for name, frame in sheets.items():
            frame.to_excel(writer, sheet_name=name, index=False)
            sheet = writer.sheets[name]
            sheet.freeze_panes = "A2"
            for cell, column in zip(sheet[1], frame.columns, strict=True):
                widest = max([len(str(column)), *frame[column].astype(str).str.len()])
                sheet.column_dimensions[cell.column_letter].width = min(widest + 2, 110)
    with zipfile.ZipFile(buffer) as made, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as kept:
        for name in made.namelist():
            body = made.read(name)
            if name == "docProps/core.xml":
                body = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2015-01-01T00:00:00Z", body)
            kept.writestr(zipfile.ZipInfo(name, (2015, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)


def written(
    write: Callable[[Any], list[dict[str, Any]]], tasks: Sequence[Any], workers: int | None, unit: str, progress: bool
) -> pd.DataFrame:
    """The rows that ``write`` returns for each task, in the tasks' order; a process for each core by default."""
    from tqdm.auto import tqdm

    workers = workers or min(len(os.sched_getaffinity(0)), 8)
    bar = partial(tqdm, total=len(tasks), desc="simulate", unit=unit, disable=not progress)
    if workers == 1:
        return pd.DataFrame([row for rows in bar(map(write, tasks)) for row in rows])
    # Spawned, not forked: the caller may have threads (torch's), which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return pd.DataFrame([row for rows in bar(pool.map(write, tasks, chunksize=8)) for row in rows])


def simulate(
    directory: Path,
    *,
    regions: int = 620,
    seed: int = 0,
    mislabelled: float = 0.03,
    days: tuple[int, int] = _DAYS,
    size_px: int = 96,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Write simulated HMI magnetograms (``images/*.fits``) and their workbook into ``directory``; returns the workbook.

    ``mislabelled`` is the share of rows whose class is wrong; ``days`` the least and most observations per region.
    The same arguments give the same bytes for any ``workers``, and a folder already made with them is left unchanged.
    Another simulation in ``directory`` is replaced; raises `Conflict` if anything else is there, `BadInput` for
    impossible arguments.
    """
    wrong = [
        message
        for fails, message in (
            (regions < 1, f"regions is {regions}; it must be at least 1"),
            (seed < 0, f"seed is {seed}; it must not be negative"),
            (not 0 <= mislabelled <= 1, f"mislabelled is {mislabelled}; it must be a share from 0 to 1"),
            (not 1 <= days[0] <= days[1] <= 7, f"days is {days}; it must satisfy 1 <= least <= most <= 7"),
            (not 16 <= size_px <= 128, f"size_px is {size_px}; it must be 16 to 128"),
            (workers is not None and workers < 1, f"workers is {workers}; it must be at least 1"),
        )
        if fails
    ]
    if wrong:
        raise BadInput("; ".join(wrong))
    directory = Path(directory)
    settings = {"regions": regions, "seed": seed, "mislabelled": mislabelled, "days": days, "size_px": size_px}
    made_from = {name: str(value) for name, value in settings.items()} | PHYSICS
    if is_made(directory, made_from):
        return directory / WORKBOOK
    passages = _passages(regions, seed, days, size_px)
    with manifests.whole(directory, stage="simulate", made_from=made_from) as folder:
        (folder / "images").mkdir()
        rows = written(partial(_write_region, folder=folder), passages, workers, "region", progress)
        table, truth = _mislabel(rows, mislabelled, seed)
        sheets = {SHEET: table, "README": _readme(table, truth, seed, size_px), "Truth": truth}
        write_workbook(sheets, folder / WORKBOOK)
    return directory / WORKBOOK


def is_made(directory: Path, made_from: dict[str, str]) -> bool:
    """Whether ``directory`` holds this very simulation; raises `Conflict` if it holds anything but a simulation."""
    if manifests.finished(directory, made_from):
        return True
    if directory.exists() and not _is_simulation(directory):
        raise Conflict(f"{directory} holds something else; name a new folder")
    return False


def _is_simulation(directory: Path) -> bool:
    """Whether a folder is empty or was made here."""
    if not directory.is_dir():
        return False
    if not any(directory.iterdir()):
        return True
    try:
        return manifests.read(directory, made_by="simulate").stage == "simulate"
    except BadInput:
        return False
