"""What the page needs of an upload, small: read, placed, judged, cut out and scaled down in a child that may be killed.

Full-size pixels never reach the page's own process: a picture of 200 MB in memory may be a file of less than one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.channels.channel import Codes
from sdovis.channels.layers import Cutouts, Layer
from sdovis.channels.place import Position, sun_position
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem, UnreadableImage
from sdovis.images.images import SolarImage, read_image
from sdovis.images.isolation import READING_IMPORTS, Death, isolated
from sdovis.images.quality import quality_problem
from sdovis.webapp import colours, header
from sdovis.webapp.listing import NONE, Listing, NamedRegion

#: SDO's cameras have 4096 pixels per side, and no archive publishes larger pictures. FITS files may be maps.
MAX_PICTURE_SIDE = 4096
#: For a FITS file of the largest size that is read, to be read and looked at.
SECONDS, MEMORY_BYTES = 20.0, 3 * 2**29
IMPORTS = (*READING_IMPORTS, "sdovis.webapp.sight", "matplotlib.pyplot", "sunpy.visualization.colormaps")


@dataclass(frozen=True)
class Wish:
    """What is wanted of the files of one image.

    ``position`` or ``shown_px``, a pixel of the picture that the page shows, say where to cut out; ``regions`` are those of
    the disc: all of them are cut out if it is ``surveyed``, else they are the position's neighbours. The network takes
    ``input_px`` (width, height), resized with Pillow's filter ``resample``. Without ``pictures`` none are made; they have
    sides of about ``shown_side`` and ``cutout_side`` pixels.
    """

    files: tuple[Path, ...]
    position: Position | None = None
    shown_px: tuple[float, float] | None = None
    regions: Listing = NONE
    surveyed: bool = False
    input_px: tuple[int, int] = (224, 224)
    resample: int = Image.Resampling.BILINEAR
    pictures: bool = True
    shown_side: int = 1024
    cutout_side: int = 480


@dataclass(frozen=True, eq=False)
class Sight:
    """What was seen: ``codes`` as the network takes them, None if a position is wanted first.

    ``picture`` is the image, or that of the first channel, in SDO's colours, with the cutout framed; ``seen`` is what the
    network is shown, and ``grey`` the same as a background for the overlay; None where no pictures were wished.
    """

    facts: list[tuple[str, str]]
    notes: list[str]
    codes: Codes | None = None
    picture: Image.Image | None = None
    seen: Image.Image | None = None
    grey: Image.Image | None = None
    wants_position: bool = False
    has_coordinates: bool = False
    is_picture: bool = False


@dataclass(frozen=True, eq=False)
class SeenRegion:
    """A region of a disc: its ``codes`` as the network takes them and what must be known of them, or ``why`` there are none.

    ``box`` is the cutout's centre (x, y) and side in pixels of the picture of the disc; None if it has no place in it.
    """

    place: NamedRegion
    codes: Codes | None = None
    notes: tuple[str, ...] = ()
    why: str = ""
    box: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Survey:
    """A disc with all its regions; ``picture`` as that of a `Sight`."""

    facts: list[tuple[str, str]]
    spots: list[SeenRegion]
    picture: Image.Image | None
    is_picture: bool


@dataclass(frozen=True)
class _Box:
    """Where the cutout lies: its centre and side in pixels of the first channel's image, and its centre on the Sun."""

    x: float
    y: float
    side: float
    sun: tuple[float, float] | None


def seen(view: View, wish: Wish, wanted: Callable[[], bool] | None = None) -> Sight:
    """What the child saw. Raises `BadInput`, also for files that kill the child or if nobody ``wanted`` it any more."""
    result = _in_a_child(view, wish, wanted)
    assert isinstance(result, Sight)
    return result


def surveyed(view: View, wish: Wish, wanted: Callable[[], bool] | None = None) -> Survey:
    """What the child saw of all the regions of a disc. Raises `BadInput` as `seen` does, and for what is no disc."""
    result = _in_a_child(view, replace(wish, surveyed=True), wanted)
    assert isinstance(result, Survey)
    return result


def _in_a_child(view: View, wish: Wish, wanted: Callable[[], bool] | None) -> Sight | Survey:
    imports = dict.fromkeys((*IMPORTS, *(name for kind in view.channels for name in kind.imports)))
    look = _Look(json.dumps(view.to_json()))
    seconds = 2 * SECONDS if wish.surveyed else SECONDS
    result = isolated(look, wish, seconds=seconds, memory_bytes=MEMORY_BYTES, imports=tuple(imports), wanted=wanted)
    if isinstance(result, Death):
        raise UnreadableImage(wish.files[0], result.why)
    if isinstance(result, tuple):
        raise BadInput(result)
    return result


class _Look:
    """A child's work. It goes there as text: the functions of a plug-in's channel need not be picklable."""

    def __init__(self, view: str) -> None:
        self.text, self.view = view, _view(view)

    def __reduce__(self) -> tuple[type[_Look], tuple[str]]:
        return _Look, (self.text,)

    def __call__(self, wish: Wish) -> Sight | Survey | tuple[Problem, ...]:
        return _looked(self.view, wish)


@cache
def _view(text: str) -> View:
    """Found once, by the process that forks the children."""
    return View.from_json(json.loads(text))


def _looked(view: View, wish: Wish) -> Sight | Survey | tuple[Problem, ...]:
    """In the child: the sight, or what is wrong."""
    try:
        layers = view.layers([read_image(file, max_picture_side=MAX_PICTURE_SIDE) for file in wish.files])
        eye = _Eye(view, wish, layers)
        return eye.survey() if wish.surveyed else eye.sight()
    except BadInput as error:
        return tuple(error.problems)


class _Eye:
    """The layers of one image, looked at as wished."""

    def __init__(self, view: View, wish: Wish, layers: Sequence[Layer]) -> None:
        self.view, self.wish, self.layers = view, wish, layers
        self.small, self.factor = colours.shrunk(layers[0].values, wish.shown_side)
        self.kind = view.channels[0] if view.channels else None

    def sight(self) -> Sight:
        view, wish, layers = self.view, self.wish, self.layers
        given = wish.position is not None or wish.shown_px is not None
        if not view.is_exceeded_by(layers[0]):
            notes = ["The position was not used: the whole image is taken as one cutout."] if given else []
            return self._of(view.whole(layers), None, notes + view.caution(layers))
        if not given:
            shown = self._enlarged(wish.shown_side)[0] if wish.pictures else None
            return Sight(self._facts(None), [], None, shown, None, None, True, *_kind(layers[0].image))
        position = wish.position or self._clicked(*(wish.shown_px or (0.0, 0.0)))
        others, notes = view.others(layers, position, self._listed() if view.masks and wish.regions else [])
        cut = view.cutout(layers, position, others)
        x, y = view.pixel(layers, position)
        sun = position.on_sun or sun_position(x, y, layers[0].image)
        return self._of(cut, _Box(x, y, view.side_px(layers[0]), sun), notes)

    def survey(self) -> Survey:
        """All the regions that are listed, in the order of their names."""
        view, layers = self.view, self.layers
        if not view.is_exceeded_by(layers[0]):
            raise BadInput(Problem("is no whole disc: it is taken as one cutout", "send the disc, or no regions"))
        zoom = self.factor * self._times
        side = view.side_px(layers[0]) * zoom
        found: list[SeenRegion] = []
        places = sorted(self.wish.regions.at(layers[0].image.observed), key=lambda place: place.name)
        everywhere = [place.position for place in places]
        for place in places:
            try:
                x, y = view.pixel(layers, place.position)
                others, notes = view.others(layers, place.position, everywhere if view.masks else [])
            except BadInput as error:
                found.append(SeenRegion(place, why=error.problems[0].what))
                continue
            box = ((x + 0.5) * zoom, (y + 0.5) * zoom, side)
            try:
                cut = view.cutout(layers, place.position, others)
            except BadInput as error:
                found.append(SeenRegion(place, why=error.problems[0].what, box=box))
                continue
            cautions = self._cautions(cut.values[0][0], _Box(x, y, side, place.position.on_sun))
            found.append(SeenRegion(place, self._resized(cut.codes[0]), (*notes, *cautions), box=box))
        picture = self._enlarged(self.wish.shown_side)[0] if self.wish.pictures else None
        return Survey(self._facts(None), found, picture, _kind(layers[0].image)[1])

    def _listed(self) -> list[Position]:
        return [place.position for place in self.wish.regions.at(self.layers[0].image.observed)]

    @property
    def _times(self) -> int:
        """How often each pixel of the picture of a disc is repeated."""
        times: int = round(self.wish.shown_side / max(self.small.shape[:2]))
        return max(1, times)

    def _clicked(self, x: float, y: float) -> Position:
        zoom = self.factor * self._times
        return Position(x_px=(x + 0.5) / zoom - 0.5, y_px=(y + 0.5) / zoom - 0.5)

    def _of(self, cut: Cutouts, box: _Box | None, notes: list[str]) -> Sight:
        """The sight of ``cut``: the whole images, or their cutouts at ``box``."""
        cutouts, codes = [values[0] for values in cut.values], cut.codes[0]
        picture = shown = grey = None
        if self.wish.pictures:
            picture, times = self._enlarged(self.wish.cutout_side if box is None else self.wish.shown_side)
            shown, grey = self._shown(cutouts[0], codes)
            if box is not None:
                zoom = self.factor * times
                picture = colours.framed(picture, (box.x + 0.5) * zoom, (box.y + 0.5) * zoom, box.side * zoom)
        return Sight(
            self._facts(None if box is None else (box.x, box.y)),
            notes + self._cautions(cutouts[0], box),
            self._resized(codes),
            picture,
            shown,
            grey,
            box is not None,
            *_kind(self.layers[0].image),
        )

    def _resized(self, codes: Codes) -> Codes:
        """As the processor would do it, which then finds nothing left to resize."""
        return np.asarray(Image.fromarray(codes).resize(self.wish.input_px, self.wish.resample))

    def _enlarged(self, side: int) -> tuple[Image.Image, int]:
        return colours.enlarged(colours.coloured(self.small, self.kind), side)

    def _shown(self, cutout: NDArray[Any], codes: NDArray[Any]) -> tuple[Image.Image, Image.Image]:
        """What the network is shown, in colours for the eye, and a grey background for the overlay."""
        if len(self.view.channels) > 1:  # the colours are the channels: the picture itself is what the network sees
            small, _ = colours.shrunk(codes, self.wish.shown_side)
            shown, _ = colours.enlarged(small, self.wish.cutout_side)
            return shown, shown.convert("L")
        small, _ = colours.shrunk(cutout, self.wish.shown_side)
        shown, _ = colours.enlarged(colours.coloured(small, self.kind), self.wish.cutout_side)
        grey, _ = colours.enlarged(colours.coloured(small, self.kind, table="gray"), self.wish.cutout_side)
        return shown, grey

    def _facts(self, centre: tuple[float, float] | None) -> list[tuple[str, str]]:
        facts, kinds = header.facts(self.layers[0].image, centre), self.view.channels
        if len(kinds) > 1:
            names = [layer.image.path.name if layer.image.path else "" for layer in self.layers]
            files = "; ".join(f"{kind.title}: {name}" for kind, name in zip(kinds, names, strict=True))
            facts.append(("Channels", files if len(set(names)) > 1 else ", ".join(kind.title for kind in kinds)))
        return facts

    def _cautions(self, values: NDArray[Any], box: _Box | None) -> list[str]:
        found = dict.fromkeys(filter(None, (quality_problem(layer.image) for layer in self.layers)))
        notes = [f"The file's header warns against using it: {problem}." for problem in found]
        height, width = values.shape[:2]
        if max(height, width) > 1.1 * min(height, width):
            notes.append(f"The image is not square ({width} × {height} px) and was squeezed into the network's square.")
        if box is not None and box.sun is not None and (caution := self.view.near_limb(box.sun[1])):
            notes.append(f"The region lies {caution}.")
        return notes


def _kind(image: SolarImage) -> tuple[bool, bool]:
    """`Sight.has_coordinates` and `Sight.is_picture`."""
    return image.frame is not None or image.grid is not None, image.format not in ("FITS", "JPEG2000")
