"""The McIntosh classification of sunspot groups: its 60 types Zpc, and one scheme for each of its letters.

Source: McIntosh (1990), Solar Physics 125, 251. Z is the modified Zurich class, p the penumbra of the largest spot, c
the compactness of the group's interior.
"""

from __future__ import annotations

from sdovis.labels.schemes import LabelScheme

MCINTOSH_CODES = (
    "Axx",
    "Bxo",
    "Bxi",
    *(f"C{p}{c}" for p in "rsahk" for c in "oi"),
    *(f"{z}{p}{c}" for z in "DEF" for p in "rsahk" for c in "oic" if (p, c) != ("r", "c")),
    *(f"H{p}x" for p in "rsahk"),
)
"""The 60 types. Any other code, such as Hso, is refused: guessing which letter is wrong would mean inventing a
label."""

_Z = {
    "A": "a unipolar group without penumbra",
    "B": "a bipolar group without penumbra",
    "C": "a bipolar group with penumbra on one end only",
    "D": "a bipolar group with penumbra on both ends, at most 10 degrees long",
    "E": "a bipolar group with penumbra on both ends, more than 10 and at most 15 degrees long",
    "F": "a bipolar group with penumbra on both ends, more than 15 degrees long",
    "H": "a unipolar group with penumbra",
}
_P = {
    "x": "no penumbra",
    "r": "rudimentary penumbra of the largest spot",
    "s": "small symmetric penumbra of the largest spot, at most 2.5 degrees from north to south",
    "a": "small asymmetric penumbra of the largest spot, at most 2.5 degrees from north to south",
    "h": "large symmetric penumbra of the largest spot, more than 2.5 degrees from north to south",
    "k": "large asymmetric penumbra of the largest spot, more than 2.5 degrees from north to south",
}
_C = {
    "x": "no interior, the group being unipolar",
    "o": "open interior, with few spots or none between leader and follower",
    "i": "intermediate interior, with spots between leader and follower, none of them with mature penumbra",
    "c": "compact interior, with many strong spots and mature penumbra on at least one of them",
}


def _sentence(*parts: str) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


_KEEPS = frozenset({"flip_ns", "flip_ew", "polarity"})
_TURNED = "the length of a group runs east-west and its largest penumbra is measured north-south: a turn exchanges them"
_PENUMBRA_TURNED = "the largest penumbra is measured from north to south, and a turn makes that another diameter"
_ZOOMED = "the classes are bounded by lengths in degrees: 10 and 15 for the group, 2.5 for its largest penumbra"
_BREAKS = {"rotate90": _TURNED, "rotate_any": _TURNED, "zoom": _ZOOMED, "scale": _ZOOMED}

_AGREEMENT = (
    "Codes that SWPC and Holloman gave to the same groups from July 2012 to June 2013 matched in 33.4 %, 57.5 % and "
    "87.7 % by three measures, which the abstract does not define (DTIC ADA604336, 2013). They are about the whole code"
)

MCINTOSH = LabelScheme(
    name="mcintosh",
    version="1",
    classes=MCINTOSH_CODES,
    meanings={code: _sentence(_Z[code[0]], _P[code[1]], _C[code[2]]) for code in MCINTOSH_CODES},
    ordered=False,
    augmentations=_KEEPS,
    breaks=_BREAKS,
    agreement=f"{_AGREEMENT}.",
)


def _letter(
    position: int, meanings: dict[str, str], augmentations: frozenset[str], breaks: dict[str, str]
) -> LabelScheme:
    """The scheme of one letter of the code. Cells must name whole codes.

    A bare letter is refused: 'A' or 'B' may equally be an abbreviated Mount Wilson class.
    """
    return LabelScheme(
        name=f"mcintosh-{'zpc'[position]}",
        version="1",
        classes=tuple(meanings),
        meanings={letter: _sentence(meaning) for letter, meaning in meanings.items()},
        ordered=False,
        merged={code: code[position] for code in MCINTOSH_CODES},
        accepts=MCINTOSH_CODES,
        augmentations=augmentations,
        breaks=breaks,
        agreement=f"{_AGREEMENT}; none is given for the letter {'Zpc'[position]} alone.",
    )


MCINTOSH_Z = _letter(0, _Z, _KEEPS, _BREAKS)
MCINTOSH_P = _letter(1, _P, _KEEPS, _BREAKS | dict.fromkeys(("rotate90", "rotate_any"), _PENUMBRA_TURNED))
# Open, intermediate and compact depend on the spots between the ends, however the group is oriented.
MCINTOSH_C = _letter(2, _C, _KEEPS | {"rotate90", "rotate_any"}, {})
