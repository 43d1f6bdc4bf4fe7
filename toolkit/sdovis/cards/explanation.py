"""What the model card says about where the network looks, and about its most confident mistakes."""

from __future__ import annotations

from sdovis.cards import skill
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import (
    Markdown,
    blocks,
    code,
    count,
    day,
    difference,
    interval,
    lines,
    md,
    score,
    table,
)
from sdovis.evaluation.explanation import Explanation
from sdovis.evaluation.maps import TITLES


def explanation(facts: Facts) -> Markdown:
    """The section on maps of where the network looks, and how they were tested; empty if they were not."""
    found = facts.explanation
    if found is None:
        return Markdown("")
    of = ", ".join(f"{count(found.images[part])} {part}" for part in ("validation", "test"))
    kinds = ", ".join(f"`{name}` is {TITLES[name]}" for name in found.maps)
    return blocks(
        "### Where it looks",
        lines(
            "A map of where the network looks is worth showing if the network needs what the map marks. In a sample of images",
            f"({of}; one of each region, seed {found.bootstrap.seed}) patches were replaced by the picture's median code, the",
            "most important first (deletion: the lower the area under the probability, the better), or put into a picture of",
            "that code alone (insertion: the higher, the better). The gain is insertion minus deletion, less that of maps",
            "drawn at random. The last column is the rank correlation with the maps of the same network with all weights drawn",
            "anew: near 1, a map does not depend on what was learned. Deletion, insertion and correlation are of the test",
            "part.",
        ),
        _maps(found),
        lines(f"Maps: {kinds}.", _shown(facts)),
        skill.figure(facts, "maps", "Test images, and where the network looked by each kind of map"),
    )


def _maps(found: Explanation) -> Markdown:
    rows = []
    for name, each in found.maps.items():
        areas = map(interval, (each.test.areas.deletion, each.test.areas.insertion))
        gains = difference(each.validation.gain), difference(each.test.gain)
        rows.append([code(name), *areas, *gains, interval(each.untrained)])
    chance = interval(found.random.deletion), interval(found.random.insertion)
    head = [
        "map",
        "deletion",
        "insertion",
        "gain, validation part",
        "gain, test part",
        "correlation, weights drawn anew",
    ]
    return table(head, [*rows, ["drawn at random", *chance, "-", "-", "-"]])


def _mistakes(found: Explanation) -> Markdown:
    rows = []
    for each in found.mistakes:
        near = "; ".join(f"{_image(n.noaa_ar, n.observed)} ({md(n.label)}, {n.cosine:.3f})" for n in each.nearest)
        told = md(each.label), md(each.predicted), score(each.probability)
        rows.append([_image(each.noaa_ar, each.observed), *told, near or "-"])
    return table(["image", "observed", "predicted", "probability", "nearest training images (class, cosine)"], rows)


def _image(region: int | None, observed: str) -> str:
    return f"{'no region' if region is None else f'AR {region}'}, {day(observed)}"


def _shown(facts: Facts) -> str:
    found = facts.explanation
    if found is None or not found.chosen:
        return "**No kind of map is shown to be better than maps drawn at random** on the validation part: the page shows none."
    gain = found.maps[found.chosen].test.gain
    confirmed = gain.low is not None and gain.low > 0
    return lines(
        f"The page shows `{found.chosen}`, which gained most on the validation part.",
        f"On the test part its gain is {difference(gain)}"
        + ("." if confirmed else ": there it is **not shown to be better**"),
        "" if confirmed else "than maps drawn at random.",
    )


def mistakes(facts: Facts) -> Markdown:
    """The section on the most confident mistakes; empty if the run was not explained."""
    found = facts.explanation
    if found is None:
        return Markdown("")
    if not found.mistakes:
        return blocks("### Most confident mistakes", "Every test image is classified correctly.")
    near = (
        f"Beside each: those of {count(found.searched)} training images, one of each region, whose features at the classifier "
        "are most like its own."
        if found.searched
        else "The network has no single layer of features by which training images could be compared with them."
    )
    return blocks(
        "### Most confident mistakes",
        lines(
            f"{count(found.wrong)} of {count(facts.scores.rows)} test images are classified wrongly. These are the wrong",
            f"answers with the highest probability, one of each region. {near}",
        ),
        _mistakes(found),
        skill.figure(facts, "mistakes", "The most confident mistakes, with region, date, observed and predicted class"),
        skill.figure(facts, "nearest", "Each mistake beside the training images whose features are most like its own"),
    )
