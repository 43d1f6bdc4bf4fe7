"""An image opened, and each of its rows made an example, a reject with its reason, or a problem to fix."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sdovis import privacy
from sdovis.channels.channel import MAX_TIME_GAP, of_one_harp
from sdovis.channels.layers import Layer
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.corpus.duplicates import perceptual_hashes
from sdovis.corpus.observations import MAX_LONGITUDE_DEG, Observation, Reject, Sorted, no_position, stem_of
from sdovis.corpus.png import png_files
from sdovis.corpus.units import unit
from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.images import headers
from sdovis.images.images import located, read_image
from sdovis.images.keywords import Keywords
from sdovis.images.pointing import limb
from sdovis.images.timestamps import time_in_name
from sdovis.study import IMAGE_FIELDS, Images
from sdovis.sun.geometry import DiscFrame, central_meridian, project, unproject
from sdovis.sun.notation import regions
from sdovis.sun.times import of_sdo

#: The two ways to give a position may differ by this share of the disc radius; a flipped axis differs by more.
MAX_POSITION_GAP = 0.1
MAX_DISC_DISTANCE = 1.05
#: Pixels of examples made at once: seven cutouts of a disc cost less together than one by one, whole discs only memory.
PIXELS = 2**20


def look(
    root: Path,
    images: Images,
    rows: Sequence[Observation],
    keywords: Keywords | None = None,
    numbered: Sequence[Observation] = (),
) -> tuple[str, Sorted]:
    """Open the images that all ``rows`` share, one for each channel, and make each row's example.

    Returns the files' sha256 ('' if one cannot be used) and what became of the rows; ``kept`` holds one dictionary per
    corpus row, with its PNG under ``image``. ``keywords`` holds those of files that were exported without.
    ``numbered`` are all rows that number a region of the disc and say where it is, those left out included.
    """
    out = Sorted()
    view = View.of_study(images)
    observed = next((row.observed for row in rows if row.observed), None)
    layers = []
    for number, (field, name) in enumerate(zip(IMAGE_FIELDS, rows[0].images, strict=False)):
        try:
            cards = keywords.cards_of(name) if keywords else None
            image = read_image(located(root, name), root=root, observed=observed, keywords=cards)
            if keywords and not image.oriented:
                hint = (
                    "rows are joined by a column with the file's name, or by T_REC, HARPNUM and WAVELNTH in that name"
                )
                raise UnreadableImage(name, f"has no WCS, and {keywords.file} has no row for it", hint)
            layers.append(view.study_layer(image, number))
        except BadInput as error:  # every row of the image has the problem
            problem = error.problems[0]
            what = f"image {name!r}: {problem.what}"
            out.problems += [(row.raw, row.raw.problem(what, problem.hint, field=field)) for row in rows]
    if not out.problems:
        try:
            of_one_harp([layer.image for layer in layers])
        except BadInput as error:
            out.problems += [(row.raw, row.raw.problem(error.problems[0].what, field="image")) for row in rows]
    if out.problems:
        return "", out
    sha = "; ".join(layer.image.sha256 for layer in layers)
    if reason := view.unusable(layers):
        out.rejects = [Reject(row.raw, reason) for row in rows]
        return sha, out
    usable = []
    for row in rows:
        judged = _judged(images, view, row, layers)
        if isinstance(judged, Problem):
            out.problems.append((row.raw, judged))
        elif isinstance(judged, str):
            out.rejects.append(Reject(row.raw, judged))
        else:
            usable.append(judged)
    places = _places(usable, numbered) if view.masks and usable else {}
    together = max(1, PIXELS // (view.size_px**2 if view.cuts_out else layers[0].values.size))
    for start in range(0, len(usable), together):
        some = usable[start : start + together]
        for row, example in zip(some, _examples(view, some, layers, places), strict=True):
            if example is None:
                out.rejects.append(Reject(row.raw, "the cutout is blank"))
            else:
                out.kept.append(example)
    return sha, out


def disc_shown(root: Path, images: Images, rows: Sequence[Observation]) -> DiscFrame | None:
    """The disc that the limb draws in the first channel's image, in that image's pixels; None if it shows no limb."""
    try:
        observed = next((row.observed for row in rows if row.observed), None)
        image = read_image(located(root, rows[0].images[0]), root=root, observed=observed)
        layer = View.of_study(images).study_layer(image, 0)
    except BadInput:
        return None
    found = limb(layer.recorded) if image.frame is None else None  # a header's frame is not the study's to correct
    if found is None or layer.image.observed is None:
        return None
    radius = DiscFrame.at(layer.image.observed, found.center_px, 1.0).radius_arcsec
    return DiscFrame.at(layer.image.observed, found.center_px, radius / found.radius_px)


def _judged(images: Images, view: View, row: Observation, layers: Sequence[Layer]) -> Observation | str | Problem:
    """The observation with its time and position filled in, the reason to reject it, or its problem."""
    first = layers[0].image
    time, problem = _time(images, row, layers)
    if problem is not None:
        return problem
    known = _with_region(view, row, layers)
    if isinstance(known, Problem):
        return known
    row = _in_stonyhurst(replace(known, observed=time))
    if (problem := _off_disc(row, first.frame)) is not None:
        return problem
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
        what = "the longitude is unknown, and images.max_longitude_deg is set"
        return row.raw.problem(what, hint, kind="no position")
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


def _places(usable: Sequence[Observation], numbered: Sequence[Observation]) -> dict[tuple[int, ...], Position]:
    """Where the numbered regions of the disc are, at the time of the image; the first row of each counts, usable ones first.

    A row that names several regions places them together.
    """
    places: dict[tuple[int, ...], Position] = {}
    for row in (*usable, *(replace(row, observed=usable[0].observed) for row in numbered)):
        if row.regions:
            places.setdefault(row.regions, _in_stonyhurst(row).position)
    return places


def _examples(
    view: View, rows: Sequence[Observation], layers: Sequence[Layer], places: Mapping[tuple[int, ...], Position]
) -> list[dict[str, Any] | None]:
    """The corpus row of each observation; None if the cutout is blank in a channel."""
    others = [[place for names, place in places.items() if not set(names) & set(row.regions)] for row in rows]
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
        None if empty else _described(row) | {"unit": unit(row.regions, row.harp)} | shared | of
        for row, of, empty in zip(rows, own, cut.blank, strict=True)
    ]


def _described(row: Observation) -> dict[str, Any]:
    """The columns of a corpus row that come from its observation."""
    return {
        "id": row.id,
        "label": row.label,
        "noaa_ar": row.noaa_ar,
        "observed": row.observed,
        "group": "",  # known once all rows are
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
        "published_part": row.part,
        "beside": row.beside,
        "extra": json.dumps(row.raw.extra, sort_keys=True, ensure_ascii=False) if row.raw.extra else "",
    }


def _headers(layers: Sequence[Layer]) -> str:
    """The files' headers as JSON: the header, or with several channels one header per channel."""
    # Who wrote a file may have signed it: nobody needs that to use the image.
    headers = [{k: v for k, v in layer.image.header.items() if not any(privacy.found(str(v)))} for layer in layers]
    names = [layer.channel.name for layer in layers if layer.channel]
    said = dict(zip(names, headers, strict=True)) if len(layers) > 1 else headers[0]
    return json.dumps(said, sort_keys=True, default=str)


def _with_region(view: View, row: Observation, layers: Sequence[Layer]) -> Observation | Problem:
    """The row with the region and the HARP that the images' headers give; where the row names one, they must agree.

    A HARP may hold several regions: NOAA_ARS lists them, NOAA_AR is the first.
    """
    said: list[int] = []
    for layer in layers:
        for key in ("NOAA_AR", "NOAA_ARS"):
            try:
                said += regions(str(layer.image.header.get(key, "")))
            except BadInput as error:
                what = f"the image's header: {key}: {error.problems[0].what}"
                return row.raw.problem(what, "correct the header", field="noaa_ar")
    found = tuple(dict.fromkeys(said))
    harps = (headers.number(layer.image.header, "HARPNUM") for layer in layers)
    row = replace(row, harp=next((int(harp) for harp in harps if harp and harp > 0), None))
    if row.regions:
        if not found or set(row.regions) <= set(found):
            return row
        named, others = (" and ".join(map(str, sorted(of))) for of in (row.regions, found))
        what = f"the row says region {named}, the image's header says {others}"
        return row.raw.problem(what, "correct one of them", field="noaa_ar")
    if len(found) > 1 and view.cuts_out:
        what = f"the image's header names {len(found)} regions ({', '.join(map(str, found))}), and the row none of them"
        return row.raw.problem(what, "name the one that is cut out", field="noaa_ar", kind="several regions")
    return replace(row, noaa_ar=found[0]) if len(found) == 1 else replace(row, several=found)


def _no_coordinates(row: Observation) -> Problem:
    hint = "set images.center_px and images.arcsec_per_px"
    return row.raw.problem("the image has no coordinates, so positions in it are meaningless", hint, field="image")


def _time(images: Images, row: Observation, layers: Sequence[Layer]) -> tuple[datetime | None, Problem | None]:
    """When it was observed: the image's own time if its header has one, otherwise the row's; they must agree.

    Where the header has none, the row's time must agree with that in the image's name.
    """
    known = [time for layer in layers if (time := headers.observed(layer.image.header) or layer.image.observed)]
    if known and max(known) - min(known) > MAX_TIME_GAP:
        times = " and ".join(f"{time:%Y-%m-%d %H:%M:%S}" for time in known)
        return None, row.raw.problem(
            f"the channels' images were taken at {times} UTC", "name images of one time", field="image"
        )
    if row.observed and (problem := _other_time(images, row, row.observed, layers)):
        return None, problem
    time = known[0] if known else row.observed
    if time is None:
        hint = "set source.columns.observed: the image has no time of its own"
        return None, row.raw.problem("the time of observation is unknown", hint, field="observed")
    if not of_sdo(time):
        what = f"the image's header says {time:%Y-%m-%d %H:%M:%S} UTC, which lies outside the SDO era"
        return None, row.raw.problem(what, "correct the header", field="image")
    return time, None


def _other_time(images: Images, row: Observation, said: datetime, layers: Sequence[Layer]) -> Problem | None:
    """The problem of a row's time that is not that of an image's header or, where that gives none, of its name."""
    name = "the image's name"
    for layer in layers:
        image = layer.image
        seen = {"the image's header": headers.observed(image.header)}
        if not any(seen.values()):
            seen["the image's header" if image.header else "another row of the image"] = image.observed
            seen[name] = time_in_name(image.path.name) if images.check_names and image.path else None
        for where, time in seen.items():
            if time is None or abs(said - time) <= MAX_TIME_GAP:
                continue
            gap = _gap(said - time)
            what = f"the row says {said:%Y-%m-%d %H:%M:%S}, {where} {time:%Y-%m-%d %H:%M:%S} UTC: {gap}"
            hint = "correct the row or name the right image"
            if where == name:
                hint += ", or set images.check_names = false if the name's time is another"
            return row.raw.problem(what, hint, field="observed", kind=f"{where} {gap}")
    return None


def _gap(gap: timedelta) -> str:
    """How much later or earlier, in the largest fitting unit."""
    units = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
    name, size = next((name, size) for name, size in units.items() if abs(gap) >= size)
    value = f"{abs(gap) / size:.1f}".removesuffix(".0")
    return f"{value} {name}{'' if value == '1' else 's'} {'later' if gap > timedelta() else 'earlier'}"


def _in_stonyhurst(row: Observation) -> Observation:
    """The row with a Carrington longitude converted at its time."""
    if row.carrington_deg is None or row.observed is None:
        return row
    return replace(row, longitude_deg=(row.carrington_deg - central_meridian(row.observed) + 180) % 360 - 180)


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
