import numpy as np
import pandas as pd
import pytest
from sdovis import figures
from sdovis.corpus.audit import Audit, Years, audit, drawn
from sdovis.corpus.split import assign
from sdovis.errors import BadInput
from sdovis.study import Split


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
    audited = audit(_rows(), ["a", "b"], gap_days=27)
    train = audited.parts["train"]
    assert (train.rows, train.regions, train.images) == (4, 2, 4)
    assert train.largest_region == "ar1"
    assert train.largest_region_share == 0.75
    assert train.rows_by_class == {"a": 2, "b": 2}
    assert audited.parts["test"].regions_by_class == {"a": 1, "b": 1}
    assert (train.first, train.last) == ("2011-01-01 00:00:00+00:00", "2011-01-04 00:00:00+00:00")


def test_years_and_longitudes_are_counted_in_each_part():
    rows = _rows()
    rows.loc[6:, "observed"] += pd.Timedelta(days=700)
    rows["longitude_deg"] = [-89, -80, 0, 14.9, 15, np.nan, 60, 90]
    audited = audit(rows, ["a", "b"], gap_days=27)
    assert audited.years == Years((2011, 2012, 2013), {"train": (4, 0, 0), "validation": (2, 0, 0), "test": (0, 0, 2)})
    assert audited.longitudes.edges_deg == tuple(range(-90, 91, 15))
    assert audited.longitudes.rows == {
        "train": (2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0),
        "validation": (0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0),
        "test": (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1),
    }
    assert audit(_rows(), ["a", "b"], gap_days=27).longitudes is None


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


def test_near_duplicates_in_two_parts_fail_and_are_named():
    rows = _rows()
    rows["perceptual_hash"] = [f"{x:016x}" for x in np.random.default_rng(0).integers(0, 2**63, 8).tolist()]
    audit(rows, ["a", "b"], gap_days=27, near_duplicate_bits=4)
    rows.loc[[1, 6], "perceptual_hash"] = ["00000000ffffffff", "00000000fffffff0"]
    with pytest.raises(BadInput, match="leak: 1 pairs of near-duplicate images lie in two parts: f1 and f6"):
        audit(rows, ["a", "b"], gap_days=27, near_duplicate_bits=4)
    audit(rows, ["a", "b"], gap_days=27, near_duplicate_bits=3)


def test_overlapping_cutouts_in_two_parts_fail_and_are_named():
    rows = _rows().assign(latitude_deg=10.0, longitude_deg=[-60.0, -40, -20, 0, 0, 20, 0, 20])
    audit(rows, ["a", "b"], gap_days=27, footprint_deg=30.0)
    rows.loc[6, "observed"] = rows.loc[3, "observed"]
    with pytest.raises(BadInput, match=r"leak: \d+ pairs of overlapping cutouts lie in two parts: .*f3 and f6"):
        audit(rows, ["a", "b"], gap_days=None, footprint_deg=15.0)


def test_a_gap_shorter_than_asked_for_fails_whichever_part_comes_first():
    with pytest.raises(BadInput, match=r"37\.0 days between train and validation, 38 required"):
        audit(_rows(), ["a", "b"], gap_days=38)
    rows = _rows()
    rows["split"] = rows["split"].map({"train": "test", "validation": "train", "test": "validation"})
    with pytest.raises(BadInput, match=r"37\.0 days between test and train, 38 required"):
        audit(rows, ["a", "b"], gap_days=38)
    rows = _rows()
    rows.loc[7, "observed"] = rows.loc[2, "observed"] + pd.Timedelta(hours=6)
    with pytest.raises(BadInput, match=r"0\.2 days between train and test, 27 required"):
        audit(rows, ["a", "b"], gap_days=27)
    rows = _rows()
    rows.loc[3, "observed"] = rows.loc[7, "observed"] + pd.Timedelta(hours=6)
    with pytest.raises(BadInput, match=r"0\.2 days between train and test, 27 required"):
        audit(rows, ["a", "b"], gap_days=27)


def test_a_split_at_random_by_image_is_caught():
    rows = pd.concat([_rows()] * 20, ignore_index=True)
    rows["split"] = np.random.default_rng(0).choice(["train", "validation", "test"], len(rows))
    with pytest.raises(BadInput, match="leak: region ar1 lies in test and train and validation"):
        audit(rows, ["a", "b"], gap_days=None)


def _season() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    born = np.sort(rng.uniform(0, 1000, 120))
    days = (born[:, None] + np.arange(3)).ravel()
    return pd.DataFrame(
        {
            "observed": pd.Timestamp("2011-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"),
            "group": np.repeat([f"ar{i}" for i in range(120)], 3),
            "frame": [f"f{i}" for i in range(360)],
            "pixels_sha256": [f"p{i}" for i in range(360)],
            "perceptual_hash": [f"{x:016x}" for x in rng.integers(0, 2**63, 360).tolist()],
            "label": np.repeat(rng.choice(["a", "b"], 120), 3),
            "latitude_deg": np.repeat(rng.uniform(-30, 30, 120), 3),
            "longitude_deg": np.tile([-13.0, 0, 13.0], 120),
            "mean_code": rng.uniform(100, 140, 360),
        }
    )


def test_what_it_took_to_make_the_split_is_told_and_is_the_same_when_read_back(tmp_path):
    rows = _season()
    split = Split(method="grouped", link_returning=True)
    made = assign(rows, split, seed=0, footprint_deg=15.0)
    kept = rows.assign(split=made.part, group=made.group)[made.part != ""]
    audited = audit(kept, ["a", "b"], gap_days=None, near_duplicate_bits=4, footprint_deg=15.0, assignment=made)
    audited.save(tmp_path)
    assert Audit.load(tmp_path) == audited
    assert audited.crossing_pairs == {"near_duplicate": 0, "overlap": 0}
    assert audited.dropped["its cutout overlaps one of another part"] == (made.part == "").sum()
    assert audited.kept_apart.pairs == made.pairs
    assert audited.kept_apart.pairs["overlap"] > 0
    assert len(audited.returning.links) == len(made.links)
    assert audited.shortcuts["position"].sentence.startswith("position alone reaches 0.")
    assert set(audited.shortcuts) == {"position", "date", "mean brightness"}


def test_linked_returns_in_two_parts_are_caught_and_without_the_link_they_are_not():
    rows = _rows()
    audit(rows, ["a", "b"], gap_days=27)
    with pytest.raises(BadInput, match="region ar2 lies in test and train"):
        audit(rows.replace({"group": {"ar5": "ar2"}}), ["a", "b"], gap_days=27)


def test_the_figures_show_the_parts_the_years_and_the_shortcuts():
    rows = _season()
    made = assign(rows, Split(gap_days=10), seed=0)
    audited = audit(rows.assign(split=made.part)[made.part != ""], ["a", "b"], gap_days=10, assignment=made)
    shown = {name: (figure, caption) for name, figure, caption in drawn(audited)}
    assert list(shown) == ["audit_longitudes", "audit_years", "audit_shortcuts"]
    for name in ("audit_longitudes", "audit_years"):
        titles = [axes.get_title(loc="left") for axes in shown[name][0].axes]
        assert titles == [f"{part}, n = {audited.parts[part].rows}" for part in audited.parts]
    assert all(figures.png(figure).startswith(b"\x89PNG") for figure, _ in shown.values())
    assert all(caption.endswith(".") for _, caption in shown.values())
