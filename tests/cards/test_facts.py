"""Facts come whole from what the stages saved, or not at all."""

from __future__ import annotations

import shutil
from dataclasses import FrozenInstanceError

import pytest
from sdovis import manifests
from sdovis import study as studies
from sdovis.cards.facts import PLACEHOLDER, gather, rejects
from sdovis.cards.markdown import without_folders
from sdovis.cards.measured import pin
from sdovis.errors import BadInput


def test_facts_are_typed_and_frozen(finished):
    facts = gather(finished.study, finished.folder)
    assert facts.rows == sum(part.rows for part in facts.split.parts.values()) == 174
    assert list(facts.split.parts) == ["train", "validation", "test"]
    assert facts.scores.overall["balanced-accuracy"].low < facts.scores.overall["balanced-accuracy"].estimate
    assert set(facts.scores.per_class) == {"precision", "recall", "tss", "hss"}
    with pytest.raises(FrozenInstanceError):
        facts.rows = 3


@pytest.mark.parametrize(
    ("missing", "verb"),
    [
        ("corpus/corpus.json", "prepare"),
        ("corpus/audit.json", "prepare"),
        ("training/training.json", "train"),
        ("model/config.json", "train"),
        ("model/preprocessor_config.json", "train"),
        ("scores/scores.json", "evaluate"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_writes_it(run, missing, verb):
    path = run.folder / missing
    path.unlink()
    run.reseal(path.parent.name)
    with pytest.raises(BadInput) as error:
        gather(run.study, run.folder)
    assert str(path) in str(error.value)
    assert f"sdovis {verb}" in str(error.value)


@pytest.mark.parametrize(
    ("file", "entry"),
    [
        ("corpus/corpus.json", "spellings"),
        ("corpus/corpus.json", "view.channels.0.version"),
        ("corpus/corpus.json", "scheme.agreement"),
        ("corpus/audit.json", "parts.test.largest_region_share"),
        ("scores/scores.json", "brier_skill"),
        ("scores/scores.json", "latency_ms.p95"),
    ],
)
def test_a_missing_entry_is_named_with_its_file(run, file, entry):
    *path, last = entry.split(".")

    def drop(data: dict) -> None:
        for key in path:
            data = data[int(key) if key.isdigit() else key]
        del data[last]

    run.edit(file, drop)
    with pytest.raises(BadInput) as error:
        gather(run.study, run.folder)
    assert f"{file}: {entry} is missing" in str(error.value)


def test_an_entry_of_another_type_is_refused(run):
    run.edit("corpus/corpus.json", lambda data: data.update(rows="174"))
    with pytest.raises(BadInput, match=r"corpus\.json: rows: .*integer"):
        gather(run.study, run.folder)


def test_a_changed_file_is_refused(run):
    with (run.folder / "scores" / "predictions.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadInput, match=r"predictions\.parquet changed"):
        gather(run.study, run.folder)


def test_a_model_of_another_corpus_is_refused(run):
    run.edit("corpus/corpus.json", lambda data: data.update(rows=1))
    with pytest.raises(BadInput) as error:
        gather(run.study, run.folder)
    assert "model: was not made from this corpus" in str(error.value)
    assert "scores: were not made from this corpus" in str(error.value)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("training.learning_rate=5e-5", "training.learning_rate in the study is not what the model was trained with"),
        ("method.trainable=head", "method.trainable in the study"),
        ("split.gap_days=6.0", "the study has changed since the corpus was made"),
        ("evaluation.confidence=0.9", r"\[evaluation\] in the study"),
    ],
)
def test_a_study_changed_since_is_refused(run, override, told):
    with pytest.raises(BadInput, match=told):
        gather(studies.load(run.folder / "study.toml", [override]), run.folder)


def test_what_only_the_release_needs_may_change_without_a_new_run(run):
    study = studies.load(run.folder / "study.toml", ["publish.namespace=helio", "publish.licence=mit"])
    facts = gather(study, run.folder)
    assert (facts.repositories.model, facts.repositories.placeholder) == ("helio/crafted", False)
    assert facts.repositories.pin == gather(run.study, run.folder).repositories.pin


def test_without_a_namespace_a_placeholder_shows_as_one(finished):
    where = gather(finished.study, finished.folder).repositories
    assert (where.dataset, where.placeholder) == (f"{PLACEHOLDER}/crafted", True)


def test_the_pin_depends_on_the_contents_of_all_folders(tmp_path):
    made = {name: manifests.Manifest("any", {}, {"a": "1"}) for name in ("corpus", "model", "scores", "on/other")}
    pins = {pin(tmp_path, made)}
    for name in made:
        pins.add(pin(tmp_path, {**made, name: manifests.Manifest("any", {}, {"a": "2"})}))
    assert len(pins) == 5
    assert all(len(p) == 14 and p.startswith("r-") for p in pins)


@pytest.mark.parametrize("measured", ["how long an image took", "the table of that", "what a manifest was made from"])
def test_the_same_data_code_and_seed_give_the_same_pin_on_another_day_and_machine(run, measured):
    before = gather(run.study, run.folder).repositories.pin
    if measured == "how long an image took":
        run.edit("scores/scores.json", lambda data: data["latency_ms"].update(median=99.0, p95=199.0))
    elif measured == "the table of that":
        (run.folder / "scores" / "latency.parquet").write_bytes(b"another day")
        run.reseal("scores")
    else:
        run.edit("scores/manifest.json", lambda data: data["made_from"].update(threads="7"))
    run.relink()
    assert gather(run.study, run.folder).repositories.pin == before


def test_another_score_gives_another_pin(run):
    before = gather(run.study, run.folder).repositories.pin
    run.edit("scores/scores.json", lambda data: data.update(brier_skill=0.5))
    run.relink()
    assert gather(run.study, run.folder).repositories.pin != before


def test_a_backbone_in_a_folder_is_named_without_its_path(run):
    sha = "ab" * 32
    for file in ("training/training.json", "model/manifest.json"):
        run.edit(file, lambda data: data["made_from"].update(backbone=sha))
    run.relink()
    given = run.study.backbone.model_copy(update={"id": "/home/jane/weights/dinov2-small", "config": None})
    network = gather(run.study.model_copy(update={"backbone": given}), run.folder).network
    assert (network.backbone, network.hub_id, network.folder_sha256) == ("dinov2-small", "", sha)


def test_the_headline_names_the_strongest_baseline_and_does_not_claim_a_tie(finished):
    headline = gather(finished.study, finished.folder).headline
    assert (headline.score, headline.rival) == ("balanced-accuracy", "raw-pixels")
    assert headline.difference.low < 0 < headline.difference.high
    assert not headline.beats


def test_rejects_beyond_a_dozen_are_still_counted():
    found = rejects({f"reason {i:02d}": i for i in range(1, 21)})
    assert found.rows == 210
    assert len(found.reasons) == 12
    assert (found.other_reasons, found.other_rows) == (8, sum(range(1, 9)))


def test_reasons_that_differ_in_a_folder_alone_are_added_up():
    found = rejects({"image '/home/a/x.png': is absent": 2, "image '/home/b/x.png': is absent": 3})
    assert found.reasons == {"image '…/x.png': is absent": 5}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("image '/home/Jane Doe/sun/x.png': is absent", "image '…/x.png': is absent"),
        (r"C:\Users\jane\x.png", "…/x.png"),
        ("~/sun/x.png", "…/x.png"),
        ("see https://sdo.gsfc.nasa.gov/data/aiahmi for more", "see https://sdo.gsfc.nasa.gov/data/aiahmi for more"),
        ("Beta/Gamma", "Beta/Gamma"),
        ("2011/02/15", "2011/02/15"),
        ("DN/s", "DN/s"),
    ],
)
def test_an_absolute_path_is_cut_down_to_its_last_name(text, shown):
    assert without_folders(text) == shown


def test_the_examples_are_the_first_test_image_of_each_class(finished):
    import pandas as pd

    facts = gather(finished.study, finished.folder)
    table = pd.read_parquet(finished.folder / "scores" / "predictions.parquet")
    test = table[table["split"] == "test"]
    assert [e.label for e in facts.examples] == ["alpha", "beta", "complex"]
    for index, example in enumerate(facts.examples):
        assert example.id == test[test["label"] == index]["id"].iloc[0]
        assert example.png.startswith(b"\x89PNG")
        assert sum(example.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_a_run_without_scores_says_what_to_do(run):
    shutil.rmtree(run.folder / "scores")
    with pytest.raises(BadInput, match="run sdovis evaluate first"):
        gather(run.study, run.folder)
