"""What the model card says about pictures that are strange to the model."""

from __future__ import annotations

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, blocks, count, lines, md, percent, score, table
from sdovis.evaluation.strangers import FamiliarityFacts
from sdovis.learning.familiarity import Limit
from sdovis.statistics.bootstrap import Estimate


def unfamiliar(facts: Facts) -> Markdown:
    """The section on unfamiliar pictures: false alarms, what is noticed, and what the limits rest on; empty for older runs."""
    found = facts.familiarity
    if found is None:
        return Markdown("")
    file = "figures/strangers.png"
    rows = (
        [
            md(case.name),
            count(case.pictures),
            count(case.refused),
            count(case.noticed),
            "-" if case.auroc is None else score(case.auroc),
        ]
        for case in found.cases
    )
    return blocks(
        "### Unfamiliar pictures",
        "A classifier answers whatever it is shown. `sdovis.pipeline`, `sdovis predict` and the page therefore measure how "
        "far a picture lies from the training images, in the features of the network and in its texture, and say if it is "
        "too far for the answer to be used. **The plain pipeline of transformers does not.**",
        lines(
            f"Of the test images {_share(found.false_alarms)} are called unfamiliar, which should be at most",
            f"{percent(found.rate)}.",
            f"Of {count(sum(case.pictures for case in found.cases))} pictures that no such model should answer, "
            f"{count(sum(case.noticed for case in found.cases))} are noticed: refused, or called unfamiliar.",
        ),
        table(["strange pictures", "shown", "refused", "noticed", "AUROC"], rows),
        Markdown(f"![Share of strange pictures noticed against false alarms]({file})" if file in facts.figures else ""),
        lines(*(_rests_on(name, limit, found) for name, limit in found.limits.items())),
        lines(
            *(
                f"Of the images of {md(each.source.title)}, {_share(each.familiarity.false_alarms)} are unfamiliar."
                for each in facts.elsewhere
                if each.familiarity is not None
            )
        ),
    )


def _share(found: Estimate) -> Markdown:
    """A share and its interval in per cent."""
    bounds = [f"{bound:.1%}" for bound in (found.low, found.high) if bound is not None]
    shown = "-" if found.estimate is None else f"{found.estimate:.1%}"
    return Markdown(shown.replace("%", " %") + (f" [{', '.join(bounds)}]".replace("%", "") if len(bounds) == 2 else ""))


def _rests_on(name: str, limit: Limit, found: FamiliarityFacts) -> Markdown:
    """What the limit of one distance is, and which rate of false alarms its regions can promise."""
    kind = (
        "Mahalanobis' distance, shrunk covariance" if limit.kind == "mahalanobis" else f"distance to the {limit.kind}"
    )
    wanted = found.rate / len(found.limits)
    told = f"Limit on {name} ({kind}), from {count(limit.regions)} regions:"
    if limit.supported_rate > wanted:
        return md(
            f"{told} the largest distance among them; so few can promise no rate below {limit.supported_rate:.1%}."
        )
    return md(f"{told} enough to promise a rate of {wanted:.1%}, if new regions are like them.")
