"""What the cards say of the parts: how images were divided, and what became of regions that return."""

from __future__ import annotations

from sdovis.cards.facts import Facts, SplitFacts
from sdovis.cards.markdown import Markdown, count, lines, md, number
from sdovis.corpus.returning import LATITUDE_TOLERANCE, LONGITUDE_TOLERANCE

#: One synodic rotation, in days.
ROTATION_DAYS = 27.0
#: From a region's first day on the disc to the last of its next passage: a rotation and a half, in days.
TWO_PASSAGES_DAYS = 41.0


def split(facts: Facts) -> Markdown:
    """How the images were divided into parts, and what became of regions that return."""
    methods = {"temporal": _temporal, "grouped": _grouped, "kfold": _kfold, "leave-year-out": _leave_year_out}
    return lines(methods[facts.split.method](facts.split), _returns(facts.split))


def _temporal(split: SplitFacts) -> str:
    return f"The split is temporal: train, validation and test follow one another in time{_gap(split)}."


def _grouped(split: SplitFacts) -> str:
    return "The split is by region, at random and stratified by class (`grouped`): the parts overlap in time."


def _kfold(split: SplitFacts) -> str:
    last, validation = split.folds - 1, (split.fold + 1) % split.folds
    return (
        f"The split is by region, at random and stratified by class (`kfold`): of {split.folds} folds, numbered 0 to "
        f"{last}, fold {split.fold} is the test, fold {validation} validation, and the others are train. The parts "
        "overlap in time."
    )


def _leave_year_out(split: SplitFacts) -> str:
    later = max(split.parts[name].last for name in ("train", "validation")) > split.parts["test"].last
    return (
        f"The split leaves out a year (`leave-year-out`): the images of {split.year} are the test; of those of other "
        f"years the latest are validation and the earlier ones train{_gap(split)}."
        f"{' Some of them are later than the test, which is of another year and not of the future.' if later else ''}"
    )


def _gap(split: SplitFacts) -> str:
    if not split.gap_days:
        return ""
    days = "1 day" if split.gap_days == 1 else f"{number(split.gap_days)} days"
    return f", and the images of the {days} between two parts are dropped"


def _returns(split: SplitFacts) -> str:
    region = "A region that came back after a rotation under a new number counts as"
    if split.link_returning:
        found = "1 such return was" if split.links == 1 else f"{split.links or 'no'} such returns were"
        return (
            f"{region} the same region where it lies within {LONGITUDE_TOLERANCE:g} degrees of longitude and "
            f"{LATITUDE_TOLERANCE:g} of latitude of the place to which rotation would have carried it: {found} found, and "
            f"about {number(split.links_by_chance)} are expected by chance."
        )
    gap = split.gap_days or 0.0
    if gap == 0:
        return f"{region} a new one, and may be in two parts."
    if gap < ROTATION_DAYS:
        why = f"The gap is shorter than a solar rotation ({ROTATION_DAYS:g} days): such a region may be in two parts."
    elif gap < TWO_PASSAGES_DAYS:
        why = (
            "A region whose passage across the disc ended before the gap as a rule comes back and goes again within it; "
            "one whose passage the gap cut short, or that came back more than once, may be in two parts."
        )
    else:
        why = "The gap outlasts its next passage across the disc: only if it came back more than once may it be in two parts."
    return f"{region} a new one. {why}"


def audit(facts: Facts) -> Markdown:
    """How many regions, images and cutouts the audit found in two parts."""
    found = (f"{md(what.replace('_', ' '))} {shared}" for what, shared in facts.split.leaks.items())
    return Markdown(f"Audit, found in two parts: {', '.join(found)}.")


def kept_apart(facts: Facts) -> Markdown:
    """How many pairs of images that show the same would have lain in two parts."""
    named = {
        "near_duplicate": "Pairs of images that show nearly the same",
        "overlap": "Pairs of cutouts that overlap on the Sun",
    }
    return lines(
        *(
            f"{named[what]} and would have lain in two parts: {count(pairs)}, one of each dropped; left in two parts: "
            f"{count(facts.split.crossing_pairs[what])}."
            for what, pairs in facts.split.kept_apart.items()
        )
    )
