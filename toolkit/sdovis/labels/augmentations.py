"""Augmentations by name, and which of them a label scheme allows: a changed picture must keep its label."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdovis import plugins
from sdovis.errors import BadInput, Problem, nearest

if TYPE_CHECKING:
    import torch

GROUP = "sdovis.augmentations"

NAMES = ("flip_ns", "flip_ew", "rotate90", "rotate_any", "polarity")
"""The built-ins, in the order in which they are drawn and applied; those of strangers follow by name."""

ON_REQUEST = frozenset({"rotate_any"})
"""Left out of ``augment = true``. A free turn leaves corners without data that no picture of validation or test has,
and turns the ends of a group that reaches into the cutout's corners out of sight: a study has to want that."""

_SIZE = "it changes lengths and areas, and those define classes of regions and of sunspot groups"
_CROP = "it can cut a part of the region away, and what is left is of another class: a beta group becomes alpha"
_VALUE = "a code stands for a physical value, and with other values it is another Sun"

BREAKING: Mapping[str, str] = {
    "zoom": _SIZE,
    "scale": _SIZE,
    "crop": _CROP,
    "random_crop": _CROP,
    "random_resized_crop": f"{_CROP}; besides, {_SIZE}",
    "colour_jitter": _VALUE,
    "color_jitter": _VALUE,
    "contrast": _VALUE,
    "brightness": _VALUE,
}
"""What is common elsewhere and keeps no label here: name -> why. A scheme's own reason comes first."""


Apply = Callable[["torch.Tensor", NDArray[np.int64], Sequence[bool]], "torch.Tensor"]


@dataclass(frozen=True)
class Augmentation:
    """A change of a picture that keeps its label, in one of ``outcomes`` ways (at most 32,768), of which 0 is none.

    Which one is drawn from (seed, epoch, index) of the picture, evenly or as ``draw`` says. It is then carried out as

    - ``apply(pictures, which, signed)``: pictures (N, S, S) or (N, S, S, 3) of codes (uint8, north up, 0 is missing)
      on the training's device, the outcome of each (N,), and which colours hold a polarity (128 is 0 G); the changed
      pictures come back, in the same shape. It must depend on nothing else: a resumed training applies it again;
    - or ``symmetry``, of the square: whether a picture is mirrored north-south, then by how many quarters it is turned
      counterclockwise. Outcome n does it n times; all symmetries of a study come first and cost one copy.

    ``keeps`` names the label schemes, besides those that name it themselves, whose labels it keeps. It is
    ``signed_only`` where it means nothing without a polarity. ValueError where the parts do not fit together.
    """

    name: str
    outcomes: int
    apply: Apply | None = None
    symmetry: tuple[bool, int] | None = None
    draw: Callable[[np.random.Generator], int] | None = None
    keeps: frozenset[str] = frozenset()
    signed_only: bool = False

    def __post_init__(self) -> None:
        if (self.apply is None) == (self.symmetry is None):
            raise ValueError(f"augmentation {self.name!r}: give either apply or symmetry")
        if isinstance(self.keeps, str):
            raise ValueError(f"augmentation {self.name!r}: keeps is a set of names")
        if not 2 <= self.outcomes <= 1 << 15:
            raise ValueError(f"augmentation {self.name!r}: 2 to 32,768 outcomes, not {self.outcomes}")


def augmentation(name: str) -> Augmentation:
    """The augmentation registered as ``name``; `BadInput` with the nearest name where there is none."""
    found: Augmentation = plugins.load(GROUP, name, Augmentation)
    return found


def known() -> tuple[str, ...]:
    """The names of all augmentations that are installed, in the order in which they are drawn and applied."""
    return (*NAMES, *(name for name in plugins.names(GROUP) if name not in NAMES))


@dataclass(frozen=True)
class Policy:
    """What may be done to the pictures of a label ``scheme``: ``keeps`` names what keeps every label, ``breaks`` says
    why something does not. What a stranger's augmentation vouches for counts too, where the scheme does not object."""

    scheme: str
    keeps: frozenset[str]
    breaks: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, wanted: bool | Sequence[str], *, signed: bool) -> tuple[str, ...]:
        """The augmentations to apply, in the order of `known`.

        ``wanted`` is ``method.augment``: true for all that the scheme names but those `ON_REQUEST`, false for none, or
        names. ``signed`` says whether any channel of the study has a polarity. Raises `BadInput` with a line for each
        name that is unknown or not installed, that breaks the label, or that needs a signed channel where there is none.
        """
        if wanted is False:
            return ()
        if wanted is True:
            if absent := sorted(self.keeps - set(known())):
                raise BadInput(map(self._not_installed, absent))
            # Installing a distribution must not change a training: what a stranger vouches for has to be named.
            return self._apt(self.keeps - ON_REQUEST, signed=signed)
        problems = [problem for name in dict.fromkeys(wanted) if (problem := self._problem(name, signed=signed))]
        if problems:
            raise BadInput(problems)
        return tuple(name for name in known() if name in wanted)

    def _problem(self, name: str, *, signed: bool) -> Problem | None:
        if name in self.keeps - set(known()):
            return self._not_installed(name)
        if name not in {*known(), *BREAKING, *self.breaks}:
            return Problem(f"method.augment: {name!r} is unknown", nearest(name, known()))
        if name in self.keeps or self._vouched_for(name):
            if _apt(name, signed=signed):
                return None
            return Problem(f"method.augment: {name!r} needs a signed channel, and the study has none", "leave it out")
        allowed = self._apt(self.keeps, signed=signed)
        hint = f"it allows {', '.join(allowed)}" if allowed else "it allows none; set method.augment = false"
        why = self.breaks.get(name) or BREAKING.get(name) or "the scheme does not say that it keeps the label"
        return Problem(f"method.augment: {name!r} is not for labels of the scheme {self.scheme}: {why}", hint)

    def _not_installed(self, name: str) -> Problem:
        what = f"the scheme {self.scheme} names the augmentation {name!r}, and no plug-in of that name is installed"
        return Problem(what, "install its distribution, or list the others in method.augment")

    @staticmethod
    def _apt(names: Collection[str], *, signed: bool) -> tuple[str, ...]:
        """Those of ``names`` that are installed and mean something to the study's channels, in the order of `known`."""
        return tuple(name for name in known() if name in names and _apt(name, signed=signed))

    def _vouched_for(self, name: str) -> bool:
        return name in known() and name not in self.breaks and self.scheme in augmentation(name).keeps


def _apt(name: str, *, signed: bool) -> bool:
    return signed or not augmentation(name).signed_only
