import numpy as np
import pandas as pd
import pytest
from sdovis.corpus.audit import audit
from sdovis.errors import BadInput


def _rows() -> pd.DataFrame:
    parts = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    days = [0, 1, 2, 3, 40, 41, 80, 81]
    return pd.DataFrame(
        {
            "split": parts,
            "group": ["ar1", "ar1", "ar1", "ar2", "ar3", "ar4", "ar5", "ar6"],
            "frame": [f"f{i}" for i in range(8)],
            "pixels_sha256": [f"s{i}" for i in range(8)],
            "label": ["a", "b"] * 4,
            "observed": [pd.Timestamp("2011-01-01", tz="UTC") + pd.Timedelta(days=d) for d in days],
        }
    )


def test_a_clean_split_is_counted():
    facts = audit(_rows(), ["a", "b"], gap_days=27)
    train = facts["parts"]["train"]
    assert (train["rows"], train["regions"], train["images"]) == (4, 2, 4)
    assert train["largest_region"] == "ar1"
    assert train["largest_region_share"] == 0.75
    assert train["rows_by_class"] == {"a": 2, "b": 2}
    assert facts["parts"]["test"]["regions_by_class"] == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("group", "leak: region ar1 lies in test and train"),
        ("frame", "leak: image f0 lies in test and train"),
        ("pixels_sha256", "leak: an identical cutout s0 lies in test and train"),
    ],
)
def test_a_leak_of_any_kind_fails_and_is_named(column, message):
    rows = _rows()
    rows.loc[7, column] = rows.loc[0, column]
    with pytest.raises(BadInput, match=message):
        audit(rows, ["a", "b"], gap_days=27)


def test_a_gap_shorter_than_asked_for_fails():
    with pytest.raises(BadInput, match=r"37\.0 days between train and validation, 38 asked for"):
        audit(_rows(), ["a", "b"], gap_days=38)


def test_a_split_at_random_by_image_is_caught():
    rows = pd.concat([_rows()] * 20, ignore_index=True)
    rows["split"] = np.random.default_rng(0).choice(["train", "validation", "test"], len(rows))
    with pytest.raises(BadInput, match="leak: region ar1 lies in test and train and validation"):
        audit(rows, ["a", "b"], gap_days=None)
