"""What such answers have been worth is said where it was measured, of that model, and nowhere else."""

from __future__ import annotations

import shutil

import pytest
from releases import finished_run  # noqa: F401  fixture
from sdovis.evaluation.facts import Reliability, ReliabilityBin
from sdovis.statistics.bootstrap import Estimate
from sdovis.webapp import page, reliability
from sdovis.webapp.classifier import Classifier

KNOWN = Reliability(
    0.1, 0.1, 1.0, 0.7,
    (
        ReliabilityBin(84, 0.55, Estimate(0.43, 0.31, 0.55)),
        ReliabilityBin(84, 0.7, Estimate(0.62, 0.5, 0.73)),
        ReliabilityBin(12, 0.95, Estimate(0.9, 0.7, 1.0)),
    ),
)  # fmt: skip


def test_it_is_said_of_how_many_answers_were_right_and_on_how_many_images():
    said = reliability.hint(0.72, KNOWN)
    assert (
        said == "Of 100 answers with about this probability, about 62 were right (84 test images; interval 50 to 73)."
    )


@pytest.mark.parametrize(("probability", "known"), [(0.72, None), (0.94, KNOWN), (0.41, KNOWN)])
def test_nothing_is_said_without_evidence_or_with_little(probability, known):
    assert reliability.hint(probability, known) == ""


def test_a_model_without_scores_has_none(magnetogram_model, uploads):
    classifier = Classifier(magnetogram_model)
    assert classifier.reliability is None
    assert classifier.answer(uploads / "region.fits").hint == ""


def test_scores_of_another_model_or_damaged_ones_say_nothing(tmp_path, magnetogram_model):
    (tmp_path / "scores").mkdir()
    (tmp_path / "model").symlink_to(magnetogram_model)
    (tmp_path / "scores" / "scores.json").write_text("{}")
    assert reliability.recorded(tmp_path / "model") is None
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "scores.json").write_text("{")
    assert reliability.recorded(tmp_path / "beside") is None


def test_an_answer_with_cautions_is_told_nothing_of_the_kind(magnetogram_model, uploads):
    classifier = Classifier(magnetogram_model)
    classifier.reliability = Reliability(0.1, 0.1, 1.0, 0.7, (ReliabilityBin(84, 0.6, Estimate(0.6, 0.5, 0.7)),))
    p = {"beta": 0.6}
    assert (
        classifier._hint(p, "", ()) and not classifier._hint(p, "unlike", ()) and not classifier._hint(p, "", ("limb",))
    )


def test_the_page_shows_it_under_the_answer_and_a_refusal_in_its_place():
    text = page.verdict({"beta": 0.72}, {"beta": ""}, [], "", "Of 100 answers, about 62")
    assert text.index("72.0 %") < text.index("Of 100 answers, about 62")
    text = page.verdict({"beta": 0.72}, {"beta": ""}, ["This image is unlike"], "This image is unlike")
    assert "None to rely on" in text and "Most probable class" not in text
    assert text.index("This image is unlike") < text.index("72.0 %")


def test_a_run_and_a_release_give_what_the_evaluation_recorded(finished_run, tmp_path):  # noqa: F811
    in_a_run = reliability.recorded(finished_run.folder / "model")
    shutil.copy(finished_run.folder / "scores" / "scores.json", tmp_path)  # as a release has it beside the model
    assert in_a_run is not None and in_a_run.bins and reliability.recorded(tmp_path) == in_a_run
