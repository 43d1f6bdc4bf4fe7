"""The model card says which pictures the model cannot be asked about, from what the evaluation saved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sdovis.cards import card, templates
from sdovis.cards.strange import unfamiliar
from sdovis.evaluation.strangers import Case, FamiliarityFacts
from sdovis.learning.familiarity import Limit
from sdovis.statistics.bootstrap import Estimate


@pytest.fixture
def familiar(facts):
    """The facts with those of a model that can tell."""
    limits = {
        "texture": Limit("mahalanobis", 2.2, 791, 1 / 792, {}),
        "features": Limit("10th nearest neighbour", 0.4, 15, 1 / 16, {"mahalanobis": 0.9}),
    }
    cases = (
        Case("white", 12, 12, 12, None, (), ()),
        Case("shuffled patches", 12, 0, 6, 0.98, (0.0, 1.0), (0.5, 1.0)),
    )
    found = FamiliarityFacts(0.01, limits, 156, 27, 1, Estimate(0.0064, 0.0, 0.021), cases)
    return replace(facts, familiarity=found, figures=("figures/strangers.png",))


def test_it_gives_false_alarms_what_is_noticed_and_each_case(familiar) -> None:
    text = unfamiliar(familiar)
    assert "0.6 % [0.0, 2.1] are called unfamiliar, which should be at most\n1 %" in text
    assert "Of 24 pictures that no such model should answer, 18 are noticed" in text
    assert "| white | 12 | 12 | 12 | - |" in text
    assert "| shuffled patches | 12 | 0 | 6 | 0.98 |" in text
    assert "figures/strangers.png" in text
    assert "plain pipeline of transformers does not" in text


def test_it_says_what_the_limits_rest_on(familiar) -> None:
    text = unfamiliar(familiar)
    assert "from 791 regions: enough to promise a rate of 0.5%" in text
    assert "distance to the 10th nearest neighbour), from 15 regions: the largest distance among them" in text
    assert "no rate below 6.2%" in text


def test_other_sources_are_named(familiar, facts_elsewhere) -> None:
    other = replace(familiar.familiarity, cases=(), false_alarms=Estimate(0.25, 0.1, 0.4))
    first, second = facts_elsewhere.elsewhere
    text = unfamiliar(replace(familiar, elsewhere=(replace(first, familiarity=other), second)))
    assert f"Of the images of {first.source.title}, 25.0 % [10.0, 40.0] are unfamiliar." in text
    assert second.source.title not in text


def test_an_older_run_has_no_such_section(facts, familiar) -> None:
    own = templates.load(None)
    assert unfamiliar(facts) == ""
    assert "Unfamiliar pictures" not in card.model_card(facts, own)
    assert "### Unfamiliar pictures" in card.model_card(familiar, own)
