"""What the readers of public data sets make of what is odd in those sets, without a training."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import deadly
import numpy as np
import pandas as pd
import public_sets
import pytest
from public_sets import WRITERS, study_of
from sdovis import study as studies
from sdovis.corpus import build, catalog
from sdovis.corpus.catalog import Catalog
from sdovis.errors import BadInput
from sdovis.readers.sdobenchmark import SCALED, _factor
from sdovis.study import Study

Load = Callable[..., Study]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes a set and loads its study, with ``changes`` (old -> new) made to the study's text."""

    def loaded(name: str, changes: dict[str, str] | None = None, *sets: str) -> Study:
        text = WRITERS[name](tmp_path)
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        return studies.load(study_of(tmp_path, text), sets)

    return loaded


def checked(study: Study) -> Catalog:
    return build.check(study, progress=False)


# --- published parts --------------------------------------------------------------------------------------------------


def test_a_published_split_is_kept_whatever_leaks_and_the_leak_is_said(load, tmp_path):
    study = load("dataset")
    import datasets

    path = tmp_path / "set/data/test-00000-of-00001.parquet"
    table = datasets.Dataset.from_parquet(str(path))
    table = table.map(lambda row, i: {"noaa_ar": 11400 if i == 0 else row["noaa_ar"]}, with_indices=True)
    table.to_parquet(path)
    rows = build.read_rows(study)
    found = build.build(study, tmp_path / "corpus", rows, progress=False)
    assert found.rows["split"].value_counts().to_dict() == {"train": 18, "validation": 8, "test": 8}
    assert found.audit is not None
    assert found.audit.leaks["region"] == 1
    said = " ".join(found.facts.notices or ())
    assert "LEAK in the published split: 1 of 33 values of region lie in two parts, 2 of 34 rows: ar11400" in said
    assert "the column 'peak' gives away the label" in said


def test_parts_that_are_near_in_time_leak_where_no_region_is_named(load):
    found = checked(load("dataset", {'noaa_ar = "noaa_ar"\n': ""}))
    said = " ".join(found.notices)
    assert "LEAK in time: of the published split, train and validation come as near as 10.0 days" in said
    assert "both may show the same one" in said


def test_a_data_set_without_a_validation_part_gets_one_of_whole_regions_of_its_training_part(load):
    found = checked(load("sdobenchmark"))
    assert {"train", "test"} == set(found.rows["published_part"])
    assert "train and validation come as near" in " ".join(found.notices)


@pytest.mark.parametrize("part", ["", "leaky_validation", "extra"])
def test_a_part_that_is_none_of_the_three_is_refused(load, tmp_path, part):
    study = load(
        "suryabench", {'index = "index.csv"': f'index = "index.csv"\nflares = ["train.csv", "{part or "x"}.csv"]'}
    )
    (tmp_path / f"{part or 'x'}.csv").write_text((tmp_path / "test.csv").read_text())
    with pytest.raises(BadInput, match="is not one of train, training"):
        checked(study)


def test_a_published_split_needs_the_column_that_names_it(load):
    with pytest.raises(BadInput, match=r"set source\.columns\.part"):
        load("arccnet", {"gap_days = 14.0": 'method = "published"'})


# --- any data set -----------------------------------------------------------------------------------------------------


def test_folders_of_pictures_are_a_data_set_whose_folders_are_classes(tmp_path):
    from PIL import Image

    for part in ("train", "validation", "test"):
        for number in range(6):
            name = ("quiet", "bright")[number % 2]
            folder = tmp_path / "set" / part / name
            folder.mkdir(parents=True, exist_ok=True)
            codes = np.clip(public_sets.disc(number % 2 == 1, number + 10 * len(part)) / 8, 0, 255).astype(np.uint8)
            Image.fromarray(codes).save(folder / f"{'2012' if part == 'train' else '2013'}01{number + 10}_000000.jpg")
    text = WRITERS["dataset"](tmp_path / "other").replace('noaa_ar = "noaa_ar"\nobserved = "observed"\n', "")
    study = studies.load(study_of(tmp_path, text.replace('label = "label"', "")))
    rows = build.read_rows(study)
    assert {row.text("part") for row in rows} == {"train", "validation", "test"}
    assert {row.text("label") for row in rows} == {"quiet", "bright"}
    assert all(re.fullmatch(r"(train|validation|test)/(quiet|bright)/\w+\.jpg", row.images[0]) for row in rows)


def test_a_class_that_is_not_told_is_no_class(load, tmp_path):
    study = load("dataset")
    import pyarrow.parquet as pq

    path = tmp_path / "set/data/validation-00000-of-00001.parquet"
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    labels[0] = -1
    pq.write_table(table.set_column(1, table.schema.field("label"), [labels]), path)
    assert [row.text("label") for row in build.read_rows(study)].count("") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [({'path = "set"': 'path = "nothing"'}, "there is no such folder"),
     ({'observed = "observed"': 'observed = "observed"\nimage = "picture"'}, "set source.columns.image to 'image'"),
     ({'noaa_ar = "noaa_ar"': 'noaa_ar = "region"'}, "the reader dataset has no column 'region'")],
)  # fmt: skip
def test_what_a_data_set_does_not_have_is_said(load, change, said):
    study = load("dataset", change)
    with pytest.raises(BadInput, match=said):
        build.read_rows(study)


def test_a_data_set_of_the_hub_is_named_by_its_commit(load):
    with pytest.raises(BadInput, match="hub and revision go together"):
        load("dataset", {'path = "set"': 'path = "set"\nhub = "owner/name"'})


def test_a_data_set_of_the_hub_comes_down_once(load, tmp_path, hub):
    from huggingface_hub import HfApi

    load("dataset")
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    api.create_repo("org/name", repo_type="dataset")
    commit = api.upload_folder(repo_id="org/name", repo_type="dataset", folder_path=tmp_path / "set").oid
    here = tmp_path / "elsewhere"
    here.mkdir()
    text = (tmp_path / "study.toml").read_text()
    (here / "study.toml").write_text(
        text.replace('path = "set"', f'path = "set"\nhub = "org/name"\nrevision = "{commit}"')
    )
    study = studies.load(here / "study.toml")
    assert len(build.read_rows(study)) == 34
    hub.__exit__(None, None, None)  # what is there is not asked for again
    assert len(build.read_rows(study)) == 34


def test_a_picture_that_takes_its_decoder_down_costs_its_own_row_and_not_those_of_its_table(
    load, tmp_path, monkeypatch
):
    study = load("dataset", None, "source.on_problem=reject")
    (tmp_path / "set" / "victim.txt").write_text("data/train-00000-of-00002.parquet::image[2]")
    monkeypatch.setattr(catalog, "_looked", deadly.killed_by_the_image_named_in_a_file)
    found = checked(study)
    assert len(found.rows) == 33
    assert "the process that read it was killed" in found.rejects["reason"].item()


# --- SDOML v2 ---------------------------------------------------------------------------------------------------------


def test_values_that_were_corrected_are_refused_by_channels_that_would_correct_them_again_or_not_at_all(load):
    for channel in ("aia-171", "aia-171-corrected"):
        changes = {'channel = "aia-171-precorrected"': f'channel = "{channel}"'}
        study = load("sdoml", {**changes, 'labels = "labels.csv"': 'labels = "labels.csv"\narrays = ["171A"]'})
        with pytest.raises(BadInput, match="its values were already corrected for degradation"):
            checked(study)


def test_a_label_without_an_image_near_it_is_a_fault_of_its_row(load, tmp_path):
    study = load("sdoml")
    table = pd.read_csv(tmp_path / "labels.csv")
    table.loc[[3, 5, 7], "Time"] = ["2012-01-27 03:00", "", "2014-01-01 00:00"]
    table.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(BadInput) as error:
        build.read_rows(study)
    said = str(error.value)
    assert "row 5, column 'Time': the store has no image within 12 minutes of 2012-01-27 03:00" in said
    assert "row 7, column 'Time': the time of observation is unknown" in said


def test_components_across_the_line_of_sight_are_no_channels(load):
    study = load("sdoml", {'channel = "aia-171-precorrected"': 'channel = "hmi-magnetogram"'})
    with pytest.raises(BadInput, match="nothing says which arrays"):
        build.read_rows(study)


# --- ARCCnet ----------------------------------------------------------------------------------------------------------


def test_rows_of_arccnet_without_a_cutout_of_hmi_are_counted(load):
    found = checked(load("arccnet"))
    assert len(found.rows) == 40
    said = " ".join(found.notices)
    assert "1 rows without a cutout of HMI are not read" in said
    assert "1 rows of type 'FB'" in said
    assert set(found.rows["noaa_ar"].astype(int)) == set(range(11400, 11440))


# --- SDOBenchmark -----------------------------------------------------------------------------------------------------


def test_a_flare_of_sdobenchmark_is_that_of_swpcs_list(load, tmp_path):
    study = load("sdobenchmark")
    rows = build.read_rows(study)
    assert len(rows) == 34  # one has no such image, one is flagged
    for row in rows:
        peak = float(row.text("Peak flux (W/m2)")) * SCALED
        assert row.text("label") == str(int(peak >= 0.999e-5))
    # A C9.9 over 0.85 is more than 1e-5 W/m2, and no M flare.
    meta = tmp_path / "sdobenchmark/training/meta_data.csv"
    table = pd.read_csv(meta)
    table.loc[1, "peak_flux"] = 9.9e-6 / SCALED
    table.to_csv(meta, index=False)
    changed = next(row for row in build.read_rows(study) if row.text("Sample") == table.loc[1, "id"])
    assert changed.text("label") == "0"


@pytest.mark.parametrize("factor", [1.0, SCALED])
def test_the_scale_of_peak_fluxes_is_told_from_their_digits(factor):
    classes = [n * 1e-7 for n in range(11, 99)]
    assert _factor([{"peak_flux": str(each / factor)} for each in [*classes, 1e-9 * factor]], "x") == factor


def test_peak_fluxes_of_neither_scale_are_refused():
    with pytest.raises(BadInput, match="it is unclear which flare a flux means"):
        _factor([{"peak_flux": str(1.0337e-6 * 1.1337**n)} for n in range(30)], "x")


def test_an_image_of_sdobenchmark_fits_only_the_channel_of_its_name(load):
    study = load("sdobenchmark", {'channel = "sdobenchmark-171"': 'channel = "sdobenchmark-193"'})
    with pytest.raises(BadInput, match="no sample has the images asked for"):
        build.read_rows(study)


# --- SuryaBench -------------------------------------------------------------------------------------------------------


def test_the_class_that_the_label_was_made_from_is_named(load):
    found = checked(load("suryabench"))
    said = " ".join(found.notices)
    assert "the column 'max_goes_class' gives away the label" in said
    assert "leaky_validation.csv, the days between SuryaBench's parts, is not read" in said
