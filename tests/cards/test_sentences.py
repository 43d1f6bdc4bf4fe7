"""Each sentence of the cards, by itself: what it says of which facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown
from sdovis.cards.sentences import SENTENCES
from sdovis.cards.tables import TABLES
from sdovis.evaluation.facts import Abstention, Decision, Shift, Stratum
from sdovis.evaluation.strata import DISTANCE
from sdovis.readers.joins import FlareFacts
from sdovis.statistics.bootstrap import Estimate

Change = Callable[[Facts], Facts]


def said(sentence: str, facts: Facts) -> str:
    """A sentence, its line ends left out."""
    return " ".join(SENTENCES[sentence](facts).split())


def divided(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, split=replace(facts.split, **changes))


def scored(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, scores=replace(facts.scores, **changes))


def trained(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, training=replace(facts.training, **changes))


# --- the split ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gap_days": 0.0}, "The split is temporal: train, validation and test follow one another in time. A region"),
        ({"gap_days": 1.0}, "in time, and the images from the 1 day between two parts are dropped. A region"),
        ({"gap_days": 27.0}, "in time, and the images from the 27 days between two parts are dropped. A region"),
        (
            {"method": "grouped", "gap_days": None},
            "by region, at random and stratified by class (`grouped`): the parts",
        ),
        (
            {"method": "kfold", "folds": 7, "fold": 2, "gap_days": None},
            "of 7 folds, numbered 0 to 6, fold 2 is test, fold 3 is validation, and the others are train. The parts overlap",
        ),
        ({"method": "kfold", "folds": 7, "fold": 6, "gap_days": None}, "fold 6 is test, fold 0 is validation"),
    ],
)
def test_each_method_of_a_split_is_told_as_it_is(facts, changes, told):
    assert told in said("split", divided(facts, **changes))


def test_a_split_by_time_is_never_said_to_be_at_random(facts):
    for method in ("temporal", "leave-year-out"):
        text = said("split", divided(facts, method=method, year=2014))
        assert "random" not in text and "overlap" not in text


@pytest.mark.parametrize(("last", "later"), [("2015-06-01 00:00:00+00:00", True), ("2013-06-01 00:00:00+00:00", False)])
def test_leave_year_out_names_the_year_and_says_whether_training_is_later(facts, last, later):
    times = {"train": ("2011-01-01", last), "validation": last, "test": ("2014-01-02", "2014-12-30")}
    parts = {
        name: replace(part, first=times[name][0], last=times[name] if name == "validation" else times[name][1])
        for name, part in facts.split.parts.items()
    }
    given = divided(facts, method="leave-year-out", year=2014, gap_days=27.0, parts=parts)
    text = said("split", given)
    assert "the images of 2014 are test; of those from other years, the latest are validation" in text
    assert "the images from the 27 days between two parts are dropped" in text
    assert ("later than the test part, which tests another year and not the future" in text) is later
    assert ("without 2014" in said("years", given)) is later


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        (None, "counts as a new one, and may be in two parts."),
        (0.0, "counts as a new one, and may be in two parts."),
        (26.9, "The gap is shorter than a solar rotation (27 days): such a region may be in two parts."),
        (27.0, "one whose passage was cut short by the gap, or that came back more than once, may be in two parts."),
        (40.9, "one whose passage was cut short by the gap, or that came back more than once, may be in two parts."),
        (41.0, "it can be in two parts only if it came back more than once."),
    ],
)
def test_what_the_gap_means_for_a_region_that_returns_is_told(facts, gap, told):
    assert told in said("split", divided(facts, gap_days=gap))


@pytest.mark.parametrize(
    ("links", "told"), [(0, "no such returns were"), (1, "1 such return was"), (9, "9 such returns were")]
)
def test_links_are_counted_beside_those_that_chance_would_give(facts, links, told):
    text = said("split", divided(facts, link_returning=True, links=links, links_by_chance=1.4))
    assert "the same region if it lies within 9 degrees of longitude and 3 of latitude" in text
    assert f"{told} found, and about 1.4 are expected by chance." in text
    assert "counts as a new one" not in text


def test_a_region_with_linked_returns_is_one_region(facts):
    assert said("region", facts).startswith("A region is a NOAA active region; an image")
    assert "region, including its returns under later numbers; an image" in said(
        "region", divided(facts, link_returning=True)
    )


def test_pairs_that_were_kept_apart_are_counted(facts):
    given = divided(facts, kept_apart={"overlap": 1234}, crossing_pairs={"overlap": 0})
    assert said("kept_apart", given) == (
        "Pairs of cutouts that overlap on the Sun and would have been in different parts: 1,234, one of each dropped; "
        "still in different parts: 0."
    )
    assert said("kept_apart", divided(facts, kept_apart={})) == ""
    assert said("audit", facts) == "Audit, found in more than one part: region 0, image 0, identical cutout 0."


# --- all others -----------------------------------------------------------------------------------------------------


def simulated(facts: Facts) -> Facts:
    return replace(facts, simulated=True)


def browse(facts: Facts) -> Facts:
    return replace(facts, channels=(replace(facts.channels[0], browse=True),))


def published(facts: Facts) -> Facts:
    return replace(facts, repositories=replace(facts.repositories, placeholder=False))


def three(facts: Facts) -> Facts:
    return replace(facts, channels=tuple(replace(facts.channels[0], name=f"c{i}", title=f"T_{i}") for i in range(3)))


def licensed(facts: Facts) -> Facts:
    return replace(facts, licence="mit", authors=("Ada {L}", "B"))


def flaring(facts: Facts) -> Facts:
    listed = FlareFacts("goes_x.csv", "C1.0", 24.0, "2010-05-01", "2014-12-31", "begin after the image", 1234, 7)
    return replace(facts, flares=listed)


def seeded(facts: Facts) -> Facts:
    return trained(facts, seed=5, seeds={"validation": {"4": {}, "5": {}}})


NEAR = Stratum(DISTANCE, "0 to 20 degrees", 9, 6, Estimate(0.5, 0.4, 0.6))
DECISION = Decision(
    "tss", "flare", 0.31, 0.6, Estimate(0.5, 0.4, 0.6), Estimate(0.4, 0.3, 0.5), Estimate(0.1, 0.0, 0.2)
)
SHIFT = Shift(
    {"flare": 0.005, "quiet": 0.995}, False, {"flare": 0.5, "quiet": 0.5},
    {"accuracy": Estimate(0.9, 0.8, 0.95)}, {"accuracy": Estimate(0.7, 0.6, 0.8)},
)  # fmt: skip


def refitted(facts: Facts) -> Facts:
    return trained(facts, refit={"images": 140, "steps": 24, "epochs": 1.0})


BIASES = {"alpha": -0.2, "beta": 1.1, "complex": -0.9}


def calibrated_by(**method: Any) -> Change:
    return lambda f: trained(f, temperature=1.7, method={**f.training.method, **method})


def taught(error: float) -> Change:
    """Of a network that was taught other shares of the classes than there are."""
    found = {"ece-as-taught": Estimate(error, 0.0, 0.1), "ece-floor-as-taught": Estimate(0.05, 0.02, 0.09)}
    return lambda f: scored(f, probabilistic={**f.scores.probabilistic, **found})


def abstaining(threshold: float | None) -> Change:
    after = (Estimate(0.75, 0.6, 0.9), Estimate(0.1, 0.0, 0.2), Estimate(0.88, 0.8, 0.95)) if threshold else (None,) * 3
    found = Abstention("coverage", 0.8, threshold, *after)
    return lambda facts: scored(facts, selective=replace(facts.scores.selective, abstention=found))


@pytest.mark.parametrize(
    ("sentence", "change", "told"),
    [
        ("dataset_notices", published, ""),
        ("dataset_notices", simulated, "They show how a study is made and say nothing about the Sun."),
        ("dataset_notices", browse, "**For demonstration.**"),
        ("model_notices", published, ""),
        ("model_notices", simulated, "it > must not be used on observations."),
        ("model_notices", browse, "**A demonstration, not a scientific instrument.**"),
        ("space_notices", published, ""),
        ("space_notices", simulated, "what it says about the real Sun has no scientific meaning."),
        ("dataset_scheme", lambda f: replace(f, scheme=replace(f.scheme, absent=["x_y"])), "The scheme's x\\_y did not occur."),
        ("model_scheme", lambda f: replace(f, scheme=replace(f.scheme, absent=["z"])), "z did not occur and cannot be pred"),
        ("model_scheme", lambda f: replace(f, scheme=replace(f.scheme, ordered=False)), "the classes have no order."),
        ("flares", published, ""),
        ("flares", flaring, "if the list goes\\_x.csv (2010-05-01 to 2014-12-31) has one of its flares of C1.0 or more"),
        ("flares", flaring, "the list holds 1,234 flares of that class, 7 of them without a region"),
        ("dataset_images", published, ""),
        ("dataset_images", lambda f: replace(f, cutout_arcsec=307.2), "Each is a cutout of 307 arcsec, solar north up"),
        ("dataset_images", lambda f: replace(f, neighbours="mask"), "shows its own region alone: what is nearer to another"),
        ("model_images", lambda f: replace(f, neighbours="mask"), "without them an answer may be the neighbours'"),
        ("model_images", lambda f: replace(f, flatten=True), "divided by its own limb darkening"),
        ("dataset_images", lambda f: replace(f, cutout_deg=12.0), "map of 12 heliographic degrees centred on the region"),
        ("dataset_images", three, "colour picture: T\\_0 is its red, T\\_1 its green, T\\_2 its blue."),
        ("model_images", published, "16 x 16 px of the channel `hmi-magnetogram`, version 1 (HMI line-of-sight magnetogram):"),
        ("model_images", published, "Each image is taken whole, solar north up."),
        ("model_images", three, "16 x 16 px of three channels as the colours of one picture: - red: `c0`, version 1 (T\\_0):"),
        ("classify_files", published, 'print(classify("image.fits"))'),
        ("classify_files", three, 'print(classify(("c0.fits", "c1.fits", "c2.fits")))'),
        ("ask_space", published, 'answer = client.predict(handle_file("image.fits"), api_name="/classify")'),
        ("ask_space", three, 'files = [handle_file("c0.fits"), handle_file("c1.fits"), handle_file("c2.fits")] answer ='),
        ("upload", published, "Upload a FITS, PNG or JPEG image of the Sun"),
        ("upload", three, "of one region in three channels (T\\_0, T\\_1, T\\_2), or the colour picture"),
        ("dataset_limits", published, "Regions beyond 60 degrees from the central meridian are not included. - Labels are as"),
        ("dataset_limits", lambda f: replace(simulated(f), max_longitude_deg=None), "- No longitude limit was set; near"),
        ("model_limb", published, "beyond 60 degrees from the central meridian were left out of both training and test."),
        ("model_limb", lambda f: replace(f, max_longitude_deg=None), "No longitude limit was set"),
        ("cautions", lambda f: replace(simulated(f), notes=("Mind_this.",)), "- Mind\\_this."),
        ("cautions", lambda f: replace(f, notes=("Mind this.",)), "as the source of the rows gives them. - Mind this."),
        ("seeds", published, "The network was trained once, with seed 0; the spread over seeds is not included in them."),
        ("seeds", seeded, "from 2 seeds, of which the validation part chose 5; the spread over seeds is not included in them."),
        ("years", published, "Trained on 2011-01-01 to 2011-07-06, tested on 2011-08-29 to 2011-10-25."),
        ("strongest_baseline", published, "`raw-pixels`, reaches 0.75 [0.64, 0.87]; the model differs from it by +0.00"),
        ("strongest_baseline", published, "it is **not shown to be better** than that baseline."),
        ("strongest_baseline", lambda f: scored(f, baselines={}), "No baseline was scored for comparison."),
        ("baselines", published, "`raw-pixels` is a logistic regression on a 14 x 14 thumbnail; `absolute-field` is one on"),
        ("baselines", lambda f: scored(f, baselines={}), ""),
        ("validation", published, "On the validation part, which chose the checkpoint: balanced accuracy 0.59 on 25 images."),
        ("validation", lambda f: trained(f, kept_by="last"), "On the validation part: balanced accuracy 0.59 on 25 images."),
        ("baselines_figure", published, "](figures/against_baselines.png)"),
        ("baselines_figure", lambda f: replace(f, figures=()), ""),
        ("recall_figure", published, "](figures/recall.png)"),
        ("recall_figure", lambda f: scored(f, model=f.scores.overall), ""),
        ("by_class", published, "Each class against the rest. TSS = POD - POFD does not depend on how common a class is. HSS"),
        ("by_class", lambda f: scored(f, model=f.scores.overall), "The study asked for no scores by class"),
        ("by_longitude", lambda f: scored(f, strata=()), "### By distance from the central meridian | degrees | test"),
        ("by_longitude", lambda f: scored(f, strata=()), "No intervals are given: a difference between rows with few images"),
        ("by_longitude", lambda f: scored(f, strata=(), by_longitude=[]), "The corpus holds no longitudes"),
        ("by_longitude", lambda f: scored(f, strata=(NEAR, NEAR)), ""),
        ("persistence", lambda f: scored(f, persistence=None), ""),
        ("persistence", published, "has a balanced accuracy of 1.00 [1.00, 1.00]; the model has"),
        ("brier", published, "Brier skill score against the training part's class shares: "),
        ("brier", refitted, "against the training and validation parts' class shares: "),
        ("baselines", refitted, "fitted on the training part and, once chosen, on the validation part too:"),
        ("validation", refitted, "This is the network of the first training: the model itself learned from these images."),
        ("years", refitted, "Trained on 2011-01-01 to 2011-08-"),
        ("reliability", lambda f: trained(refitted(f), temperature=1.7), "the second one, which learned from that part too"),
        ("intervals", published, "bootstrap samples of whole regions (seed 0): percentiles; of areas under curves,"),
        ("intervals", lambda f: scored(f, probabilistic={}), "bootstrap samples of whole regions (seed 0)."),
        ("reliability", published, "On these images perfectly calibrated probabilities would show an error of about 0."),
        ("reliability", calibrated_by(calibration_folds=5), "parts: 5 networks were each trained on the other regions"),
        ("reliability", calibrated_by(calibration="weighted-temperature"), "calibrated, the classes weighted as in the loss"),
        ("reliability", lambda f: trained(calibrated_by(calibration_folds=2)(f), biases=BIASES), "with a bias for each class"),
        ("reliability", taught(0.04), "weighted accordingly the error is 0.04 [0.00, 0.10], and perfectly calibrated"),
        ("ranking", published, "area under the ROC curve 0."),
        ("ranking", lambda f: scored(f, probabilistic={}), ""),
        ("selective", published, "### When it says that it does not know If only the images"),
        ("selective", lambda f: scored(f, selective=None), ""),
        ("selective", abstaining(0.7), "coverage of 80 %; the validation part puts the threshold at a probability of 0.70"),
        ("selective", abstaining(0.7), "0.75 [0.60, 0.90] are then answered, and 0.10 [0.00, 0.20] of these"),
        ("selective", abstaining(None), "with no threshold the validation part has so few wrong answers."),
        ("decision", published, ""),
        ("decision", lambda f: scored(f, decision=DECISION), "puts the threshold of flare at 0.31 (TSS 0.60 there)."),
        ("decision", lambda f: scored(f, decision=DECISION), "a difference of +0.10 [0.00, 0.20]."),
        ("shift", published, ""),
        ("shift", lambda f: scored(f, shift=SHIFT), "shares are flare 0.5 %, quiet 99.5 %, as the study gives them:"),
        ("shift", lambda f: scored(f, shift=replace(SHIFT, estimated=True)), "estimated from the probabilities (Saerens"),
        ("dataset_licence", published, "The authors state no licence for the annotations"),
        ("dataset_licence", licensed, "Licence of the annotations: mit."),
        ("model_licence", published, "The authors state no licence: ask before"),
        ("model_licence", licensed, "Licence of the model: mit."),
        ("courtesy", published, "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams."),
        ("courtesy", simulated, ""),
        ("dataset_citation", licensed, "title = {Mount Wilson classes, crafted}, author = {Ada \\{L\\} and B},"),
        ("model_citation", published, "{Hugging Face Hub, model}, url = {https://huggingface.co/your-name/crafted} }"),
        ("versions", published, "torch 2.13.0, transformers 5.23.0, python 3.11.2"),
    ],
)  # fmt: skip
def test_a_sentence_says_what_its_facts_are(facts, sentence: str, change: Change, told: str):
    text = said(sentence, change(facts))
    assert told in text if told else text == ""


def test_the_sums_credit_is_not_given_twice(facts):
    credit = "NASA/SDO and the AIA, EVE, and HMI science teams"
    assert said("courtesy", replace(facts, provenance=replace(facts.provenance, credit=credit))) == ""


@pytest.mark.parametrize("missing", [1, 30])
def test_rows_that_name_no_region_are_said_where_the_audit_is(facts, missing):
    assert "name no region" not in said("audit", facts)
    told = (
        f"But {missing} of {facts.rows} rows name no region, so it is not known whether a region they show lies in two"
    )
    assert told in said("audit", divided(facts, rows_without_region=missing))


def test_every_sentence_and_every_table_is_markdown_of_its_own(facts):
    for make in [*SENTENCES.values(), *TABLES.values()]:
        assert isinstance(make(facts), Markdown)


def test_a_table_has_as_many_cells_in_each_row(facts_elsewhere):
    for name, make in TABLES.items():
        rows = [line for line in make(seeded_table(facts_elsewhere)).split("\n") if line.startswith("|")]
        assert rows, name
        assert len({len(re.findall(r"\|", row)) for row in rows}) == 1, name


def seeded_table(facts: Facts) -> Facts:
    over = {"balanced_accuracy": {"mean": 0.6, "low": 0.5, "high": 0.7}}
    seeds = {"chosen": 5, "chosen_by": "balanced_accuracy", "validation": {"4": {}, "5": {}}, "over_seeds": over}
    rejects = replace(facts.rejects, other_reasons=2, other_rows=1234)
    return replace(trained(facts, seeds=seeds), rejects=rejects)


def test_the_card_says_whether_probabilities_were_calibrated_and_how(facts):
    assert "The probabilities are not calibrated." in said("reliability", facts)
    calibrated = trained(facts, temperature=1.7)
    assert "The probabilities were calibrated on the validation part." in said("reliability", calibrated)
    assert "| temperature | 1.7, fitted on the validation part and folded into the classifier |" in TABLES["training"](
        calibrated
    )
    in_folds = trained(calibrated, method={**facts.training.method, "calibration_folds": 2}, biases=BIASES)
    table = TABLES["training"](in_folds)
    assert "1.7, fitted on all regions of both parts in 2 folds and folded into the classifier |" in table
    assert "| biases, fitted with it | alpha -0.20, beta +1.10, complex -0.90 |" in table
    older = replace(facts, scores=replace(facts.scores, reliability=None))
    assert said("reliability", older) == ""


def test_the_weakest_stratum_is_named_and_uneven_regions_are_counted_for_what_they_are_worth(facts):
    known = [s.balanced_accuracy.estimate for s in facts.scores.strata]
    weakest = facts.scores.strata[known.index(min(known))]
    told = said("strata", facts)
    assert f"Weakest: {weakest.what}, {weakest.of}, with {min(known):.2f} [" in told
    assert "unevenly" not in told
    assert "the 12 regions weigh as much as 4 equal ones" in said("strata", scored(facts, effective_regions=4.2))
    assert said("strata", scored(facts, strata=())) == ""
