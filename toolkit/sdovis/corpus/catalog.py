"""Rows joined to images: every row becomes an example, a reject with its reason, or a problem to mend."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from sdovis.corpus.observations import Observation, Reject, Sorted, stem_of, understand
from sdovis.corpus.rows import RawRow
from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.manifests import sha256_file
from sdovis.study import Study
from sdovis.sun import labels as label_schemes
from sdovis.sun.channels import Channel, channel
from sdovis.sun.geometry import DiscFrame, cutout, project, unproject
from sdovis.sun.images import SolarImage, inside, pointing_problem, read_image
from sdovis.sun.labels import LabelScheme

#: A workbook's time and its image's may differ by one 720 s HMI cadence.
MAX_TIME_GAP = timedelta(seconds=720)
#: The two ways to give a position may differ by this share of the disc's radius: a flipped axis differs by more.
MAX_POSITION_GAP = 0.1
#: Rotating a day-old position may carry it just over the limb: that is far from the meridian, not a mistake.
MAX_LONGITUDE_DEG = 105.0
MAX_DISC_DISTANCE = 1.05
REJECT_COLUMNS = ("file", "sheet", "row", "image", "noaa_ar", "label", "reason")


@dataclass(frozen=True)
class Catalog:
    """``rows``: a row an example with its image as PNG bytes; ``rejects``: a row a reject with its reason."""

    rows: pd.DataFrame
    rejects: pd.DataFrame
    scheme: LabelScheme


def scheme_of(study: Study, rows: Sequence[RawRow]) -> LabelScheme:
    """The study's label scheme, fitted to the column's values where the scheme asks for it."""
    values = [row.text("label") for row in rows]
    return label_schemes.scheme(study.labels.scheme, values=values, classes=study.labels.classes)


def catalog(study: Study, rows: Sequence[RawRow], *, progress: bool = True, workers: int | None = None) -> Catalog:
    """Understand every row and look at every image.

    Raises `BadInput` with all problems of all rows and images; with ``source.on_problem = "reject"`` they become
    rejects and it raises only when nothing is left.
    """
    scheme = scheme_of(study, rows)
    understood = understand(study, rows, scheme)
    seen = look(study, understood.kept, progress=progress, workers=workers)
    problems = understood.problems + seen.problems
    rejects = understood.rejects + seen.rejects
    if problems and study.source.on_problem == "error":
        raise BadInput(problem for _, problem in sorted(problems, key=lambda p: (p[0].sheet, p[0].row)))
    faults: dict[tuple[str, int], list[tuple[RawRow, Problem]]] = {}
    for raw, problem in problems:
        faults.setdefault((raw.sheet, raw.row), []).append((raw, problem))
    rejects += [Reject(of[0][0], "; ".join(p.what for _, p in of)) for of in faults.values()]
    table = pd.DataFrame([_reject_row(reject) for reject in rejects], columns=list(REJECT_COLUMNS))
    table = table.sort_values(["sheet", "row"], kind="stable", ignore_index=True)
    if not seen.kept:
        reasons = table["reason"].value_counts().head(3).to_dict()
        raise BadInput(Problem(f"no row is left: {reasons}", "see [images] and [labels]", study.source.workbook))
    return Catalog(pd.DataFrame(seen.kept), table, scheme)


@dataclass(frozen=True)
class _Frame:
    """All rows of one image, for one worker."""

    study: Study
    image: str
    rows: tuple[Observation, ...]


def look(study: Study, rows: Sequence[Observation], *, progress: bool = True, workers: int | None = None) -> Sorted:
    """Open every image once and make each row's example. ``kept`` holds dictionaries, a corpus row each."""
    from tqdm import tqdm

    frames: dict[str, list[Observation]] = {}
    for row in rows:
        frames.setdefault(row.image, []).append(row)
    tasks = [_Frame(study, image, tuple(members)) for image, members in frames.items()]
    out = Sorted()
    owner: dict[str, str] = {}
    with ProcessPoolExecutor(workers) as pool:
        results = pool.map(_look, tasks, chunksize=max(1, min(16, len(tasks) // 64)))
        for task, (sha, result) in zip(
            tasks, tqdm(results, "images", len(tasks), disable=not progress, leave=False), strict=True
        ):
            first = owner.setdefault(sha, task.image) if sha else task.image
            if first != task.image:
                out.rejects += [Reject(row.raw, f"the image is the same file as {first}") for row in task.rows]
                continue
            out.kept += result.kept
            out.rejects += result.rejects
            out.problems += result.problems
    return out


def _look(task: _Frame) -> tuple[str, Sorted]:
    """Open one image and cut out its rows. Returns the file's sha256 with what became of the rows."""
    out, images = Sorted(), task.study.images
    try:
        path = inside(task.study.image_root, task.image)
        picture = read_image(
            path,
            root=task.study.image_root,
            center_px=images.center_px,
            arcsec_per_px=images.arcsec_per_px,
            observed=next((row.observed for row in task.rows if row.observed), None),
        )
        kind = channel(images.channel)
        values = kind.values(picture)
    except BadInput as error:  # every row of the image has the problem
        problem = error.problems[0]
        out.problems = [
            (row.raw, row.raw.problem(f"image {task.image!r}: {problem.what}", problem.hint, field="image"))
            for row in task.rows
        ]
        return "", out
    reason = _bad_pointing(picture, values) if images.check_pointing else None
    if reason:
        out.rejects = [Reject(row.raw, reason) for row in task.rows]
        return picture.sha256, out
    for row in task.rows:
        example, wrong = _example(task.study, row, picture, values, kind)
        if wrong:
            out.problems.append((row.raw, wrong))
        elif isinstance(example, str):
            out.rejects.append(Reject(row.raw, example))
        else:
            out.kept.append(example)
    return picture.sha256, out


def _bad_pointing(picture: SolarImage, values: np.ndarray) -> str | None:
    """Why a full-disc frame is unusable; frames that hold a part of the disc are left alone."""
    frame = picture.frame
    if frame is None:
        return None
    (height, width), (x, y) = values.shape, frame.center_px
    full_disc = 0 <= x < width and 0 <= y < height and 2 * frame.radius_px < 1.2 * min(height, width)
    return pointing_problem(values, frame) if full_disc else None


def _example(
    study: Study, row: Observation, picture: SolarImage, values: np.ndarray, kind: Channel
) -> tuple[dict[str, Any] | str, Problem | None]:
    """The corpus row of one observation, or the reason to reject it, or its problem."""
    time, problem = _time(row, picture)
    region = picture.header.get("NOAA_AR")
    if problem is None and row.noaa_ar and region and int(region) and int(region) != row.noaa_ar:
        what = f"the row says region {row.noaa_ar}, the image's header says {region}"
        problem = row.raw.problem(what, "correct one of them", field="noaa_ar")
    limit = study.images.max_longitude_deg
    if problem is None:
        problem = _off_disc(row, picture.frame)
    if problem is not None:
        return "", problem
    if limit is not None and row.longitude_deg is not None and abs(row.longitude_deg) > limit:
        return _too_far(row.longitude_deg, limit), None
    if picture.frame is not None or study.images.cutout_arcsec:  # else the position is a fact beside the image
        row, problem = _placed(row, picture.frame)
    if problem is not None:
        return "", problem
    if limit is not None and row.longitude_deg is None:
        hint = "map source.columns.longitude_deg, or x_px and y_px with images.center_px"
        return "", row.raw.problem("the longitude is unknown, and images.max_longitude_deg is set", hint)
    if limit is not None and row.longitude_deg is not None and abs(row.longitude_deg) > limit:
        return _too_far(row.longitude_deg, limit), None
    if study.images.cutout_arcsec and picture.frame is not None:
        assert row.x_px is not None and row.y_px is not None
        side, scale = study.images.cutout_arcsec, picture.frame.arcsec_per_px
        values = cutout(values, row.x_px, row.y_px, side, scale, study.images.size_px, np.nan)
    codes = kind.encode(values)
    if not (codes != codes.flat[0]).any():
        return "the cutout is blank", None
    png, pixels = _png(codes)
    return {
        "id": row.id,
        "image": png,
        "label": row.label,
        "noaa_ar": row.noaa_ar,
        "observed": time,
        "group": row.group,
        "frame": stem_of(row.image),
        "latitude_deg": row.latitude_deg,
        "longitude_deg": row.longitude_deg,
        "x_px": row.x_px,
        "y_px": row.y_px,
        "label_text": row.raw.text("label"),
        "source_file": row.raw.file,
        "source_sheet": row.raw.sheet,
        "source_row": row.raw.row,
        "image_file": row.image,
        "image_sha256": picture.sha256,
        "pixels_sha256": pixels,
        "header": json.dumps(dict(picture.header), sort_keys=True, default=str),
        "simulated": picture.simulated,
    }, None


def _time(row: Observation, picture: SolarImage) -> tuple[datetime | None, Problem | None]:
    """When it was observed: the image's own time where it has one, else the row's; they must agree."""
    if row.observed and picture.observed and abs(row.observed - picture.observed) > MAX_TIME_GAP:
        what = f"the row says {row.observed:%Y-%m-%d %H:%M:%S}, the image's header {picture.observed:%Y-%m-%d %H:%M:%S} UTC"
        return None, row.raw.problem(what, "correct the row or name the right image", field="observed")
    time = picture.observed or row.observed
    if time is None:
        hint = "map source.columns.observed: the image has no time of its own"
        return None, row.raw.problem("the time of observation is unknown", hint, field="observed")
    return time, None


def _too_far(longitude_deg: float, limit: float) -> str:
    return f"{abs(longitude_deg):.1f} degrees from the central meridian, beyond {limit:g}"


def _off_disc(row: Observation, frame: DiscFrame | None) -> Problem | None:
    """The problem of a position that no region can have, whatever its longitude limit."""
    if row.longitude_deg is not None and abs(row.longitude_deg) > MAX_LONGITUDE_DEG:
        what = f"longitude {row.longitude_deg:g} lies behind the Sun, off the solar disc"
        return row.raw.problem(what, "longitude counts from the central meridian, west positive", field="longitude_deg")
    if frame is None or row.x_px is None or row.y_px is None:
        return None
    distance = float(np.hypot(row.x_px - frame.center_px[0], row.y_px - frame.center_px[1])) / frame.radius_px
    if distance <= MAX_DISC_DISTANCE:
        return None
    what = f"position x {row.x_px:g}, y {row.y_px:g} lies off the solar disc"
    return row.raw.problem(what, "x counts from the left, y from the top, in pixels", field="x_px")


def _placed(row: Observation, frame: DiscFrame | None) -> tuple[Observation, Problem | None]:
    """The row with pixel and heliographic position filled in from each other; where both are given they must agree."""
    pixel = (row.x_px, row.y_px) if row.x_px is not None and row.y_px is not None else None
    both = row.latitude_deg is not None and row.longitude_deg is not None
    place = (row.latitude_deg or 0.0, row.longitude_deg or 0.0) if both else None
    if pixel is None and place is None:
        return row, None
    if frame is None:
        hint = "set images.center_px and images.arcsec_per_px"
        return row, row.raw.problem("the image has no coordinates, so a position means nothing", hint, field="image")
    if pixel is not None and not np.isfinite(unproject(*pixel, frame)[0]):
        what = f"position x {pixel[0]:g}, y {pixel[1]:g} lies off the solar disc"
        return row, row.raw.problem(what, "x counts from the left, y from the top, in pixels", field="x_px")
    if place is None:
        assert pixel is not None
        latitude, longitude = map(float, unproject(*pixel, frame))
        return replace(row, latitude_deg=latitude, longitude_deg=longitude), None
    x, y, _ = map(float, project(*place, frame))
    if pixel is None and not np.isfinite(x):
        what = f"position {place[0]:g}, {place[1]:g} lies behind the limb, off the solar disc"
        return row, row.raw.problem(what, "longitude counts from the central meridian", field="longitude_deg")
    if pixel is None:
        return replace(row, x_px=x, y_px=y), None
    apart = float(np.hypot(x - pixel[0], y - pixel[1]))
    if apart > MAX_POSITION_GAP * frame.radius_px:
        what = f"pixel and heliographic position lie {apart:.0f} px apart"
        return row, row.raw.problem(what, "y counts from the top, west is to the right, north is up", field="x_px")
    return row, None


def _png(codes: np.ndarray) -> tuple[bytes, str]:
    """8-bit codes as PNG, and the sha256 of the pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, "PNG")
    return buffer.getvalue(), hashlib.sha256(codes.tobytes() + repr(codes.shape).encode()).hexdigest()


def _reject_row(reject: Reject) -> dict[str, Any]:
    raw = reject.raw
    texts = {name: raw.text(name) for name in ("image", "noaa_ar", "label")}
    return {"file": raw.file, "sheet": raw.sheet, "row": raw.row, **texts, "reason": reject.reason}


def image_inventory(study: Study, rows: Iterable[RawRow]) -> Iterator[tuple[str, str]]:
    """(name, sha256 or 'missing') of each image the rows name: what a corpus was made from."""
    for name in sorted({row.text("image") for row in rows}):
        try:
            yield name, sha256_file(inside(study.image_root, name))
        except UnreadableImage:
            yield name, "missing"
