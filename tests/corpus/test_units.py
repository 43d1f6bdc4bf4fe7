"""Rows of one region are one unit, however they name it; rows that name none are counted and not split unseen."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis import study as studies
from sdovis.cli import run_command
from sdovis.corpus.units import groups, lacking, named_units, unit
from sdovis.labels import schemes

UNITS = st.lists(
    st.builds(
        unit,
        st.lists(st.integers(11000, 11006), max_size=2, unique=True),
        st.one_of(st.none(), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=12,
)


def test_a_region_a_harp_and_a_frame_are_units():
    assert groups(["ar11158 harp377", "harp394", ""], ["a", "b", "c"]).tolist() == ["ar11158", "harp394", "frame-c"]


def test_a_harp_before_its_region_was_numbered_is_that_region():
    assert groups(["harp377", "ar11158 harp377", "ar11160 harp394"], list("abc")).tolist() == [
        "ar11158",
        "ar11158",
        "ar11160",
    ]


def test_a_row_of_two_regions_makes_them_one_unit():
    found = groups(["ar11158", "ar11162 ar11158", "ar11162", "ar11160"], list("abcd")).tolist()
    assert found == ["ar11158", "ar11158", "ar11158", "ar11160"]


def test_regions_of_one_harp_stay_apart_where_every_row_names_its_own():
    assert groups(["ar11158 harp377", "ar11162 harp377"], ["a", "b"]).tolist() == ["ar11158", "ar11162"]
    assert set(groups(["ar11158 harp377", "ar11162 harp377", "harp377"], list("abc"))) == {"ar11158"}


@given(UNITS, st.randoms())
def test_rows_that_may_show_one_region_are_one_unit_whatever_their_order(units, random):
    frames = [f"f{i}" for i in range(len(units))]
    found = groups(units, frames)
    named = [set(text.split()) for text in units]
    for i, j in itertools.combinations(range(len(units)), 2):
        shared = named[i] & named[j]
        same = any(key.startswith("ar") for key in shared) or (shared and {1} & {len(named[i]), len(named[j])})
        assert not same or found[i] == found[j]
    order = list(range(len(units)))
    random.shuffle(order)
    again = groups([units[i] for i in order], [frames[i] for i in order])
    assert again.tolist() == [found[i] for i in order]


def test_the_quiet_sun_lacks_no_region():
    rows = pd.DataFrame({"group": ["frame-a", "frame-a", "ar11158"], "label": ["quiet", "plage", "spotted"]})
    assert lacking(rows, schemes.scheme("activity")).tolist() == [False, True, False]
    own = schemes.column(["Quiet Sun", "filament", "spot"], ())
    rows = pd.DataFrame({"group": ["frame-a"] * 3, "label": ["Quiet Sun", "filament", "spot"]})
    assert lacking(rows, own).tolist() == [False, False, True]


def test_a_column_of_regions_is_told_by_its_heading_or_by_a_cell():
    cells = ["11158", "AR 1158", "11158.0", "-", "frame-a"]
    assert named_units(cells, "noaa_ar") == named_units(cells, "group") == [*[("11158",)] * 3, (), ("frame-a",)]
    assert named_units(["1158", "11158", "0"], "patient") == [("1158",), ("11158",), ("0",)]


# --- through the stages ------------------------------------------------------------------------------------------------


def _change(study, change) -> None:
    """Edit the study's table, which is written as CSV."""
    found = studies.load(study)
    table = pd.read_excel(found.source.root / found.source.workbook)
    change(table)
    table.to_csv(study.parent / "data" / "rows.csv", index=False)
    study.write_text(study.read_text().replace("SDO_Simulated_Active_Regions.xlsx", "rows.csv"))


def _without_headers(study) -> None:
    """Take the region and the HARP out of the images' headers."""
    from astropy.io import fits

    for path in (study.parent / "data" / "images").iterdir():
        for hdu, key in itertools.product((0, 1), ("NOAA_AR", "NOAA_ARS", "HARPNUM")):
            with fits.open(path, mode="update") as file:
                if hdu < len(file) and key in file[hdu].header:
                    del file[hdu].header[key]


def _blank(share):
    def change(table) -> None:
        table["NOAA AR"] = table["NOAA AR"].astype(object)
        table.loc[np.arange(len(table)) % 100 < 100 * share, "NOAA AR"] = None

    return change


def _said(capfd, *command: str) -> tuple[int, str, list[str]]:
    code = run_command(list(command))
    said = capfd.readouterr()
    return code, said.out, [line for line in said.err.splitlines() if line.startswith("error:")]


def test_rows_without_a_region_have_that_of_the_header(small_study, capfd):
    _change(small_study, _blank(0.5))
    code, out, _ = _said(capfd, "prepare", str(small_study))
    assert code == 0 and "no region" not in out
    rows = pd.concat(map(pd.read_parquet, (small_study.parent / "runs/small/corpus/data").iterdir()))
    assert (rows["image_file"].str.extract(r"hmi_m_(\d+)_")[0].astype(int) == rows["noaa_ar"]).all()
    assert (rows["group"] == "ar" + rows["noaa_ar"].astype(str)).all()


def test_rows_without_any_region_are_counted_aloud(small_study, capfd):
    import json

    _without_headers(small_study)
    _change(small_study, _blank(0.5))
    code, out, _ = _said(capfd, "check", str(small_study))
    assert code == 0 and "rows name no region, so it is not known whether a region they show lies in two parts" in out
    code, out, _ = _said(capfd, "prepare", str(small_study))
    counted = json.loads((small_study.parent / "runs/small/corpus/corpus.json").read_text())["rows_without_region"]
    assert code == 0 and f"{counted} of " in out and counted > 0


@pytest.mark.parametrize("split", [["split.method=grouped"], ["split.method=kfold"], ["split.gap_days=13"]])
def test_a_split_by_region_of_rows_that_name_none_is_refused_unless_the_study_says_so(small_study, capfd, split):
    _without_headers(small_study)
    _change(small_study, _blank(0.2))
    sets = [part for entry in split for part in ("--set", entry)]
    code, _, (line,) = _said(capfd, "check", str(small_study), *sets)
    assert code == 2
    assert "rows name no region" in line and "split.allow_missing_regions = true" in line
    code, out, _ = _said(capfd, "check", str(small_study), *sets, "--set", "split.allow_missing_regions=true")
    assert code == 0 and "name no region" in out


def test_a_tenth_of_the_rows_may_lack_a_region(small_study, capfd):
    _without_headers(small_study)
    _change(small_study, _blank(0.05))
    code, out, _ = _said(capfd, "check", str(small_study), "--set", "split.method=grouped")
    assert code == 0 and "name no region" in out


@pytest.mark.parametrize(
    ("heading", "spell"),
    [("NOAA AR", str), ("Active region", "AR {}".format), ("Sunspot group", "NOAA {}".format), ("Number", str)],
)
def test_a_column_of_regions_that_nobody_mapped_is_told(small_study, capfd, heading, spell):
    def change(table) -> None:
        table[heading] = [spell(number) for number in table.pop("NOAA AR")]

    _change(small_study, change)
    small_study.write_text(small_study.read_text().replace('noaa_ar = "NOAA AR"\n', ""))
    code, _, (line,) = _said(capfd, "check", str(small_study))
    assert code == 2
    assert f"column {heading!r}: holds region numbers" in line and f"set source.columns.noaa_ar = {heading!r}" in line
    assert _said(capfd, "check", str(small_study), "--set", "split.allow_missing_regions=true")[0] == 0


def test_a_sheet_whose_column_has_another_heading_is_told(small_study, capfd):
    from openpyxl import load_workbook

    file = small_study.parent / "data" / "SDO_Simulated_Active_Regions.xlsx"
    book = load_workbook(file)
    other = book.copy_worksheet(book["Active regions"])
    other.title = "More"
    for cell in other[1]:
        cell.value = {"NOAA AR": "Active region number"}.get(cell.value, cell.value)
    book.save(file)
    code, _, (line,) = _said(capfd, "check", str(small_study), "--set", 'source.sheets=["Active regions", "More"]')
    assert code == 2
    assert "sheet 'More', column 'Active region number': holds region numbers" in line
    assert "rename it 'NOAA AR', as in the other sheets" in line


def test_other_numbers_are_not_taken_for_regions(small_study, capfd):
    def change(table) -> None:
        table["Frame"] = np.arange(11000, 11000 + len(table))
        table["Year"], table["NOAA AR"] = 2011, ""

    _change(small_study, change)
    small_study.write_text(small_study.read_text().replace('noaa_ar = "NOAA AR"\n', ""))
    assert _said(capfd, "check", str(small_study))[0] == 0
