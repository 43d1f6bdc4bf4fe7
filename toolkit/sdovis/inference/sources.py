"""What the network is shown of a source: a file, a PIL image, an array, or the files of one image of three channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.channels.channel import Channel, Codes, together
from sdovis.channels.layers import Coded, Layer, of_whole, shown
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage, read_image
from sdovis.images.isolation import read_isolated
from sdovis.images.pictures import eight_bits
from sdovis.inference.region_lists import RegionList


def codes(source: Any, view: View) -> Codes:
    """What the network is shown of ``source``, before its processor: the codes of the view's channels.

    ``source`` is a path, a PIL image, a `SolarImage` or an array: uint8 is a picture, any other type physical values;
    for three channels also a tuple or a mapping of these. Returns (H, W) for one channel, (H, W, 3) for three. Raises
    `BadInput` for an unusable image, and if an image's header says that it spans something other than the view.
    """
    if isinstance(source, Coded):
        return source.codes
    if len(view.channels) > 1 and isinstance(source, Mapping | tuple | list):
        images = [_opened(each) for each in _of_each(source, view.channels)]
        together([image for image in images if isinstance(image, SolarImage)])
        layers = [layer for number, each in enumerate(images) for layer in view.cut_already(each, number)]
    else:
        layers = view.cut_already(_opened(source), 0 if len(view.channels) < 2 else None)
    return shown(of_whole(layers)).codes


def gathered(
    files: Sequence[str | Path], view: View, position: Position | None = None, regions: RegionList | None = None
) -> Coded:
    """What to give the pipeline for the files of one image, opened in child processes; otherwise as `of_frame`.

    Raises `BadInput` also if one cannot be read.
    """
    images = [read_isolated(file) for file in files]
    try:
        return of_frame(images, view, position, regions)[0]
    except BadInput as error:
        named = ",".join(map(str, files))
        raise BadInput(replace(problem, file=problem.file or named) for problem in error.problems) from error


def of_frame(
    images: Sequence[SolarImage], view: View, position: Position | None = None, regions: RegionList | None = None
) -> tuple[Coded, list[Layer]]:
    """What the network is shown of the images of one frame, one for each channel in any order, and their layers.

    ``position`` is where to cut out a region from images that show more than the network looks at; ``regions`` name the
    disc's other regions, for a view that masks them. What a reader must know is in the notes. Raises `BadInput` if headers
    and names do not say which file belongs to which channel, if a position is missing or not needed, or if no regions are
    listed near the image's time.
    """
    layers = view.layers(images)
    exceeded = view.is_exceeded_by(layers[0])
    if exceeded and position is None:
        first = layers[0].image
        hint = "" if first.frame or first.grid else "keep the name that the archive gave the file, and "
        hint += "say where the region is, as in --at S21W42"
        raise BadInput(Problem("shows more than the model looks at", hint))
    if position is not None and not exceeded:
        for layer in layers:
            view.refuse_other_span(layer)
        what = "this is taken as a single cutout, which needs no position"
        raise BadInput(Problem(what, "leave out --at"))
    if position is None:
        found, notes = view.whole(layers), view.caution(layers)
    else:
        listed = [] if regions is None else [Position(*place) for place in regions.at(time_of(layers)).values()]
        others, notes = view.others(layers, position, listed)
        found = view.cutout(layers, position, others)
    return Coded(found.codes[0], tuple(notes)), layers


def time_of(layers: Sequence[Layer]) -> datetime:
    """When the images were taken (UTC). Raises `BadInput` if nothing says so."""
    observed = layers[0].image.observed
    if observed is None:
        raise BadInput("without its time of observation the regions of its day cannot be found")
    return observed


def _opened(source: Any) -> SolarImage | NDArray[Any]:
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        raise BadInput(Problem("web addresses are not opened", "download the image first", file=source))
    if isinstance(source, str | Path):
        source = read_image(source)
    elif isinstance(source, Image.Image):
        source = _from_pil(source)
    elif isinstance(source, np.ndarray):
        source = _from_array(source)
    if not isinstance(source, SolarImage | np.ndarray):
        raise BadInput(
            Problem(f"a {type(source).__name__} is not an image", "give a path, a PIL image or a numpy array")
        )
    return source


def _of_each(source: Mapping[str, Any] | Sequence[Any], kinds: Sequence[Channel]) -> list[Any]:
    """The sources in the order of the channels."""
    names = [kind.name for kind in kinds]
    wanted = f"the model sees {', '.join(names)}"
    if isinstance(source, Mapping):
        if source.keys() != set(names):
            raise BadInput(Problem(f"sources are given for {', '.join(map(str, source))}, but {wanted}"))
        return [source[name] for name in names]
    if len(source) != len(kinds):
        raise BadInput(Problem(f"{len(source)} sources are given, but {wanted}", "give one for each, in this order"))
    return list(source)


def _from_pil(image: Image.Image) -> SolarImage:
    if image.mode[:1] in "IF":
        raise BadInput(
            Problem(f"values of a PIL image of mode {image.mode} would be clipped at 255", "pass it as an array")
        )
    name = getattr(image, "filename", "")  # of the file that it was opened from
    codes = eight_bits(image, name or "the PIL image")
    path = Path(name) if name else None
    return SolarImage(codes, "grey" if codes.ndim == 2 else "rgb", path=path, format=image.format or "")


def _from_array(values: NDArray[Any]) -> NDArray[Any]:
    """A plain array of numbers, NaN where a mask hides one. Raises `BadInput` for what is no image of numbers."""
    what = ""
    if values.dtype.kind not in "uif":
        what = f"an array of type {values.dtype} is not an image"
    elif not values.size or not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)):
        what = f"an array of shape {values.shape} is not an image of shape (H, W) or (H, W, 3)"
    elif (unit := getattr(values, "unit", None)) is not None:
        what = f"an array with the unit {str(unit)!r} is not taken"
    elif np.ma.is_masked(values) and values.dtype == np.uint8:
        what = "an array of codes with a mask is not taken"
    if what:
        raise BadInput(Problem(what, "pass a plain array of the channel's values, or of uint8 codes"))
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float32), np.nan) if np.ma.is_masked(values) else values.data
    return np.asarray(values)
