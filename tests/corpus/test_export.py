"""The exported workbook: what a colleague finds in it, and that the reader `spreadsheet` makes the same corpus of it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.corpus import build
from sdovis.corpus.build import Corpus
from sdovis.corpus.export import export
from sdovis.errors import BadInput, Conflict
from sdovis.study import Study
from studies import STUDY

SRS_STUDY = """
format = 2
[study]
name = "real"
title = "Spots, plage and quiet Sun"
[source]
reader = "srs"
images = "images"
licence = "other"
[source.srs]
summaries = "noaa_srs"
flares = "goes.csv"
flare_class = "M1.0"
flare_hours = 24
[images]
channel = "aia-211-browse"
size_px = 32
cutout_arcsec = 480.0
max_longitude_deg = 60.0
center_px = [255.5, 255.5]
arcsec_per_px = 4.8
[labels]
scheme = "activity"
[split]
gap_days = 1.0
[backbone]
id = "facebook/dinov2-small"
"""


def made(study: Study, folder: Path) -> Corpus:
    return build.build(study, folder, build.read_rows(study), progress=False, workers=1)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Corpus]:
    """A corpus of twelve real AIA images and their region summaries; no spreadsheet."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "images").mkdir()
    for image in sorted((shared_data / "aia211").iterdir())[100:220:10]:
        (folder / "images" / image.name).write_bytes(image.read_bytes())
    (folder / "noaa_srs").symlink_to(shared_data / "noaa_srs")
    (folder / "goes.csv").symlink_to(shared_data / "goes_flares_2010_2014.csv")
    (folder / "study.toml").write_text(SRS_STUDY)
    study = studies.load(folder / "study.toml")
    return study, made(study, folder / "corpus")


@pytest.fixture(scope="module")
def small(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Corpus]:
    """A corpus of simulated observations and their workbook."""
    folder = tmp_path_factory.mktemp("small")
    shutil.copytree(simulated, folder / "data")
    (folder / "study.toml").write_text(STUDY)
    study = studies.load(folder / "study.toml", ["split.method=grouped"])
    return study, made(study, folder / "corpus")


def _identity(corpus: Corpus) -> set[tuple[str, str, Any, Any]]:
    """What a cutout is: its pixels, class, region and image."""
    rows = corpus.rows.assign(label=[corpus.classes[i] for i in corpus.rows["label"]]).fillna({"noaa_ar": 0})
    return set(rows[["pixels_sha256", "label", "noaa_ar", "image_file"]].itertuples(index=False, name=None))


def test_the_workbook_has_a_colleagues_sheets_and_headings(real, tmp_path):
    study, corpus = real
    export(corpus, study, tmp_path / "corpus.xlsx")
    book = openpyxl.load_workbook(tmp_path / "corpus.xlsx")
    assert book.sheetnames == ["Active regions", "Quiet Sun", "Rejects", "About"]
    sheet = book["Active regions"]
    headings = [cell.value for cell in sheet[1]]
    assert headings[:12] == [
        "Image", "Observed (UTC)", "NOAA AR", "Kind", "Mount Wilson", "McIntosh", "Area (MSH)", "Spots",
        "Latitude (deg)", "Longitude (deg)", "X (px)", "Y (px)",
    ]  # fmt: skip
    assert "M flare next 24 h" in headings and "Gap (h)" in headings and headings[-1] == "Part"
    assert [cell.value for cell in book["Quiet Sun"][1]][:3] == ["Image", "Observed (UTC)", "Kind"]
    row = {heading: cell.value for heading, cell in zip(headings, sheet[2], strict=True)}
    assert isinstance(row["Observed (UTC)"], datetime) and isinstance(row["NOAA AR"], int)
    assert isinstance(row["X (px)"], float) and isinstance(row["M flare next 24 h"], int)
    assert isinstance(row["Summary valid (UTC)"], datetime)
    for name in book.sheetnames:
        assert book[name].freeze_panes == "A2" and book[name].auto_filter.ref.startswith("A1:")
        assert all(cell.font.bold for cell in book[name][1])
    assert sheet.column_dimensions["A"].width > 25 > sheet.column_dimensions["C"].width
    regions = int(corpus.rows["noaa_ar"].notna().sum())
    assert sheet.max_row - 1 == regions and book["Quiet Sun"].max_row - 1 == len(corpus.rows) - regions == 24
    assert book["Rejects"].max_row - 1 == corpus.facts.rejects > 0


def test_the_workbook_says_what_it_was_made_from(real, tmp_path):
    study, corpus = real
    export(corpus, study, tmp_path / "corpus.xlsx")
    rows = pd.read_excel(tmp_path / "corpus.xlsx", sheet_name="About", dtype=str)
    about = rows.groupby("What")["Value"].agg("\n".join)
    assert about["Study"] == "Spots, plage and quiet Sun"
    assert about["Rows read from"] == "noaa_srs" and about["Flare list"] == "goes.csv"
    assert about["Least flare class"] == "M1.0" and about["Flare hours"] == "24"
    assert about["Corpus manifest (sha256)"] == corpus.manifest.digest
    assert about["Label scheme"].startswith("activity version ") and about["Channel"].startswith(
        "aia-211-browse version"
    )
    assert int(about["Rows"]) == len(corpus.rows) == sum(int(about[f"Class {name}"]) for name in corpus.classes)
    assert sum(int(n) for what, n in about.items() if re.match("Part ", str(what))) == len(corpus.rows)
    assert 'scheme = "activity"' in about["study.toml"]
    assert str(study.source.root.resolve()) not in about["study.toml"]


def test_read_back_the_workbook_gives_the_same_cutouts_and_labels(real, tmp_path):
    study, corpus = real
    export(corpus, study, study.source.root / "exported.xlsx")
    again = study.source.columns.model_copy(update={"x_px": "X (px)", "y_px": "Y (px)"})
    update = {"reader": "spreadsheet", "workbook": "exported.xlsx", "columns": again}
    source = study.source.model_copy(update={**update, "sheets": ("Active regions", "Quiet Sun")})
    second = made(study.model_copy(update={"source": source}), tmp_path / "again")
    assert _identity(second) == _identity(corpus)
    ids = corpus.rows["noaa_ar"].notna(), second.rows["noaa_ar"].notna()
    assert set(corpus.rows[ids[0]]["id"]) == set(second.rows[ids[1]]["id"])


def test_a_corpus_of_a_spreadsheet_is_exported_and_read_back_too(small, tmp_path):
    study, corpus = small
    export(corpus, study, study.source.root / "exported.xlsx")
    sheets = openpyxl.load_workbook(study.source.root / "exported.xlsx").sheetnames
    assert sheets[0] == "Active regions" and "Quiet Sun" not in sheets
    source = study.source.model_copy(update={"workbook": "exported.xlsx"})
    second = made(study.model_copy(update={"source": source}), tmp_path / "again")
    assert _identity(second) == _identity(corpus)


def test_text_that_looks_like_a_formula_stays_text_and_numbers_become_numbers(small, tmp_path):
    study, corpus = small
    told = {"Note": "=1+1", "Flux": "1.5e22", "Count": "12", "Code": "007", "When": "2011-02-15 00:00", "Odd": "a\x01b"}
    rows = corpus.rows.assign(extra=json.dumps(told), label_text="0.50")
    export(replace(corpus, rows=rows), study, tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["Active regions"]
    row = {heading.value: cell for heading, cell in zip(sheet[1], sheet[2], strict=True)}
    assert row["Note"].value == "=1+1" and row["Note"].data_type == "s"
    assert (row["Flux"].value, row["Count"].value, row["Code"].value) == (1.5e22, 12, "007")
    assert row["When"].value == datetime(2011, 2, 15) and row["Odd"].value == "ab"
    assert row["Mount Wilson"].value == "0.50"  # a label keeps its spelling


def _no_links(*_: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_nothing_is_overwritten_and_nothing_is_left_half_written(small, tmp_path, monkeypatch):
    study, corpus = small
    target = tmp_path / "mine.xlsx"
    target.write_text("mine")
    with pytest.raises(Conflict, match=r"mine\.xlsx: already exists") as caught:
        export(corpus, study, target)
    assert target.read_text() == "mine" and caught.value.exit_code == 4
    with pytest.raises(BadInput, match=r"must end in \.xlsx"):
        export(corpus, study, tmp_path / "mine.csv")
    with pytest.raises(BadInput, match="there is no such folder"):
        export(corpus, study, tmp_path / "nowhere" / "mine.xlsx")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", _no_links)
        export(corpus, study, tmp_path / "usb.xlsx")
    assert openpyxl.load_workbook(tmp_path / "usb.xlsx").sheetnames[0] == "Active regions"
    before = sorted(p.name for p in tmp_path.iterdir())

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("openpyxl.Workbook.save", full)
    with pytest.raises(OSError, match="no space"):
        export(corpus, study, tmp_path / "new.xlsx")
    assert sorted(p.name for p in tmp_path.iterdir()) == before
