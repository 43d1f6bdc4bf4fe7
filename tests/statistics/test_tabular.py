"""A table for a linear layer: nothing missing becomes a number, and nothing is learned from other rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.statistics import tabular

NUMBERS = st.lists(st.one_of(st.none(), st.floats(0, 1e6, allow_subnormal=False)), min_size=3, max_size=30).filter(
    lambda of: len({round(v, 3) for v in of if v is not None}) > 1
)
NAMES = st.lists(st.sampled_from(["Dkc", "dkc", " DKC ", "Axx", "Cso", "", None]), min_size=2, max_size=30).filter(
    lambda of: len({tabular.folded(v or "") for v in of}) > 1
)


def numbers(values: list[float | None]) -> pd.Series:
    return pd.Series([math.nan if v is None else v for v in values], dtype=float)


@given(NUMBERS, st.sampled_from(["number", "logarithm"]))
def test_a_missing_number_stands_at_the_median_and_says_so(values: list[float | None], kind: str) -> None:
    column = tabular.fitted("area", "Area", kind, numbers(values))
    coded = tabular.encoded([column], {"area": numbers([*values, None, column.median])})
    missing = np.array([v is None for v in values])
    assert coded.shape == (len(values) + 2, 2) and np.isfinite(coded).all()
    assert (coded[:-2, 1] == missing).all() and coded[-2:, 1].tolist() == [1, 0]
    np.testing.assert_array_equal(coded[-2, 0], coded[-1, 0])
    known = coded[:-2][~missing, 0].astype(float)
    assert abs(known.mean()) < 1e-3 and known.std() == pytest.approx(1, abs=1e-2)
    assert column.missing == pytest.approx(missing.mean())


@given(NUMBERS, NAMES)
def test_a_row_is_coded_alone_as_among_others(values: list[float | None], names: list[str | None]) -> None:
    columns = [
        tabular.fitted("area", "Area", "number", numbers(values)),
        tabular.fitted("group", "Z", "category", pd.Series(names, dtype=object)),
    ]
    rows = {"area": numbers(values[: len(names)]), "group": pd.Series(names[: len(values)], dtype=object)}
    whole = tabular.encoded(columns, rows)
    for i in range(len(whole)):
        alone = tabular.encoded(columns, {name: of.iloc[i : i + 1] for name, of in rows.items()})
        np.testing.assert_array_equal(alone[0], whole[i])


@given(NAMES)
def test_each_category_has_a_place_of_its_own_whatever_its_case(names: list[str | None]) -> None:
    column = tabular.fitted("group", "Z", "category", pd.Series(names, dtype=object))
    coded = tabular.encoded([column], {"group": [*names, "never seen"]})
    assert (coded.sum(axis=1) == 1).all() and coded.shape[1] == column.width
    places = dict(zip([tabular.folded(n or "") for n in names], coded.argmax(axis=1), strict=False))
    assert len(set(places.values())) == len(places)
    assert coded[-1].argmax() == column.width - 1 == places.get("", column.width - 1)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("number", [3.0, 3.0, math.nan], "is 3.0 wherever it is known"),
        ("logarithm", [math.nan, math.nan], "has no value"),
        ("category", ["a", "A", " a"], "wherever it is known"),
        ("category", [str(i) for i in range(60)], "at most 50 are categories"),
    ],
)
def test_what_tells_nothing_apart_is_refused(kind: str, values: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tabular.fitted("x", "X", kind, pd.Series(values, dtype=object if kind == "category" else float))


def test_values_unlike_those_that_were_learned_from_are_found() -> None:
    area = tabular.fitted("area", "Area", "number", numbers([10, 20, 400]))
    group = tabular.fitted("group", "Z", "category", pd.Series(["Axx", "Dkc", None]))
    assert [said for _, said in tabular.strange(area, [9.9, 10, 400, 401, math.nan])] == [
        "area = 9.9 lies outside the training range, 10 to 400",
        "area = 401 lies outside the training range, 10 to 400",
        "area is missing, and no row of the training part lacked it",
    ]
    assert [at for at, _ in tabular.strange(group, ["axx", None, "Hsx"])] == [2]
