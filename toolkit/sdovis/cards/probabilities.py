"""What the model card says about probabilities: what they are worth, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, blocks, count, difference, interval, lines, md, named, number, score
from sdovis.cards.skill import figure


def reliability(facts: Facts) -> Markdown:
    """How far the probability of the predicted class is from the share of right answers, and the figure of it."""
    found = facts.scores.reliability
    if found is None:
        return Markdown("")
    return blocks(
        lines(
            f"The predicted class has a mean probability of {score(found.confidence)}.",
            f"Expected calibration error {_with_interval(facts, 'ece', found.ece)} ({count(len(found.bins))} bins of equally "
            "many images; the",
            "estimate is too large if there are few images, the interval is not),",
            f"classwise {_with_interval(facts, 'classwise-ece', found.classwise_ece)}; "
            f"log loss {_with_interval(facts, 'log-loss', found.log_loss)}.",
        ),
        lines(*_floor(facts), *_as_taught(facts), _calibrated(facts)),
        figure(facts, "reliability", "Share of right answers against the probability of the predicted class"),
    )


def _floor(facts: Facts) -> Iterator[str]:
    known = facts.scores.probabilistic.get("ece-floor")
    if known is not None and known.estimate is not None:
        yield f"On these images perfectly calibrated probabilities would show an error of about {interval(known)}."


def _as_taught(facts: Facts) -> Iterator[str]:
    """Where the loss made up for rare classes."""
    found = facts.scores.probabilistic
    if "ece-as-taught" in found:
        yield "The network was taught as if rare classes were more common than they are, and says what would hold if they were:"
        yield (
            f"with the test images weighted accordingly the error is {interval(found['ece-as-taught'])}, and perfectly "
            f"calibrated probabilities would show {interval(found['ece-floor-as-taught'])}."
        )


def _calibrated(facts: Facts) -> str:
    if facts.training.temperature is None:
        return "The probabilities are not calibrated."
    method = facts.training.method
    how = ", with a bias for each class" if facts.training.biases else ""
    how += ", the classes weighted as in the loss" if method.get("calibration") == "weighted-temperature" else ""
    if folds := method.get("calibration_folds"):
        return (
            f"The probabilities were calibrated{how} on the training and validation parts: {count(folds)} networks were each "
            "trained on the other regions than those that they judged."
        )
    if facts.training.refit:
        return (
            f"The probabilities were calibrated{how} on the validation part in the first training; the second one, which "
            "learned from that part too, takes the same temperature."
        )
    return f"The probabilities were calibrated{how} on the validation part."


def _with_interval(facts: Facts, name: str, estimate: float) -> str:
    known = facts.scores.probabilistic.get(name)
    return score(estimate) if known is None else interval(known)


def brier(facts: Facts) -> Markdown:
    """The Brier skill score, and what it is compared with."""
    learned = "training and validation parts'" if facts.training.refit else "training part's"
    found, known = facts.scores.brier_skill, facts.scores.probabilistic.get("brier-skill")
    bounds = (
        f" [{score(known.low)}, {score(known.high)}]"
        if known and known.low is not None and known.high is not None
        else ""
    )
    return lines(
        f"Brier skill score against the {learned} class shares: {score(found)}{bounds} (1 is perfect, 0 is no better",
        "than the shares).",
    )


def ranking(facts: Facts) -> Markdown:
    """How well probabilities rank the images, whatever the threshold; empty if that is not known."""
    found = facts.scores.probabilistic
    if "auroc" not in found:
        return Markdown("")
    return lines(
        "Whatever the threshold, as means over classes: area under the ROC curve",
        f"{interval(found['auroc'])}, average precision {interval(found['average-precision'])}.",
    )


def selective(facts: Facts) -> Markdown:
    """The section on leaving doubtful images unanswered; empty if nothing is known of it."""
    found = facts.scores.selective
    if found is None:
        return Markdown("")
    wrong = found.curve[-1][1]
    return blocks(
        "### When it says that it does not know",
        lines(
            "If only the images with the surest answers are answered, fewer answers are wrong: area under the risk-coverage",
            f"curve {interval(found.aurc)}, where an order by chance would have {score(wrong)}, the share of wrong answers.",
        ),
        _abstention(facts),
        figure(facts, "risk_coverage", "Share of wrong answers against the share of images that are answered"),
    )


def _abstention(facts: Facts) -> Markdown:
    chosen = facts.scores.selective.abstention if facts.scores.selective else None
    if chosen is None:
        return Markdown("")
    wanted = f"a {chosen.rule} of {_percent(chosen.asked)}"
    if chosen.threshold is None or chosen.coverage is None or chosen.risk is None:
        return Markdown(f"The study asks for {wanted}; with no threshold the validation part has so few wrong answers.")
    balanced = chosen.balanced_accuracy
    return lines(
        f"The study asks for {wanted}; the validation part puts the threshold at a probability of {score(chosen.threshold)}.",
        f"Of the test images {interval(chosen.coverage)} are then answered, and {interval(chosen.risk)} of these wrongly",
        f"(balanced accuracy {interval(balanced)})." if balanced else "(none is answered).",
    )


def decision(facts: Facts) -> Markdown:
    """The section on the threshold of one of two classes; empty if the study asks for none."""
    found = facts.scores.decision
    if found is None:
        return Markdown("")
    name = named(found.score)
    return blocks(
        "### Threshold",
        lines(
            f"For the best {name} the validation part puts the threshold of {md(found.positive)} at {score(found.threshold)}",
            f"({name} {score(found.on_validation)} there). On the test part {name} is then {interval(found.test)}, and "
            f"{interval(found.at_half)} if the",
            f"more probable class is taken, a difference of {difference(found.difference)}. The pipeline takes the more "
            "probable class.",
        ),
    )


def shift(facts: Facts) -> Markdown:
    """The section on other shares of the classes; empty if the study asks for none."""
    found = facts.scores.shift
    if found is None:
        return Markdown("")
    how = "estimated from the probabilities (Saerens et al. 2002)" if found.estimated else "as the study gives them"
    rows = ((named(name), interval(each), interval(found.as_it_is[name])) for name, each in found.model.items())
    return blocks(
        "### Where classes are more or less common",
        lines(
            f"What to expect where the shares are {_shares(found.shares)}, {how}: not measured there, but computed from the",
            "rates of each class in the test part. Probabilities are shifted by Bayes' rule from those with which they hold,",
            f"{_shares(found.prior)}. The model as published does not do so.",
        ),
        lines("| | shifted | as published |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)),
    )


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{md(name)} {_percent(share)}" for name, share in shares.items())


def _percent(share: float) -> str:
    """As a rare class needs it: half a percent is not rounded to nothing."""
    return f"{number(100 * share)} %"
