"""The columns of a corpus have one home: the files, the examples and the headings of a workbook follow it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from crafted_facts import corpus_facts
from sdovis.corpus import build, columns, examples
from sdovis.corpus.columns import CorpusColumn
from sdovis.corpus.observations import Observation
from sdovis.corpus.shards import SCHEMA
from sdovis.readers.rows import RawRow

WHEN = datetime(2011, 2, 15, tzinfo=UTC)
#: What others read: datasets on the Hub, and scripts.
PARQUET = (
    "id string, image struct<bytes: binary, path: string>, label int64, noaa_ar int64, "
    "observed timestamp[ms, tz=UTC], group string, frame string, latitude_deg double, longitude_deg double, "
    "x_px double, y_px double, native_side_px double, missing_share double, masked_share double, mean_code double, "
    "perceptual_hash string, label_text string, source_file string, source_sheet string, source_row int64, image_file string, "
    "image_sha256 string, pixels_sha256 string, header string, extra string"
)


def test_the_files_have_the_columns_that_others_rely_on_in_their_order():
    schema = build._features(corpus_facts(classes={"alpha": "", "beta": ""})).arrow_schema
    assert ", ".join(f"{field.name} {field.type}" for field in schema) == PARQUET
    assert SCHEMA.names == [*columns.NAMES, "simulated", "unit", "published_part", "beside"]


def test_what_a_row_tells_fills_just_the_columns_that_are_not_measured():
    row = Observation(RawRow("book", "s", 2, {}, {}), ("a.png",), "alpha", 11158, WHEN, 15.0, -20.0, None, None)
    told = examples._described(row)
    own = {column.name for column in columns.COLUMNS if not column.measured}
    assert set(told) == own | {columns.PUBLISHED_PART.name, columns.BESIDE_VALUES.name}


@pytest.mark.parametrize(
    ("name", "heading"),
    [("latitude_deg", "Latitude (deg)"), ("x_px", "X (px)"), ("noaa_ar", "Noaa ar"), ("observed", "Observed (UTC)")],
)
def test_a_heading_is_name_and_unit(name, heading):
    (column,) = (column for column in columns.COLUMNS if column.name == name)
    assert column.heading == heading


def test_each_column_is_explained_once():
    assert len(set(columns.NAMES)) == len(columns.NAMES)
    assert all(isinstance(column, CorpusColumn) and column.meaning for column in columns.COLUMNS)
