import crafted
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sdovis.channels.channel import channel
from sdovis.summary import compare
from sdovis.summary.quantities import measure

BROWSE = [channel("aia-211-browse")]


def _tests(rows, family, quantity="brightness"):
    measured = measure(crafted.corpus(rows), BROWSE)
    found = [*compare.between_classes(measured, crafted.CLASSES, 0.95), *compare.first_and_last(measured, 0.95)]
    return [row for row in found if row["family"] == family and row["quantity"] == quantity]


def test_counts_are_of_images_and_of_distinct_regions_in_each_part():
    rows = [
        crafted.row("ar11001", 0, 0),
        crafted.row("ar11001", 0, 1),
        crafted.row("ar11001", 1, 2),
        crafted.row("ar11002", 0, 3, split="test"),
    ]
    table = {(r["part"], r["class"]): r for r in compare.counts(crafted.corpus(rows))}
    assert (table["train", "alpha"]["images"], table["train", "alpha"]["regions"]) == (2, 1)
    assert table["train", "alpha"]["share_of_images"] == pytest.approx(2 / 3)
    assert (table["all", "alpha"]["images"], table["all", "alpha"]["regions"]) == (3, 2)
    assert (table["all", "beta"]["images"], table["validation", "beta"]["share_of_images"]) == (1, None)


def test_numbers_of_a_class_are_given_by_region_and_by_image():
    rows = [crafted.row("ar11001", 0, d, c) for d, c in enumerate((10, 20, 90))] + [crafted.row("ar11002", 0, 5, 40)]
    found = compare.descriptions(measure(crafted.corpus(rows), BROWSE), crafted.CLASSES)
    table = {(r["level"], r["quantity"], r["class"]): r for r in found}
    region, image = (table[level, "brightness", "alpha"] for level in ("region", "image"))
    assert (region["n"], region["mean"], region["median"]) == (2, 30.0, 30.0)
    assert (image["n"], image["mean"], image["max"]) == (4, 40.0, 90.0)
    assert table["region", "brightness", None]["n"] == 2
    assert table["region", "brightness", "beta"]["n"] == 0


def test_latitude_is_described_by_image_only_as_a_median_over_both_hemispheres_is_no_place():
    rows = [crafted.row("frame-1", 0, 0, latitude_deg=lat) for lat in (-30.0, 32.0)]
    found = compare.descriptions(measure(crafted.corpus(rows), BROWSE), crafted.CLASSES)
    assert {r["level"] for r in found if r["quantity"] == "latitude_deg"} == {"image"}
    assert {r["level"] for r in found if r["quantity"] == "equator_distance_deg"} == {"image", "region"}


def test_pairs_of_classes_are_compared_by_one_value_a_region_as_scipy_does():
    rows = crafted.three_classes()
    found = {(r["a"], r["b"]): r for r in _tests(rows, "pairs of classes")}
    medians = measure(crafted.corpus(rows), BROWSE).regions.groupby("class")["brightness"].apply(np.asarray)
    for (a, b), row in found.items():
        expected = stats.mannwhitneyu(medians[a], medians[b], method="asymptotic" if row["ties"] else "exact")
        assert (row["n_a"], row["n_b"]) == (8, 8)
        assert row["p_value"] == pytest.approx(expected.pvalue)
        assert row["value"] == expected.statistic
        assert row["effect"] == pytest.approx(2 * expected.statistic / 64 - 1)
    assert found["alpha", "complex"]["effect"] == -1.0


def test_all_classes_are_compared_by_kruskal_and_wallis():
    rows = crafted.three_classes()
    (row,) = _tests(rows, "classes")
    medians = measure(crafted.corpus(rows), BROWSE).regions.groupby("class")["brightness"].apply(np.asarray)
    expected = stats.kruskal(*medians)
    assert (row["value"], row["p_value"], row["df"]) == (expected.statistic, expected.pvalue, 2)


def test_two_classes_need_no_test_of_all_classes():
    assert _tests([r for r in crafted.three_classes() if r["label"] < 2], "classes") == []


def _p_values(rows):
    measured = measure(crafted.corpus(rows), BROWSE)
    found = [*compare.between_classes(measured, crafted.CLASSES, 0.95), *compare.first_and_last(measured, 0.95)]
    assert {r["family"] for r in found} == {"classes", "pairs of classes", "first and last"}
    return [r["p_value"] for r in found]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True), st.integers(2, 5))
def test_repeating_a_regions_images_changes_no_p_value(regions, times):
    rows = crafted.three_classes()
    names = sorted({r["group"] for r in rows})
    repeated = [r for r in rows for _ in range(times if names.index(r["group"]) in regions else 1)]
    assert _p_values(repeated) == _p_values(rows)


def test_by_image_the_same_repetition_would_have_made_a_difference_out_of_nothing():
    rows = crafted.three_classes()
    images = measure(crafted.corpus(rows * 5), BROWSE).images
    first, second = (images.loc[images["class"] == name, "brightness"] for name in ("alpha", "beta"))
    row = next(r for r in _tests(rows * 5, "pairs of classes") if (r["a"], r["b"]) == ("alpha", "beta"))
    assert stats.mannwhitneyu(first, second).pvalue < row["p_value"] / 1e6


def test_holm_adjusts_within_each_family_and_over_all_of_it():
    measured = measure(crafted.corpus(crafted.three_classes()), BROWSE)
    pairs = [r for r in compare.between_classes(measured, crafted.CLASSES, 0.95) if r["family"] == "pairs of classes"]
    p = np.array([r["p_value"] for r in pairs])
    assert len(pairs) == 3 * 4  # equator, meridian, year, brightness
    smallest = int(p.argmin())
    assert pairs[smallest]["p_holm"] == pytest.approx(min(1, 12 * p[smallest]))
    assert all(r["p_holm"] >= r["p_value"] for r in pairs)


def test_a_class_without_a_value_is_said_to_be_untested_and_counts_in_the_family():
    rows = [r | {"area": float(r["label"] < 2) * i or np.nan} for i, r in enumerate(crafted.three_classes(), 1)]
    found = _tests(rows, "pairs of classes", "area")
    untested = [r for r in found if "p_value" not in r]
    assert [(r["a"], r["b"], r["n_b"]) for r in untested] == [("alpha", "complex", 0), ("beta", "complex", 0)]
    assert all(r["note"] == "not tested: a sample is empty" and np.isnan(r["p_holm"]) for r in untested)


def test_the_last_observation_of_a_region_is_compared_with_its_first():
    rows = []
    for i, (first, last) in enumerate([(10, 15), (20, 28), (30, 41), (40, 40), (50, 49)]):
        days = (0.0, 1.0, 2.0 + i)
        rows += [crafted.row(f"ar{11000 + i}", 0, d, c) for d, c in zip(days, (first, 200, last), strict=True)]
    rows.append(crafted.row("ar12000", 0, 0, 5))  # seen once: no pair
    (row,) = _tests(rows[::-1], "first and last")  # whatever their order
    assert (row["n_a"], row["zeros"], row["ties"]) == (5, 1, 0)
    assert row["value"] == 2 + 3 + 4  # ranks of 5, 8, 11 beside -1
    assert row["effect"] == pytest.approx((9 - 1) / 10)
    assert row["method"].startswith("asymptotic")
    assert row["note"] == "median 4.0 days apart"


def test_what_only_tells_where_a_region_is_has_no_first_and_last():
    measured = measure(crafted.corpus(crafted.three_classes()), BROWSE)
    assert {r["quantity"] for r in compare.first_and_last(measured, 0.95)} == {"brightness"}


def test_without_a_region_seen_twice_there_is_no_first_and_last():
    (row,) = _tests(crafted.three_classes(images=1), "first and last")
    assert row["note"] == "not tested: there is no pair"
    assert "p_value" not in row


def test_the_shift_of_round_numbers_is_round():
    a, b = [240, 380, 290, 250, 210, 220], [370, 110, 320, 260, 0, 150, 340]
    row = compare.rank_sum_row(a, b, 0.9)
    assert (row["shift"], row["low"], row["high"]) == (35.0, -100.0, 180.0)


def test_no_nan_and_no_numpy_number_is_left_however_deep():
    given = {"a": [np.float64("nan"), {"b": float("inf")}], "c": np.int64(3), "d": (1.5, None, "x")}
    assert compare.finite(given) == {"a": [None, {"b": None}], "c": 3, "d": [1.5, None, "x"]}
    assert type(compare.finite(given)["c"]) is int
