"""Augmentations by name, and which of them a label scheme allows: a changed picture must keep its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdovis.errors import BadInput, Problem, nearest

NAMES: Mapping[str, str] = {
    "flip_ns": "mirrored north-south",
    "flip_ew": "mirrored east-west",
    "rotate90": "turned by quarters",
    "rotate_any": "turned by any angle, the corners that turn in being missing",
    "polarity": "B turned into -B, where a channel is signed",
}
"""What sdovis can do to a picture, in the order in which it is done."""

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


@dataclass(frozen=True)
class Policy:
    """What may be done to the pictures of a label ``scheme``: ``keeps`` names what keeps every label, ``breaks`` says
    why something does not."""

    scheme: str
    keeps: frozenset[str]
    breaks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Policy:
        """The policy of the scheme that ``corpus.json`` records; one written before reasons were recorded has none."""
        return cls(facts["name"], frozenset(facts["augmentations"]), facts.get("breaks", {}))

    def chosen(self, wanted: bool | Sequence[str], *, signed: bool) -> tuple[str, ...]:
        """The augmentations to apply, in the order of `NAMES`.

        ``wanted`` is ``method.augment``: true for all that keep the label but those `ON_REQUEST`, false for none, or
        names. ``signed`` says whether any channel of the study has a polarity. Raises `BadInput` with a line for each
        name that is unknown, that breaks the label, or that needs a signed channel where there is none.
        """
        if isinstance(wanted, bool):
            apt = self.keeps - ON_REQUEST if signed else self.keeps - ON_REQUEST - {"polarity"}
            return tuple(name for name in NAMES if wanted and name in apt)
        problems = [problem for name in dict.fromkeys(wanted) if (problem := self._problem(name, signed=signed))]
        if problems:
            raise BadInput(problems)
        return tuple(name for name in NAMES if name in wanted)

    def _problem(self, name: str, *, signed: bool) -> Problem | None:
        allowed = [each for each in NAMES if each in self.keeps and (signed or each != "polarity")]
        hint = f"it allows {', '.join(allowed)}" if allowed else "it allows none; set method.augment = false"
        if name in self.keeps:
            if signed or name != "polarity":
                return None
            return Problem(f"method.augment: {name!r} needs a signed channel, and the study has none", "leave it out")
        if name not in {*NAMES, *BREAKING, *self.breaks}:
            return Problem(f"method.augment: {name!r} is unknown", nearest(name, list(NAMES)))
        why = self.breaks.get(name) or BREAKING.get(name) or "the scheme does not say that it keeps the label"
        return Problem(f"method.augment: {name!r} is not for labels of the scheme {self.scheme}: {why}", hint)
