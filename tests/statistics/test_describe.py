from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.statistics.describe import describe


def test_a_sample_is_described_as_r_describes_it() -> None:
    # R: x <- c(3, 1, 4, 1, 5, 9, 2, 6); summary(x); sd(x); quantile(x, .95)
    d = describe([3, 1, 4, 1, 5, 9, 2, 6])
    assert (d.n, d.missing, d.min, d.q1, d.median, d.mean, d.q3, d.max) == (8, 0, 1, 1.75, 3.5, 3.875, 5.25, 9)
    assert d.iqr == 3.5
    assert d.sd == pytest.approx(2.748376, abs=1e-6)
    assert d.p95 == pytest.approx(7.95)


def test_missing_values_are_counted_and_left_out() -> None:
    d = describe([1.0, np.nan, 3.0])
    assert (d.n, d.missing, d.mean) == (2, 1, 2.0)


def test_too_few_values_give_nan() -> None:
    assert np.isnan(describe([2.0]).sd) and describe([2.0]).median == 2
    empty = describe([np.nan])
    assert (empty.n, empty.missing) == (0, 1) and np.isnan([empty.mean, empty.median, empty.p95, empty.max]).all()


@pytest.mark.parametrize("bad", [[1, np.inf], [[1, 2]]])
def test_infinite_values_and_tables_are_refused(bad: list) -> None:
    with pytest.raises(ValueError, match="values must be"):
        describe(bad)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(-1e3, 1e3))
def test_a_shift_moves_the_location_and_not_the_spread(values: list[float], by: float) -> None:
    a, b = describe(values), describe(np.array(values) + by)
    assert a.min <= a.q1 <= a.median <= a.q3 <= a.p95 + a.iqr and a.p95 <= a.max
    assert b.median == pytest.approx(a.median + by, abs=1e-6)
    assert b.iqr == pytest.approx(a.iqr, abs=1e-6)
