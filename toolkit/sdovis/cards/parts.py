"""What the cards say about the parts: how images were divided, and how returning regions were treated."""

from __future__ import annotations

from sdovis.cards.facts import Facts, SplitFacts
from sdovis.cards.markdown import Markdown, count, lines, md, number
from sdovis.corpus.returning import LATITUDE_TOLERANCE, LONGITUDE_TOLERANCE
from sdovis.corpus.units import said_of_missing

#: One synodic rotation, in days.
ROTATION_DAYS = 27.0
#: From a region's first day on the disc to the last of its next passage: a rotation and a half, in days.
TWO_PASSAGES_DAYS = 41.0


def split(facts: Facts) -> Markdown:
    """How the images were divided into parts, and how returning regions were treated."""
    methods = {
        "temporal": _temporal, "grouped": _grouped, "kfold": _kfold, "leave-year-out": _leave_year_out,
        "published": _published,
    }  # fmt: skip
    return lines(methods[facts.split.method](facts.split), _returns(facts.split))


def _temporal(split: SplitFacts) -> str:
    return f"The split is temporal: train, validation and test follow one another in time{_gap(split)}."


def _grouped(split: SplitFacts) -> str:
    return "The split is by region, at random and stratified by class (`grouped`): the parts overlap in time."


def _kfold(split: SplitFacts) -> str:
    last, validation = split.folds - 1, (split.fold + 1) % split.folds
    return (
        f"The split is by region, at random and stratified by class (`kfold`): of {split.folds} folds, numbered 0 to "
        f"{last}, fold {split.fold} is test, fold {validation} is validation, and the others are train. The parts "
        "overlap in time."
    )


def _leave_year_out(split: SplitFacts) -> str:
    later = max(split.parts[name].last for name in ("train", "validation")) > split.parts["test"].last
    return (
        f"The split leaves out one year (`leave-year-out`): the images of {split.year} are test; of those from other "
        f"years, the latest are validation and the earlier ones train{_gap(split)}."
        f"{' Some of them are later than the test part, which tests another year and not the future.' if later else ''}"
    )


def _published(split: SplitFacts) -> str:
    return "The split is the data set's own, kept as it was published; what leaks between its parts is counted below."


def _gap(split: SplitFacts) -> str:
    if not split.gap_days:
        return ""
    days = "1 day" if split.gap_days == 1 else f"{number(split.gap_days)} days"
    return f", and the images from the {days} between two parts are dropped"


def _returns(split: SplitFacts) -> str:
    region = "A region that came back after a rotation under a new number counts as"
    if split.link_returning:
        found = "1 such return was" if split.links == 1 else f"{split.links or 'no'} such returns were"
        return (
            f"{region} the same region if it lies within {LONGITUDE_TOLERANCE:g} degrees of longitude and "
            f"{LATITUDE_TOLERANCE:g} of latitude of the position to which rotation would have carried it: {found} found, "
            f"and about {number(split.links_by_chance)} are expected by chance."
        )
    gap = split.gap_days or 0.0
    if gap == 0:
        return f"{region} a new one, and may be in two parts."
    if gap < ROTATION_DAYS:
        why = f"The gap is shorter than a solar rotation ({ROTATION_DAYS:g} days): such a region may be in two parts."
    elif gap < TWO_PASSAGES_DAYS:
        why = (
            "A region whose passage across the disc ended before the gap usually returns and leaves again within it; one "
            "whose passage was cut short by the gap, or that came back more than once, may be in two parts."
        )
    else:
        why = "The gap outlasts its next passage across the disc: it can be in two parts only if it came back more than once."
    return f"{region} a new one. {why}"


def audit(facts: Facts) -> Markdown:
    """How many regions, images and cutouts the audit found in more than one part, and how many rows name no region."""
    found = (f"{md(what.replace('_', ' '))} {shared}" for what, shared in facts.split.leaks.items())
    unknown = said_of_missing(facts.split.rows_without_region, facts.rows)
    audited = f"Audit, found in more than one part: {', '.join(found)}.{f' But {unknown}.' if unknown else ''}"
    return lines(audited, *(f"{md(sentence)}." for sentence in facts.split.said))


def kept_apart(facts: Facts) -> Markdown:
    """How many pairs of images that show the same thing would have ended up in two parts."""
    named = {
        "near_duplicate": "Pairs of images that are nearly the same",
        "overlap": "Pairs of cutouts that overlap on the Sun",
    }
    return lines(
        *(
            f"{named[what]} and would have been in different parts: {count(pairs)}, one of each dropped; still in different "
            f"parts: {count(facts.split.crossing_pairs[what])}."
            for what, pairs in facts.split.kept_apart.items()
        )
    )
