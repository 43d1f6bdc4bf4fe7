"""A time is one moment or refused; a heading names the clock, the study the order of day and month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.sun.times import scale_of, time, utc

WHEN = datetime(2011, 4, 3, 1, 30, tzinfo=UTC)


@given(st.one_of(st.text(max_size=20), st.text(alphabet="0123456789-/.: T_AIZ+", max_size=24)))
def test_any_text_is_a_time_in_utc_or_one_problem(text):
    try:
        assert time(text).tzinfo is UTC
    except BadInput as error:
        assert len(error.problems) == 1 and "\n" not in str(error)


#: Just before and after the leap seconds of 2012, 2015 and 2016 in TAI, and when there was none.
LEAPS = [datetime(2012, 7, 1, 0, 0, s) for s in range(30, 40)] + [datetime(2017, 1, 1, 0, 0, s) for s in range(32, 42)]


@given(st.one_of(st.sampled_from(LEAPS), st.datetimes(datetime(1973, 1, 1), datetime(2025, 12, 31))))
@settings(deadline=None)  # the first call imports astropy
@example(datetime(2015, 7, 1, 0, 0, 35, 999_999))
def test_tai_is_brought_to_utc_as_astropy_does(moment):
    from astropy.time import Time

    second = moment.second + moment.microsecond / 1e6
    found = utc(moment.year, moment.month, moment.day, moment.hour, moment.minute, second, "TAI")
    clock = Time(moment, scale="tai").utc.ymdhms  # of a leap second the last moment before it
    whole = datetime(clock.year, clock.month, clock.day, clock.hour, clock.minute, tzinfo=UTC)
    wanted = whole + timedelta(seconds=min(float(clock.second), 59.999999))
    assert abs(found - wanted) < timedelta(microseconds=5)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("03/04/2011", "3 April or 4 March 2011"),
        ("3.4.2011 01:30", "3 April or 4 March 2011"),
        ("15-04-2011", "15 April 2011"),
    ],
)
def test_a_date_of_two_readings_is_refused_with_both(text, readings):
    with pytest.raises(BadInput, match=f"may be {readings}") as caught:
        time(text)
    assert "source.date_order" in str(caught.value)


def test_the_study_may_say_which_comes_first():
    assert time("03/04/2011 1:30", order="day-first") == time("4.3.2011 1:30", order="month-first") == WHEN
    assert time("3-Apr-2011 01:30", order="month-first") == WHEN
    for text in ("2011-04-03 01:30", "15/04/2011"):  # the first may have been turned by the program that saved it
        with pytest.raises(BadInput):
            time(text, order="month-first")


@pytest.mark.parametrize(
    ("heading", "scale"),
    [("T_REC", "TAI"), ("t_obs", "TAI"), ("Time (TAI)", "TAI"), ("Observed (UTC)", "UTC"), ("", "UTC")],
)
def test_a_heading_names_the_clock(heading, scale):
    assert scale_of(heading) == scale


@pytest.mark.parametrize("heading", ["Time (JST)", "local time", "Observed [CET]"])
def test_a_clock_that_is_not_utc_is_refused(heading):
    with pytest.raises(BadInput, match="which is not UTC"):
        scale_of(heading)


def test_a_clock_that_is_written_counts_more_than_the_heading():
    assert time("2011-04-03T01:30:00Z", scale="TAI") == WHEN
    assert time("2011.04.03_01:30:34_TAI") == time("2011-04-03 01:30:34", scale="TAI") == WHEN


@pytest.mark.parametrize("text", ["40636.0625", "2455654.5625", "1301794200"])
def test_a_bare_number_is_refused_as_one(text):
    with pytest.raises(BadInput, match="is a number"):
        time(text)


@pytest.mark.parametrize(
    "heading",
    ["time_jst", "KST_time", "Time (UTC+9)", "GMT-5", "UT + 01:00", "Zeit (MESZ)", "Ortszeit", "Beijing time", "LT"],
)
def test_a_clock_that_is_not_utc_is_seen_however_the_heading_is_put_together(heading):
    with pytest.raises(BadInput, match="is not UTC"):
        scale_of(heading)


@pytest.mark.parametrize(
    ("heading", "scale"),
    [("T_REC_TAI", "TAI"), ("T_REC (start)", "TAI"), ("HMI T_OBS", "TAI"), ("T_OBS (UTC)", "UTC"), ("UT-date", "UTC"),
     ("UTC (2011)", "UTC"), ("Detail", "UTC"), ("Result time", "UTC"), ("UTC+0", "UTC")],
)  # fmt: skip
def test_the_scale_is_seen_wherever_it_stands_in_the_heading(heading, scale):
    assert scale_of(heading) == scale


@pytest.mark.parametrize("text", ["2011-02-15 01:30-02:00", "2011-02-15 0130-0200", "2011-02-15 01:30:00+19:00"])
def test_two_times_are_not_taken_for_a_time_and_its_zone(text):
    with pytest.raises(BadInput, match="may name two times"):
        time(text)
