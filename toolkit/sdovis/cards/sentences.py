"""What the cards say in words: sentences that depend on facts, each a function of the facts and nothing else.

A template prints one by its name: ``{{ sentences.split }}``. A sentence that does not apply to a study is empty, and
the empty line it leaves disappears.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from sdovis.cards import engines, explanation, parts, probabilities, skill, strange, told, usage
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, bibtex, blocks, code, count, day, lines, md, number, verbatim

#: The credit that SDO's rules of the road ask for.
COURTESY = "NASA/SDO and the AIA, EVE, and HMI science teams"
#: What an address may hold as it is.
_URL = ":/?#@!$&'*+,;=%~"


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
    """That the model of a Space was trained on simulated images, if it was."""
    if not facts.simulated:
        return Markdown("")
    return Markdown(
        "**Simulated data.** The model was trained on simulated images: what it says about the real Sun has no scientific "
        "meaning."
    )


# --- classes --------------------------------------------------------------------------------------------------------


def region(facts: Facts) -> Markdown:
    """What counts as one region."""
    returns = ", including its returns under later numbers" if facts.split.link_returning else ""
    return Markdown(
        f"A region is a NOAA active region{returns}; an image without a NOAA number counts as a region of its own."
    )


def dataset_scheme(facts: Facts) -> Markdown:
    """The label scheme, and those of its classes that the dataset lacks."""
    return _scheme(facts, "did not occur.")


def model_scheme(facts: Facts) -> Markdown:
    """The label scheme, and those of its classes that the model does not know."""
    return _scheme(facts, "did not occur and cannot be predicted.")


def _scheme(facts: Facts, absence: str) -> Markdown:
    scheme = facts.scheme
    order = "the classes are ordered as listed" if scheme.ordered else "the classes have no order"
    return lines(
        f"Scheme {code(scheme.name)}, version {md(scheme.version)}; {order}.",
        f"The scheme's {md(', '.join(scheme.absent))} {absence}" if scheme.absent else "",
    )


def flares(facts: Facts) -> Markdown:
    """A section on the flares that the labels were made from, if they were."""
    listed = facts.flares
    if listed is None:
        return Markdown("")
    return blocks(
        "### Which flares count",
        lines(
            f"A region is labelled `flare` if the list {md(listed.list)} ({md(listed.first)} to {md(listed.last)}) has "
            f"one of its flares of {md(listed.threshold)} or more that {md(listed.counted)} ({number(listed.hours)} hours).",
            f"In those hours the list holds {count(listed.events_in_windows)} flares of that class, "
            f"{count(listed.events_without_region)} of them without a region: any of these may belong to an image "
            "labelled as having no flare.",
        ),
    )


# --- limits ---------------------------------------------------------------------------------------------------------


def dataset_limits(facts: Facts) -> Markdown:
    """List items: how far from the central meridian the images go, and that labels were not checked."""
    limit = facts.max_longitude_deg
    return lines(
        f"- Regions beyond {number(limit)} degrees from the central meridian are not included."
        if limit
        else "- No longitude limit was set; near the limb, projection makes classes unreliable.",
        ""
        if facts.simulated
        else "- Labels are as given in the source of the rows; they were not checked against the images.",
    )


def seeds(facts: Facts) -> Markdown:
    """From how many seeds the network was trained, and that the intervals do not include their spread."""
    training = facts.training
    how = f"once, with seed {training.seed}"
    if training.seeds:
        how = f"from {len(training.seeds['validation'])} seeds, of\n  which the validation part chose {training.seed}"
    if averaged := training.seeds.get("averaged"):
        how = (
            f"from {len(training.seeds['validation'])} seeds, of\n  which the weights of {len(averaged)} were averaged"
        )
    return lines(f"The network was trained {how}; the spread", "  over seeds is not included in them.")


def years(facts: Facts) -> Markdown:
    """The times that the network was trained and tested on."""
    train, validation, test = (facts.split.parts[name] for name in ("train", "validation", "test"))
    learned = (train, validation) if facts.training.refit else (train,)
    first, last = min(part.first for part in learned), max(part.last for part in learned)
    around = first < test.first and test.last < last
    without = f" without {facts.split.year}" if facts.split.year and around else ""
    return lines(
        f"Trained on {day(first)} to {day(last)}{without}, tested on",
        f"  {day(test.first)} to {day(test.last)}.",
    )


def model_limb(facts: Facts) -> Markdown:
    """Whether regions near the limb were left out."""
    if not facts.max_longitude_deg:
        return Markdown("No longitude limit was set; near the limb, projection makes the classes unreliable.")
    return lines(
        f"Regions beyond {number(facts.max_longitude_deg)} degrees from the central meridian were left out of",
        "  both training and test.",
    )


def cautions(facts: Facts) -> Markdown:
    """List items: that the model is not for operations, and the study's own notes."""
    operations = lines(
        "- **Not for operations.** The model was tested on past images, not as a forecast, and labels were taken as the",
        "  source of the rows gives them.",
    )
    return lines("" if facts.simulated else operations, *(f"- {md(note)}" for note in facts.notes))


# --- licence, credit, citation --------------------------------------------------------------------------------------


def dataset_licence(facts: Facts) -> Markdown:
    """The licence of the annotations."""
    if facts.licence:
        return Markdown(f"Licence of the annotations: {md(facts.licence)}.")
    return Markdown("The authors state no licence for the annotations: ask before you use them.")


def model_licence(facts: Facts) -> Markdown:
    """The licence of the model."""
    if facts.licence:
        return Markdown(f"Licence of the model: {md(facts.licence)}.")
    return Markdown("The authors state no licence: ask before you use the model.")


def courtesy(facts: Facts) -> Markdown:
    """SDO's credit, for images of the Sun, unless the study already gives it."""
    needed = not facts.simulated and COURTESY not in facts.provenance.credit
    return Markdown(f"Courtesy of {COURTESY}." if needed else "")


def dataset_citation(facts: Facts) -> Markdown:
    """The dataset in BibTeX."""
    where = f"datasets/{verbatim(facts.repositories.dataset)}"
    return _citation(facts, f"{verbatim(facts.name)}-data", "dataset", where)


def model_citation(facts: Facts) -> Markdown:
    """The model in BibTeX."""
    return _citation(facts, verbatim(facts.name), "model", verbatim(facts.repositories.model))


def doi(facts: Facts) -> Markdown:
    """The DOI of the release, once it has one."""
    return Markdown(f"DOI: [{md(facts.doi)}](https://doi.org/{quote(facts.doi)})" if facts.doi else "")


def other_licence(facts: Facts) -> Markdown:
    """What 'other' stands for, where the Hub does not list a licence."""
    named = "other" in (facts.licence, facts.provenance.licence) and facts.licence_name and facts.licence_link
    return Markdown(f"'other' is [{md(facts.licence_name)}]({quote(facts.licence_link, safe=_URL)})." if named else "")


def _citation(facts: Facts, key: str, kind: str, where: str) -> Markdown:
    authors = " and ".join(bibtex(author) for author in facts.authors)
    return lines(
        f"@misc{{{key},",
        f"  title = {{{bibtex(facts.title)}}},",
        f"  author = {{{authors}}}," if facts.authors else "",
        f"  version = {{{verbatim(facts.repositories.pin)}}},",
        f"  howpublished = {{Hugging Face Hub, {kind}}},",
        f"  doi = {{{bibtex(facts.doi)}}}," if facts.doi else "",
        f"  url = {{https://huggingface.co/{where}}}",
        "}",
    )


def versions(facts: Facts) -> Markdown:
    """The packages used to train the network, with their versions."""
    return Markdown(", ".join(f"{md(name)} {md(version)}" for name, version in facts.training.versions.items()))


#: The sentences, by the name under which a template calls them.
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
        parts.split,
        parts.audit,
        parts.kept_apart,
        dataset_limits,
        seeds,
        years,
        model_limb,
        cautions,
        dataset_licence,
        model_licence,
        courtesy,
        other_licence,
        doi,
        dataset_citation,
        model_citation,
        versions,
        skill.intervals,
        skill.strongest_baseline,
        skill.baselines,
        skill.baselines_figure,
        skill.elsewhere,
        skill.persistence,
        told.beside,
        told.ablation,
        probabilities.reliability,
        probabilities.brier,
        probabilities.ranking,
        probabilities.selective,
        probabilities.decision,
        probabilities.shift,
        skill.validation,
        skill.by_class,
        skill.recall_figure,
        skill.by_longitude,
        skill.strata,
        strange.unfamiliar,
        engines.engines,
        explanation.explanation,
        explanation.mistakes,
        usage.dataset_images,
        usage.model_images,
        usage.classify_files,
        usage.upload,
        usage.ask_space,
    )
}
