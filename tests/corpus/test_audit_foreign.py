import io
import json
import socket

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sdovis.cli import run_command
from sdovis.corpus import foreign
from sdovis.corpus.audit_foreign import DatasetColumns, audit_foreign
from sdovis.corpus.duplicates import near_duplicates, perceptual_hash
from sdovis.errors import BadInput, HubFailure

PARTS = {"train": 24, "validation": 9, "test": 9}


def _scene(seed, side=48) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.uniform(0, 255, (9, 9)).astype(np.float32))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 255).astype(np.uint8)


def _png(codes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, "PNG")
    return buffer.getvalue()


def _tables() -> dict[str, pd.DataFrame]:
    """Three parts of three-image regions, each a month after the one before."""
    tables, made = {}, 0
    for month, (part, rows) in enumerate(PARTS.items()):
        number = np.arange(made, made + rows)
        tables[part] = pd.DataFrame(
            {
                "picture": [{"bytes": _png(_scene(i)), "path": None} for i in number],
                "AR": [f"ar{i // 3}" for i in number],
                "class": np.where(number // 3 % 2, "beta", "alpha"),
                "when": pd.Timestamp("2011-01-01") + pd.to_timedelta(60 * month + np.arange(rows), unit="D"),
            }
        )
        made += rows
    return tables


def _parquet(folder, tables):
    folder.mkdir(exist_ok=True)
    for part, table in tables.items():
        table.to_parquet(folder / f"{part}-00000-of-00001.parquet")
    return str(folder)


ALL = DatasetColumns(group="AR", label="class", time="when", image="picture")


def _audit(where, columns=ALL):
    return audit_foreign(str(where), columns, progress=False)


def test_a_clean_split_is_clean_and_described(tmp_path):
    found = _audit(_parquet(tmp_path / "data", _tables()))
    assert found.leaks == ()
    assert found.facts["clean"] is True
    assert found.facts["leaks"] == {"groups": 0, "identical_images": 0, "near_duplicates": 0}
    assert {name: part["rows"] for name, part in found.facts["parts"].items()} == PARTS
    assert found.facts["parts"]["train"]["groups"] == 8
    assert found.facts["parts"]["train"]["rows_by_class"] == {"alpha": 12, "beta": 12}
    assert found.facts["parts"]["test"]["first"].startswith("2011-05-01")
    assert "test begins 52.0 days after validation ends" in found.notes
    assert "date" in found.facts["shortcuts"]


def test_groups_in_two_parts_leak_with_counts_and_examples(tmp_path):
    tables = _tables()
    tables["test"].loc[:3, "AR"] = ["ar0", "ar0", "ar1", "ar1"]
    (leak,) = _audit(_parquet(tmp_path / "data", tables)).leaks
    assert str(leak).startswith(
        "leak: 2 of 13 groups lie in two parts, 10 rows: ar0 in test and train, ar1 in test and train"
    )


def test_identical_images_leak_and_are_not_counted_as_near_duplicates(tmp_path):
    tables = _tables()
    tables["test"].at[4, "picture"] = tables["train"].at[7, "picture"]
    found = _audit(_parquet(tmp_path / "data", tables))
    assert found.facts["leaks"] == {"groups": 0, "identical_images": 1, "near_duplicates": 0}
    assert "train row 7 and test row 4" in str(found.leaks[0])


def test_a_recompressed_image_is_a_near_duplicate(tmp_path):
    tables = _tables()
    buffer = io.BytesIO()
    Image.fromarray(_scene(5)).save(buffer, "JPEG", quality=80)
    tables["validation"].at[2, "picture"] = {"bytes": buffer.getvalue(), "path": None}
    found = _audit(_parquet(tmp_path / "data", tables))
    assert found.facts["leaks"] == {"groups": 0, "identical_images": 0, "near_duplicates": 1}
    assert "train row 5 and validation row 2" in str(found.leaks[0])


def test_round_spots_of_different_regions_are_no_near_duplicates(tmp_path):
    """One dark spot in the middle of a quiet disc: to the hash alone they are all the same."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    tables = _tables()

    def spot(size, depth):
        return (160 - depth * np.exp(-(x**2 + y**2) / size)).clip(0, 255).astype(np.uint8)

    one, other = spot(0.005, 90), spot(0.02, 60)
    rows = pd.DataFrame({"perceptual_hash": [perceptual_hash(one), perceptual_hash(other)]})
    assert any(len(i) for i, _ in near_duplicates(rows, 4)(np.array([0]), np.array([1])))
    tables["train"].at[0, "picture"] = {"bytes": _png(one), "path": None}
    tables["test"].at[0, "picture"] = {"bytes": _png(other), "path": None}
    assert _audit(_parquet(tmp_path / "data", tables)).leaks == ()


def _random_by_image(seed):
    table = pd.concat(_tables().values(), ignore_index=True)
    part = np.random.default_rng(seed).permutation(np.repeat(list(PARTS), list(PARTS.values())))
    return {name: table[part == name] for name in PARTS}, what_crosses_by_group(table, part)


def what_crosses_by_group(table, part) -> int:
    return int((pd.Series(part).groupby(table["AR"].to_numpy()).nunique() > 1).sum())


@pytest.mark.parametrize("seed", range(12))
def test_a_split_at_random_by_image_is_always_caught(tmp_path, seed):
    tables, crossing = _random_by_image(seed)
    found = _audit(_parquet(tmp_path / "data", tables), DatasetColumns("AR"))
    assert crossing > 0
    assert found.facts["leaks"]["groups"] == crossing
    assert found.leaks


def test_parts_that_run_through_the_same_time_are_noted(tmp_path):
    tables = _tables()
    tables["validation"]["when"] = tables["train"]["when"].iloc[:9].to_numpy()
    found = _audit(_parquet(tmp_path / "data", tables))
    assert "train and validation overlap in time, so skill at a later time is not tested" in found.notes
    assert any(note.startswith("9 times of observation occur in more than one part") for note in found.notes)
    assert not found.leaks


def test_every_kind_of_folder_gives_the_same_answer(tmp_path):
    tables = _tables()
    parquet = _audit(_parquet(tmp_path / "parquet", tables))
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "AR": datasets.Value("string"),
            "class": datasets.ClassLabel(names=["alpha", "beta"]),
            "when": datasets.Value("timestamp[us]"),
        }
    )
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(table.to_dict("list"), features=features) for name, table in tables.items()}
    ).save_to_disk(str(tmp_path / "saved"))
    whole = pd.concat([table.assign(split=name) for name, table in tables.items()])
    whole.to_parquet(tmp_path / "one.parquet")
    for part, table in tables.items():
        folder = tmp_path / "images" / part
        folder.mkdir(parents=True)
        for i, row in enumerate(table.itertuples()):
            (folder / f"{i:03d}.png").write_bytes(row.picture["bytes"])
        names = [f"{i:03d}.png" for i in range(len(table))]
        table.drop(columns="picture").assign(file_name=names).to_csv(folder / "metadata.csv", index=False)
    for where, columns in (
        ("saved", ALL),
        ("one.parquet", ALL),
        ("images", DatasetColumns("AR", "class", "when")),
        ("images", DatasetColumns("AR", "class", "when", "image")),
    ):
        found = _audit(tmp_path / where, columns)
        assert found.facts["parts"] == parquet.facts["parts"], where
        assert found.facts["leaks"] == parquet.facts["leaks"], where
        assert found.facts["shortcuts"] == parquet.facts["shortcuts"], where


def test_our_own_corpus_is_clean(simulated, tmp_path):
    from sdovis import study as studies
    from sdovis.corpus import build
    from studies import STUDY

    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "data").symlink_to(simulated)
    study = studies.load(tmp_path / "study.toml")
    corpus = build.build(study, tmp_path / "corpus", build.read_rows(study), progress=False)
    found = _audit(corpus.folder, DatasetColumns("group", "label", "observed"))
    assert found.leaks == ()
    assert found.facts["classes"] == ["alpha", "beta", "complex"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (DatasetColumns("ar"), "--group 'ar': there is no such column; did you mean 'AR'?"),
        (DatasetColumns("AR", "clas"), "--label 'clas': there is no such column; did you mean 'class'?"),
        (DatasetColumns("AR", time="class"), "column 'class': time 'alpha' cannot be read (2 such rows)"),
        (DatasetColumns("AR", image="class"), "an image cannot be read"),
    ],
)
def test_columns_that_are_not_what_they_should_be_are_refused(tmp_path, columns, message):
    where = _parquet(tmp_path / "data", _tables())
    with pytest.raises(BadInput) as caught:
        _audit(where, columns)
    assert message in str(caught.value)


def test_a_dataset_of_one_part_is_refused(tmp_path):
    with pytest.raises(BadInput, match="only one part"):
        _audit(_parquet(tmp_path / "data", {"train": _tables()["train"]}))


@pytest.mark.parametrize("name", ["nothing", "empty", "text.txt"])
def test_what_is_no_dataset_is_refused(tmp_path, name, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((BadInput, HubFailure)):
        _audit(tmp_path / name)


def test_a_damaged_image_is_named_and_a_bomb_is_not_opened(tmp_path, monkeypatch):
    tables = _tables()
    tables["train"].at[3, "picture"] = {"bytes": _png(_scene(0))[:60], "path": None}
    with pytest.raises(BadInput, match="row 3: an image cannot be read"):
        _audit(_parquet(tmp_path / "data", tables))
    bomb = io.BytesIO()
    Image.new("1", (20000, 20000)).save(bomb, "PNG")
    tables["train"].at[3, "picture"] = {"bytes": bomb.getvalue(), "path": None}
    with pytest.raises(BadInput, match=r"row 3: .*exceeds limit"):
        _audit(_parquet(tmp_path / "data", tables))
    monkeypatch.setattr(foreign, "MAX_PIXELS", 2000)
    with pytest.raises(BadInput, match=r"row 0: .*48 x 48 px are too many"):
        _audit(_parquet(tmp_path / "data", tables))


def test_rows_without_a_group_are_counted(tmp_path):
    tables = _tables()
    tables["test"].loc[:1, "AR"] = None
    found = _audit(_parquet(tmp_path / "data", tables))
    assert "2 rows have no group, so whether they leak is unknown" in found.notes
    assert found.facts["parts"]["test"]["groups"] == 3


@pytest.mark.parametrize("path", ["../outside.png", "{}/outside.png", "http://127.0.0.1:9/x.png"])
def test_a_file_outside_of_the_dataset_is_not_opened(tmp_path, path):
    (tmp_path / "outside.png").write_bytes(_png(_scene(0)))
    tables = _tables()
    tables["train"].at[3, "picture"] = {"bytes": None, "path": path.format(tmp_path)}
    with pytest.raises(BadInput, match="row 3: an image cannot be read"):
        _audit(_parquet(tmp_path / "data", tables))


def test_images_beside_their_table_are_read(tmp_path):
    whole = pd.concat([table.assign(split=name) for name, table in _tables().items()], ignore_index=True)
    whole.at[30, "picture"] = whole.at[2, "picture"]
    whole.to_parquet(tmp_path / "inside.parquet")
    (tmp_path / "pictures").mkdir()
    for i, picture in enumerate(whole["picture"]):
        (tmp_path / "pictures" / f"{i}.png").write_bytes(picture["bytes"])
    whole["picture"] = [f"pictures/{i}.png" for i in range(len(whole))]
    whole.to_parquet(tmp_path / "beside.parquet")
    inside, beside = (_audit(tmp_path / f"{name}.parquet").facts["leaks"] for name in ("inside", "beside"))
    assert inside == beside == {"groups": 0, "identical_images": 1, "near_duplicates": 0}


def test_the_verb_exits_with_0_when_clean_and_2_with_a_line_for_each_kind_when_not(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = _parquet(tmp_path / "data", _tables())
    options = ["--group", "AR", "--label", "class", "--time", "when"]
    before = sorted(tmp_path.iterdir())
    assert run_command(["audit", where, *options, "--image", "picture"]) == 0
    shown = capsys.readouterr().out
    assert "validation" in shown and "clean" in shown
    tables = _tables()
    tables["test"].loc[:1, "AR"] = "ar0"
    tables["test"].at[4, "picture"] = tables["train"].at[7, "picture"]
    where = _parquet(tmp_path / "data", tables)
    assert run_command(["audit", where, *options, "--image", "picture"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 2
    assert errors[0].startswith("error: leak: 1 of 14 groups")
    assert errors[1].startswith("error: leak: 1 identical images")
    assert sorted(tmp_path.iterdir()) == before
    assert run_command(["audit", where, *options, "--json", "found.json"]) == 2
    saved = json.loads((tmp_path / "found.json").read_text())
    assert saved["clean"] is False
    assert saved["leaks"]["groups"] == 1


def test_nothing_is_copied_to_a_cache_and_no_network_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    _audit(_parquet(tmp_path / "data", _tables()))
    assert not list((tmp_path / "cache").rglob("*.arrow"))


# --- CSV, FITS, and regions however they are written ----------------------------------------------------------------


def _csv(folder, **parts: str) -> str:
    folder.mkdir(exist_ok=True)
    for part, text in parts.items():
        (folder / f"{part}.csv").write_text(text, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    "spelled", ["11158.0", "AR 11158", "NOAA-1158", '"11160, 11158"', "1.1158E4", "#11158", "１１１５８"]
)
def test_a_region_spelled_in_two_ways_in_two_parts_leaks(tmp_path, spelled):
    where = _csv(
        tmp_path / "data", train="noaa_ar,label\n11158,alpha\n11170,beta\n", test=f"noaa_ar,label\n{spelled},beta\n"
    )
    (leak,) = _audit(where, DatasetColumns("noaa_ar", "label")).leaks
    assert "11158 in test and train (written '" in str(leak)
    assert "1 of" in str(leak) and "2 rows" in str(leak)


def test_numbers_of_another_column_stay_what_they_are(tmp_path):
    where = _csv(tmp_path / "data", train="patient\n1158\n012192\n", test="patient\n11158\n12192\n")
    assert _audit(where, DatasetColumns("patient")).leaks == ()


def test_cells_that_name_no_region_are_counted_and_strange_ones_shown(tmp_path):
    where = _csv(tmp_path / "data", train="noaa_ar\n11158\n0\n-\n", test="noaa_ar\n11160a\n11162\nnan\n")
    found = _audit(where, DatasetColumns("noaa_ar"))
    assert "3 rows have no group, so whether they leak is unknown" in found.notes
    assert "1 spellings of noaa_ar are no region numbers: '11160a'" in found.notes


def test_one_csv_file_with_a_column_of_parts_is_audited(tmp_path):
    file = tmp_path / "all.csv"
    file.write_text("noaa_ar,split\n11158,train\nAR11158,test\n")
    assert _audit(file, DatasetColumns("noaa_ar")).facts["leaks"] == {"groups": 1}


@pytest.mark.parametrize(
    "text", ["noaa_ar;label\n{};alpha\n", "noaa_ar\tlabel\n{}\talpha\n", "\ufeffnoaa_ar,label\n{},alpha\n"]
)
def test_csv_files_of_other_programs_are_read(tmp_path, text):
    where = _csv(tmp_path / "data", train=text.format(11158), test=text.format("AR 11158"))
    assert _audit(where, DatasetColumns("noaa_ar", "label")).facts["leaks"] == {"groups": 1}


def test_files_that_datasets_passes_over_are_named(tmp_path):
    where = _fits_folder(tmp_path / "data", {"train": [0, 1], "test": [2, 3]})
    (tmp_path / "data" / "test" / "4.fts").write_bytes((tmp_path / "data" / "test" / "2.fits").read_bytes())
    notes = _audit(where, DatasetColumns("noaa_ar")).notes
    assert "1 files were not opened, as datasets does not know them: 4.fts" in notes


def test_a_csv_file_with_more_cells_than_headings_is_not_shifted(tmp_path):
    where = _csv(tmp_path / "data", train="noaa_ar,label\n11158,alpha,\n", test="noaa_ar,label\n11158,beta,\n")
    with pytest.raises(BadInput, match="has rows of more cells than headings"):
        _audit(where, DatasetColumns("noaa_ar"))


@pytest.mark.parametrize("last", ['11158,"alpha', "11158,alpha,beta,gamma"])
def test_a_csv_file_that_breaks_off_is_told_in_words(tmp_path, last):
    broken = "noaa_ar,label\n" + "11158,alpha\n" * 12000 + last + "\n"
    with pytest.raises(BadInput) as caught:
        _audit(_csv(tmp_path / "data", train=broken, test="noaa_ar,label\n11160,beta\n"), DatasetColumns("noaa_ar"))
    assert "a row cannot be read" in str(caught.value) and "0x" not in str(caught.value)


def _fits_folder(folder, pictures, suffix=".fits") -> str:
    """An image folder of FITS files: part -> the seeds of its scenes, one region each."""
    import gzip

    from astropy.io import fits

    for part, seeds in pictures.items():
        path = folder / part
        path.mkdir(parents=True)
        for seed in seeds:
            buffer = io.BytesIO()
            fits.PrimaryHDU(_scene(seed).astype(np.float32) * 10 - 1000).writeto(buffer)
            data = buffer.getvalue()
            (path / f"{seed}{suffix}").write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
        lines = [f"{seed}{suffix},{11158 + seed}" for seed in seeds]
        (path / "metadata.csv").write_text("\n".join(["file_name,noaa_ar", *lines, ""]))
    return str(folder)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_an_image_folder_of_fits_is_read(tmp_path, suffix):
    where = _fits_folder(tmp_path / "data", {"train": [0, 1, 2, 3], "test": [4, 5]}, suffix)
    (path,) = (tmp_path / "data" / "test").glob(f"5{suffix}")
    path.write_bytes((tmp_path / "data" / "train" / f"2{suffix}").read_bytes())
    found = _audit(where, DatasetColumns("noaa_ar"))
    assert found.facts["leaks"] == {"groups": 0, "identical_images": 1, "near_duplicates": 0}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello", "it is not FITS, JPEG2000, PNG, JPEG, TIFF, WEBP, GIF or BMP"),
        (b"SIMPLE  =                    T", "an image cannot be read"),
        (b"\x1f\x8bnothing", "an image cannot be read"),
        (b"", "an image cannot be read"),
    ],
)
def test_what_is_no_image_is_told_in_words(tmp_path, data, why):
    where = _fits_folder(tmp_path / "data", {"train": [0, 1], "test": [2]})
    (tmp_path / "data" / "test" / "2.fits").write_bytes(data)
    with pytest.raises(BadInput) as caught:
        _audit(where, DatasetColumns("noaa_ar"))
    assert why in str(caught.value) and "0x" not in str(caught.value) and "/tmp/tmp" not in str(caught.value)


@pytest.mark.parametrize("spelled", ["11158*", '"11,158"', "11158 (1)", "11158a", "AR 11158?", "11158-11162"])
def test_a_spelling_that_cannot_be_read_counts_as_the_regions_in_it(tmp_path, spelled):
    where = _csv(tmp_path / "data", train="noaa_ar,label\n11158,a\n11170,b\n", test=f"noaa_ar,label\n{spelled},b\n")
    found = _audit(where, DatasetColumns("noaa_ar", "label"))
    assert found.facts["leaks"]["groups"] == 1
    assert any("are no region numbers" in note for note in found.notes)


@pytest.mark.parametrize(
    ("column", "spelled"),
    [("HARPNUM", "377.0"), ("harp", "HARP 377"), ("sharp", "00377"), ("cluster", "377.0"), ("id", "377,00")],
)
def test_one_number_in_two_spellings_is_one_group(tmp_path, column, spelled):
    where = _csv(tmp_path / "data", train=f"{column};a\n377;1\n378;1\n", test=f"{column};a\n{spelled};1\n")
    assert _audit(where, DatasetColumns(column)).facts["leaks"] == {"groups": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noaa_ar,split\n11158,train\n11158,\n11162,test\n", "1 rows name no part"),
        ("noaa_ar,noaa_ar,split\n11158,1,train\n11162,1,test\n", "the heading 'noaa_ar' occurs twice"),
    ],
)
def test_what_a_table_leaves_open_is_refused(tmp_path, text, message):
    (tmp_path / "all.csv").write_text(text)
    with pytest.raises(BadInput, match=message):
        _audit(tmp_path / "all.csv", DatasetColumns("noaa_ar"))


def test_a_part_is_the_same_with_spaces_around_its_name(tmp_path):
    (tmp_path / "all.csv").write_text("noaa_ar,split\n11158,train\n11158, train\n11162,test\n")
    assert _audit(tmp_path / "all.csv", DatasetColumns("noaa_ar")).facts["clean"]


def test_plain_text_and_parts_of_other_columns_are_told_in_words(tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}.txt").write_text("noaa_ar,label\n11158,alpha\n")
    with pytest.raises(BadInput, match="holds plain text, not a table; save it as CSV"):
        _audit(tmp_path, DatasetColumns("noaa_ar"))
    where = _csv(tmp_path / "data", train="noaa_ar\n11158\n", test="NOAA\n11158\n")
    with pytest.raises(BadInput, match='a row cannot be read: Field "NOAA" does not exist'):
        _audit(where, DatasetColumns("noaa_ar"))


def test_names_of_groups_in_bytes_are_text(tmp_path):
    for part, name in (("train", b"11158"), ("test", b"AR 11158")):
        pd.DataFrame({"noaa_ar": [name]}).to_parquet(tmp_path / f"{part}-0.parquet")
    assert _audit(tmp_path, DatasetColumns("noaa_ar")).facts["leaks"] == {"groups": 1}
