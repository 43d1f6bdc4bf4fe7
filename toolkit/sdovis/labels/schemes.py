"""Label schemes: which classes there are, how a workbook cell is read, and which augmentations are allowed.

A scheme never guesses: a blank cell has no class, a spelling that is not in its table raises `UnknownLabel`, and every
class of the field that is merged into another is listed in ``merged``, so that a card can name and count it.

Sources: NOAA/SWPC glossary of solar-terrestrial terms (Mount Wilson magnetic classification); the Solar Region Summary's
user guide. The McIntosh schemes are in `sdovis.labels.mcintosh`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sdovis import plugins
from sdovis.errors import BadInput, Problem, nearest
from sdovis.labels.augmentations import NAMES, Policy

GROUP = "sdovis.labels"


class UnknownLabel(ValueError):
    """A cell that the scheme does not understand: its ``text``, and a ``hint`` with the nearest choice."""

    def __init__(self, text: str, hint: str) -> None:
        self.text, self.hint = text, hint
        super().__init__(f"label {text!r} is not known; {hint}")


@dataclass(frozen=True)
class SchemeFacts:
    """What a corpus and the model trained on it record of their `LabelScheme`, under the same field names.

    ``absent`` lists the scheme's classes that no row has; ``read_as`` maps a workbook cell to the class of the field
    that it names, before merging.
    """

    name: str
    version: str
    ordered: bool
    merged: Mapping[str, str]
    absent: tuple[str, ...]
    augmentations: tuple[str, ...]
    breaks: Mapping[str, str]
    read_as: Mapping[str, str]
    agreement: str

    @property
    def policy(self) -> Policy:
        """Which augmentations are allowed."""
        return Policy(self.name, frozenset(self.augmentations), self.breaks)


@dataclass(frozen=True)
class LabelScheme:
    """The classes of a study and how cells are read into them.

    ``classes``, in the order of the model's outputs, form a scale if ``ordered``; ``meanings`` has one plain sentence per
    class; ``merged`` maps each class of the field that is folded into another to its target; ``accepts`` lists what a
    cell may name before merging (default: ``classes``, then what is merged); ``spellings`` maps other spellings to one
    of those; ``augmentations`` names those that keep the label, built-in or from a plug-in, and ``breaks`` says why
    others do not; ``agreement`` says, with its source, how often human experts agree; ``without_region`` names the classes
    of what has no NOAA number, such as the quiet Sun. Raises ValueError if the fields
    do not fit together. Whether an augmentation is installed is checked when a study asks for it (`Policy.chosen`).
    """

    name: str
    version: str
    classes: tuple[str, ...]
    meanings: Mapping[str, str]
    ordered: bool
    merged: Mapping[str, str] = field(default_factory=dict)
    augmentations: frozenset[str] = frozenset()
    spellings: Mapping[str, str] = field(default_factory=dict)
    accepts: tuple[str, ...] = ()
    agreement: str = ""
    breaks: Mapping[str, str] = field(default_factory=dict)
    without_region: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        accepts = self.accepts or tuple(dict.fromkeys([*self.classes, *self.merged]))
        wrong = []
        if len(set(self.classes)) != len(self.classes):
            wrong.append("a class is named twice")
        if set(self.meanings) != set(self.classes):
            wrong.append("meanings must have one sentence per class")
        if not {self.merged.get(a, a) for a in accepts} <= set(self.classes):
            wrong.append("an accepted name leads to no class")
        if self.augmentations & set(self.breaks):
            wrong.append("an augmentation cannot both keep and break the label")
        table: dict[str, str] = {}
        for spelling, meant in [*zip(accepts, accepts, strict=True), *self.spellings.items()]:
            if meant not in accepts:
                wrong.append(f"spelling {spelling!r} leads to {meant!r}, which is not accepted")
            if table.setdefault(normalise(spelling), meant) != meant:
                wrong.append(f"{spelling!r} can mean two classes")
        if wrong:
            raise ValueError(f"label scheme {self.name!r}: {'; '.join(wrong)}")
        object.__setattr__(self, "accepts", accepts)
        object.__setattr__(self, "_table", table)

    def field_class(self, text: str) -> str | None:
        """The class of the field that ``text`` names, before merging; None for a blank cell. Raises `UnknownLabel`."""
        if not text.strip():
            return None
        table: dict[str, str] = self.__dict__["_table"]
        try:
            return table[normalise(text)]
        except KeyError:
            raise UnknownLabel(text, nearest(text.strip(), self.accepts)) from None

    def label(self, text: str) -> str | None:
        """The class of ``text``, one of ``classes``; None for a blank cell. Raises `UnknownLabel` for anything else."""
        named = self.field_class(text)
        return None if named is None else self.merged.get(named, named)

    def read_as(self, texts: Iterable[str]) -> dict[str, str]:
        """Each spelling in ``texts`` except blanks -> the class of the field that it names, before merging.

        With the number of rows of each spelling, this counts what was merged. Raises `UnknownLabel`.
        """
        named = {text: self.field_class(text) for text in sorted(set(texts))}
        return {text: name for text, name in named.items() if name is not None}

    @property
    def policy(self) -> Policy:
        """Which augmentations are allowed."""
        return Policy(self.name, self.augmentations, self.breaks)

    def facts(self, occurring: Collection[str], texts: Iterable[str]) -> SchemeFacts:
        """What a corpus records if its rows have the classes ``occurring``, spelled as ``texts``. Raises `UnknownLabel`."""
        return SchemeFacts(
            name=self.name,
            version=self.version,
            ordered=self.ordered,
            merged=dict(self.merged),
            absent=tuple(name for name in self.classes if name not in occurring),
            augmentations=tuple(sorted(self.augmentations)),
            breaks=dict(self.breaks),
            read_as=self.read_as(texts),
            agreement=self.agreement,
        )


def normalise(text: str) -> str:
    """The key under which spellings are compared: no case, no width variants, no separators *between letters*.

    ``-1`` keeps its sign and ``1.0`` its point: only what joins two words is dropped.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    return _JOINERS.sub("", " ".join(kept.split()))


# Between letters: spaces, hyphens and dashes, minus, slash, underscore, plus, ampersand, comma, middle dot.
_JOINERS = re.compile(r"(?<=[^\W\d_])[\s\-\u2010-\u2015\u2212/_+&,\u00b7]+(?=[^\W\d_])")

_ACTIVITY_KEEPS = frozenset({"flip_ns", "flip_ew", "rotate90", "polarity", "rendering"})

_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ"}

_MOUNT_WILSON_MEANINGS = {
    "alpha": "A sunspot group of a single magnetic polarity.",
    "beta": "A sunspot group with both polarities and a simple, distinct division between them.",
    "beta-gamma": "A bipolar group so complex that no single continuous line divides its two polarities.",
    "gamma": "A group whose polarities are so irregularly mixed that it cannot be called bipolar.",
    "beta-delta": "A beta group with a delta spot: umbrae of opposite polarity within 2 degrees inside one penumbra.",
    "beta-gamma-delta": (
        "A beta-gamma group with a delta spot: umbrae of opposite polarity within 2 degrees inside one penumbra."
    ),
    "gamma-delta": "A gamma group with a delta spot: umbrae of opposite polarity within 2 degrees inside one penumbra.",
    "delta": "Umbrae of opposite polarity within 2 degrees inside one penumbra; the rest is not said.",
}

# Initials and Greek letters of each class: 'bg' and 'βγ' for beta-gamma. Separators and case are normalised away.
_MOUNT_WILSON_SPELLINGS = {
    spelling: name
    for name in _MOUNT_WILSON_MEANINGS
    for spelling in ("".join(w[0] for w in name.split("-")), "".join(_GREEK[w] for w in name.split("-")))
}

_DELTA_SCALE = "a delta spot is one whose umbrae lie within 2 degrees of each other: the scale is part of the class"
_MOUNT_WILSON_BREAKS = {"zoom": _DELTA_SCALE, "scale": _DELTA_SCALE}

_MOUNT_WILSON_AGREEMENT = (
    "No published comparison of two observers' Mount Wilson classes is known to sdovis. A program of fixed rules gave "
    "SWPC's class to 79.8 % of the groups in early tests (Townsend 2016, DTIC AD1053930, abstract): how well a program "
    "follows one observer, which is not a ceiling."
)

MOUNT_WILSON = LabelScheme(
    name="mount-wilson",
    version="1",
    classes=tuple(_MOUNT_WILSON_MEANINGS),
    meanings=_MOUNT_WILSON_MEANINGS,
    ordered=False,
    spellings=_MOUNT_WILSON_SPELLINGS,
    augmentations=frozenset(NAMES),
    breaks=_MOUNT_WILSON_BREAKS,
    agreement=_MOUNT_WILSON_AGREEMENT,
)

MOUNT_WILSON_3 = LabelScheme(
    name="mount-wilson-3",
    version="1",
    classes=("alpha", "beta", "complex"),
    meanings={
        "alpha": _MOUNT_WILSON_MEANINGS["alpha"],
        "beta": _MOUNT_WILSON_MEANINGS["beta"],
        "complex": "A sunspot group with a gamma or a delta configuration, alone or within a bipolar group.",
    },
    ordered=True,
    merged={name: "complex" for name in _MOUNT_WILSON_MEANINGS if name not in ("alpha", "beta")},
    spellings=_MOUNT_WILSON_SPELLINGS,
    augmentations=frozenset(NAMES),
    breaks=_MOUNT_WILSON_BREAKS,
    agreement=_MOUNT_WILSON_AGREEMENT,
)

ACTIVITY = LabelScheme(
    name="activity",
    version="1",
    classes=("quiet", "plage", "spotted"),
    meanings={
        "quiet": "Quiet Sun, with no active region and no plage in view.",
        "plage": "An active region with plage and without sunspots.",
        "spotted": "An active region with sunspots.",
    },
    ordered=True,
    spellings={"quiet sun": "quiet", "plages": "plage", "plage without spots": "plage", "sunspots": "spotted"},
    augmentations=_ACTIVITY_KEEPS,
    without_region=frozenset({"quiet"}),
)

FLARE = LabelScheme(
    name="flare",
    version="1",
    classes=("no-flare", "flare"),
    meanings={
        "no-flare": "No flare of the study's class is listed for the region in the study's time window.",
        "flare": "At least one flare of the study's class is listed for the region in the study's time window.",
    },
    ordered=False,
    spellings={
        **dict.fromkeys(("0", "0.0", "no", "n", "false"), "no-flare"),
        **dict.fromkeys(("1", "1.0", "yes", "y", "true"), "flare"),
    },
    augmentations=_ACTIVITY_KEEPS,
)

SDO_VT1 = LabelScheme(
    name="sdo-vt1",
    version="1",
    classes=("coronal hole", "coronal loop", "flare"),
    meanings={
        "coronal hole": "A dark area of the corona whose magnetic field is open to interplanetary space.",
        "coronal loop": "A bright arch of plasma along closed magnetic field lines in the corona.",
        "flare": "A sudden, localised brightening as magnetic energy is released.",
    },
    ordered=False,
    spellings={"coronal holes": "coronal hole", "coronal loops": "coronal loop", "flares": "flare"},
    without_region=frozenset({"coronal hole", "coronal loop"}),
)

# What spreadsheets write for a missing value. Never taken for a class unless the study lists it.
_PLACEHOLDERS = {"na", "n/a", "nan", "none", "null", "nil", "unknown", "-", "--", "?"}
# Classes of a column that have no NOAA number, as `normalise` writes them.
_NO_REGIONS = {
    "quiet",
    "quietsun",
    "noar",
    "nonar",
    "noactiveregion",
    "quietregion",
    "qs",
    "coronalhole",
    "coronalholes",
    "filament",
    "prominence",
    "background",
}


def column(values: Iterable[str], classes: Sequence[str]) -> LabelScheme:
    """The scheme for any column: its classes are those that the study lists, otherwise those found, sorted.

    Spellings that differ only in case or separators are one class, named by the most frequent. A placeholder such as
    ``NA`` is not a class: `LabelScheme.label` then raises. Raises `BadInput` if no class is left.
    """
    found = Counter(v.strip() for v in values if v.strip())
    spellings: dict[str, str] = {}
    if classes:
        names = tuple(c.strip() for c in classes)
    else:
        by_key: dict[str, str] = {}
        for text in sorted(found, key=lambda t: (-found[t], t)):
            if text.casefold() in _PLACEHOLDERS or text.startswith("#"):
                continue
            name = by_key.setdefault(normalise(text), text)
            if name != text:
                spellings[text] = name
        names = tuple(sorted(by_key.values()))
    if not names or not all(names):
        raise BadInput(Problem("labels: the column holds no classes", "fill it in, or list labels.classes"))
    try:
        return LabelScheme(
            name="column",
            version="1",
            classes=names,
            meanings={name: f"Rows whose label reads {name!r}." for name in names},
            ordered=False,
            spellings=spellings,
            without_region=frozenset(name for name in names if normalise(name) in _NO_REGIONS),
        )
    except ValueError as error:
        raise BadInput(Problem(str(error), "correct labels.classes")) from error


def scheme(name: str, *, values: Iterable[str] = (), classes: Sequence[str] = ()) -> LabelScheme:
    """The label scheme registered as ``name`` in the entry-point group ``sdovis.labels``.

    A plug-in is a `LabelScheme` or a callable ``(values, classes) -> LabelScheme``; ``values`` are the column's cells
    and ``classes`` those that the study lists. Raises `BadInput` for an unknown name, for classes given to a scheme
    that has its own, and for a plug-in that is neither.
    """
    found = plugins.load(GROUP, name)
    if isinstance(found, LabelScheme):
        if classes and tuple(classes) != found.classes:
            own = ", ".join(found.classes)
            raise BadInput(Problem(f"labels.classes: scheme {name!r} has its own classes ({own})", "remove classes"))
        return found
    made = found(values, classes) if callable(found) else None
    if not isinstance(made, LabelScheme):
        raise BadInput(
            Problem(f"labels: plug-in {name!r} does not provide a LabelScheme", "reinstall it or ask its author")
        )
    return made
