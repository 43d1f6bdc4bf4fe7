"""Uploaded files in, an answer out: looked at in a child, scored by the same pipeline as everywhere, explained."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from sdovis import inference
from sdovis.channels.channel import Channel, Codes
from sdovis.channels.layers import Coded
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import maps
from sdovis.learning import description, fusion
from sdovis.statistics.tabular import TableColumn
from sdovis.webapp import colours, reliability
from sdovis.webapp.beside import facts
from sdovis.webapp.listing import NONE, Listing
from sdovis.webapp.results import Result, boxed
from sdovis.webapp.sight import SeenRegion, Wish, seen, surveyed
from sdovis.webapp.source import map_to_show

#: Sides of the pictures on the page, in pixels.
SHOWN_PX, CUTOUT_SHOWN_PX = 1024, 480
#: What is said where a model of sunspot groups is shown a plage.
NO_SPOTS = "NOAA lists no spots here (a plage): the classes of this model are those of sunspot groups."


@dataclass(frozen=True, eq=False)
class Answer:
    """What the page shows of one image; ``picture`` is as in `sight.Sight`.

    ``probabilities`` are in descending order, and empty if the image shows more than a cutout and no position was given;
    then ``seen`` (what the network saw) is None too. ``overlay`` (where it looked) is also None if there is no map of that,
    or none that was found better than chance. ``facts`` are (name, value) pairs, ``notes`` are sentences.
    ``wants_position``: one can be chosen, and given in degrees if ``has_coordinates``.
    """

    picture: Image.Image | None
    caption: str
    facts: list[tuple[str, str]]
    notes: list[str]
    probabilities: Mapping[str, float]
    seen: Image.Image | None = None
    overlay: Image.Image | None = None
    wants_position: bool = False
    has_coordinates: bool = False
    is_picture: bool = False
    #: Why the answer must not be used, and what such answers have been worth; "" if nothing is to be said.
    refused: str = ""
    hint: str = ""


@dataclass(frozen=True, eq=False)
class WholeDisc:
    """All the regions of a disc, and its ``picture`` with their cutouts outlined, None if none was wished."""

    results: list[Result]
    picture: Image.Image | None
    caption: str
    facts: list[tuple[str, str]]
    is_picture: bool


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
        scheme = self.about.get("scheme") or {}
        self._of_spots = str(scheme.get("name", "")).startswith(("mount-wilson", "mcintosh"))
        self.view: View = self._pipeline.view
        #: The values that the model is told beside an image.
        self.told: tuple[TableColumn, ...] = self._pipeline.told
        self.channels: tuple[Channel, ...] = self.view.channels
        #: The kind of map that the page shows; "" if none was found better than chance, None if none was tested.
        self.map: str | None = map_to_show(folder)
        self.reliability = reliability.recorded(folder)
        self._one_at_a_time = threading.Lock()  # attention maps switch the model's kernels and back

    def answer(
        self,
        files: Path | str | Sequence[Path | str],
        position: Position | None = None,
        *,
        shown_px: tuple[float, float] | None = None,
        regions: Listing = NONE,
        pictures: bool = True,
        beside: Mapping[str, Any] | None = None,
        wanted: Callable[[], bool] | None = None,
    ) -> Answer:
        """The model's answer for an image file, or for the files of its three channels in any order.

        A region is cut out at ``position``, or at the pixel ``shown_px`` (x, y) of the picture that the page shows.
        ``regions`` are those of the disc, for a view that masks neighbours. Without ``pictures`` there are only words and
        numbers. ``beside`` has the values beside the image, for a model that is told them. Files are no longer read when
        ``wanted`` says no. Raises `BadInput` with a message for the visitor.
        """
        wish = replace(self._wish(files, regions, pictures), position=position, shown_px=shown_px)
        sight = seen(self.view, wish, wanted)
        scores, looked = (None, None) if sight.codes is None else self._scored(sight.codes, pictures, beside)
        probabilities = _probabilities(scores)
        refused = self._refused(scores)
        strange = [f"{note}." for note in scores.notes] if scores else []
        notes = [*([refused] if refused else []), *strange, *sight.notes]
        return Answer(
            sight.picture,
            self._caption(),
            [*sight.facts, *(facts(self.told, beside) if scores else [])],
            notes,
            probabilities,
            sight.seen,
            None if looked is None or sight.grey is None else colours.overlaid(sight.grey, looked),
            sight.wants_position,
            sight.has_coordinates,
            sight.is_picture,
            refused,
            self._hint(probabilities, refused, notes),
        )

    def disc(
        self,
        files: Path | str | Sequence[Path | str],
        regions: Listing,
        *,
        pictures: bool = True,
        wanted: Callable[[], bool] | None = None,
    ) -> WholeDisc:
        """The model's answers for all ``regions`` of a whole disc. Raises `BadInput` with a message for the visitor."""
        if self.told:
            what = "the model is told values beside each region, so a disc's regions cannot be answered together"
            raise BadInput(Problem(what, "choose one region, and give its values"))
        survey = surveyed(self.view, self._wish(files, regions, pictures), wanted)
        observed, name = dict(survey.facts).get("Observed (UTC)", ""), Path(str(self._paths(files)[0])).name
        results = []
        for spot in survey.spots:
            if wanted is not None and not wanted():
                raise BadInput("nobody waits for the answer any more")
            results.append(replace(self._result(spot), file=name, observed=observed))
        picture = boxed(survey.picture, results, self.classes) if survey.picture else None
        return WholeDisc(results, picture, self._caption(), survey.facts, survey.is_picture)

    def _result(self, spot: SeenRegion) -> Result:
        scores = None if spot.codes is None else self._scored(spot.codes, False)[0]
        probabilities, refused = _probabilities(scores), self._refused(scores)
        notes = (*spot.notes, *([NO_SPOTS] if self._of_spots and spot.place.noaa.kind == "plage" else []))
        told = self._hint(probabilities, refused, notes)
        return Result(
            spot.place.name,
            probabilities,
            position=spot.place.position,
            noaa=spot.place.noaa,
            notes=notes,
            refused=refused,
            why=spot.why,
            hint=told,
            box=spot.box,
        )

    @staticmethod
    def _paths(files: Path | str | Sequence[Path | str]) -> Sequence[Path | str]:
        return [files] if isinstance(files, Path | str) else files

    def _wish(self, files: Path | str | Sequence[Path | str], regions: Listing, pictures: bool) -> Wish:
        processor = self._pipeline.image_processor
        return Wish(
            tuple(map(Path, self._paths(files))),
            regions=regions,
            input_px=(processor.size["width"], processor.size["height"]),
            resample=int(processor.resample),
            pictures=pictures,
            shown_side=SHOWN_PX,
            cutout_side=CUTOUT_SHOWN_PX,
        )

    def _scored(
        self, codes: Codes, looks: bool, beside: Mapping[str, Any] | None = None
    ) -> tuple[inference.Classified, NDArray[Any] | None]:
        """The classes in descending order of probability, and where the network looked if that is asked for."""
        with self._one_at_a_time:
            # Without top_k the pipeline returns only the first five.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", inference.Unfamiliar)  # a note says it
                inputs = self._pipeline.preprocess(Coded(codes), beside=beside)
                table = inputs["beside"].numpy() if self.told else None
                scores = self._pipeline.postprocess(self._pipeline.forward(inputs), top_k=len(self.classes))
            with fusion.held(self._pipeline.model, table):
                looked = self._looked(inputs["pixel_values"], scores[0]["label"]) if looks else None
        return scores, looked

    def _looked(self, pictures: Any, label: str) -> NDArray[Any] | None:
        """Where the network looked, from 0 to 1; None if there is no map of it worth showing."""
        import torch

        model = self._pipeline.model
        if self.map == "":
            return None
        target = torch.tensor([self.classes.index(label)], device=model.device)
        found = maps.METHODS[self.map or "rollout"](model, pictures.to(model.device), target)
        return None if found is None else maps.relative(found[0])

    @staticmethod
    def _refused(scores: inference.Classified | None) -> str:
        return f"This image is {scores.caution}." if scores and scores.caution else ""

    def _hint(self, probabilities: Mapping[str, float], refused: str, notes: Sequence[str]) -> str:
        """What such answers have been worth; nothing of images that the test part had none of."""
        if not probabilities or refused or notes:
            return ""
        return reliability.hint(next(iter(probabilities.values())), self.reliability)

    def _caption(self) -> str:
        if not self.channels:
            return ""
        words = colours.scale_words(self.channels[0])
        if len(self.channels) == 1:
            return words
        named = (f"{colour} {kind.title}" for colour, kind in zip(colours.NAMES, self.channels, strict=True))
        return f"{self.channels[0].title}: {words}. The network sees three channels as colours: {', '.join(named)}"


def _probabilities(scores: inference.Classified | None) -> dict[str, float]:
    return {entry["label"]: float(entry["score"]) for entry in scores or ()}
