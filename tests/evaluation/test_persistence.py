"""The class of the day before: found where rows allow it, and never in another region."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sdovis.evaluation.persistence import before, persistence

DRAWS = {"samples": 200, "seed": 0}


def rows(*given: tuple[int | None, str, int]) -> pd.DataFrame:
    """(region, time, label) of each row."""
    found = pd.DataFrame(given, columns=["noaa_ar", "observed", "label"])
    found["group"] = found["noaa_ar"].map(lambda n: f"ar{n}")
    return found.assign(observed=pd.to_datetime(found["observed"], utc=True, format="ISO8601"))


def test_the_row_nearest_to_a_day_before_is_taken_within_half_a_day_and_in_any_order() -> None:
    found = rows(
        (11158, "2011-02-15T00:00", 2), (11158, "2011-02-13T20:00", 0), (11158, "2011-02-14T02:00", 1),
        (11158, "2011-02-17T00:00", 2), (11158, "2011-02-17T11:00", 1),
    )  # fmt: skip
    told = before(found)
    assert told[0] == 1, "22 hours before, not 28"
    assert np.isnan(told[[1, 2]]).all(), "nothing before the first, and 6 hours are no day"
    assert np.isnan(told[3]), "two days before is no day before"
    assert np.isnan(told[4]), "11 hours are no day"


def test_another_region_says_nothing_and_neither_do_rows_without_one() -> None:
    found = rows((1, "2011-02-14", 1), (2, "2011-02-15", 0), (None, "2011-02-14", 1), (None, "2011-02-15", 1))
    assert np.isnan(before(found)).all()
    assert persistence(found, [0, 0, 0, 0], 2, **DRAWS) is None


def test_several_rows_at_one_time_are_searched_like_one() -> None:
    found = rows((1, "2011-02-14", 1), (1, "2011-02-14", 1), (1, "2011-02-15", 0))
    assert before(found).tolist()[2] == 1


def test_it_is_scored_beside_the_model_on_the_rows_that_have_a_day_before() -> None:
    days = [(n, f"2011-02-{10 + day}", (n + (day > 2)) % 2) for n in range(12) for day in range(5)]
    found = rows(*days)
    truth = found["label"].to_numpy()
    score = persistence(found, truth, 2, **DRAWS)
    assert (score.rows, score.regions) == (48, 12)
    assert score.model.estimate == 1
    assert score.balanced_accuracy.estimate == pytest.approx(0.75)
    assert score.difference.estimate == pytest.approx(0.25)
    assert score.difference.low > 0
