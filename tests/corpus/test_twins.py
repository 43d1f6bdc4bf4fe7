import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdovis.cli import run_command
from sdovis.corpus.twins import twins

CELLS = st.one_of(st.text(min_size=1, max_size=9), st.integers(-9, 9))
CLASSES = np.array(["alpha", "beta", "beta-gamma"])


def _table(seed=0, regions=60, days=6, changing=True) -> pd.DataFrame:
    """Regions on following days; the class of each changes now and then."""
    rng = np.random.default_rng(seed)
    rows = []
    for region in range(regions):
        number = rng.integers(3)
        for day in range(days):
            number = rng.integers(3) if changing and rng.random() < 0.3 else number
            at = pd.Timestamp("2011-01-01", tz="UTC") + pd.Timedelta(days=int(region * 3 + day), hours=1)
            rows.append({"label": CLASSES[number], "group": f"NOAA {11000 + region}", "observed": at})
    table = pd.DataFrame(rows).sort_values("observed", kind="stable", ignore_index=True)
    return table.assign(split=np.where(np.arange(len(table)) < 0.7 * len(table), "train", "test"))


def _found(rows, **columns):
    return [(twin.column, twin.where) for twin in twins(rows, pd.DataFrame(columns))]


def _number(rows) -> np.ndarray:
    return rows["label"].map({name: i for i, name in enumerate(CLASSES)}).to_numpy()


def test_a_copy_of_the_label_is_found_however_it_is_written():
    rows = _table()
    number = _number(rows)
    assert _found(
        rows,
        copy=rows["label"],
        shouted=rows["label"].str.upper(),
        codes=number,
        letters=pd.Series(list("qzb"))[number].to_numpy(),
        negative=-1.5 * number,
        logarithm=np.exp(number) * 1e-8,
        huge=1e300 * number,
        as_text=[f"{n:03d}" for n in number],
    ) == [
        (n, "") for n in ("copy", "shouted", "codes", "letters", "negative", "logarithm", "huge", "as_text")
    ]  # fmt: skip


def test_a_quantity_that_the_label_was_cut_from_is_found():
    rows = _table()
    flux = 10.0 ** (_number(rows) - 8 + np.random.default_rng(1).uniform(0, 0.999, len(rows)))
    assert _found(rows, flux=flux, falling=-flux, written=[f"{value:.3e}" for value in flux]) == [
        ("flux", ""), ("falling", ""), ("written", ""),
    ]  # fmt: skip


def test_finer_classes_of_which_the_label_is_made_are_found():
    rows = _table()
    rng = np.random.default_rng(2)
    finer = [f"{name}{rng.integers(4)}" for name in rows["label"]]
    (twin,) = twins(rows, pd.DataFrame({"finer": finer}))
    assert not twin.one_to_one and "gives away the label of its own row, in every row (360)" in twin.sentence


def test_some_mistyped_cells_do_not_hide_a_copy():
    rows = _table()
    copy = rows["label"].to_numpy(object).copy()
    copy[::50] = "alpha"
    (twin,) = twins(rows, pd.DataFrame({"copy": copy}))
    assert 0.96 < twin.share < 1 and f"{100 * twin.share:.2f} % of the rows" in twin.sentence


def test_empty_cells_are_not_values():
    rows = _table()
    copy = rows["label"].to_numpy(object).copy()
    copy[::3] = None
    (twin,) = twins(rows, pd.DataFrame({"copy": copy}))
    assert twin.rows == 240 and twin.share == 1


@pytest.mark.parametrize(("step", "where"), [(1, "of the row before"), (-1, "of the row after")])
def test_the_label_of_a_row_away_is_found(step, where):
    rows = _table()
    # Only the table's order makes it a twin.
    rows = rows.sample(frac=1, random_state=3).sort_values("split", ascending=False, kind="stable", ignore_index=True)
    assert _found(rows, moved=rows["label"].shift(step)) == [("moved", where)]


@pytest.mark.parametrize(("days", "where"), [(1, "of the day before"), (-1, "of the day after")])
def test_the_label_of_a_day_away_is_found(days, where):
    rows = _table()
    assert _found(rows, moved=rows.groupby("group")["label"].shift(days)) == [("moved", where)]


def test_names_positions_and_numbers_of_regions_are_no_twins():
    rows = _table(changing=False)
    rng = np.random.default_rng(4)
    latitude = dict(zip(rows["group"].unique(), rng.uniform(-30, 30, 60), strict=True))
    assert not _found(
        rows,
        image=[f"hmi_{i:05d}.fits" for i in range(len(rows))],
        noaa=rows["group"],
        latitude=rows["group"].map(latitude),
        constant="SDO",
        row=range(len(rows)),
        prose=["It is a " + "very " * 30 + name for name in rows["label"]],
    )


def test_a_good_predictor_is_no_twin():
    rows = _table()
    rng = np.random.default_rng(5)
    area = _number(rows) + rng.normal(0, 0.7, len(rows))
    wrong = np.where(rng.random(len(rows)) < 0.1, "beta", rows["label"])
    assert not _found(rows, area=area, other_observer=wrong)


def test_a_series_without_regions_is_compared_with_itself_turned_about():
    # A full-disc index: one row an hour, and the year stands for the group.
    rng = np.random.default_rng(6)
    greatest = pd.Series(rng.lognormal(0, 1, 3000)).rolling(24, min_periods=1).max()
    rows = pd.DataFrame(
        {
            "label": np.where(greatest > greatest.median(), "1", "0"),
            "group": np.repeat(["2011", "2012", "2013"], 1000),
            "split": np.repeat(["train", "validation", "test"], 1000),
            "observed": pd.date_range("2011-01-01", periods=3000, freq="h", tz="UTC"),
        }
    )
    assert _found(rows, max_goes_class=greatest, hour=np.arange(3000) % 24, number=np.arange(3000)) == [
        ("max_goes_class", "")
    ]


def test_nothing_is_found_in_two_hundred_random_tables():
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = _table(seed, regions=int(rng.integers(20, 60)), days=int(rng.integers(1, 5)), changing=bool(seed % 2))
        count = len(rows)
        group = pd.factorize(rows["group"])[0]
        found += _found(
            rows,
            uniform=rng.uniform(size=count),
            letter=rng.choice(list("abc"), count),
            flag=rng.integers(2, size=count),
            identifier=rng.permutation(count),
            of_region=rng.normal(size=group.max() + 1)[group],
            class_of_region=rng.choice(list("abc"), group.max() + 1)[group],
            walk=rng.normal(size=count).cumsum(),
            rare=(rng.random(count) < 0.02).astype(int),
        )
    assert not found


@settings(max_examples=15, deadline=None)
@given(
    codes=st.lists(CELLS, min_size=3, max_size=3, unique_by=lambda cell: str(cell).strip().casefold()),
    seed=st.integers(0, 99),
)
def test_every_one_to_one_code_of_the_label_is_found(codes, seed):
    rows = _table(seed)
    if any(not str(code).strip() for code in codes):
        return  # an empty cell is no value
    coded = [codes[n] for n in _number(rows)]
    assert [twin.one_to_one for twin in twins(rows, pd.DataFrame({"coded": pd.Series(coded, dtype=object)}))] == [True]


def test_the_audit_of_a_table_names_the_column_that_gives_the_label_away(tmp_path, capsys):
    rows = _table()
    table = rows.assign(max_goes_class=np.exp(_number(rows)), noise=np.random.default_rng(7).normal(size=len(rows)))
    table["split"] = np.where(table["group"] < "NOAA 11040", "train", "test")
    table.to_parquet(tmp_path / "index.parquet")
    asked = ["--group", "group", "--label", "label", "--time", "observed"]
    report = tmp_path / "audit.json"
    assert run_command(["audit", str(tmp_path / "index.parquet"), *asked, "--json", str(report)]) == 0
    assert "the column 'max_goes_class' is the label of its own row, in every row (360)" in capsys.readouterr().out
    (twin,) = json.loads(report.read_text())["label_twins"]
    assert twin["column"] == "max_goes_class" and twin["one_to_one"]
