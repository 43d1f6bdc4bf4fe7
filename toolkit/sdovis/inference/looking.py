"""A child's look at one image that is asked about: read, placed, judged, cut out and coded, so that only codes return."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.channels.layers import Layer
from sdovis.channels.place import Position, pixel_of, sun_position
from sdovis.channels.view import View
from sdovis.corpus import build, examples, foreign
from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.images.images import SolarImage, read_image
from sdovis.images.quality import quality_problem
from sdovis.inference.inputs import Asked, Place, StudyImages
from sdovis.inference.region_lists import RegionList
from sdovis.inference.sources import codes, of_frame, time_of
from sdovis.sun.notation import regions

#: The side of a disc's picture that `wall` draws on, pixels.
PICTURE_PX = 1024


@dataclass(frozen=True)
class Spot:
    """A region that was looked at, as the table has it; ``notes`` are what a reader must know.

    ``coded`` says whether the network is shown it; ``side_px`` is the side of its cutout in the image.
    """

    region: int | None = None
    id: str = ""
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    x_px: float | None = None
    y_px: float | None = None
    near_limb: bool = False
    quality: str = ""
    notes: tuple[str, ...] = ()
    coded: bool = True
    side_px: float | None = None


@dataclass(frozen=True, eq=False)
class DiscShown:
    """A picture of the disc to draw on: codes in a colour table, or colours if ``table`` is "".

    ``zoom`` is its size as a multiple of the image's; the disc's centre and radius are in pixels of the image.
    """

    picture: NDArray[np.uint8]
    table: str
    zoom: float
    center_px: tuple[float, float]
    radius_px: float


@dataclass(frozen=True, eq=False)
class Shown:
    """What was seen of an image: its regions, and the codes (N, S, S) or (N, S, S, 3) of those that are ``coded``."""

    sha256: str
    observed: datetime | None
    spots: tuple[Spot, ...]
    codes: NDArray[np.uint8]
    disc: DiscShown | None = None


@dataclass(frozen=True)
class Sought:
    """What is wanted of every image.

    ``input_px`` (width, height) and ``resample`` are the processor's; ``position`` is that of --at. ``listed`` names the
    disc's regions, of which every one is looked at if there is no position. ``drawn`` asks for pictures of discs.
    """

    view: str
    input_px: tuple[int, int]
    resample: int
    position: Position | None = None
    listed: RegionList | None = None
    study: StudyImages | None = None
    drawn: bool = False


@cache
def _view(text: str) -> View:
    """Found once, by the process that forks the children: the functions of a plug-in's channel need not be picklable."""
    view = View.from_json(json.loads(text))
    for kind in view.channels:
        kind.encode(kind.levels)  # makes its table, which takes longer than an image
    return view


@dataclass(frozen=True)
class Look:
    """`look` for children. The process that forks them makes ready what each would otherwise make for itself."""

    sought: Sought

    def __call__(self, asked: Asked) -> Shown | Problem:
        return look(self.sought, asked)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _view(self.sought.view)


def look(sought: Sought, asked: Asked) -> Shown | Problem:
    """In the child: what is seen, or what is wrong."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            shown = _seen(_view(sought.view), sought, asked)
        notes = tuple(str(each.message) for each in said if each.filename.endswith(("looking.py", "sources.py")))
        return replace(shown, spots=tuple(replace(spot, notes=spot.notes + notes) for spot in shown.spots))
    except BadInput as error:
        first, *others = error.problems
        what = f"{first.what} (and {len(others)} more problems)" if others else first.what
        return replace(first, what=what, file=first.file or asked.name)


def _seen(view: View, sought: Sought, asked: Asked) -> Shown:
    if asked.frame:
        return _of_study(view, sought, asked)
    if asked.stored is not None:
        return _of_stored(view, sought, asked)
    return _of_files(view, sought, [read_image(file, observed=asked.observed) for file in asked.files])


def _of_files(view: View, sought: Sought, images: Sequence[SolarImage]) -> Shown:
    if sought.listed is not None and sought.position is None:
        return _of_regions(view, sought, images, sought.listed)
    coded, layers = of_frame(images, view, sought.position, sought.listed)
    spot = _spot(view, layers, sought.position, coded.notes)
    return _shown(view, sought, layers, [spot], coded.codes[None])


def _of_regions(view: View, sought: Sought, images: Sequence[SolarImage], listed: RegionList) -> Shown:
    """Every region that is listed at the image's time."""
    layers = view.layers(images)
    if not view.is_exceeded_by(layers[0]):
        what = "this is taken as a single cutout, not as a disc whose regions can be found"
        raise BadInput(Problem(what, "leave out --regions"))
    places = {number: Position(*place) for number, place in listed.at(time_of(layers)).items()}
    unseen = {number: why for number, place in places.items() if (why := _hidden(layers, place))}
    asked = [number for number in places if number not in unseen]
    spots = {number: replace(_spot(view, layers, places[number]), region=number) for number in asked}
    for number, why in unseen.items():
        latitude, longitude = places[number].on_sun or (None, None)
        spots[number] = Spot(number, "", latitude, longitude, notes=(why,), coded=False)
    if not places:
        nothing = Spot(notes=("no numbered region on the disc",), coded=False)
        return _shown(view, sought, layers, [nothing], np.empty((0, 1, 1), np.uint8))
    if not asked:
        return _shown(view, sought, layers, list(spots.values()), np.empty((0, 1, 1), np.uint8))
    others = [[place for number, place in places.items() if number != own] for own in asked]
    cut = view.cutouts(layers, [places[number] for number in asked], others)
    blank = cut.blank
    for number, empty in zip(asked, blank, strict=True):
        if empty:
            spots[number] = replace(spots[number], coded=False, notes=("there is nothing to see at that position",))
    ordered = [spots[number] for number in (*asked, *unseen)]
    return _shown(view, sought, layers, ordered, cut.codes[~blank])


def _hidden(layers: Sequence[Layer], place: Position) -> str:
    """Why a listed region cannot be looked at in an image; "" if it can."""
    image = layers[0].image
    latitude, longitude = place.on_sun or (0.0, 0.0)
    try:
        x, y = pixel_of(latitude, longitude, image)
    except BadInput as error:
        if image.frame is None:
            raise
        return error.problems[0].what
    height, width = image.values.shape[:2]
    return "" if -0.5 <= x < width and -0.5 <= y < height else "that position lies outside the image"


def _spot(view: View, layers: Sequence[Layer], position: Position | None, notes: tuple[str, ...] = ()) -> Spot:
    """What is known of a position, or of the middle of a cutout."""
    image = layers[0].image
    height, width = image.values.shape[:2]
    x, y = (width - 1) / 2, (height - 1) / 2
    number = None
    if position is not None:
        x, y = view.pixel(layers, position)
    elif named := regions(str(image.header.get("NOAA_AR", ""))):
        number = named[0]
    sun = (position.on_sun if position else None) or sun_position(x, y, image) or (None, None)
    latitude, longitude = (None if each is None or not np.isfinite(each) else float(each) for each in sun)
    return Spot(
        number,
        "",
        latitude,
        longitude,
        x,
        y,
        longitude is not None and bool(view.near_limb(longitude)),
        "; ".join(filter(None, (quality_problem(layer.image) for layer in layers))),
        notes,
        side_px=view.side_px(layers[0]) if position is not None else None,
    )


def _of_stored(view: View, sought: Sought, asked: Asked) -> Shown:
    """An image as a corpus or a dataset stores it."""
    data = asked.stored or b""
    if data.startswith(foreign.SOLAR):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "image.fits")
            file.write_bytes(data)
            shown = _of_files(view, sought, [replace(read_image(file, observed=asked.observed), path=None)])
        row = asked.places[0] if asked.places else Place()
        return replace(shown, spots=tuple(replace(s, id=row.id, region=s.region or row.region) for s in shown.spots))
    try:
        with Image.open(io.BytesIO(data), formats=foreign.FORMATS) as picture:
            if picture.width * picture.height > foreign.MAX_PIXELS:
                raise BadInput(f"{picture.width} x {picture.height} px are too many")
            found = codes(picture, view)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImage(asked.name, f"cannot be decoded: {foreign.in_words(error)}") from error
    spots = [
        Spot(place.region, place.id, *_on_sun(place.position), *_in_image(place.position), _limb(view, place.position))
        for place in asked.places
    ] or [Spot()]
    return Shown(
        asked.sha256 or hashlib.sha256(data).hexdigest(), asked.observed, tuple(spots), _resized(found[None], sought)
    )


def _on_sun(position: Position | None) -> tuple[float | None, float | None]:
    return (None, None) if position is None else (position.latitude_deg, position.longitude_deg)


def _in_image(position: Position | None) -> tuple[float | None, float | None]:
    return (None, None) if position is None else (position.x_px, position.y_px)


def _limb(view: View, position: Position | None) -> bool:
    longitude = None if position is None else position.longitude_deg
    return longitude is not None and bool(view.near_limb(longitude))


def _of_study(view: View, sought: Sought, asked: Asked) -> Shown:
    """The rows of a study's image, made examples as `sdovis prepare` makes them, but of the model's view."""
    assert sought.study is not None
    study = sought.study
    sha, out = examples.look(study.root, study.images, asked.frame, study.keywords, asked.numbered)
    if out.problems:
        raise BadInput(problem for _, problem in out.problems)
    spots = [
        Spot(row["noaa_ar"], row["id"], row["latitude_deg"], row["longitude_deg"], row["x_px"], row["y_px"],
             row["longitude_deg"] is not None and bool(view.near_limb(row["longitude_deg"])))
        for row in out.kept
    ]  # fmt: skip
    # A row that prepare would reject has its reason in the table.
    spots += [Spot(id=f"row {each.raw.row}", notes=(each.reason,), coded=False) for each in out.rejects]
    found = [build.codes_of(row["image"]) for row in out.kept]
    shown = _resized(np.stack(found), sought) if found else np.empty((0, 1, 1), np.uint8)
    observed = out.kept[0]["observed"] if out.kept else asked.observed
    return Shown(sha, observed, tuple(spots), shown)


def _shown(
    view: View, sought: Sought, layers: Sequence[Layer], spots: Sequence[Spot], found: NDArray[np.uint8]
) -> Shown:
    disc = _disc(layers[0]) if sought.drawn else None
    sha = "; ".join(layer.image.sha256 for layer in layers)
    return Shown(sha, layers[0].image.observed, tuple(spots), _resized(found, sought), disc)


def _resized(found: NDArray[np.uint8], sought: Sought) -> NDArray[np.uint8]:
    """As the processor would do it, which then finds nothing left to resize."""
    if found.shape[1:3] == sought.input_px[::-1] or not len(found):
        return found
    small = [np.asarray(Image.fromarray(each).resize(sought.input_px, sought.resample)) for each in found]
    return np.stack(small)


def _disc(layer: Layer) -> DiscShown | None:
    """The disc to draw on, no larger than `PICTURE_PX`; None where nothing says where the disc is."""
    image, kind = layer.image, layer.channel
    if image.frame is None:
        return None
    values: NDArray[Any] = image.values if image.is_picture or kind is None else kind.encode(layer.values)
    if (
        values.ndim == 3 and kind is not None and kind.spotted
    ):  # a colour that white light does not have hides the boxes'
        values = np.asarray(Image.fromarray(values).convert("L"))
    zoom = min(1.0, PICTURE_PX / max(values.shape[:2]))
    size = (round(values.shape[1] * zoom), round(values.shape[0] * zoom))
    small = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX)) if zoom < 1 else values
    table = "" if small.ndim == 3 else "gray" if image.is_picture or kind is None else kind.colormap
    return DiscShown(small, table, zoom, image.frame.center_px, image.frame.radius_px)
