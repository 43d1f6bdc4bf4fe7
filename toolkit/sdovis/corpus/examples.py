"""An image opened, and each of its rows made an example, a reject with its reason, or a problem to fix."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sdovis.channels.channel import MAX_TIME_GAP
from sdovis.channels.layers import Layer
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.corpus.duplicates import perceptual_hashes
from sdovis.corpus.observations import Observation, Reject, Sorted, no_position, stem_of
from sdovis.corpus.png import png_files
from sdovis.errors import BadInput, Problem
from sdovis.images.images import inside, pointing_problem, read_image
from sdovis.images.quality import quality_problem
from sdovis.study import IMAGE_FIELDS, Images
from sdovis.sun.geometry import DiscFrame, project, unproject

#: The two ways to give a position may differ by this share of the disc radius; a flipped axis differs by more.
MAX_POSITION_GAP = 0.1
#: Rotating a day-old position may carry it just beyond the limb: far from the meridian, but not a mistake.
MAX_LONGITUDE_DEG = 105.0
MAX_DISC_DISTANCE = 1.05
#: Pixels of examples made at once: seven cutouts of a disc cost less together than one by one, whole discs only memory.
PIXELS = 2**20


def look(
    root: Path, images: Images, rows: Sequence[Observation], regions: Mapping[int, Position] | None = None
) -> tuple[str, Sorted]:
    """Open the images that all ``rows`` share, one for each channel, and make each row's example.

    ``regions`` are all numbered regions of the disc, those of rows left out included: number -> position.

    Returns the files' sha256 ('' if one cannot be used) and what became of the rows; ``kept`` holds one dictionary per
    corpus row, with its PNG under ``image``.
    """
    out = Sorted()
    view = View.of_study(images)
    observed = next((row.observed for row in rows if row.observed), None)
    layers = []
    for number, (field, name) in enumerate(zip(IMAGE_FIELDS, rows[0].images, strict=False)):
        try:
            image = read_image(inside(root, name), root=root, observed=observed)
            layers.append(view.study_layer(image, number))
        except BadInput as error:  # every row of the image has the problem
            problem = error.problems[0]
            what = f"image {name!r}: {problem.what}"
            out.problems += [(row.raw, row.raw.problem(what, problem.hint, field=field)) for row in rows]
    if out.problems:
        return "", out
    sha = "; ".join(layer.image.sha256 for layer in layers)
    if reason := next(filter(None, (_unusable(images, layer) for layer in layers)), None):
        out.rejects = [Reject(row.raw, reason) for row in rows]
        return sha, out
    usable = []
    for row in rows:
        judged = _judged(view, row, layers)
        if isinstance(judged, Problem):
            out.problems.append((row.raw, judged))
        elif isinstance(judged, str):
            out.rejects.append(Reject(row.raw, judged))
        else:
            usable.append(judged)
    together = max(1, PIXELS // (view.size_px**2 if view.cuts_out else layers[0].values.size))
    for start in range(0, len(usable), together):
        some = usable[start : start + together]
        for row, example in zip(some, _examples(view, some, layers, regions or {}), strict=True):
            if example is None:
                out.rejects.append(Reject(row.raw, "the cutout is blank"))
            else:
                out.kept.append(example)
    return sha, out


def _unusable(images: Images, layer: Layer) -> str | None:
    reason = quality_problem(layer.image) if images.check_quality else None
    return reason or (_bad_pointing(layer) if images.check_pointing else None)


def _bad_pointing(layer: Layer) -> str | None:
    """Why a full-disc image is unusable; images that show only some of the disc are not judged."""
    frame = layer.image.frame
    if frame is None:
        return None
    (height, width), (x, y) = layer.values.shape, frame.center_px
    full_disc = 0 <= x < width and 0 <= y < height and 2 * frame.radius_px < 1.2 * min(height, width)
    return pointing_problem(layer.values, frame) if full_disc else None


def _judged(view: View, row: Observation, layers: Sequence[Layer]) -> Observation | str | Problem:
    """The observation with its time and position filled in, the reason to reject it, or its problem."""
    first = layers[0].image
    time, problem = _time(row, layers)
    problem = problem or _other_region(row, layers) or _off_disc(row, first.frame)
    if problem is not None:
        return problem
    row = replace(row, observed=time)
    if first.grid is not None and row.longitude_deg is None:  # a map is about its region
        row = replace(row, latitude_deg=first.grid.latitude_deg, longitude_deg=first.grid.longitude_deg)
    limit = view.max_longitude_deg
    if limit is not None and row.longitude_deg is not None and abs(row.longitude_deg) > limit:
        return _too_far(row.longitude_deg, limit)
    if first.frame is not None or view.cutout_arcsec:  # otherwise the position is only a fact beside the image
        row, problem = _completed(row, first.frame)
    if problem is not None:
        return problem
    if limit is not None and row.longitude_deg is None:
        hint = "set source.columns.longitude_deg, or x_px and y_px with images.center_px"
        return row.raw.problem("the longitude is unknown, and images.max_longitude_deg is set", hint)
    if limit is not None and row.longitude_deg is not None and abs(row.longitude_deg) > limit:
        return _too_far(row.longitude_deg, limit)
    if view.cutout_deg and row.longitude_deg is None:
        return no_position(row.raw)
    return _uncut(view, row, layers) or row


def _uncut(view: View, row: Observation, layers: Sequence[Layer]) -> Problem | None:
    """Why the row's example cannot be cut out of the images, or why the images do not fit together."""
    if view.cutout_deg and any(layer.image.frame is None and layer.image.grid is None for layer in layers):
        return _no_coordinates(row)
    if view.cutout_arcsec and any(layer.image.frame is None for layer in layers):
        return _no_coordinates(row)
    if view.cuts_out or len({layer.values.shape for layer in layers}) == 1:
        return None
    shapes = " and ".join(" x ".join(map(str, layer.values.shape)) for layer in layers)
    hint = "use images of one size, or set images.cutout_arcsec"
    return row.raw.problem(f"the channels' images differ in size: {shapes} px", hint, field="image")


def _examples(
    view: View, rows: Sequence[Observation], layers: Sequence[Layer], regions: Mapping[int, Position]
) -> list[dict[str, Any] | None]:
    """The corpus row of each observation; None if the cutout is blank in a channel."""
    others = [[place for number, place in regions.items() if number != row.noaa_ar] for row in rows]
    cut = view.cutouts(layers, [row.position for row in rows], others)
    known = cut.known
    counts = np.count_nonzero(known, axis=(1, 2, 3))
    traits = {
        "image": png_files(cut.codes),
        "missing_share": (1 - counts / known[0].size).tolist(),
        "masked_share": [None] * len(rows) if cut.masked_share is None else cut.masked_share.tolist(),
        "mean_code": ((cut.layers * known).sum(axis=(1, 2, 3)) / np.maximum(counts, 1)).tolist(),
        "perceptual_hash": perceptual_hashes(cut.codes),
        "pixels_sha256": [
            hashlib.sha256(picture.tobytes() + repr(picture.shape).encode()).hexdigest() for picture in cut.codes
        ],
    }
    shared = {
        "native_side_px": view.side_px(layers[0]),
        "image_sha256": "; ".join(layer.image.sha256 for layer in layers),
        "header": _headers(layers),
        "simulated": any(layer.image.simulated for layer in layers),
    }
    own = (dict(zip(traits, found, strict=True)) for found in zip(*traits.values(), strict=True))
    return [
        None if empty else _described(row) | shared | of for row, of, empty in zip(rows, own, cut.blank, strict=True)
    ]


def _described(row: Observation) -> dict[str, Any]:
    """The columns of a corpus row that come from its observation."""
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


def _headers(layers: Sequence[Layer]) -> str:
    """The files' headers as JSON: the header, or with several channels one header per channel."""
    headers = [dict(layer.image.header) for layer in layers]
    names = [layer.channel.name for layer in layers if layer.channel]
    said = dict(zip(names, headers, strict=True)) if len(layers) > 1 else headers[0]
    return json.dumps(said, sort_keys=True, default=str)


def _other_region(row: Observation, layers: Sequence[Layer]) -> Problem | None:
    """A HARP may hold several regions: NOAA_ARS lists them, NOAA_AR is the first."""
    for layer in layers:
        header = layer.image.header
        said = {int(n) for key in ("NOAA_AR", "NOAA_ARS") for n in re.findall(r"\d+", str(header.get(key, "")))} - {0}
        if row.noaa_ar and said and row.noaa_ar not in said:
            what = f"the row says region {row.noaa_ar}, the image's header says {' and '.join(map(str, sorted(said)))}"
            return row.raw.problem(what, "correct one of them", field="noaa_ar")
    return None


def _no_coordinates(row: Observation) -> Problem:
    hint = "set images.center_px and images.arcsec_per_px"
    return row.raw.problem("the image has no coordinates, so positions in it are meaningless", hint, field="image")


def _time(row: Observation, layers: Sequence[Layer]) -> tuple[datetime | None, Problem | None]:
    """When it was observed: the image's own time if it has one, otherwise the row's; they must agree."""
    known = [layer.image.observed for layer in layers if layer.image.observed]
    if known and max(known) - min(known) > MAX_TIME_GAP:
        times = " and ".join(f"{time:%Y-%m-%d %H:%M:%S}" for time in known)
        return None, row.raw.problem(
            f"the channels' images were taken at {times} UTC", "name images of one time", field="image"
        )
    seen = known[0] if known else None
    if row.observed and seen and abs(row.observed - seen) > MAX_TIME_GAP:
        what = f"the row says {row.observed:%Y-%m-%d %H:%M:%S}, the image's header {seen:%Y-%m-%d %H:%M:%S} UTC"
        return None, row.raw.problem(what, "correct the row or name the right image", field="observed")
    time = seen or row.observed
    if time is None:
        hint = "set source.columns.observed: the image has no time of its own"
        return None, row.raw.problem("the time of observation is unknown", hint, field="observed")
    return time, None


def _too_far(longitude_deg: float, limit: float) -> str:
    return f"{abs(longitude_deg):.1f} degrees from the central meridian, beyond {limit:g}"


def _off_disc(row: Observation, frame: DiscFrame | None) -> Problem | None:
    """The problem of a position that no region can have, whatever its longitude limit."""
    if row.longitude_deg is not None and abs(row.longitude_deg) > MAX_LONGITUDE_DEG:
        what = f"longitude {row.longitude_deg:g} lies behind the Sun, off the solar disc"
        return row.raw.problem(
            what, "longitude is measured from the central meridian, west positive", field="longitude_deg"
        )
    if frame is None or row.x_px is None or row.y_px is None:
        return None
    distance = float(np.hypot(row.x_px - frame.center_px[0], row.y_px - frame.center_px[1])) / frame.radius_px
    if distance <= MAX_DISC_DISTANCE:
        return None
    what = f"position x {row.x_px:g}, y {row.y_px:g} lies off the solar disc"
    return row.raw.problem(what, "x is measured from the left, y from the top, in pixels", field="x_px")


def _completed(row: Observation, frame: DiscFrame | None) -> tuple[Observation, Problem | None]:
    """The row with pixel and heliographic position filled in from each other; if both are given they must agree."""
    pixel = (row.x_px, row.y_px) if row.x_px is not None and row.y_px is not None else None
    both = row.latitude_deg is not None and row.longitude_deg is not None
    degrees = (row.latitude_deg or 0.0, row.longitude_deg or 0.0) if both else None
    if pixel is None and degrees is None:
        return row, None
    if frame is None:
        return row, _no_coordinates(row)
    if pixel is not None and not np.isfinite(unproject(*pixel, frame)[0]):
        what = f"position x {pixel[0]:g}, y {pixel[1]:g} lies off the solar disc"
        return row, row.raw.problem(what, "x is measured from the left, y from the top, in pixels", field="x_px")
    if degrees is None:
        assert pixel is not None
        latitude, longitude = map(float, unproject(*pixel, frame))
        return replace(row, latitude_deg=latitude, longitude_deg=longitude), None
    x, y, _ = map(float, project(*degrees, frame))
    if pixel is None and not np.isfinite(x):
        what = f"position {degrees[0]:g}, {degrees[1]:g} lies behind the limb, off the solar disc"
        return row, row.raw.problem(what, "longitude is measured from the central meridian", field="longitude_deg")
    if pixel is None:
        return replace(row, x_px=x, y_px=y), None
    apart = float(np.hypot(x - pixel[0], y - pixel[1]))
    if apart > MAX_POSITION_GAP * frame.radius_px:
        what = f"pixel and heliographic position lie {apart:.0f} px apart"
        return row, row.raw.problem(what, "y is measured from the top, west is to the right, north is up", field="x_px")
    return row, None
