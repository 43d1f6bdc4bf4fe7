"""Values beside the image: read as they are meant, kept with their rows, and kept from the model if they are the label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.corpus import beside
from sdovis.errors import BadInput, Problem
from sdovis.readers.rows import RawRow
from sdovis.study import Study
from sdovis.sun.notation import number

TABLES = {"numbers": {"flux": "Flux"}, "logarithms": {"area": "Area"}, "categories": {"group": "Z"}}


def study(**tables: Any) -> Study:
    return Study.model_validate({
        "study": {"name": "told"},
        "source": {"workbook": "book.xlsx", "columns": {"beside": tables or TABLES}},
        "images": {"channel": "hmi-magnetogram"},
        "backbone": {"config": {"model_type": "vit"}},
    })  # fmt: skip


def row(**cells: str) -> RawRow:
    headings = {"flux": "Flux", "area": "Area", "group": "Z"}
    fields = {f"beside.{name}": heading for name, heading in headings.items()}
    return RawRow("book.xlsx", "", 2, {f"beside.{name}": text for name, text in cells.items()}, fields)


def problem(**cells: str) -> Problem:
    problems: list[Problem] = []
    beside.read(study(), row(**{"flux": "1", "area": "1", "group": "Axx"} | cells), problems)
    (found,) = problems
    return found


@pytest.mark.parametrize(
    ("cells", "said", "column"),
    [
        ({"area": "1,200"}, "may be a number of thousands", "Area"),
        ({"area": "120 MSH"}, "is not a number", "Area"),
        ({"area": "~120"}, "is not a number", "Area"),
        ({"area": "-5"}, "is below 0 and has no logarithm", "Area"),
        ({"flux": "C1.2"}, "is not a number", "Flux"),
        ({"flux": "inf"}, "is not a number", "Flux"),
        ({"flux": "1_000"}, "is not a number", "Flux"),
    ],
)
def test_a_cell_that_is_no_number_is_refused_with_its_column(cells: dict[str, str], said: str, column: str) -> None:
    found = problem(**cells)
    assert said in found.what and (found.column, found.row) == (column, 2)


@pytest.mark.parametrize("nothing", ["", "-", "n/a", "NaN", "—"])
def test_a_cell_without_a_value_is_none_and_never_a_zero(nothing: str) -> None:
    problems: list[Problem] = []
    assert beside.read(study(), row(flux=nothing, area=nothing, group=nothing), problems) == (
        '{"flux": null, "area": null, "group": null}'
    )
    assert not problems


@given(st.floats(-1e12, 1e12, allow_subnormal=False))
def test_a_number_is_read_as_it_was_written(value: float) -> None:
    for text in (repr(value), f"{value:e}"):
        assert number(text) == pytest.approx(value, rel=1e-6)
    assert number(repr(value).replace("-", "\N{MINUS SIGN}", 1)) == pytest.approx(value)


# --- the label ------------------------------------------------------------------------------------------------------


def rows(values: Any, *, days: int = 4, regions: int = 40, seed: int = 0) -> pd.DataFrame:
    """Regions on some days, with classes that change now and then; ``values(label codes, region, day)`` beside them."""
    rng = np.random.default_rng(seed)
    region, day = np.repeat(np.arange(regions), days), np.tile(np.arange(days), regions)
    label = (
        rng.integers(0, 3, regions)[region] + (rng.random(len(region)) < 0.4) * rng.integers(1, 3, len(region))
    ) % 3
    return pd.DataFrame({
        "label": np.array(["alpha", "beta", "complex"])[label], "group": [f"AR {n}" for n in region],
        "split": np.where(region < 25, "train", np.where(region < 32, "validation", "test")),
        "observed": pd.Timestamp("2012-01-01", tz="UTC") + pd.to_timedelta(day + 40 * region, unit="D"),
        "source_file": "book.xlsx", "source_sheet": "", "source_row": np.arange(len(region)) + 2,
        "beside_x": values(label, region, day),
    })  # fmt: skip


def shifted(by: int) -> Any:
    """The label of the same region some days away; none where there is no such day."""

    def values(label: np.ndarray, region: np.ndarray, day: np.ndarray) -> np.ndarray:
        names = pd.Series(np.array(["a", "b", "c"])[label])
        return names.groupby(region).shift(by).to_numpy()

    return values


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("categories", lambda label, region, day: np.array(["Alpha", "Beta", "Delta"])[label]),
        ("categories", lambda label, region, day: np.array(["Axx", "Dso", "Fkc"])[label]),
        ("numbers", lambda label, region, day: label.astype(float)),
        ("numbers", lambda label, region, day: -np.exp(label + 0.01 * (region % 7))),
        ("logarithms", lambda label, region, day: (3.0 - label) ** 3 * 10),
        ("categories", shifted(-1)),
    ],
)
def test_values_that_are_the_label_or_tell_it_are_refused(kind: str, values: Any) -> None:
    with pytest.raises(BadInput, match=r"(?s)book\.xlsx.*beside the image, 'x' .* the label.*take it out"):
        beside.refuse_given_away(study(**{kind: {"x": "X"}}), rows(values), seed=0)


def test_the_class_of_the_day_before_may_be_told_and_is_said() -> None:
    (said,) = beside.refuse_given_away(study(categories={"x": "X"}), rows(shifted(1)), seed=0)
    assert "of the day before" in said or "of the row before" in said
    assert "compare it with persistence" in said


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_found_in_values_that_have_nothing_to_do_with_the_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rows(lambda label, region, day: rng.normal(size=len(label)) + label, seed=seed)
    assert beside.refuse_given_away(study(numbers={"x": "X"}), noise, seed=seed) == ()


def test_the_labels_own_column_is_refused_when_the_study_is_read() -> None:
    with pytest.raises(ValueError, match="copy is the column of the label, ' label '"):
        study(categories={"copy": " label "})


# --- statistics -----------------------------------------------------------------------------------------------------


def test_what_is_learned_of_values_is_learned_from_the_training_part() -> None:
    table = rows(lambda label, region, day: np.where(region < 25, region * 1.0, 1e6))
    (column,) = beside.fitted(study(numbers={"x": "X"}), table) or ()
    assert (column.low, column.high, column.median) == (0, 24, 12)


@pytest.mark.parametrize("mark", [-999.0, -9999.0, -99.9])
@pytest.mark.parametrize("lowest", [0.0, -40.0])
def test_a_number_that_marks_a_missing_value_is_refused(mark: float, lowest: float) -> None:
    table = rows(lambda label, region, day: np.where(region % 5 == 0, mark, region + lowest))
    table.loc[table.index[0], "beside_x"] = -9999.0
    with pytest.raises(BadInput, match="-9999 is far below all other values"):
        beside.refuse_marks(study(numbers={"x": "X"}), table)


@pytest.mark.parametrize("lowest", [-99.0, -60.0, -9.0])
def test_a_number_of_nines_among_others_like_it_is_a_number(lowest: float) -> None:
    table = rows(lambda label, region, day: np.where(region % 5 == 0, lowest, -60.0 + region))
    beside.refuse_marks(study(numbers={"x": "X"}), table)


def test_negative_numbers_are_numbers() -> None:
    table = rows(lambda label, region, day: region - 20.0)
    assert beside.fitted(study(numbers={"x": "X"}), table)


def test_the_data_sets_columns_say_what_they_are(tmp_path: Path) -> None:
    given = beside.fitted(study(numbers={"x": "Flux (W/m2)"}), rows(lambda label, region, day: region * 1.0))
    (column,) = beside.columns(given)
    assert (column.name, column.kind) == ("beside_x", "number") and "'Flux (W/m2)'" in column.meaning
