"""Uploaded files in, an answer out: read, cut out where needed, scored by the one pipeline, explained."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis import inference
from sdovis.errors import BadInput, Problem
from sdovis.sun.channels import Channel, decode, encode, matched, together
from sdovis.sun.geometry import DiscFrame, cutout, heliographic_cutout
from sdovis.sun.images import SolarImage
from sdovis.sun.isolation import read_isolated
from sdovis.sun.quality import quality_problem
from sdovis.webapp import attention, colours, header
from sdovis.webapp.place import Spot, located, pixel_of, place_at

#: Sides of the pictures on the page, pixels.
SHOWN_PX, CUTOUT_SHOWN_PX = 1024, 480
#: An image wider than this many cutouts is not a cutout.
WIDER_THAN_A_CUTOUT = 1.3
#: Classes are unreliable farther than this from the central meridian (projection).
LIMB_LONGITUDE_DEG = 60.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What the page shows of one image; ``picture`` is the image, or that of the first channel, in SDO's colours.

    ``probabilities`` falls. It is empty where the image shows more than a cutout and no spot was given: then ``seen``
    (what the network saw) is None too. ``overlay`` (where it looked) is None as well for networks without attention maps.
    ``facts`` are (name, value), ``notes`` sentences. ``wants_spot``: a spot can be chosen, in degrees too where
    ``has_coordinates``.
    """

    picture: Image.Image
    caption: str
    facts: list[tuple[str, str]]
    notes: list[str]
    probabilities: Mapping[str, float]
    seen: Image.Image | None = None
    overlay: Image.Image | None = None
    wants_spot: bool = False
    has_coordinates: bool = False
    is_picture: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """One channel of what was sent: the image it came from, its values, and arcsec a pixel where that is known."""

    image: SolarImage
    values: NDArray[Any]
    scale: float | None


@dataclass(frozen=True)
class _Box:
    """Where the cutout lies in the first channel's image: its centre and its side, in pixels."""

    x: float
    y: float
    side: float


class Classifier:
    """A model folder made ready. ``about`` is config["sdovis"]: what the study says of the model.

    Raises `BadInput` where the folder holds no image classifier that sdovis trained, or a channel is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._pipeline: Any = inference.pipeline(folder)
        except (OSError, ValueError) as error:
            reason = str(error).split("\n")[0].replace(str(folder), "it")
            raise BadInput(
                Problem(f"the model cannot be opened: {reason}", "does it hold config.json and weights?")
            ) from error
        config: Any = self._pipeline.model.config
        self.about: Mapping[str, Any] = getattr(config, "sdovis", None) or {}
        self.classes: tuple[str, ...] = tuple(config.id2label[i] for i in range(config.num_labels))
        meanings = self.about.get("classes") or {}
        self.meanings = {name: str(meanings.get(name, "")) for name in self.classes}
        self.channels: tuple[Channel, ...] = inference.channels_of(self.about)
        self._one_at_a_time = threading.Lock()  # attention maps switch the model's kernels and back

    def answer(self, files: Path | str | Sequence[Path | str], spot: Spot | None = None) -> Answer:
        """What the model says of an image file, or of the files of its three channels in any order.

        Raises `BadInput` with words for whoever sent it.
        """
        spot = spot or Spot()
        paths = [files] if isinstance(files, Path | str) else list(files)
        # A hostile file takes its reader down, and not the page.
        layers = self._layers([read_isolated(path) for path in paths])
        first = layers[0]
        small, factor = colours.shrunk(first.values, SHOWN_PX)
        if not self._shows_more(first):
            notes = ["The position was not used: the image is taken as one cutout."] if spot.is_given else []
            return self._scored(layers, [layer.values for layer in layers], small, factor, None, notes)
        if not spot.is_given:
            shown, _ = colours.enlarged(colours.coloured(small, self.channels[0]), SHOWN_PX)
            facts = self._facts(layers, None)
            return Answer(shown, self._caption(), facts, [], {}, None, None, True, *_kind(first.image))
        x, y = pixel_of(spot, first.image, factor * max(1, round(SHOWN_PX / max(small.shape))))
        if not (-0.5 <= x < first.values.shape[1] and -0.5 <= y < first.values.shape[0]):
            raise BadInput("that position lies outside the image")
        parts = [self._cut(layer, first, x, y) for layer in layers]
        if not all(_shows_something(part) for part in parts):
            raise BadInput("there is nothing to see at that position; choose one on the solar disc")
        return self._scored(layers, parts, small, factor, _Box(x, y, self._side_px(first)), [])

    def _layers(self, images: Sequence[SolarImage]) -> list[Layer]:
        """What was sent, channel by channel."""
        if len(self.channels) < 2:
            if len(images) != 1:
                raise BadInput(f"{len(images)} files were sent, and the model looks at one image")
            image, scale = self._placed(images[0])
            return [Layer(image, self.channels[0].values(image) if self.channels else image.values, scale)]
        if len(images) == 1 and images[0].is_picture:
            codes = inference.composite(images[0], self.channels)
            return [Layer(images[0], values, None) for values in decode(codes, self.channels)]
        ordered = matched(images, self.channels)
        placed = [self._placed(image) for image in ordered]
        together([image for image, _ in placed])
        return [Layer(i, kind.values(i), scale) for kind, (i, scale) in zip(self.channels, placed, strict=True)]

    def _shows_more(self, layer: Layer) -> bool:
        """Whether an image shows more than a cutout, or is not deprojected where the model looks at maps."""
        arcsec, degrees = self.about.get("cutout_arcsec"), self.about.get("cutout_deg")
        side = max(layer.values.shape[:2])
        if degrees and layer.image.grid is not None:
            return bool(side * layer.image.grid.deg_per_px > WIDER_THAN_A_CUTOUT * float(degrees))
        if degrees and layer.image.frame is None and layer.scale:
            hint = "keep the name that the archive gave the file"
            raise BadInput(Problem("without its time of observation the disc cannot be mapped", hint))
        if degrees:
            return layer.image.frame is not None
        return bool(arcsec and layer.scale and side * layer.scale > WIDER_THAN_A_CUTOUT * float(arcsec))

    def _cut(self, layer: Layer, first: Layer, x: float, y: float) -> NDArray[Any]:
        """The cutout of one channel about the place that pixel (x, y) of the first channel's image shows."""
        size = int(self.about.get("size_px") or 224)
        if degrees := self.about.get("cutout_deg"):
            where = layer.image.frame or layer.image.grid
            place = place_at(x, y, first.image)
            if where is None or place is None:
                raise BadInput("an image has no coordinates, so the region cannot be found in it")
            if not np.isfinite(place).all():
                raise BadInput("there is nothing to see at that position; choose one on the solar disc")
            return heliographic_cutout(layer.values, *place, where, float(degrees), size)
        if layer.scale is None:
            raise BadInput("an image has no scale, so the region cannot be cut out of it")
        x, y = located(x, y, first.image, layer.image)
        return cutout(layer.values, x, y, float(self.about["cutout_arcsec"]), layer.scale, size, np.nan)

    def _side_px(self, layer: Layer) -> float:
        """The side of a cutout in the image; on a disc as it would be at its centre."""
        if degrees := self.about.get("cutout_deg"):
            grid, frame = layer.image.grid, layer.image.frame
            if grid is not None:
                return float(degrees) / grid.deg_per_px
            assert frame is not None
            return float(np.radians(degrees)) * frame.radius_px
        assert layer.scale is not None
        return float(self.about["cutout_arcsec"]) / layer.scale

    def _scored(
        self,
        layers: Sequence[Layer],
        parts: Sequence[NDArray[Any]],
        small: NDArray[Any],
        factor: float,
        box: _Box | None,
        notes: list[str],
    ) -> Answer:
        """The answer for ``parts``, an array a channel: the images, or their cutouts at ``box``."""
        first = layers[0].image
        codes = parts[0] if not self.channels else encode(parts, self.channels)
        network_input = Image.fromarray(codes)
        with self._one_at_a_time:
            # Without top_k the pipeline gives the first five.
            scores = self._pipeline(network_input, top_k=len(self.classes))
            pixels = self._pipeline.preprocess(network_input)["pixel_values"].to(self._pipeline.model.device)
            looked = attention.rollout(self._pipeline.model, pixels)
        kind = self.channels[0] if self.channels else None
        picture, times = colours.enlarged(colours.coloured(small, kind), CUTOUT_SHOWN_PX if box is None else SHOWN_PX)
        seen, grey = self._shown(parts, codes)
        place = None
        if box is not None:
            place = (box.x, box.y)
            zoom = factor * times
            picture = colours.framed(picture, (box.x + 0.5) * zoom, (box.y + 0.5) * zoom, box.side * zoom)
        return Answer(
            picture,
            self._caption(),
            self._facts(layers, place),
            notes + self._cautions(layers, parts[0], place),
            {entry["label"]: float(entry["score"]) for entry in scores},
            seen,
            None if looked is None else colours.overlaid(grey, looked),
            box is not None,
            *_kind(first),
        )

    def _shown(self, parts: Sequence[NDArray[Any]], codes: NDArray[Any]) -> tuple[Image.Image, Image.Image]:
        """What the network saw as people see it, and a grey ground for the overlay."""
        if len(self.channels) > 1:  # its colours are the channels: the picture itself is what the network saw
            part, _ = colours.shrunk(codes, SHOWN_PX)
            seen, _ = colours.enlarged(part, CUTOUT_SHOWN_PX)
            return seen, seen.convert("L")
        kind = self.channels[0] if self.channels else None
        part, _ = colours.shrunk(parts[0], SHOWN_PX)
        seen, _ = colours.enlarged(colours.coloured(part, kind), CUTOUT_SHOWN_PX)
        grey, _ = colours.enlarged(colours.coloured(part, kind, table="gray"), CUTOUT_SHOWN_PX)
        return seen, grey

    def _caption(self) -> str:
        if not self.channels:
            return ""
        words = colours.scale_words(self.channels[0])
        if len(self.channels) == 1:
            return words
        named = (f"{colour} {kind.title}" for colour, kind in zip(colours.NAMES, self.channels, strict=True))
        return f"{self.channels[0].title}: {words}. The network sees three channels as colours: {', '.join(named)}"

    def _facts(self, layers: Sequence[Layer], place: tuple[float, float] | None) -> list[tuple[str, str]]:
        facts = header.facts(layers[0].image, place)
        if len(self.channels) > 1:
            names = [layer.image.path.name if layer.image.path else "" for layer in layers]
            files = "; ".join(f"{kind.title}: {name}" for kind, name in zip(self.channels, names, strict=True))
            facts.append(("Channels", files if len(set(names)) > 1 else ", ".join(k.title for k in self.channels)))
        return facts

    def _placed(self, image: SolarImage) -> tuple[SolarImage, float | None]:
        """The image and its arcsec per pixel; a full-disc picture of the study's kind gets its disc back."""
        if image.frame is not None:
            return image, image.frame.arcsec_per_px
        center, scale = self.about.get("center_px"), self.about.get("arcsec_per_px")
        height, width = image.values.shape[:2]
        if not image.is_picture or not center or not scale or height != width:
            return image, None
        native = round(2 * float(center[0]) + 1)
        # Browse pictures come in 512, 1024, 2048 and 4096 px of one and the same field of view.
        if width < native or width % native:
            return image, None
        zoom = width / native
        scale = float(scale) / zoom
        observed = _time_in_name(image.path)
        if observed is None:
            return image, scale
        x, y = ((float(c) + 0.5) * zoom - 0.5 for c in center)
        return replace(image, observed=observed, frame=DiscFrame.at(observed, (x, y), scale)), scale

    def _cautions(self, layers: Sequence[Layer], values: NDArray[Any], place: tuple[float, float] | None) -> list[str]:
        found = dict.fromkeys(filter(None, (quality_problem(layer.image) for layer in layers)))
        notes = [f"The file's header warns against using it: {problem}." for problem in found]
        height, width = values.shape[:2]
        if max(height, width) > 1.1 * min(height, width):
            notes.append(f"The image is not square ({width} × {height} px) and was squeezed into the network's square.")
        where = None if place is None else place_at(*place, layers[0].image)
        if where is not None and not abs(where[1]) <= LIMB_LONGITUDE_DEG:
            notes.append(
                f"The region lies more than {LIMB_LONGITUDE_DEG:g}° from the central meridian, where foreshortening "
                "makes the classes unreliable."
            )
        return notes


def _shows_something(part: NDArray[Any]) -> bool:
    known = part[np.isfinite(part)]
    return bool(known.size) and bool(np.ptp(known) > 0)


def _time_in_name(path: Path | None) -> datetime | None:
    """The time that SDO's browse pictures have in their names: 20110215_013000_512_0211.jpg."""
    found = re.search(r"(?<!\d)(20\d{6})_(\d{6})(?!\d)", path.name if path else "")
    try:
        return datetime.strptime(f"{found[1]}{found[2]}+0000", "%Y%m%d%H%M%S%z") if found else None
    except ValueError:
        return None


def _kind(image: SolarImage) -> tuple[bool, bool]:
    """`Answer.has_coordinates` and `Answer.is_picture`."""
    return image.frame is not None or image.grid is not None, image.format not in ("FITS", "JPEG2000")
