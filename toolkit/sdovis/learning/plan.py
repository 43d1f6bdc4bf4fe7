"""What a training is made of, decided before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sdovis.learning import augment, methods
from sdovis.learning.clock import Clock
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus

#: Of two trainings: the folder, beside ``training.json``, of the first one's network, and that of the second training.
FIRST, REFIT = "first", "refit"
#: Beside ``training.json``: what networks that did not see a region say of it.
FOLDS = "folds"


def first_folder(model_folder: Path) -> Path:
    """The network of the first of two trainings, of which the second left its own in ``model_folder``."""
    return model_folder.with_name("training") / FIRST


@dataclass(frozen=True)
class Chosen:
    """The step that a first training kept, of those that it had planned."""

    step: int
    planned: int

    def of(self, planned: int) -> int:
        """The step at the same place in a training of so many planned steps: as many passes, at the same rates."""
        return max(1, round(self.step * planned / self.planned))


@dataclass(frozen=True)
class TrainingPlan:
    """What a training is made of. Run again after an interruption, the same plan continues where it stopped.

    The run's folders are below ``place``. ``augmentations`` are those to apply; ``signed`` says for each channel whether
    it codes 0 as 128. ``about`` is what the model says about itself in its config.json, ``made_from`` what it depends on.
    Decoded images and features are kept in ``shared``, which trainings may have in common, or in ``folder``. ``clock``
    records where the time goes. ``chosen`` is what the first training chose, in the plan of another one that has nothing to
    choose: a second one, which has the validation part to learn from (see `refit`), or that of a fold (see `folds`).
    """

    study: Study
    corpus: Corpus
    place: Path
    augmentations: frozenset[str]
    signed: tuple[bool, ...]
    about: Mapping[str, object]
    made_from: Mapping[str, str]
    shared: Path | None = None
    clock: Clock = field(default_factory=Clock)
    chosen: Chosen | None = None

    @property
    def second(self) -> bool:
        """Whether it is that of a second training, on the validation part as well."""
        return self.chosen is not None and self.study.method.learns_from_validation

    @property
    def folder(self) -> Path:
        """Where checkpoints, curves and the record go."""
        return self.place / "training" / REFIT if self.second else self.place / "training"

    @property
    def first_folder(self) -> Path:
        """Where the network of the first of two trainings goes, the only one for which validation images are new."""
        return first_folder(self.model_folder)

    @property
    def learned_from(self) -> tuple[str, ...]:
        """The parts of the corpus whose images change the weights."""
        return ("train", "validation") if self.second else ("train",)

    @property
    def model_folder(self) -> Path:
        """Where the trained network goes."""
        return self.place / "model"

    @property
    def cache(self) -> Path:
        """Where decoded images and features are kept."""
        return self.shared or self.folder / "cache"

    @property
    def augmented_by(self) -> tuple[str, ...]:
        """The augmentations that the study's method can use, in their order."""
        return augment.ordered(self.augmentations if methods.augments(self.study) else ())
