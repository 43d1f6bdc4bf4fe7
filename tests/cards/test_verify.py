"""A card that says otherwise than the rows is found out."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.cards import card, templates
from sdovis.cards.facts import gather
from sdovis.cards.verify import recomputed, verify
from sdovis.errors import BadInput


@pytest.fixture
def carded(run):
    rewrite(run)
    return run


def rewrite(run) -> None:
    """The cards written anew from whatever the run's files say now."""
    study = studies.load(run.folder / "study.toml")
    card.write(gather(study, run.folder), run.folder, templates.load(study.publish.templates))


def test_all_facts_with_a_second_source_are_recomputed_alike(finished):
    facts = gather(finished.study, finished.folder)
    again = recomputed(facts, finished.folder)
    assert again.scores == facts.scores
    assert again.classes == facts.classes
    assert again.rejects == facts.rejects
    assert again.split.leaks == facts.split.leaks
    for name, part in facts.split.parts.items():
        assert again.split.parts[name].largest_region_share == pytest.approx(part.largest_region_share, abs=1e-6)


def test_a_fresh_card_is_right(carded):
    assert verify(carded.folder) == []


def test_without_a_card_it_says_what_to_do(run):
    with pytest.raises(BadInput, match="run sdovis card first"):
        verify(run.folder)


def test_a_number_changed_on_the_card_is_found(carded):
    card = carded.folder / "cards" / "model" / "README.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("balanced accuracy 0.75 [0.60, 0.88]**", "balanced accuracy 0.85 [0.60, 0.88]**"))
    (found,) = verify(carded.folder)
    assert (found.file, "0.85" in found.printed, "0.75" in found.recomputed) == ("cards/model/README.md", True, True)
    assert text.split("\n")[found.line - 1] == found.recomputed


def test_a_line_taken_out_of_the_card_is_found(carded):
    card = carded.folder / "cards" / "model" / "README.md"
    lines = card.read_text(encoding="utf-8").split("\n")
    gone = next(line for line in lines if "not shown to be better" in line)
    card.write_text("\n".join(line for line in lines if line != gone))
    (found,) = verify(carded.folder)
    assert (found.printed, found.recomputed) == ("", gone)


def test_the_copy_in_the_release_is_checked_too(carded):
    shutil.copytree(carded.folder / "cards" / "dataset", carded.folder / "release" / "dataset")
    copy = carded.folder / "release" / "dataset" / "README.md"
    copy.write_text(copy.read_text(encoding="utf-8").replace("174 images", "1,174 images"))
    assert [found.file for found in verify(carded.folder)] == ["release/dataset/README.md"]


def test_what_is_written_by_hand_is_left_alone(carded):
    card = carded.folder / "cards" / "model" / "README.md"
    mark = "<!-- sdovis:keep notes -->\n"
    card.write_text(card.read_text(encoding="utf-8").replace(mark, f"{mark}About 0.99, we feel.\n"))
    assert verify(carded.folder) == []


@pytest.mark.parametrize(
    ("path", "printed"),
    [
        (("model", "tss", "beta", "low"), "| beta | 12 | 4 | 33 % |"),
        (("baselines", "raw-pixels", "accuracy", "estimate"), "| `raw-pixels` |"),
        (("difference_to", "raw-pixels", "balanced-accuracy", "high"), "| this model minus `raw-pixels` |"),
        (("brier_skill",), "Brier skill"),
        (("latency_ms", "median"), "ms (median;"),
        (("validation", "balanced_accuracy"), "on 25 images"),
        (("regions",), "regions"),
    ],
)
def test_a_false_summary_is_found_though_sums_and_card_agree_with_it(run, path, printed):
    def falsify(data: dict) -> None:
        *way, last = path
        for key in way:
            data = data[key]
        data[last] = 99 if isinstance(data[last], int) else 0.99

    run.edit("scores/scores.json", falsify)
    rewrite(run)
    found = verify(run.folder)
    assert found
    assert all("99" in line.printed for line in found)
    assert any(printed in line.printed or printed in line.recomputed for line in found)


def test_a_false_count_of_the_corpus_is_found(run):
    def falsify(data: dict) -> None:
        data["spellings"]["beta"]["Beta"] += 1000

    run.edit("corpus/corpus.json", falsify)
    run.relink()
    rewrite(run)
    (found,) = verify(run.folder)
    assert ("1,019" in found.printed, "Beta (19)" in found.recomputed) == (True, True)


def test_predictions_of_other_rows_are_refused(run):
    file = run.folder / "scores" / "predictions.parquet"
    pd.read_parquet(file).iloc[::-1].to_parquet(file, index=False)
    run.reseal("scores")
    rewrite(run)
    with pytest.raises(BadInput, match="id differs from the corpus"):
        verify(run.folder)


def test_predictions_changed_without_their_sums_are_refused(carded):
    file = carded.folder / "scores" / "predictions.parquet"
    pd.read_parquet(file).iloc[::-1].to_parquet(file, index=False)
    with pytest.raises(BadInput, match=r"predictions\.parquet changed since it was made"):
        verify(carded.folder)
