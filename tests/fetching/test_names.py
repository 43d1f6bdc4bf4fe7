"""Addresses and names: what the archives' own documentation, and programs that load from them, have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.fetching import browse, goes, helioviewer, jsoc, noaa
from sdovis.fetching.archives import ARCHIVES, Addresses
from sdovis.fetching.wanted import Period
from sdovis.images.timestamps import time_in_name
from sdovis.study.fetch import ADDRESSES

DAYS = st.dates(date(2010, 5, 1), date(2039, 12, 30))
TIMES = st.datetimes(datetime(2010, 5, 1), datetime(2039, 12, 30)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))
OWN = Addresses({})


def test_documented_addresses_are_built():
    """Each is an address that other people's programs load from; their places are named in the modules."""
    ngdc = "https://www.ngdc.noaa.gov/stp/space-weather/"
    assert noaa.summary_url(OWN.of("srs"), date(2016, 1, 2)) == (
        f"{ngdc}swpc-products/daily_reports/solar_region_summaries/2016/01/20160102SRS.txt"
    )
    assert noaa.year_url(OWN.of("srs-years"), 2011) == "ftp://ftp.swpc.noaa.gov/pub/warehouse/2011/2011_SRS.tar.gz"
    assert noaa.regions(OWN).files[0].url == "https://services.swpc.noaa.gov/json/solar_regions.json"
    xrs = f"{ngdc}solar-data/solar-features/solar-flares/x-rays/goes/xrs/"
    for year, name in {
        2013: "goes-xrs-report_2013.txt",
        2015: "goes-xrs-report_2015_modifiedreplacedmissingrows.txt",
        2016: "goes-xrs-report_2016.txt",
        2017: "goes-xrs-report_2017-ytd.txt",
    }.items():
        assert goes.report_url(OWN.of("goes"), year) == f"{xrs}{name}"
    base = OWN.of("browse")
    for time, side, product in (("20220819_000000", 1024, "HMIB"), ("20210712_000000", 512, "HMIIF")):
        when = datetime.strptime(time, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
        url = browse.day_url(base, when.date()) + browse.name(when, side, product)
        assert url == f"https://sdo.gsfc.nasa.gov/assets/img/browse/{when:%Y/%m/%d}/{time}_{side}_{product}.jpg"
    assert jsoc.harps(OWN, "harps.txt").files[0].url == (
        "http://jsoc.stanford.edu/doc/data/hmi/harpnum_to_noaa/all_harps_with_noaa_ars.txt"
    )


def test_heks_query_is_that_of_sunpys_client():
    url = urlsplit(goes.events_url(OWN.of("hek"), date(2012, 1, 1), date(2012, 2, 1)))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://www.lmsal.com/hek/her"
    asked = {key: of[0] for key, of in parse_qs(url.query).items()}
    hek = pytest.importorskip("sunpy.net.hek")
    attrs = pytest.importorskip("sunpy.net").attrs
    query = attrs.Time("2012/01/01", "2012/02/01") & attrs.hek.FL & (attrs.hek.FRM.Name == "SWPC")
    (theirs,) = hek.attrs.walker.create(query, {})
    theirs = {key.replace("operator", "op"): str(value) for key, value in {**hek.HEKClient.default, **theirs}.items()}
    assert theirs.items() <= asked.items()
    assert asked.keys() - theirs.keys() == {"result_limit", "page"}


def test_helioviewers_numbers_and_parameters_are_those_of_its_api():
    base = OWN.of("helioviewer")
    when = datetime(2014, 1, 1, 23, 59, 59, tzinfo=UTC)
    asked = urlsplit(helioviewer.closest_url(base, 14, when))
    assert f"{asked.netloc}{asked.path}" == "api.helioviewer.org/v2/getClosestImage/"
    assert parse_qs(asked.query) == {"date": ["2014-01-01T23:59:59Z"], "sourceId": ["14"]}
    assert helioviewer.image_url(base, 12345) == "https://api.helioviewer.org/v2/getJP2Image/?id=12345"
    numbers = {channel: helioviewer.source_of(channel)[0] for channel in helioviewer.SOURCES}
    assert numbers["aia-94-browse"] == 8 and numbers["aia-171-browse"] == 10 and numbers["aia-1700-browse"] == 16
    assert numbers["hmi-continuum-browse"] == 18 and numbers["hmi-magnetogram-browse"] == 19


@pytest.mark.parametrize(
    ("record", "segment", "name"),
    [
        # drms' own: Client._filename_from_export_record, and the names of JSOC's exports in this project's data.
        (
            "hmi.sharp_cea_720s[377][2011.02.15_02:00:00_TAI]",
            "Br",
            "hmi.sharp_cea_720s.377.20110215_020000_TAI.Br.fits",
        ),
        ("hmi.M_720s[2012.03.01_00:00:00_TAI]", "magnetogram", "hmi.M_720s.20120301_000000_TAI.magnetogram.fits"),
        ("hmi.M_720s[2012.03.01_00:00:00_TAI][3]", "magnetogram", "hmi.M_720s.20120301_000000_TAI.3.magnetogram.fits"),
        ("hmi.Ic_720s[2012.03.01_12:00:00_TAI][]", "continuum", "hmi.Ic_720s.20120301_120000_TAI.continuum.fits"),
        (
            "aia.lev1_euv_12s[2011-02-15T00:00:02Z][171]{image}",
            "image",
            "aia.lev1_euv_12s.20110215T000002Z.171.image.fits",
        ),
    ],
)
def test_files_of_jsoc_are_named_as_drms_names_them(record, segment, name):
    assert jsoc.name_of(record, segment) == name
    assert time_in_name(name) is not None, "the reader of the images finds their time"


@given(DAYS, st.integers(1, 60), st.sampled_from([0.2, 1.0, 1.5, 6.0, 12.0, 24.0, 48.0]))
def test_record_sets_are_in_jsocs_language(first, length, cadence):
    period = Period(first, first + timedelta(days=length - 1))
    step = f"{cadence:g}h" if cadence >= 1 and cadence % 1 == 0 else f"{round(cadence * 60)}m"
    asked = str(jsoc.full_disc("hmi-magnetogram", period, cadence))
    assert asked == f"hmi.M_720s[{first:%Y.%m.%d}_00:00:00_TAI/{length}d@{step}]{{magnetogram}}"
    sharp = str(jsoc.sharp(377, period, cadence, ("Br", "bitmap")))
    assert sharp == f"hmi.sharp_cea_720s[377][{first:%Y.%m.%d}_00:00:00_TAI/{length}d@{step}]{{Br,bitmap}}"
    drms = pytest.importorskip("drms")
    assert drms.Client._parse_export_recset(sharp)[2] == ["Br", "bitmap"], "drms reads it so"


def test_aias_series_depend_on_the_wavelength():
    day = Period(date(2012, 1, 1), date(2012, 1, 1))
    assert (
        str(jsoc.full_disc("aia-171-corrected", day, 12)) == "aia.lev1_euv_12s[2012-01-01T00:00:00Z/1d@12h][171]{image}"
    )
    assert str(jsoc.full_disc("aia-1600", day, 12)) == "aia.lev1_uv_24s[2012-01-01T00:00:00Z/1d@12h][1600]{image}"


@given(TIMES, st.sampled_from([512, 1024, 2048, 4096]), st.sampled_from(sorted(browse.PRODUCTS.values())))
def test_a_browse_images_name_gives_its_time_back_and_is_found_in_a_folders_list(when, side, product):
    name = browse.name(when, side, product)
    assert time_in_name(name) == when
    page = f'<a href="?C=N;O=D">Name</a><a href="{name}">{name}</a><a href="x_{name}.md5">x</a>'
    assert browse.times_listed(page, side, product) == [when]
    assert browse.times_listed(page, side, f"{product}x") == []


@given(TIMES, st.sampled_from(sorted(helioviewer.SOURCES)))
def test_a_helioviewer_images_name_gives_its_time_back(when, channel):
    _, instrument, measurement = helioviewer.source_of(channel)
    assert time_in_name(helioviewer.name(when, instrument, measurement)) == when


@given(DAYS, st.integers(1, 800))
def test_a_summary_for_each_day_and_the_day_after_the_last(first, length):
    period = Period(first, first + timedelta(days=length - 1))
    files = noaa.summaries(OWN, period, "srs").files
    assert len(files) == length + 1 == len({file.path for file in files})
    years = noaa.summaries(OWN, period, "srs", by="years").files
    assert [file.path for file in years] == [f"srs/{year}_SRS.tar.gz" for year in period.longer(1).years]


@given(DAYS, st.integers(1, 40), st.floats(0.1, 240))
def test_moments_begin_at_midnight_and_end_within_the_last_day(first, length, cadence):
    moments = Period(first, first + timedelta(days=length - 1)).moments(cadence)
    assert moments[0] == datetime(first.year, first.month, first.day, tzinfo=UTC)
    assert moments[-1] < moments[0] + timedelta(days=length) <= moments[-1] + timedelta(hours=cadence, seconds=1)


def test_addresses_come_from_the_study_then_the_environment_then_the_archive(monkeypatch):
    assert OWN.is_own("srs") and not Addresses({"srs": "http://mirror/srs"}).is_own("srs")
    monkeypatch.setenv("SDOVIS_FETCH_SRS_YEARS", "http://mirror/years")
    assert OWN.of("srs-years") == "http://mirror/years/"
    assert Addresses({"srs-years": "https://mine/"}).of("srs-years") == "https://mine/"
    for wrong in ("file:///etc", "mirror", "http://user:word@mirror/"):
        monkeypatch.setenv("SDOVIS_FETCH_GOES", wrong)
        with pytest.raises(BadInput, match="SDOVIS_FETCH_GOES") as caught:
            OWN.of("goes")
        assert wrong not in str(caught.value)


def test_a_study_knows_the_addresses_that_there_are():
    assert {*ADDRESSES} == {*ARCHIVES}
    assert all(archive.home and archive.licence and archive.credit for archive in ARCHIVES.values())
