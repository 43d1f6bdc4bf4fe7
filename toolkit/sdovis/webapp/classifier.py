"""Uploaded files in, an answer out: read, cut out if needed, scored by the same pipeline as everywhere, explained."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from sdovis import inference
from sdovis.channels.channel import Channel
from sdovis.channels.layers import Coded, Cutouts, Layer
from sdovis.channels.place import Position, sun_position
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import maps
from sdovis.images.images import SolarImage
from sdovis.images.isolation import read_isolated
from sdovis.images.quality import quality_problem
from sdovis.learning import description
from sdovis.webapp import colours, header
from sdovis.webapp.source import map_to_show

#: Sides of the pictures on the page, in pixels.
SHOWN_PX, CUTOUT_SHOWN_PX = 1024, 480


@dataclass(frozen=True, eq=False)
class Answer:
    """What the page shows of one image; ``picture`` is the image, or that of the first channel, in SDO's colours.

    ``probabilities`` are in descending order, and empty if the image shows more than a cutout and no position was given;
    then ``seen`` (what the network saw) is None too. ``overlay`` (where it looked) is also None if there is no map of that,
    or none that was found better than chance. ``facts`` are (name, value) pairs, ``notes`` are sentences.
    ``wants_position``: one can be chosen, and given in degrees if ``has_coordinates``.
    """

    picture: Image.Image
    caption: str
    facts: list[tuple[str, str]]
    notes: list[str]
    probabilities: Mapping[str, float]
    seen: Image.Image | None = None
    overlay: Image.Image | None = None
    wants_position: bool = False
    has_coordinates: bool = False
    is_picture: bool = False


@dataclass(frozen=True)
class _Box:
    """Where the cutout lies: its centre and side in pixels of the first channel's image, and its centre on the Sun."""

    x: float
    y: float
    side: float
    sun: tuple[float, float] | None


class Classifier:
    """A model folder, loaded. ``about`` is config["sdovis"]: what the study says about the model.

    Raises `BadInput` if the folder does not hold an image classifier trained by sdovis, or a channel is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._pipeline: Any = inference.pipeline(folder)
        except (OSError, ValueError) as error:
            reason = str(error).split("\n")[0].replace(str(folder), "it")
            raise BadInput(
                Problem(f"the model cannot be opened: {reason}", "check that it holds config.json and the weights")
            ) from error
        config: Any = self._pipeline.model.config
        self.about: Mapping[str, Any] = description.of_model(config)
        self.classes: tuple[str, ...] = tuple(config.id2label[i] for i in range(config.num_labels))
        meanings = self.about.get("classes") or {}
        self.meanings = {name: str(meanings.get(name, "")) for name in self.classes}
        self.view: View = self._pipeline.view
        self.channels: tuple[Channel, ...] = self.view.channels
        #: The kind of map that the page shows; "" if none was found better than chance, None if none was tested.
        self.map: str | None = map_to_show(folder)
        self._one_at_a_time = threading.Lock()  # attention maps switch the model's kernels and back

    def answer(
        self,
        files: Path | str | Sequence[Path | str],
        position: Position | None = None,
        *,
        shown_px: tuple[float, float] | None = None,
        regions: Sequence[Position] = (),
    ) -> Answer:
        """The model's answer for an image file, or for the files of its three channels in any order.

        A region is cut out at ``position``, or at the pixel ``shown_px`` (x, y) of the picture that the page shows.
        ``regions`` are those of the disc, for a view that masks neighbours. Raises `BadInput` with a message for the
        visitor.
        """
        given = position is not None or shown_px is not None
        paths = [files] if isinstance(files, Path | str) else list(files)
        # A hostile file brings down its reader, not the page.
        layers = self.view.layers([read_isolated(path) for path in paths])
        first = layers[0]
        small, factor = colours.shrunk(first.values, SHOWN_PX)
        if not self.view.is_exceeded_by(first):
            notes = ["The position was not used: the whole image is taken as one cutout."] if given else []
            whole = self.view.whole(layers)
            return self._scored(layers, whole, small, factor, None, notes + self.view.caution(layers))
        if not given:
            shown, _ = colours.enlarged(colours.coloured(small, self.channels[0]), SHOWN_PX)
            facts = self._facts(layers, None)
            return Answer(shown, self._caption(), facts, [], {}, None, None, True, *_kind(first.image))
        if shown_px is not None:
            zoom = factor * max(1, round(SHOWN_PX / max(small.shape)))
            position = Position(x_px=(shown_px[0] + 0.5) / zoom - 0.5, y_px=(shown_px[1] + 0.5) / zoom - 0.5)
        assert position is not None
        others, said = self.view.others(layers, position, regions)
        cut = self.view.cutout(layers, position, others)
        x, y = self.view.pixel(layers, position)
        sun = position.on_sun or sun_position(x, y, first.image)
        box = _Box(x, y, self.view.side_px(first), sun)
        return self._scored(layers, cut, small, factor, box, said)

    def _scored(
        self,
        layers: Sequence[Layer],
        cut: Cutouts,
        small: NDArray[Any],
        factor: float,
        box: _Box | None,
        notes: list[str],
    ) -> Answer:
        """The answer for ``cut``: the images, or their cutouts at ``box``."""
        first = layers[0].image
        cutouts, codes = [values[0] for values in cut.values], cut.codes[0]
        with self._one_at_a_time:
            inputs = self._pipeline.preprocess(Coded(codes))
            # Without top_k the pipeline returns only the first five.
            scores = self._pipeline.postprocess(self._pipeline.forward(inputs), top_k=len(self.classes))
            looked = self._looked(inputs["pixel_values"], scores[0]["label"])
        kind = self.channels[0] if self.channels else None
        picture, times = colours.enlarged(colours.coloured(small, kind), CUTOUT_SHOWN_PX if box is None else SHOWN_PX)
        seen, grey = self._shown(cutouts, codes)
        centre = None
        if box is not None:
            centre = (box.x, box.y)
            zoom = factor * times
            picture = colours.framed(picture, (box.x + 0.5) * zoom, (box.y + 0.5) * zoom, box.side * zoom)
        return Answer(
            picture,
            self._caption(),
            self._facts(layers, centre),
            notes + self._cautions(layers, cutouts[0], box),
            {entry["label"]: float(entry["score"]) for entry in scores},
            seen,
            None if looked is None else colours.overlaid(grey, looked),
            box is not None,
            *_kind(first),
        )

    def _looked(self, pictures: Any, label: str) -> NDArray[Any] | None:
        """Where the network looked, from 0 to 1; None if there is no map of it worth showing."""
        import torch

        model = self._pipeline.model
        if self.map == "":
            return None
        target = torch.tensor([self.classes.index(label)], device=model.device)
        found = maps.METHODS[self.map or "rollout"](model, pictures.to(model.device), target)
        return None if found is None else maps.relative(found[0])

    def _shown(self, cutouts: Sequence[NDArray[Any]], codes: NDArray[Any]) -> tuple[Image.Image, Image.Image]:
        """What the network saw, in colours for the eye, and a grey background for the overlay."""
        if len(self.channels) > 1:  # the colours are the channels: the picture itself is what the network saw
            small, _ = colours.shrunk(codes, SHOWN_PX)
            seen, _ = colours.enlarged(small, CUTOUT_SHOWN_PX)
            return seen, seen.convert("L")
        kind = self.channels[0] if self.channels else None
        small, _ = colours.shrunk(cutouts[0], SHOWN_PX)
        seen, _ = colours.enlarged(colours.coloured(small, kind), CUTOUT_SHOWN_PX)
        grey, _ = colours.enlarged(colours.coloured(small, kind, table="gray"), CUTOUT_SHOWN_PX)
        return seen, grey

    def _caption(self) -> str:
        if not self.channels:
            return ""
        words = colours.scale_words(self.channels[0])
        if len(self.channels) == 1:
            return words
        named = (f"{colour} {kind.title}" for colour, kind in zip(colours.NAMES, self.channels, strict=True))
        return f"{self.channels[0].title}: {words}. The network sees three channels as colours: {', '.join(named)}"

    def _facts(self, layers: Sequence[Layer], centre: tuple[float, float] | None) -> list[tuple[str, str]]:
        facts = header.facts(layers[0].image, centre)
        if len(self.channels) > 1:
            names = [layer.image.path.name if layer.image.path else "" for layer in layers]
            files = "; ".join(f"{kind.title}: {name}" for kind, name in zip(self.channels, names, strict=True))
            facts.append(("Channels", files if len(set(names)) > 1 else ", ".join(k.title for k in self.channels)))
        return facts

    def _cautions(self, layers: Sequence[Layer], values: NDArray[Any], box: _Box | None) -> list[str]:
        found = dict.fromkeys(filter(None, (quality_problem(layer.image) for layer in layers)))
        notes = [f"The file's header warns against using it: {problem}." for problem in found]
        height, width = values.shape[:2]
        if max(height, width) > 1.1 * min(height, width):
            notes.append(f"The image is not square ({width} × {height} px) and was squeezed into the network's square.")
        if box is not None and box.sun is not None and (caution := self.view.near_limb(box.sun[1])):
            notes.append(f"The region lies {caution}.")
        return notes


def _kind(image: SolarImage) -> tuple[bool, bool]:
    """`Answer.has_coordinates` and `Answer.is_picture`."""
    return image.frame is not None or image.grid is not None, image.format not in ("FITS", "JPEG2000")
