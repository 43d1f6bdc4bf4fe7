"""What the cards say of values beside the image: which they are, how such a model is asked, and what each is worth."""

from __future__ import annotations

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import (
    Markdown,
    blocks,
    code,
    difference,
    interval,
    lines,
    md,
    number,
    percent,
    table,
    verbatim,
)
from sdovis.corpus.beside import PREFIX
from sdovis.evaluation.ablation import HEADS, PAIRS
from sdovis.statistics.tabular import TableColumn

#: What the head of the same name was given.
_GIVEN = {
    "image": "the network's features of the image",
    "table": "the values beside it",
    "both": "both together",
}


def beside(facts: Facts) -> Markdown:
    """The section on what the model is told beside the image; empty if it looks at the image alone."""
    if not facts.fused:
        return Markdown("")
    return blocks(
        "### Values beside the image",
        lines(
            "The model is told values beside each image: one linear layer on the network's features and on these numbers",
            "together, trained with the network. **Without them it gives no answer**, and `transformers.pipeline` refuses to",
            "open it. A number is standardised with the mean and standard deviation of the training part; a missing one stands",
            "at the training median, and the model is told that it is missing. A category is one of those of the training",
            "part, or missing.",
        ),
        _columns(facts),
        _strange(facts),
    )


def _columns(facts: Facts) -> Markdown:
    rows = [
        [code(each.name), md(each.heading), md(_kind(each)), _range(each), percent(each.missing)]
        for each in facts.beside
    ]
    return table(["name", "column of the source", "kind", "in the training part", "missing there"], rows)


def _kind(column: TableColumn) -> str:
    return "number, as log(1 + x)" if column.kind == "logarithm" else column.kind


def _range(column: TableColumn) -> str:
    if column.categories is not None:
        return md(", ".join(column.categories))
    assert column.low is not None and column.high is not None and column.median is not None
    return f"{number(column.low)} to {number(column.high)}, median {number(column.median)}"


def _strange(facts: Facts) -> str:
    """How many rows have values unlike those of the training part."""
    told = "; ".join(
        f"{code(name)} in {count} row{'s' if count > 1 else ''}" for name, count in facts.beside_strange.items()
    )
    return (
        lines(
            "Of the validation and test parts, values lie outside the training range, are names that it does not have, or are",
            f"missing although none was missing there: {told}. Such a name, and a missing value, count as missing.",
        )
        if told
        else ""
    )


def ablation(facts: Facts) -> Markdown:
    """The section on what image and table are worth, alone and together; empty for a model that looks at the image alone."""
    found = facts.scores.ablation
    if found is None:
        return Markdown("")
    scores = table(
        ["head", "given", "balanced accuracy"],
        [[code(name), md(_GIVEN[name]), interval(found.scores[name])] for name in HEADS],
    )
    compared = ((one, other, found.differences[f"{one} - {other}"]) for one, other in PAIRS)
    differences = table(
        ["difference", "paired, by region"],
        [[f"{code(one)} minus {code(other)}", difference(each)] for one, other, each in compared],
    )
    both = found.differences["both - image"]
    verdict = (
        "The values beside the image add to what the image tells."
        if both.low is not None and both.low > 0
        else "The values beside the image are **not shown to add** to what the image tells."
    )
    again = facts.training.refit
    network = (
        "the network of the first training, to which the validation part is new" if again else "this model's network"
    )
    twin = "" if again else " The head on the table alone is the baseline `beside`."
    return blocks(
        "### Image, table, both",
        lines(
            "Three heads of the same kind, a logistic regression each, fitted alike on the training part; the validation part",
            f"chose each one's penalty, and the test part only compares them. The features are those of {network};",
            f"it was trained with the values beside it: a network trained on images alone may have others.{twin}",
        ),
        scores,
        differences,
        verdict,
    )


def given(facts: Facts) -> str:
    """Values as a snippet of Python gives them: a training median, and the first category; "" for other models."""
    return f"beside={_values(facts, '')}" if facts.fused else ""


def for_the_page(facts: Facts) -> str:
    """The same as the page's endpoint takes them."""
    return _values(facts, PREFIX)


def _values(facts: Facts, prefix: str) -> str:
    values = (
        f'"{prefix}{verbatim(each.name)}": "{verbatim(each.categories[0])}"'
        if each.categories
        else f'"{prefix}{verbatim(each.name)}": {each.median:.4g}'
        for each in facts.beside
    )
    return f"{{{', '.join(values)}}}"
