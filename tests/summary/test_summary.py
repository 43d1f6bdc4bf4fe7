import dataclasses

import crafted
import numpy as np
import openpyxl
import pytest
from PIL import Image
from sdovis import manifests, summary
from sdovis.errors import BadInput
from sdovis.summary.pictures import slug, spans
from sdovis.summary.quantities import Quantity

HOSTILE = "=1+1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A summary with everything in it: hostile names, an extra column with gaps, timings of two runs."""
    root = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(5)
    rows = [
        r | {"=Area $1$": [np.nan, 5.0, 900.0][i % 3] * r["label"] or np.nan}
        for i, r in enumerate(crafted.three_classes())
    ]
    classes = {HOSTILE: "=2+2", "_beta": "A class.", "$c$ \\alpha_{": "A class."}
    built = crafted.corpus(rows, classes=classes)
    seconds = {f"i{i}": float(t) for i, t in enumerate(np.exp(rng.normal(-4, 0.3, 12)))}
    slower = {name: 1.2 * t for name, t in seconds.items()}
    folders = {n: crafted.scores_folder(root / n.strip("=$"), s) for n, s in (("=a", seconds), ("b$", slower))}
    steps = crafted.training_folder(root / "t", "".join(f"1,{i},{0.1 + i / 1000}\n" for i in range(20)))
    timed = summary.timings(folders, training_folders={"=a": steps})
    done = summary.summarise(crafted.study(), built, root / "summary", timed)
    return done, built, timed


def test_a_summary_is_written_whole_and_read_back(made):
    done, _, _ = made
    assert summary.Summary.load(done.folder).facts == done.facts
    with pytest.raises(dataclasses.FrozenInstanceError):
        done.facts = {}


def test_a_summary_changed_afterwards_is_refused(made, tmp_path):
    import shutil

    shutil.copytree(made[0].folder, tmp_path / "copy")
    (tmp_path / "copy" / "summary.json").write_text("{}")
    with pytest.raises(BadInput, match="changed since it was made"):
        summary.Summary.load(tmp_path / "copy")


def test_it_need_not_be_made_again_until_corpus_timings_or_level_change(made):
    done, built, timed = made
    assert manifests.finished(done.folder, summary.made_from(crafted.study(), built, timed))
    assert not manifests.finished(done.folder, summary.made_from(crafted.study(), built))
    assert not manifests.finished(done.folder, summary.made_from(crafted.study(confidence=0.9), built, timed))
    other = dataclasses.replace(built, manifest=dataclasses.replace(built.manifest, files={"data": "other"}))
    assert not manifests.finished(done.folder, summary.made_from(crafted.study(), other, timed))


def test_the_json_holds_null_and_never_nan(made):
    facts = crafted.strict_json(made[0].folder / "summary.json")
    alpha = next(r for r in facts["describe"] if r["quantity"] == "=Area $1$" and r["class"] == HOSTILE)
    assert (alpha["n"], alpha["mean"]) == (0, None)


def test_every_test_has_the_same_columns_and_names_a_declared_family(made):
    facts = made[0].facts
    assert {tuple(row) for row in facts["tests"]} == {tuple(facts["tests"][0])}
    counted = {name: sum(row["family"] == name for row in facts["tests"]) for name in facts["families"]}
    assert counted == {name: entry["tests"] for name, entry in facts["families"].items()}
    assert set(counted) == {"classes", "pairs of classes", "first and last", "latency"}


def test_every_figure_named_is_there_and_not_blank(made):
    done = made[0]
    files = {path.relative_to(done.folder).as_posix() for path in done.folder.glob("figures/*.png")}
    assert {entry["file"] for entry in done.facts["figures"]} == files
    wanted = (
        "class_balance cutouts butterfly positions histogram_brightness box_brightness brightness_by_longitude".split()
    )
    wanted += "histogram_area_1 box_area_1 area_1_by_longitude latency latency_1_2 step_time".split()
    assert {f"figures/{name}.png" for name in wanted} <= files
    for name in files:
        with Image.open(done.folder / name) as picture:
            grey = np.asarray(picture.convert("L"))
        assert 0.002 < (grey < 200).mean() < 0.99, name


def _rounded(row):
    """Excel keeps 15 to 16 digits, and no empty text."""
    known = {key: None if value == "" else value for key, value in row.items()}
    return {key: float(f"{value:.13g}") if isinstance(value, float) else value for key, value in known.items()}


def test_the_workbook_holds_what_the_json_holds_and_no_formula(made):
    done = made[0]
    book = openpyxl.load_workbook(done.folder / "summary.xlsx")
    assert book.sheetnames == ["README", "Counts", "Describe", "Tests", "Timings"]
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert not [cell for cell in cells if cell.data_type in "fe"]
    assert [cell for cell in cells if cell.value == HOSTILE]
    for title, key in (("Counts", "counts"), ("Tests", "tests"), ("Timings", "timings")):
        heading, *lines = book[title].iter_rows(values_only=True)
        rows = [dict(zip(heading, line, strict=True)) for line in lines]
        assert [_rounded(row) for row in rows] == [_rounded(row) for row in done.facts[key]]
    readme = {line[0]: line[1] for line in book["README"].iter_rows(values_only=True)}
    assert readme["Study"] == "crafted: =1+1"
    assert readme[f"Class: {HOSTILE}"] == "=2+2"


def _bare(folder):
    """A summary of six images of two classes, without positions or numbers of regions, all for training."""
    bare = {"latitude_deg": None, "longitude_deg": None, "noaa_ar": None}
    rows = [crafted.row(f"frame-{i}", i % 2, i, 60 + 7 * i, **bare) for i in range(6)]
    return summary.summarise(crafted.study(), crafted.corpus(rows, classes={"quiet": "", "spotted": ""}), folder)


def test_the_same_corpus_gives_the_same_bytes(tmp_path):
    first, second = (manifests.read(_bare(tmp_path / name).folder, made_by="describe") for name in ("one", "two"))
    assert first == second


def test_a_corpus_without_positions_or_full_parts_is_still_described(tmp_path):
    done = _bare(tmp_path / "summary")
    names = {entry["file"] for entry in done.facts["figures"]}
    assert "figures/butterfly.png" not in names
    assert "figures/box_brightness.png" in names
    assert done.facts["imbalance"] == {"train": 1.0, "validation": None, "test": None, "all": 1.0}


def test_nothing_is_left_behind_when_it_fails(tmp_path):
    built = crafted.corpus([crafted.row("ar11001", 0, 0)], channel="aia-211-browse")
    view = built.facts.view
    without = tuple(dataclasses.replace(channel, colormap="none") for channel in view.channels)
    facts = dataclasses.replace(built.facts, view=dataclasses.replace(view, channels=without))
    broken = dataclasses.replace(built, facts=facts)
    with pytest.raises(ValueError, match="none"):
        summary.summarise(crafted.study(), broken, tmp_path / "summary")
    assert list(tmp_path.iterdir()) == []


def test_file_names_of_quantities_are_plain_and_apart():
    quantities = [Quantity(name, name, "", "") for name in ("Area (MSH)", "area msh", "../etc", "面積", "brightness")]
    found = [slug(quantity.name, quantities) for quantity in quantities]
    assert found == ["area_msh_0", "area_msh_1", "etc", "3", "brightness"]


def test_only_positive_values_over_two_decades_get_a_logarithmic_axis():
    import pandas as pd

    assert [spans(pd.Series(v)) for v in ([1.0, 100.0], [1.0, 99.0], [0.0, 1e9], [np.nan, np.nan])] == [
        True,
        *[False] * 3,
    ]


def test_rows_that_name_no_region_are_counted_in_the_summary_and_its_workbook(made, tmp_path):
    done, built, _ = made
    assert done.facts["regions"]["rows_without"] == 0
    facts = dataclasses.replace(built.facts, rows_without_region=4)
    again = summary.summarise(crafted.study(), dataclasses.replace(built, facts=facts), tmp_path / "summary")
    assert again.facts["regions"]["rows_without"] == 4
    cells = [cell.value for row in openpyxl.load_workbook(again.folder / "summary.xlsx").worksheets[0] for cell in row]
    assert any(str(cell).startswith("4 of ") and "name no region" in str(cell) for cell in cells)
