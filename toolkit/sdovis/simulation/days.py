"""A simulated Sun on successive days: active regions that emerge, rotate, evolve and vanish, as full discs and a workbook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sdovis import manifests
from sdovis.errors import BadInput
from sdovis.simulation.disc import (
    NOISE_G,
    QUIET_DN_S,
    TRANSVERSE_NOISE_G,
    Placed,
    full_view,
    observe_disc,
    to_compressed_fits,
)
from sdovis.simulation.magnetogram import Camera
from sdovis.simulation.passages import (
    PHYSICS,
    PRIOR,
    SHEET,
    earth,
    is_made,
    jsoc_time,
    write_workbook,
    written,
)
from sdovis.simulation.region import SimulatedRegion, design, evolve
from sdovis.sun.constants import CAMERA_PX, DAY_S
from sdovis.sun.rotation import rotated
from sdovis.version import __version__

WORKBOOK = "SDO_Simulated_Full_Discs.xlsx"
MAX_ANGLE_DEG = 75.0  #: from the centre of the disc: regions beyond are drawn but not listed

_START = "2012-03-01"
_CADENCE_DAYS = 2
_AT_ONCE = 18.0  # on the whole Sun; half of them are visible
_LIFE_DAYS = (4, 10)
_APART_DEG = 15.0  # between centres: no spot of one lies within 8 degrees of another's centre
_FIRST_AR = 11430


def _time(day: float) -> datetime:
    """The time ``day`` days after `_START`; TAI and UTC are not distinguished (under a minute)."""
    return datetime.fromisoformat(_START).replace(tzinfo=UTC) + timedelta(days=day)


@dataclass(frozen=True)
class _Life:
    """A region from its first day to its last. Days count from `_START`."""

    mount_wilson: str
    born: float
    longitude_deg: float  #: at birth
    days: tuple[SimulatedRegion, ...]

    @property
    def latitude_deg(self) -> float:
        return self.days[0].latitude_deg

    def on(self, day: float) -> Placed | None:
        """The region and its position on that day; None before and after its life."""
        age = day - self.born
        if not 0 <= age < len(self.days):
            return None
        longitude = rotated(self.latitude_deg, self.longitude_deg, _time(self.born), _time(day))
        return Placed(self.days[int(age)], float(longitude))


@dataclass(frozen=True)
class _Moment:
    """One frame: what a worker needs to make its three files."""

    seed: tuple[int, int, int]
    camera: Camera
    l0_deg: float
    tai: str
    slot: str
    utc: str
    noaa_ars: tuple[int, ...]  #: of the listed regions, which come first
    regions: tuple[Placed, ...]

    def image(self, kind: str) -> str:
        day, clock = re.sub(r"[-:]|\..*", "", self.slot).split("T")
        series = {"Br": "b", "magnetogram": "m", "continuum": "ic"}[kind]
        return f"sim.{series}_720s.{day}_{clock}_TAI.{kind}.fits"


def _angle_deg(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """The angle between two positions, in degrees."""
    a, b, apart = np.radians(lat_a), np.radians(lat_b), np.radians(lon_a - lon_b)
    return float(np.degrees(np.arccos(np.clip(np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(apart), -1, 1))))


def _population(days: float, seed: int) -> list[_Life]:
    """Regions anywhere on the Sun, in order of birth, none too close to another."""
    rng = np.random.default_rng((seed, 11))
    mean_life = sum(_LIFE_DAYS) / 2
    births = np.sort(rng.uniform(-_LIFE_DAYS[1], days, rng.poisson(_AT_ONCE * (days + _LIFE_DAYS[1]) / mean_life)))
    lives: list[_Life] = []
    for i, born in enumerate(births):
        own = np.random.default_rng((seed, i, 12))
        kind = str(own.choice(list(PRIOR), p=list(PRIOR.values())))
        length = int(own.integers(_LIFE_DAYS[0], _LIFE_DAYS[1] + 1))
        for _ in range(50):
            latitude = float(own.choice([-1.0, 1.0]) * np.clip(own.normal(17.0, 6.0), 3.0, 34.0))
            longitude = float(own.uniform(-180, 180))
            if all(_keeps_away(life, latitude, longitude, born, length) for life in lives[-40:]):
                story = tuple(evolve(design(own, kind, latitude), own, length))
                lives.append(_Life(kind, float(born), longitude, story))
                break
    return lives


def _keeps_away(life: _Life, latitude: float, longitude: float, born: float, length: int) -> bool:
    """Whether a new region stays clear of ``life`` while both exist."""
    for day in np.arange(born, born + length):
        there = life.on(day)
        if there is not None:
            here = rotated(latitude, longitude, _time(born), _time(day))
            if _angle_deg(latitude, here, life.latitude_deg, there.longitude_deg) < _APART_DEG:
                return False
    return True


def _moments(discs: int, seed: int, size_px: int) -> list[_Moment]:
    """What is on the Sun at each observation. Regions are numbered in the order in which they are first listed."""
    rng = np.random.default_rng((seed, 13))
    days = _CADENCE_DAYS * np.arange(discs, dtype=np.float64)
    # T_REC is a slot of 720 s; T_OBS, the middle of the exposures, differs from it by a few seconds.
    sky = earth(_START, days * DAY_S, np.round(rng.uniform(-9, 0, discs), 2))
    lives = _population(float(days[-1]) + 1, seed)
    numbers: dict[int, int] = {}
    moments = []
    for k, day in enumerate(days):
        placed = [(i, there) for i, life in enumerate(lives) if (there := life.on(float(day))) is not None]
        b0 = float(sky.b0_deg[k])
        far = [_angle_deg(there.region.latitude_deg, there.longitude_deg, b0, 0.0) for _, there in placed]
        order = sorted(range(len(placed)), key=lambda n: (far[n] > MAX_ANGLE_DEG, placed[n][0]))
        listed = [placed[n][0] for n in order if far[n] <= MAX_ANGLE_DEG]
        for i in listed:
            numbers.setdefault(i, _FIRST_AR + len(numbers))
        roll = 180.0 + float(np.clip(rng.normal(0, 0.05), -0.1, 0.1))
        offset = float(rng.normal(0, 2)) * size_px / CAMERA_PX, float(rng.normal(0, 2)) * size_px / CAMERA_PX
        camera = full_view(float(sky.distance_m[k]), b0, roll, offset, size_px)
        times = float(sky.l0_deg[k]), str(sky.tai[k]), str(sky.slot[k]), str(sky.utc[k])
        regions = tuple(placed[n][1] for n in order)
        moments.append(_Moment((seed, k, 14), camera, *times, tuple(numbers[i] for i in listed), regions))
    return moments


def _keywords(moment: _Moment, content: str, unit: str) -> list[tuple[Any, ...]]:
    """The header cards, as HMI's, for the image's time and content, and that it is simulated."""
    return [
        ("TELESCOP", "SDO/HMI", "imitated"),
        ("INSTRUME", "HMI_SIDE1", "imitated"),
        ("WAVELNTH", 6173.0, "[angstrom]"),
        ("CONTENT", content),
        ("BUNIT", unit),
        ("SIMULATE", True, "SIMULATED: not an observation of the Sun"),
        ("ORIGIN", f"sdovis {__version__}", "simulated full disc"),
        ("DATE-OBS", moment.utc, "[UTC]"),
        ("T_OBS", jsoc_time(moment.tai), "[TAI]"),
        ("T_REC", jsoc_time(moment.slot), "[TAI]"),
        ("CADENCE", 720.0, "[s]"),
        ("QUALITY", 0, ""),
        ("CRLN_OBS", moment.l0_deg, "[deg]"),
        ("HISTORY", "SIMULATED by sdovis simulate; see the workbook's sheet README"),
    ]


def _write_moment(moment: _Moment, folder: Path) -> list[dict[str, Any]]:
    """Write the three images of one moment; returns one row per listed region."""
    disc = observe_disc(moment.regions, np.random.default_rng(moment.seed), moment.camera)
    # Steps of at most a sixteenth of the noise lose nothing and compress well.
    for kind, values, step, content, unit in (
        ("Br", disc.radial_g, 0.5, "BR", "Mx/cm^2"),
        ("magnetogram", disc.line_of_sight_g, 0.5, "MAGNETOGRAM", "Gauss"),
        ("continuum", disc.continuum_dn_s, 25.0, "CONTINUUM INTENSITY", "DN/s"),
    ):
        body = to_compressed_fits(values, step, moment.camera, _keywords(moment, content, unit))
        (folder / moment.image(kind)).write_bytes(body)
    return [
        {
            "Br image": moment.image("Br"),
            "Magnetogram": moment.image("magnetogram"),
            "Continuum": moment.image("continuum"),
            "Observed (UTC)": pd.Timestamp(moment.utc).round("s"),
            "NOAA AR": number,
            "Mount Wilson": placed.region.mount_wilson,
            "Latitude (deg)": round(placed.region.latitude_deg, 2),
            "Longitude (deg)": round(placed.longitude_deg, 2),
            "Area (MSH)": round(placed.region.area_msh),
        }
        for number, placed in zip(moment.noaa_ars, moment.regions, strict=False)
    ]


def _readme(table: pd.DataFrame, discs: int, seed: int, size_px: int) -> pd.DataFrame:
    prior = ", ".join(f"{name} {share:g}" for name, share in PRIOR.items())
    about = {
        "SIMULATED": "Every image and every row here is simulated by sdovis. Nothing here was observed; NOAA numbers, "
        "dates and positions are invented and must not be looked up.",
        "Made with": f"sdovis {__version__}, seed {seed}",
        "Holds": f"{len(table)} observations of {table['NOAA AR'].nunique()} regions in {discs} full discs, one every "
        f"{_CADENCE_DAYS} days",
        "Images": f"images/: full discs of {size_px} x {size_px} pixels, RICE-compressed, stored rotated by about 180 "
        "degrees as HMI does (CROTA2), three for each time: radial field Br and line-of-sight field in gauss, continuum "
        "in DN/s; nan off the disc",
        "Observed (UTC)": "T_OBS of the images, from TAI to UTC, rounded to a second",
        "Latitude, longitude": "Stonyhurst, degrees; north and west positive; of the region's centre, exactly. Regions "
        f"farther than {MAX_ANGLE_DEG:g} degrees from the disc's centre are drawn and have no row",
        "Area (MSH)": "of the spots, in millionths of the visible hemisphere, corrected for foreshortening, exactly",
        "Mount Wilson": f"drawn with probability {prior} (more complex groups than the Sun has), one class for a "
        "region's whole life; every row is true",
        "Physics": "the regions of `sdovis simulate` (Hale, Joy, log-normal areas, equal flux of both polarities), "
        f"{_LIFE_DAYS[0]} to {_LIFE_DAYS[1]} days old at their end, on a Sun that rotates differentially; one field for "
        f"all three images; noise {NOISE_G:g} G along and {TRANSVERSE_NOISE_G:g} G across the line of sight; limb "
        f"darkening of Neckel (2005) from {QUIET_DN_S:g} DN/s, spots with umbra and penumbra, faculae, granulation",
        "Not in it": "emergence and decay across classes, returning regions, quiet-Sun evolution, errors of the "
        "disambiguation, instrument artefacts, saturation, stray light, regions nearer to each other than "
        f"{_APART_DEG:g} degrees",
    }
    return pd.DataFrame({"About": list(about), "Text": list(about.values())})


def simulate_discs(
    directory: Path,
    *,
    discs: int = 120,
    seed: int = 0,
    size_px: int = 1024,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Write simulated HMI full discs (``images/*.fits``, three per time) and their workbook; returns the workbook.

    The same arguments give the same bytes for any ``workers``, and a folder already made with them is left unchanged.
    Another simulation in ``directory`` is replaced; raises `Conflict` if anything else is there, `BadInput` for
    impossible arguments.
    """
    wrong = [
        message
        for fails, message in (
            (discs < 1, f"discs is {discs}; it must be at least 1"),
            (seed < 0, f"seed is {seed}; it must not be negative"),
            (not 256 <= size_px <= CAMERA_PX, f"size_px is {size_px}; it must be 256 to {CAMERA_PX}"),
            (workers is not None and workers < 1, f"workers is {workers}; it must be at least 1"),
        )
        if fails
    ]
    if wrong:
        raise BadInput("; ".join(wrong))
    directory = Path(directory)
    made_from = {"discs": str(discs), "seed": str(seed), "size_px": str(size_px)} | PHYSICS
    if is_made(directory, made_from):
        return directory / WORKBOOK
    with manifests.whole(directory, stage="simulate", made_from=made_from) as folder:
        (folder / "images").mkdir()
        write = partial(_write_moment, folder=folder / "images")
        table = written(write, _moments(discs, seed, size_px), workers, "disc", progress)
        write_workbook({SHEET: table, "README": _readme(table, discs, seed, size_px)}, folder / WORKBOOK)
    return directory / WORKBOOK
