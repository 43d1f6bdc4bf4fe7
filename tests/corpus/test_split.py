import itertools

import numpy as np
import pandas as pd
import pytest
from crowds import BITS, SIDE_DEG, START, crowds, season, table, what_crosses
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sdovis.corpus import split as splits
from sdovis.corpus.audit import audit
from sdovis.corpus.split import PARTS, assign
from sdovis.errors import BadInput
from sdovis.study import Split

ANY = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
REASONS = {
    "its region lies mostly in another part",
    "its image lies mostly in another part",
    "its picture lies mostly in another part",
    "it nearly repeats an image of another part",
    "its cutout overlaps one of another part",
}
METHODS = [
    Split(gap_days=0),
    Split(gap_days=30),
    Split(method="grouped"),
    Split(method="kfold", folds=3),
    Split(method="leave-year-out", year=2012),
]


def _assigned(rows, split, *, seed=0):
    """The division; one that leaves a part or a class empty counts too: what must not cross must not cross there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "_refuse_empty", lambda *_: None)
        try:
            return assign(rows, split, seed=seed, footprint_deg=SIDE_DEG)
        except BadInput:  # too few rows for the folds, or no places for the links
            assume(False)
            raise AssertionError from None


@settings(ANY, max_examples=1000)
@given(crowds(), st.sampled_from(METHODS), st.booleans())
def test_nothing_that_shows_the_same_ever_lies_in_two_parts_and_every_drop_says_why(rows, split, link):
    split = split.model_copy(update={"link_returning": link})
    found = _assigned(rows, split)
    assert what_crosses(rows, found.part, found.group) == []
    assert ((found.part == "") == (found.dropped != "")).all()
    gap = {f"within the gap of {split.gap_days:g} days between parts"} if split.gap is not None else set()
    assert set(found.dropped[found.part == ""]) <= REASONS | gap
    assert set(found.part) <= {"", *PARTS}


@settings(ANY, max_examples=100)
@given(crowds(), st.sampled_from(METHODS), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_does_not_matter_and_the_same_rows_give_the_same_parts(rows, split, link, seed):
    split = split.model_copy(update={"link_returning": link})
    found = _assigned(rows, split)
    again = _assigned(rows, split)
    order = np.random.default_rng(seed).permutation(len(rows))
    mixed = _assigned(rows.iloc[order], split)
    for name in ("part", "dropped", "group"):
        assert (getattr(again, name) == getattr(found, name)).all()
        assert (getattr(mixed, name) == getattr(found, name)[order]).all()
    assert mixed.links == found.links
    assert mixed.pairs == found.pairs


@settings(ANY, max_examples=80)
@given(crowds(), st.sampled_from(METHODS), st.booleans())
def test_the_audit_passes_what_the_split_made(rows, split, link):
    split = split.model_copy(update={"link_returning": link})
    found = _assigned(rows, split)
    kept = rows.assign(split=found.part, group=found.group)[found.part != ""]
    assume(len(kept))
    classes = sorted(set(rows["label"]))
    audited = audit(
        kept,
        classes,
        gap_days=split.gap,
        near_duplicate_bits=BITS,
        footprint_deg=SIDE_DEG,
        assignment=found,
        samples=20,
    )
    assert sum(audited.dropped.values()) + sum(part.rows for part in audited.parts.values()) == len(rows)


@settings(ANY, max_examples=250)
@given(crowds(), st.integers(0, 2**32 - 1))
def test_the_audit_catches_a_split_at_random_by_image(rows, seed):
    part = np.random.default_rng(seed).choice(PARTS, len(rows), p=[0.6, 0.2, 0.2])
    assume(set(part) == set(PARTS))
    leaky = what_crosses(rows, part, rows["group"])
    dealt = rows.assign(split=part)

    def checked():
        return audit(
            dealt, ["a", "b", "c"], gap_days=None, near_duplicate_bits=BITS, footprint_deg=SIDE_DEG, samples=20
        )

    if leaky:
        with pytest.raises(BadInput, match="leak"):
            checked()
    else:
        assert checked().leaks == {"region": 0, "image": 0, "identical_cutout": 0}


@settings(ANY, max_examples=100)
@given(st.integers(0, 10_000), st.floats(0, 60))
def test_temporal_parts_follow_each_other_with_the_gap(seed, gap):
    rows = season(seed=seed)
    part = _assigned(rows, Split(gap_days=gap)).part
    times = {name: rows["observed"][part == name] for name in PARTS}
    for earlier, later in (("train", "validation"), ("validation", "test")):
        apart = times[later].min() - times[earlier].max()
        assert apart >= pd.Timedelta(days=gap) - pd.Timedelta(seconds=1)


@settings(ANY, max_examples=100)
@given(st.integers(0, 10_000), st.floats(0, 60), st.sampled_from([2011, 2012, 2013]))
def test_leave_year_out_tests_on_that_year_with_the_gap_around_it(seed, gap, year):
    rows = season(seed=seed)
    part = _assigned(rows, Split(method="leave-year-out", year=year, gap_days=gap)).part
    of_year = (rows["observed"].dt.year == year).to_numpy()
    assert (part[~of_year] != "test").all()
    assert set(part[of_year]) <= {"test", ""}
    days = ((rows["observed"] - START) / pd.Timedelta(days=1)).to_numpy()
    for a, b in itertools.combinations(PARTS, 2):
        assert np.abs(days[part == a][:, None] - days[part == b]).min(initial=np.inf) >= gap - 1e-5
    assert not days[part == "validation"].min(initial=np.inf) < days[part == "train"].max(initial=-np.inf)


@settings(ANY, max_examples=40)
@given(st.integers(0, 10_000), st.integers(3, 8))
def test_every_region_is_in_the_test_part_of_exactly_one_fold(seed, folds):
    rows = season(seed=seed, classes=("alpha", "beta"))
    tested, validated = [], []
    for fold in range(folds):
        part = _assigned(rows, Split(method="kfold", folds=folds, fold=fold), seed=seed).part
        tested.append(set(rows["group"][part == "test"]))
        validated.append(set(rows["group"][part == "validation"]))
    assert sum(map(len, tested)) == len(set().union(*tested)) == rows["group"].nunique()
    assert validated == tested[1:] + tested[:1]


def test_folds_are_alike_in_their_classes():
    rows = season(regions=300)
    shares = rows["label"].value_counts(normalize=True)
    for fold in range(5):
        part = assign(rows, Split(method="kfold", fold=fold), seed=1).part
        test = rows["label"][part == "test"].value_counts(normalize=True)
        assert (test - shares).abs().max() < 0.03


@pytest.mark.parametrize("method", ["grouped", "kfold"])
def test_the_seed_decides_which_regions_are_tested(method):
    rows = season()
    one, again, other = (assign(rows, Split(method=method), seed=s).part for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_more_folds_than_regions_are_refused():
    with pytest.raises(BadInput, match=r"split\.folds = 20: too few rows"):
        assign(season(regions=12), Split(method="kfold", folds=20), seed=0)


def test_the_shares_come_near_to_those_asked_for():
    part = assign(season(regions=300), Split(gap_days=0, validation=0.2, test=0.3), seed=0).part
    shares = pd.Series(part[part != ""]).value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.3, abs=0.03)
    assert shares["validation"] == pytest.approx(0.2, abs=0.03)


def test_validation_of_leave_year_out_has_its_share_of_the_other_years():
    part = assign(season(regions=300), Split(method="leave-year-out", year=2012, validation=0.25), seed=0).part
    rest = pd.Series(part[(part == "train") | (part == "validation")]).value_counts(normalize=True)
    assert rest["validation"] == pytest.approx(0.25, abs=0.04)


def test_without_a_gap_a_region_that_straddles_a_cut_stays_on_one_side():
    found = assign(season(regions=200, per_region=10), Split(gap_days=0), seed=0)
    assert (found.dropped == "its region lies mostly in another part").any()


def test_grouped_keeps_an_image_shared_by_two_parts_on_its_larger_side():
    rows = season(regions=80, per_region=2)
    rows["frame"] = [f"f{i // 3}" for i in range(len(rows))]
    found = assign(rows, Split(method="grouped"), seed=3)
    assert (found.dropped == "its image lies mostly in another part").any()
    kept = rows.assign(part=found.part)[found.part != ""]
    assert (kept.groupby("frame")["part"].nunique() == 1).all()
    assert kept["frame"].nunique() == rows["frame"].nunique()


def test_of_near_duplicates_the_side_with_fewer_is_dropped_and_counted():
    rows = season()
    rows["perceptual_hash"] = [f"{int(x):016x}" for x in np.random.default_rng(1).integers(0, 2**63, len(rows))]
    part = assign(rows, Split(gap_days=0), seed=0).part
    early, late = np.flatnonzero(part == "train")[:5], np.flatnonzero(part == "test")[:2]
    rows.loc[[*early, *late], "perceptual_hash"] = "0f0f33335555ff00"
    found = assign(rows, Split(gap_days=0), seed=0)
    assert set(np.flatnonzero(found.dropped == "it nearly repeats an image of another part")) == set(late)
    assert found.pairs == {"near_duplicate": 10}


def test_what_resembles_only_a_dropped_row_stays():
    rows = season()
    rows["perceptual_hash"] = [f"{int(x):016x}" for x in np.random.default_rng(1).integers(0, 2**63, len(rows))]
    part = assign(rows, Split(gap_days=0), seed=0).part
    chain = [np.flatnonzero(part == name)[0] for name in PARTS]
    rows.loc[chain, "perceptual_hash"] = ["00000000ffffffff", "00000000fffffff0", "00000000ffffff00"]
    found = assign(rows, Split(gap_days=0), seed=0)
    assert found.part[chain].tolist() == ["train", "", "test"]
    assert found.pairs == {"near_duplicate": 1}


def test_the_number_of_bits_decides_what_nearly_repeats():
    rows = season()
    rows["perceptual_hash"] = [f"{int(x):016x}" for x in np.random.default_rng(1).integers(0, 2**63, len(rows))]
    part = assign(rows, Split(gap_days=0), seed=0).part
    one, other = np.flatnonzero(part == "train")[0], np.flatnonzero(part == "test")[0]
    rows.loc[[one, other], "perceptual_hash"] = ["00000000ffffffff", "00000000ffffff00"]
    assert assign(rows, Split(gap_days=0, near_duplicate_bits=7), seed=0).pairs["near_duplicate"] == 0
    assert assign(rows, Split(gap_days=0, near_duplicate_bits=8), seed=0).pairs["near_duplicate"] == 1


def test_neighbours_that_share_a_cutout_do_not_cross_and_without_a_footprint_they_may():
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(0, 900, 15.0), 2)
    rows = table(
        days, [f"ar{i}" for i in range(120)], [f"f{i}" for i in range(120)], rng.choice(["a", "b"], 120),
        latitude_deg=10.0, longitude_deg=np.tile([0.0, 8.0], 60),
    )  # fmt: skip
    apart = assign(rows, Split(method="grouped"), seed=0)
    assert "overlap" not in apart.pairs
    found = assign(rows, Split(method="grouped"), seed=0, footprint_deg=10.0)
    crossed = [len({*apart.part[i : i + 2]}) == 2 for i in range(0, 120, 2)]
    assert found.pairs["overlap"] == sum(crossed) > 0
    assert (found.dropped == "its cutout overlaps one of another part").sum() == sum(crossed)
    assert assign(rows, Split(method="grouped"), seed=0, footprint_deg=7.0).pairs["overlap"] == 0


def test_a_linked_return_stays_with_its_first_appearance():
    from sdovis.sun.rotation import synodic_rate

    rows = season(regions=80, per_region=1)
    rows["longitude_deg"] = np.where(np.arange(80) % 2, -60.0, 60.0)
    rows["latitude_deg"] = np.linspace(-40, 40, 40).repeat(2)
    rate = synodic_rate(rows["latitude_deg"][::2], START.to_pydatetime())
    rows.loc[1::2, "observed"] = (rows["observed"][::2] + pd.to_timedelta(240 / rate, unit="D")).to_numpy()
    rows.loc[1::2, "label"] = rows["label"][::2].to_numpy()
    found = assign(rows, Split(method="grouped", link_returning=True), seed=0)
    assert len(found.links) >= 38
    linked = [(a, b) for a, b in zip(found.group[::2], found.group[1::2], strict=True) if a == b]
    assert len(linked) >= 38
    loose = assign(rows, Split(method="grouped"), seed=0)
    assert (loose.part[::2] != loose.part[1::2]).any()
    assert (loose.group == rows["group"]).all()


def test_linking_needs_places():
    with pytest.raises(BadInput, match=r"split\.link_returning"):
        assign(season(), Split(link_returning=True), seed=0)


def test_rows_that_lack_a_picture_sum_belong_to_no_picture():
    rows = season()
    rows["pixels_sha256"] = None
    assert not (assign(rows, Split(gap_days=0), seed=0).dropped == "its picture lies mostly in another part").any()


def test_a_part_that_would_be_empty_is_refused():
    rows = season(regions=6)
    rows["observed"] = rows["observed"][0]
    with pytest.raises(BadInput, match="part is empty"):
        assign(rows, Split(), seed=0)


def test_a_year_without_rows_is_refused():
    with pytest.raises(BadInput, match="the test part is empty"):
        assign(season(), Split(method="leave-year-out", year=2019), seed=0, footprint_deg=10.0)


def test_a_class_that_only_one_season_saw_is_refused_by_name():
    rows = season()
    rows["label"] = np.where(rows["observed"] < rows["observed"].quantile(0.3), "early", "late")
    with pytest.raises(BadInput, match="no row of class 'early' is left in the test part"):
        assign(rows, Split(), seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "kfold", "fold": 5}, "the folds are 0 to 4"),
        ({"method": "leave-year-out"}, "needs a year"),
        ({"method": "temporal", "year": 2014}, "year is used only by method leave-year-out"),
    ],
)
def test_settings_that_do_not_fit_the_method_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Split(**settings)


@pytest.mark.timeout(60)
def test_twenty_five_thousand_rows_take_seconds():
    import time

    rng = np.random.default_rng(0)
    rows = season(regions=6250)
    rows["perceptual_hash"] = [f"{int(x):016x}" for x in rng.integers(0, 2**63, len(rows))]
    rows["latitude_deg"] = rng.uniform(-35, 35, 6250).repeat(4)
    rows["longitude_deg"] = np.tile([-30.0, -17.0, -4.0, 9.0], 6250)
    begun = time.perf_counter()
    assign(rows, Split(method="kfold", folds=3, link_returning=True), seed=0, footprint_deg=15.0)
    assert time.perf_counter() - begun < 30
