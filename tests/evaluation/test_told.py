"""A run of a model that is told values beside the image, from the workbook to the release: what each door does with it."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
import sdovis
import studies as small
from sdovis import stages
from sdovis import study as studies
from sdovis.cards import card, facts, templates, verify
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.evaluation import elsewhere
from sdovis.evaluation.scores import Scores
from sdovis.inference import Unfamiliar
from sdovis.inference.endpoint import EndpointHandler

BOOK = "SDO_Simulated_Active_Regions.xlsx"
TOLD = """[source.columns.beside]
numbers = { longitude = "Longitude (deg)" }
logarithms = { area = "Area (MSH)" }
categories = { hemisphere = "Hemisphere" }
[method]
beside = "fusion"
"""
STUDY = small.STUDY.replace("[images]\n", f"{TOLD}[images]\n")


def with_hemispheres(book: Path) -> None:
    """Add a column of categories, and empty some cells of the areas."""
    workbook = openpyxl.load_workbook(book)
    sheet = workbook.worksheets[0]
    column = {cell.value: cell.column for cell in sheet[1]}
    new = sheet.max_column + 1
    sheet.cell(1, new, "Hemisphere")
    for row in range(2, sheet.max_row + 1):
        latitude = sheet.cell(row, column["Latitude (deg)"]).value
        sheet.cell(row, new, None if row % 9 == 0 else "north" if latitude > 0 else "South")
        if row % 7 == 0:
            sheet.cell(row, column["Area (MSH)"]).value = None
    workbook.save(book)


@dataclass(frozen=True)
class ToldRun:
    study: studies.Study
    folders: stages.Folders
    scores: Scores

    @property
    def corpus(self) -> Corpus:
        return Corpus.load(self.folders.corpus)


@pytest.fixture(scope="module")
def run(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("told")
    shutil.copytree(simulated, folder / "data")
    with_hemispheres(folder / "data" / BOOK)
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = studies.load(folder / "study.toml")
        with stages.opened(study) as folders:
            stages.prepare(study, folders, print)
            stages.train(study, folders, print)
            scores = stages.evaluate(study, folders, print)
            stages.explain(study, folders, print)
            card.write(facts.gather(study, folders.run), folders.run, templates.load(None))
        yield ToldRun(study, stages.Folders(folders.run.resolve()), scores)


def values(row: pd.Series) -> dict[str, Any]:
    """What stands beside an image of the corpus, as somebody gives it."""
    return {name: None if pd.isna(v := row[f"beside_{name}"]) else v for name in ("longitude", "area", "hemisphere")}


def quietly(classify: Any, *args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unfamiliar)
        return classify(*args, **kwargs)


def test_the_data_set_holds_the_values_and_says_what_they_are(run: ToldRun) -> None:
    import datasets

    data = datasets.load_dataset(str(run.folders.corpus), split="test")
    assert data.features["beside_area"].dtype == "float64" and data.features["beside_hemisphere"].dtype == "string"
    assert run.corpus.rows[["beside_hemisphere", "beside_area"]].isna().any().all()
    assert not (run.corpus.rows["beside_area"] == 0).any()
    text = (run.folders.cards / "dataset" / "README.md").read_text()
    assert "beside_area" in text and "Area (MSH)" in text


def test_the_workbook_that_is_written_holds_the_values_under_their_own_headings(run: ToldRun, tmp_path: Path) -> None:
    from sdovis.corpus.export import export

    export(run.corpus, run.study, tmp_path / "rows.xlsx")
    sheet = pd.read_excel(tmp_path / "rows.xlsx")
    for heading, column in (("Area (MSH)", "beside_area"), ("Hemisphere", "beside_hemisphere")):
        assert sheet[heading].isna().tolist() == run.corpus.rows[column].isna().tolist()
        assert sheet[heading].dropna().tolist() == run.corpus.rows[column].dropna().tolist()


def test_predict_says_what_evaluate_says(run: ToldRun) -> None:
    classify, corpus = sdovis.pipeline(run.folders.model), run.corpus
    rows = corpus.part("test").head(12)
    table = run.scores.predictions.set_index("id")
    for (_, row), picture in zip(rows.iterrows(), corpus.pictures_of("test"), strict=False):
        file = run.folders.run / "one.png"
        file.write_bytes(picture)
        answer = {e["label"]: e["score"] for e in quietly(classify, str(file), beside=values(row), top_k=None)}
        for name in corpus.classes:
            assert answer[name] == pytest.approx(table.loc[row["id"], f"prob_{name}"], abs=1e-5)


def test_several_images_are_told_the_values_of_each(run: ToldRun) -> None:
    from sdovis.corpus.build import codes_of

    classify, corpus = sdovis.pipeline(run.folders.model), run.corpus
    rows = [row for _, row in corpus.part("test").head(3).iterrows()]
    pictures = [codes_of(picture) for picture in corpus.pictures_of("test")[:3]]
    for batch_size in (1, 2):
        found = quietly(classify, pictures, beside=[values(row) for row in rows], batch_size=batch_size)
        for each, row, answer in zip(pictures, rows, found, strict=True):
            assert quietly(classify, each, beside=values(row))[0]["score"] == pytest.approx(
                answer[0]["score"], abs=1e-5
            )
    with pytest.raises(BadInput, match="3 images are given, and beside them no list"):
        classify(pictures, beside=values(rows[0]))
    with pytest.raises(BadInput, match="beside them a list of 2"):
        classify(pictures, beside=[values(row) for row in rows[:2]])


GOOD = {"longitude": 10.0, "area": 100.0, "hemisphere": "north"}


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        (None, "the model is told values beside the image; give beside="),
        ([1, 2], "these are no mapping"),
        ({"longitude": 10.0, "hemisphere": "north"}, "area is missing; give a number, in training from"),
        (GOOD | {"aera": 1}, "'aera' is not known; did you mean 'area'"),
        (GOOD | {"area": "100"}, "area is '100', and not a number"),
        (GOOD | {"area": True}, "area is True, and not a number"),
        (GOOD | {"area": float("nan")}, "area is nan, which is no number"),
        (GOOD | {"area": -1.0}, "area is below 0"),
        (GOOD | {"longitude": 1e300}, "a number is too large to be told"),
        (
            GOOD | {"hemisphere": "west"},
            "hemisphere is 'west', which no row of the training part is; give one of north, South",
        ),
        (GOOD | {"hemisphere": 1}, "hemisphere is 1, and not a text"),
    ],
)
def test_values_that_are_not_what_the_model_is_told_are_refused(run: ToldRun, beside: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("(", r"\(")):
        sdovis.pipeline(run.folders.model)(np.full((96, 96), 50.0), beside=beside)


@pytest.mark.filterwarnings("ignore:unlike anything")
def test_what_is_strange_or_missing_is_said_with_the_answer(run: ToldRun) -> None:
    classify, image = sdovis.pipeline(run.folders.model), np.random.default_rng(0).normal(0, 100, (96, 96))
    with pytest.warns(Unfamiliar, match="area = 90000 lies outside the training range"):
        answer = classify(image, beside=GOOD | {"area": 9e4})
    assert any("outside the training range" in note for note in answer.notes)
    answer = quietly(classify, image, beside=GOOD | {"area": None})
    assert any("area is not known: the training median" in note for note in answer.notes)
    with pytest.warns(Unfamiliar, match="longitude is missing, and no row of the training part lacked it"):
        classify(image, beside=GOOD | {"longitude": None})
    spelt = quietly(classify, image, beside=GOOD | {"hemisphere": " NORTH"})
    assert spelt[0]["score"] == quietly(classify, image, beside=GOOD)[0]["score"]


def test_a_model_of_images_alone_takes_no_values(small_model: Path) -> None:
    with pytest.raises(BadInput, match="which the model is not told"):
        sdovis.pipeline(small_model)(np.full((32, 32), 50.0), beside={"area": 1})


def test_the_ablation_is_on_the_card_and_can_be_computed_again(run: ToldRun) -> None:
    found = run.scores.facts.ablation
    assert found is not None and set(found.scores) == {"image", "table", "both"}
    assert set(found.differences) == {"both - image", "both - table", "image - table"}
    assert found.scores["table"] == run.scores.facts.baselines["beside"]["balanced-accuracy"]
    text = (run.folders.cards / "model" / "README.md").read_text()
    assert "### Image, table, both" in text and "### Values beside the image" in text
    assert 'pipeline("image-classification"' not in text and "beside={" in text
    assert verify.verify(run.folders.run) == []


def test_a_changed_prediction_of_a_head_is_seen(run: ToldRun, tmp_path: Path) -> None:
    import runs

    shutil.copytree(run.folders.run, tmp_path / "run")
    scores = tmp_path / "run" / "scores"
    table = pd.read_parquet(scores / "ablation.parquet")
    table["both"] = 0
    file = tmp_path / "ablation.parquet"
    table.to_parquet(file)
    runs.remade(scores, {"ablation.parquet": file.read_bytes()})
    assert any("both" in each.printed for each in verify.verify(tmp_path / "run", verify.again(tmp_path / "run")))


def test_doors_that_cannot_take_values_refuse_in_one_line(run: ToldRun, tmp_path: Path) -> None:
    from sdovis.inference import asking, onnx

    (tmp_path / "one.png").write_bytes(run.corpus.pictures[0])
    with pytest.raises(
        BadInput, match="told longitude, area, hemisphere beside each image, which predict does not take"
    ):
        asking.question(str(run.folders.model), [str(tmp_path / "one.png")])
    with pytest.raises(BadInput, match="values beside the image, which ONNX files do not take"):
        onnx.export(run.folders.model, tmp_path / "onnx")


def test_an_endpoint_takes_the_values_as_a_parameter(run: ToldRun) -> None:
    import base64

    handler = EndpointHandler(str(run.folders.model))
    sent = base64.b64encode(run.corpus.pictures[0]).decode()
    answer = handler({"inputs": sent, "parameters": {"beside": GOOD | {"area": 9e4}}})
    assert {each["label"] for each in answer} == set(run.corpus.classes)
    assert any("outside the training range" in note for note in answer[0]["notes"])
    with pytest.raises(BadInput, match="told values beside the image"):
        handler({"inputs": sent})


LONGITUDE, AREA, SIDE = TOLD.splitlines()[1:4]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([AREA, SIDE], "have no longitude beside the image"),
        ([LONGITUDE.replace(" }", ', hemisphere = "Hemisphere" }'), AREA], "hemisphere beside the image is a number"),
        ([LONGITUDE.replace(" }", ', harp = "HARP" }'), AREA, SIDE], "it names harp beside the image"),
    ],
)
def test_another_source_must_name_the_same_values(run: ToldRun, tables: list[str], said: str, tmp_path: Path) -> None:
    own = "\n".join((LONGITUDE, AREA, SIDE))
    (tmp_path / "other.toml").write_text(STUDY.replace(own, "\n".join(tables)).replace('"fusion"', '"none"'))
    with pytest.raises(BadInput, match=said):
        elsewhere.seen_as_trained(run.study, studies.load(tmp_path / "other.toml"))


def test_another_source_is_scored_with_its_own_values(run: ToldRun, tmp_path: Path, monkeypatch: Any) -> None:
    from sdovis.simulation.passages import simulate

    monkeypatch.chdir(run.folders.run.parents[1])
    simulate(tmp_path / "data", regions=8, seed=11, progress=False)
    with_hemispheres(tmp_path / "data" / BOOK)
    (tmp_path / "other.toml").write_text(STUDY.replace('name = "small"', 'name = "other"'))
    with stages.opened(run.study) as folders:
        found = stages.evaluate_on(run.study, folders, studies.load(tmp_path / "other.toml"), print)
    assert found.facts.ablation is None and "beside" in found.facts.baselines
    other = Corpus.load(run.folders.on("other") / "corpus")
    assert other.facts.beside == run.corpus.facts.beside and other.rows["beside_area"].notna().any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (TOLD.partition("[method]")[0], "", "method.beside: no value beside the image is named"),
        ('{ area = "Area (MSH)" }', '{ Area = "Area (MSH)" }', "'Area' is no name"),
        ('{ area = "Area (MSH)" }', '{ area = "" }', "area names no heading"),
        ('{ area = "Area (MSH)" }', '{ longitude = "Area (MSH)" }', "stands there twice"),
        ('"Hemisphere"', '"mount wilson"', "hemisphere is the column of the label"),
        ("[images]\n", "[publish]\nonnx = true\n[images]\n", "ONNX files take no values beside the image"),
        ("[images]\n", "[space]\nlive = true\n[images]\n", "nobody says the values beside"),
    ],
)
def test_a_study_that_cannot_be_is_refused_when_it_is_read(old: str, new: str, said: str, small_study: Path) -> None:
    assert old in STUDY
    small_study.write_text(STUDY.replace(old, new, 1))
    with pytest.raises(BadInput, match=said):
        studies.load(small_study)


def test_a_heading_that_is_not_there_is_refused_by_check(small_study: Path) -> None:
    small_study.write_text(STUDY)  # without the column that `with_hemispheres` adds
    with pytest.raises(
        BadInput, match=r"(?s)Hemisphere.*no column with this heading.*source\.columns\.beside\.hemisphere"
    ):
        stages.check(studies.load(small_study))


def test_a_study_without_values_has_the_digest_that_it_always_had(small_study: Path) -> None:
    assert "beside" not in json.loads(studies.load(small_study).digest_of("source"))["source"]["columns"]
