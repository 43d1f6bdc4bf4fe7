"""Strata of the test part: which rows are in which, what is left out, and which is the weakest."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sdovis.evaluation import facts, strata
from sdovis.statistics.bootstrap import Estimate
from sklearn.metrics import balanced_accuracy_score

DRAWS = {"samples": 200, "confidence": 0.95, "seed": 0}


def table(regions: int = 60, images: int = 2) -> pd.DataFrame:
    """Regions of three classes, each with images in one year, every image alone on its disc."""
    n = regions * images
    region = np.repeat(np.arange(regions), images)
    return pd.DataFrame(
        {
            "label": region % 3,
            "group": [f"ar{11000 + r}" for r in region],
            "frame": [f"f{i}" for i in range(n)],
            "observed": pd.to_datetime(np.where(region < regions // 2, "2012-03-04", "2013-03-04"), utc=True),
            "latitude_deg": 10.0,
            "longitude_deg": np.where(region % 2, -15.0, 45.0),
            "header": json.dumps({"INSTRUME": "HMI_SIDE1"}),
            "native_side_px": 100.2,
        }
    )


def found(rows: pd.DataFrame, predicted, footprint=None) -> dict[tuple[str, str], facts.Stratum]:
    return {(each.what, each.of): each for each in strata.strata(rows, predicted, 3, footprint, **DRAWS)}


def test_each_stratum_has_the_score_of_its_own_rows():
    rows = table()
    later = (rows["observed"].dt.year == 2013).to_numpy()
    predicted = np.where(later & (rows["label"] == 0), 2, rows["label"])
    by = found(rows, predicted)
    assert by["year", "2012"].balanced_accuracy.estimate == 1
    expected = balanced_accuracy_score(rows["label"][later], predicted[later])
    assert by["year", "2013"].balanced_accuracy.estimate == pytest.approx(expected)
    assert (by["year", "2013"].rows, by["year", "2013"].regions) == (60, 30)
    assert {of for what, of in by if what.startswith("distance")} == {"0 to 20 degrees", "40 to 60 degrees"}
    assert not any(what in ("instrument", "original pixels a side") for what, _ in by), "there is one of each only"


def test_the_order_of_the_index_does_not_matter():
    rows = table().sample(frac=1, random_state=1)
    predicted = np.where(rows["observed"].dt.year == 2013, (rows["label"] + 1) % 3, rows["label"])
    by = found(rows, predicted)
    assert [by["year", year].balanced_accuracy.estimate for year in ("2012", "2013")] == [1, 0]


def test_a_stratum_without_a_class_or_with_few_regions_is_left_out():
    rows = table()
    rows.loc[rows["label"] == 2, "observed"] = pd.Timestamp("2012-06-01", tz="UTC")
    assert not any(what == "year" for what, _ in found(rows, rows["label"]))
    rows = table()
    rows.loc[rows["group"].isin(["ar11000", "ar11001", "ar11002"]), "native_side_px"] = 50
    assert not any(what == "original pixels a side" for what, _ in found(rows, rows["label"]))


def test_rows_whose_cutout_shows_another_region_are_told_from_those_alone():
    rows = table()
    rows.loc[rows.index[:60], "frame"] = [f"f{i // 4}" for i in range(60)]  # two regions to a disc
    rows.loc[rows.index[:60], "longitude_deg"] = np.tile([0.0, 0.0, 9.0, 9.0], 15)
    by = found(rows, rows["label"], footprint=15.0)
    assert by["neighbours", "with another region in the cutout"].rows == 60
    assert by["neighbours", "alone in its cutout"].rows == 60
    assert not any(what == "neighbours" for what, _ in found(rows, rows["label"], footprint=10.0)), (
        "9 degrees are too far"
    )
    rows["longitude_deg"] = np.nan
    assert not any(what == "neighbours" for what, _ in found(rows, rows["label"], footprint=15.0))


def test_instruments_are_told_apart():
    rows = table()
    rows.loc[rows.index[::2], "header"] = json.dumps({"INSTRUME": "HMI_FRONT2"})
    assert {of for what, of in found(rows, rows["label"]) if what == "instrument"} == {"HMI_SIDE1", "HMI_FRONT2"}


def test_uneven_regions_weigh_as_fewer_even_ones():
    even = pd.Series(["a", "b", "c"] * 4)
    assert strata.effective_regions(even) == pytest.approx(3)
    assert strata.effective_regions(pd.Series(["a"] * 98 + ["b", "c"])) == pytest.approx(1.04, abs=0.01)


def test_the_weakest_stratum_is_the_one_with_the_lowest_score(finished_facts):
    one = facts.Stratum("year", "2012", 10, 5, Estimate(0.7, 0.6, 0.8))
    other = replace(one, of="2013", balanced_accuracy=Estimate(0.5, 0.3, 0.9))
    assert replace(finished_facts, strata=(one, other)).weakest == other
    assert replace(finished_facts, strata=()).weakest is None


@pytest.fixture
def finished_facts() -> facts.ScoreFacts:
    made = facts.Resampling("region", 100, 0.95, 0)
    rest = facts.ValidationScore(0.5, 1), 0.1, facts.Latency(1.0, 2.0)
    return facts.ScoreFacts("test", ("a", "b"), 1, 1, {}, made, (), {}, {}, {}, (), *rest)
