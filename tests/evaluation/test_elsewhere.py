"""A finished model scored on another source: what training may have seen is left out, and the card says what was found."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest
from releases import finished_run  # noqa: F401  fixture
from runs import Run
from sdovis import study as studies
from sdovis.cards.facts import gather
from sdovis.cards.verify import recomputed
from sdovis.cli import run_command
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput
from sdovis.evaluation.elsewhere import IMAGE, REGION, TIME, Elsewhere, seen, seen_as_trained
from sdovis.simulation.passages import simulate
from studies import STUDY

OTHER = (
    STUDY.partition("[split]")[0]
    .replace('"small"', '"later"')
    .replace("max_longitude_deg = 60.0", "max_longitude_deg = 30.0")
)
WORKBOOK = "SDO_Simulated_Active_Regions.xlsx"


@pytest.fixture(scope="module")
def place(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A working directory with a finished run, its data, and another simulation with its study; not to be changed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(finished_run.folder, folder / "runs" / "small")
    shutil.copytree(finished_run.folder.parents[1] / "data", folder / "data")
    (folder / "study.toml").write_text((finished_run.folder.parents[1] / "study.toml").read_text())
    # Simulations count their regions alike: some have a number of the run's, as the same region would.
    simulate(folder / "others", regions=24, seed=11, progress=False)
    (folder / "later.toml").write_text(OTHER.replace('root = "data"', 'root = "others"'))
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working directory."""
    shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture(scope="module")
def found(place: Path) -> Elsewhere:
    """The run scored on the other source."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run_command(["evaluate", "study.toml", "--on", "later.toml"]) == 0
        return Elsewhere.load(Path("runs/small/on/later"))


def test_no_row_is_scored_that_training_may_have_seen(place, found):
    corpus, other = (Corpus.load(place / "runs/small" / name) for name in ("corpus", "on/later/corpus"))
    used = corpus.rows[corpus.rows["split"] != "test"]
    assert len(other.rows) == found.source.rows > 0
    assert not set(other.rows["noaa_ar"]) & set(used["noaa_ar"])
    assert found.source.dropped[REGION] > 0
    rejects = pd.read_csv(other.folder / "rejects.csv")
    assert (rejects["reason"] == REGION).sum() == found.source.dropped[REGION]
    test_regions = set(corpus.rows.loc[corpus.rows["split"] == "test", "group"])
    assert found.source.shared_with_test == len(test_regions & set(other.rows["group"]))


def test_it_has_the_files_of_a_scores_folder_and_its_rows_are_those_of_its_corpus(place, found):
    folder = place / "runs/small/on/later"
    own = {p.name for p in (place / "runs/small/scores").iterdir()}
    strange = {"strangers.parquet"}  # made of the test part
    assert {p.name for p in folder.iterdir()} == (own - strange) | {"source.json", "corpus"}
    table = pd.read_parquet(folder / "predictions.parquet")
    assert table["id"].tolist() == Corpus.load(folder / "corpus").rows["id"].tolist()
    assert set(table["split"]) == {"test"}
    assert found.facts.part == "later"
    assert found.facts.rows == len(table)


def test_the_model_and_the_baselines_are_the_run_s_own(place, found):
    """An image of the other source gets the class that the run's model gives it in any other way."""
    from sdovis import inference

    folder = place / "runs/small/on/later"
    table = pd.read_parquet(folder / "predictions.parquet")
    again = inference.probabilities(place / "runs/small/model", Corpus.load(folder / "corpus").pictures, progress=False)
    assert (table.filter(like="prob_").to_numpy() == again).all()
    rivals = pd.read_parquet(folder / "baselines.parquet")
    train = Corpus.load(place / "runs/small/corpus").part("train")["label"]
    assert set(rivals["majority"]) == {train.mode()[0]}
    assert list(rivals) == list(pd.read_parquet(place / "runs/small/scores/baselines.parquet"))


def test_the_model_s_view_holds_on_the_other_source_within_its_longitude_limit(place, found):
    corpus, other = (Corpus.load(place / "runs/small" / name) for name in ("corpus", "on/later/corpus"))
    assert other.facts.view == dataclasses.replace(corpus.facts.view, max_longitude_deg=30.0)
    assert 0 < other.rows["longitude_deg"].abs().max() <= 30
    assert any("central meridian" in reason for reason in found.source.rejects_by_reason)


def test_nothing_is_done_twice_and_another_model_is_noticed(here, found, capfd):
    assert run_command(["evaluate", "study.toml", "--on", "later.toml"]) == 0
    assert "evaluate on later: nothing changed, keeping the scores" in capfd.readouterr().err
    assert run_command(["train", "study.toml", "--set", "study.seed=3"]) == 0
    assert run_command(["evaluate", "study.toml", "--set", "study.seed=3"]) == 0
    assert run_command(["card", "study.toml", "--set", "study.seed=3"]) == 2
    assert "on/later: was not made from this corpus and this model" in capfd.readouterr().err


def test_the_card_tells_of_it_verify_recomputes_it_and_the_release_and_its_pin_hold_it(here, found):
    study = studies.load("study.toml")
    before = gather(study, here / "runs/small")
    assert run_command(["card", "study.toml"]) == 0
    card = (here / "runs/small/cards/model/README.md").read_text()
    assert "### On other data" in card
    assert f"| {found.source.rows} | {found.source.regions} |" in card
    assert f"Rows left out: {found.source.dropped[REGION]} ({REGION})." in card
    assert recomputed(before, here / "runs/small").elsewhere == before.elsewhere == (found,)
    assert run_command(["verify", "runs/small"]) == 0
    assert (here / "runs/small/release/model/on/later/scores.json").is_file()
    assert not (here / "runs/small/release/model/on/later/corpus").exists(), "the other source's images are not ours"
    shutil.rmtree(here / "runs/small/on")
    assert gather(study, here / "runs/small").repositories.pin != before.repositories.pin


def test_a_changed_probability_of_the_other_source_is_found_out(here, found):
    facts = gather(studies.load("study.toml"), here / "runs/small")
    file = here / "runs/small/on/later/predictions.parquet"
    table = pd.read_parquet(file)
    columns = [name for name in table if name.startswith("prob_")]
    table[columns] = table[columns].to_numpy()[:, ::-1]
    table.to_parquet(file)
    (again,) = recomputed(facts, here / "runs/small").elsewhere
    assert again.facts.confusion_matrix != found.facts.confusion_matrix


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'channel = "hmi-magnetogram"',
            'channel = "hmi-br"',
            "its images are hmi-br, but the model sees hmi-magnetogram",
        ),
        ('scheme = "mount-wilson-3"', 'scheme = "mount-wilson"', "which the model does not know: it knows alpha, beta"),
        ("max_longitude_deg = 30.0", "max_longitude_deg = 0.01", "no row is left"),
    ],
)
def test_a_source_that_the_model_cannot_be_shown_is_refused_and_leaves_nothing(here, capfd, old, new, told):
    shutil.rmtree("runs/small/on", ignore_errors=True)
    text = Path("later.toml").read_text()
    Path("later.toml").write_text(text.replace(old, new))
    assert run_command(["evaluate", "study.toml", "--on", "later.toml"]) == 2
    assert told in capfd.readouterr().err
    assert not list(Path("runs/small").glob("on/*")) + list(Path("runs/small").glob("on/.*"))


def test_a_source_of_which_training_saw_everything_is_refused_with_the_counts(here, capfd):
    Path("same.toml").write_text(OTHER.replace('"later"', '"same"'))
    used = Corpus.load(Path("runs/small/corpus")).rows.query("split != 'test'")["noaa_ar"]
    book = pd.read_excel(Path("data") / WORKBOOK)
    book[book["NOAA AR"].isin(used)].to_excel(Path("data") / WORKBOOK, index=False)
    assert run_command(["evaluate", "study.toml", "--on", "same.toml"]) == 2
    assert f" rows: {REGION}; name a source of other regions" in capfd.readouterr().err


def rows(**columns) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    usual = {"noaa_ar": [None] * count, "image_sha256": [f"x{n}" for n in range(count)]}
    usual |= {"observed": ["2020-01-01"] * count}
    usual["group"] = [f"ar{n}" if n else f"frame-{i}" for i, n in enumerate(columns.get("noaa_ar", usual["noaa_ar"]))]
    found = pd.DataFrame(usual | columns)
    return found.assign(observed=pd.to_datetime(found["observed"], utc=True))


def test_rows_count_as_seen_by_region_image_or_if_they_have_no_region_by_time(finished_run):  # noqa: F811
    corpus = Corpus.load(finished_run.folder / "corpus")
    train, test = corpus.part("train").iloc[0], corpus.part("test").iloc[-1]
    strange = rows(
        noaa_ar=[train["noaa_ar"], test["noaa_ar"], None, None, 99999, None],
        observed=["2030-01-01", "2030-01-01", train["observed"] + pd.Timedelta(days=13), "2030-01-01", train["observed"],
                  "2030-01-01"],
        image_sha256=["a", "b", "c", "d", "e", train["image_sha256"]],
    )  # fmt: skip
    assert seen(strange, corpus).tolist() == [REGION, "", TIME, "", "", IMAGE]


def test_a_study_read_to_be_scored_needs_no_network_of_its_own(here):
    study = studies.load("study.toml")
    other = seen_as_trained(study, studies.load("later.toml", like=study))
    assert (other.images.size_px, other.images.max_longitude_deg) == (96, 30.0)
    assert other.backbone == study.backbone
    with pytest.raises(BadInput, match="backbone"):
        studies.load("later.toml")
