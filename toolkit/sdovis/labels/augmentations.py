"""Augmentations by name, and which of them a label scheme allows: an augmented picture must keep its label."""

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

NAMES = ("flip_ns", "flip_ew", "rotate90", "rotate_any", "polarity", "rendering")
"""The built-ins, in the order in which they are drawn and applied; third-party ones follow, sorted by name."""

ON_REQUEST = frozenset({"rotate_any", "rendering"})
"""Left out of ``augment = true``: a study must ask for it. A turn by any angle leaves corners without data, which no
validation or test picture has, and turns the ends of a group that reaches into the cutout's corners out of sight. Other
renderings are of use only to a network that is to be shown such, and codes of physical values have none."""

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
"""Common augmentations that change the label here: name -> why. A scheme's own reason takes precedence."""


Apply = Callable[["torch.Tensor", NDArray[np.int64], Sequence[bool]], "torch.Tensor"]


@dataclass(frozen=True)
class Augmentation:
    """A change to a picture that keeps its label, with ``outcomes`` possible outcomes (at most 32,768); 0 is no change.

    The outcome is drawn from the picture's (seed, epoch, index), uniformly or by ``draw``, and then applied by

    - ``apply(pictures, which, signed)``: pictures (N, S, S) or (N, S, S, 3) of codes (uint8, north up, 0 is missing)
      on the training's device, the outcome of each (N,), and which channels hold a polarity (128 is 0 G); it returns the
      changed pictures, in the same shape. It must depend on nothing else: a resumed training applies it again;
    - or ``symmetry`` of the square: whether a picture is mirrored north-south, then by how many quarter turns it is
      rotated counterclockwise. Outcome n applies it n times; a study's symmetries all come first and cost one copy.

    ``keeps`` names the label schemes, besides those that name it themselves, whose labels it keeps. Set
    ``signed_only`` if it means nothing without a polarity. Raises ValueError if the fields do not fit together.
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
            raise ValueError(f"augmentation {self.name!r}: keeps must be a set of names")
        if not 2 <= self.outcomes <= 1 << 15:
            raise ValueError(f"augmentation {self.name!r}: outcomes must be 2 to 32,768, not {self.outcomes}")


def augmentation(name: str) -> Augmentation:
    """The augmentation registered as ``name``; raises `BadInput` with the nearest name if there is none."""
    found: Augmentation = plugins.load(GROUP, name, Augmentation)
    return found


def known() -> tuple[str, ...]:
    """The names of all installed augmentations, in the order in which they are drawn and applied."""
    return (*NAMES, *(name for name in plugins.names(GROUP) if name not in NAMES))


@dataclass(frozen=True)
class Policy:
    """Which augmentations a label ``scheme`` allows: ``keeps`` names those that keep every label, ``breaks`` says why
    others do not. A third-party augmentation may vouch for a scheme itself, unless the scheme objects."""

    scheme: str
    keeps: frozenset[str]
    breaks: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, wanted: bool | Sequence[str], *, signed: bool) -> tuple[str, ...]:
        """The augmentations to apply, in the order of `known`.

        ``wanted`` is ``method.augment``: true for all that the scheme names except those `ON_REQUEST`, false for none, or
        names. ``signed`` says whether any channel of the study has a polarity. Raises `BadInput` with a line for each
        name that is unknown or not installed, that breaks the label, or that needs a signed channel if there is none.
        """
        if wanted is False:
            return ()
        if wanted is True:
            if absent := sorted(self.keeps - set(known())):
                raise BadInput(map(self._not_installed, absent))
            # Installing a distribution must not change a training: what a third-party plug-in vouches for has to be named.
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
            return Problem(f"method.augment: {name!r} needs a signed channel, but the study has none", "remove it")
        allowed = self._apt(self.keeps, signed=signed)
        hint = f"choose from {', '.join(allowed)}" if allowed else "the scheme allows none; set method.augment = false"
        why = self.breaks.get(name) or BREAKING.get(name) or "the scheme does not say that it keeps the label"
        return Problem(f"method.augment: {name!r} breaks labels of the scheme {self.scheme}: {why}", hint)

    def _not_installed(self, name: str) -> Problem:
        what = f"the scheme {self.scheme} names the augmentation {name!r}, but no plug-in of that name is installed"
        return Problem(what, "install the package that provides it, or list the other augmentations in method.augment")

    @staticmethod
    def _apt(names: Collection[str], *, signed: bool) -> tuple[str, ...]:
        """Those of ``names`` that are installed and apply to the study's channels, in the order of `known`."""
        return tuple(name for name in known() if name in names and _apt(name, signed=signed))

    def _vouched_for(self, name: str) -> bool:
        return name in known() and name not in self.breaks and self.scheme in augmentation(name).keeps


def _apt(name: str, *, signed: bool) -> bool:
    return signed or not augmentation(name).signed_only
