"""An image opened, and every row of it made an example, a reject with its reason, or a problem to mend."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.channels.channel import MAX_TIME_GAP, Channel, channel
from sdovis.corpus.duplicates import perceptual_hashes
from sdovis.corpus.observations import Observation, Reject, Sorted, no_position, stem_of
from sdovis.corpus.png import png_files
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage, inside, pointing_problem, read_image
from sdovis.images.quality import quality_problem
from sdovis.study import IMAGE_FIELDS, Images
from sdovis.sun.geometry import DiscFrame, cutout, heliographic_cutout, project, unproject

#: The two ways to give a position may differ by this share of the disc's radius: a flipped axis differs by more.
MAX_POSITION_GAP = 0.1
#: Rotating a day-old position may carry it just over the limb: that is far from the meridian, not a mistake.
MAX_LONGITUDE_DEG = 105.0
MAX_DISC_DISTANCE = 1.05
#: Pixels of examples made at once: the seven cutouts of a disc together cost less than seven, whole discs only memory.
PIXELS = 2**20

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """One channel's image: what was read, and its values in the channel's unit."""

    picture: SolarImage
    channel: Channel
    values: Floats


def look(root: Path, images: Images, rows: Sequence[Observation]) -> tuple[str, Sorted]:
    """Open the images that all ``rows`` share, one for each channel, and make each row's example.

    Returns the files' sha256 ('' where one cannot be used) with what became of the rows; ``kept`` holds dictionaries,
    a corpus row each with its PNG under ``image``.
    """
    out = Sorted()
    views = []
    for field, name, kind in zip(IMAGE_FIELDS, rows[0].images, images.channels, strict=False):
        try:
            views.append(_view(root, images, name, channel(kind), rows))
        except BadInput as error:  # every row of the image has the problem
            problem = error.problems[0]
            what = f"image {name!r}: {problem.what}"
            out.problems += [(row.raw, row.raw.problem(what, problem.hint, field=field)) for row in rows]
    if out.problems:
        return "", out
    sha = "; ".join(view.picture.sha256 for view in views)
    if reason := next(filter(None, (_unusable(images, view) for view in views)), None):
        out.rejects = [Reject(row.raw, reason) for row in rows]
        return sha, out
    usable = []
    for row in rows:
        judged = _judged(images, row, views)
        if isinstance(judged, Problem):
            out.problems.append((row.raw, judged))
        elif isinstance(judged, str):
            out.rejects.append(Reject(row.raw, judged))
        else:
            usable.append(judged)
    cut_out = images.cutout_arcsec or images.cutout_deg
    together = max(1, PIXELS // (images.size_px**2 if cut_out else views[0].values.size))
    for start in range(0, len(usable), together):
        some = usable[start : start + together]
        for row, example in zip(some, _examples(images, some, views), strict=True):
            if example is None:
                out.rejects.append(Reject(row.raw, "the cutout is blank"))
            else:
                out.kept.append(example)
    return sha, out


def _view(root: Path, images: Images, name: str, kind: Channel, rows: Sequence[Observation]) -> View:
    picture = read_image(
        inside(root, name),
        root=root,
        center_px=images.center_px,
        arcsec_per_px=images.arcsec_per_px,
        observed=next((row.observed for row in rows if row.observed), None),
    )
    return View(picture, kind, kind.values(picture))


def _unusable(images: Images, view: View) -> str | None:
    reason = quality_problem(view.picture) if images.check_quality else None
    return reason or (_bad_pointing(view.picture, view.values) if images.check_pointing else None)


def _bad_pointing(picture: SolarImage, values: Floats) -> str | None:
    """Why a full-disc frame is unusable; frames that hold a part of the disc are left alone."""
    frame = picture.frame
    if frame is None:
        return None
    (height, width), (x, y) = values.shape, frame.center_px
    full_disc = 0 <= x < width and 0 <= y < height and 2 * frame.radius_px < 1.2 * min(height, width)
    return pointing_problem(values, frame) if full_disc else None


def _judged(images: Images, row: Observation, views: Sequence[View]) -> Observation | str | Problem:
    """The observation with its time and place filled in, or the reason to reject it, or its problem."""
    first = views[0].picture
    time, problem = _time(row, views)
    problem = problem or _other_region(row, views) or _off_disc(row, first.frame)
    if problem is not None:
        return problem
    row = replace(row, observed=time)
    if first.grid is not None and row.longitude_deg is None:  # a map is about its region
        row = replace(row, latitude_deg=first.grid.latitude_deg, longitude_deg=first.grid.longitude_deg)
    limit = images.max_longitude_deg
    if limit is not None and row.longitude_deg is not None and abs(row.longitude_deg) > limit:
        return _too_far(row.longitude_deg, limit)
    if first.frame is not None or images.cutout_arcsec:  # else the position is a fact beside the image
        row, problem = _placed(row, first.frame)
    if problem is not None:
        return problem
    if limit is not None and row.longitude_deg is None:
        hint = "map source.columns.longitude_deg, or x_px and y_px with images.center_px"
        return row.raw.problem("the longitude is unknown, and images.max_longitude_deg is set", hint)
    if limit is not None and row.longitude_deg is not None and abs(row.longitude_deg) > limit:
        return _too_far(row.longitude_deg, limit)
    if images.cutout_deg and row.longitude_deg is None:
        return no_position(row.raw)
    return _uncut(images, row, views) or row


def _uncut(images: Images, row: Observation, views: Sequence[View]) -> Problem | None:
    """Why the row's examples cannot be cut out of the images, or do not fit together."""
    if images.cutout_deg and any(view.picture.frame is None and view.picture.grid is None for view in views):
        return _no_coordinates(row)
    if images.cutout_arcsec and any(view.picture.frame is None for view in views):
        return _no_coordinates(row)
    if images.cutout_deg or images.cutout_arcsec or len({view.values.shape for view in views}) == 1:
        return None
    shapes = " and ".join(" x ".join(map(str, view.values.shape)) for view in views)
    hint = "give three images of one size, or images.cutout_arcsec"
    return row.raw.problem(f"the channels' images differ in size: {shapes} px", hint, field="image")


def _examples(images: Images, rows: Sequence[Observation], views: Sequence[View]) -> list[dict[str, Any] | None]:
    """The corpus row of each observation; None where the picture is blank in a channel."""
    values = [np.stack([_cut(images, row, view) for row in rows]) for view in views]
    known = np.stack([np.isfinite(part) for part in values], axis=-1)
    layers = np.stack([view.channel.encode(part) for view, part in zip(views, values, strict=True)], axis=-1)
    counts = np.count_nonzero(known, axis=(1, 2, 3))
    codes = layers[..., 0] if len(views) == 1 else layers
    traits = {
        "image": png_files(codes),
        "missing_share": (1 - counts / known[0].size).tolist(),
        "mean_code": ((layers * known).sum(axis=(1, 2, 3)) / np.maximum(counts, 1)).tolist(),
        "perceptual_hash": perceptual_hashes(codes),
        "pixels_sha256": [
            hashlib.sha256(picture.tobytes() + repr(picture.shape).encode()).hexdigest() for picture in codes
        ],
    }
    shared = {
        "native_side_px": _native_side(images, views[0].picture, views[0].values),
        "image_sha256": "; ".join(view.picture.sha256 for view in views),
        "header": _headers(views),
        "simulated": any(view.picture.simulated for view in views),
    }
    own = (dict(zip(traits, found, strict=True)) for found in zip(*traits.values(), strict=True))
    blank = (layers == layers[:, :1, :1]).all(axis=(1, 2)).any(axis=-1)
    return [None if empty else _described(row) | shared | of for row, of, empty in zip(rows, own, blank, strict=True)]


def _described(row: Observation) -> dict[str, Any]:
    """The columns of a corpus row that its observation tells."""
    return {
        "id": row.id,
        "label": row.label,
        "noaa_ar": row.noaa_ar,
        "observed": row.observed,
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
        "image_file": "; ".join(row.images),
        "extra": json.dumps(row.raw.extra, sort_keys=True, ensure_ascii=False) if row.raw.extra else "",
    }


def _cut(images: Images, row: Observation, view: View) -> Floats:
    """The part of one channel's image that the row is about: each channel has its own frame, the place is one."""
    picture = view.picture
    if images.cutout_deg:
        where = picture.frame or picture.grid
        assert where is not None and row.latitude_deg is not None and row.longitude_deg is not None
        return heliographic_cutout(
            view.values, row.latitude_deg, row.longitude_deg, where, images.cutout_deg, images.size_px
        )
    if not images.cutout_arcsec:
        return view.values
    assert picture.frame is not None and row.x_px is not None and row.y_px is not None
    x, y = row.x_px, row.y_px
    if len(row.images) > 1 and row.latitude_deg is not None and row.longitude_deg is not None:
        x, y, _ = map(float, project(row.latitude_deg, row.longitude_deg, picture.frame))
    return cutout(view.values, x, y, images.cutout_arcsec, picture.frame.arcsec_per_px, images.size_px, np.nan)


def _native_side(images: Images, picture: SolarImage, values: Floats) -> float:
    """Side of the example in pixels of the image it was made from."""
    if images.cutout_arcsec and picture.frame is not None:
        return images.cutout_arcsec / picture.frame.arcsec_per_px
    if images.cutout_deg and picture.grid is not None:
        return images.cutout_deg / picture.grid.deg_per_px
    if images.cutout_deg and picture.frame is not None:
        return float(np.radians(images.cutout_deg)) * picture.frame.radius_px
    return float(max(values.shape))


def _headers(views: Sequence[View]) -> str:
    """What the files' headers say, as JSON: the header, or for several channels a header each, by channel."""
    headers = {view.channel.name: dict(view.picture.header) for view in views}
    said = headers if len(views) > 1 else next(iter(headers.values()))
    return json.dumps(said, sort_keys=True, default=str)


def _other_region(row: Observation, views: Sequence[View]) -> Problem | None:
    """A HARP may hold several regions: NOAA_ARS lists them, NOAA_AR is the first."""
    for view in views:
        header = view.picture.header
        said = {int(n) for key in ("NOAA_AR", "NOAA_ARS") for n in re.findall(r"\d+", str(header.get(key, "")))} - {0}
        if row.noaa_ar and said and row.noaa_ar not in said:
            what = f"the row says region {row.noaa_ar}, the image's header says {' and '.join(map(str, sorted(said)))}"
            return row.raw.problem(what, "correct one of them", field="noaa_ar")
    return None


def _no_coordinates(row: Observation) -> Problem:
    hint = "set images.center_px and images.arcsec_per_px"
    return row.raw.problem("the image has no coordinates, so a position means nothing", hint, field="image")


def _time(row: Observation, views: Sequence[View]) -> tuple[datetime | None, Problem | None]:
    """When it was observed: the image's own time where it has one, else the row's; they must agree."""
    known = [view.picture.observed for view in views if view.picture.observed]
    if known and max(known) - min(known) > MAX_TIME_GAP:
        times = " and ".join(f"{time:%Y-%m-%d %H:%M:%S}" for time in known)
        return None, row.raw.problem(
            f"the channels' images are of {times} UTC", "name images of one time", field="image"
        )
    seen = known[0] if known else None
    if row.observed and seen and abs(row.observed - seen) > MAX_TIME_GAP:
        what = f"the row says {row.observed:%Y-%m-%d %H:%M:%S}, the image's header {seen:%Y-%m-%d %H:%M:%S} UTC"
        return None, row.raw.problem(what, "correct the row or name the right image", field="observed")
    time = seen or row.observed
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
        return row, _no_coordinates(row)
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
