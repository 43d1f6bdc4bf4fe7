import json

import datasets
import openpyxl
import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.cli import run_command
from sdovis.corpus import build
from sdovis.corpus.facts import CorpusFacts
from sdovis.errors import BadInput


@pytest.fixture(scope="module")
def made(simulated, tmp_path_factory):
    """(study, its corpus), built once."""
    from studies import STUDY

    folder = tmp_path_factory.mktemp("build")
    (folder / "study.toml").write_text(STUDY)
    (folder / "data").symlink_to(simulated)
    study = studies.load(folder / "study.toml")
    return study, build.build(study, folder / "corpus", build.read_rows(study), progress=False)


def test_datasets_opens_the_folder_with_its_three_parts(made, tmp_path):
    _, corpus = made
    loaded = datasets.load_dataset(str(corpus.folder), cache_dir=str(tmp_path))
    assert list(loaded) == ["train", "validation", "test"]
    assert loaded["train"].features["label"].names == ["alpha", "beta", "complex"]
    assert loaded["train"][0]["image"].size == (96, 96)
    ids = [name for part in loaded.values() for name in part["id"]]
    assert ids == corpus.rows["id"].tolist()


def test_the_images_are_inside_the_parquet_and_no_path_is(made):
    _, corpus = made
    stored = pd.read_parquet(corpus.folder / "data/test-00000-of-00001.parquet")
    assert all(image["bytes"].startswith(b"\x89PNG") for image in stored["image"])
    assert [image["path"] for image in stored["image"]] == [f"{name}.png" for name in stored["id"]]
    assert (
        not stored.drop(columns="image")
        .astype(str)
        .apply(lambda c: c.str.contains(str(corpus.folder.parent)))
        .any()
        .any()
    )


def test_kept_rejected_and_dropped_rows_add_up_to_the_workbook(made):
    study, corpus = made
    rejects = pd.read_csv(corpus.folder / "rejects.csv")
    assert len(corpus.rows) + len(rejects) == len(build.read_rows(study))
    assert rejects["reason"].notna().all()
    assert sum(corpus.facts.rejects_by_reason.values()) == len(rejects)


def test_what_was_merged_is_named_and_counted(made):
    _, corpus = made
    spellings = corpus.facts.spellings["complex"]
    assert set(spellings) <= {"Beta-Gamma", "Beta-Gamma-Delta", "Beta-Delta", "Gamma", "Gamma-Delta"}
    assert sum(spellings.values()) == int((corpus.rows["label"] == corpus.classes.index("complex")).sum())


def test_a_corpus_made_twice_is_the_same_to_the_byte(made, tmp_path):
    study, corpus = made
    again = build.build(study, tmp_path / "again", build.read_rows(study), progress=False)
    assert again.manifest.files == corpus.manifest.files


def test_the_audit_stands_beside_the_data(made):
    _, corpus = made
    audit = json.loads((corpus.folder / "audit.json").read_text())
    assert list(audit["parts"]) == ["train", "validation", "test"]
    assert audit["leaks"] == {"region": 0, "image": 0, "identical_cutout": 0}


def test_a_changed_image_asks_for_a_new_corpus_and_an_unchanged_one_does_not(small_study):
    from sdovis import manifests

    study = studies.load(small_study)
    rows = build.read_rows(study)
    corpus = build.build(study, small_study.parent / "corpus", rows, progress=False)
    assert manifests.finished(corpus.folder, build.made_from(study, rows))
    image = study.image_root / rows[0].text("image")
    image.write_bytes(image.read_bytes() + b" ")
    assert not manifests.finished(corpus.folder, build.made_from(study, rows))


def test_a_study_with_one_class_left_is_refused(small_study):
    study = studies.load(small_study)
    rows = [row for row in build.read_rows(study) if row.text("label") == "Alpha"]
    with pytest.raises(BadInput):
        build.build(study, small_study.parent / "corpus", rows, progress=False)
    assert not (small_study.parent / "corpus").exists()


def test_what_a_reader_should_know_of_the_rows_is_printed_and_kept_with_the_corpus(small_study, capfd):
    book = small_study.parent / "data/SDO_Simulated_Active_Regions.xlsx"
    workbook = openpyxl.load_workbook(book)
    sheet = workbook.active
    sheet.row_dimensions[3].hidden = True
    sheet.row_dimensions[7].hidden = True
    next(cell for cell in sheet[1] if cell.value == "NOAA AR").value = "noaa\nar"
    workbook.save(book)
    hidden = f"{book.name}, sheet '{sheet.title}': 2 of {sheet.max_row - 1} rows are hidden, and are used (rows 3, 7)"
    assert run_command(["check", "study.toml"]) == 0
    assert f"note: {hidden}" in capfd.readouterr().err
    for _ in range(2):  # also where the corpus is kept as it is
        assert run_command(["prepare", "study.toml"]) == 0
        assert f"note: {hidden}" in capfd.readouterr().err
    facts = CorpusFacts.load(small_study.parent / "runs/small/corpus")
    assert facts.notices[0] == hidden and "is read as 'NOAA AR'" in facts.notices[1]


def test_a_cell_without_a_value_stops_the_study_or_goes_to_the_rejects(small_study):
    book = small_study.parent / "data/SDO_Simulated_Active_Regions.xlsx"
    workbook = openpyxl.load_workbook(book)
    sheet = workbook.active
    column = next(cell.column for cell in sheet[1] if cell.value == "Mount Wilson")
    sheet.cell(4, column).value = "#N/A"
    sheet.cell(6, column).value = "=1+1"
    workbook.save(book)
    with pytest.raises(BadInput) as caught:
        build.check(studies.load(small_study), progress=False)
    assert len(caught.value.problems) == 2
    found = build.check(studies.load(small_study, ["source.on_problem=reject"]), progress=False)
    reasons = found.rejects.set_index("row")["reason"]
    assert reasons[4] == "the cell shows the error #N/A" and reasons[6] == "the formula has no stored value"
