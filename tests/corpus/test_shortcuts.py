import json

import numpy as np
import pandas as pd
import pytest
from sdovis import records
from sdovis.corpus.shortcuts import sentence, shortcuts
from sdovis.statistics.bootstrap import Estimate

CLASSES = ["a", "b", "c"]


def _rows(regions=240, per_region=4, seed=0) -> pd.DataFrame:
    """Regions of three classes whose traits tell nothing of them."""
    rng = np.random.default_rng(seed)
    n = regions * per_region
    days = np.sort(rng.uniform(0, 1400, regions)).repeat(per_region) + np.tile(np.arange(per_region), regions)
    return pd.DataFrame(
        {
            "split": np.where(np.arange(n) < 0.6 * n, "train", np.where(np.arange(n) < 0.7 * n, "validation", "test")),
            "group": np.repeat([f"ar{i}" for i in range(regions)], per_region),
            "label": rng.choice(CLASSES, regions).repeat(per_region),
            "observed": pd.Timestamp("2011-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"),
            "latitude_deg": rng.uniform(-30, 30, regions).repeat(per_region),
            "longitude_deg": rng.uniform(-60, 60, n),
            "native_side_px": rng.uniform(90, 110, n),
            "missing_share": rng.uniform(0, 0.1, n),
            "masked_share": rng.uniform(0, 0.3, n),
            "mean_code": rng.uniform(100, 150, n),
        }
    )


def _number(rows):
    return rows["label"].map({"a": 0, "b": 1, "c": 2}).to_numpy()


PLANTED = {
    "cutout size": lambda rows: {"native_side_px": 100.0 + 4 * _number(rows)},
    "padding": lambda rows: {"missing_share": np.where(_number(rows) == 1, 0.0, 0.02 * _number(rows))},
    "masked neighbours": lambda rows: {"masked_share": 0.1 * _number(rows)},
    "position": lambda rows: {"longitude_deg": np.sign(rows["longitude_deg"]) * (10 + 20 * _number(rows))},
    "date": lambda rows: {
        "observed": rows["observed"].dt.year.map(lambda y: pd.Timestamp(year=y, month=1, day=1, tz="UTC"))
        + pd.to_timedelta(20 + 110 * _number(rows), unit="D")
    },
    "mean brightness": lambda rows: {"mean_code": np.where(_number(rows) == 0, 140.0, 100.0 + 20 * _number(rows))},
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_shortcut_is_found_and_the_others_stay_at_chance(name):
    rows = _rows()
    found = shortcuts(rows.assign(**PLANTED[name](rows)), CLASSES)
    assert set(found) == set(PLANTED)
    for other, of in found.items():
        score = of.balanced_accuracy
        assert of.chance == pytest.approx(1 / 3)
        if other == name:
            assert score.low > 0.6
            assert of.sentence.endswith("it tells something of the class")
        else:
            assert score.low < 1 / 3 < score.high or score.estimate < 0.45


def test_the_interval_is_by_group_and_not_by_image():
    rows = _rows(per_region=4)
    copied = pd.concat([rows] * 5, ignore_index=True)

    def width(table):
        score = shortcuts(table, CLASSES)["position"].balanced_accuracy
        return score.high - score.low

    assert width(copied) == pytest.approx(width(rows), rel=0.35)


def test_absent_and_unknown_columns_are_left_out_and_single_unknown_values_are_not():
    rows = _rows().drop(columns="mean_code").assign(latitude_deg=np.nan, longitude_deg=np.nan)
    rows.loc[::3, "native_side_px"] = np.nan
    assert set(shortcuts(rows, CLASSES)) == {"cutout size", "padding", "masked neighbours", "date"}


def test_without_a_test_part_there_is_nothing_to_say():
    rows = _rows()
    assert shortcuts(rows[rows["split"] != "test"], CLASSES) == {}


def test_chance_is_of_the_classes_that_are_tested():
    rows = _rows()
    rows = rows[(rows["split"] != "test") | (rows["label"] != "c")]
    assert shortcuts(rows, CLASSES)["date"].chance == 0.5


def test_the_sentence_is_plain():
    assert sentence("date", Estimate(0.41, 0.29, 0.47), 1 / 3) == "date alone reaches 0.41 [0.29, 0.47], chance 0.33"
    above = sentence("date", Estimate(0.41, 0.35, 0.47), 1 / 3)
    assert above.startswith("date alone reaches 0.41 [0.35, 0.47], chance 0.33: ")
    assert sentence("date", Estimate(0.41, None, None), 1 / 3) == "date alone reaches 0.41, chance 0.33"


def test_a_single_region_gives_no_interval_and_json_holds_no_nan():
    rows = _rows()
    rows.loc[rows["split"] == "test", "group"] = "ar1"
    found = shortcuts(rows, CLASSES)
    assert found["date"].balanced_accuracy.low is None
    json.dumps(records.plain(found), allow_nan=False)


def test_quiet_sun_that_was_sampled_elsewhere_is_told_by_its_place(shared_data):
    """The real workbook: spotted regions, plages and quiet Sun do not lie in the same places."""
    sheets = pd.read_excel(shared_data / "SDO_Solar_Active_Regions.xlsx", sheet_name=None)
    table = pd.concat(sheets.values(), ignore_index=True)
    observed = pd.to_datetime(table["Observed (UTC)"], utc=True)
    rows = pd.DataFrame(
        {
            "split": np.where(observed < pd.Timestamp("2013-12-01", tz="UTC"), "train", "test"),
            "group": table["NOAA AR"].astype(object).fillna(table["Image"]).astype(str),
            "label": table["Kind"],
            "observed": observed,
            "latitude_deg": table["Latitude (deg)"],
            "longitude_deg": table["Longitude (deg)"],
        }
    )
    found = shortcuts(rows, ["quiet", "plage", "spotted"])
    assert found["position"].balanced_accuracy.low > 0.5
    assert found["date"].balanced_accuracy.low < 0.4
