import numpy as np
import pandas as pd
import pytest
from sdovis.corpus.returning import by_chance, linked_groups, links
from sdovis.errors import BadInput
from sdovis.sun.rotation import synodic_rate

START = pd.Timestamp("2012-03-01", tz="UTC")


def _passage(name, born_deg, latitude, *, days=0.0, every=1.0, reach=70.0) -> pd.DataFrame:
    """A region that stands at ``born_deg`` (unwrapped, west positive) on day ``days``, seen while it is on the disc."""
    rate = float(synodic_rate(latitude, START.to_pydatetime()))
    ages = np.arange(0, 15, every)
    longitude = born_deg + rate * ages
    seen = np.abs(longitude) <= reach
    return pd.DataFrame(
        {
            "group": name,
            "noaa_ar": 11000.0,
            "observed": START + pd.to_timedelta(days + ages[seen], unit="D"),
            "latitude_deg": latitude,
            "longitude_deg": longitude[seen],
        }
    )


def _rotation(latitude):
    return 360 / float(synodic_rate(latitude, START.to_pydatetime()))


def _return(name, latitude, *, rotations=1, shift_deg=0.0, **options):
    return _passage(name, -70.0 + shift_deg, latitude, days=rotations * _rotation(latitude), **options)


def _pairs(found):
    return [(link.earlier, link.later) for link in found]


@pytest.mark.parametrize("latitude", [-35.0, -10.0, 0.0, 22.0])
@pytest.mark.parametrize("every", [0.5, 1.0, 4.2])
@pytest.mark.parametrize("reach", [55.0, 85.0])
def test_a_region_that_returns_after_a_rotation_is_linked(latitude, every, reach):
    rows = pd.concat(
        [_passage("ar1", -70.0, latitude, every=every, reach=reach), _return("ar2", latitude, every=every, reach=reach)]
    )
    assert _pairs(links(rows)) == [("ar1", "ar2")]
    assert abs(links(rows)[0].longitude_off_deg) < 3


@pytest.mark.parametrize("change", [{"rotations": 2}, {"rotations": 0.5}, {"shift_deg": 15.0}, {"shift_deg": -15.0}])
def test_what_comes_elsewhere_or_at_another_time_is_not(change):
    rows = pd.concat([_passage("ar1", -70.0, 12.0), _return("ar2", 12.0, **change)])
    assert links(rows) == ()


def test_another_latitude_or_the_other_hemisphere_is_not():
    for latitude in (16.0, -12.0):
        assert links(pd.concat([_passage("ar1", -70.0, 12.0), _return("ar2", latitude)])) == ()


def test_what_emerges_in_the_western_half_at_an_old_place_is_no_return():
    rows = pd.concat([_passage("ar1", -70.0, 12.0), _return("ar2", 12.0)])
    late = rows[(rows["group"] == "ar1") | (rows["longitude_deg"] > 10)]
    assert links(late) == ()


def test_of_two_candidates_the_nearest_is_the_region_and_each_returns_once():
    rows = pd.concat(
        [_passage("ar1", -70.0, 12.0), _return("ar2", 12.0, shift_deg=6.0), _return("ar3", 12.0, shift_deg=1.0)]
    )
    assert _pairs(links(rows)) == [("ar1", "ar3")]


def test_a_region_that_returns_twice_is_one_group_under_its_first_name():
    rows = pd.concat([_passage("ar7", -70.0, 12.0), _return("ar2", 12.0), _return("ar5", 12.0, rotations=2)])
    found = links(rows)
    assert _pairs(found) == [("ar7", "ar2"), ("ar2", "ar5")]
    assert linked_groups(["ar5", "ar9", "ar2", "ar7"], found).tolist() == ["ar7", "ar9", "ar7", "ar7"]


def test_what_has_no_number_is_no_region():
    rows = pd.concat([_passage("frame-a", -70.0, 12.0), _return("frame-b", 12.0)])
    assert links(rows) != ()
    rows["noaa_ar"] = [11000.0, *[np.nan] * (len(rows) - 1)]
    assert links(rows) == ()


def test_tables_without_places_are_refused():
    rows = _passage("ar1", -70.0, 12.0)
    with pytest.raises(BadInput, match="link_returning"):
        links(rows.drop(columns="latitude_deg"))
    with pytest.raises(BadInput, match="link_returning"):
        links(rows.assign(longitude_deg=None))


def _workbook(shared_data) -> pd.DataFrame:
    table = pd.read_excel(shared_data / "SDO_Solar_Active_Regions.xlsx")
    return pd.DataFrame(
        {
            "group": "ar" + table["NOAA AR"].astype(str),
            "observed": pd.to_datetime(table["Observed (UTC)"], utc=True),
            "latitude_deg": table["Latitude (deg)"],
            "longitude_deg": table["Longitude (deg)"],
        }
    )


def test_long_lived_regions_of_the_real_sun_are_found(shared_data):
    found = set(_pairs(links(_workbook(shared_data))))
    # The greatest of the cycle, seen in three rotations from October to December 2014; and one of early 2014.
    assert {("ar12192", "ar12209"), ("ar12209", "ar12237"), ("ar11967", "ar11990")} <= found


def test_there_are_twice_as_many_returns_as_chance_would_give(shared_data):
    rows = _workbook(shared_data)
    assert len(links(rows)) > 1.8 * by_chance(rows)


def test_a_table_whose_regions_trade_longitudes_gives_what_chance_is_said_to_give(shared_data):
    """The count by chance, from displaced regions, against one that shuffles: both take the same times and latitudes."""
    rows = _workbook(shared_data)
    rng = np.random.default_rng(0)
    groups = rows["group"].unique()
    shuffled = []
    for _ in range(8):
        shift = pd.Series(rng.choice([-1, 1], len(groups)) * rng.uniform(30, 90, len(groups)), index=groups)
        # The passage keeps its form; its longitudes move with its times, so that it still enters in the east.
        later = rows["group"].map(shift) / 13.2
        moved = rows.assign(observed=rows["observed"] + pd.to_timedelta(later.to_numpy(), unit="D"))
        shuffled.append(len(links(moved)))
    assert np.mean(shuffled) == pytest.approx(by_chance(rows), rel=0.25)


def test_links_by_chance_are_few_among_regions_that_all_return():
    latitudes = np.linspace(-36, 36, 10)
    rows = pd.concat(
        [_passage(f"ar{i}", -70.0, lat) for i, lat in enumerate(latitudes)]
        + [_return(f"ar{100 + i}", lat) for i, lat in enumerate(latitudes)]
    )
    assert len(links(rows)) == 10
    assert by_chance(rows) == 0
