import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sdovis.corpus.audit import leaks
from sdovis.corpus.split import PARTS, assign
from sdovis.errors import BadInput
from sdovis.study import Split

START = pd.Timestamp("2011-01-01", tz="UTC")


def _rows(days, groups, frames, labels) -> pd.DataFrame:
    observed = [START + pd.Timedelta(days=float(day)) for day in days]
    return pd.DataFrame({"observed": observed, "group": groups, "frame": frames, "label": labels})


def _season(regions=60, per_region=4, seed=0) -> pd.DataFrame:
    """Regions through three years, each seen on successive days, classes at random."""
    rng = np.random.default_rng(seed)
    born = np.sort(rng.uniform(0, 1000, regions))
    days = (born[:, None] + np.arange(per_region)).ravel()
    groups = np.repeat([f"ar{i}" for i in range(regions)], per_region)
    labels = np.repeat(rng.choice(["alpha", "beta", "complex"], regions), per_region)
    return _rows(days, groups, [f"f{i}" for i in range(len(days))], labels)


def _leaks(rows, part) -> list:
    kept = rows.assign(split=part)[part != ""]
    return leaks(kept, {"group": "region", "frame": "image"})


@st.composite
def _graphs(draw):
    """Random region-image graphs: several regions an image, several images a region, any order in time."""
    n = draw(st.integers(30, 90))
    regions, frames = draw(st.integers(12, 30)), draw(st.integers(12, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, frames, n)
    day = rng.uniform(0, 900, frames)[frame]
    group = rng.integers(0, regions, n)
    return _rows(day, [f"ar{g}" for g in group], [f"f{f}" for f in frame], rng.choice(["a", "b"], n))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(_graphs(), st.sampled_from(["temporal", "grouped"]), st.integers(0, 60))
def test_no_region_and_no_image_ever_lies_in_two_parts(rows, method, gap):
    try:
        found = assign(rows, Split(method=method, gap_days=gap), seed=0)
    except BadInput:
        assume(False)
    assert not _leaks(rows, found.part)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.integers(0, 10_000), st.floats(0, 60))
def test_temporal_parts_follow_each_other_with_the_gap(seed, gap):
    rows = _season(seed=seed)
    try:
        part = assign(rows, Split(gap_days=gap), seed=0).part
    except BadInput:
        assume(False)
    times = {name: rows["observed"][part == name] for name in PARTS}
    for earlier, later in (("train", "validation"), ("validation", "test")):
        apart = times[later].min() - times[earlier].max()
        assert apart >= pd.Timedelta(days=gap) - pd.Timedelta(seconds=1)


def test_every_dropped_row_says_why_and_every_kept_row_does_not():
    found = assign(_season(), Split(gap_days=27), seed=0)
    assert ((found.part == "") == (found.dropped != "")).all()
    assert set(found.dropped[found.part == ""]) <= {
        "within the gap of 27 days between parts",
        "its region lies mostly in another part",
        "its image lies mostly in another part",
    }


def test_the_shares_come_near_to_those_asked_for():
    part = assign(_season(regions=300), Split(gap_days=0, validation=0.2, test=0.3), seed=0).part
    shares = pd.Series(part[part != ""]).value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.3, abs=0.03)
    assert shares["validation"] == pytest.approx(0.2, abs=0.03)


def test_without_a_gap_a_region_that_straddles_a_cut_stays_on_one_side():
    rows = _season(regions=200, per_region=10)
    found = assign(rows, Split(gap_days=0), seed=0)
    assert not _leaks(rows, found.part)
    assert (found.dropped == "its region lies mostly in another part").any()


def test_grouped_keeps_an_image_shared_by_two_parts_on_its_larger_side():
    rows = _season(regions=80, per_region=2)
    rows["frame"] = [f"f{i // 3}" for i in range(len(rows))]
    found = assign(rows, Split(method="grouped"), seed=3)
    assert not _leaks(rows, found.part)
    assert (found.dropped == "its image lies mostly in another part").any()


def test_grouped_is_the_same_for_the_same_seed_and_another_for_another():
    rows = _season()
    one, again, other = (assign(rows, Split(method="grouped"), seed=s).part for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_a_part_that_would_be_empty_is_refused():
    rows = _season(regions=6)
    rows["observed"] = START
    with pytest.raises(BadInput, match="part is empty"):
        assign(rows, Split(), seed=0)


def test_a_class_that_only_one_season_saw_is_refused_by_name():
    rows = _season()
    rows["label"] = np.where(rows["observed"] < rows["observed"].quantile(0.3), "early", "late")
    with pytest.raises(BadInput, match="no row of class 'early' is left in the test part"):
        assign(rows, Split(), seed=0)
