"""An uploaded file in, an answer out: read, cut out where needed, scored by the one pipeline, explained."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis import inference
from sdovis.errors import BadInput, Problem
from sdovis.sun.channels import Channel, channel
from sdovis.sun.geometry import DiscFrame, cutout, project, unproject
from sdovis.sun.images import SolarImage, read_image
from sdovis.webapp import attention, colours, header

#: Sides of the pictures on the page, pixels.
SHOWN_PX, CUTOUT_SHOWN_PX = 1024, 480
#: An image wider than this many cutouts is not a cutout.
WIDER_THAN_A_CUTOUT = 1.3
#: Classes are unreliable farther than this from the central meridian (projection).
LIMB_LONGITUDE_DEG = 60.0


@dataclass(frozen=True)
class Spot:
    """Where to cut out: a heliographic position, or a pixel of the picture shown by `Answer`."""

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    shown_px: tuple[float, float] | None = None

    @property
    def is_given(self) -> bool:
        return self.shown_px is not None or None not in (self.latitude_deg, self.longitude_deg)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the page shows of one image; ``picture`` is the image in SDO's colours.

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


class Classifier:
    """A model folder made ready. ``about`` is config["sdovis"]: what the study says of the model.

    Raises `BadInput` where the folder holds no image classifier that sdovis trained, or its channel is not installed.
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
        name = str((self.about.get("channel") or {}).get("name", ""))
        self.channel: Channel | None = channel(name) if name else None
        self._one_at_a_time = threading.Lock()  # attention maps switch the model's kernels and back

    def answer(self, path: Path | str, spot: Spot | None = None) -> Answer:
        """What the model says of an image file. Raises `BadInput` with words for whoever sent it."""
        spot = spot or Spot()
        image, scale = self._placed(read_image(path))
        if self.channel is None:
            return self._scored(image, image.values, image.values, 1.0, None, [])
        values = self.channel.values(image)
        small, factor = colours.shrunk(values, SHOWN_PX)
        side = self.about.get("cutout_arcsec")
        wide = bool(side and scale and max(values.shape) * scale > WIDER_THAN_A_CUTOUT * float(side))
        if not wide:
            notes = ["The position was not used: the image is taken as one cutout."] if spot.is_given else []
            return self._scored(image, values, small, factor, None, notes)
        assert side and scale
        if not spot.is_given:
            shown, _ = colours.enlarged(colours.coloured(small, self.channel), SHOWN_PX)
            return Answer(shown, self._caption(), header.facts(image), [], {}, None, None, True, *_kind(image))
        x, y = self._place(image, small.shape, spot, factor)
        if not (-0.5 <= x < values.shape[1] and -0.5 <= y < values.shape[0]):
            raise BadInput("that position lies outside the image")
        part = cutout(values, x, y, float(side), scale, int(self.about.get("size_px") or 224), np.nan)
        if not np.isfinite(part).any() or np.ptp(part[np.isfinite(part)]) == 0:
            raise BadInput("there is nothing to see at that position; choose one on the solar disc")
        return self._scored(image, part, small, factor, (x, y, float(side) / scale), [])

    def _scored(
        self,
        image: SolarImage,
        values: NDArray[Any],
        small: NDArray[Any],
        factor: float,
        box: tuple[float, float, float] | None,
        notes: list[str],
    ) -> Answer:
        """The answer for ``values``, which is the image or, where ``box`` (x, y, side in pixels) is given, its cutout."""
        codes = values if self.channel is None else self.channel.encode(np.asarray(values, np.float32))
        network_input = Image.fromarray(codes)
        with self._one_at_a_time:
            # Without top_k the pipeline gives the first five.
            scores = self._pipeline(network_input, top_k=len(self.classes))
            pixels = self._pipeline.preprocess(network_input)["pixel_values"].to(self._pipeline.model.device)
            looked = attention.rollout(self._pipeline.model, pixels)
        picture, times = colours.enlarged(
            colours.coloured(small, self.channel), CUTOUT_SHOWN_PX if box is None else SHOWN_PX
        )
        part, _ = colours.shrunk(values, SHOWN_PX)
        seen, _ = colours.enlarged(colours.coloured(part, self.channel), CUTOUT_SHOWN_PX)
        grey, _ = colours.enlarged(colours.coloured(part, self.channel, table="gray"), CUTOUT_SHOWN_PX)
        place = None
        if box is not None:
            x, y, side = box
            place = (x, y)
            zoom = factor * times
            picture = colours.framed(picture, (x + 0.5) * zoom, (y + 0.5) * zoom, side * zoom)
        return Answer(
            picture,
            self._caption(),
            header.facts(image, place),
            notes + self._cautions(image, values, place),
            {entry["label"]: float(entry["score"]) for entry in scores},
            seen,
            None if looked is None else colours.overlaid(grey, looked),
            box is not None,
            *_kind(image),
        )

    def _caption(self) -> str:
        return colours.scale_words(self.channel) if self.channel is not None else ""

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

    def _place(self, image: SolarImage, shape: tuple[int, ...], spot: Spot, factor: float) -> tuple[float, float]:
        """Pixel x, y of the spot. Raises `BadInput` where it is not on the visible disc."""
        if spot.shown_px is not None:
            # A small image is shown enlarged, a large one shrunk.
            zoom = factor * max(1, round(SHOWN_PX / max(shape)))
            return (spot.shown_px[0] + 0.5) / zoom - 0.5, (spot.shown_px[1] + 0.5) / zoom - 0.5
        latitude, longitude = spot.latitude_deg, spot.longitude_deg
        assert latitude is not None and longitude is not None
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            raise BadInput("latitude runs from -90 to 90 degrees, longitude from -180 to 180, west positive")
        if image.frame is None:
            raise BadInput("the image has no coordinates, so degrees mean nothing in it; click on the region instead")
        x, y, _ = map(float, project(latitude, longitude, image.frame))
        if not np.isfinite(x):
            raise BadInput(f"latitude {latitude:g}, longitude {longitude:g} lies behind the limb")
        return x, y

    def _cautions(self, image: SolarImage, values: NDArray[Any], place: tuple[float, float] | None) -> list[str]:
        notes = []
        height, width = values.shape[:2]
        if max(height, width) > 1.1 * min(height, width):
            notes.append(f"The image is not square ({width} × {height} px) and was squeezed into the network's square.")
        if place is not None and image.frame is not None:
            longitude = float(unproject(*place, image.frame)[1])
            if not abs(longitude) <= LIMB_LONGITUDE_DEG:
                notes.append(
                    f"The region lies more than {LIMB_LONGITUDE_DEG:g}° from the central meridian, where foreshortening "
                    "makes the classes unreliable."
                )
        return notes


def _time_in_name(path: Path | None) -> datetime | None:
    """The time that SDO's browse pictures have in their names: 20110215_013000_512_0211.jpg."""
    found = re.search(r"(?<!\d)(20\d{6})_(\d{6})(?!\d)", path.name if path else "")
    try:
        return datetime.strptime(f"{found[1]}{found[2]}+0000", "%Y%m%d%H%M%S%z") if found else None
    except ValueError:
        return None


def _kind(image: SolarImage) -> tuple[bool, bool]:
    """`Answer.has_coordinates` and `Answer.is_picture`."""
    return image.frame is not None, image.format != "FITS"
