"""What the cards say in words: sentences that depend on facts, each a function of the facts and of nothing else.

A template prints one by its name: ``{{ sentences.split }}``. A sentence that a study has no use for is empty, and the
empty line it leaves disappears.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sdovis.cards import skill, usage
from sdovis.cards.facts import Facts, SplitFacts
from sdovis.cards.markdown import Markdown, bibtex, blocks, code, count, day, lines, md, number, verbatim
from sdovis.corpus.returning import LATITUDE_TOLERANCE, LONGITUDE_TOLERANCE

#: One synodic rotation, in days.
ROTATION_DAYS = 27.0
#: From a region's first day on the disc to the last of its next passage: a rotation and a half, in days.
TWO_PASSAGES_DAYS = 41.0
#: The credit that SDO's rules of the road ask for.
COURTESY = "NASA/SDO and the AIA, EVE, and HMI science teams"


# --- at the head of a card ------------------------------------------------------------------------------------------


def dataset_notices(facts: Facts) -> Markdown:
    """What a reader of the dataset card must know first: simulated, browse pictures, not published."""
    simulated = lines(
        "> [!WARNING]",
        "> **Simulated data.** Images and labels were simulated. They show how a study is made and say nothing about "
        "the Sun.",
    )
    browse = lines(
        "> [!WARNING]",
        "> **For demonstration.** The images are browse pictures: 8 bits, compressed, not calibrated. NASA's browse "
        "images are not",
        "> intended for science analysis or publication without the consent of the instruments' principal investigators.",
    )
    return blocks(simulated if facts.simulated else "", browse if facts.browse else "", _unpublished(facts))


def model_notices(facts: Facts) -> Markdown:
    """What a reader of the model card must know first: simulated, browse pictures, not published."""
    simulated = lines(
        "> [!WARNING]",
        "> **Simulated data.** This model was trained and tested on simulated images. Its scores say nothing about the "
        "Sun, and it",
        "> must not be used on observations.",
    )
    browse = lines(
        "> [!WARNING]",
        "> **A demonstration, not a scientific instrument.** The images are browse pictures: 8 bits, compressed, not "
        "calibrated.",
        "> NASA's browse images are not intended for science analysis or publication without the consent of the "
        "instruments'",
        "> principal investigators.",
    )
    return blocks(simulated if facts.simulated else "", browse if facts.browse else "", _unpublished(facts))


def _unpublished(facts: Facts) -> str:
    if not facts.repositories.placeholder:
        return ""
    return lines(
        "> [!NOTE]",
        "> Not published yet: `your-name` stands for the account that will publish it (`publish.namespace` in the study).",
    )


def space_notices(facts: Facts) -> Markdown:
    """That the model of a Space was trained on simulated images, where it was."""
    told = "**Simulated data.** The model was trained on simulated images: what it says about the real Sun has no "
    return Markdown(f"{told}scientific meaning." if facts.simulated else "")


# --- classes --------------------------------------------------------------------------------------------------------


def region(facts: Facts) -> Markdown:
    """What counts as one region."""
    returns = " with its returns under later numbers" if facts.split.link_returning else ""
    return Markdown(
        f"A region is a NOAA active region{returns}; an image without a NOAA number counts as a region of its own."
    )


def dataset_scheme(facts: Facts) -> Markdown:
    """The label scheme, and the classes that it knows and the dataset lacks."""
    return _scheme(facts, "did not occur.")


def model_scheme(facts: Facts) -> Markdown:
    """The label scheme, and the classes that it knows and the model does not."""
    return _scheme(facts, "did not occur and cannot be predicted.")


def _scheme(facts: Facts, absence: str) -> Markdown:
    scheme = facts.scheme
    order = "the classes are ordered as listed" if scheme.ordered else "the classes have no order"
    return lines(
        f"Scheme {code(scheme.name)}, version {md(scheme.version)}; {order}.",
        f"The scheme's {md(', '.join(scheme.absent))} {absence}" if scheme.absent else "",
    )


def flares(facts: Facts) -> Markdown:
    """A section on the flares that the labels were made from, where they were."""
    listed = facts.flares
    if listed is None:
        return Markdown("")
    return blocks(
        "### Which flares count",
        lines(
            f"A region is labelled `flare` where the list {md(listed.list)} ({md(listed.first)} to {md(listed.last)}) has "
            f"one of its flares of {md(listed.threshold)} or more that {md(listed.counted)} ({number(listed.hours)} hours).",
            f"In those hours the list holds {count(listed.events_in_windows)} flares of that class, "
            f"{count(listed.events_without_region)} of them without a region: each may belong to an image that counts as "
            "without a flare.",
        ),
    )


# --- the split ------------------------------------------------------------------------------------------------------


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


# --- limits ---------------------------------------------------------------------------------------------------------


def dataset_limits(facts: Facts) -> Markdown:
    """Items of a list: how far from the central meridian the images go, and that labels were not checked."""
    limit = facts.max_longitude_deg
    return lines(
        f"- Regions beyond {number(limit)} degrees from the central meridian are not in it."
        if limit
        else "- No limit of longitude was set; near the limb, projection makes classes unreliable.",
        "" if facts.simulated else "- Labels stand as in the workbook; they were not checked against the images.",
    )


def seeds(facts: Facts) -> Markdown:
    """From how many seeds the network was trained, and that the intervals do not contain their spread."""
    training = facts.training
    how = f"once, with seed {training.seed}"
    if training.seeds:
        how = f"from {len(training.seeds['validation'])} seeds, of\n  which the validation part chose {training.seed}"
    return lines(f"The network was trained {how}; the spread", "  over seeds is not in them.")


def years(facts: Facts) -> Markdown:
    """The times that the network was trained and tested on."""
    train, test = facts.split.parts["train"], facts.split.parts["test"]
    around = train.first < test.first and test.last < train.last
    without = f" without {facts.split.year}" if facts.split.year and around else ""
    return lines(
        f"Trained on {day(train.first)} to {day(train.last)}{without}, tested on",
        f"  {day(test.first)} to {day(test.last)}.",
    )


def model_limb(facts: Facts) -> Markdown:
    """Whether regions near the limb were left out."""
    if not facts.max_longitude_deg:
        return Markdown("No limit of longitude was set; near the limb, projection makes the classes unreliable.")
    return lines(
        f"Regions beyond {number(facts.max_longitude_deg)} degrees from the central meridian were left out, in",
        "  training and in the test.",
    )


def cautions(facts: Facts) -> Markdown:
    """Items of a list: that the model is not for operations, and the study's own notes."""
    operations = lines(
        "- **Not for operations.** The model was tested on past images, not as a forecast, and labels were taken as they "
        "stand in",
        "  the workbook.",
    )
    return lines("" if facts.simulated else operations, *(f"- {md(note)}" for note in facts.notes))


# --- licence, credit, citation --------------------------------------------------------------------------------------


def dataset_licence(facts: Facts) -> Markdown:
    """The licence of the annotations."""
    if facts.licence:
        return Markdown(f"Licence of the annotations: {md(facts.licence)}.")
    return Markdown("The authors state no licence of the annotations: ask them before you use them.")


def model_licence(facts: Facts) -> Markdown:
    """The licence of the model."""
    if facts.licence:
        return Markdown(f"Licence of the model: {md(facts.licence)}.")
    return Markdown("The authors state no licence: ask them before you use the model.")


def courtesy(facts: Facts) -> Markdown:
    """SDO's credit, for images of the Sun that the study does not credit so itself."""
    needed = not facts.simulated and COURTESY not in facts.provenance.credit
    return Markdown(f"Courtesy of {COURTESY}." if needed else "")


def dataset_citation(facts: Facts) -> Markdown:
    """The dataset in BibTeX."""
    where = f"datasets/{verbatim(facts.repositories.dataset)}"
    return _citation(facts, f"{verbatim(facts.name)}-data", "dataset", where)


def model_citation(facts: Facts) -> Markdown:
    """The model in BibTeX."""
    return _citation(facts, verbatim(facts.name), "model", verbatim(facts.repositories.model))


def _citation(facts: Facts, key: str, kind: str, where: str) -> Markdown:
    authors = " and ".join(bibtex(author) for author in facts.authors)
    return lines(
        f"@misc{{{key},",
        f"  title = {{{bibtex(facts.title)}}},",
        f"  author = {{{authors}}}," if facts.authors else "",
        f"  version = {{{verbatim(facts.repositories.pin)}}},",
        f"  howpublished = {{Hugging Face Hub, {kind}}},",
        f"  url = {{https://huggingface.co/{where}}}",
        "}",
    )


def versions(facts: Facts) -> Markdown:
    """The packages that trained the network, with their versions."""
    return Markdown(", ".join(f"{md(name)} {md(version)}" for name, version in facts.training.versions.items()))


#: The sentences by the name that a template calls them by.
SENTENCES: Mapping[str, Callable[[Facts], Markdown]] = {
    sentence.__name__: sentence
    for sentence in (
        dataset_notices,
        model_notices,
        space_notices,
        region,
        dataset_scheme,
        model_scheme,
        flares,
        split,
        audit,
        kept_apart,
        dataset_limits,
        seeds,
        years,
        model_limb,
        cautions,
        dataset_licence,
        model_licence,
        courtesy,
        dataset_citation,
        model_citation,
        versions,
        skill.strongest_baseline,
        skill.baselines,
        skill.baselines_figure,
        skill.validation,
        skill.by_class,
        skill.recall_figure,
        skill.by_longitude,
        usage.dataset_images,
        usage.model_images,
        usage.classify_files,
        usage.upload,
        usage.ask_space,
    )
}
