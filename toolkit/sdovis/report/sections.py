"""What a report says beyond the cards: the run in short, pictures of its data, its comparison, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import (
    Markdown,
    blocks,
    code,
    count,
    difference,
    interval,
    md,
    named,
    number,
    score,
    table,
    without_folders,
)
from sdovis.cards.sentences import SENTENCES
from sdovis.evaluation.comparison import Comparison

#: Figures of the summary that a report shows, and what they are.
OF_DATA = ("cutouts", "class_balance", "butterfly")


@dataclass(frozen=True)
class Origin:
    """What a report was made of: ``study`` is the text of the run's study file, ``digests`` those of its folders.

    ``captions`` are of the summary's figures that the report shows, by their path; ``comparison`` is that with other runs.
    """

    study: str
    digests: Mapping[str, str]
    captions: Mapping[str, str]
    comparison: Comparison | None


def of_run(facts: Facts, origin: Origin) -> dict[str, Markdown]:
    """What a report's template prints by ``{{ of_run.NAME }}``."""
    return {
        "notices": _notices(facts),
        "in_short": _in_short(facts),
        "pictures_of_data": blocks(*(f"![{md(told)}]({file})" for file, told in origin.captions.items())),
        "comparison": _comparison(origin.comparison),
        "again": _again(facts, origin),
    }


def _notices(facts: Facts) -> Markdown:
    # That a release is not published yet is nothing to a reader of the run's own report.
    return SENTENCES["model_notices"](replace(facts, repositories=replace(facts.repositories, placeholder=False)))


def _in_short(facts: Facts) -> Markdown:
    best, scores = facts.headline, facts.scores
    rows = [
        ["test images", f"{count(scores.rows)}, of {count(scores.regions)} regions"],
        [named(best.score), f"**{interval(best.model)}**"],
    ]
    if best.rival_score is not None and best.difference is not None:
        rows += [
            [f"best baseline, {code(best.rival)}", interval(best.rival_score)],
            ["difference, paired", difference(best.difference)],
        ]
    if scores.reliability is not None:
        known, floor = (scores.probabilistic.get(name) for name in ("ece", "ece-floor"))
        told = score(scores.reliability.ece) if known is None else interval(known)
        rows.append(["expected calibration error", told])
        if floor is not None:
            rows.append(["what perfectly calibrated probabilities would show", interval(floor)])
    for each in facts.elsewhere:
        rows.append([f"on {md(each.source.title)}", interval(each.facts.overall[best.score])])
    return table(["", ""], rows)


def _comparison(found: Comparison | None) -> Markdown:
    if found is None:
        return Markdown("")
    runs = ([code(name), interval(entry), count(found.left_out[name])] for name, entry in found.scores.items())
    pairs = (
        [
            f"{code(pair.a)} minus {code(pair.b)}",
            difference(pair.difference),
            _chance(pair.p_value),
            _chance(pair.p_holm),
        ]
        for pair in found.pairs
    )
    images = f"the images of {md(found.on)}" if found.on else "the test images"
    return blocks(
        "### Compared with other runs",
        f"On {images}: {count(found.rows)} that all runs have, of {count(found.regions)} regions.",
        table(["run", named(found.metric), "images left out"], runs),
        table(["pair", "difference, paired", "p", "p (Holm)"], pairs),
        blocks(*map(md, found.sentences)),
    )


def _chance(p: float | None) -> Markdown:
    return Markdown("-") if p is None else number(p)


def _again(facts: Facts, origin: Origin) -> Markdown:
    versions = table(["package", "version"], ([md(name), md(of)] for name, of in _versions(facts).items()))
    digests = table(
        ["folder", "sha256 of its manifest"], ([code(name), code(of)] for name, of in origin.digests.items())
    )
    fence = "~~~~~~~~"
    return blocks(
        "With the study below saved as `study.toml` and its data where it says:",
        f"```bash\npip install 'sdovis=={facts.sdovis}'\nsdovis check study.toml\nsdovis run study.toml\n```",
        f"This is release {code(facts.repositories.pin)}: a function of the contents of corpus, model and scores. "
        f"`sdovis verify runs/{md(facts.name)}` computes every number of this report again from the saved predictions.",
        versions,
        digests,
        "### The study",
        f"{fence}toml\n{without_folders(origin.study).replace(fence, '')}\n{fence}",
    )


def _versions(facts: Facts) -> dict[str, str]:
    return {"sdovis": facts.sdovis, **{name: str(of) for name, of in facts.training.versions.items()}}
