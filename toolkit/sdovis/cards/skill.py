"""What the model card says about skill: sentences that depend on the scores, each a function of the facts."""

from __future__ import annotations

from sdovis.cards import tables
from sdovis.cards.facts import Facts, headline
from sdovis.cards.markdown import Markdown, blocks, code, count, difference, interval, lines, md, percent, score
from sdovis.evaluation.strata import DISTANCE

#: What each baseline of `sdovis.evaluation.baselines` is, in the order in which a card names them.
BASELINES = {
    "majority": "always predicts its commonest class",
    "raw-pixels": "is a logistic regression on a 14 x 14 thumbnail",
    "absolute-field": "is one on a 14 x 14 thumbnail of |B|",
    "brightness": "is one on the mean, spread and percentiles of the image",
    "spot-measures": "is one on eight measures of the spots on the Sun (area, umbral area, numbers of spots and umbrae, share "
    "of the largest, darkest point, extent, elongation)",
    "spot-measures-boosted": "is gradient-boosted trees on these",
    "polarity-measures": "is a logistic regression on 23 measures of the field on the Sun (fluxes and areas of each polarity, "
    "knots and their opposite pairs, neutral line and its gradient, Schrijver's R, mixing)",
    "polarity-measures-boosted": "is gradient-boosted trees on these",
    "union-boosted": "is gradient-boosted trees on the features of all the others",
    "beside": "is a logistic regression on the values beside the image, which none of the others are given",
    "beside-boosted": "is gradient-boosted trees on these",
}


def intervals(facts: Facts) -> Markdown:
    """How the intervals were made; those of an older sdovis were percentiles without exception."""
    drawn = facts.scores.bootstrap
    by_scale = (
        ": percentiles; of areas under curves, log loss and strata, symmetric in their logit or logarithm; of calibration "
        "errors, by an inverted bootstrap test"
    )
    return lines(
        f"{percent(drawn.confidence)} intervals from {count(drawn.samples)} bootstrap samples",
        f"of whole regions (seed {drawn.seed}){by_scale if 'ece-floor' in facts.scores.probabilistic else ''}.",
    )


def strongest_baseline(facts: Facts) -> Markdown:
    """How the model compares with its best baseline."""
    best = facts.headline
    if best.rival_score is None or best.difference is None:
        return Markdown("No baseline was scored for comparison.")
    verdict = "." if best.beats else ": it is **not shown to be better** than that baseline."
    return lines(
        f"The strongest baseline, {code(best.rival)}, reaches {interval(best.rival_score)}; the model differs from it by",
        f"{difference(best.difference)}{verdict}",
    )


def baselines(facts: Facts) -> Markdown:
    """What the differences to the baselines mean, and what each baseline is."""
    if not facts.scores.baselines:
        return Markdown("")
    told = "; ".join(f"`{name}` {what}" for name, what in BASELINES.items() if name in facts.scores.baselines)
    return lines(
        "Differences are paired: both classifiers on the same resampled regions. Baselines, fitted on the training part"
        f"{' and, once chosen, on the validation part too' if facts.training.refit else ''}:",
        f"{told}.",
    )


def elsewhere(facts: Facts) -> Markdown:
    """The section on other sources: which they are, what was left out, and where no better than a baseline."""
    if not facts.elsewhere:
        return Markdown("")
    found = []
    for each in facts.elsewhere:
        source, best = each.source, headline(each.facts, facts.headline.score)
        dropped = "; ".join(f"{count(n)} ({why})" for why, n in source.dropped.items())
        absent = ", ".join(md(name) for name in source.missing_classes)
        shared = f"{count(source.shared_with_test)} of its regions are also in the test part."
        weaker = f"The model is **not shown to be better** than {code(best.rival)} there."
        found.append(
            lines(
                f"- **{md(source.title)}**:",
                f"Rows left out: {dropped}." if dropped else "No row of it was seen in training.",
                shared if source.shared_with_test else "",
                f"No image shows {absent}, so means leave these classes out." if absent else "",
                "It is simulated." if source.simulated and not facts.simulated else "",
                weaker if best.rival and not best.beats else "",
            )
        )
    return blocks(
        "### On other data",
        "The same model and baselines, unchanged, on sources that took no part in training. Rows that training may have "
        "seen are left out.",
        tables.elsewhere(facts),
        Markdown("\n".join(found)),
    )


def validation(facts: Facts) -> Markdown:
    """The score of the validation part, and whether that part chose the checkpoint."""
    chose = ", which chose the checkpoint" if facts.training.kept_by != "last" else ""
    found = facts.scores.validation
    by = " This is the network of the first training: the model itself learned from these images."
    return lines(
        f"On the validation part{chose}: balanced accuracy",
        f"{score(found.balanced_accuracy)} on {count(found.rows)} images.{by if facts.training.refit else ''}",
    )


def persistence(facts: Facts) -> Markdown:
    """How well the class of the day before tells that of today; empty if no row has one."""
    found = facts.scores.persistence
    if found is None:
        return Markdown("")
    untold = "" if facts.fused else ", which the model is not told,"
    return lines(
        f"For reference, persistence: on the {count(found.rows)} images of {count(found.regions)} regions that were also",
        f"observed about a day before, the class of that day{untold} has a balanced accuracy of",
        f"{interval(found.balanced_accuracy)}; the model has {interval(found.model)} on these, a difference of "
        f"{difference(found.difference)}.",
    )


def baselines_figure(facts: Facts) -> Markdown:
    """The figure of the model's score beside the baselines', if it was drawn."""
    return figure(facts, "against_baselines", "Balanced accuracy of the model and of the baselines, with intervals")


def recall_figure(facts: Facts) -> Markdown:
    """The figure of each class's recall, if scores by class were asked for."""
    shown = facts.scores.per_class
    return figure(facts, "recall", "Recall of each class, with intervals") if shown else Markdown("")


def figure(facts: Facts, name: str, told: str) -> Markdown:
    """A figure of the run by its name, if it was drawn; ``told`` is said where it cannot be seen."""
    file = f"figures/{name}.png"
    return Markdown(f"![{told}]({file})" if file in facts.figures else "")


def by_class(facts: Facts) -> Markdown:
    """How to read the scores of the classes, or that there are none."""
    scores = facts.scores.per_class
    if not scores:
        return Markdown("The study asked for no scores by class; the table below gives all counts.")
    return lines(
        "Each class against the rest.",
        "TSS = POD - POFD does not depend on how common a class is." if "tss" in scores else "",
        "HSS does; read it together with the share." if "hss" in scores else "",
    )


def by_longitude(facts: Facts) -> Markdown:
    """The section on the distance from the central meridian; empty if the strata have it, which come with intervals."""
    if any(each.what == DISTANCE for each in facts.scores.strata):
        return Markdown("")
    known = bool(facts.scores.by_longitude)
    return blocks(
        "### By distance from the central meridian",
        tables.by_longitude(facts),
        "No intervals are given: a difference between rows with few images is noise."
        if known
        else "The corpus holds no longitudes, so skill near the limb is unknown.",
    )


def strata(facts: Facts) -> Markdown:
    """The section on strata: which is the weakest; empty if there are none."""
    weakest, scores = facts.scores.weakest, facts.scores
    if weakest is None:
        return Markdown("")
    worth = round(scores.effective_regions or scores.regions)
    uneven = (
        f"Images are unevenly spread: the {count(scores.regions)} regions weigh as much as {count(worth)} equal ones."
    )
    return blocks(
        "### Where it is weakest",
        lines(
            f"Weakest: {md(weakest.what)}, {md(weakest.of)}, with {interval(weakest.balanced_accuracy)}",
            f"on {count(weakest.rows)} images of {count(weakest.regions)} regions.",
            "Strata in which a class does not occur, or with fewer than five regions, are left out.",
            uneven if worth < scores.regions else "",
        ),
        tables.strata(facts),
        figure(facts, "strata", "Balanced accuracy in strata of the test part, with intervals"),
    )
