"""The reader `srs`: rows without a spreadsheet, from NOAA's region summaries and the images' times."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from sdovis.errors import BadInput, Problem
from sdovis.images.timestamps import SUFFIXES, name_pattern, taken_at
from sdovis.readers import tables
from sdovis.readers.joins import Join, flare_facts, joins
from sdovis.readers.quiet import NEIGHBOUR_DAYS, quiet_positions
from sdovis.readers.rows import FlareFacts, MadeLine, Origin, RawRow, of_lines
from sdovis.readers.srs_settings import HEADINGS, IMAGE_HEADINGS, SrsSettings, fills_in
from sdovis.study import Reader, Source
from sdovis.sun.archives import read_archive
from sdovis.sun.geometry import DiscFrame, project
from sdovis.sun.regions import Region, RegionSummary
from sdovis.sun.rotation import rotated
from sdovis.sun.times import of_sdo

QUIET_SHEET = "Quiet Sun"
#: Images of two channels belong together if they lie within one HMI cadence, 720 s.
COMPANION_S = 720.0


@dataclass(frozen=True)
class Frame:
    """The images of one moment, one for each channel, with the time (UTC) of the first."""

    names: tuple[str, ...]
    observed: datetime


def read(source: Source, settings: SrsSettings) -> list[RawRow]:
    """A row for each region on the disc, image by image in order of time, and for quiet positions if asked for.

    A row points at the summary's file, section and line. A region's longitude is rotated from the summary's time to
    the image's. ``source.columns`` names columns of this table; all its other columns travel as extra cells. Quiet
    positions are added only if the label is the column `Kind`.

    Raises `BadInput` for an archive or joined tables that cannot be read, unknown columns, or no image; and, unless
    ``source.on_problem`` is "reject", for images without a time or a summary near it and lines that cannot be read.
    """
    columns = source.columns.mapped()
    frames, problems = _frames(source, settings)
    nowhere: Origin = (settings.summaries, "", 0)
    archive = read_archive(source.root / settings.summaries, settings.summaries)
    lookup = _Summaries(archive.summaries, timedelta(hours=settings.max_gap_hours))
    joined = joins(source.root, settings)
    wanted = columns["label"] == HEADINGS["kind"]
    lines = [_faulty_line(nowhere, {"Image": p.file, HEADINGS["observed"]: ""}, p) for p in problems]
    for frame in frames:
        summary = lookup.nearest(frame.observed)
        if summary is None:
            what = f"no region summary lies within {settings.max_gap_hours:g} hours of {frame.observed:%Y-%m-%d %H:%M}"
            hint = "add that year's summaries, or remove the image"
            problems.append(Problem(what, hint, frame.names[0]))
            lines.append(_faulty_line(nowhere, _image_cells(frame), problems[-1]))
            continue
        problems += summary.faults
        seen = _image_cells(frame)
        lines += [_faulty_line((fault.file, fault.sheet, fault.row or 0), seen, fault) for fault in summary.faults]
        lines += _region_lines(summary, frame, joined)
        if wanted:
            lines += _quiet_lines(summary, frame, lookup.around(frame.observed), settings)
    if problems and source.on_problem == "error":
        raise BadInput(dict.fromkeys(problems))
    return of_lines(lines, columns, "srs", hints={"label": "; flare labels need source.srs.flares"})


class _Summaries:
    """Summaries found by time."""

    def __init__(self, summaries: Sequence[RegionSummary], max_gap: timedelta) -> None:
        self._all, self._max_gap = summaries, max_gap
        self._times = [summary.valid for summary in summaries]

    def nearest(self, time: datetime) -> RegionSummary | None:
        """The summary valid nearest to ``time``; of two equally near, the later, which was made that day."""
        at = bisect.bisect_left(self._times, time)
        near = min(self._all[max(at - 1, 0) : at + 1], key=lambda s: (abs(s.valid - time), time - s.valid))
        return near if abs(near.valid - time) <= self._max_gap else None

    def around(self, time: datetime) -> Sequence[RegionSummary]:
        """The summaries within `NEIGHBOUR_DAYS`."""
        days = timedelta(days=NEIGHBOUR_DAYS)
        first = bisect.bisect_left(self._times, time - days)
        return self._all[first : bisect.bisect_right(self._times, time + days)]


# --- images -----------------------------------------------------------------------------------------------------------


def _frames(source: Source, settings: SrsSettings) -> tuple[list[Frame], list[Problem]]:
    """The frames in order of the first channel's times, and what is wrong with images."""
    patterns = (settings.files,) if isinstance(settings.files, str) else settings.files
    folder = source.root / source.images
    problems: list[Problem] = []
    channels = [_dated(folder, pattern, problems) for pattern in patterns]
    if not any(channels):
        hint = "set source.images to their folder and source.srs.files to the pattern of their names"
        raise BadInput([Problem(f"contains no image that matches {patterns[0]!r}", hint, source.images), *problems])
    frames = []
    others = [([time for time, _ in channel], channel) for channel in channels[1:]]
    for time, name in channels[0]:
        frames.append(Frame((name, *(_companion(time, *other) for other in others)), time))
    return frames, problems


def _dated(folder: Path, pattern: str, problems: list[Problem]) -> list[tuple[datetime, str]]:
    try:
        wanted = name_pattern(pattern)
    except ValueError as error:
        raise BadInput(
            Problem(f"source.srs.files {pattern!r}: {error}", "write it like 'hmi.M_*.fits' or '%Y%m%d*.jpg'")
        ) from None
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES) or not path.is_file():
            continue
        if not (wanted.fullmatch(path.name) or wanted.fullmatch(name)):
            continue
        time = taken_at(path, wanted)
        if time is not None and not of_sdo(time):
            hint = "correct the header, or remove the image"
            problems.append(Problem(f"its time, {time:%Y-%m-%d %H:%M}, lies outside the SDO era", hint, name))
        elif time is None:
            hint = "put %Y%m%d_%H%M%S into source.srs.files where the names give the time, or remove the image"
            problems.append(Problem("neither the header nor the name says when the image was taken", hint, name))
        else:
            found.append((time, name))
    return sorted(found)


def _companion(time: datetime, times: Sequence[datetime], channel: Sequence[tuple[datetime, str]]) -> str:
    """The name of another channel's image of that time; empty if there is none."""
    at = bisect.bisect_left(times, time)
    near = min(channel[max(at - 1, 0) : at + 1], key=lambda item: abs(item[0] - time), default=None)
    return near[1] if near and abs((near[0] - time).total_seconds()) <= COMPANION_S else ""


# --- rows -------------------------------------------------------------------------------------------------------------


def _image_cells(frame: Frame) -> dict[str, str]:
    cells = dict(zip(IMAGE_HEADINGS, frame.names, strict=False))
    return {**cells, HEADINGS["observed"]: frame.observed.replace(tzinfo=None).isoformat(sep=" ")}


def _faulty_line(origin: Origin, cells: Mapping[str, str], problem: Problem) -> MadeLine:
    """A row with the problem instead of the region's number, so that it becomes a reject that shows the problem."""
    return origin, {**cells, HEADINGS["noaa_ar"]: problem.what}


def _region_lines(summary: RegionSummary, frame: Frame, joined: Sequence[Join]) -> Iterator[MadeLine]:
    regions = [region for region in summary.regions if region.section != "II"]
    disc = DiscFrame.at(frame.observed, (0.0, 0.0), 1.0)
    lat, lon = _moved(regions, summary, frame.observed)
    seen = np.isfinite(project(lat, lon, disc)[0])
    for region, longitude, visible in zip(regions, lon.tolist(), seen.tolist(), strict=True):
        if visible or region.longitude_deg is None:
            cells = _image_cells(frame) | _region_cells(region, longitude) | _gap_cells(summary, frame)
            for join in joined:
                cells |= join(region.noaa_ar, frame.observed)
            yield (summary.file, region.section, region.line), cells


def _moved(regions: Iterable[Region], summary: RegionSummary, time: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes at ``time``; nan if the summary gives no longitude."""
    positions = [(region.latitude_deg, region.longitude_deg) for region in regions]
    lat, lon = np.array(positions, float).reshape(-1, 2).T
    return lat, rotated(lat, lon, summary.valid, time)


def _region_cells(region: Region, longitude: float) -> dict[str, str]:
    def text(value: int | None) -> str:
        return "" if value is None else str(value)

    return {
        HEADINGS["noaa_ar"]: str(region.noaa_ar),
        HEADINGS["kind"]: region.kind,
        HEADINGS["mount_wilson"]: region.mount_wilson,
        HEADINGS["mcintosh"]: region.mcintosh,
        HEADINGS["area_msh"]: text(region.area_msh),
        HEADINGS["spots"]: text(region.spots),
        HEADINGS["latitude_deg"]: text(region.latitude_deg),
        HEADINGS["longitude_deg"]: "" if region.longitude_deg is None else f"{longitude:.2f}",
        "Extent (deg)": text(region.extent_deg),
        "Carrington longitude (deg)": text(region.carrington_deg),
    }


def _gap_cells(summary: RegionSummary, frame: Frame) -> dict[str, str]:
    hours = (summary.valid - frame.observed).total_seconds() / 3600
    return {"Summary valid (UTC)": f"{summary.valid:%Y-%m-%d %H:%M}", "Gap (h)": f"{hours:.2f}"}


def _quiet_lines(
    summary: RegionSummary, frame: Frame, around: Sequence[RegionSummary], settings: SrsSettings
) -> Iterator[MadeLine]:
    if not settings.quiet_per_image:
        return
    moved = [_moved((r for r in s.regions if r.section != "II"), s, frame.observed) for s in around]
    lat, lon = np.concatenate([np.stack(positions) for positions in moved], axis=1)
    known = np.isfinite(lon)
    positions = quiet_positions(
        frame.names[0],
        lat[known],
        lon[known],
        b0_deg=DiscFrame.at(frame.observed, (0.0, 0.0), 1.0).b0_deg,
        count=settings.quiet_per_image,
        distance_deg=settings.quiet_distance_deg,
        seed=settings.quiet_seed or 0,
    )
    for number, (latitude, longitude) in enumerate(positions, 1):
        cells = {
            HEADINGS["kind"]: "quiet",
            HEADINGS["latitude_deg"]: f"{latitude:g}",
            HEADINGS["longitude_deg"]: f"{longitude:g}",
        }
        yield (summary.file, QUIET_SHEET, number), _image_cells(frame) | cells | _gap_cells(summary, frame)


def _flares(source: Source, settings: SrsSettings, times: Iterable[datetime]) -> FlareFacts | None:
    return flare_facts(source.root, settings, times) if settings.flares else None


def _notices(source: Source, settings: SrsSettings, rows: Sequence[RawRow]) -> list[str]:
    named = [name for name in (settings.flares, settings.sharp, settings.harps) if name]
    return [each for name in named for each in tables.said_of(source.root / name)]


#: Registered in the entry-point group ``sdovis.readers``.
READER = Reader(
    read,
    settings=SrsSettings,
    fills_in=fills_in,
    rows_from=lambda source, settings: settings.summaries,
    notices=_notices,
    flares=_flares,
)
