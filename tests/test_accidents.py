"""Accidents that are nobody's defect: full disks, odd study files, texts that a spreadsheet would run. One line each."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis import errors
from sdovis.cards import sources
from sdovis.cli import run_command
from sdovis.corpus import rejects
from sdovis.corpus.catalog import image_inventory
from sdovis.errors import BadInput, DiskFailure, HubFailure
from sdovis.images import bounds
from sdovis.readers import joins, tables
from sdovis.readers.rows import RawRow
from sdovis.study import load
from sdovis.sun import notation, regions, times
from sdovis.webapp import source
from studies import STUDY


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return [line for line in said.splitlines() if line.startswith("error: ")]


# --- a full disk ------------------------------------------------------------------------------------------------------


def within(size: int, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command whose files may have at most ``size`` bytes, as on a disk that is full by then."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    command = [sys.executable, "-m", "sdovis", *arguments]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, preexec_fn=limit, capture_output=True, text=True, env=env)


def left(folder: Path) -> set[str]:
    """The files and folders of a run that a stage would take for whole."""
    return {path.name for path in (folder / "runs/small").iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("size", [0, 3000])
def test_a_disk_that_is_full_ends_prepare_with_one_line_and_nothing_half_written(small_study: Path, size: int) -> None:
    ended = within(size, "prepare", "study.toml", folder=small_study.parent)
    assert ended.returncode == errors.EXIT_CONFLICT, ended.stderr
    (said,) = re.findall("error: .*", ended.stderr)  # a bar of progress may stand before it
    assert "a file would be larger than this system allows" in said and "Traceback" not in ended.stderr
    assert "corpus" not in left(small_study.parent)
    assert run_command(["prepare", str(small_study)]) == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES])
def test_every_trouble_with_a_disk_has_its_sentence_and_exit_code(
    small_study: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*given: object, **settings: object) -> None:
        raise OSError(number, os.strerror(number), "runs/small/x")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    assert run_command(["prepare", str(small_study)]) == errors.EXIT_CONFLICT
    (line,) = lines(capfd)
    assert line.startswith("error: runs/small/x: ") and line.endswith("run the same command again")
    assert "corpus" not in left(small_study.parent)


def test_what_is_not_the_disks_stays_a_defect(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        DiskFailure.of(FileNotFoundError(errno.ENOENT, "x")) is None
        and DiskFailure.of(OSError("without a number")) is None
    )

    def missing() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file", "x")

    monkeypatch.setattr("sdovis.printing.plugins", missing)
    assert run_command(["plugins"]) == errors.EXIT_INTERNAL
    assert "please report" in capfd.readouterr().err


# --- study files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_study_file_may_begin_with_a_byte_order_mark(small_study: Path, encoding: str) -> None:
    small_study.write_text(STUDY, encoding=encoding)
    assert load(small_study).name == "small"
    assert run_command(["check", str(small_study), "--upgrade"]) == 0


DEEP = {
    "lists": "[publish]\nauthors = " + "[" * 3000 + "]" * 3000,
    "lists that TOML's reader bears": "[publish]\nauthors = " + "[" * 90 + "]" * 90,
    "inline tables": "[publish]\nx = " + "{a = " * 1500 + "1" + "}" * 1500,
    "dotted keys": "[publish]\n" + ".".join(["a"] * 3000) + " = 1",
    "headings": "[" + ".".join(["a"] * 3000) + "]\nb = 1",
    "a number of 5000 digits": "[publish]\nx = " + "9" * 5000,
}


@pytest.mark.parametrize("more", ["", "--upgrade"])
@pytest.mark.parametrize("kind", DEEP)
def test_a_study_that_is_nested_without_end_is_one_line(
    small_study: Path, capfd: pytest.CaptureFixture[str], kind: str, more: str
) -> None:
    small_study.write_text(STUDY.replace("format = 2", "format = 1") + DEEP[kind] + "\n")
    assert run_command(["check", str(small_study), *filter(None, [more])]) == 2
    (line,) = lines(capfd)
    assert "study.toml: " in line and ("nested more than 20 deep" in line or "not valid TOML" in line)


@pytest.mark.parametrize("value", ["[" * 3000 + "]" * 3000, "[" * 50 + "]" * 50, "{a=" * 100 + "1" + "}" * 100])
def test_so_is_an_override(small_study: Path, capfd: pytest.CaptureFixture[str], value: str) -> None:
    assert run_command(["check", str(small_study), "--set", f"publish.authors={value}"]) == 2
    assert all(len(line) < 10_000 for line in lines(capfd))
    assert run_command(["check", str(small_study), "--set", ".".join(["a"] * 3000) + "=1"]) == 2
    assert lines(capfd)


@pytest.mark.parametrize(
    "value", ["nan", "-inf", "1979-05-27", "9999-12-31T23:59:59-14:00", "07:32:00", "[1, inf]", "{a = nan}"]
)
def test_a_setting_that_cannot_be_one_is_one_line(
    small_study: Path, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert run_command(["check", str(small_study), "--set", f"backbone.config.layer_norm_eps={value}"]) == 2
    (line,) = lines(capfd)
    assert "backbone.config.layer_norm_eps" in line and (
        "is a date or a time" in line or "is not a finite number" in line
    )
    assert run_command(["check", str(small_study), "--set", f"backbone.config.model_type={value}"]) == 2
    assert run_command(["check", str(small_study), "--set", f"backbone.config.num_attention_heads={value}"]) == 2
    assert len(lines(capfd)) == 2


@pytest.mark.parametrize("setting", ['label=""', 'label=" "', 'image=""', 'image=["a", "", "c"]'])
def test_a_column_without_a_heading_is_one_line(
    small_study: Path, capfd: pytest.CaptureFixture[str], setting: str
) -> None:
    assert run_command(["check", str(small_study), "--set", f"source.columns.{setting}"]) == 2
    assert any("no heading is named" in line for line in lines(capfd))


# --- tables -----------------------------------------------------------------------------------------------------------

TEXT = st.text(
    st.sampled_from("=+-@'\t\r\n;|,\" aB1\uff1d\uff20") | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=9,
)
FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_no_cell_of_the_rejects_is_a_formula_and_every_one_reads_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    rejects.write(pd.DataFrame(rows, columns=["label", "reason"]), folder)
    assert list(rejects.read(folder).itertuples(index=False, name=None)) == rows
    import csv

    with (folder / rejects.FILE).open(encoding="utf-8", newline="") as file:
        shown = [cell for row in csv.reader(file) for cell in row]
    parts = [part for cell in shown for part in re.split(r"[;|\t\r\n]", cell)]
    assert not [part for part in parts if FORMULA.match(part)]


def test_numbers_and_absent_values_of_the_rejects_stay_as_they_are(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"row": [3, 4], "noaa_ar": [None, "=1+1"], "share": [-0.5, np.nan], "reason": ["-1", "a.fits; b.fits"]}
    )
    rejects.write(table, tmp_path)
    assert (tmp_path / rejects.FILE).read_text() == "row,noaa_ar,share,reason\n3,,-0.5,'-1\n4,'=1+1,,a.fits; b.fits\n"


def test_a_label_that_is_a_formula_reaches_the_rejects_disarmed(small_study: Path) -> None:
    import openpyxl

    book = small_study.parent / "data/SDO_Simulated_Active_Regions.xlsx"
    edited = openpyxl.load_workbook(book)
    columns = {cell.value: cell.column for cell in edited["Active regions"][1]}
    for row, text in enumerate(['=HYPERLINK("http://x")', "@SUM(1)", "-2+3", "+1;=2"], 3):
        cell = edited["Active regions"].cell(row, columns["Mount Wilson"])
        cell.value, cell.data_type = text, "s"
    edited.save(book)
    assert run_command(["prepare", str(small_study), "--set", "source.on_problem=reject"]) == 0
    folder = small_study.parent / "runs/small/corpus"
    assert {'=HYPERLINK("http://x")', "@SUM(1)", "-2+3", "+1;=2"} <= set(rejects.read(folder)["label"])
    raw = pd.read_csv(folder / rejects.FILE, dtype=str, keep_default_na=False)
    assert not any(raw["label"].str.match(FORMULA))


LONG = ["#" * 40, "no." * 300, "# " * 500, "1" * 5000, "0" * 5000, "1e" * 3000, "N" + "1" * 40_000]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", LONG, ids=[f"{text[:4]}x{len(text)}" for text in LONG])
@pytest.mark.parametrize(
    "reading", [notation.regions, notation.latitude, notation.location, notation.pixel, times.time, notation.carrington]
)
def test_no_text_in_a_cell_holds_up_its_reader(reading: object, text: str) -> None:
    with pytest.raises(BadInput) as caught:
        reading(text)  # type: ignore[operator]
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("text", ["AR #11158", "NOAA No. 11158", "ar-11158", "Number: #11158", "nr.11158", "no.#11158"])
def test_regions_are_still_read_however_they_are_introduced(text: str) -> None:
    assert notation.regions(text) == (11158,)


# --- the ends of the calendar -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01 00:30:00+05:00",
        "9999-12-31T23:30:00-05:00",
        "9999-12-31 23:59:59.9-14:00",
        "0001-01-01T00:00:00+0001",
    ],
)
def test_a_time_beyond_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        times.time(text)


def table(folder: Path, heading: str, *rows: str) -> Path:
    (folder / "t.csv").write_text("\n".join([heading, *rows]) + "\n")
    return folder / "t.csv"


@pytest.mark.parametrize("year", ["0001", "1600", "2300", "9999"])
def test_tables_that_are_joined_may_hold_any_date(tmp_path: Path, year: str) -> None:
    sharps = table(tmp_path, "T_REC,NOAA_AR,USFLUX", f"{year}.12.31_23:59:59_TAI,11158,1")
    with pytest.raises(BadInput, match="is not a time"):
        joins.read_sharps(sharps)
    flares = table(tmp_path, "start,peak,class,noaa_ar", f"{year}-12-31 23:50,{year}-12-31 00:05,M1.0,11158")
    with pytest.raises(BadInput, match="the flare cannot be read"):
        joins.read_flares(flares)


@pytest.mark.parametrize("date", ["01 Jan 0001", "31 Dec 9999", "03 Jan 0001"])
def test_a_summary_of_no_possible_date_is_refused(date: str) -> None:
    text = f"SRS Number 46 Issued at 0030Z on {date}\nI.  Regions with Sunspots.  Locations Valid at 31/2400Z\n"
    with pytest.raises(BadInput):
        regions.parse(text, "x.txt")


# --- names, and what is not there -------------------------------------------------------------------------------------


def test_a_class_may_have_a_name_of_any_length(tmp_path: Path) -> None:
    import datasets

    names = ["é" * 300, "B" * 300, "-" * 300]
    folder = tmp_path / "corpus/data"
    folder.mkdir(parents=True)
    features = datasets.Features(
        {"id": datasets.Value("string"), "label": datasets.ClassLabel(names=names), "image": datasets.Image()}
    )
    rows = {"id": ["a", "b", "c"], "label": [0, 1, 2], "image": [{"bytes": b"png", "path": None}] * 3}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "test-00000-of-00001.parquet")
    (tmp_path / "scores").mkdir()
    scores = pd.DataFrame({"id": ["a", "b", "c"], **{f"prob_{name}": [0.3] * 3 for name in names}})
    scores.to_parquet(tmp_path / "scores/predictions.parquet")
    for example in sources.examples(tmp_path, names):
        (tmp_path / Path(example.file).name).write_bytes(example.png)


@pytest.mark.parametrize("named", ["runs/gone", "./gone", "runs/gone/model", "{}/gone"])
def test_a_model_folder_that_is_not_there_is_not_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    named = named.format(tmp_path)
    assert run_command(["serve", named]) == 2
    (line,) = lines(capfd)
    assert named in line and "Hub cannot" not in line and ("no such folder" in line or "neither a folder" in line)
    (tmp_path / "x.fits").touch()
    assert run_command(["predict", named, "x.fits"]) == 2
    assert "there is no such folder" in lines(capfd)[0]


def test_what_may_be_a_folder_or_an_id_is_told_as_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubFailure, match="there is no folder someone/model here"):
        source.fetch(source.locate("someone/model", tmp_path))


def test_a_file_too_large_to_be_read_is_not_read_for_its_sum(
    small_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load(small_study)
    huge = study.image_root / "huge.fits"
    with huge.open("wb") as file:
        file.truncate(bounds.MAX_BYTES + 1)
    opened: list[str] = []
    monkeypatch.setattr("sdovis.corpus.catalog.sha256_file", lambda path: opened.append(path.name) or "sum")
    some = next(study.image_root.glob("hmi*")).name
    row = [RawRow("b.xlsx", "s", 2, {"image": name}, {"image": "Image"}) for name in ("huge.fits", some, "gone")]
    found = image_inventory(study, row)
    assert opened == [some] and str(bounds.MAX_BYTES + 1) in found and "missing" in found


def test_tables_are_read_by_a_child(tmp_path: Path) -> None:
    """The main process does not even load the parser."""
    code = (
        "import sys; from pathlib import Path; from sdovis.readers import tables; "
        f"print(len(tables.read(Path({str(tmp_path / 'b.xlsx')!r}))[0].lines), 'openpyxl' in sys.modules)"
    )
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.save(tmp_path / "b.xlsx")
    assert tables.read(tmp_path / "b.xlsx")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout == "1 False\n", said.stderr
