"""The report of a run: it says what the run recorded, and what a reader needs to believe it and to make it again."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import figures_of
import pytest
from bs4 import BeautifulSoup
from sdovis import manifests, records
from sdovis.cards.facts import Facts, gather
from sdovis.cards.verify import recomputed
from sdovis.errors import BadInput
from sdovis.evaluation import comparison, explanation
from sdovis.evaluation.comparison import Comparison, Pair
from sdovis.evaluation.explanation import Areas, Explanation, MapScore, MapTest
from sdovis.evaluation.facts import Resampling
from sdovis.evaluation.mistakes import Mistake, Neighbour
from sdovis.report import report as reports
from sdovis.report import verify
from sdovis.report.report import FACTS, PAGE, report, written
from sdovis.statistics.bootstrap import Estimate


def soup(facts: Facts, folder: Path) -> BeautifulSoup:
    return BeautifulSoup(written(facts, folder)[PAGE], "html.parser")


def between(gain: float, half: float = 0.02) -> Estimate:
    return Estimate(gain, gain - half, gain + half)


def found(chosen: str = "weighted-rollout", gain: float = 0.2, **changes: object) -> Explanation:
    """An explanation of no meaning."""
    score = MapScore(Areas(between(0.31), between(0.66)), between(gain))
    nearest = (Neighbour("n", 11007, "2011-01-04T00:00:00+00:00", "alpha", 0.913),)
    mistake = Mistake("m", 11042, "2011-03-05T00:00:00+00:00", "beta", "alpha", 0.97, nearest)
    made = Explanation(
        images={"validation": 12, "test": 14}, regions={"validation": 12, "test": 14}, steps=5,
        bootstrap=Resampling("region", 200, 0.95, 0), maps={"weighted-rollout": MapTest(score, score, between(0.1))},
        random=Areas(between(0.5), between(0.5)), chosen=chosen, wrong=9, mistakes=(mistake,), searched=99, seconds=12.3,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_report_says_what_the_run_recorded(facts, finished):
    text = soup(facts, finished.folder).get_text().replace("\N{NO-BREAK SPACE}", " ")
    best = facts.headline
    for said in (
        facts.title,
        facts.description,
        f"{best.model.estimate:.2f} [{best.model.low:.2f}, {best.model.high:.2f}]",
        best.rival,
        "The split is temporal",
        "Audit, found in more than one part: region 0",
        "Confusion matrix",
        "Expected calibration error",
        facts.repositories.pin,
        f"sdovis verify runs/{facts.name}",
        "learning_rate",
        "transformers",
        'name = "crafted"',
    ):
        assert said in text, said


def test_everything_that_the_model_card_says_of_skill_is_on_the_report():
    """What is added to the card is not forgotten here."""
    card, ours = (
        files(package).joinpath(name).read_text(encoding="utf-8")
        for package, name in (("sdovis.modelcard", "README.md.j2"), ("sdovis.report", "report.md.j2"))
    )
    #: How to use a published model is the card's; of the notices and parts the report has its own, longer ones.
    of_the_card = {"model_images", "classify_files", "model_notices", "model_licence", "model_citation", "versions"}
    of_the_card |= {"parts_in_short", "other_licence", "doi", "beside"}
    said = r"{{ (?:sentences|tables)\.(\w+)"
    assert set(re.findall(said, card)) - of_the_card <= set(re.findall(said, ours))


def test_the_facts_of_a_report_are_the_run_s_in_a_form_that_any_program_reads(facts, finished):
    told = json.loads(written(facts, finished.folder)[FACTS], parse_constant=pytest.fail)
    assert told["format"] == 1
    assert told["facts"]["scores"] == json.loads(json.dumps(records.plain(facts.scores)))
    assert told["digests"]["scores"] == manifests.read(finished.folder / "scores", made_by="evaluate").digest
    assert told["comparison"] is None


def test_a_number_that_is_not_one_is_null_in_the_facts(facts, finished):
    worse = replace(facts, training=replace(facts.training, curves=[{"step": 1, "loss": float("nan")}]))
    told = json.loads(written(worse, finished.folder)[FACTS], parse_constant=pytest.fail)
    assert told["facts"]["training"]["curves"] == [{"step": 1, "loss": None}]


def test_a_class_and_a_title_that_look_like_html_are_text(facts, finished):
    wild = "<script>alert('x')</script>"
    classes = (replace(facts.classes[0], meaning=wild, spellings={wild: 3}), *facts.classes[1:])
    page = soup(replace(facts, title=wild, description=wild, classes=classes), finished.folder)
    assert not page.find_all("script")
    assert page.h1.get_text() == page.title.get_text() == wild
    assert page.get_text().count(wild) >= 4


def test_a_run_that_was_not_explained_has_no_section_on_it_and_one_that_was_has(facts, finished):
    assert "What the network looks at" not in soup(facts, finished.folder).get_text()
    text = soup(replace(facts, explanation=found()), finished.folder).get_text()
    for said in ("What the network looks at", "AR 11042, 2011-03-05", "AR 11007, 2011-01-04 (alpha, 0.913)", "12.3 s"):
        assert said in text, said
    assert "shows weighted-rollout, which gained most" in text


@pytest.mark.parametrize(
    ("chosen", "gain", "said"),
    [
        ("", 0.0, "No kind of map is shown to be better than maps drawn at random"),
        ("weighted-rollout", 0.01, "not shown to be better than maps drawn at random"),
    ],
)
def test_a_map_that_is_no_better_than_chance_is_called_that(chosen, gain, said, facts, finished):
    text = soup(replace(facts, explanation=found(chosen, gain)), finished.folder).get_text()
    assert said in " ".join(text.split())


def test_a_report_is_written_once_and_again_only_if_it_says_something_else(run):
    facts = gather(run.study, run.folder)
    report(facts, run.folder)
    before = (run.folder / "report" / PAGE).stat().st_mtime_ns
    report(facts, run.folder)
    assert (run.folder / "report" / PAGE).stat().st_mtime_ns == before
    report(replace(facts, title="Another"), run.folder)
    assert "Another" in (run.folder / "report" / PAGE).read_text(encoding="utf-8")
    assert manifests.read(run.folder / "report", made_by="report").stage == "report"


def test_a_report_that_says_otherwise_than_the_rows_is_found_out(run):
    facts = gather(run.study, run.folder)
    report(facts, run.folder)
    again = recomputed(facts, run.folder)
    assert verify.verify(run.folder, again) == []
    page = run.folder / "report" / PAGE
    right = f"{facts.headline.model.estimate:.2f}"
    page.write_text(page.read_text(encoding="utf-8").replace(f"<strong>{right}", "<strong>0.99"), encoding="utf-8")
    wrong = verify.verify(run.folder, again)
    assert {each.file for each in wrong} == {"report/report.html"}
    assert all("0.99" in each.printed and right in each.recomputed for each in wrong)
    told = run.folder / "report" / FACTS
    told.write_text(told.read_text(encoding="utf-8").replace('"rows": 36', '"rows": 37'), encoding="utf-8")
    assert {each.file for each in verify.verify(run.folder, again)} == {"report/report.html", "report/report.json"}


def test_a_run_without_a_report_has_none_to_verify(finished):
    assert verify.verify(finished.folder, gather(finished.study, finished.folder)) == []


def test_a_report_does_not_give_away_where_the_run_is(run, monkeypatch):
    monkeypatch.chdir(run.folder.parent)
    study = run.folder / "study.toml"
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace('root = "."', f'root = "{run.folder}/deep/inside"'), encoding="utf-8")
    page = written(gather(run.study, run.folder), run.folder)[PAGE]
    assert str(run.folder.parent) not in page
    assert "…/inside" in page


# --- with a comparison ----------------------------------------------------------------------------------------------


def compared(facts: Facts, **changes: object) -> Comparison:
    own = facts.scores.overall["balanced-accuracy"]
    made = Comparison(
        metric="balanced-accuracy", on="", rows=facts.scores.rows, regions=facts.scores.regions,
        classes=facts.scores.classes, left_out={"crafted": 0, "other": 2}, bootstrap=facts.scores.bootstrap,
        permutations=100, scores={"crafted": own, "other": between(0.5)},
        pairs=(Pair("crafted", "other", between(0.1), 0.021, 0.021),),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_comparison_in_the_run_s_own_folder_is_part_of_the_report(run):
    facts = gather(run.study, run.folder)
    compared(facts).save(run.folder / "comparison")
    files_ = written(facts, run.folder)
    text = BeautifulSoup(files_[PAGE], "html.parser").get_text().replace("\N{NO-BREAK SPACE}", " ")
    for said in ("Compared with other runs", "crafted minus other", "+0.10 [0.08, 0.12]", "0.021", "crafted is better"):
        assert said in text, said
    assert json.loads(files_[FACTS])["comparison"]["metric"] == "balanced-accuracy"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scores": {"another": between(0.4)}, "pairs": (), "left_out": {}}, "does not compare crafted"),
        ({"scores": {"crafted": between(0.123), "other": between(0.5)}}, "is not what this run scores now"),
        ({"on": "later"}, "compares on later, where this run has no scores"),
    ],
)
def test_a_comparison_of_something_else_is_refused(changes, why, run):
    facts = gather(run.study, run.folder)
    compared(facts, **changes).save(run.folder / "comparison")
    with pytest.raises(BadInput, match=why):
        written(facts, run.folder)


def test_a_comparison_that_was_changed_is_refused(run):
    facts = gather(run.study, run.folder)
    compared(facts).save(run.folder / "comparison")
    file = run.folder / "comparison" / comparison.FILE
    file.write_text(file.read_text().replace("0.021", "0.001"))
    with pytest.raises(BadInput, match="changed since it was made"):
        written(facts, run.folder)


# --- with an explanation --------------------------------------------------------------------------------------------


def explained(run, **changes: object) -> None:
    """The folder of an explanation, as its stage leaves it."""
    made = {name: manifests.read(run.folder / name, made_by="x").digest for name in ("corpus", "model")}
    with manifests.whole(run.folder / "explanation", stage="explain", made_from=made | changes) as beside:
        found().save(beside)
        (beside / "figures").mkdir()
        for name in ("maps", "mistakes", "nearest"):
            (beside / "figures" / f"{name}.png").write_bytes(figures_of.png(20, 10))


def test_an_explanation_is_part_of_the_facts_of_the_pin_and_of_the_report(run):
    before = gather(run.study, run.folder)
    explained(run)
    facts = gather(run.study, run.folder)
    assert facts.explanation == found()
    assert facts.repositories.pin != before.repositories.pin
    page = soup(facts, run.folder)
    photographs = [image["alt"] for image in page.find_all("img", class_="photograph")]
    assert len(photographs) == 3
    assert "explanation" in json.loads(written(facts, run.folder)[FACTS])["digests"]


@pytest.mark.parametrize("of", ["corpus", "model"])
def test_an_explanation_of_another_model_or_corpus_is_refused(of, run):
    explained(run, **{of: "0" * 64})
    with pytest.raises(BadInput, match="was not made from this corpus and this model; run sdovis explain again"):
        gather(run.study, run.folder)


def test_an_explanation_that_was_changed_is_refused(run):
    explained(run)
    file = run.folder / "explanation" / explanation.FILE
    file.write_text(file.read_text().replace("0.2", "0.9"))
    with pytest.raises(BadInput, match="changed since it was made"):
        gather(run.study, run.folder)


def test_pictures_of_the_data_are_shown_if_the_summary_is_of_this_corpus(run):
    digest = manifests.read(run.folder / "corpus", made_by="prepare").digest
    for corpus, shown in ((digest, 1), ("0" * 64, 0)):
        shutil.rmtree(run.folder / "summary", ignore_errors=True)
        with manifests.whole(run.folder / "summary", stage="describe", made_from={"corpus": corpus}) as beside:
            (beside / "figures").mkdir()
            (beside / "figures" / "cutouts.png").write_bytes(figures_of.png(20, 10))
            told = {"figures": [{"file": "figures/cutouts.png", "caption": "Images of each <class>."}]}
            (beside / "summary.json").write_text(json.dumps(told))
        page = soup(gather(run.study, run.folder), run.folder)
        assert len(page.find_all("img", alt="Images of each <class>.")) == shown
    assert reports.FACTS == "report.json"
