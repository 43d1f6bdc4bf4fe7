"""`sdovis predict` from beginning to end: a model, images, and where the answers go."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sdovis import disk, figures, manifests
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem
from sdovis.inference import answers, engines, inputs, prediction, region_lists, solar_pipeline, wall
from sdovis.inference.inputs import Inputs
from sdovis.inference.looking import Sought, Spot
from sdovis.inference.prediction import Answered, Pace
from sdovis.inference.scoring import Engine
from sdovis.learning import backbones
from sdovis.learning.description import beside_of, of_model, view_of
from sdovis.learning.familiarity import caution
from sdovis.version import __version__

#: Images in a part where each brings a picture of its disc.
PART_DISCS = 32

#: Given each answer to print: the image's name, fields, and what a reader must know.
Show = Callable[[str, list[str], tuple[str, ...]], None]


@dataclass(frozen=True)
class Question:
    """What a model is asked. ``pin`` is what tells it from every other; ``key`` says in words what the answers depend on."""

    title: str
    pin: str
    classes: tuple[str, ...]
    view: View
    sought: Sought
    input: Inputs
    engine: Engine
    pace: Pace
    key: dict[str, str]

    def said(self, wrong: int) -> str:
        """How many images could be used."""
        if self.input.count is None:
            return f"{wrong} images could not be used" if wrong else "all images were used"
        used = self.input.count - wrong
        return f"{wrong} of {self.input.count} images could not be used, {used} were" if wrong else f"{used} images"


def question(
    model: str,
    images: Sequence[str],
    *,
    position: Position | None = None,
    regions: Path | None = None,
    engine: str = "torch",
    drawn: bool = False,
    out: Path | None = None,
    pace: Pace | None = None,
) -> Question:
    """Everything opened and checked, cheap things first. Raises `BadInput` for what is wrong with any of it."""
    if out is not None:
        answers.refuse_suffix(out)
    listed = None if regions is None else region_lists.read(regions)
    folder, commit = solar_pipeline.found(model)
    config = backbones.load_config(folder)
    view = view_of(config)
    if told := beside_of(config):
        what = (
            f"the model is told {', '.join(each.name for each in told)} beside each image, which predict does not take"
        )
        raise BadInput(Problem(what, "use sdovis.pipeline(MODEL)(image, beside={...}) in Python", model))
    if listed is not None and position is not None and not view.masks:
        what = "the model was trained on cutouts with their neighbours and takes no other regions"
        raise BadInput(
            Problem(what, "leave out --regions, or leave out --at to classify every region of it", str(regions))
        )
    given = inputs.gather(images, view)
    processor = backbones.load_processor(folder)
    size = dict(processor.size)
    if not {"width", "height"} <= size.keys():
        what = "its processor crops pictures, which would cut regions off"
        raise BadInput(Problem(what, "use a model trained by sdovis", model))
    sought = Sought(
        json.dumps(view.to_json()),
        (int(size["width"]), int(size["height"])),
        int(processor.resample),
        position,
        listed,
        given.study,
        drawn,
    )
    pin = f"hub:{commit}" if commit else prediction.pin_of(folder)
    pace = pace or Pace()
    pace = replace(pace, lanes=pace.lanes or prediction.lanes_for(given.count, pace.batch))
    key = {
        "sdovis": __version__, "model": pin, "images": given.digest, "--at": repr(position), "engine": engine,
        "--regions": manifests.sha256_text(repr(listed)) if listed else "", "--batch": str(pace.batch),
        "--draw": str(drawn),
    }  # fmt: skip
    classes = tuple(config.id2label[number] for number in range(config.num_labels))
    title = str(of_model(config).get("study") or Path(model).name)
    opened = engines.engine(engine, folder)
    return Question(title, pin, classes, view, sought, given, opened, pace, key)


def answered(asked: Question, show: Show, seen: Callable[[Answered], None] | None = None) -> list[Problem]:
    """Every answer is shown as soon as it is there. Returns what was wrong with images."""
    problems: list[Problem] = []
    with _progress(asked, few=10) as bar:
        found = prediction.predict(
            asked.input.images(), asked.sought, asked.view, asked.engine, pace=asked.pace, tick=bar.update
        )
        for each in found:
            problems += filter(None, [each.problem])
            for spot, probabilities, strange in each.answers(asked.classes):
                notes = spot.notes if probabilities else ()
                show(each.asked.name, _fields(asked, spot, probabilities, strange), notes)
            if seen and each.shown:
                seen(each)
    return problems


def _fields(asked: Question, spot: Spot, probabilities: dict[str, float] | None, strange: float | None) -> list[str]:
    """An answer as `predict` prints it."""
    fields = [wall.named(spot)] if asked.sought.listed is not None and asked.sought.position is None else []
    if probabilities is None:
        return [*fields, *spot.notes]
    ordered = sorted(probabilities.items(), key=lambda entry: -entry[1])
    unlike = "" if strange is None else caution(strange)
    return [*fields, *(f"{name} {value:.4f}" for name, value in ordered), *filter(None, [unlike])]


def tabled(
    asked: Question,
    out: Path,
    seen: Callable[[Answered], None] | None = None,
    *,
    part_images: int = prediction.PART_IMAGES,
) -> list[Problem]:
    """The answers as a table. Returns what was wrong with images.

    Raises `Conflict` as `answers.opened` does.
    """
    with answers.opened(out, asked.classes, asked.key) as parts, _progress(asked) as bar:
        prediction.predict_parts(
            asked.input.images(),
            parts,
            partial(prediction.rows_of, classes=asked.classes, pin=asked.pin),
            asked.sought,
            asked.view,
            asked.engine,
            pace=asked.pace,
            part_images=min(part_images, PART_DISCS) if asked.sought.drawn else part_images,
            tick=bar.update,
            seen=seen or (lambda each: None),
        )
        problems = parts.problems()
        parts.join()
    return problems


def drawing(asked: Question, folder: Path) -> Callable[[Answered], None]:
    """What draws each disc with its regions into ``folder``."""
    disk.make(folder)
    owners: dict[str, str] = {}

    def draw(each: Answered) -> None:
        if each.shown is not None and each.shown.disc is not None:
            name = re.sub(r"[^\w.-]+", "_", Path(each.asked.files[0] if each.asked.files else each.asked.name).name)
            if owners.setdefault(name, each.asked.name) != each.asked.name:  # a file of that name in another folder
                name = f"{name}-{each.shown.sha256[:8]}"
            beside = folder / f".{name}.part"
            figures.save(wall.disc(each, asked.classes, asked.view, f"{asked.title}, {asked.pin[:19]}"), beside)
            disk.move(beside, folder / f"{name}.png")

    return draw


def _progress(asked: Question, *, few: int = 0) -> Any:
    """A bar with rate and time left; none for a few images."""
    from tqdm import tqdm

    count = asked.input.count
    return tqdm(
        total=count, desc="predict", unit="image", leave=False, disable=count is not None and count < few,
        dynamic_ncols=True, smoothing=0.1,
    )  # fmt: skip
